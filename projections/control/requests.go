package control

import (
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
)

// RequestWorld is what the rules of access requests look at beside their own
// state, as it is at now. Like the state, it is not used outside [Projection.Read].
func (s *State) RequestWorld(now time.Time) request.World {
	return request.World{
		Known: func(n domain.Name) bool { _, ok := s.people.Person(n); return ok },
		Manager: func(n domain.Name) domain.Name {
			p, _ := s.people.Person(n)
			return p.Manager
		},
		Owner: func(ref resource.Ref) resource.Owner {
			r, _ := s.resources.Resource(ref)
			return r.Owner
		},
		Group: func(n domain.Name) (bears, ok bool) {
			g, ok := s.groups.Find(n)
			return len(g.Roles) > 0, ok
		},
		Members: func(n domain.Name) []domain.Name { return s.groups.People(n, now) },
		Membership: func(group, person domain.Name) (until time.Time, in bool) {
			m, in := s.groups.Member(group, person, now)
			return m.Until, in
		},
	}
}

// Approvers is the people who may decide the open step of the request at now,
// by name; nobody once it is over.
func (s *State) Approvers(id string, now time.Time) []domain.Name {
	return s.requests.Approvers(id, now, s.RequestWorld(now))
}

// WaitingFor is the ids of the requests whose open step the person may decide at now, oldest first.
func (s *State) WaitingFor(who domain.Name, now time.Time) []string {
	return s.requests.WaitingFor(who, now, s.RequestWorld(now))
}

// CountFor is how many [State.WaitingFor] are.
func (s *State) CountFor(who domain.Name, now time.Time) int {
	return s.requests.CountFor(who, now, s.RequestWorld(now))
}
