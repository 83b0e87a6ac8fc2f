package policy

import (
	"fmt"

	"sallyport.dev/domain"
)

// Edit writes the next version, whole. What is published goes on deciding until
// this version is published, too.
type Edit struct {
	Name    domain.Name
	Version uint64 // as in If-Match
	Spec    Spec
	// Known tells what there is to name. What is gone and was named by the
	// version before may stay: it lets nobody in.
	Known References
}

func (c Edit) decide(s State, _ domain.Meta) ([]domain.Fact, error) {
	was, err := s.find(c.Name, c.Version)
	if err != nil {
		return nil, err
	}
	if err := domain.ErrFields(c.Spec.Check(c.Known.or(was.Newest))); err != nil {
		return nil, err
	}
	if c.Spec.Equal(was.Newest) {
		return nil, nil // already so: nothing happened, nothing to record
	}
	return fact(c.Name, WasEdited{Version: was.Version + 1, Spec: c.Spec}), nil
}

// WasEdited records a further version of a policy.
type WasEdited struct {
	Version uint64 `json:"version"`
	Spec    Spec   `json:"spec"`
}

// EventType is policy.edited.
func (WasEdited) EventType() string { return "policy.edited" }

func (e WasEdited) evolve(s State, n domain.Name, env domain.Envelope) (State, error) {
	p := s.policies[n]
	if e.Version != p.Version+1 {
		return s, fmt.Errorf("version %d of policy %s follows version %d", e.Version, n, p.Version)
	}
	p.Version, p.Newest = e.Version, e.Spec
	p.UpdatedAt, p.UpdatedBy = env.Time, env.Actor
	return s.put(p), nil
}
