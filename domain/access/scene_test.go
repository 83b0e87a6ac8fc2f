package access_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// admin bears every role: what is decided here is not who may write.
var admin = domain.Actor{ID: "admin", Roles: domain.Roles()}

// tester is what a scene needs of a test, be it one of rapid's.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// scene is a world made by commands and events, as the log would have it.
type scene struct {
	t   tester
	w   access.World
	now time.Time
	ids int
}

// newScene has a project, two servers with a vaulted account each and a personal
// one, three secrets, and a published request type that anna approves alone.
func newScene(t tester) *scene {
	t.Helper()
	x := &scene{t: t, now: noon}
	x.project("pay", resource.Checkout{})
	x.server("web-1", map[string]string{"tier": "web", "env": "prod"})
	x.server("db-1", map[string]string{"tier": "db", "env": "prod"})
	for _, path := range []string{"payments/db/password", "payments/api-key", "payments-old/key"} {
		x.secret(path)
	}
	x.requestType("prod")
	return x
}

func (x *scene) meta(by domain.Actor) domain.Meta { return domain.Meta{Actor: by, Now: x.now} }

func (x *scene) id() string {
	x.ids++
	return fmt.Sprintf("01KASE%020d", x.ids)
}

func (x *scene) fold(facts []domain.Fact, err error, by string, evolve func(domain.Envelope) error) {
	x.t.Helper()
	for _, f := range facts {
		if err == nil {
			err = evolve(domain.Envelope{ID: x.id(), Type: f.Event.EventType(), Subject: f.Subject, Event: f.Event, Time: x.now, Actor: by})
		}
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *scene) resources(c resource.Command) {
	x.t.Helper()
	facts, err := resource.Decide(x.w.Resources, c, x.meta(admin))
	x.fold(facts, err, admin.ID, func(e domain.Envelope) (err error) { x.w.Resources, err = resource.Evolve(x.w.Resources, e); return })
}

func (x *scene) project(n domain.Name, c resource.Checkout) {
	x.t.Helper()
	x.resources(resource.CreateProject{Name: n, Spec: resource.ProjectSpec{Checkout: c}})
}

func (x *scene) server(n domain.Name, labels map[string]string, more ...resource.Account) {
	x.t.Helper()
	x.resources(resource.CreateServer{Name: n, Spec: resource.ServerSpec{
		Project: "pay", Address: "127.0.0.1", Labels: labels,
		Accounts: append([]resource.Account{
			{Name: "me", Kind: resource.Personal}, {Name: "root", Kind: resource.Vaulted, Username: "root"}, {Name: "dba", Kind: resource.Vaulted, Username: "postgres"},
		}, more...),
	}})
}

func (x *scene) secret(path string) {
	x.t.Helper()
	x.resources(resource.CreateSecret{Path: path, Spec: resource.SecretSpec{Project: "pay"}, ID: x.id(), Hash: "h", Allowed: true})
}

func (x *scene) resource(ref resource.Ref) resource.Resource {
	x.t.Helper()
	r, ok := x.w.Resources.Resource(ref)
	if !ok {
		x.t.Fatalf("there is no %s", ref)
	}
	return r
}

func (x *scene) policies(c policy.Command) {
	x.t.Helper()
	facts, err := policy.Decide(x.w.Policies, c, x.meta(admin))
	x.fold(facts, err, admin.ID, func(e domain.Envelope) (err error) { x.w.Policies, err = policy.Evolve(x.w.Policies, e); return })
}

// publish writes a policy for group ops and role backup, or its next version, and publishes it.
func (x *scene) publish(n domain.Name, rules ...policy.Rule) {
	x.t.Helper()
	x.publishFor(n, policy.Principals{Groups: []domain.Name{"ops"}, Roles: []domain.Name{"backup"}}, rules...)
}

func (x *scene) publishFor(n domain.Name, p policy.Principals, rules ...policy.Rule) {
	x.t.Helper()
	x.write(n, p, rules...)
	now, _ := x.w.Policies.Policy(n)
	x.policies(policy.Publish{Name: n, Version: now.Version})
}

func (x *scene) write(n domain.Name, p policy.Principals, rules ...policy.Rule) {
	x.t.Helper()
	spec := policy.Spec{Principals: p, Rules: rules}
	if was, there := x.w.Policies.Policy(n); there {
		x.policies(policy.Edit{Name: n, Version: was.Version, Spec: spec})
	} else {
		x.policies(policy.Draft{Name: n, Spec: spec})
	}
}

// people is a world of requests in which everybody is known.
func people() request.World {
	return request.World{
		Known: func(domain.Name) bool { return true }, Manager: func(domain.Name) domain.Name { return "" },
		Owner: func(resource.Ref) resource.Owner { return resource.Owner{} }, Group: func(domain.Name) (bool, bool) { return false, true },
		Members:    func(domain.Name) []domain.Name { return nil },
		Membership: func(domain.Name, domain.Name) (time.Time, bool) { return time.Time{}, false },
	}
}

func (x *scene) requests(c request.Command, by domain.Actor) {
	x.t.Helper()
	facts, err := request.Decide(x.w.Requests, c, x.meta(by))
	x.fold(facts, err, by.ID, func(e domain.Envelope) (err error) { x.w.Requests, err = request.Evolve(x.w.Requests, e); return })
}

func (x *scene) requestType(n domain.Name) {
	x.t.Helper()
	x.requests(request.DraftType{Name: n, Spec: request.Spec{Kind: request.ForAccess, Justification: request.Optional,
		Steps: []request.Step{{Name: "first", Approvers: request.Approvers{People: []domain.Name{"anna"}}}}}}, admin)
	x.requests(request.PublishType{Name: n, Version: 1, World: people()}, admin)
}

// raise has the subject ask for the method under a request type.
func (x *scene) raise(s access.Subject, ref resource.Ref, method string, typ domain.Name, seconds int) string {
	x.t.Helper()
	id, as := x.id(), ""
	answer := x.resolve(s, ref)
	for _, m := range append(answer.Methods, answer.LeftOut...) {
		if m.ID == method {
			as = m.Username
		}
	}
	x.requests(request.Raise{ID: id, World: people(), Asked: request.Asked{ApprovalSeconds: seconds, Username: as},
		Matter: request.Matter{Requester: s.ID, Connection: s.Connection, Identity: s.Identity, Type: typ, Resource: ref, Method: method}}, domain.Actor{ID: s.ID})
	return id
}

// approve raises it, and has anna say yes.
func (x *scene) approve(s access.Subject, ref resource.Ref, method string, typ domain.Name, seconds int) string {
	x.t.Helper()
	id := x.raise(s, ref, method, typ, seconds)
	x.requests(request.Answer{ID: id, Verdict: request.Approved, World: people()}, domain.Actor{ID: "anna"})
	return id
}

func (x *scene) accesses(e access.Event, by string) {
	x.t.Helper()
	subject := "x"
	if _, glass := e.(access.GlassWasBroken); glass {
		subject = "break_glass/x"
	}
	x.fold([]domain.Fact{{Subject: subject, Event: e}}, nil, by, func(e domain.Envelope) (err error) { x.w.Access, err = access.Evolve(x.w.Access, e); return })
}

func (x *scene) checkout(by string, ref resource.Ref, account domain.Name, d time.Duration) {
	x.t.Helper()
	x.accesses(access.CheckoutWasTaken{Resource: ref, Account: account, By: by, From: x.now, Until: x.now.Add(d)}, by)
}

func (x *scene) glass(by string, ref resource.Ref, method string, d time.Duration) {
	x.t.Helper()
	x.accesses(access.GlassWasBroken{Resource: ref, Method: method, Username: x.user(by, ref, method), By: by, Reason: "fire", Until: x.now.Add(d)}, by)
}

// user is who somebody is on the server by the method.
func (x *scene) user(who string, ref resource.Ref, method string) string {
	r, _ := x.w.Resources.Resource(ref)
	_, account, _ := strings.Cut(method, ":")
	if r.ServerSpec == nil {
		return ""
	}
	for _, a := range r.ServerSpec.Accounts {
		if a.Name.String() == account && a.Kind == resource.Vaulted {
			return a.Username
		}
	}
	return who
}

// resolve is the decision as it is now.
func (x *scene) resolve(s access.Subject, ref resource.Ref) access.Answer {
	x.t.Helper()
	return access.Resolve(x.w, s, x.resource(ref), x.now)
}

// methods is the ids of an answer, each with ! while it is not open.
func methods(a access.Answer) []string {
	out := []string{}
	for _, m := range a.Methods {
		id := m.ID
		if !m.Open() {
			id += " !"
		}
		out = append(out, id)
	}
	return out
}

func leftOut(a access.Answer) (out []string) {
	for _, m := range a.LeftOut {
		out = append(out, m.ID)
	}
	return out
}

// Who asks: carol, who is in ops, and a workload that bears backup.
func carol(groups ...domain.Name) access.Subject {
	if groups == nil {
		groups = []domain.Name{"ops"}
	}
	return access.Subject{ID: "carol", Person: "carol", Groups: groups}
}

func robot(roles ...domain.Name) access.Subject {
	if roles == nil {
		roles = []domain.Name{"backup"}
	}
	s := access.Subject{ID: "workload://default/ci/job", Connection: "ci", Identity: "job", Roles: roles, Claims: map[string]any{"ref": "main"}, Usernames: map[domain.Name]string{}}
	for _, r := range roles {
		s.Usernames[r] = "wl_" + r.String()
	}
	return s
}

// Rules and their parts, short.
func onServer(name, server domain.Name, p policy.Privilege, c ...policy.Condition) policy.Rule {
	return policy.Rule{Name: name, Resource: policy.Selector{Server: server}, Privileges: []policy.Privilege{p}, Conditions: c}
}

func onFolder(name domain.Name, folder string, actions []policy.Action, c ...policy.Condition) policy.Rule {
	return policy.Rule{Name: name, Resource: policy.Selector{Folder: folder}, Privileges: []policy.Privilege{{Type: policy.Secret, Actions: actions}}, Conditions: c}
}

func ssh(accounts ...domain.Name) policy.Privilege {
	return policy.Privilege{Type: policy.SSH, Accounts: accounts}
}

func reveals() []policy.Action { return []policy.Action{policy.Reveal} }

func asks(typ domain.Name) policy.Condition {
	return policy.Condition{Type: policy.AccessRequest, RequestType: typ, ApprovalSeconds: 3600}
}

func proves(fresh int) policy.Condition {
	return policy.Condition{Type: policy.MFA, FreshSeconds: &fresh}
}

func alone(seconds int) policy.Condition {
	return policy.Condition{Type: policy.Checkout, MaxSeconds: seconds}
}

func only(r policy.Rule, expression string) policy.Rule {
	r.Expression = expression
	return r
}

func breakable(r policy.Rule, seconds int) policy.Rule {
	r.BreakGlass = &policy.BreakGlass{AccessSeconds: seconds}
	return r
}

func waits(r policy.Rule) policy.Rule {
	r.WorkloadsMayWait = true
	return r
}

// requirement is that of a type, of the only method with that id.
func requirement(t tester, a access.Answer, id string, typ policy.ConditionType) access.Requirement {
	t.Helper()
	m, ok := access.Find(a, id)
	i := slices.IndexFunc(m.Requires, func(r access.Requirement) bool { return r.Type == typ })
	if !ok || i < 0 {
		t.Fatalf("%s has no %s among %v", id, typ, methods(a))
	}
	return m.Requires[i]
}
