package person

import (
	"fmt"
	"slices"

	"sallyport.dev/domain"
)

// GrantRole gives a person a role.
type GrantRole struct {
	Name domain.Name
	Role domain.Role
}

func (c GrantRole) decide(s State, m domain.Meta) ([]Event, error) {
	p, known := s.people[c.Name]
	switch {
	case !mayManage(m.Actor):
		return nil, ErrRole
	case !known:
		return nil, ErrNotFound
	case !slices.Contains(domain.Roles(), c.Role):
		return nil, ErrUnknownRole.With("There is no role %q.", c.Role)
	case slices.Contains(p.Roles, c.Role):
		return nil, nil // already so
	case m.Actor.ID == c.Name.String():
		return nil, ErrSelf
	}
	return []Event{RoleWasGranted(c)}, nil
}

// RoleWasGranted records that a person was given a role.
type RoleWasGranted struct {
	Name domain.Name `json:"name"`
	Role domain.Role `json:"role"`
}

// EventType is person.role_granted.
func (RoleWasGranted) EventType() string { return "person.role_granted" }

func (e RoleWasGranted) subject() string { return "person/" + e.Name.String() }

func (e RoleWasGranted) evolve(s State, env domain.Envelope) (State, error) {
	p, known := s.people[e.Name]
	if !known || slices.Contains(p.Roles, e.Role) {
		return s, fmt.Errorf("role %q was granted to %q, who is unknown or had it", e.Role, e.Name)
	}
	roles, err := canonical(append(slices.Clone(p.Roles), e.Role))
	if err != nil {
		return s, err
	}
	p.Roles = roles
	s.people[e.Name] = p.updated(env)
	return s, nil
}

// RevokeRole takes a role from a person, and from their API tokens with it.
type RevokeRole struct {
	Name domain.Name
	Role domain.Role
}

func (c RevokeRole) decide(s State, m domain.Meta) ([]Event, error) {
	p, known := s.people[c.Name]
	switch {
	case !mayManage(m.Actor):
		return nil, ErrRole
	case !known:
		return nil, ErrNotFound
	case !slices.Contains(p.Roles, c.Role):
		return nil, nil // already so
	case c.Role == domain.Owner && s.owners() == 1:
		return nil, ErrLastOwner
	case len(p.Roles) == 1:
		return nil, ErrNoRole
	}
	return []Event{RoleWasRevoked(c)}, nil
}

// owners counts the people who can give roles back.
func (s State) owners() (n int) {
	for _, p := range s.people {
		if slices.Contains(p.Roles, domain.Owner) {
			n++
		}
	}
	return n
}

// RoleWasRevoked records that a role was taken from a person.
type RoleWasRevoked struct {
	Name domain.Name `json:"name"`
	Role domain.Role `json:"role"`
}

// EventType is person.role_revoked.
func (RoleWasRevoked) EventType() string { return "person.role_revoked" }

func (e RoleWasRevoked) subject() string { return "person/" + e.Name.String() }

func (e RoleWasRevoked) evolve(s State, env domain.Envelope) (State, error) {
	p, known := s.people[e.Name]
	i := slices.Index(p.Roles, e.Role)
	if !known || i < 0 {
		return s, fmt.Errorf("role %q was revoked from %q, who is unknown or had it not", e.Role, e.Name)
	}
	p.Roles = slices.Delete(slices.Clone(p.Roles), i, i+1)
	s.people[e.Name] = p.updated(env)
	return s, nil
}
