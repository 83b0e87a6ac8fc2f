package request

import (
	"iter"
	"maps"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

// World is what the rules of requests look at beside their own state, as it is
// at the moment of the decision. Every function is set.
type World struct {
	Known   func(person domain.Name) bool            // there is such a person
	Manager func(person domain.Name) domain.Name     // "" they have none
	Owner   func(ref resource.Ref) resource.Owner    // who answers for the resource
	Group   func(group domain.Name) (bears, ok bool) // whether it lends its members admin roles; ok: it is there
	Members func(group domain.Name) []domain.Name    // who is in the group; nobody in one that is not there
	// Membership tells whether the person is in the group, and until when; zero is for good.
	Membership func(group, person domain.Name) (until time.Time, in bool)
}

// seats is who the approvers are for a request: the members of a group, or people.
type seats struct {
	group  domain.Name
	people []domain.Name
}

func (a Approvers) seats(r *Request, w World) seats {
	switch {
	case a.Group != "":
		return seats{group: a.Group}
	case len(a.People) > 0:
		return seats{people: a.People}
	case a.Manager && r.Person() != "":
		return seats{people: []domain.Name{w.Manager(r.Person())}}
	case a.ResourceOwner:
		owner := w.Owner(r.Resource)
		if owner.Group != "" {
			return seats{group: owner.Group}
		}
		return seats{people: []domain.Name{owner.Person}}
	}
	return seats{}
}

// suits tells whether somebody can be an approver at all: who is there, and never who asked.
func suits(n domain.Name, r *Request, w World) bool {
	return n != "" && n.String() != r.Requester && w.Known(n)
}

// principals is who the approvers are for a request, themselves.
func (a Approvers) principals(r *Request, w World) (out []domain.Name) {
	of := a.seats(r, w)
	names := of.people
	if of.group != "" {
		names = w.Members(of.group)
	}
	for _, n := range names {
		if suits(n, r, w) {
			out = append(out, n)
		}
	}
	return out
}

// includes tells whether somebody is among [Approvers.principals], without naming them all.
func (a Approvers) includes(n domain.Name, r *Request, w World) bool {
	of := a.seats(r, w)
	in := slices.Contains(of.people, n)
	if of.group != "" {
		_, in = w.Membership(of.group, n)
	}
	return in && suits(n, r, w)
}

// chair is a place from which a step is decided: a person, or their delegate.
type chair struct {
	by        domain.Name
	standsFor domain.Name // "" for themself
	escalated bool
}

// chairs is every way in which the step that was opened last may be decided at
// now, those who decide as themselves first. Whoever has decided, or was decided
// for, has none any more.
func (s State) chairs(r Request, now time.Time, w World) (out []chair) {
	free := func(n domain.Name) bool { return r.free(n, w) }
	var delegated []chair
	for i, way := range r.ways(now) {
		if way == nil {
			continue
		}
		for _, n := range way.principals(&r, w) {
			if !free(n) {
				continue
			}
			out = append(out, chair{by: n, escalated: i > 0})
			if d, ok := s.Delegation(n, now); ok && free(d.To) {
				delegated = append(delegated, chair{d.To, n, i > 0})
			}
		}
	}
	return append(out, delegated...)
}

// ways is who decides the step that was opened last, by whom it says and, once it
// has escalated, by others; nil until then.
func (r *Request) ways(now time.Time) (ways [2]*Approvers) {
	ways[0] = &r.step().Approvers
	if e := r.step().Escalate; e != nil && !now.Before(r.open().EscalatesAt) {
		ways[1] = &e.To
	}
	return ways
}

// free tells whether somebody has a word on the request that is not spoken yet.
func (r *Request) free(n domain.Name, w World) bool {
	for _, st := range r.Steps {
		for _, d := range st.Decisions {
			if d.By == n || d.For == n {
				return false
			}
		}
	}
	return suits(n, r, w)
}

// used is everybody whose word on the request is spoken: who decided, and for whom.
func (r Request) used() map[domain.Name]bool {
	used := map[domain.Name]bool{}
	for _, st := range r.Steps {
		for _, d := range st.Decisions {
			used[d.By] = true
			if d.For != "" {
				used[d.For] = true
			}
		}
	}
	return used
}

// Approvers is the people who may decide the request's open step at now, by
// name; nobody once it is over. Its requester never is among them.
func (s State) Approvers(id string, now time.Time, w World) []domain.Name {
	r, ok := s.requests[id]
	if !ok || r.At(now).Status != Pending {
		return nil
	}
	var names []domain.Name
	for _, c := range s.chairs(r, now, w) {
		names = append(names, c.by)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// WaitingFor is the ids of the requests that somebody may decide at now, oldest
// first: those among whose [State.Approvers] they are. It looks at each request for
// this one person alone, so that a thousand that wait are found at once.
func (s State) WaitingFor(who domain.Name, now time.Time, w World) (ids []string) {
	for r := range s.eachFor(who, now, w) {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids) // they begin with the time
	return ids
}

// CountFor is how many [State.WaitingFor] are.
func (s State) CountFor(who domain.Name, now time.Time, w World) (n int) {
	for range s.eachFor(who, now, w) {
		n++
	}
	return n
}

// eachFor is [State.WaitingFor] in no order; what is pointed to is the next one's then.
func (s State) eachFor(who domain.Name, now time.Time, w World) iter.Seq[*Request] {
	stands := s.standsFor(who, now)
	return func(yield func(*Request) bool) {
		var r Request
		for id := range s.pending {
			if r = s.requests[id]; len(r.Steps) == 0 || !now.Before(r.open().ExpiresAt) || !r.hears(who, stands, now, w) {
				continue
			}
			if !yield(&r) {
				return
			}
		}
	}
}

// standsFor is for whom somebody decides: for themself, and for those who delegated to them.
func (s State) standsFor(who domain.Name, now time.Time) []domain.Name {
	stands := []domain.Name{who}
	for _, d := range s.DelegatedTo(who, now) {
		stands = append(stands, d.From)
	}
	return stands
}

// hears tells whether somebody has a chair, who stands for those people, themself first.
func (r *Request) hears(who domain.Name, stands []domain.Name, now time.Time, w World) bool {
	if !r.free(who, w) {
		return false
	}
	for _, way := range r.ways(now) {
		for _, n := range stands {
			if way != nil && r.free(n, w) && way.includes(n, r, w) {
				return true
			}
		}
	}
	return false
}

// Sees tells whether somebody may see the request at now: who asked, who
// decided, who may decide a step that was opened (also when they are late), and
// those whom admin roles let read all of them.
func (s State) Sees(r Request, who domain.Actor, now time.Time, w World) bool {
	if who.ID == r.Requester || who.IsSystem() || who.Has(domain.SecurityAdmin) || who.Has(domain.Owner) || who.Has(domain.Auditor) {
		return true
	}
	name := domain.Name(who.ID)
	if r.used()[name] {
		return true
	}
	stands := s.standsFor(name, now)
	for n := range r.Steps {
		then := r
		then.Steps = r.Steps[:n+1]
		if then.hears(name, stands, now, w) {
			return true
		}
	}
	return false
}

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
