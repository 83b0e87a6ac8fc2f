package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/notification"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/projections/control"
)

// compose is what a notice says and to whom, on the state as it is; ok is false
// where it is not true any more.
func compose(s *control.State, n notification.Notice, org domain.Name, baseURL string, now time.Time) (m Message, ok bool) {
	m = Message{ID: n.ID, Type: n.Type, At: n.At, Data: Data{Org: org, Recipients: []domain.Name{}}}
	now = s.Later(now)
	var names []domain.Name
	switch kind, _, _ := strings.Cut(n.Type, "."); kind {
	case "request":
		names, ok = ofRequest(s, n, &m, now)
		m.Data.Link = request.Link(baseURL, org, n.About())
	case "break_glass":
		names, ok = ofGlass(s, n, &m, now)
	default:
		names, ok = ofEnd(s, n, &m, now)
	}
	for _, name := range names {
		p, known := s.Person(name)
		if !known {
			continue
		}
		m.To = append(m.To, Person{name, p.Email})
		m.Data.Recipients = append(m.Data.Recipients, name)
		if len(m.To) == maxPeople {
			break
		}
	}
	return m, ok
}

// ofRequest says what is asked for, to those who may decide it; or what became
// of it, to who asked.
func ofRequest(s *control.State, n notification.Notice, m *Message, now time.Time) (to []domain.Name, ok bool) {
	r, found := s.Requests().Request(n.About())
	if !found || len(r.Steps) == 0 {
		return nil, false
	}
	d := &m.Data
	d.Request, d.Requester, d.RequestType, d.Resource, d.Method, d.Group = r.ID, r.Requester, r.Type, string(r.Resource), r.Method, r.Group
	d.Account, d.Justification, d.Seconds, d.Policy, d.Rule, d.Until = accountOf(r.Method), r.Justification, r.ApprovalSeconds, r.Policy, r.Rule, r.Until
	what := wanted(r)
	switch n.Type {
	case request.WasRaised{}.EventType(), request.StepWasOpened{}.EventType(), request.WasEscalated{}.EventType():
		if r.At(now).Status != request.Pending || len(r.Steps) != n.Step {
			return nil, false // decided, or over, meanwhile
		}
		d.Step, d.StepName, d.ExpiresAt = n.Step, r.Spec.Steps[n.Step-1].Name, r.Steps[n.Step-1].ExpiresAt
		d.Command = "sallyport request approve " + r.ID
		m.Title = fmt.Sprintf("%s asks for %s", visible(r.Requester), what)
		if n.Type == (request.WasEscalated{}).EventType() {
			m.Title = fmt.Sprintf("%s still waits for %s", visible(r.Requester), what)
		}
		return s.Approvers(r.ID, now), true
	case request.WasApproved{}.EventType():
		d.Until, d.DecidedBy = r.ValidUntil, r.EndedBy
		m.Title = fmt.Sprintf("Approved: %s for %s", what, visible(r.Requester))
	case request.WasDenied{}.EventType():
		d.DecidedBy = r.EndedBy
		m.Title = fmt.Sprintf("Denied: %s for %s", what, visible(r.Requester))
	case request.WasExpired{}.EventType():
		m.Title = fmt.Sprintf("Nobody decided in time: %s for %s", what, visible(r.Requester))
	}
	if last := r.Steps[len(r.Steps)-1].Decisions; d.DecidedBy != "" && len(last) > 0 {
		d.Comment = last[len(last)-1].Comment
	}
	if p := r.Person(); p != "" {
		to = []domain.Name{p}
	}
	return to, true
}

// wanted is what a request is for, in few words.
func wanted(r request.Request) string {
	if r.Group != "" {
		return "membership of group " + r.Group.String()
	}
	return "access to " + visible(string(r.Resource))
}

// accountOf is the account that the id of an access method names, "" where it names none.
func accountOf(method string) string {
	_, account, _ := strings.Cut(method, ":")
	return account
}

// ofGlass says that somebody let themself in, to everyone who was skipped and to
// the security admins.
func ofGlass(s *control.State, n notification.Notice, m *Message, now time.Time) (to []domain.Name, ok bool) {
	g, found := s.Access().Glass(n.About())
	if !found {
		return nil, false
	}
	d := &m.Data
	d.BreakGlass, d.Requester, d.Resource, d.Method, d.Account = g.ID, g.By, string(g.Resource), g.Method, g.Account.String()
	d.Justification, d.Policy, d.Rule, d.Until = g.Reason, g.Policy, g.Rule, g.Until
	d.Command = "sallyport break-glass review " + g.ID
	m.Title = fmt.Sprintf("%s broke glass: access to %s without approval", visible(g.By), visible(string(g.Resource)))
	return skipped(s, g, now), true
}

// skipped is everyone who might have decided what glass was broken instead of,
// and the security admins, but for who broke it; by name.
func skipped(s *control.State, g access.Glass, now time.Time) []domain.Name {
	names := s.Reviewers(g, now)
	people := s.People()
	for _, p := range people.People() {
		if slices.Contains(p.Roles, domain.SecurityAdmin) || slices.Contains(s.Groups().Roles(p.Name, now), domain.SecurityAdmin) {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n domain.Name) bool { return n.String() == g.By })
}

// ofEnd says that a membership or a checkout is over, to whose it was, unless
// they have it again.
func ofEnd(s *control.State, n notification.Notice, m *Message, now time.Time) (to []domain.Name, ok bool) {
	if n.Group != "" && s.Groups().Has(n.Group, n.Person, now) {
		return nil, false
	}
	if holder, _, held := s.Access().Holder(resource.Ref(n.Resource), n.Account, now); held && holder == n.Person.String() {
		return nil, false
	}
	m.Data.Until, m.Data.Group, m.Data.Resource, m.Data.Account = n.Until, n.Group, n.Resource, n.Account.String()
	m.Title = fmt.Sprintf("%s's checkout of %s is over", n.Person, visible(n.Resource))
	if n.Group != "" {
		m.Title = fmt.Sprintf("%s is not in group %s any more", n.Person, n.Group)
	}
	return []domain.Name{n.Person}, true
}
