package control_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/role"
	"sallyport.dev/projections/control"
)

const ours = "https://sallyport.example/orgs/default"

// named is a connection that names its workloads by that claim below that path.
func named(by claim.Path, path string) connection.Spec {
	s := spec("https://idp.example")
	s.IdentityClaim, s.IdentityPath = by, path
	return s
}

// active drafts and activates a connection.
func (h *history) active(name string, s connection.Spec) *history {
	return h.control("connection/"+name, "devops", connection.WasDrafted{Spec: s}).
		control("connection/"+name, "security", connection.WasActivated{Version: 1})
}

// role creates a workload role for tokens of a connection.
func (h *history) role(name string, of domain.Name, cs ...claim.Condition) *history {
	return h.control("role/"+name, "security", role.WasCreated{Spec: role.Spec{Requirements: []role.Requirement{{Connection: of, Conditions: cs}}}})
}

func equals(path, value string) claim.Condition {
	return claim.Condition{Claim: claim.Path(path), Operator: claim.Equals, Value: value}
}

// minted is the claims of a token of ours, as they are read back from one.
type minted struct {
	connection, identity, hint string
	audience                   string // ours unless stated
	issued                     time.Time
	claims                     string // of the source
}

func (m minted) set(t testing.TB) claim.Set {
	t.Helper()
	if m.audience == "" {
		m.audience = ours
	}
	if m.claims == "" {
		m.claims = `{}`
	}
	var source map[string]any
	d := json.NewDecoder(strings.NewReader(m.claims))
	d.UseNumber()
	if err := d.Decode(&source); err != nil {
		t.Fatal(err)
	}
	return claim.Set{
		"iss": ours, "aud": m.audience, "sub": "workload://default/" + m.connection + "/" + m.identity,
		"iat":       json.Number(strconv.FormatInt(m.issued.Unix(), 10)),
		"sallyport": map[string]any{"connection": m.connection, "identity": m.identity, "role_hint": m.hint, "claims": source},
	}
}

func subject(p *control.Projection, claims claim.Set, choice domain.Name, now time.Time) access.Subject {
	return read(p, func(s *control.State) access.Subject { return s.WorkloadSubject(claims, choice, now) })
}

// Ten ways and more to bear a role that one should not, each of a token whose
// signature is ours and which holds.
func TestNoTokenBearsARoleItShouldNot(t *testing.T) {
	later := noon.Add(time.Hour)
	ci := func() *history { return begin().active("ci", named("sub", "")) }
	bySub := ci().role("deploy", "ci", equals("sub", "app"))
	below := begin().active("ci", named("sub", "a/b")).role("deploy", "ci", equals("sub", "c"))
	byMail := begin().active("ci", named("email", "")).role("deploy", "ci", equals("sub", "app"))
	for _, tt := range []struct {
		name   string
		given  *history
		token  minted
		choice domain.Name
		want   string // roles
	}{
		// What is as it should be, so that the rest fails for its own reason.
		{"sub is known where workloads are named by it", bySub, minted{connection: "ci", identity: "app", issued: later}, "", "deploy"},
		{"the identity path is taken off sub", below, minted{connection: "ci", identity: "a/b/c", issued: later}, "", "deploy"},
		{"a role that is asked for and borne", bySub, minted{connection: "ci", identity: "app", issued: later}, "deploy", "deploy"},

		{"a hint that does not match is not among the others either", ci().role("deploy", "ci", equals("env", "prod")).role("read", "ci"),
			minted{connection: "ci", identity: "app", hint: "deploy", issued: later, claims: `{"env":"dev"}`}, "", ""},
		{"who asks for a role bears it no more than who hints at it", ci().role("deploy", "ci", equals("env", "prod")).role("read", "ci"),
			minted{connection: "ci", identity: "app", issued: later, claims: `{"env":"dev"}`}, "deploy", ""},
		{"who asks for another role than it hints at gets that one, if it is borne", ci().role("deploy", "ci", equals("env", "prod")).role("read", "ci"),
			minted{connection: "ci", identity: "app", hint: "deploy", issued: later, claims: `{"env":"dev"}`}, "read", "read"},
		{"a source's claim called role_hint is no hint", ci().role("deploy", "ci").role("read", "ci"),
			minted{connection: "ci", identity: "app", issued: later, claims: `{"role_hint":"deploy","roles":["deploy"]}`}, "", "deploy read"},

		{"a sub among the source's claims is not sub", byMail, minted{connection: "ci", identity: "x@acme.example", issued: later, claims: `{"sub":"app"}`}, "", ""},
		{"an identity that is no sub is not sub", byMail, minted{connection: "ci", identity: "app", issued: later}, "", ""},
		{"a claim called /sub is not sub", byMail, minted{connection: "ci", identity: "x", issued: later, claims: `{"/sub":"app","sub/":"app","Sub":"app"}`}, "", ""},
		{"a claim inside sallyport is not sub", byMail, minted{connection: "ci", identity: "x", issued: later, claims: `{"sallyport":{"identity":"app","claims":{"sub":"app"}}}`}, "", ""},
		{"a sub further in is another claim", begin().active("ci", named("/act/sub", "")).role("deploy", "ci", equals("sub", "app")),
			minted{connection: "ci", identity: "app", issued: later, claims: `{"act":{"sub":"app"}}`}, "", ""},

		{"a/b + c is not a + b/c", begin().active("ci", named("sub", "a")).role("deploy", "ci", equals("sub", "c")),
			minted{connection: "ci", identity: "a/b/c", issued: later}, "", ""},
		{"a path that only begins alike is not taken off", begin().active("ci", named("sub", "a")).role("deploy", "ci", equals("sub", "/c"), equals("sub", "b/c")),
			minted{connection: "ci", identity: "ab/c", issued: later}, "", ""},
		{"an identity without the path is of another version", begin().active("ci", named("sub", "a")).role("deploy", "ci", equals("sub", "app")),
			minted{connection: "ci", identity: "app", issued: later}, "", ""},
		{"an identity that is the path alone is empty", begin().active("ci", named("sub", "a")).role("deploy", "ci", claim.Condition{Claim: "sub", Operator: claim.Exists}),
			minted{connection: "ci", identity: "a/", issued: later}, "", ""},

		{"a token for somebody else bears nothing", bySub, minted{connection: "ci", identity: "app", audience: "https://vault.example", issued: later}, "", ""},
		{"a token for somebody else, whose claims stand flat, bears nothing", ci().role("deploy", "ci", equals("/kubernetes.io~1namespace", "prod")).role("all", "ci"),
			minted{connection: "ci", identity: "app", audience: "sts", issued: later, claims: `{"kubernetes.io/namespace":"prod"}`}, "", ""},

		{"null, [] and {} are absent", ci().role("deploy", "ci", claim.Condition{Claim: "env", Operator: claim.Exists}).role("two", "ci", claim.Condition{Claim: "e", Operator: claim.Exists}, claim.Condition{Claim: "f", Operator: claim.Exists}),
			minted{connection: "ci", identity: "app", issued: later, claims: `{"env":null,"e":[],"f":{}}`}, "", ""},
		{"a neighbour of a closed prefix", ci().role("deploy", "ci", claim.Condition{Claim: "repo", Operator: claim.StartsWith, Value: "acme/"}),
			minted{connection: "ci", identity: "app", issued: later, claims: `{"repo":"acme-evil/app"}`}, "", ""},
		{"a flat claim does not forge a pointer's", ci().role("deploy", "ci", equals("/k8s/namespace", "prod")),
			minted{connection: "ci", identity: "app", issued: later, claims: `{"k8s/namespace":"prod","/k8s/namespace":"prod"}`}, "", ""},
		{"a list with the value is not the value", ci().role("deploy", "ci", equals("groups", "prod")),
			minted{connection: "ci", identity: "app", issued: later, claims: `{"groups":["prod"]}`}, "", ""},

		{"a connection of nobody", ci().role("deploy", "ci"), minted{connection: "cd", identity: "app", issued: later}, "", ""},
		{"no connection", ci().role("deploy", "ci"), minted{identity: "app", issued: later}, "", ""},
		{"a token without an identity", ci().role("deploy", "ci"), minted{connection: "ci", issued: later}, "", ""},
		{"an inactive connection", ci().role("deploy", "ci").control("connection/ci", "security", connection.WasDeactivated{}),
			minted{connection: "ci", identity: "app", issued: later}, "", ""},
		{"a deleted connection", ci().role("deploy", "ci").control("connection/ci", "security", connection.WasDeactivated{}).control("connection/ci", "security", connection.WasDeleted{}),
			minted{connection: "ci", identity: "app", issued: later}, "", ""},
		{"a draft", begin().control("connection/ci", "devops", connection.WasDrafted{Spec: named("sub", "")}).role("deploy", "ci"),
			minted{connection: "ci", identity: "app", issued: later}, "", ""},
		{"a deleted role", ci().role("deploy", "ci").control("role/deploy", "security", role.WasDeleted{}),
			minted{connection: "ci", identity: "app", hint: "deploy", issued: later}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := subject(folded(t, tt.given), tt.token.set(t), tt.choice, later)
			if roles := joined(got.Roles); roles != tt.want {
				t.Errorf("it bears %q, want %q", roles, tt.want)
			}
			if !got.Workload() {
				t.Error("it is not a workload's")
			}
		})
	}
}

func joined(ns []domain.Name) string {
	var out []string
	for _, n := range ns {
		out = append(out, n.String())
	}
	return strings.Join(out, " ")
}

// A connection that names its workloads otherwise since a token was issued does
// not make that token's identity a sub, nor half of it.
func TestSubIsNotKnownAcrossAnotherWayToNameWorkloads(t *testing.T) {
	rename := func(h *history, version uint64, s connection.Spec) *history {
		return h.control("connection/ci", "security", connection.WasEdited{Version: version, Spec: s, Pending: true}).
			control("connection/ci", "security2", connection.WasActivated{Version: version})
	}
	described := named("sub", "")
	described.Description = "another"
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	for _, tt := range []struct {
		name   string
		given  *history
		issued time.Time
		want   string
	}{
		{"named by mail when issued, by sub now", rename(begin().active("ci", named("email", "")).after(10*time.Minute), 2, named("sub", "")), at(5), ""},
		{"within the skew of clocks after the change", rename(begin().active("ci", named("email", "")).after(10*time.Minute), 2, named("sub", "")), at(10).Add(29 * time.Second), ""},
		{"after the change", rename(begin().active("ci", named("email", "")).after(10*time.Minute), 2, named("sub", "")), at(11), "deploy"},
		{"below another path when issued", rename(begin().active("ci", named("sub", "a")).after(10*time.Minute), 2, named("sub", "")), at(5), ""},
		{"a change of something else is none", rename(begin().active("ci", named("sub", "")).after(10*time.Minute), 2, described), at(5), "deploy"},
		{"switched off and on again", begin().active("ci", named("sub", "")).after(10*time.Minute).
			control("connection/ci", "security", connection.WasDeactivated{}).control("connection/ci", "security", connection.WasActivated{Version: 1}), at(5), "deploy"},
		{"away and back again", rename(rename(begin().active("ci", named("sub", "")).after(10*time.Minute), 2, named("email", "")).after(10*time.Minute), 3, named("sub", "")), at(5), ""},
		{"pending is not active", begin().active("ci", named("sub", "")).
			control("connection/ci", "security", connection.WasEdited{Version: 2, Spec: named("email", ""), Pending: true}), at(5), "deploy"},
		{"a token without a time, after a change", rename(begin().active("ci", named("email", "")).after(10*time.Minute), 2, named("sub", "")), time.Time{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := folded(t, tt.given.role("deploy", "ci", equals("sub", "app")))
			got := subject(p, minted{connection: "ci", identity: "app", issued: tt.issued}.set(t), "", at(60))
			if roles := joined(got.Roles); roles != tt.want {
				t.Errorf("it bears %q, want %q", roles, tt.want)
			}
		})
	}
}

// A role that is edited, or whose name another role has then, bites a token
// that is out.
func TestAnEditOfARoleBitesTokensThatAreOut(t *testing.T) {
	h := begin().active("ci", named("sub", "")).role("deploy", "ci", equals("env", "prod"))
	token := minted{connection: "ci", identity: "app", issued: noon, claims: `{"env":"prod"}`}.set(t)
	p := folded(t, h)
	if got := joined(subject(p, token, "", noon).Roles); got != "deploy" {
		t.Fatalf("it bears %q", got)
	}
	h.control("role/deploy", "security", role.WasEdited{Version: 2, Spec: role.Spec{Requirements: []role.Requirement{{Connection: "ci", Conditions: []claim.Condition{equals("env", "stage")}}}}}).
		role("deployers", "ci", equals("env", "prod"))
	p = folded(t, h)
	if got := joined(subject(p, token, "deploy", noon).Roles); got != "" {
		t.Errorf("after the edit it bears %q under the old name", got)
	}
	got := subject(p, token, "", noon)
	if joined(got.Roles) != "deployers" || got.Usernames["deployers"] != "wl_deployers" || len(got.Usernames) != 1 {
		t.Errorf("after the edit it bears %v as %v", got.Roles, got.Usernames)
	}
}

// What a token may hold of any type, if ever a signature of ours stood below it,
// breaks nothing and bears nothing.
func TestATokenOfAnotherFormBearsNothing(t *testing.T) {
	p := folded(t, begin().active("ci", named("sub", "")).role("deploy", "ci"))
	good := minted{connection: "ci", identity: "app", issued: noon}.set(t)
	for _, name := range slices.Sorted(maps.Keys(good)) {
		for _, v := range []any{nil, true, json.Number("1e999"), []any{ours}, map[string]any{"a": []any{}}} {
			bad := maps.Clone(good)
			bad[name] = v
			got := subject(p, bad, "", noon)
			if must := name == "iss" || name == "aud" || name == "sallyport"; must && len(got.Roles) > 0 {
				t.Errorf("with %s = %v it bears %v", name, v, got.Roles)
			}
		}
	}
	if got := subject(p, nil, "deploy", noon); len(got.Roles) > 0 || !got.Workload() {
		t.Errorf("no claims bear %v", got.Roles)
	}
}

// The claims that decisions see are a copy: what is put in is not in the token's.
func TestASubjectOwnsItsClaims(t *testing.T) {
	p := folded(t, begin().active("ci", named("sub", "")))
	token := minted{connection: "ci", identity: "app", issued: noon, claims: `{"aud":"x","env":"prod"}`}.set(t)
	got := subject(p, token, "", noon)
	if len(got.Claims) != 2 || got.Claims["sub"] != "app" || got.Claims["env"] != "prod" {
		t.Errorf("its claims are %v", got.Claims)
	}
	source := token["sallyport"].(map[string]any)["claims"].(map[string]any)
	if source["aud"] != "x" || source["sub"] != nil {
		t.Errorf("the token's are now %v", source)
	}
	if got.ID != "workload://default/ci/app" || got.Connection != "ci" || got.Identity != "app" {
		t.Errorf("it is %+v", got)
	}
}

func TestAPersonIsNoWorkload(t *testing.T) {
	p := folded(t, begin())
	got := read(p, func(s *control.State) access.Subject { return s.PersonSubject(domain.Actor{ID: "dana"}, noon) })
	if got.Workload() || got.ID != "dana" || got.Person != "dana" || len(got.Roles) > 0 {
		t.Errorf("it is %+v", got)
	}
}
