package group

import (
	"fmt"
	"slices"

	"sallyport.dev/domain"
)

// Delete ends a group for good, and every membership of it. What names it goes
// on naming it, and lets nobody in by it; its name is never given again.
type Delete struct {
	Name    domain.Name
	Version uint64 // as in If-Match
	Named   bool   // by a policy or a request type
}

func (c Delete) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := MayCreate(m.Actor); err != nil {
		return nil, err
	}
	g, exists := s.groups[c.Name]
	if !exists {
		return nil, ErrNotFound
	}
	if err := MayChangeMembers(g, c.Named, m.Actor); err != nil {
		return nil, err
	}
	if c.Version != g.Version {
		return nil, ErrStale
	}
	return []domain.Fact{fact(c.Name, WasDeleted{Name: c.Name})}, nil
}

// WasDeleted records that a group is gone, and nobody is in it any more.
type WasDeleted struct {
	Name domain.Name `json:"name"`
}

// EventType is group.deleted.
func (WasDeleted) EventType() string { return "group.deleted" }

func (e WasDeleted) evolve(s State, _ domain.Envelope) (State, error) {
	if _, exists := s.groups[e.Name]; !exists {
		return s, fmt.Errorf("group %q was deleted and is not there", e.Name)
	}
	for _, p := range slices.Clone(s.in[e.Name]) {
		s.drop(membership{e.Name, p})
	}
	delete(s.in, e.Name)
	delete(s.groups, e.Name)
	s.names = without(s.names, e.Name)
	s = s.lends(e.Name, nil)
	s.deleted[e.Name] = true
	return s, nil
}
