package policy

import "sallyport.dev/domain"

// Draft writes a new policy. It lets nobody in until it is published.
type Draft struct {
	Name  domain.Name
	Spec  Spec
	Known References
}

func (c Draft) decide(s State, _ domain.Meta) ([]domain.Fact, error) {
	if err := domain.ErrFields(c.Spec.Check(c.Known)); err != nil {
		return nil, err
	}
	if s.deleted[c.Name] {
		// Otherwise requests approved for the old one's rules would open the new one's.
		return nil, ErrTaken.With("A policy of this name was deleted, and deleted names are never given again: choose another name.")
	}
	if _, exists := s.policies[c.Name]; exists {
		return nil, ErrTaken
	}
	if len(s.policies) >= MaxPolicies {
		return nil, ErrTooMany
	}
	return fact(c.Name, WasDrafted{Spec: c.Spec}), nil
}

// WasDrafted records version 1 of a policy.
type WasDrafted struct {
	Spec Spec `json:"spec"`
}

// EventType is policy.drafted.
func (WasDrafted) EventType() string { return "policy.drafted" }

func (e WasDrafted) evolve(s State, n domain.Name, env domain.Envelope) (State, error) {
	return s.put(Policy{
		Name: n, Version: 1, Newest: e.Spec,
		CreatedAt: env.Time, CreatedBy: env.Actor, UpdatedAt: env.Time, UpdatedBy: env.Actor,
	}), nil
}
