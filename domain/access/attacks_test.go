package access_test

import (
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
)

// Each row is a way to a door that one should not have: nothing of it may be
// open. Its twin beside it, with what is right, shows that the row fails for
// the reason that it names.
func TestDoorsThatStayShut(t *testing.T) {
	const web, db, key, id = resource.Ref("server/web-1"), resource.Ref("server/db-1"), resource.Ref("secret/payments/api-key"), "p/r/ssh:root"
	root := onServer("r", "web-1", ssh("root"))
	approved := onServer("r", "web-1", ssh("root"), asks("prod"))
	labelled := func(labels map[string]string) policy.Rule {
		return policy.Rule{Name: "r", Resource: policy.Selector{Labels: labels}, Privileges: []policy.Privilege{ssh("root")}}
	}
	in := func(s policy.Selector) policy.Rule {
		return policy.Rule{Name: "r", Resource: s, Privileges: []policy.Privilege{{Type: policy.Secret, Actions: reveals()}, ssh("root")}}
	}
	ask := func(s access.Subject, ref resource.Ref) func(*scene) access.Answer {
		return func(x *scene) access.Answer { return x.resolve(s, ref) }
	}
	rules := func(r ...policy.Rule) func(*scene) { return func(x *scene) { x.publish("p", r...) } }
	log := func(r ...policy.Rule) func(*scene) { return func(x *scene) { x.logged("p", r...) } }
	and := func(steps ...func(*scene)) func(*scene) {
		return func(x *scene) {
			for _, step := range steps {
				step(x)
			}
		}
	}
	approve := func(s access.Subject, ref resource.Ref, method string, typ domain.Name) func(*scene) {
		return func(x *scene) { x.approve(s, ref, method, typ, 3600) }
	}
	later := func(d time.Duration) func(*scene) { return func(x *scene) { x.now = x.now.Add(d) } }
	secret := func(path string) func(*scene) { return func(x *scene) { x.secret(path) } }
	dave := access.Subject{ID: "dave", Person: "dave", Groups: []domain.Name{"ops"}}
	postgres := access.Subject{ID: "postgres", Person: "postgres", Groups: []domain.Name{"ops"}}
	appuser := access.Subject{ID: "appuser", Person: "appuser", Groups: []domain.Name{"ops"}}
	app := and(func(x *scene) {
		x.server("app-1", nil, resource.Account{Name: "app", Kind: resource.Vaulted, Username: "appuser"})
	}, rules(onServer("r", "app-1", ssh("me"))))
	bare := robot()
	bare.Usernames = nil
	disguised := robot("ops")
	disguised.Groups = []domain.Name{"ops"}
	burdened := carol("backup")
	burdened.Roles = []domain.Name{"backup"}

	wordy := robot()
	wordy.Claims = map[string]any{"text": strings.Repeat("x", 9000)}

	for _, tt := range []struct {
		name      string
		given     func(*scene)
		ask       func(*scene) access.Answer
		right     func(*scene) // what would be right
		rightAsks func(*scene) access.Answer
	}{
		{"the label of another value", rules(labelled(map[string]string{"env": "pro"})), ask(carol(), web), rules(labelled(map[string]string{"env": "prod"})), nil},
		{"one label of two", rules(labelled(map[string]string{"env": "prod", "tier": "db"})), ask(carol(), web), nil, ask(carol(), db)},
		{"an empty label is not one that is absent", rules(labelled(map[string]string{"zone": ""})), ask(carol(), web), rules(labelled(map[string]string{"env": "prod"})), nil},
		{"a selector that the log left empty is about nothing", log(in(policy.Selector{})), ask(carol(), web), log(in(policy.Selector{Server: "web-1"})), nil},
		{"nor is one of no labels about everything", log(in(policy.Selector{Labels: map[string]string{}})), ask(carol(), key), log(in(policy.Selector{Folder: "payments"})), nil},
		{"a folder whose name begins alike", rules(onFolder("r", "pay", reveals())), ask(carol(), key), rules(onFolder("r", "payments", reveals())), nil},
		{"a folder whose name goes on", rules(onFolder("r", "payments", reveals())), ask(carol(), "secret/payments-old/key"), nil, ask(carol(), key)},
		{"a secret called like the folder is not below it", and(secret("payments"), rules(onFolder("r", "payments", reveals()))), ask(carol(), "secret/payments"), nil, ask(carol(), key)},
		{"a folder in another case", log(onFolder("r", "Payments", reveals())), ask(carol(), key), log(onFolder("r", "payments", reveals())), nil},
		{"a secret called like the server", and(secret("web-1"), log(in(policy.Selector{Server: "web-1"}))), ask(carol(), "secret/web-1"), nil, ask(carol(), web)},
		{"a server called like the secret", log(in(policy.Selector{Secret: "web-1"})), ask(carol(), web), and(secret("web-1"), log(in(policy.Selector{Secret: "web-1"}))), ask(carol(), "secret/web-1")},
		{"a secret's privilege on a server, from the log", log(policy.Rule{Name: "r", Resource: policy.Selector{Server: "web-1"}, Privileges: []policy.Privilege{{Type: policy.Secret, Actions: reveals()}}}), ask(carol(), web), rules(root), nil},

		{"a workload whose role is called like the group", rules(root), ask(robot("ops"), web), nil, ask(carol("ops"), web)},
		{"a person whose group is called like the role", rules(root), ask(carol("backup"), web), nil, ask(robot("backup"), web)},
		{"a workload that has groups", rules(root), ask(disguised, web), nil, ask(robot(), web)},
		{"a person who has roles", rules(root), ask(burdened, web), nil, ask(carol(), web)},
		{"nobody at all", rules(root), ask(access.Subject{}, web), nil, ask(carol(), web)},
		{"a role of which nobody knows who it is on servers", rules(onServer("r", "web-1", policy.Privilege{Type: policy.SSHWorkload})), ask(bare, web), nil, ask(robot(), web)},
		{"a workload as a person's own user", rules(onServer("r", "web-1", ssh("me"))), ask(robot(), web), nil, ask(carol(), web)},
		{"a person called like the user of a vaulted account", app, ask(appuser, "server/app-1"), nil, ask(dave, "server/app-1")},
		{"a person called like a user that servers have", rules(onServer("r", "web-1", ssh("me"))), ask(postgres, web), nil, ask(dave, web)},

		{"a draft", func(x *scene) { x.write("p", policy.Principals{Groups: []domain.Name{"ops"}}, root) }, ask(carol(), web), rules(root), nil},
		{"an edit that is not published", and(rules(approved), func(x *scene) { x.write("p", policy.Principals{Groups: []domain.Name{"ops"}}, root) }), ask(carol(), web), and(rules(approved), rules(root)), nil},
		{"one that was unpublished", and(rules(root), func(x *scene) { x.policies(policy.Unpublish{Name: "p", Version: 1}) }), ask(carol(), web), rules(root), nil},
		{"one that was deleted", and(rules(root), func(x *scene) { x.policies(policy.Remove{Name: "p", Version: 1}) }), ask(carol(), web), rules(root), nil},

		{"an expression over what is absent", rules(only(root, `claims.environment != "dev"`)), ask(robot(), web), rules(only(root, `claims.ref != "dev"`)), nil},
		{"an expression that fails on what it is asked", rules(only(root, `claims.ref > 3`)), ask(robot(), web), rules(only(root, `claims.ref > "a"`)), nil},
		{"an expression that takes too much, though it is true", rules(only(root, much(40)+"true")), ask(wordy, web), rules(only(root, much(1)+"true")), nil},
		{"an expression that is none, from the log", log(only(root, `true || (`)), ask(carol(), web), log(only(root, `true`)), nil},
		{"an expression about another's name", rules(only(root, `claims.sub == "dave"`)), ask(carol(), web), nil, ask(dave, web)},
		{"a time that is not yet", rules(only(root, `time >= timestamp("2026-11-22T12:00:01Z")`)), ask(carol(), web), and(rules(only(root, `time >= timestamp("2026-11-22T12:00:01Z")`)), later(time.Second)), nil},

		{"an approval of another account", and(rules(onServer("r", "web-1", ssh("root", "dba"), asks("prod"))), approve(carol(), web, "p/r/ssh:dba", "prod")), askOnly(carol(), web, id), and(rules(approved), approve(carol(), web, id, "prod")), nil},
		{"an approval of another rule", and(rules(approved, onServer("q", "web-1", ssh("root"), asks("prod"))), approve(carol(), web, "p/q/ssh:root", "prod")), askOnly(carol(), web, id), and(rules(approved), approve(carol(), web, id, "prod")), nil},
		{"an approval of another policy", and(rules(approved), approve(carol(), web, "q/r/ssh:root", "prod")), ask(carol(), web), and(rules(approved), approve(carol(), web, id, "prod")), nil},
		{"an approval of another server", and(rules(approved), approve(carol(), db, id, "prod")), ask(carol(), web), and(rules(approved), approve(carol(), web, id, "prod")), nil},
		{"an approval of somebody else", and(rules(approved), approve(dave, web, id, "prod")), ask(carol(), web), and(rules(approved), approve(carol(), web, id, "prod")), nil},
		{"an approval by fewer steps", and(func(x *scene) { x.requestType("easy") }, rules(approved), approve(carol(), web, id, "easy")), ask(carol(), web), and(rules(approved), approve(carol(), web, id, "prod")), nil},
		{"an approval of what the rule asked for before", and(func(x *scene) { x.requestType("easy") }, rules(onServer("r", "web-1", ssh("root"), asks("easy"))), approve(carol(), web, id, "easy"), rules(approved)), ask(carol(), web),
			and(func(x *scene) { x.requestType("easy") }, rules(onServer("r", "web-1", ssh("root"), asks("easy"))), approve(carol(), web, id, "easy")), nil},
		{"an approval whose time is over", and(rules(approved), approve(carol(), web, id, "prod"), later(time.Hour)), ask(carol(), web), and(rules(approved), approve(carol(), web, id, "prod"), later(time.Hour-1)), nil},
		{"an approval, after one left the group", and(rules(approved), approve(carol(), web, id, "prod")), ask(carol("dev"), web), nil, ask(carol(), web)},
		{"an approval for one who may wait no more", and(rules(waits(approved)), approve(robot(), web, id, "prod"), rules(approved)), ask(robot(), web), and(rules(waits(approved)), approve(robot(), web, id, "prod")), nil},
		{"a request that nobody has decided", and(rules(approved), func(x *scene) { x.raise(carol(), web, id, "prod", 3600) }), ask(carol(), web), and(rules(approved), approve(carol(), web, id, "prod")), nil},
		{"an approval, and no passkey", and(rules(onServer("r", "web-1", ssh("root"), asks("prod"), proves(1800))), approve(carol(), web, id, "prod")), ask(carol(), web), and(rules(approved), approve(carol(), web, id, "prod")), nil},

		{"a checkout of another account", and(rules(onServer("r", "web-1", ssh("root"), alone(0))), checkedOut("carol", web, "dba")), ask(carol(), web), and(rules(onServer("r", "web-1", ssh("root"), alone(0))), checkedOut("carol", web, "root")), nil},
		{"a checkout on another server", and(rules(onServer("r", "web-1", ssh("root"), alone(0))), checkedOut("carol", db, "root")), ask(carol(), web), and(rules(onServer("r", "web-1", ssh("root"), alone(0))), checkedOut("carol", web, "root")), nil},
		{"a checkout of somebody else", and(rules(onServer("r", "web-1", ssh("root"), alone(0))), checkedOut("dave", web, "root")), ask(carol(), web), nil, ask(dave, web)},
		{"what somebody else has, by a rule that asks for no checkout", and(rules(root), checkedOut("dave", web, "root")), ask(carol(), web), nil, ask(dave, web)},
		{"and for a workload", and(rules(root), checkedOut("dave", web, "root")), ask(robot(), web), rules(root), nil},
		{"a checkout by a workload", and(rules(onServer("r", "web-1", ssh("root"), alone(0))), checkedOut(robot().ID, web, "root")), ask(robot(), web), rules(root), nil},

		{"glass of another account", and(rules(breakable(onServer("r", "web-1", ssh("root", "dba"), asks("prod")), 900)), broken("carol", web, "p/r/ssh:dba")), askOnly(carol(), web, id), and(rules(breakable(approved, 900)), broken("carol", web, id)), nil},
		{"glass before a rule that has none", and(rules(approved), broken("carol", web, id)), ask(carol(), web), and(rules(breakable(approved, 900)), broken("carol", web, id)), nil},
		{"glass is no passkey", and(rules(breakable(onServer("r", "web-1", ssh("root"), asks("prod"), proves(0)), 900)), broken("carol", web, id)), ask(carol(), web), and(rules(breakable(approved, 900)), broken("carol", web, id)), nil},
		{"nor is it a checkout", and(rules(breakable(onServer("r", "web-1", ssh("root"), asks("prod"), alone(0)), 900)), broken("carol", web, id)), ask(carol(), web), and(rules(breakable(approved, 900)), broken("carol", web, id)), nil},
		{"glass that a workload broke", and(rules(waits(breakable(approved, 900))), broken(robot().ID, web, id)), ask(robot(), web), and(rules(waits(breakable(approved, 900))), approve(robot(), web, id, "prod")), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newScene(t)
			tt.given(x)
			for _, m := range tt.ask(x).Methods {
				if m.Open() {
					t.Errorf("%s is open", m.ID)
				}
			}
			if tt.right != nil {
				x = newScene(t)
				tt.right(x)
			}
			ask := tt.rightAsks
			if ask == nil {
				ask = tt.ask
			}
			if a := ask(x); len(a.Methods) == 0 || !a.Methods[0].Open() {
				t.Errorf("what is right is not open either, so this row shows nothing: %v", methods(a))
			}
		})
	}
}

// askOnly is the answer with one method alone.
func askOnly(s access.Subject, ref resource.Ref, id string) func(*scene) access.Answer {
	return func(x *scene) access.Answer {
		m, _ := access.Find(x.resolve(s, ref), id)
		return access.Answer{Methods: []access.Method{m}}
	}
}

func checkedOut(by string, ref resource.Ref, account domain.Name) func(*scene) {
	return func(x *scene) { x.checkout(by, ref, account, time.Hour) }
}

func broken(by string, ref resource.Ref, method string) func(*scene) {
	return func(x *scene) { x.glass(by, ref, method, 15*time.Minute) }
}

// much is the beginning of an expression that is true and looks at a long claim so many times.
func much(times int) string { return strings.Repeat(`!claims.text.contains("xxxy") && `, times) }

// Two policies, rules and accounts never make one method id between them: what
// parts them is in no name.
func TestMethodIDsDoNotMeet(t *testing.T) {
	x := newScene(t)
	x.server("web-2", nil, resource.Account{Name: "a", Kind: resource.Vaulted, Username: "a"}, resource.Account{Name: "wl-backup", Kind: resource.Vaulted, Username: "b"})
	x.publish("a-b", onServer("c", "web-2", ssh("a", "wl-backup")), onServer("ssh", "web-2", ssh("a")))
	x.publish("a", onServer("b-c", "web-2", ssh("a")), onServer("ssh", "web-2", policy.Privilege{Type: policy.SSHWorkload}))
	seen := map[string]bool{}
	for _, m := range x.resolve(robot(), "server/web-2").Methods {
		if seen[m.ID] {
			t.Errorf("%s is two", m.ID)
		}
		seen[m.ID] = true
	}
	if len(seen) != 5 {
		t.Errorf("there are %v", seen)
	}
}
