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

// WasRemoved records that a person is gone.
type WasRemoved struct {
	Name domain.Name `json:"name"`
}

// EventType is person.removed.
func (WasRemoved) EventType() string { return "person.removed" }

func (e WasRemoved) subject() string { return "person/" + e.Name.String() }

func (e WasRemoved) evolve(s State, _ domain.Envelope) (State, error) {
	if _, known := s.people[e.Name]; !known {
		return s, fmt.Errorf("person %q was removed, who is unknown", e.Name)
	}
	delete(s.people, e.Name)
	s.removed[e.Name] = true
	return s, nil
}
