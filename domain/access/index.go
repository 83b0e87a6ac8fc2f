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
	labelled map[label][]int // by the rarest of the labels that a rule asks for
}

type label struct{ key, value string }

// index is of the rules that are for the subject.
func (a *asking) index() *index {
	x := &index{named: map[string][]int{}, folders: map[string][]int{}, labelled: map[label][]int{}}
	rules := map[label]int{} // how many ask for each
	for i := range a.policies {
		for j := range a.policies[i].Published.Rules {
			at := place{&a.policies[i], j}
			x.places = append(x.places, at)
			for k, v := range at.rule().Resource.Labels {
				rules[label{k, v}]++
			}
		}
	}
	for n, at := range x.places {
		switch s := at.rule().Resource; {
		case s.Server != "":
			name := "server/" + s.Server.String()
			x.named[name] = append(x.named[name], n)
		case len(s.Labels) > 0:
			rare := rarest(s.Labels, rules)
			x.labelled[rare] = append(x.labelled[rare], n)
		case s.Secret != "":
			x.named["secret/"+s.Secret] = append(x.named["secret/"+s.Secret], n)
		case s.Folder != "":
			x.folders[s.Folder] = append(x.folders[s.Folder], n)
		}
	}
	return x
}

func rarest(labels map[string]string, rules map[label]int) (rare label) {
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if l := (label{k, labels[k]}); rare.key == "" || rules[l] < rules[rare] {
			rare = l
		}
	}
	return rare
}

// about is the rules that may select the resource, each once, in their order.
func (x *index) about(t policy.Target) []place {
	found := slices.Clone(x.named[t.Kind+"/"+t.Name])
	for k, v := range t.Labels {
		found = append(found, x.labelled[label{k, v}]...)
	}
	for i := range len(t.Name) {
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
