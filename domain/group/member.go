package group

import (
	"cmp"
	"fmt"
	"time"

	"sallyport.dev/domain"
)

// AddMember puts a person in a group, or changes until when they are in it.
// Nobody does so with themself, by whatever authority.
type AddMember struct {
	Group, Person domain.Name
	Until         time.Time // later than now and at most [MaxTerm] away; zero: standing
	Source        Source    // "" is Local; anything else is Sallyport's own to say
	Named         bool      // the group is named by a policy or a request type
	// Approved is the id of the access request whose approval is the authority;
	// the actor's role is then not asked, and who is in for as long or longer stays so.
	Approved string
}

func (c AddMember) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	g, exists := s.groups[c.Group]
	if err := c.may(g, exists, m.Actor); err != nil {
		return nil, err
	}
	if err := checkUntil(c.Until, m.Now); err != nil {
		return nil, err
	}
	was, in := s.members[membership{c.Group, c.Person}]
	source := cmp.Or(c.Source, Local)
	var facts []domain.Fact
	switch {
	case in && !was.holds(m.Now): // and nobody has recorded it yet
		facts = append(facts, fact(c.Group, MemberWasRemoved{Group: c.Group, Person: c.Person, Reason: Lapsed, Until: was.Until}))
	case in && was.Until.Equal(c.Until) && was.Source == source:
		return nil, nil // already so
	case in && c.Approved != "" && (was.Until.IsZero() || !c.Until.IsZero() && was.Until.After(c.Until)):
		return nil, nil // an approval shortens nothing
	case !in && (len(s.in[c.Group]) >= MaxMembers || len(s.of[c.Person]) >= MaxGroups):
		return nil, ErrFull
	}
	until := c.Until
	if !until.IsZero() {
		until = until.UTC()
	}
	return append(facts, fact(c.Group, MemberWasAdded{
		Group: c.Group, Person: c.Person, Until: until, Source: source, Request: c.Approved,
	})), nil
}

func (c AddMember) may(g Group, exists bool, a domain.Actor) error {
	if c.Approved == "" {
		if err := MayCreate(a); err != nil {
			return err
		}
	}
	if !exists {
		return ErrNotFound
	}
	if c.Approved == "" {
		if err := MayChangeMembers(g, c.Named, a); err != nil {
			return err
		}
	}
	switch {
	case a.ID == c.Person.String():
		return ErrSelf
	case c.Source != "" && c.Source != Local && !a.IsSystem():
		return ErrRole.With("Only a sign-in says what the identity provider says.")
	}
	return nil
}

// checkUntil names what is wrong with the end of a membership.
func checkUntil(until, now time.Time) error {
	switch {
	case until.IsZero():
		return nil
	case !until.After(now):
		return domain.ErrFields([]domain.FieldError{{Pointer: "/until", Code: "until.past", Detail: "the end must lie in the future; it is now " + now.UTC().Format(time.RFC3339)}})
	case until.After(now.Add(MaxTerm)):
		return domain.ErrFields([]domain.FieldError{{Pointer: "/until", Code: "until.far", Detail: "a membership that ends does so within 365 days; without until it is standing"}})
	}
	return nil
}

// MemberWasAdded records that a person is in a group from now on, until a moment
// or until they are removed; of who was in it already, that this is different now.
type MemberWasAdded struct {
	Group   domain.Name `json:"group"`
	Person  domain.Name `json:"person"`
	Until   time.Time   `json:"until,omitzero"`
	Source  Source      `json:"source"`
	Request string      `json:"request,omitempty"`
}

// EventType is group.member_added.
func (MemberWasAdded) EventType() string { return "group.member_added" }

func (e MemberWasAdded) evolve(s State, env domain.Envelope) (State, error) {
	if _, exists := s.groups[e.Group]; !exists {
		return s, fmt.Errorf("%q was added to group %q, which is not there", e.Person, e.Group)
	}
	s.put(e.Group, Member{Person: e.Person, Until: e.Until, Source: e.Source, Request: e.Request, AddedAt: env.Time, AddedBy: env.Actor})
	return s, nil
}

// RemoveMember takes a person out of a group at once. Where it takes an owner to
// do so, they do not do it to themself.
type RemoveMember struct {
	Group, Person domain.Name
	Named         bool // the group is named by a policy or a request type
}

func (c RemoveMember) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := MayCreate(m.Actor); err != nil {
		return nil, err
	}
	g, exists := s.groups[c.Group]
	if !exists {
		return nil, ErrNotFound
	}
	if err := MayChangeMembers(g, c.Named, m.Actor); err != nil {
		return nil, err
	}
	switch {
	case m.Actor.ID == c.Person.String() && (c.Named || len(g.Roles) > 0):
		return nil, ErrSelf.With("The group lends roles, is named or owns a resource: another owner changes what you are in.")
	case !s.Has(c.Group, c.Person, m.Now):
		return nil, nil // already so
	}
	return []domain.Fact{fact(c.Group, MemberWasRemoved{Group: c.Group, Person: c.Person, Reason: Removed})}, nil
}

// RemovePerson ends every membership of somebody who is removed: who may remove
// people may do this.
type RemovePerson struct{ Person domain.Name }

func (c RemovePerson) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if !ownerOf(m.Actor) {
		return nil, ErrRole.With("Only an owner removes people.")
	}
	var facts []domain.Fact
	for _, g := range s.of[c.Person] {
		facts = append(facts, fact(g, MemberWasRemoved{Group: g, Person: c.Person, Reason: Removed}))
	}
	return facts, nil
}

// Reason is why somebody is not in a group any more.
type Reason string

const (
	// Removed by somebody.
	Removed Reason = "removed"
	// Lapsed since its time came.
	Lapsed Reason = "lapsed"
)

// MemberWasRemoved records that a person is not in a group any more: at once, or,
// of a membership that lapsed, since the moment that Until tells.
type MemberWasRemoved struct {
	Group  domain.Name `json:"group"`
	Person domain.Name `json:"person"`
	Reason Reason      `json:"reason"`
	Until  time.Time   `json:"until,omitzero"`
}

// EventType is group.member_removed.
func (MemberWasRemoved) EventType() string { return "group.member_removed" }

func (e MemberWasRemoved) evolve(s State, _ domain.Envelope) (State, error) {
	k := membership{e.Group, e.Person}
	m, in := s.members[k]
	if !in || e.Reason == Lapsed && !e.Until.Equal(m.Until) {
		return s, fmt.Errorf("%q was removed (%s) from group %q and was not in it, or until another time", e.Person, e.Reason, e.Group)
	}
	s.drop(k)
	return s, nil
}
