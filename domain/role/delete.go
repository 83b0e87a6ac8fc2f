package role

import (
	"fmt"

	"sallyport.dev/domain"
)

// Delete ends a workload role for good: no token bears it any more, and its
// name is never given again. What names it shows it as missing.
type Delete struct {
	Name    domain.Name
	Version uint64 // as in If-Match
}

func (c Delete) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayWrite(m.Actor); err != nil {
		return nil, err
	}
	if _, err := s.find(c.Name, c.Version); err != nil {
		return nil, err
	}
	return fact(c.Name, WasDeleted{}), nil
}

// WasDeleted records that a workload role is gone.
type WasDeleted struct{}

// EventType is role.deleted.
func (WasDeleted) EventType() string { return "role.deleted" }

func (WasDeleted) evolve(s State, env domain.Envelope) (State, error) {
	n, err := of(env)
	if err != nil {
		return s, err
	}
	if _, there := s.roles[n]; !there {
		return s, fmt.Errorf("workload role %q was deleted and is not there", n)
	}
	delete(s.roles, n)
	s.deleted[n] = true
	return s, nil
}
