package request

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

// maxOpen is how many requests of one requester may be pending at once.
const maxOpen = 20

// Matter is who asks for what. Every event of a request says it, so that each
// can be read alone.
type Matter struct {
	Requester  string       `json:"requester"`            // a person's name, or a workload's URI
	Connection domain.Name  `json:"connection,omitempty"` // of a workload
	Identity   string       `json:"identity,omitempty"`   // of a workload
	Type       domain.Name  `json:"type"`
	Resource   resource.Ref `json:"resource,omitempty"` // of kind access
	Method     string       `json:"method,omitempty"`   // of kind access: the id of the access method
	Group      domain.Name  `json:"group,omitempty"`    // of kind group
}

// key is what an approval of the matter is good for.
func (a Matter) key(username string) Key {
	if a.Group != "" {
		return Key{Subject: a.Requester, Method: "group/" + a.Group.String(), Type: a.Type}
	}
	return Key{Subject: a.Requester, Resource: a.Resource, Method: a.Method, Username: username, Type: a.Type}
}

// Asked is what the requester said, and what the rule said then.
type Asked struct {
	// Of kind access:
	Policy          domain.Name `json:"policy,omitempty"`
	Rule            domain.Name `json:"rule,omitempty"`
	Username        string      `json:"username,omitempty"`         // who one would be on the server
	ApprovalSeconds int         `json:"approval_seconds,omitempty"` // how long the rule lets an approval hold
	// Of kind group: when the membership ends.
	Until         time.Time         `json:"until,omitzero"`
	Justification string            `json:"justification,omitempty"`
	Fields        map[string]string `json:"fields,omitempty"`
}

// Person is the requester if it is a person, else "".
func (r Request) Person() domain.Name {
	if r.Connection != "" {
		return ""
	}
	return domain.Name(r.Requester)
}

// Raise asks for access by a method whose rule wants an approval, or for
// membership of a group. The caller has found, in the same state, that the
// method is the requester's and that its condition is not met.
type Raise struct {
	ID     string // ULID; of a new request
	Matter        // its Requester is the actor
	Asked
	World World
}

// Key is what an approval of what is asked for would be good for.
func (c Raise) Key() Key { return c.Matter.key(c.Username) }

func (c Raise) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	t, ok := s.Type(c.Type)
	switch {
	case c.Requester != m.Actor.ID || c.Connection == "" && !c.World.Known(domain.Name(c.Requester)):
		return nil, ErrPeopleOnly.With("Only people and workloads raise access requests, each for themself.")
	case !ok:
		return nil, ErrTypeNotFound
	case t.Status != Published:
		return nil, ErrTypeUnusable
	}
	if err := c.check(t, m); err != nil {
		return nil, err
	}
	if _, pending := s.Pending(c.Key(), m.Now); pending {
		return nil, nil // already so
	}
	if err := c.conflict(s, t, m); err != nil {
		return nil, err
	}
	raised := WasRaised{Matter: c.Matter, Asked: c.Asked, Version: t.PublishedVersion}
	raised.Until = c.Until.UTC()
	return about(c.ID, raised, c.opens(c.Matter, t.Published.step(1), 1, m.Now)), nil
}

// about is the facts of events of a request.
func about(id string, events ...Event) (out []domain.Fact) {
	for _, e := range events {
		out = append(out, domain.Fact{Subject: "request/" + id, Event: e})
	}
	return out
}

// check holds what was asked to what the type says.
func (c Raise) check(t Type, m domain.Meta) error {
	b := &broken{}
	spec := t.Published
	b.long("/justification", c.Justification)
	if spec.Justification == Required && strings.TrimSpace(c.Justification) == "" {
		b.add("/justification", "field.required", "say why, for those who decide and for the audit trail")
	}
	spec.checkFilled(b, OfRequester, c.Fields, true)
	switch {
	case spec.Kind == ForGroup && (c.Resource != "" || c.Method != ""):
		b.add("/type", "not_of_kind", "a request of type %s is for membership of a group, and a rule asks for one for access", c.Type)
	case spec.Kind == ForGroup:
		c.checkGroup(b, spec, m.Now)
	case c.Group != "":
		b.add("/type", "not_of_kind", "a request of type %s is for access to a resource: name the resource and the method", c.Type)
	default:
		b.within("/approval_seconds", c.ApprovalSeconds, minApproval, maxApproval)
	}
	return domain.ErrFields(b.fields)
}

func (c Raise) checkGroup(b *broken, spec *Spec, now time.Time) {
	if c.Group == "" {
		b.add("/type", "not_of_kind", "a request of type %s is for membership: name the group and until when", c.Type)
		return
	}
	if !slices.Contains(spec.Groups, c.Group) {
		b.add("/group", "unknown", "this is one of the groups that the request type lists")
	}
	if left := c.Until.Sub(now); left <= 0 || left > time.Duration(spec.MaxSeconds)*time.Second {
		b.add("/until", "out_of_range", "until is after now and at most %s from now", domain.Lasting(time.Duration(spec.MaxSeconds)*time.Second))
	}
}

// conflict is why what is asked for, well said as it is, cannot be.
func (c Raise) conflict(s State, t Type, m domain.Meta) error {
	if id, err := ulid.ParseStrict(c.ID); err != nil || id.String() != c.ID || s.requests[c.ID].ID != "" {
		return fmt.Errorf("request id %q is no new ULID", c.ID)
	}
	if err := c.grantable(t); err != nil {
		return err
	}
	if s.open(c.Requester, m.Now) >= maxOpen {
		return ErrTooMany
	}
	if _, _, met := s.Approved(c.Key(), m.Now); met && c.Group == "" {
		return ErrHeld.With("This is approved already: use it.")
	}
	return c.decidable(t)
}

// decidable refuses what nobody could say yes to: it would only wait until it
// expires. Who decides is looked up again when they do.
func (c Raise) decidable(t Type) error {
	would := Request{Matter: c.Matter, Asked: c.Asked, Spec: t.Published}
	for n, st := range t.Published.Steps {
		could := st.Approvers.principals(&would, c.World)
		if st.Escalate != nil {
			could = append(could, st.Escalate.To.principals(&would, c.World)...)
		}
		slices.Sort(could)
		if len(slices.Compact(could)) < max(1, st.Needed) {
			return ErrNobody.With("Step %d, %s, is for %s: ask an admin to name one.", n+1, st.Name, c.missing(st))
		}
	}
	return nil
}

// missing says who would have to decide a step, and that they are not there.
func (c Raise) missing(st Step) string {
	switch {
	case st.Approvers.Manager:
		return "your manager, and you have none other than yourself"
	case st.Approvers.ResourceOwner:
		return "the owner of " + string(c.Resource) + ", and it has none other than yourself"
	case st.Approvers.Group != "" && st.Needed > 1:
		return fmt.Sprintf("%d of group %s, which has not as many other than yourself", st.Needed, st.Approvers.Group)
	case st.Approvers.Group != "":
		return "group " + st.Approvers.Group.String() + ", in which is nobody other than yourself"
	}
	return "people who are not there, other than yourself"
}

// grantable tells whether a membership may be given as asked.
func (c Raise) grantable(t Type) error {
	if c.Group == "" {
		return nil
	}
	if c.Connection != "" {
		return ErrPeopleOnly
	}
	bears, there := c.World.Group(c.Group)
	until, in := c.World.Membership(c.Group, domain.Name(c.Requester))
	switch {
	case !there:
		return ErrGone.With("There is no group %s any more: ask a security_admin to repair the request type.", c.Group)
	case bears && !t.ByOwner:
		return ErrOwnerOnly.With("Group %s lends admin roles now: ask an owner to publish the request type again.", c.Group)
	case in && (until.IsZero() || !until.Before(c.Until)):
		return ErrHeld.With("You are in group %s for at least as long already.", c.Group)
	}
	return nil
}

// open counts the requester's requests that are pending at now.
func (s State) open(requester string, now time.Time) (n int) {
	for id := range s.pending {
		if r := s.requests[id]; r.Requester == requester && r.At(now).Status == Pending {
			n++
		}
	}
	return n
}

// opens is the event that opens a step. No step of a request for membership
// waits longer than the membership would last.
func (a Asked) opens(m Matter, st Step, n int, now time.Time) StepWasOpened {
	e := StepWasOpened{Matter: m, Step: n, Name: st.Name, ExpiresAt: now.Add(time.Duration(st.ExpiresAfterSeconds) * time.Second).UTC()}
	if !a.Until.IsZero() && a.Until.Before(e.ExpiresAt) {
		e.ExpiresAt = a.Until.UTC()
	}
	if st.Escalate != nil {
		e.EscalatesAt = now.Add(time.Duration(st.Escalate.AfterSeconds) * time.Second).UTC()
	}
	return e
}

// WasRaised records that somebody asks for something, under the version of the
// request type that was published then.
type WasRaised struct {
	Matter
	Asked
	Version uint64 `json:"version"` // of the type
}

// EventType is request.raised.
func (WasRaised) EventType() string { return "request.raised" }

func (e WasRaised) evolve(s State, env domain.Envelope) (State, error) {
	id, err := idOf(env)
	t, ok := s.Type(e.Type)
	switch {
	case err != nil:
		return s, err
	case s.requests[id].ID != "":
		return s, fmt.Errorf("request %s was raised twice", id)
	case !ok || t.Status != Published || t.PublishedVersion != e.Version:
		return s, fmt.Errorf("request %s was raised under version %d of %q, which is not published", id, e.Version, e.Type)
	case e.Requester == "":
		return s, fmt.Errorf("request %s has no requester", id)
	}
	s.requests[id] = Request{
		ID: id, Matter: e.Matter, Asked: e.Asked, Version: e.Version, Spec: t.Published, ByOwner: t.ByOwner,
		Status: Pending, RaisedAt: env.Time,
	}
	s.raised = append(s.raised, id)
	s.pending[id] = struct{}{}
	s.specs[t.Published]++
	s.newest[e.Matter.key(e.Username)] = id
	return s, nil
}

// StepWasOpened records that a step of a request can be decided.
type StepWasOpened struct {
	Matter
	Step        int         `json:"step"` // counted from 1
	Name        domain.Name `json:"name"`
	ExpiresAt   time.Time   `json:"expires_at"`
	EscalatesAt time.Time   `json:"escalates_at,omitzero"`
}

// EventType is request.step_opened.
func (StepWasOpened) EventType() string { return "request.step_opened" }

func (e StepWasOpened) evolve(s State, env domain.Envelope) (State, error) {
	r, err := s.underWay(env, e.Matter)
	if err == nil && (e.Step != len(r.Steps)+1 || e.Step > len(r.Spec.Steps)) {
		err = fmt.Errorf("step %d of request %s was opened after step %d", e.Step, r.ID, len(r.Steps))
	}
	if err != nil {
		return s, err
	}
	r.Steps = append(slices.Clone(r.Steps), Opened{OpenedAt: env.Time, ExpiresAt: e.ExpiresAt, EscalatesAt: e.EscalatesAt})
	s.requests[r.ID] = r
	return s, nil
}
