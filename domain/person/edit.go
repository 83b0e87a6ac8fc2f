package person

import (
	"fmt"
	"slices"

	"sallyport.dev/domain"
)

// Edit replaces what is said of a person: each role that is new or gone is a
// fact of its own, as if it had been granted or revoked.
type Edit struct {
	Name    domain.Name
	Version uint64        // as in If-Match
	Roles   []domain.Role // at least one
	Email   string        // "" if it is not known
	Manager domain.Name   // "" nobody
}

func (c Edit) decide(s State, m domain.Meta) ([]Event, error) {
	p, known := s.people[c.Name]
	switch {
	case !mayManage(m.Actor):
		return nil, ErrRole
	case !known:
		return nil, ErrNotFound
	case c.Version != p.Version:
		return nil, ErrStale
	}
	roles, err := canonical(c.Roles)
	if err == nil {
		err = s.checkDetails(c.Name, c.Email, c.Manager, p)
	}
	self := m.Actor.ID == c.Name.String()
	switch {
	case err != nil:
		return nil, err
	case len(roles) == 0:
		return nil, ErrNoRole
	case self && (lacks(p, roles) || c.Manager != p.Manager):
		return nil, ErrSelf
	case slices.Contains(p.Roles, domain.Owner) && !slices.Contains(roles, domain.Owner) && s.owners() == 1:
		return nil, ErrLastOwner
	}
	var events []Event
	for _, r := range roles { // first, so that there is a role at every moment
		if !slices.Contains(p.Roles, r) {
			events = append(events, RoleWasGranted{c.Name, r})
		}
	}
	for _, r := range p.Roles {
		if !slices.Contains(roles, r) {
			events = append(events, RoleWasRevoked{c.Name, r})
		}
	}
	if c.Email != p.Email || c.Manager != p.Manager {
		events = append(events, WasEdited{Name: c.Name, Email: c.Email, Manager: c.Manager})
	}
	return events, nil
}

// WasEdited records a person's address and manager as they are from now on.
type WasEdited struct {
	Name    domain.Name `json:"name"`
	Email   string      `json:"email,omitempty"`
	Manager domain.Name `json:"manager,omitempty"`
}

// EventType is person.edited.
func (WasEdited) EventType() string { return "person.edited" }

func (e WasEdited) subject() string { return "person/" + e.Name.String() }

func (e WasEdited) evolve(s State, env domain.Envelope) (State, error) {
	p, known := s.people[e.Name]
	if !known {
		return s, fmt.Errorf("person %q was edited, who is unknown", e.Name)
	}
	if e.Email != p.Email {
		p.Email, p.EmailBy = e.Email, env.Actor
	}
	p.Manager = e.Manager
	s.people[e.Name] = p.updated(env)
	return s, nil
}

// updated is the person after one more event.
func (p Person) updated(env domain.Envelope) Person {
	p.Version++
	p.UpdatedAt, p.UpdatedBy = env.Time, env.Actor
	return p
}
