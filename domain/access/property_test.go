package access_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
)

// drawn is a world of a few of everything, so that what is drawn meets.
type drawn struct {
	*scene
	subjects []access.Subject
	refs     []resource.Ref
}

func drawWorld(rt *rapid.T) *drawn {
	x := &drawn{scene: newScene(rt), refs: []resource.Ref{"server/web-1", "server/db-1", "secret/payments/api-key", "secret/payments-old/key"}}
	x.requestType("second") // and "gone" is not there
	if rapid.Bool().Draw(rt, "a project of checkouts") {
		p, _ := x.w.Resources.Project("pay")
		x.resources(resource.EditProject{Name: "pay", Version: p.Version, Spec: resource.ProjectSpec{Checkout: resource.Checkout{Required: true}}})
	}
	proved := carol("ops", "dev")
	proved.MFAAt = noon.Add(-time.Duration(rapid.IntRange(0, 3600).Draw(rt, "proved")) * time.Second)
	x.subjects = []access.Subject{carol("ops"), proved, {ID: "dave", Person: "dave", Groups: []domain.Name{"dev"}}, robot("backup"), robot("backup", "dev")}
	for i := range rapid.IntRange(1, 3).Draw(rt, "policies") {
		x.drawPolicy(rt, domain.Name(fmt.Sprintf("p%d", i)))
	}
	for range rapid.IntRange(0, 12).Draw(rt, "deeds") {
		x.drawDeed(rt)
	}
	x.now = noon.Add(time.Duration(rapid.IntRange(0, 7200).Draw(rt, "now")) * time.Second)
	return x
}

func (x *drawn) drawPolicy(rt *rapid.T, n domain.Name) {
	group := rapid.SampledFrom([]domain.Name{"ops", "dev", "backup"})
	p := policy.Principals{Groups: rapid.SliceOfNDistinct(group, 0, 2, rapid.ID).Draw(rt, "groups"), Roles: rapid.SliceOfNDistinct(group, 1, 2, rapid.ID).Draw(rt, "roles")}
	var rules []policy.Rule
	for i := range rapid.IntRange(1, 3).Draw(rt, "rules") {
		rules = append(rules, drawRule(rt, domain.Name(fmt.Sprintf("r%d", i))))
	}
	x.write(n, p, rules...)
	if rapid.IntRange(0, 3).Draw(rt, "published") > 0 {
		x.policies(policy.Publish{Name: n, Version: 1})
	}
}

func drawRule(rt *rapid.T, n domain.Name) policy.Rule {
	r := policy.Rule{Name: n}
	if rapid.Bool().Draw(rt, "of servers") {
		r.Resource = rapid.SampledFrom([]policy.Selector{{Server: "web-1"}, {Labels: map[string]string{"env": "prod"}}}).Draw(rt, "selector")
		r.Privileges = []policy.Privilege{ssh("root", "me"), {Type: policy.RevealPassword, Accounts: []domain.Name{"dba"}}, {Type: policy.SSHWorkload}}
	} else {
		r.Resource = rapid.SampledFrom([]policy.Selector{{Folder: "payments"}, {Secret: "payments-old/key"}}).Draw(rt, "selector")
		r.Privileges = []policy.Privilege{{Type: policy.Secret, Actions: []policy.Action{policy.List, policy.Reveal}}}
	}
	if rapid.Bool().Draw(rt, "asks") {
		r.Conditions = append(r.Conditions, asks(rapid.SampledFrom([]domain.Name{"prod", "second", "gone"}).Draw(rt, "type")))
		if rapid.Bool().Draw(rt, "breaks") {
			r = breakable(r, 900)
		}
		r.WorkloadsMayWait = rapid.Bool().Draw(rt, "waits")
	}
	if rapid.IntRange(0, 2).Draw(rt, "proves") == 0 {
		r.Conditions, r.WorkloadsMayWait = append(r.Conditions, proves(rapid.SampledFrom([]int{0, 600, 1800}).Draw(rt, "fresh"))), false
	}
	if rapid.IntRange(0, 2).Draw(rt, "alone") == 0 {
		r.Conditions, r.WorkloadsMayWait = append(r.Conditions, alone(0)), false
	}
	r.Expression = rapid.SampledFrom([]string{"", "", "", `claims.sub == "carol"`, `claims.ref == "main"`, `time < timestamp("2026-11-22T13:00:00Z")`}).Draw(rt, "expression")
	return r
}

// drawDeed has somebody be approved, check something out or break glass.
func (x *drawn) drawDeed(rt *rapid.T) {
	s, ref := rapid.SampledFrom(x.subjects).Draw(rt, "who"), rapid.SampledFrom(x.refs).Draw(rt, "what")
	a := x.resolve(s, ref)
	all := append(a.Methods, a.LeftOut...)
	if len(all) == 0 {
		return
	}
	m := rapid.SampledFrom(all).Draw(rt, "method")
	switch rapid.SampledFrom([]string{"approve", "approve", "checkout", "glass"}).Draw(rt, "deed") {
	case "approve":
		typ := rapid.SampledFrom([]domain.Name{"prod", "second"}).Draw(rt, "approved")
		if _, _, already := x.w.Requests.Approved(request.Key{Subject: s.ID, Resource: ref, Method: m.ID, Username: m.Username, Type: typ}, x.now); already {
			return
		}
		x.approve(s, ref, m.ID, typ, rapid.IntRange(60, 7200).Draw(rt, "holds"))
	case "checkout":
		if _, _, taken := x.w.Access.Holder(ref, m.Account, x.now); !taken {
			x.checkout(s.ID, ref, m.Account, time.Duration(rapid.IntRange(60, 7200).Draw(rt, "lasts"))*time.Second)
		}
	case "glass":
		if !x.w.Access.Unreviewed(s.ID) {
			x.glass(s.ID, ref, m.ID, 15*time.Minute)
		}
	}
}

func open(a access.Answer) (ids []string) {
	for _, m := range a.Methods {
		if m.Open() {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// rule is the published rule that gives a method.
func (x *drawn) rule(t tester, m access.Method) policy.Rule {
	for _, p := range x.w.Policies.Published() {
		for _, r := range p.Published.Rules {
			if p.Name == m.Policy && r.Name == m.Rule {
				return r
			}
		}
	}
	t.Fatalf("nothing that is published gives %s", m.ID)
	return policy.Rule{}
}

func TestTheDecisionIsSound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := drawWorld(rt)
		s, ref := rapid.SampledFrom(x.subjects).Draw(rt, "subject"), rapid.SampledFrom(x.refs).Draw(rt, "resource")
		before := x.resolve(s, ref)
		x.holdsItsPromises(rt, s, ref, before)
		x.neverOpensByLess(rt, s, ref, open(before))
		x.isAmongAll(rt, s, ref)
	})
}

// holdsItsPromises: a method is of a published rule that is for the subject; open
// is every condition of the rule met; what is met is so until it says, and then
// no more; and a workload meets nothing but what people agreed to have it wait for.
func (x *drawn) holdsItsPromises(rt *rapid.T, s access.Subject, ref resource.Ref, a access.Answer) {
	for _, m := range append(a.Methods, a.LeftOut...) {
		rule := x.rule(rt, m)
		for _, c := range rule.Conditions {
			there := slices.ContainsFunc(m.Requires, func(q access.Requirement) bool { return q.Type == c.Type })
			if !there && !(c.Type == policy.Checkout && (m.Kind == access.SecretList || m.Username == "carol" || m.Username == "dave")) {
				rt.Fatalf("%s asks for no %s, its rule does", m.ID, c.Type)
			}
		}
		for _, q := range m.Requires {
			x.isMetAsItSays(rt, s, ref, m, q)
		}
		if s.Workload() && m.Open() && len(rule.Conditions) > 0 && (!rule.WorkloadsMayWait || m.Requires[0].Request == "" || m.Requires[0].BreakGlass) {
			rt.Fatalf("%s is open to a workload: %+v", m.ID, m.Requires)
		}
	}
}

func (x *drawn) isMetAsItSays(rt *rapid.T, s access.Subject, ref resource.Ref, m access.Method, q access.Requirement) {
	if !q.Met {
		return
	}
	if !q.Until.After(x.now) {
		rt.Fatalf("%s of %s is met until %s, and it is %s", q.Type, m.ID, q.Until, x.now)
	}
	now := x.now
	defer func() { x.now = now }()
	for _, then := range []struct {
		at  time.Time
		met bool
	}{{q.Until.Add(-1), true}, {q.Until, false}} {
		x.now = then.at
		a := x.resolve(s, ref)
		for _, n := range append(a.Methods, a.LeftOut...) {
			for _, p := range n.Requires {
				if n.ID == m.ID && p.Type == q.Type && p.Met != then.met {
					rt.Fatalf("%s of %s said until %s; at %s it is met: %v", q.Type, m.ID, q.Until, then.at, p.Met)
				}
			}
		}
	}
}

// neverOpensByLess: taking away a policy, a group, a role, claims, a second
// factor, or every approval, own checkout and broken glass opens nothing that
// was not open.
func (x *drawn) neverOpensByLess(rt *rapid.T, s access.Subject, ref resource.Ref, was []string) {
	less := func(what string, a access.Answer) {
		for _, id := range open(a) {
			if !slices.Contains(was, id) {
				rt.Fatalf("without %s, %s is open; before %v were", what, id, was)
			}
		}
	}
	for i := range s.Groups {
		fewer := s
		fewer.Groups = slices.Delete(slices.Clone(s.Groups), i, i+1)
		less("a group", x.resolve(fewer, ref))
	}
	for i := range s.Roles {
		fewer := s
		fewer.Roles = slices.Delete(slices.Clone(s.Roles), i, i+1)
		less("a role", x.resolve(fewer, ref))
	}
	if s.Workload() {
		fewer := s
		fewer.Claims = nil
		less("claims", x.resolve(fewer, ref))
	}
	fewer := s
	fewer.MFAAt = time.Time{}
	less("a second factor", x.resolve(fewer, ref))

	w := x.w
	x.w.Requests = access.World{}.Requests
	less("approvals", x.resolve(s, ref))
	if x.nobodyElseHas(s, ref) { // whose checkout keeps the subject out
		x.w.Access = access.State{}
		less("checkouts and broken glass", x.resolve(s, ref))
	}
	x.w = w
	if all := x.w.Policies.Policies(); len(all) > 0 {
		gone := rapid.SampledFrom(all).Draw(rt, "gone")
		switch rapid.IntRange(0, 1).Draw(rt, "how") {
		case 0:
			x.policies(policy.Remove{Name: gone.Name, Version: gone.Version})
		default:
			x.policies(policy.Unpublish{Name: gone.Name, Version: gone.Version})
		}
		a := x.resolve(s, ref)
		less("policy "+gone.Name.String(), a)
		for _, m := range append(a.Methods, a.LeftOut...) {
			if m.Policy == gone.Name {
				rt.Fatalf("%s is of a policy that is gone", m.ID)
			}
		}
	}
}

func (x *drawn) nobodyElseHas(s access.Subject, ref resource.Ref) bool {
	return !slices.ContainsFunc(x.w.Access.Checkouts(x.now), func(c access.Checkout) bool { return c.Resource == ref && c.By != s.ID })
}

// isAmongAll: what is reached one by one is what is reached at once.
func (x *drawn) isAmongAll(rt *rapid.T, s access.Subject, ref resource.Ref) {
	one := x.resolve(s, ref)
	x.isAllPageByPage(rt, s)
	x.isTheSameAtTheEntrance(rt, s, ref, one)
	for _, r := range access.ResolveAll(x.w, s, x.now) {
		if r.Resource.Ref == ref {
			if got, want := fmt.Sprint(r.Answer), fmt.Sprint(one); got != want {
				rt.Fatalf("among all, %s is\n%s\nalone\n%s", ref, got, want)
			}
			return
		}
	}
	if len(one.Methods) > 0 {
		rt.Fatalf("among all there is no %s, alone it is %v", ref, methods(one))
	}
}

// isAllPageByPage: pages of two, one behind the other, are what is reached at once.
func (x *drawn) isAllPageByPage(rt *rapid.T, s access.Subject) {
	var paged []access.Reachable
	for after, more := resource.Ref(""), true; more; {
		var page []access.Reachable
		if page, more = access.ResolvePage(x.w, s, x.now, after, nil, 2); len(page) > 0 {
			after = page[len(page)-1].Resource.Ref
		}
		paged = append(paged, page...)
	}
	if got, want := fmt.Sprint(paged), fmt.Sprint(access.ResolveAll(x.w, s, x.now)); got != want {
		rt.Fatalf("page by page it is\n%s\nat once\n%s", got, want)
	}
}

// isTheSameAtTheEntrance: asked from the resource's side the answer is the same,
// and who has one is in a group, or bears a role, that the entrance names.
func (x *drawn) isTheSameAtTheEntrance(rt *rapid.T, s access.Subject, ref resource.Ref, one access.Answer) {
	r, _ := x.w.Resources.Resource(ref)
	e := access.EntranceTo(x.w, r)
	if got, want := fmt.Sprint(e.Resolve(s, x.now)), fmt.Sprint(one); got != want {
		rt.Fatalf("at the entrance of %s it is\n%s\nalone\n%s", ref, got, want)
	}
	named, mine := e.Groups(), s.Groups
	if s.Workload() {
		named, mine = e.Roles(), s.Roles
	}
	if one.Outcome != access.Refused && !slices.ContainsFunc(mine, func(n domain.Name) bool { return slices.Contains(named, n) }) {
		rt.Fatalf("%s lets in %v, and its entrance names %v", ref, mine, named)
	}
}
