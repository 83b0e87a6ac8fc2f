package request

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport.dev/domain"
)

// MaxDelegation is the longest that a delegation may hold.
const MaxDelegation = 90 * 24 * time.Hour

// Delegation lets one other person decide for somebody. It is not passed on: a
// delegate's own delegation is for what they decide themselves.
type Delegation struct {
	From  domain.Name
	To    domain.Name
	Until time.Time // it holds no more at this moment
	SetAt time.Time
}

// Delegation is the person's delegation, if it holds at now.
func (s State) Delegation(from domain.Name, now time.Time) (Delegation, bool) {
	d, ok := s.delegations[from]
	return d, ok && now.Before(d.Until)
}

// DelegatedTo is the delegations to the person that hold at now, by whose they are.
func (s State) DelegatedTo(to domain.Name, now time.Time) (out []Delegation) {
	for _, from := range slices.Sorted(maps.Keys(s.delegations)) {
		if d, ok := s.Delegation(from, now); ok && d.To == to {
			out = append(out, d)
		}
	}
	return out
}

// SetDelegation has somebody else decide for the caller, too, until a time. It
// takes the place of the one that they have.
type SetDelegation struct {
	To    domain.Name
	Until time.Time // later than now, by at most [MaxDelegation]
	World World
}

func (c SetDelegation) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	from := domain.Name(m.Actor.ID)
	if !c.World.Known(from) {
		return nil, ErrPeopleOnly.With("Only people delegate what they decide.")
	}
	b := &broken{}
	switch {
	case c.To == from:
		b.add("/to", "self", "nobody is their own delegate")
	case !c.World.Known(c.To):
		b.add("/to", "person.not_found", "there is no such person")
	}
	if left := c.Until.Sub(m.Now); left <= 0 || left > MaxDelegation {
		b.add("/until", "out_of_range", "a delegation ends after now and within 90 days")
	}
	if err := domain.ErrFields(b.fields); err != nil {
		return nil, err
	}
	if d, ok := s.Delegation(from, m.Now); ok && d.To == c.To && d.Until.Equal(c.Until) {
		return nil, nil // already so
	}
	return []domain.Fact{{Subject: "delegation/" + from.String(), Event: DelegationWasSet{From: from, To: c.To, Until: c.Until.UTC()}}}, nil
}

// DelegationWasSet records that somebody may decide for somebody else.
type DelegationWasSet struct {
	From  domain.Name `json:"from"`
	To    domain.Name `json:"to"`
	Until time.Time   `json:"until"`
}

// EventType is delegation.set.
func (DelegationWasSet) EventType() string { return "delegation.set" }

func (e DelegationWasSet) evolve(s State, env domain.Envelope) (State, error) {
	if e.From == "" || e.To == "" || e.From == e.To {
		return s, fmt.Errorf("%q delegated to %q", e.From, e.To)
	}
	s.delegations[e.From] = Delegation{From: e.From, To: e.To, Until: e.Until, SetAt: env.Time}
	return s, nil
}

// EndDelegation ends the caller's delegation before its time.
type EndDelegation struct{}

func (EndDelegation) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	from := domain.Name(m.Actor.ID)
	d, ok := s.Delegation(from, m.Now)
	if !ok {
		return nil, nil // already so
	}
	return []domain.Fact{{Subject: "delegation/" + from.String(), Event: DelegationWasEnded{From: from, To: d.To}}}, nil
}

// DelegationWasEnded records that somebody's delegation ended before its time.
type DelegationWasEnded struct {
	From domain.Name `json:"from"`
	To   domain.Name `json:"to"`
}

// EventType is delegation.ended.
func (DelegationWasEnded) EventType() string { return "delegation.ended" }

func (e DelegationWasEnded) evolve(s State, _ domain.Envelope) (State, error) {
	if d, ok := s.delegations[e.From]; !ok || d.To != e.To {
		return s, fmt.Errorf("the delegation of %q to %q ended, and there was none", e.From, e.To)
	}
	delete(s.delegations, e.From)
	return s, nil
}
