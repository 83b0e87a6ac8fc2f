package group

import (
	"fmt"
	"slices"

	"sallyport.dev/domain"
)

// Edit replaces what is said of a group. Only an owner changes one that lends
// roles or is to lend some, and never to lend themself another.
type Edit struct {
	Name    domain.Name
	Version uint64 // as in If-Match
	Spec    Spec
}

func (c Edit) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := MayCreate(m.Actor); err != nil {
		return nil, err
	}
	g, exists := s.groups[c.Name]
	if !exists {
		return nil, ErrNotFound
	}
	spec := c.Spec.canonical()
	for _, version := range []Group{g, {Spec: spec}} {
		if err := MayEdit(version, m.Actor); err != nil {
			return nil, err
		}
	}
	more := slices.ContainsFunc(spec.Roles, func(r domain.Role) bool { return !slices.Contains(g.Roles, r) })
	switch broken := c.Spec.Check(); {
	case c.Version != g.Version:
		return nil, ErrStale
	case len(broken) > 0:
		return nil, domain.ErrFields(broken)
	case more && slices.Contains(s.of[domain.Name(m.Actor.ID)], c.Name): // whatever the time: another replica's clock may differ
		return nil, ErrSelf.With("You are in this group, and nobody lends themself a role: ask another owner.")
	case spec.equal(g.Spec):
		return nil, nil // already so
	}
	return []domain.Fact{fact(c.Name, WasEdited{Name: c.Name, Version: g.Version + 1, Spec: spec})}, nil
}

// WasEdited records a further version of a group.
type WasEdited struct {
	Name    domain.Name `json:"name"`
	Version uint64      `json:"version"`
	Spec    Spec        `json:"spec"`
}

// EventType is group.edited.
func (WasEdited) EventType() string { return "group.edited" }

func (e WasEdited) evolve(s State, env domain.Envelope) (State, error) {
	g, exists := s.groups[e.Name]
	if !exists || e.Version != g.Version+1 {
		return s, fmt.Errorf("group %q was edited to version %d, and is at %d", e.Name, e.Version, g.Version)
	}
	g.Spec, g.Version, g.UpdatedAt, g.UpdatedBy = e.Spec, e.Version, env.Time, env.Actor
	s.groups[e.Name] = g
	return s.lends(e.Name, e.Spec.Roles), nil
}
