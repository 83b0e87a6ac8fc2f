// Package role answers which workload roles a token bears: worked out when it
// is used, from the claims that it carries.
package role

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
)

// Requirement is one way to bear a role: a token of that connection whose
// claims meet every further condition (0..20).
type Requirement struct {
	Connection domain.Name       `json:"connection"`
	Conditions []claim.Condition `json:"conditions,omitempty"`
}

// Spec is what people write of a role: one of its requirements has to be met.
type Spec struct {
	Description  string        `json:"description,omitempty"` // up to 1000 characters
	Requirements []Requirement `json:"requirements"`          // 1..20
}

// Role is a workload role as the log tells it.
type Role struct {
	Name domain.Name
	Spec
	Version              uint64 // as in If-Match
	CreatedAt, UpdatedAt time.Time
	CreatedBy, UpdatedBy string
}

// Username is the Linux user that workloads of the role are on servers:
// wl_ and the role's name, its hyphens as underscores.
func Username(n domain.Name) string { return "" }

// State is the workload roles of one organisation. The zero value has none. It
// owns its memory as a slice does: after [Evolve] only the state it returned may be used.
type State struct {
}

// Role is the role of that name; one that was deleted is not there.
func (s State) Role(n domain.Name) (Role, bool) { return Role{}, false }

// Roles is every role, by name.
func (s State) Roles() []Role { return nil }

// Token is what a token says of its workload, and what its connection says now.
type Token struct {
	Connection domain.Name
	Identity   string
	Hint       string    // role_hint in the token; chooses among the roles that match, and is no authority
	Claims     claim.Set // sallyport.claims of the token, and sub where it is known
}

// Matching is the roles whose requirements the token meets, by name. With a
// hint it is that role alone, if it matches, and otherwise none.
func (s State) Matching(t Token) []domain.Name { return nil }

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
		return s, fmt.Errorf("%s is not an event of workload roles", e.Type)
	}
	return ev.evolve(s, e)
}
