// Package request is the access requests: the types that say who approves what
// in which steps, and each request on its way from raised to approved, denied,
// cancelled or expired.
package request

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

// Key is what an approval is good for: this subject, this resource, by this
// access method, under this request type, and nothing else.
type Key struct {
	Subject  string // a person's name, or a workload's URI
	Resource resource.Ref
	Method   string      // id of the access method: POLICY/RULE/KIND:ACCOUNT
	Type     domain.Name // request type
}

// State is the request types, requests and delegations of one organisation. The
// zero value has none. It owns its memory as a slice does: after [Evolve] only
// the state it returned may be used.
type State struct {
}

// Approved is the request whose approval opens the key at now, and until when.
func (s State) Approved(k Key, now time.Time) (id string, until time.Time, ok bool) {
	return "", time.Time{}, false
}

// Pending is the request for the key that is under way at now.
func (s State) Pending(k Key, now time.Time) (id string, ok bool) { return "", false }

// Names tells whether a request type names the group: as approvers, as an
// escalation, or to choose from.
func (s State) Names(group domain.Name) bool { return false }

// Usable tells whether the request type is published.
func (s State) Usable(typ domain.Name) bool { return false }

// Next is when the next deadline is that is not recorded as passed; zero if there is none.
func (s State) Next() time.Time { return time.Time{} }

// Lapse is what deadlines have brought by m.Now and is not recorded: requests
// that expired, steps that escalated.
func (s State) Lapse(m domain.Meta) []domain.Fact { return nil }

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
	return ev.evolve(s, e)
}
