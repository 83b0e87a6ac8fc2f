package role

import (
	"fmt"

	"sallyport.dev/domain"
)

// Create makes a new workload role. It lets nobody in before a policy names it.
type Create struct {
	Name        domain.Name
	Spec        Spec
	Connections func(domain.Name) bool // tells which connections there are
}

func (c Create) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayWrite(m.Actor); err != nil {
		return nil, err
	}
	errs := c.Spec.Check(c.Connections)
	if _, err := ParseName(c.Name.String()); err != nil {
		errs = append(errs, domain.FieldError{Pointer: "/name", Code: "name.invalid", Detail: err.Error()})
	}
	if len(errs) > 0 {
		return nil, domain.ErrFields(errs)
	}
	if s.deleted[c.Name] {
		// Otherwise policies made for the old one would let in who bears the new one.
		return nil, ErrTaken.With("A workload role of this name was deleted, and deleted names are never given again: choose another name.")
	}
	if _, taken := s.roles[c.Name]; taken {
		return nil, ErrTaken
	}
	return fact(c.Name, WasCreated{Spec: c.Spec}), nil
}

// WasCreated records version 1 of a workload role.
type WasCreated struct {
	Spec Spec `json:"spec"`
}

// EventType is role.created.
func (WasCreated) EventType() string { return "role.created" }

func (e WasCreated) evolve(s State, env domain.Envelope) (State, error) {
	n, err := of(env)
	if err != nil {
		return s, err
	}
	if _, there := s.roles[n]; there || s.deleted[n] {
		return s, fmt.Errorf("workload role %q was created twice", n)
	}
	s.roles[n] = Role{
		Name: n, Spec: e.Spec, Version: 1,
		CreatedAt: env.Time, CreatedBy: env.Actor, UpdatedAt: env.Time, UpdatedBy: env.Actor,
	}
	return s, nil
}
