package role

import (
	"fmt"

	"sallyport.dev/domain"
)

// Edit replaces what a workload role asks for, whole. It holds for tokens that
// are out already.
type Edit struct {
	Name    domain.Name
	Version uint64 // as in If-Match
	Spec    Spec
	// Connections tells which connections there are. One that was deleted and
	// that the role names already may stay: it lets nobody in.
	Connections func(domain.Name) bool
}

func (c Edit) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayWrite(m.Actor); err != nil {
		return nil, err
	}
	was, err := s.find(c.Name, c.Version)
	if err != nil {
		return nil, err
	}
	known := func(n domain.Name) bool { return was.names(n) || c.Connections == nil || c.Connections(n) }
	if errs := c.Spec.Check(known); len(errs) > 0 {
		return nil, domain.ErrFields(errs)
	}
	if c.Spec.equal(was.Spec) {
		return nil, nil // already so: nothing happened, nothing to record
	}
	return fact(c.Name, WasEdited{Version: was.Version + 1, Spec: c.Spec}), nil
}

// WasEdited records a further version of a workload role.
type WasEdited struct {
	Version uint64 `json:"version"`
	Spec    Spec   `json:"spec"`
}

// EventType is role.edited.
func (WasEdited) EventType() string { return "role.edited" }

func (e WasEdited) evolve(s State, env domain.Envelope) (State, error) {
	n, err := of(env)
	if err != nil {
		return s, err
	}
	r, there := s.roles[n]
	if !there || e.Version != r.Version+1 {
		return s, fmt.Errorf("version %d of workload role %q does not follow version %d", e.Version, n, r.Version)
	}
	r.Spec, r.Version, r.UpdatedAt, r.UpdatedBy = e.Spec, e.Version, env.Time, env.Actor
	s.roles[n] = r
	return s, nil
}
