package access

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
)

// Resolve is every method by which the subject may reach the resource at now:
// what each published rule gives that is about the resource, is for a principal
// of the subject, and whose expression holds.
//
// Whatever is missing lets nobody in: a group, role, account or request type
// that is gone, an expression that fails, a condition that is not known here.
// A secret that is there is not created, so that method is not among its own.
func Resolve(w World, s Subject, r resource.Resource, now time.Time) Answer {
	return asked(w, s, now).about(r)
}

// about is every method of the subject for the resource.
func (a *asking) about(r resource.Resource) Answer {
	about := target(r)
	var methods []Method
	for i := range a.policies {
		for j := range a.policies[i].Published.Rules {
			methods = append(methods, a.methods(place{&a.policies[i], j}, r, about)...)
		}
	}
	return answer(a.Subject, methods)
}

// Find is the method of that id among those that the subject may choose; one
// that was left out is not.
func Find(a Answer, id string) (Method, bool) {
	for _, m := range a.Methods {
		if m.ID == id {
			return m, true
		}
	}
	return Method{}, false
}

// answer sorts methods into those that the subject may choose and those that are
// left out, the open ones first, then by id, and concludes.
func answer(s Subject, methods []Method) (a Answer) {
	if len(methods) == 0 {
		return Answer{Outcome: Refused}
	}
	a.Methods = make([]Method, 0, len(methods))
	for _, m := range methods {
		if s.Workload() && len(m.Requires) > 0 && !m.MayWait {
			a.LeftOut = append(a.LeftOut, m)
		} else {
			a.Methods = append(a.Methods, m)
		}
	}
	for _, list := range [][]Method{a.Methods, a.LeftOut} {
		slices.SortFunc(list, func(x, y Method) int {
			return cmp.Or(cmp.Compare(closed(x), closed(y)), cmp.Compare(x.ID, y.ID))
		})
	}
	switch {
	case len(a.Methods) == 0:
		a.Outcome = Cancelled
	case len(a.LeftOut) > 0:
		a.Outcome = Filtered
	default:
		a.Outcome = Given
	}
	return a
}

func closed(m Method) int {
	if m.Open() {
		return 0
	}
	return 1
}

// asking is a subject that asks, and the published policies that are for it.
type asking struct {
	World
	Subject
	now      time.Time
	policies []forSubject
	values   map[string]any // claims as expressions see them, once one has asked
}

// forSubject is a published policy that is for the subject.
type forSubject struct {
	policy.Policy
	through []domain.Name // the principals that let the subject in: its groups, or a workload's roles, by name
}

// place is a rule in its policy.
type place struct {
	*forSubject
	number int
}

func (p place) rule() *policy.Rule { return &p.Published.Rules[p.number] }

func asked(w World, s Subject, now time.Time) *asking {
	return askedOf(w, w.Policies.Published(), s, now)
}

// askedOf is of some of the published policies.
func askedOf(w World, published []policy.Policy, s Subject, now time.Time) *asking {
	a := &asking{World: w, Subject: s, now: now}
	mine := map[domain.Name]bool{}
	if s.Workload() {
		for _, n := range s.Roles {
			mine[n] = true
		}
	} else {
		for _, n := range s.Groups {
			mine[n] = true
		}
	}
	for _, p := range published {
		names := p.Published.Principals.Groups
		if s.Workload() { // a group is no role, whatever it is called
			names = p.Published.Principals.Roles
		}
		var through []domain.Name
		for _, n := range names {
			if mine[n] {
				through = append(through, n)
			}
		}
		if len(through) > 0 {
			slices.Sort(through)
			a.policies = append(a.policies, forSubject{p, through})
		}
	}
	return a
}

// target is the resource as rules know it.
func target(r resource.Resource) policy.Target {
	return policy.Target{Ref: string(r.Ref), Kind: string(r.Kind), Name: r.Name, Project: r.Project.String(), Labels: r.Labels}
}

// methods is what one rule gives the subject for the resource.
func (a *asking) methods(at place, r resource.Resource, about policy.Target) []Method {
	rule := at.rule()
	if !rule.Resource.Selects(about) || !a.holds(at, about) {
		return nil
	}
	methods := a.offered(rule, at.through, r)
	for i := range methods {
		a.complete(&methods[i], at.Name, rule, r)
	}
	return methods
}

// holds tells whether the rule's expression is true of the subject, the resource and now.
func (a *asking) holds(at place, about policy.Target) bool {
	facts := policy.Facts{Target: about, Time: a.now}
	if at.rule().Expression != "" {
		facts.Claims = a.claims()
	}
	return at.Holds(at.number, facts)
}

// claims is what the subject's token carries, or of a person their name and groups.
func (a *asking) claims() map[string]any {
	switch {
	case a.values != nil:
	case a.Workload():
		a.values = policy.Values(a.Claims)
	default:
		groups := make([]any, len(a.Groups))
		for i, g := range a.Groups {
			groups[i] = g.String()
		}
		a.values = policy.Values(map[string]any{"sub": a.Person.String(), "groups": groups})
	}
	return a.values
}

// offered is the methods of a rule's privileges, without what is the same for all of them.
func (a *asking) offered(rule *policy.Rule, through []domain.Name, r resource.Resource) (out []Method) {
	for _, v := range rule.Privileges {
		switch v.Type {
		case policy.SSH:
			for _, n := range v.Accounts {
				if username, ok := a.username(r, n); ok {
					out = append(out, Method{Kind: SSH, Account: n, Username: username, Through: a.principal(through[0])})
				}
			}
		case policy.RevealPassword:
			for _, n := range v.Accounts {
				if account, ok := account(r, n); ok && account.Kind == resource.Vaulted {
					out = append(out, Method{Kind: RevealPassword, Account: n, Username: account.Username, Through: a.principal(through[0])})
				}
			}
		case policy.SSHWorkload:
			for _, n := range through {
				if username := a.Usernames[n]; a.Workload() && username != "" && r.Kind == resource.Server {
					out = append(out, Method{Kind: SSH, Username: username, Through: a.principal(n)})
				}
			}
		case policy.Secret:
			for _, action := range v.Actions {
				if kind, ok := kindOf(action, r); ok {
					out = append(out, Method{Kind: kind, Through: a.principal(through[0])})
				}
			}
		}
	}
	return out
}

func (a *asking) principal(n domain.Name) string {
	if a.Workload() {
		return "role/" + n.String()
	}
	return "group/" + n.String()
}

// account is the server's account of that name.
func account(r resource.Resource, n domain.Name) (resource.Account, bool) {
	if r.Kind != resource.Server || r.ServerSpec == nil {
		return resource.Account{}, false
	}
	i := slices.IndexFunc(r.ServerSpec.Accounts, func(a resource.Account) bool { return a.Name == n })
	if i < 0 {
		return resource.Account{}, false
	}
	return r.ServerSpec.Accounts[i], true
}

// systemUsers are users that servers have before anybody is given one. Whoever
// names people would otherwise give them away: a person may be called root, and
// is not root on any server for that.
var systemUsers = map[domain.Name]bool{
	"root": true, "toor": true, "admin": true, "administrator": true, "operator": true, "daemon": true, "bin": true, "sys": true, "sync": true,
	"games": true, "man": true, "lp": true, "mail": true, "news": true, "uucp": true, "proxy": true, "www-data": true, "backup": true, "list": true,
	"irc": true, "gnats": true, "nobody": true, "sshd": true, "adm": true, "shutdown": true, "halt": true, "ftp": true, "dbus": true, "polkitd": true,
	"ubuntu": true, "debian": true, "ec2-user": true, "centos": true, "fedora": true, "rocky": true, "almalinux": true, "opc": true, "core": true,
	"cloud-user": true, "vagrant": true, "pi": true, "git": true, "docker": true, "postgres": true, "mysql": true, "redis": true, "nginx": true, "apache": true,
	"nats": true, "sallyport": true, "sallyportd": true,
}

// username is who the subject is on the server with an account. A personal one
// is a person's own user; somebody who is called like the user of a vaulted
// account would be that one, without its conditions, and so is not let in by it.
func (a *asking) username(r resource.Resource, n domain.Name) (string, bool) {
	of, ok := account(r, n)
	switch {
	case !ok:
		return "", false
	case of.Kind == resource.Vaulted:
		return of.Username, of.Username != ""
	case of.Kind != resource.Personal || a.Workload():
		return "", false
	}
	shared := func(o resource.Account) bool { return o.Kind == resource.Vaulted && o.Username == a.Person.String() }
	return a.Person.String(), !systemUsers[a.Person] && !slices.ContainsFunc(r.ServerSpec.Accounts, shared)
}

// kindOf is the kind of method that an action on the secret is.
func kindOf(action policy.Action, r resource.Resource) (kind Kind, ok bool) {
	switch action {
	case policy.List:
		kind = SecretList
	case policy.Create:
		kind = SecretCreate
	case policy.Update:
		kind = SecretUpdate
	case policy.Reveal:
		kind = SecretReveal
	case policy.Delete:
		kind = SecretDelete
	default:
		return "", false
	}
	return kind, r.Kind == resource.Secret && (kind != SecretCreate || r.CreatedAt.IsZero())
}

// complete adds to a method who gives it and what has to be met.
func (a *asking) complete(m *Method, of domain.Name, rule *policy.Rule, r resource.Resource) {
	m.Policy, m.Rule = of, rule.Name
	m.ID = of.String() + "/" + rule.Name.String() + "/" + string(m.Kind)
	switch {
	case m.Account != "":
		m.ID += ":" + m.Account.String()
	case m.Kind == SSH:
		m.ID += ":" + m.Username
	}
	exclusive := m.exclusive(r)
	if exclusive {
		m.CheckedOutBy, m.CheckedOutUntil, _ = a.Access.Holder(r.Ref, m.Account, a.now)
	}
	asks := slices.ContainsFunc(rule.Conditions, func(c policy.Condition) bool { return c.Type == policy.AccessRequest })
	if rule.BreakGlass != nil && asks && !a.Workload() {
		m.BreakGlass = rule.BreakGlass.AccessSeconds
	}
	project, _ := a.Resources.Project(r.Project)
	needed := a.needed(rule, m, exclusive, project)
	m.MayWait = a.Workload() && rule.WorkloadsMayWait && len(needed) > 0 &&
		!slices.ContainsFunc(needed, func(c policy.Condition) bool { return c.Type != policy.AccessRequest })
	for _, c := range needed {
		m.Requires = append(m.Requires, a.requirement(c, m, r, project))
	}
}

// exclusive tells whether the method is to something that one subject at a time
// can have: a vaulted account, or the value of a secret.
func (m Method) exclusive(r resource.Resource) bool {
	of, _ := account(r, m.Account)
	return m.Kind == SecretReveal || m.Kind == RevealPassword || m.Kind == SSH && of.Kind == resource.Vaulted
}

// What [ResolveAll] answers at most: resources, and methods, after which it
// finishes the resource it is at.
const (
	MaxReachable = 10_000
	maxMethods   = 50_000
)

// Reachable is a resource that a subject may reach.
type Reachable struct {
	// Resource is a server or a secret. Where the subject may create secrets it is
	// one that is not there: of a folder its Ref and Name end in a slash.
	Resource resource.Resource
	Answer   Answer
}

// ResolveAll is every resource to which [Resolve] gives the subject a method
// that it may choose, by reference: the first [MaxReachable], and fewer where
// there are more than 50,000 methods to them.
func ResolveAll(w World, s Subject, now time.Time) (out []Reachable) {
	found := 0
	for r := range reachable(w, s, now, "", nil) {
		out = append(out, r)
		found += len(r.Answer.Methods) + len(r.Answer.LeftOut)
		if len(out) == MaxReachable || found >= maxMethods {
			break
		}
	}
	return out
}

// ResolvePage is a part of [ResolveAll]: what comes after a reference and is
// wanted, at most so many, and whether there is more behind them. Nothing is
// resolved that is not on it. A nil wanted wants everything.
func ResolvePage(w World, s Subject, now time.Time, after resource.Ref, wanted func(*resource.Resource) bool, most int) (out []Reachable, more bool) {
	for r := range reachable(w, s, now, after, wanted) {
		if len(out) == most {
			return out, true
		}
		out = append(out, r)
	}
	return out, false
}

// reachable is what the subject may reach, by reference, each resolved as it is asked for.
func reachable(w World, s Subject, now time.Time, after resource.Ref, wanted func(*resource.Resource) bool) iter.Seq[Reachable] {
	return func(yield func(Reachable) bool) {
		a := asked(w, s, now)
		if len(a.policies) == 0 {
			return
		}
		rules := a.index()
		for r := range a.candidates(after) {
			if wanted != nil && !wanted(r) {
				continue
			}
			if given := a.through(rules, *r); len(given.Methods) > 0 && !yield(Reachable{*r, given}) {
				return
			}
		}
	}
}

// through is what [Resolve] answers, asking only the rules that the index finds.
func (a *asking) through(rules *index, r resource.Resource) Answer {
	at := rules.about(&r)
	if len(at) == 0 {
		return Answer{Outcome: Refused}
	}
	about := target(r)
	var methods []Method
	for _, place := range at {
		methods = append(methods, a.methods(place, r, about)...)
	}
	if _, there := a.Resources.Resource(r.Ref); !there { // nothing else can be done to it
		methods = slices.DeleteFunc(methods, func(m Method) bool { return m.Kind != SecretCreate })
	}
	return answer(a.Subject, methods)
}

// candidates is every resource after a reference, and among them what is not
// there and could be created, by reference.
func (a *asking) candidates(after resource.Ref) iter.Seq[*resource.Resource] {
	return func(yield func(*resource.Resource) bool) {
		more := slices.DeleteFunc(a.creatable(), func(r resource.Resource) bool { return r.Ref <= after })
		slices.SortFunc(more, func(x, y resource.Resource) int { return cmp.Compare(x.Ref, y.Ref) })
		for r := range a.Resources.Behind(after) {
			for len(more) > 0 && more[0].Ref < r.Ref {
				if !yield(&more[0]) {
					return
				}
				more = more[1:]
			}
			if !yield(r) {
				return
			}
		}
		for i := range more {
			if !yield(&more[i]) {
				return
			}
		}
	}
}

// creatable is the folders and paths, not there yet, for which a rule lets the
// subject create secrets.
func (a *asking) creatable() []resource.Resource {
	found := map[resource.Ref]resource.Resource{}
	for _, p := range a.policies {
		for _, rule := range p.Published.Rules {
			creates := func(v policy.Privilege) bool { return slices.Contains(v.Actions, policy.Create) }
			if !slices.ContainsFunc(rule.Privileges, creates) {
				continue
			}
			path := rule.Resource.Secret
			if folder := rule.Resource.Folder; folder != "" {
				path = folder + "/"
			}
			r := resource.Resource{Ref: resource.Ref("secret/" + path), Kind: resource.Secret, Name: path}
			if _, there := a.Resources.Resource(r.Ref); !there && path != "" {
				found[r.Ref] = r
			}
		}
	}
	return slices.Collect(maps.Values(found))
}
