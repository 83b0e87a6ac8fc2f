package request

import (
	"iter"
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

// Reviewers is the people who could have decided, in any of its steps, a request
// of the type by the person for the resource, by name: who looks afterwards at
// what was done without one. The person never is among them.
func (s State) Reviewers(typ, person domain.Name, ref resource.Ref, w World) (names []domain.Name) {
	as := Request{Matter: Matter{Requester: person.String(), Type: typ, Resource: ref}}
	for way := range s.everyWay(typ) {
		names = append(names, way.principals(&as, w)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Reviews tells whether somebody is among [State.Reviewers], without naming them all.
func (s State) Reviews(who, typ, person domain.Name, ref resource.Ref, w World) bool {
	as := Request{Matter: Matter{Requester: person.String(), Type: typ, Resource: ref}}
	for way := range s.everyWay(typ) {
		if way.includes(who, &as, w) {
			return true
		}
	}
	return false
}

// everyWay is who decides in any step of a type, also once it has escalated.
func (s State) everyWay(typ domain.Name) iter.Seq[*Approvers] {
	t, ok := s.Type(typ)
	return func(yield func(*Approvers) bool) {
		if !ok || t.Published == nil {
			return
		}
		for i := range t.Published.Steps {
			step := &t.Published.Steps[i]
			if !yield(&step.Approvers) || step.Escalate != nil && !yield(&step.Escalate.To) {
				return
			}
		}
	}
}
