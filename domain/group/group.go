// Package group answers who is in which group, until when, and which admin
// roles a group lends its members.
package group

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
)

// Source is where a membership comes from.
type Source string

const (
	// Local is a membership kept here.
	Local Source = "local"
	// Provider is one that came with the person from the identity provider at sign-in.
	Provider Source = "identity_provider"
)

// Spec is what people write of a group.
type Spec struct {
	Description string        `json:"description,omitempty"` // up to 1000 characters
	Roles       []domain.Role `json:"roles,omitempty"`       // admin roles that its members bear while they are in it
}

// Member is one person in a group.
type Member struct {
	Person  domain.Name
	Until   time.Time // zero: standing; it holds no more at this moment, whether or not that was recorded
	Source  Source
	Request string // id of the access request whose approval added them, "" otherwise
	AddedAt time.Time
	AddedBy string
}

// Group is a group as the log tells it.
type Group struct {
	Name domain.Name
	Spec
	Version              uint64   // of the Spec, as in If-Match; members do not raise it
	Members              []Member // by name
	CreatedAt, UpdatedAt time.Time
	CreatedBy, UpdatedBy string
}

// State is the groups of one organisation. The zero value has none. It owns its
// memory as a slice does: after [Evolve] only the state it returned may be used.
type State struct {
}

// Group is the group of that name; one that was deleted is not there.
func (s State) Group(n domain.Name) (Group, bool) { return Group{}, false }

// Groups is every group, by name.
func (s State) Groups() []Group { return nil }

// Of is the groups that the person is in at now, by name.
func (s State) Of(person domain.Name, now time.Time) []domain.Name { return nil }

// Has tells whether the person is in the group at now.
func (s State) Has(group, person domain.Name, now time.Time) bool { return false }

// Roles is the admin roles that groups lend the person at now.
func (s State) Roles(person domain.Name, now time.Time) []domain.Role { return nil }

// Next is when the next membership ends that is not recorded as ended; zero if none does.
func (s State) Next() time.Time { return time.Time{} }

// Lapse is the memberships that have ended by m.Now and are not recorded as ended.
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
		return s, fmt.Errorf("%s is not an event of groups", e.Type)
	}
	return ev.evolve(s, e)
}
