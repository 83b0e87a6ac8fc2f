package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

// access is the pages about what one can reach and how, and about access requests.
func (c *Console) access() []screen {
	return []screen{
		{path: "/inbox", menu: "Inbox", icon: "inbox", group: "Access", count: countInbox, get: showInbox, asks: true},
		{path: "/access", menu: "My access", icon: "door", group: "Access", get: showAccess},
		{path: "/access/resource", get: showReachable, post: map[string]func(*page) error{
			"take": takeCheckout, "release": releaseCheckout, "reveal": revealValue,
		}},
		{path: "/access/request", get: showAccessForm, post: map[string]func(*page) error{"raise": raiseAccess}},
		{path: "/access/break-glass", get: showGlassForm, post: map[string]func(*page) error{"break": breakGlass}},
		{path: "/requests", menu: "Requests", icon: "form", group: "Access", get: showRequests},
		{path: "/requests/membership", get: showMembership, post: map[string]func(*page) error{"raise": raiseMembership}},
		// Where notifications lead: request.Link.
		{path: "/requests/:id", get: showRequest, asks: true, post: map[string]func(*page) error{
			"approve": approveRequest, "deny": denyRequest, "cancel": cancelRequest,
		}},
		{path: "/break-glass", menu: "Break glass", icon: "glass", group: "Access", count: countGlass, get: showGlasses},
		{path: "/break-glass/:id", get: showGlass, post: map[string]func(*page) error{"review": reviewGlass}},
		{path: "/delegation", menu: "Delegation", icon: "people", group: "Access", get: showDelegation, post: map[string]func(*page) error{
			"set": setDelegation, "end": endDelegation,
		}},
	}
}

// subject is the person as access is decided for them, as /v1 has it.
func (p *page) subject(s *control.State, now time.Time) access.Subject {
	return s.ProvedSubject(p.Person, session.Caller{Session: p.Session}.MFAAt(), now)
}

// reachPerPage is how many resources a page of My access has.
const reachPerPage = 50

// accessView is what somebody can reach, by reference.
type accessView struct {
	Rows         []reachRow
	Search, Kind string
	Count        string // how many there are, as far as it was looked
	Next, First  string
	Held         []heldRow
	Any          bool // there is something, whatever was searched for
}

// reachRow is a server or a secret in the list.
type reachRow struct {
	Name, Kind, Says, URL string
	Project               domain.Name
	Ways                  []wayRow
	More                  int // ways, beside those shown
}

// wayRow is an access method in the list.
type wayRow struct{ Says, State string }

// heldRow is something that the person has checked out.
type heldRow struct {
	access.Checkout
	What, URL string
}

// maxWays is how many ways to a resource the list shows, and maxSays how many
// characters of what is said of something a list has.
const maxWays, maxSays = 4, 120

func showAccess(p *page) error {
	v := accessView{Search: strings.TrimSpace(p.query("q")), Kind: p.query("kind")}
	after := p.query("after")
	p.Org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(p.now())
		for _, c := range s.Access().CheckoutsOf(p.Person.ID, now) {
			v.Held = append(v.Held, heldRow{c, heldSays(c), reachURL(p, c.Resource)})
		}
		subject := p.subject(s, now)
		found, more := access.ResolvePage(s.World(), subject, now, resource.Ref(after), v.wants, reachPerPage)
		for _, r := range found {
			v.Rows = append(v.Rows, newReachRow(p, r))
		}
		if v.Any = len(found) > 0; !v.Any {
			found, _ := access.ResolvePage(s.World(), subject, now, "", nil, 1)
			v.Any = len(found) > 0
		}
		if v.Count = fmt.Sprintf("%d in all", len(found)); more {
			v.Next = string(found[len(found)-1].Resource.Ref)
		}
		if more || after != "" {
			v.Count = fmt.Sprintf("%d on this page", len(found))
		}
	})
	at := url.Values{}
	for name, value := range map[string]string{"q": v.Search, "kind": v.Kind} {
		if value != "" {
			at.Set(name, value)
		}
	}
	if after != "" {
		v.First = p.url("/access?") + at.Encode()
	}
	if v.Next != "" {
		at.Set("after", v.Next)
		v.Next = p.url("/access?") + at.Encode()
	}
	return p.render("access", v)
}

func heldSays(c access.Checkout) string {
	_, name, _ := strings.Cut(string(c.Resource), "/")
	if c.Account != "" {
		return c.Account.String() + " on " + name
	}
	return name
}

// wants tells whether a resource is searched for.
func (v accessView) wants(r *resource.Resource) bool {
	return (v.Kind == "" || string(r.Kind) == v.Kind) && strings.Contains(strings.ToLower(r.Name), strings.ToLower(v.Search))
}

// Kinds are the choices of what is listed.
func (accessView) Kinds() []option {
	return []option{{"", "Everything"}, {string(resource.Server), "Servers"}, {string(resource.Secret), "Secrets"}}
}

func newReachRow(p *page, r access.Reachable) reachRow {
	row := reachRow{
		Name: r.Resource.Name, Kind: string(r.Resource.Kind), Says: firstLine(visible(r.Resource.Description), maxSays),
		Project: r.Resource.Project, URL: reachURL(p, r.Resource.Ref),
	}
	for _, m := range r.Answer.Methods {
		if len(row.Ways) == maxWays {
			row.More = len(r.Answer.Methods) - maxWays
			break
		}
		row.Ways = append(row.Ways, wayRow{waySays(m), wayState(m)})
	}
	return row
}

// waySays names a method beside the name of its resource.
func waySays(m access.Method) string {
	switch m.Kind {
	case access.SSH:
		return "log in as " + asWhom(m.Account.String(), m.Username)
	case access.RevealPassword:
		return "password of " + m.Account.String()
	}
	return strings.TrimPrefix(string(m.Kind), "secret_")
}

// wayState is how far a method is from being used.
func wayState(m access.Method) string {
	if m.Open() {
		return "open"
	}
	for _, q := range m.Requires {
		if q.Type == policy.AccessRequest && !q.Met && q.Request != "" {
			return "waiting"
		}
	}
	return "unmet"
}

// wayStep is what is still to be done before a method is open, as one is told to,
// and as is said of what waits for it.
type wayStep struct{ do, done string }

// stillToDo is the steps to an open method, in the order in which they can be taken.
func stillToDo(m access.Method) (steps []wayStep) {
	for _, of := range []struct {
		condition policy.ConditionType
		wayStep
	}{
		{policy.AccessRequest, wayStep{"ask for approval", "approved"}},
		{policy.MFA, wayStep{"prove your passkey", "opened with your passkey"}},
		{policy.Checkout, wayStep{"check it out", "checked out"}},
	} {
		if slices.ContainsFunc(m.Requires, func(q access.Requirement) bool { return q.Type == of.condition && !q.Met }) {
			steps = append(steps, of.wayStep)
		}
	}
	return steps
}

// reachURL is the page of one resource.
func reachURL(p *page, ref resource.Ref) string {
	return p.url("/access/resource?") + url.Values{"resource": {string(ref)}}.Encode()
}

// reachView is one resource, with every way to it.
type reachView struct {
	Ref     resource.Ref
	Name    string
	Kind    string
	Says    string
	Project domain.Name
	Address string
	Ways    []wayView
	More    int // ways, beside those shown
}

// maxShown is how many ways to a resource its page shows.
const maxShown = 50

// wayView is an access method, with what is still to be met and what one can do.
type wayView struct {
	access.Method
	Number   int // on the page, from 0
	Ref      resource.Ref
	Does     string
	Open     bool
	Needs    []needView
	Command  string // that uses it, "" where there is none
	Reveals  bool
	Ask      string // address of the form that asks for the approval, "" for none
	Glass    string // of the form that breaks glass
	StepUp   string // where to prove a second factor
	Take     bool   // it can be checked out
	Longest  int    // for so many seconds
	Mine     bool   // the person has it checked out
	Holder   string // who else has
	GlassFor time.Duration
}

// needView is a condition of a method.
type needView struct {
	access.Requirement
	Request string // address of the request that is under way or met it
}

// Lengths are for how long something may be checked out.
func (w wayView) Lengths() []option {
	out := []option{{"0", "As long as may be: " + duration(time.Duration(w.Longest)*time.Second)}}
	for _, n := range []struct {
		value   string
		seconds int
	}{{"300", 300}, {"900", 900}, {"3600", 3600}, {"14400", 14400}} {
		if n.seconds < w.Longest {
			out = append(out, option{n.value, duration(time.Duration(n.seconds) * time.Second)})
		}
	}
	return out
}

// reach is what the person may do with the resource, or nothing: what is not
// there and what is not theirs look alike.
func reach(p *page, text string) (v reachView, err error) {
	ref, err := resource.ParseRef(text)
	if err != nil {
		return v, errNothing
	}
	p.Org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(p.now())
		r, answer, _ := access.ResolveRef(s.World(), p.subject(s, now), ref, now)
		if len(answer.Methods) == 0 {
			err = errNoReach
			return
		}
		v = reachView{Ref: r.Ref, Name: r.Name, Kind: string(r.Kind), Says: visible(r.Description), Project: r.Project}
		if r.ServerSpec != nil {
			v.Address = r.ServerSpec.Address
		}
		for i, m := range answer.Methods {
			if i == maxShown {
				v.More = len(answer.Methods) - maxShown
				break
			}
			v.Ways = append(v.Ways, newWay(p, s, r, m, i))
		}
	})
	return v, err
}

var errNoReach = &problem{Status: http.StatusNotFound, Code: "access.refused",
	Detail: "There is no such server or secret, or no rule gives you a way to it. Who writes policies can."}

func newWay(p *page, s *control.State, r resource.Resource, m access.Method, number int) wayView {
	w := wayView{
		Method: m, Number: number, Ref: r.Ref, Does: does(r.Ref, m.Kind, m.Account.String(), m.Username), Open: m.Open(),
		Reveals: m.Kind == access.RevealPassword || m.Kind == access.SecretReveal, GlassFor: time.Duration(m.BreakGlass) * time.Second,
	}
	w.Command = wayCommand(r, m)
	at := url.Values{"resource": {string(r.Ref)}, "method": {m.ID}}.Encode()
	for _, q := range m.Requires {
		need := needView{Requirement: q}
		if q.Request != "" {
			need.Request = p.url("/requests/" + q.Request)
		}
		w.Needs = append(w.Needs, need)
		switch {
		case q.Type == policy.Checkout:
			w.checkout(p, q)
		case q.Met:
		case q.Type == policy.AccessRequest && q.Request == "" && s.Requests().Usable(q.RequestType):
			w.Ask = p.url("/access/request?") + at
		case q.Type == policy.MFA && (q.Seconds > 0 || m.Kind.Granted()):
			w.StepUp = p.url(stepUpPath) + "?return=" + url.QueryEscape(reachURL(p, r.Ref))
		}
		if q.Type == policy.AccessRequest && !q.Met && m.BreakGlass > 0 {
			w.Glass = p.url("/access/break-glass?") + at
		}
	}
	return w
}

// checkout is what can be done about a checkout: the others' conditions are met first.
func (w *wayView) checkout(p *page, q access.Requirement) {
	others := slices.ContainsFunc(w.Requires, func(o access.Requirement) bool { return o.Type != policy.Checkout && !o.Met })
	w.Longest = q.Seconds
	switch w.CheckedOutBy {
	case "":
		w.Take = !others
	case p.Person.ID:
		w.Mine = true
	default:
		w.Holder = w.CheckedOutBy
	}
}

// wayCommand is the command that uses a method once it is open.
func wayCommand(r resource.Resource, m access.Method) string {
	switch m.Kind {
	case access.SSH:
		return "sallyport ssh " + r.Name + " --account " + m.Account.String()
	case access.SecretUpdate:
		return "sallyport secrets put " + r.Name
	}
	return ""
}

func showReachable(p *page) error {
	if p.query("resource") == "" {
		return p.redirect(p.url("/access"))
	}
	v, err := reach(p, p.query("resource"))
	if err != nil {
		return err
	}
	return p.render("access-way", v)
}
