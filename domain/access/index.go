package access

import (
	"maps"
	"slices"

	"sallyport.dev/domain/policy"
)

// index finds the rules that may be about a resource without looking at each. It
// only leaves out what [policy.Selector.Selects] would, and decides nothing.
type index struct {
	places   []place // in the order of policies and rules
	named    map[string][]int
	folders  map[string][]int
	labelled map[[2]string][]int // by the first of the labels that a rule asks for
}

// index is of the rules that are for the subject.
func (a *asking) index() *index {
	x := &index{named: map[string][]int{}, folders: map[string][]int{}, labelled: map[[2]string][]int{}}
	for _, p := range a.policies {
		for i, rule := range p.Published.Rules {
			n := len(x.places)
			x.places = append(x.places, place{p, i})
			switch s := rule.Resource; {
			case s.Server != "":
				x.named["server/"+s.Server.String()] = append(x.named["server/"+s.Server.String()], n)
			case len(s.Labels) > 0:
				key := slices.Min(slices.Collect(maps.Keys(s.Labels)))
				first := [2]string{key, s.Labels[key]}
				x.labelled[first] = append(x.labelled[first], n)
			case s.Secret != "":
				x.named["secret/"+s.Secret] = append(x.named["secret/"+s.Secret], n)
			case s.Folder != "":
				x.folders[s.Folder] = append(x.folders[s.Folder], n)
			}
		}
	}
	return x
}

// about is the rules that may select the resource, each once, in their order.
func (x *index) about(t policy.Target) []place {
	found := slices.Clone(x.named[t.Kind+"/"+t.Name])
	for k, v := range t.Labels {
		found = append(found, x.labelled[[2]string{k, v}]...)
	}
	for i := range t.Name {
		if t.Name[i] == '/' {
			found = append(found, x.folders[t.Name[:i]]...)
		}
	}
	slices.Sort(found)
	out := make([]place, len(found))
	for i, n := range found {
		out[i] = x.places[n]
	}
	return out
}
