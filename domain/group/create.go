package group

import (
	"fmt"

	"sallyport.dev/domain"
)

// Create makes a group without members. Only an owner makes one that lends roles.
type Create struct {
	Name domain.Name
	Spec Spec
}

func (c Create) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	spec := c.Spec.canonical()
	_, exists := s.groups[c.Name]
	if err := MayEdit(Group{Spec: spec}, m.Actor); err != nil {
		return nil, err
	}
	switch broken := c.Spec.Check(); {
	case len(broken) > 0:
		return nil, domain.ErrFields(broken)
	case s.deleted[c.Name]:
		// Otherwise policies and request types that name the old one would mean the new one.
		return nil, ErrTaken.With("A group of this name was deleted, and deleted names are never given again: choose another name.")
	case exists:
		return nil, ErrTaken
	}
	return []domain.Fact{fact(c.Name, WasCreated{Name: c.Name, Spec: spec})}, nil
}

// WasCreated records version 1 of a group.
type WasCreated struct {
	Name domain.Name `json:"name"`
	Spec Spec        `json:"spec"`
}

// EventType is group.created.
func (WasCreated) EventType() string { return "group.created" }

func (e WasCreated) evolve(s State, env domain.Envelope) (State, error) {
	if _, exists := s.groups[e.Name]; exists || s.deleted[e.Name] {
		return s, fmt.Errorf("group %q was created twice", e.Name)
	}
	s.groups[e.Name] = Group{
		Name: e.Name, Spec: e.Spec, Version: 1,
		CreatedAt: env.Time, CreatedBy: env.Actor, UpdatedAt: env.Time, UpdatedBy: env.Actor,
	}
	s.names = with(s.names, e.Name)
	return s.lends(e.Name, e.Spec.Roles), nil
}
