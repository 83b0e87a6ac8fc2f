package request

import (
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

// Reviewers is the people who could have decided, in any of its steps, a request
// of the type by the person for the resource, by name: who looks afterwards at
// what was done without one. The person never is among them.
func (s State) Reviewers(typ, person domain.Name, ref resource.Ref, w World) (names []domain.Name) {
	t, ok := s.Type(typ)
	if !ok || t.Published == nil {
		return nil
	}
	as := Request{Matter: Matter{Requester: person.String(), Type: typ, Resource: ref}}
	for _, step := range t.Published.Steps {
		names = append(names, step.Approvers.principals(as, w)...)
		if step.Escalate != nil {
			names = append(names, step.Escalate.To.principals(as, w)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
