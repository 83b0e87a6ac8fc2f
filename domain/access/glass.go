package access

import (
	"fmt"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
)

// Glass is access that somebody gave themself in an emergency, where a rule
// allows it: effective at once, and unreviewed until somebody else has looked.
//
//	used --Review, by somebody else--> reviewed
type Glass struct {
	ID           string // of the event
	Resource     resource.Ref
	Method       string
	Policy, Rule domain.Name
	Account      domain.Name
	Username     string        // who one is on the server; "" of a secret
	RequestTypes []domain.Name // whose approvers were skipped, and may review it
	By           string        // a person's name
	Reason       string
	At, Until    time.Time
	ReviewedBy   string    // "" nobody has
	ReviewedAt   time.Time // zero: nobody has
	Comment      string    // of the review
}

// BreakGlass opens a method at once, without the approval that its rule asks for.
type BreakGlass struct {
	World    World
	Subject  Subject
	Resource resource.Ref
	Method   string
	Reason   string // 1 to 2048 bytes
	ID       string // ULID, of the event
}

// GlassWasBroken records that somebody let themself in, before they are.
type GlassWasBroken struct {
	Resource     resource.Ref  `json:"resource"`
	Method       string        `json:"method"`
	Policy       domain.Name   `json:"policy"`
	Rule         domain.Name   `json:"rule"`
	Account      domain.Name   `json:"account,omitempty"`
	Username     string        `json:"username,omitempty"` // who one is on the server: an account that becomes another user's is another
	RequestTypes []domain.Name `json:"request_types"`
	By           string        `json:"by"`
	Reason       string        `json:"reason"`
	Until        time.Time     `json:"until"`
}

// EventType is break_glass.used.
func (GlassWasBroken) EventType() string { return "break_glass.used" }

func (c BreakGlass) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if c.Subject.Workload() {
		return nil, ErrPeopleOnly
	}
	method, err := c.World.given(c.Subject, c.Resource, c.Method, m.Now)
	if err != nil {
		return nil, err
	}
	if method.BreakGlass <= 0 {
		return nil, &domain.Error{Kind: domain.KindForbidden, Code: "break_glass.not_allowed",
			Message: "The rule of this access method has no break-glass: raise an access request."}
	}
	if err := domain.ErrFields(badText("/reason", c.Reason, true)); err != nil {
		return nil, err
	}
	if s.Unreviewed(c.Subject.ID) {
		return nil, &domain.Error{Kind: domain.KindConflict, Code: "break_glass.unreviewed",
			Message: "You have broken glass before, and nobody has reviewed it yet: ask an approver or a security admin to."}
	}
	skipped := method.approvals()
	if len(skipped) == 0 {
		return nil, &domain.Error{Kind: domain.KindConflict, Code: "break_glass.not_needed",
			Message: "No approval is missing for this access method: ask for access as it is."}
	}
	return []domain.Fact{{ID: c.ID, Subject: "break_glass/" + c.ID, Event: GlassWasBroken{
		Resource: c.Resource, Method: c.Method, Policy: method.Policy, Rule: method.Rule, Account: method.Account, Username: method.Username,
		RequestTypes: skipped, By: c.Subject.ID, Reason: c.Reason, Until: m.Now.Add(time.Duration(method.BreakGlass) * time.Second),
	}}}, nil
}

// approvals is the request types whose approval is still missing.
func (m Method) approvals() (types []domain.Name) {
	for _, r := range m.Requires {
		if r.Type == policy.AccessRequest && !r.Met && !slices.Contains(types, r.RequestType) {
			types = append(types, r.RequestType)
		}
	}
	return types
}

func (ev GlassWasBroken) evolve(s State, e domain.Envelope) (State, error) {
	if _, twice := s.glasses[e.ID]; twice || s.Unreviewed(ev.By) || ev.By == "" {
		return s, fmt.Errorf("%q broke glass before it was reviewed, or twice as one", ev.By)
	}
	s.glasses[e.ID] = Glass{
		ID: e.ID, Resource: ev.Resource, Method: ev.Method, Policy: ev.Policy, Rule: ev.Rule, Account: ev.Account, Username: ev.Username,
		RequestTypes: ev.RequestTypes, By: ev.By, Reason: ev.Reason, At: e.Time, Until: ev.Until,
	}
	s.order = append(s.order, e.ID)
	s.latest[pane{ev.By, ev.Resource, ev.Method, ev.Username}] = e.ID
	s.open[ev.By], s.waiting = e.ID, append(s.waiting, e.ID)
	return s, nil
}

// ErrNoGlass is the answer about a broken glass that is not there.
var ErrNoGlass = &domain.Error{Kind: domain.KindNotFound, Code: "break_glass.not_found",
	Message: "There is no broken glass of that id: see sallyport break-glass list."}

// Review says that somebody else has looked at why glass was broken. The access
// it gave ends at its own time, not with this.
type Review struct {
	ID       string
	Comment  string // up to 2048 bytes
	Approver bool   // the caller may approve requests of one of the glass's types
}

// GlassWasReviewed records who looked.
type GlassWasReviewed struct {
	By      string `json:"by"` // who broke it
	Comment string `json:"comment,omitempty"`
}

// EventType is break_glass.reviewed.
func (GlassWasReviewed) EventType() string { return "break_glass.reviewed" }

func (c Review) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	g, ok := s.glasses[c.ID]
	switch {
	case ok && g.By == m.Actor.ID:
		return nil, &domain.Error{Kind: domain.KindForbidden, Code: "break_glass.own",
			Message: "Nobody reviews the glass that they broke themself: ask an approver or a security admin to."}
	case ok && !c.Approver && !m.Actor.Has(domain.SecurityAdmin):
		return nil, &domain.Error{Kind: domain.KindForbidden, Code: "role.missing",
			Message: "Broken glass is reviewed by who could have approved the request, or by a security admin."}
	case !ok:
		return nil, ErrNoGlass
	}
	if err := domain.ErrFields(badText("/comment", c.Comment, false)); err != nil {
		return nil, err
	}
	switch g.ReviewedBy {
	case "":
	case m.Actor.ID:
		return nil, nil
	default:
		return nil, &domain.Error{Kind: domain.KindConflict, Code: "break_glass.reviewed",
			Message: fmt.Sprintf("%s has reviewed it already: there is nothing left to do.", g.ReviewedBy)}
	}
	return []domain.Fact{{Subject: "break_glass/" + c.ID, Event: GlassWasReviewed{By: g.By, Comment: c.Comment}}}, nil
}

func (ev GlassWasReviewed) evolve(s State, e domain.Envelope) (State, error) {
	id := s.open[ev.By]
	g, ok := s.glasses[id]
	if !ok || e.Subject != "break_glass/"+id || e.Actor == g.By {
		return s, fmt.Errorf("no glass that %s broke waits for a review as %s", ev.By, e.Subject)
	}
	g.ReviewedBy, g.ReviewedAt, g.Comment = e.Actor, e.Time, ev.Comment
	s.glasses[id] = g
	delete(s.open, ev.By)
	at := slices.Index(s.waiting, id)
	s.waiting = slices.Delete(s.waiting, at, at+1)
	return s, nil
}
