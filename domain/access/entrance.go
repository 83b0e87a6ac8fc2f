package access

import (
	"maps"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
)

// Entrance is one resource, for asking who can reach it: [Resolve] for one subject
// after the other, without looking again at policies that are about something else.
type Entrance struct {
	world    World
	resource resource.Resource
	policies []policy.Policy // published, with a rule that selects the resource
}

// EntranceTo is the entrance to a resource.
func EntranceTo(w World, r resource.Resource) Entrance {
	e := Entrance{world: w, resource: r}
	about := target(r)
	for _, p := range w.Policies.Published() {
		if slices.ContainsFunc(p.Published.Rules, func(rule policy.Rule) bool { return rule.Resource.Selects(about) }) {
			e.policies = append(e.policies, p)
		}
	}
	return e
}

// Groups is those whose members a rule may let in, by name; nobody else is let in
// who is a person.
func (e Entrance) Groups() []domain.Name {
	return e.principals(func(p policy.Principals) []domain.Name { return p.Groups })
}

// Roles is those whose bearers a rule may let in, by name; no other workload is let in.
func (e Entrance) Roles() []domain.Name {
	return e.principals(func(p policy.Principals) []domain.Name { return p.Roles })
}

func (e Entrance) principals(of func(policy.Principals) []domain.Name) []domain.Name {
	found := map[domain.Name]bool{}
	for _, p := range e.policies {
		for _, n := range of(p.Published.Principals) {
			found[n] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Resolve is what [Resolve] answers the subject about the resource.
func (e Entrance) Resolve(s Subject, now time.Time) Answer {
	return askedOf(e.world, e.policies, s, now).about(e.resource)
}
