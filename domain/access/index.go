package access

import (
	"maps"
	"slices"

	"sallyport.dev/domain/resource"
)

// index finds the rules that may be about a resource without looking at each. It
// only leaves out what [policy.Selector.Selects] would, and decides nothing.
type index struct {
	places   []place // in the order of policies and rules
	servers  map[string][]int
	secrets  map[string][]int // by path
	folders  map[string][]int
	labelled map[label][]int // by the rarest of the labels that a rule asks for
}

type label struct{ key, value string }

// index is of the rules that are for the subject.
func (a *asking) index() *index {
	x := &index{servers: map[string][]int{}, secrets: map[string][]int{}, folders: map[string][]int{}, labelled: map[label][]int{}}
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
			x.servers[s.Server.String()] = append(x.servers[s.Server.String()], n)
		case len(s.Labels) > 0:
			rare := rarest(s.Labels, rules)
			x.labelled[rare] = append(x.labelled[rare], n)
		case s.Secret != "":
			x.secrets[s.Secret] = append(x.secrets[s.Secret], n)
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
func (x *index) about(r *resource.Resource) []place {
	var found []int
	switch r.Kind {
	case resource.Server:
		found = append(found, x.servers[r.Name]...)
	case resource.Secret:
		found = append(found, x.secrets[r.Name]...)
	}
	if len(x.labelled) > 0 {
		for k, v := range r.Labels {
			found = append(found, x.labelled[label{k, v}]...)
		}
	}
	if len(x.folders) > 0 {
		for i := range len(r.Name) {
			if r.Name[i] == '/' {
				found = append(found, x.folders[r.Name[:i]]...)
			}
		}
	}
	slices.Sort(found)
	out := make([]place, len(found))
	for i, n := range found {
		out[i] = x.places[n]
	}
	return out
}
