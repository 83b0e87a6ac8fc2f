// Package request is the access requests: the types that say who approves what
// in which steps, and each request on its way from raised to approved, denied,
// cancelled or expired.
//
//	pending --(every step has its approvals)--> approved
//	   |-----(a no, anywhere)-----------------> denied
//	   |-----(the requester, undecided)-------> cancelled
//	   '-----(a step's time is over)----------> expired
//
// Nobody decides on their own request, and nobody twice in one: not through two
// groups, not as a delegate, not as an admin. Deadlines hold by the time at which
// they are asked about; that they passed is recorded later, and changes nothing.
package request

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

// Key is what an approval is good for: this subject, this resource, by this
// access method, as this user, under this request type, and nothing else. Of a
// request for membership the resource is empty and the method is "group/" and the
// group's name.
type Key struct {
	Subject  string // a person's name, or a workload's URI
	Resource resource.Ref
	Method   string      // id of the access method: POLICY/RULE/KIND:ACCOUNT
	Username string      // who one is on the server: an account that becomes another user's is another; "" of secrets
	Type     domain.Name // request type
}

// Status of a request.
type Status string

const (
	// Pending: a step waits for its approvals.
	Pending Status = "pending"
	// Approved: every step had its approvals; it opens until ValidUntil.
	Approved Status = "approved"
	// Denied: somebody said no.
	Denied Status = "denied"
	// Cancelled: its requester withdrew it before anybody had decided.
	Cancelled Status = "cancelled"
	// Expired: a step did not have its approvals in time.
	Expired Status = "expired"
)

// Statuses lists every status, in the order in which people are told of them.
func Statuses() []Status { return []Status{Pending, Approved, Denied, Cancelled, Expired} }

// Request is a request as the log tells it. What its deadlines brought since
// then is in what [Request.At] returns. Nobody modifies what it points at.
type Request struct {
	ID string // ULID
	Matter
	Asked
	Version    uint64    // of the type: what was published when it was raised
	Spec       *Spec     // that version
	ByOwner    bool      // an owner published that version
	Steps      []Opened  // those opened so far, in order; of a pending request the last is open
	Status     Status    // as recorded
	RaisedAt   time.Time //
	EndedAt    time.Time // zero while pending
	EndedBy    string    // who decided last, cancelled, or recorded that it expired
	ValidUntil time.Time // of an approved one: when what it opened closes again
}

// Opened is a step that was opened, and what was decided in it.
type Opened struct {
	OpenedAt    time.Time
	ExpiresAt   time.Time // from this moment on nobody decides it any more
	EscalatesAt time.Time // from this moment on the escalation's approvers decide it, too; zero: never
	EscalatedAt time.Time // when that was recorded; zero: it was not
	Decisions   []Decision
}

// Decision is one person's word on a step.
type Decision struct {
	By        domain.Name       // who decided
	For       domain.Name       // whose delegate they were in this; "" they decided as themself
	Verdict   Status            // Approved or Denied
	Escalated bool              // they might since the step escalated
	Comment   string            // what they said, "" nothing
	Fields    map[string]string // what they filled in, by field
	At        time.Time
}

// At is the request as it is at now: one whose open step's time is over has
// expired, recorded or not.
func (r Request) At(now time.Time) Request {
	if r.Status == Pending && len(r.Steps) > 0 && !now.Before(r.open().ExpiresAt) {
		r.Status, r.EndedAt = Expired, r.open().ExpiresAt
	}
	return r
}

// open is the step that was opened last.
func (r *Request) open() *Opened { return &r.Steps[len(r.Steps)-1] }

// step is what the type says of the step that was opened last.
func (r *Request) step() *Step { return &r.Spec.Steps[len(r.Steps)-1] }

// Key is what an approval of the request is good for.
func (r Request) Key() Key { return r.Matter.key(r.Username) }

// State is the request types, requests and delegations of one organisation. The
// zero value has none. It owns its memory as a slice does: after [Evolve] only
// the state it returned may be used.
type State struct {
	types       map[domain.Name]Type
	requests    map[string]Request
	raised      []string            // ids of requests, as they were raised
	newest      map[Key]string      // the request raised last for each key
	approved    map[Key]string      // the request whose approval holds longest for each key
	pending     map[string]struct{} // ids of requests that are not recorded as over
	holding     map[string]struct{} // ids of approvals of access that are not recorded as over
	specs       map[*Spec]int       // how many of those that are pending were raised under it
	ended       []string            // ids of requests that are over, as they ended
	delegations map[domain.Name]Delegation
}

// keptEnded is how many requests that are over are remembered, beside those
// whose approval still opens something. The audit trail has every one.
const keptEnded = 10_000

// Type is the request type of that name; one that was deleted is not there.
func (s State) Type(n domain.Name) (Type, bool) {
	t, ok := s.types[n]
	return t, ok && t.Status != Deleted
}

// Types is every request type, by name.
func (s State) Types() []Type {
	var out []Type
	for _, n := range slices.Sorted(maps.Keys(s.types)) {
		if t := s.types[n]; t.Status != Deleted {
			out = append(out, t)
		}
	}
	return out
}

// Request is the request of that id.
func (s State) Request(id string) (Request, bool) {
	r, ok := s.requests[id]
	return r, ok
}

// Requests is every request that is remembered, newest first: all that are
// pending or open something, and the last 10,000 of those that are over.
func (s State) Requests() iter.Seq[Request] {
	return func(yield func(Request) bool) {
		for _, id := range slices.Backward(s.raised) {
			if !yield(s.requests[id]) {
				return
			}
		}
	}
}

// Waiting is every request that is pending at now, oldest first.
func (s State) Waiting(now time.Time) (out []Request) {
	for _, id := range slices.Sorted(maps.Keys(s.pending)) { // ids begin with the time
		if r := s.requests[id].At(now); r.Status == Pending {
			out = append(out, r)
		}
	}
	return out
}

// Approved is the request whose approval opens the key at now, and until when.
func (s State) Approved(k Key, now time.Time) (id string, until time.Time, ok bool) {
	r, found := s.requests[s.approved[k]]
	if !found || !now.Before(r.ValidUntil) {
		return "", time.Time{}, false
	}
	return r.ID, r.ValidUntil, true
}

// Pending is the request for the key that is under way at now.
func (s State) Pending(k Key, now time.Time) (id string, ok bool) {
	r, found := s.requests[s.newest[k]]
	if !found || r.At(now).Status != Pending {
		return "", false
	}
	return r.ID, true
}

// Names tells whether a request type, or the version of one under which a
// request is pending, names the group: as approvers, as an escalation, or to
// choose from.
func (s State) Names(group domain.Name) bool {
	for _, t := range s.types {
		if t.Status != Deleted && (t.Newest.names(group) || t.Published != nil && t.Published.names(group)) {
			return true
		}
	}
	for spec := range s.specs {
		if spec.names(group) {
			return true
		}
	}
	return false
}

// NamesPerson tells whether a request type, or the version of one under which a
// request is pending, names somebody as approver or as an escalation, who may be nobody yet.
func (s State) NamesPerson(n domain.Name) bool {
	for _, t := range s.types {
		if t.Status != Deleted && (t.Newest.namesPerson(n) || t.Published != nil && t.Published.namesPerson(n)) {
			return true
		}
	}
	for spec := range s.specs {
		if spec.namesPerson(n) {
			return true
		}
	}
	return false
}

// Usable tells whether the request type is published.
func (s State) Usable(typ domain.Name) bool {
	t, ok := s.Type(typ)
	return ok && t.Status == Published
}

// Command asks for a change. The set is closed: each has its rule.
type Command interface {
	decide(s State, m domain.Meta) ([]domain.Fact, error)
}

// Event is a fact of this noun. The set is closed: each has its effect.
type Event interface {
	domain.Event
	evolve(s State, e domain.Envelope) (State, error)
}

// Decide tells which facts follow from a command, none if what it asks for
// already is, or why it is refused (a *domain.Error, found in the order role,
// existence, version, content, conflict).
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) { return c.decide(s, m) }

// Evolve folds one stored event, whose Event is one of this package's, into
// the state, whose memory it takes over. It refuses what Decide can never have
// decided: the log is then not ours.
func Evolve(s State, e domain.Envelope) (State, error) {
	ev, ok := e.Event.(Event)
	if !ok {
		return s, fmt.Errorf("%s is not an event of access requests", e.Type)
	}
	if s.types == nil {
		s = State{
			types: map[domain.Name]Type{}, requests: map[string]Request{}, newest: map[Key]string{}, approved: map[Key]string{},
			pending: map[string]struct{}{}, holding: map[string]struct{}{}, specs: map[*Spec]int{}, delegations: map[domain.Name]Delegation{},
		}
	}
	return ev.evolve(s, e)
}
