// Package person answers who the people of an organisation are, which roles
// they bear, and whom an API token speaks for. It never sees a token: only the
// SHA-256 of one.
package person

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"sallyport.dev/domain"
)

// Person is somebody who may call the API.
type Person struct {
	Name    domain.Name
	Roles   []domain.Role // at least one, in the order of domain.Roles; never modified, but replaced
	Email   string        // where they are told of things; "" if it is not known
	EmailBy string        // who wrote Email last
	Invited string        // the address that they were added with
	Manager domain.Name   // who decides on their requests as such; "" nobody. May name somebody who was removed
	// Version counts what happened to the person, 1 when they are added. It is the ETag.
	Version            uint64
	AddedAt, UpdatedAt time.Time
	AddedBy, UpdatedBy string
}

// State is the people of one organisation and their API tokens. The zero value
// has none. It owns its memory as a slice does: after [Evolve] only the state
// it returned may be used; [State.Clone] keeps one.
type State struct {
	people  map[domain.Name]Person
	names   []domain.Name        // of people, in order
	removed map[domain.Name]bool // whose names are never given again
	tokens  map[string]Token     // by id
	hashes  map[string]string    // id by hash

	signedOut map[domain.Name]signedOut // when they last were, everywhere
}

// Person is the person of that name; one who was removed is not there.
func (s State) Person(n domain.Name) (Person, bool) {
	p, ok := s.people[n]
	return p, ok
}

// People is everybody, by name.
func (s State) People() []Person {
	out := make([]Person, 0, len(s.names))
	for p := range s.Each() {
		out = append(out, *p)
	}
	return out
}

// Each is everybody, by name, one after the other: what is pointed to is the next one's then.
func (s State) Each() iter.Seq[*Person] {
	return func(yield func(*Person) bool) {
		var p Person
		for _, n := range s.names {
			if p = s.people[n]; !yield(&p) {
				return
			}
		}
	}
}

// Count is how many people there are.
func (s State) Count() int { return len(s.names) }

// Clone is a copy that folding further events into s does not change.
func (s State) Clone() State {
	return State{maps.Clone(s.people), slices.Clone(s.names), maps.Clone(s.removed), maps.Clone(s.tokens), maps.Clone(s.hashes), maps.Clone(s.signedOut)}
}

// Errors of commands about people and their tokens.
var (
	ErrRole        = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Only an owner manages people and their roles."}
	ErrNotFound    = &domain.Error{Kind: domain.KindNotFound, Code: "person.not_found", Message: "There is no such person."}
	ErrTaken       = &domain.Error{Kind: domain.KindConflict, Code: "person.taken", Message: "There is a person of that name: choose another name, or edit that person."}
	ErrReserved    = &domain.Error{Kind: domain.KindInvalid, Code: "person.reserved", Message: "No person can be called system, host or anonymous: the audit trail uses these words."}
	ErrUnknownRole = &domain.Error{Kind: domain.KindInvalid, Code: "role.unknown", Message: "There is no such role."}
	ErrNoRole      = &domain.Error{Kind: domain.KindInvalid, Code: "person.no_role", Message: "A person bears at least one role; member is the least."}
	ErrSelf        = &domain.Error{Kind: domain.KindForbidden, Code: "person.self", Message: "Nobody gives themself a role or chooses their own manager: ask another owner."}
	ErrStale       = &domain.Error{Kind: domain.KindStale, Code: "version.stale", Message: "The person is at another version: read it again and decide on what it says now."}
	ErrLastOwner   = &domain.Error{Kind: domain.KindConflict, Code: "person.last_owner", Message: "This is the last person who is owner in their own right, not through a group: make somebody else owner first."}
)

// Command asks for a change of people or tokens.
type Command interface {
	decide(s State, m domain.Meta) ([]Event, error)
}

// Event is a fact about people or tokens.
type Event interface {
	domain.Event
	subject() string
	evolve(s State, e domain.Envelope) (State, error)
}

// Decide tells which facts follow from a command, none if what it asks for
// already is, or why it is refused.
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) {
	es, err := c.decide(s, m)
	if err != nil {
		return nil, err
	}
	var fs []domain.Fact
	for _, e := range es {
		fs = append(fs, domain.Fact{Subject: e.subject(), Event: e})
	}
	return fs, nil
}

// Evolve folds one stored event, whose Event is a person.Event, into the state,
// whose memory it takes over. It refuses what Decide can never have decided:
// the log is then not ours.
func Evolve(s State, e domain.Envelope) (State, error) {
	ev, ok := e.Event.(Event)
	if !ok {
		return s, fmt.Errorf("%s is not an event of people", e.Type)
	}
	if s.people == nil {
		s = State{people: map[domain.Name]Person{}, removed: map[domain.Name]bool{}, tokens: map[string]Token{}, hashes: map[string]string{}}
	}
	return ev.evolve(s, e)
}

// mayManage tells who may change people and roles: owners, and Sallyport
// itself, on whose host the first owner is made.
func mayManage(a domain.Actor) bool { return a.Has(domain.Owner) || a.IsSystem() }

// canonical is the roles in the order of domain.Roles, each once.
func canonical(rs []domain.Role) ([]domain.Role, error) {
	var out []domain.Role
	for _, r := range domain.Roles() {
		if slices.Contains(rs, r) {
			out = append(out, r)
		}
	}
	for _, r := range rs {
		if !slices.Contains(out, r) {
			return nil, ErrUnknownRole.With("There is no role %q.", r)
		}
	}
	return out, nil
}

func reserved(n domain.Name) bool {
	switch n {
	case "system", "host", "anonymous":
		return true
	}
	return false
}
