package person

import (
	"fmt"
	"slices"

	"sallyport.dev/domain"
)

// Remove ends a person for good: their tokens speak for nobody, and their name
// is never given again.
type Remove struct {
	Name    domain.Name
	Version uint64 // as in If-Match
}

func (c Remove) decide(s State, m domain.Meta) ([]Event, error) {
	p, known := s.people[c.Name]
	switch {
	case !mayManage(m.Actor):
		return nil, ErrRole
	case !known:
		return nil, ErrNotFound
	case c.Version != p.Version:
		return nil, ErrStale
	case slices.Contains(p.Roles, domain.Owner) && s.owners() == 1:
		return nil, ErrLastOwner
	}
	return []Event{WasRemoved{Name: c.Name}}, nil
}

// WasRemoved records that a person is gone, and so are their API tokens.
type WasRemoved struct {
	Name domain.Name `json:"name"`
}

// EventType is person.removed.
func (WasRemoved) EventType() string { return "person.removed" }

func (e WasRemoved) subject() string { return "person/" + e.Name.String() }

func (e WasRemoved) evolve(s State, env domain.Envelope) (State, error) {
	if _, known := s.people[e.Name]; !known {
		return s, fmt.Errorf("person %q was removed, who is unknown", e.Name)
	}
	delete(s.people, e.Name)
	at, _ := slices.BinarySearch(s.names, e.Name)
	s.names = slices.Delete(s.names, at, at+1)
	delete(s.signedOut, e.Name)
	s.removed[e.Name] = true
	for id, t := range s.tokens {
		if t.Person == e.Name && t.RevokedAt.IsZero() {
			t.RevokedAt, t.RevokedBy = env.Time, env.Actor
			s.tokens[id] = t
		}
	}
	return s, nil
}
