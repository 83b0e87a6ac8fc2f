package access_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/domain/access"
	"sallyport.dev/domain/resource"
)

const dbPassword = "payments/db/password"

// listed is the paths that somebody's list has.
func (h *house) listed(who, query string) (paths []string) {
	h.t.Helper()
	for _, s := range h.as(who, 200, "GET", "/secrets"+query, nil)["secrets"].([]any) {
		paths = append(paths, s.(doc)["path"].(string))
	}
	return paths
}

// writers gives the people of a group, and the workload, what the actions say
// below a folder, with whatever else the rule has.
func (h *house) writers(name, folder string, actions []string, more doc) {
	h.t.Helper()
	r := doc{"name": "rule", "resource": doc{"folder": folder}, "privileges": []doc{{"type": "secret", "actions": actions}}}
	for k, v := range more {
		r[k] = v
	}
	h.as("sec", 201, "POST", "/policies", doc{
		"name": name, "principals": doc{"groups": []string{"developers"}, "roles": []string{"deployers"}}, "rules": []doc{r},
	})
	h.as("sec", 200, "POST", "/policies/"+name+"/publish", nil, "If-Match", `"1"`)
}

// What may not be listed is as if it were not there: in the list, in a folder,
// and by its path.
func TestAListHasWhatThePolicyLets(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.as("res", 201, "POST", "/secrets", doc{"path": "payments-old/key", "project": "shop"})
	all := []string{"elsewhere/key", "payments-old/key", dbPassword}
	for who, want := range map[string][]string{"own": all, "sec": all, "res": all, "aud": all, "alice": {dbPassword}, "mallory": nil, h.workload(): nil} {
		if got := h.listed(who, ""); !slices.Equal(got, want) {
			t.Errorf("%.20s sees %v, want %v", who, got, want)
		}
	}
	for query, want := range map[string][]string{
		"?folder=payments": {dbPassword}, "?folder=payments/db": {dbPassword}, "?folder=pay": nil, "?folder=elsewhere": nil,
		"?path=elsewhere/key": nil, "?path=nothing/there": nil, "?path=" + dbPassword: {dbPassword}, "?folder=" + dbPassword: nil,
	} {
		if got := h.listed("alice", query); !slices.Equal(got, want) {
			t.Errorf("alice sees %v with %s, want %v", got, query, want)
		}
	}
	h.writers("machines-list", "payments", []string{"list"}, nil)
	if got := h.listed(h.workload(), "?role=deployers"); !slices.Equal(got, []string{dbPassword}) {
		t.Errorf("the workload sees %v", got)
	}
	if got := h.listed(h.workload(), "?role=others"); got != nil {
		t.Errorf("as a role that it does not bear it sees %v", got)
	}
	h.refused("alice", 422, "request.invalid", "GET", "/secrets?role=deployers", nil)
}

// There is one way to write a path, and no other leads to the same secret.
func TestNoOtherWayToWriteAPathLeadsThere(t *testing.T) {
	t.Parallel()
	h := build(t)
	for _, path := range []string{
		"payments/../elsewhere/key", "payments/./db/password", "payments//db/password", "/payments/db/password", "payments/db/password/",
		"Payments/db/password", "payments/db/password%00", "payments/db/passwor\u0064\u0301", "payments\\db\\password", "..", "", "payments/db/password ",
	} {
		for _, route := range []string{"/secrets", "/secrets/versions", "/secrets/destroy", "/secrets/delete"} {
			body := doc{"path": path, "project": "shop", "value": "x", "version": 1}
			for _, drop := range map[string][]string{"/secrets": {"version"}, "/secrets/versions": {"project", "version"}, "/secrets/destroy": {"project", "value"}, "/secrets/delete": {"project", "value", "version"}}[route] {
				delete(body, drop)
			}
			h.refused("res", 422, "request.invalid", "POST", route, body)
		}
		h.refused("alice", 422, "request.invalid", "POST", "/access/grants", doc{"resource": "secret/" + path, "method": reveal})
	}
	if got := h.as("alice", 200, "POST", "/access/grants", doc{"resource": password, "method": reveal})["value"]; got != "hunter2" {
		t.Errorf("it is now %v", got)
	}
}

// Who manages secrets puts and destroys them and reads none of them back.
func TestWhoManagesSecretsRevealsNone(t *testing.T) {
	t.Parallel()
	h := build(t)
	for _, who := range []string{"res", "own", "sec", "aud"} {
		h.refused(who, 403, "access.refused", "POST", "/access/grants", doc{"resource": password, "method": reveal})
		h.refused(who, 403, "access.refused", "POST", "/access/grants", doc{"resource": web, "method": "production/approved/reveal_password:deploy"})
	}
	for who, answer := range map[string]doc{
		"res": h.as("res", 200, "POST", "/secrets/versions", doc{"path": dbPassword, "value": "hunter3"}),
		"aud": h.as("aud", 200, "GET", "/secrets?path="+dbPassword, nil),
		"own": h.as("own", 200, "GET", "/servers/web-1", nil),
	} {
		if said := fmt.Sprint(answer); strings.Contains(said, "hunter") || strings.Contains(said, "deploys-password") {
			t.Errorf("%s is told %s", who, said)
		}
	}
}

// A destroyed version, and one of a secret that is gone, opens by no number.
func TestWhatIsDestroyedOpensByNoNumber(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.as("res", 200, "POST", "/secrets/versions", doc{"path": dbPassword, "value": "hunter3"})
	ask := func(version int) doc { return doc{"resource": password, "method": reveal, "version": version} }
	if got := h.as("alice", 200, "POST", "/access/grants", ask(1)); got["value"] != "hunter2" || got["version"] != 1.0 {
		t.Errorf("version 1 is %v", got)
	}
	h.as("res", 200, "POST", "/secrets/destroy", doc{"path": dbPassword, "version": 1})
	h.as("res", 200, "POST", "/secrets/destroy", doc{"path": dbPassword, "version": 1}) // twice is once
	h.refused("alice", 409, "secret.destroyed", "POST", "/access/grants", ask(1))
	h.refused("alice", 404, "secret.version_not_found", "POST", "/access/grants", ask(7))
	if got := h.as("alice", 200, "POST", "/access/grants", ask(0)); got["value"] != "hunter3" || got["version"] != 2.0 {
		t.Errorf("the newest is %v", got)
	}
	h.as("res", 204, "POST", "/secrets/delete", doc{"path": dbPassword})
	h.refused("alice", 403, "access.refused", "POST", "/access/grants", ask(2))
	h.refused("res", 409, "secret.taken", "POST", "/secrets", doc{"path": dbPassword, "project": "shop", "value": "again"})
}

// By policy one does what it says, where it says, and nothing else.
func TestAPolicyLetsOneWriteWhatItSays(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.writers("writing", "deploys", []string{"create", "update"}, nil)
	made := doc{"path": "deploys/key", "project": "shop", "value": "first"}
	for _, who := range []string{"mallory", "carol", "aud", "sec"} {
		h.refused(who, 403, "access.refused", "POST", "/secrets", made)
	}
	ci := h.workload()
	h.as(ci, 201, "POST", "/secrets", made)
	h.refused(ci, 403, "access.refused", "POST", "/secrets", doc{"path": "deploys-not/key", "project": "shop"})
	h.refused(ci, 403, "access.refused", "POST", "/secrets", doc{"path": "deploys", "project": "shop"})
	h.refused("alice", 409, "secret.taken", "POST", "/secrets", made)
	answer := h.as("alice", 200, "POST", "/secrets/versions", doc{"path": "deploys/key", "value": "second"})
	if len(answer) != 2 || len(answer["versions"].([]any)) != 1 {
		t.Errorf("who may not list it is told %v", answer)
	}
	h.refused("alice", 403, "access.refused", "POST", "/secrets/versions", doc{"path": dbPassword, "value": "mine"})
	h.refused("alice", 403, "access.refused", "POST", "/secrets/versions", doc{"path": "deploys/not-there", "value": "mine"})
	h.refused("alice", 403, "access.refused", "POST", "/secrets/destroy", doc{"path": "deploys/key", "version": 1})
	h.refused("alice", 403, "access.refused", "POST", "/secrets/delete", doc{"path": "deploys/key"})
	h.refused("alice", 403, "role.missing", "PUT", "/secrets", doc{"path": "deploys/key", "project": "shop"}, "If-Match", `"1"`)
	h.refused("alice", 403, "access.refused", "POST", "/access/grants", doc{"resource": "secret/deploys/key", "method": "writing/rule/secret_reveal"})
	h.refused("alice", 422, "request.invalid", "POST", "/access/grants", doc{"resource": "secret/deploys/key", "method": "writing/rule/secret_update"})

	h.writers("ending", "deploys", []string{"delete"}, nil)
	h.as("alice", 200, "POST", "/secrets/destroy", doc{"path": "deploys/key", "version": 1})
	h.as(ci, 204, "POST", "/secrets/delete", doc{"path": "deploys/key"})
	h.refused(ci, 403, "access.refused", "POST", "/secrets/delete", doc{"path": "deploys/key"}) // it is not there any more
}

// While a condition is not met, one writes nothing; a workload cannot meet one.
func TestConditionsHoldForWritingToo(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.writers("writing", "payments", []string{"update", "list"}, doc{"conditions": []doc{{"type": "mfa"}}})
	at := h.Last()
	h.refused("alice", 403, "access.unmet", "POST", "/secrets/versions", doc{"path": dbPassword, "value": "mine"})
	h.refused(h.workload(), 403, "access.cancelled", "POST", "/secrets/versions", doc{"path": dbPassword, "value": "mine"})
	h.refused("mallory", 403, "access.refused", "POST", "/secrets/versions", doc{"path": dbPassword, "value": "mine"})
	if got := h.listed(h.workload(), ""); got != nil {
		t.Errorf("the workload sees %v", got)
	}
	var codes []string
	for _, e := range h.Events() {
		if refused, is := e.Event.(access.WasRefused); is && at.Less(e.Position) {
			codes = append(codes, refused.Who.Subject[:5]+" "+refused.Code)
		}
		if _, is := e.Event.(resource.VersionWasAdded); is && at.Less(e.Position) {
			t.Errorf("%s was recorded", e.Type)
		}
	}
	if want := []string{"alice access.unmet", "workl access.cancelled", "mallo access.refused"}; !slices.Equal(codes, want) {
		t.Errorf("the log tells %v, want %v", codes, want)
	}
}

// A policy that is withdrawn bites at once, also on who is in the middle of it.
func TestAWithdrawnPolicyBites(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.writers("writing", "payments", []string{"update"}, nil)
	h.as("alice", 200, "POST", "/secrets/versions", doc{"path": dbPassword, "value": "mine"})
	h.as("sec", 200, "POST", "/policies/writing/unpublish", nil, "If-Match", `"1"`)
	h.refused("alice", 403, "access.refused", "POST", "/secrets/versions", doc{"path": dbPassword, "value": "mine"})
}

func TestValuesAreTextOfUpTo64KiB(t *testing.T) {
	t.Parallel()
	h := build(t)
	put := func(value string) doc { return doc{"path": dbPassword, "value": value} }
	for _, value := range []string{strings.Repeat("x", 64<<10), strings.Repeat("é", 32<<10), "\n", " leading and trailing ", "\u0000", `{"a":"<&>"}`, "\U0001f511"} {
		h.as("res", 200, "POST", "/secrets/versions", put(value))
		if got := h.as("alice", 200, "POST", "/access/grants", doc{"resource": password, "method": reveal})["value"]; got != value {
			t.Errorf("of %d bytes it reveals %d others", len(value), len(fmt.Sprint(got)))
		}
	}
	for _, value := range []string{strings.Repeat("x", 64<<10+1), strings.Repeat("é", 32<<10) + "x", ""} {
		said := h.refused("res", 422, "request.invalid", "POST", "/secrets/versions", put(value))
		if len(fmt.Sprint(said)) > 1000 {
			t.Errorf("of %d bytes it says %.200v", len(value), said)
		}
	}
	for _, body := range []string{`{"path":"payments/db/password","value":"\ud800"}`, "{\"path\":\"payments/db/password\",\"value\":\"\xff\"}", `{"path":"payments/db/password","value":7}`, `{"path":"payments/db/password","value":"a","value":"b"}`} {
		if status, _ := h.ask("res", "POST", "/secrets/versions", strings.NewReader(body)); status != 400 && status != 422 {
			t.Errorf("%q is answered %d", body, status)
		}
	}
}

// A write that is repeated under its key is done once, and nothing of its value is
// told or kept by which one could try values.
func TestARepeatedValueIsPutOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	body := doc{"path": dbPassword, "value": "1234"}
	for range 2 {
		h.as("res", 200, "POST", "/secrets/versions", body, "Idempotency-Key", "once")
	}
	h.refused("res", 422, "idempotency.mismatch", "POST", "/secrets/versions", doc{"path": dbPassword, "value": "1235"}, "Idempotency-Key", "once")
	versions := h.as("res", 200, "GET", "/secrets?path="+dbPassword, nil)["secrets"].([]any)[0].(doc)["versions"].([]any)
	if len(versions) != 2 {
		t.Errorf("there are %d versions, want 2", len(versions))
	}
	hashes := map[string]bool{}
	for _, e := range h.Events() {
		if e.Idempotency != nil {
			hashes[e.Idempotency.Request] = true
		}
	}
	// What it would be, were the hash one that anybody can make.
	for _, guess := range []string{`{"path":"payments/db/password","value":"1234"}`, `{"value":"1234","path":"payments/db/password"}`} {
		if hashes[plainHash("POST", "/orgs/default/v1/secrets/versions", "", guess)] {
			t.Error("the log has a hash of the request that values can be tried against")
		}
	}
	if len(hashes) != 1 {
		t.Errorf("the log has the hashes %v, want one", hashes)
	}
}

// plainHash is the hash of a request that has no secret in it, as handlers/api makes it.
func plainHash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
