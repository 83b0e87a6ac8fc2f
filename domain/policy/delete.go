package policy

import (
	"slices"

	"sallyport.dev/domain"
)

// Remove ends a policy for good, published or not: from then on it lets nobody
// in, and its name is never given again.
type Remove struct {
	Name    domain.Name
	Version uint64 // as in If-Match
}

func (c Remove) decide(s State, _ domain.Meta) ([]domain.Fact, error) {
	if _, err := s.find(c.Name, c.Version); err != nil {
		return nil, err
	}
	return fact(c.Name, WasDeleted{}), nil
}

// WasDeleted records that a policy is gone.
type WasDeleted struct{}

// EventType is policy.deleted.
func (WasDeleted) EventType() string { return "policy.deleted" }

func (WasDeleted) evolve(s State, n domain.Name, _ domain.Envelope) (State, error) {
	s.count(s.policies[n], -1)
	delete(s.policies, n)
	at, _ := slices.BinarySearch(s.names, n)
	s.names = slices.Delete(s.names, at, at+1)
	s.deleted[n] = true
	s.published = s.unlisted(n)
	return s, nil
}
