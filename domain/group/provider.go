package group

import (
	"errors"
	"slices"

	"sallyport.dev/domain"
)

// SetProviderGroups says in which groups the identity provider has a person, at
// each sign-in. A person has one membership of a group: who is in it already
// stays so as they are, and only what came from the provider is taken away again.
// Sallyport itself alone gives this command.
type SetProviderGroups struct {
	Person domain.Name
	Groups []domain.Name // that are there; others are passed over
}

func (c SetProviderGroups) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if !m.Actor.IsSystem() {
		return nil, ErrRole.With("Only a sign-in says what the identity provider says.")
	}
	var facts []domain.Fact
	for _, g := range s.of[c.Person] {
		if s.members[membership{g, c.Person}].Source == Provider && !slices.Contains(c.Groups, g) {
			facts = append(facts, fact(g, MemberWasRemoved{Group: g, Person: c.Person, Reason: Removed}))
		}
	}
	room := MaxGroups - len(s.of[c.Person]) + len(facts)
	for _, g := range slices.Compact(slices.Sorted(slices.Values(c.Groups))) {
		if s.Has(g, c.Person, m.Now) {
			continue
		}
		added, err := AddMember{Group: g, Person: c.Person, Source: Provider}.decide(s, m)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrFull) || room <= 0 {
			continue // a group too many keeps nobody out of the console
		}
		if err != nil {
			return nil, err
		}
		facts, room = append(facts, added...), room-1
	}
	return facts, nil
}
