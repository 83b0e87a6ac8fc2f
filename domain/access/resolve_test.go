package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
)

func TestWhoReachesWhatByWhichMethod(t *testing.T) {
	all := []policy.Action{policy.List, policy.Create, policy.Update, policy.Reveal, policy.Delete}
	for _, tt := range []struct {
		name    string
		rules   []policy.Rule
		subject access.Subject
		ref     resource.Ref
		want    []string
		left    []string
		outcome access.Outcome
	}{
		{"no rule, no way", []policy.Rule{onServer("r", "db-1", ssh("root"))}, carol(), "server/web-1", []string{}, nil, access.Refused},
		{"with a vaulted account", []policy.Rule{onServer("r", "web-1", ssh("root"))}, carol(), "server/web-1", []string{"p/r/ssh:root"}, nil, access.Given},
		{"with one's own", []policy.Rule{onServer("r", "web-1", ssh("me"))}, carol(), "server/web-1", []string{"p/r/ssh:me"}, nil, access.Given},
		{"of another group, not", []policy.Rule{onServer("r", "web-1", ssh("root"))}, carol("dev"), "server/web-1", []string{}, nil, access.Refused},
		{"an account that the server does not have", []policy.Rule{onServer("r", "web-1", ssh("root", "nobody"))}, carol(), "server/web-1", []string{"p/r/ssh:root"}, nil, access.Given},
		{"a password of a vaulted account alone", []policy.Rule{onServer("r", "web-1", policy.Privilege{Type: policy.RevealPassword, Accounts: []domain.Name{"me", "dba"}})},
			carol(), "server/web-1", []string{"p/r/reveal_password:dba"}, nil, access.Given},
		{"what a secret is for, but to create what is there", []policy.Rule{onFolder("r", "payments", all)}, carol(), "secret/payments/api-key",
			[]string{"p/r/secret_delete", "p/r/secret_list", "p/r/secret_reveal", "p/r/secret_update"}, nil, access.Given},
		{"open ones first, then by id", []policy.Rule{
			onServer("a", "web-1", ssh("root"), asks("prod")), onServer("b", "web-1", ssh("root", "dba")), onServer("c", "web-1", ssh("me"), proves(0)),
		}, carol(), "server/web-1", []string{"p/b/ssh:dba", "p/b/ssh:root", "p/a/ssh:root !", "p/c/ssh:me !"}, nil, access.Given},
		{"a workload with a vaulted account", []policy.Rule{onServer("r", "web-1", ssh("root", "me"))}, robot(), "server/web-1", []string{"p/r/ssh:root"}, nil, access.Given},
		{"a workload as its own user", []policy.Rule{onServer("r", "web-1", policy.Privilege{Type: policy.SSHWorkload})}, robot(), "server/web-1", []string{"p/r/ssh:wl_backup"}, nil, access.Given},
		{"a person as no workload's user", []policy.Rule{onServer("r", "web-1", policy.Privilege{Type: policy.SSHWorkload})}, carol(), "server/web-1", []string{}, nil, access.Refused},
		{"a workload of another role", []policy.Rule{onServer("r", "web-1", ssh("root"))}, robot("deploy"), "server/web-1", []string{}, nil, access.Refused},
		{"of several, what needs nobody remains, all of it", []policy.Rule{
			onServer("a", "web-1", ssh("root")), onServer("b", "web-1", ssh("dba")), onServer("c", "web-1", ssh("root"), proves(1800)),
		}, robot(), "server/web-1", []string{"p/a/ssh:root", "p/b/ssh:dba"}, []string{"p/c/ssh:root"}, access.Filtered},
		{"none remains", []policy.Rule{onServer("a", "web-1", ssh("root"), asks("prod")), onServer("b", "web-1", ssh("root"), alone(0))},
			robot(), "server/web-1", []string{}, []string{"p/a/ssh:root", "p/b/ssh:root"}, access.Cancelled},
		{"a workload that may wait waits", []policy.Rule{waits(onServer("a", "web-1", ssh("root"), asks("prod")))}, robot(), "server/web-1", []string{"p/a/ssh:root !"}, nil, access.Given},
		{"a rule that is not true", []policy.Rule{only(onServer("r", "web-1", ssh("root")), `resource.labels["env"] == "dev"`)}, carol(), "server/web-1", []string{}, nil, access.Refused},
		{"who somebody is", []policy.Rule{only(onServer("r", "web-1", ssh("root")), `claims.sub == "carol" && "ops" in claims.groups`)}, carol(), "server/web-1", []string{"p/r/ssh:root"}, nil, access.Given},
		{"what a workload's token carries", []policy.Rule{only(onServer("r", "web-1", ssh("root")), `claims.ref == "main"`)}, robot(), "server/web-1", []string{"p/r/ssh:root"}, nil, access.Given},
		{"when it is", []policy.Rule{only(onServer("r", "web-1", ssh("root")), `time.getHours() == 12`)}, carol(), "server/web-1", []string{"p/r/ssh:root"}, nil, access.Given},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newScene(t)
			x.publish("p", tt.rules...)
			got := x.resolve(tt.subject, tt.ref)
			if diff := cmp.Diff(tt.want, methods(got)); diff != "" || got.Outcome != tt.outcome {
				t.Errorf("%s, want %s; methods (-want +got):\n%s", got.Outcome, tt.outcome, diff)
			}
			if diff := cmp.Diff(tt.left, leftOut(got)); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMethodSaysAllAboutItself(t *testing.T) {
	x := newScene(t)
	x.project("shared", resource.Checkout{Required: true, MaxSeconds: 7200})
	x.publishFor("p", policy.Principals{Groups: []domain.Name{"web", "ops", "dev"}}, breakable(onServer("r", "web-1", ssh("dba"), asks("prod"), proves(1800), alone(1800)), 900))
	x.checkout("dave", "server/web-1", "dba", time.Hour)
	got := x.resolve(carol("web", "ops"), "server/web-1")
	want := []access.Method{{
		ID: "p/r/ssh:dba", Kind: access.SSH, Account: "dba", Username: "postgres", Policy: "p", Rule: "r", Through: "group/ops",
		CheckedOutBy: "dave", CheckedOutUntil: noon.Add(time.Hour), BreakGlass: 900,
		Requires: []access.Requirement{
			{Type: policy.AccessRequest, RequestType: "prod", Seconds: 3600, Description: "Raise an access request; once approved as prod says, it holds for 1h."},
			{Type: policy.MFA, Seconds: 1800, Description: "Sign in to the console with a passkey; that counts for 30m."},
			{Type: policy.Checkout, Seconds: 1800, Description: "dave has it checked out until 2026-11-22T13:00:00Z: wait, or ask them to release it."},
		},
	}}
	if diff := cmp.Diff(want, got.Methods); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Each condition, as it stands, with the first moment at which it stands no more.
func TestWhatMeetsACondition(t *testing.T) {
	const id, web = "p/r/ssh:root", resource.Ref("server/web-1")
	proved := carol()
	proved.MFAAt = noon.Add(-10 * time.Minute)
	just := func(ago time.Duration, spent bool) access.Subject {
		who := carol()
		who.MFAAt, who.MFASpent = noon.Add(-ago), spent
		return who
	}
	for _, tt := range []struct {
		name      string
		condition policy.Condition
		glass     int
		subject   access.Subject
		given     func(x *scene)
		met       bool
		until     time.Time
		says      string
	}{
		{"nobody has approved", asks("prod"), 0, carol(), func(*scene) {}, false, time.Time{}, "Raise an access request"},
		{"a request is under way", asks("prod"), 0, carol(), func(x *scene) { x.raise(carol(), web, id, "prod", 3600) }, false, time.Time{}, "Wait until request 01KASE"},
		{"it was approved", asks("prod"), 0, carol(), func(x *scene) { x.approve(carol(), web, id, "prod", 3600) }, true, noon.Add(time.Hour), "Approved until 2026-11-22T13:00:00Z"},
		{"that is over", asks("prod"), 0, carol(), func(x *scene) { x.approve(carol(), web, id, "prod", 3600); x.now = noon.Add(time.Hour) }, false, time.Time{}, "Raise an access request"},
		{"what holds longer holds", asks("prod"), 900, carol(), func(x *scene) {
			x.approve(carol(), web, id, "prod", 60)
			x.glass("carol", web, id, 15*time.Minute)
		}, true, noon.Add(15 * time.Minute), "broke glass"},
		{"either way", asks("prod"), 900, carol(), func(x *scene) {
			x.approve(carol(), web, id, "prod", 3600)
			x.glass("carol", web, id, 15*time.Minute)
		}, true, noon.Add(time.Hour), "Approved until"},
		{"glass was broken", asks("prod"), 900, carol(), func(x *scene) { x.glass("carol", web, id, 15*time.Minute) }, true, noon.Add(15 * time.Minute), "somebody else has to review"},
		{"that is over, too", asks("prod"), 900, carol(), func(x *scene) { x.glass("carol", web, id, 15*time.Minute); x.now = noon.Add(15 * time.Minute) }, false, time.Time{}, "Raise"},
		{"glass before a rule that has none any more", asks("prod"), 0, carol(), func(x *scene) { x.glass("carol", web, id, 15*time.Minute) }, false, time.Time{}, "Raise"},
		{"glass of somebody else", asks("prod"), 900, carol(), func(x *scene) { x.glass("dave", web, id, 15*time.Minute) }, false, time.Time{}, "Raise"},
		{"a type that is not there", asks("gone"), 0, carol(), func(*scene) {}, false, time.Time{}, "is not published or not there"},
		{"and glass before it", asks("gone"), 900, carol(), func(x *scene) { x.glass("carol", web, id, 15*time.Minute) }, true, noon.Add(15 * time.Minute), "broke glass"},
		{"no passkey", proves(1800), 0, carol(), func(*scene) {}, false, time.Time{}, "Sign in to the console with a passkey"},
		{"a fresh one", proves(1800), 0, proved, func(*scene) {}, true, noon.Add(20 * time.Minute), "counts until 2026-11-22T12:20:00Z"},
		{"of the default freshness", policy.Condition{Type: policy.MFA}, 0, proved, func(*scene) {}, true, noon.Add(20 * time.Minute), ""},
		{"a stale one", proves(600), 0, proved, func(*scene) {}, false, time.Time{}, "counts for 10m"},
		{"one that will be", proves(1800), 0, just(-time.Hour, false), func(*scene) {}, false, time.Time{}, "counts for 30m"},
		{"every time is not lately", proves(0), 0, proved, func(*scene) {}, false, time.Time{}, "for this use"},
		{"every time is just now", proves(0), 0, just(time.Minute, false), func(*scene) {}, true, noon.Add(4 * time.Minute), "opens one thing, until 2026-11-22T12:04:00Z"},
		{"by a clock that is a little ahead", proves(0), 0, just(-20*time.Second, false), func(*scene) {}, true, noon.Add(5*time.Minute + 20*time.Second), ""},
		{"and not by one that is far ahead", proves(0), 0, just(-time.Minute, false), func(*scene) {}, false, time.Time{}, "for this use"},
		{"not five minutes later", proves(0), 0, just(access.EveryTime, false), func(*scene) {}, false, time.Time{}, "sallyport login"},
		{"not what is spent", proves(0), 0, just(time.Minute, true), func(*scene) {}, false, time.Time{}, "for this use"},
		{"not without any proof", proves(0), 0, carol(), func(*scene) {}, false, time.Time{}, "for this use"},
		{"what is spent is lately all the same", proves(1800), 0, just(time.Minute, true), func(*scene) {}, true, noon.Add(29 * time.Minute), ""},
		{"nobody has it", alone(0), 0, carol(), func(*scene) {}, false, time.Time{}, "Check it out first, for up to 1h."},
		{"the subject has it", alone(0), 0, carol(), func(x *scene) { x.checkout("carol", web, "root", time.Hour) }, true, noon.Add(time.Hour), "until 2026-11-22T13:00:00Z"},
		{"had it", alone(0), 0, carol(), func(x *scene) { x.checkout("carol", web, "root", time.Hour); x.now = noon.Add(time.Hour) }, false, time.Time{}, "Check it out"},
		{"somebody else has it", alone(0), 0, carol(), func(x *scene) { x.checkout("dave", web, "root", time.Hour) }, false, time.Time{}, "dave has it checked out"},
		{"what is not known here is not met", policy.Condition{Type: "gateway"}, 0, proved, func(*scene) {}, false, time.Time{}, "does not know"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newScene(t)
			rule := onServer("r", "web-1", ssh("root"), tt.condition)
			if tt.glass > 0 {
				rule = breakable(rule, tt.glass)
			}
			x.logged("p", rule)
			tt.given(x)
			got := requirement(t, x.resolve(tt.subject, web), id, tt.condition.Type)
			if got.Met != tt.met || !got.Until.Equal(tt.until) || !strings.Contains(got.Description, tt.says) || !strings.HasSuffix(got.Description, ".") {
				t.Errorf("met %v until %s: %q; want %v until %s: %q", got.Met, got.Until, got.Description, tt.met, tt.until, tt.says)
			}
		})
	}
}

// logged has a policy published by the log, whatever the rules of writing say.
func (x *scene) logged(n domain.Name, rules ...policy.Rule) {
	x.t.Helper()
	x.logFor(n, policy.Principals{Groups: []domain.Name{"ops"}, Roles: []domain.Name{"backup"}}, rules...)
}

func (x *scene) logFor(n domain.Name, p policy.Principals, rules ...policy.Rule) {
	x.t.Helper()
	spec := policy.Spec{Principals: p, Rules: rules}
	facts := []domain.Fact{
		{Subject: "policy/" + n.String(), Event: policy.WasDrafted{Spec: spec}}, {Subject: "policy/" + n.String(), Event: policy.WasPublished{Version: 1}},
	}
	x.fold(facts, nil, admin.ID, func(e domain.Envelope) (err error) { x.w.Policies, err = policy.Evolve(x.w.Policies, e); return })
}

// What a project asks to be checked out is asked of every rule, and only of what
// can be had alone.
func TestWhatAProjectWantsCheckedOut(t *testing.T) {
	x := newScene(t)
	p, _ := x.w.Resources.Project("pay")
	x.resources(resource.EditProject{Name: "pay", Version: p.Version, Spec: resource.ProjectSpec{Checkout: resource.Checkout{Required: true, MaxSeconds: 7200}}})
	x.publish("p", onServer("a", "web-1", ssh("root", "me")), onServer("b", "web-1", ssh("root"), alone(900)),
		onServer("w", "web-1", policy.Privilege{Type: policy.SSHWorkload}), onFolder("s", "payments", []policy.Action{policy.List, policy.Reveal}))
	if diff := cmp.Diff([]string{"p/a/ssh:me", "p/a/ssh:root !", "p/b/ssh:root !"}, methods(x.resolve(carol(), "server/web-1"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := requirement(t, x.resolve(carol(), "server/web-1"), "p/a/ssh:root", policy.Checkout).Seconds; got != 7200 {
		t.Errorf("the project's maximum is %d", got)
	}
	if got := requirement(t, x.resolve(carol(), "server/web-1"), "p/b/ssh:root", policy.Checkout).Seconds; got != 900 {
		t.Errorf("the rule's maximum is %d", got)
	}
	if diff := cmp.Diff([]string{"p/s/secret_list", "p/s/secret_reveal !"}, methods(x.resolve(carol(), "secret/payments/api-key"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got := x.resolve(robot(), "server/web-1")
	if diff := cmp.Diff([]string{"p/w/ssh:wl_backup"}, methods(got)); diff != "" || got.Outcome != access.Filtered {
		t.Errorf("a workload is %s (-want +got):\n%s", got.Outcome, diff)
	}
	x.checkout("carol", "server/web-1", "root", time.Hour)
	x.checkout("carol", "secret/payments/api-key", "", time.Hour)
	if got := methods(x.resolve(carol(), "server/web-1")); got[1] != "p/a/ssh:root" {
		t.Errorf("checked out it is %v", got)
	}
	if got := methods(x.resolve(carol(), "secret/payments/api-key")); got[1] != "p/s/secret_reveal" {
		t.Errorf("checked out it is %v", got)
	}
}

// A workload that waits is let in once people have agreed, and as long as the
// rule lets it wait.
func TestAWorkloadThatMayWait(t *testing.T) {
	x := newScene(t)
	rule := waits(onServer("r", "web-1", ssh("root"), asks("prod")))
	x.publish("p", rule)
	m, _ := access.Find(x.resolve(robot(), "server/web-1"), "p/r/ssh:root")
	if !m.MayWait || m.Open() || m.BreakGlass != 0 {
		t.Errorf("before: %+v", m)
	}
	x.approve(robot(), "server/web-1", "p/r/ssh:root", "prod", 3600)
	if got := methods(x.resolve(robot(), "server/web-1")); got[0] != "p/r/ssh:root" {
		t.Errorf("approved it is %v", got)
	}
	rule.WorkloadsMayWait = false
	x.publish("p", rule)
	if got := x.resolve(robot(), "server/web-1"); got.Outcome != access.Cancelled {
		t.Errorf("a rule that has nobody wait any more answers %s, %v", got.Outcome, methods(got))
	}
}

func TestEverythingOneReaches(t *testing.T) {
	x := newScene(t)
	x.publish("p",
		policy.Rule{Name: "web", Resource: policy.Selector{Labels: map[string]string{"env": "prod", "tier": "web"}}, Privileges: []policy.Privilege{ssh("root")}},
		onServer("db", "db-1", ssh("root"), asks("prod")), onFolder("read", "payments/db", reveals()),
		onFolder("put", "payments", []policy.Action{policy.Create}), onFolder("deep", "payments/db", []policy.Action{policy.Create}),
		policy.Rule{Name: "one", Resource: policy.Selector{Secret: "new/key"}, Privileges: []policy.Privilege{{Type: policy.Secret, Actions: []policy.Action{policy.Create}}}},
		policy.Rule{Name: "there", Resource: policy.Selector{Secret: "payments-old/key"}, Privileges: []policy.Privilege{{Type: policy.Secret, Actions: []policy.Action{policy.Create}}}},
		onServer("none", "web-1", ssh("nobody")))
	list := func(s access.Subject) (out []string) {
		for _, r := range access.ResolveAll(x.w, s, x.now) {
			out = append(out, string(r.Resource.Ref)+": "+strings.Join(methods(r.Answer), ", "))
		}
		return out
	}
	want := []string{
		"secret/new/key: p/one/secret_create",
		"secret/payments/: p/put/secret_create",
		"secret/payments/db/: p/deep/secret_create, p/put/secret_create",
		"secret/payments/db/password: p/read/secret_reveal",
		"server/db-1: p/db/ssh:root !",
		"server/web-1: p/web/ssh:root",
	}
	if diff := cmp.Diff(want, list(carol())); diff != "" {
		t.Errorf("carol (-want +got):\n%s", diff)
	}
	if got := list(robot()); len(got) != 5 || strings.Contains(strings.Join(got, " "), "db-1") {
		t.Errorf("what needs a human is not reached by a workload: %v", got)
	}
	if got := list(carol("dev")); got != nil {
		t.Errorf("somebody else reaches %v", got)
	}
}
