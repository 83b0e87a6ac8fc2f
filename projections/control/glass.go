package control

import (
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
)

// Reviewers is the people who could have approved, at now, what the glass was
// broken for, by name; security admins may review it besides.
func (s *State) Reviewers(g access.Glass, now time.Time) (names []domain.Name) {
	w := s.RequestWorld(now)
	for _, typ := range g.RequestTypes {
		names = append(names, s.requests.Reviewers(typ, domain.Name(g.By), g.Resource, w)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Reviews tells whether the person is among [State.Reviewers] at now.
func (s *State) Reviews(who domain.Name, g access.Glass, now time.Time) bool {
	return s.ReviewsAt(now)(who, &g)
}

// ReviewsAt is [State.Reviews] for many glasses, at one time.
func (s *State) ReviewsAt(now time.Time) func(domain.Name, *access.Glass) bool {
	w := s.RequestWorld(now)
	return func(who domain.Name, g *access.Glass) bool {
		return slices.ContainsFunc(g.RequestTypes, func(typ domain.Name) bool {
			return s.requests.Reviews(who, typ, domain.Name(g.By), g.Resource, w)
		})
	}
}
