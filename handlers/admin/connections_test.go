package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation/orgtest"
)

// step is one request in the life of a connection, and what must come of it:
// these events, and no others.
type step struct {
	name         string
	person       string
	method, path string
	body         any
	ifMatch      string
	status       int
	code         string // of an error
	detail       string // part of an error's sentence
	events       []string
	want         map[string]any // members of the answer
}

func (e *edge) run(t *testing.T, steps []step) {
	for _, s := range steps {
		if !t.Run(s.name, func(t *testing.T) {
			e.t = t
			at := e.Last()
			var headers []string
			if s.ifMatch != "" {
				headers = []string{"If-Match", s.ifMatch}
			}
			r := e.as(s.person, s.method, s.path, s.body, headers...)
			if r.Status != s.status || r.text("code") != s.code || !strings.Contains(r.text("detail"), s.detail) {
				t.Fatalf("got %d %s, want %d %s %s: %s", r.Status, r.text("code"), s.status, s.code, s.detail, r.Raw)
			}
			if diff := cmp.Diff(s.events, e.Types(at)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			for name, want := range s.want {
				if got := r.Body[name]; !cmp.Equal(got, want) {
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
			if write := s.method != "GET" && s.status < 300; write != (r.Header.Get("Sallyport-Position") != "") {
				t.Errorf("Sallyport-Position is %q", r.Header.Get("Sallyport-Position"))
			}
			if len(s.events) > 0 && r.Header.Get("Sallyport-Position") != e.Last().String() {
				t.Errorf("Sallyport-Position is %s, the log is at %s", r.Header.Get("Sallyport-Position"), e.Last())
			}
			if v, ok := r.Body["version"]; ok && r.Header.Get("ETag") != fmt.Sprintf(`"%v"`, v) {
				t.Errorf("ETag is %s at version %v", r.Header.Get("ETag"), v)
			}
		}) {
			t.FailNow()
		}
	}
}

func TestTheLifeOfAConnection(t *testing.T) {
	e := newEdge(t)
	const post, put, get, del = "POST", "PUT", "GET", "DELETE"
	const list, one = "/connections", "/connections/ci"
	const activate, deactivate, test = one + "/activate", one + "/deactivate", one + "/test"
	ack := map[string]any{"acknowledge": []string{"prefix.open"}}
	doc, open := e.document("ci", nil), e.document("ci", map[string]any{"conditions": e.openPrefix()})
	pending := e.document("ci", map[string]any{"description": "the new one"})
	e.run(t, []step{
		{"a member drafts nothing", "alice", post, list, doc, "", 403, "role.missing", "devops_admin or security_admin", nil, nil},
		{"an owner drafts nothing", "owner", post, list, doc, "", 403, "role.missing", "devops_admin", nil, nil},
		{"a devops admin drafts", "devops", post, list, doc, "", 201, "", "", []string{"connection.drafted"},
			map[string]any{"name": "ci", "status": "draft", "version": 1.0, "created_by": "devops", "active_version": nil, "pending": nil}},
		{"a name is given once", "security", post, list, doc, "", 409, "connection.taken", "", nil, nil},
		{"a resource admin reads", "resource", get, one, nil, "", 200, "", "", nil, map[string]any{"status": "draft"}},
		{"an edit says what it saw", "devops", put, one, open, "", 428, "version.required", "", nil, nil},
		{"an edit of another version", "devops", put, one, open, `"2"`, 412, "version.stale", "version 1", nil, nil},
		{"a draft is edited in place", "devops", put, one, open, `"1"`, 200, "", "", []string{"connection.edited"},
			map[string]any{"version": 2.0, "status": "draft", "updated_by": "devops"}},
		{"the same text again is nothing new", "devops", put, one, open, `"2"`, 200, "", "", nil, map[string]any{"version": 2.0}},
		{"a devops admin activates nothing", "devops", post, activate, ack, `"2"`, 403, "role.missing", "security_admin", nil, nil},
		{"a draft cannot be deactivated", "security", post, deactivate, nil, `"2"`, 409, "connection.not_active", "", nil, nil},
		{"activation says what was reviewed", "security", post, activate, ack, "", 428, "version.required", "", nil, nil},
		{"activation of what was reviewed before the edit", "security", post, activate, ack, `"1"`, 412, "version.stale", "", nil, nil},
		{"a warning blocks", "security", post, activate, nil, `"2"`, 422, "connection.blocked", "prefix.open", nil, nil},
		{"acknowledging another one does not help", "security", post, activate, map[string]any{"acknowledge": []string{"exists.alone"}}, `"2"`, 422, "connection.blocked", "prefix.open", nil, nil},
		{"another person activates", "security", post, activate, ack, `"2"`, 200, "", "", []string{"connection.activated"},
			map[string]any{"status": "active", "active_version": 2.0, "activated_by": "security"}},
		{"activating twice is once", "security", post, activate, ack, `"2"`, 200, "", "", nil, map[string]any{"status": "active"}},
		{"a devops admin lost the right to edit", "devops", put, one, pending, `"2"`, 403, "role.missing", "security_admin", nil, nil},
		{"and to test", "devops", post, test, map[string]any{"token": "x"}, "", 403, "role.missing", "security_admin", nil, nil},
		{"and to delete", "devops", del, one, nil, `"2"`, 403, "role.missing", "security_admin", nil, nil},
		{"an edit of an active one is pending", "security", put, one, pending, `"2"`, 200, "", "", []string{"connection.edited"},
			map[string]any{"version": 3.0, "active_version": 2.0, "status": "active", "description": ""}},
		{"nobody activates what they wrote", "security", post, activate, nil, `"3"`, 403, "connection.same_person", "", nil, nil},
		{"nor does it help to name no version", "security", post, activate, nil, "", 403, "connection.same_person", "", nil, nil},
		{"another security admin does", "security2", post, activate, nil, `"3"`, 200, "", "", []string{"connection.activated"},
			map[string]any{"active_version": 3.0, "description": "the new one", "pending": nil}},
		{"what is active is not deleted", "security", del, one, nil, `"3"`, 409, "connection.active", "", nil, nil},
		{"a deactivation needs its version", "security", post, deactivate, nil, "", 428, "version.required", "", nil, nil},
		{"a security admin deactivates", "security", post, deactivate, nil, `"3"`, 200, "", "", []string{"connection.deactivated"}, map[string]any{"status": "inactive"}},
		{"deactivating twice is once", "security", post, deactivate, map[string]any{"revoke_tokens": false}, `"3"`, 200, "", "", nil, map[string]any{"status": "inactive"}},
		{"tokens can still be revoked", "security", post, deactivate, map[string]any{"revoke_tokens": true}, `"3"`, 200, "", "", []string{"connection.deactivated"}, nil},
		{"the right to edit does not come back", "devops", put, one, doc, `"3"`, 403, "role.missing", "", nil, nil},
		{"a deletion of another version", "security", del, one, nil, `"2"`, 412, "version.stale", "", nil, nil},
		{"a deletion", "security", del, one, nil, `"3"`, 204, "", "", []string{"connection.deleted"}, nil},
		{"it is gone", "security", get, one, nil, "", 404, "connection.not_found", "", nil, nil},
		{"for writes too", "security", put, one, doc, `"3"`, 404, "connection.not_found", "", nil, nil},
		{"its name is never given again", "devops", post, list, doc, "", 409, "connection.taken", "never given again", nil, nil},
		{"nor is it listed", "auditor", get, list, nil, "", 200, "", "", nil, map[string]any{"connections": []any{}}},
	})
}

func TestThePersonCountsAndNotTheToken(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("dana as devops", "POST", "/connections", e.document("ci", nil)))
	if r := e.as("dana as security", "POST", "/connections/ci/activate", nil, "If-Match", `"1"`); r.Status != 403 || r.text("code") != "connection.same_person" {
		t.Errorf("the drafter activates with another token: %d %s", r.Status, r.Raw)
	}
	set := e.must(200, e.as("owner", "GET", "/organisation", nil))
	e.must(200, e.as("owner", "PUT", "/organisation", map[string]any{"dual_control": "roles"}, "If-Match", set.Header.Get("ETag")))
	e.must(200, e.as("dana as security", "POST", "/connections/ci/activate", nil, "If-Match", `"1"`))
}

// One person with both roles would loosen dual control, activate their own
// draft, and tighten it again.
func TestWhoLoosensDualControlActivatesNothingOfTheirOwn(t *testing.T) {
	e := newEdge(t)
	e.tokens["olga as owner"] = e.Token("olga", domain.Owner)
	e.tokens["olga as security"] = e.Token("olga", domain.SecurityAdmin)
	e.must(201, e.as("olga as security", "POST", "/connections", e.document("ci", nil)))
	e.must(201, e.as("devops", "POST", "/connections", e.document("other", nil)))
	set := e.must(200, e.as("owner", "GET", "/organisation", nil))
	e.must(200, e.as("olga as owner", "PUT", "/organisation", map[string]any{"dual_control": "roles"}, "If-Match", set.Header.Get("ETag")))
	for _, version := range []string{`"1"`, ""} { // without a version the refusal comes before the body is read
		r := e.as("olga as security", "POST", "/connections/ci/activate", nil, "If-Match", version)
		if r.Status != 403 || r.text("code") != "connection.same_person" || !strings.Contains(r.text("detail"), "You set dual control to roles") {
			t.Errorf("version %q: got %d %s", version, r.Status, r.Raw)
		}
	}
	e.must(200, e.as("olga as security", "POST", "/connections/other/activate", nil, "If-Match", `"1"`))
	e.must(200, e.as("security", "POST", "/connections/ci/activate", nil, "If-Match", `"1"`))
}

func TestWhatADraftMayNotSayIsNamedAndNothingIsRecorded(t *testing.T) {
	e := newEdge(t)
	private := publicJWK(t, "ES256")
	private["d"] = "c2VjcmV0IHNjYWxhciBvZiBhIGhvc3QgdGhhdCB0cnVzdHMgdXM"
	at := e.Last()
	for _, tc := range []struct {
		name   string
		change map[string]any
		fields []string
	}{
		{"what only the server says", map[string]any{"status": "active", "version": 9, "active_version": 9, "created_by": "security", "activated_by": "x", "warnings": []any{}},
			[]string{"/activated_by field.unknown", "/active_version field.unknown", "/created_by field.unknown", "/status field.unknown", "/version field.unknown", "/warnings field.unknown"}},
		{"another organisation", map[string]any{"org": "other"}, []string{"/org field.unknown"}},
		{"a field of its own and a broken rule", map[string]any{"nope": 1, "name": "CI", "token_ttl": map[string]any{"amount": 25, "unit": "hours"}},
			[]string{"/name name.invalid", "/nope field.unknown", "/token_ttl/amount invalid"}},
		{"no name", map[string]any{"name": nil}, []string{"/name name.invalid"}},
		{"a name with a line end", map[string]any{"name": "ci\n"}, []string{"/name name.invalid"}},
		{"an operator nobody knows", map[string]any{"conditions": []any{map[string]any{"claim": "sub", "operator": "matches", "value": "x"}}}, []string{"/conditions/0/operator unknown"}},
		{"a condition with a field of its own", map[string]any{"conditions": []any{map[string]any{"claim": "sub", "operator": "equals", "value": "x", "regex": true}}}, []string{"/conditions/0/regex field.unknown"}},
		{"keys on the metadata service", map[string]any{"jwks_url": "https://169.254.169.254/latest"}, []string{"/jwks_url url.address"}},
		{"keys behind a user name", map[string]any{"jwks_url": "https://ci.example@evil.example/jwks"}, []string{"/jwks_url url.userinfo"}},
		{"keys without encryption", map[string]any{"jwks_url": "http://ci.example/jwks"}, []string{"/jwks_url url.scheme"}},
		{"an issuer inside", map[string]any{"jwks_url": nil, "issuer_url": "https://10.0.0.1"}, []string{"/issuer_url url.address"}},
		{"an issuer with a query, behind which nothing can be found", map[string]any{"jwks_url": nil, "issuer_url": "https://ci.example?x=1"}, []string{"/issuer_url url.query"}},
		{"an issuer with an empty query", map[string]any{"jwks_url": nil, "issuer_url": "https://ci.example/?"}, []string{"/issuer_url url.query"}},
		{"an issuer inside, by a preset", map[string]any{"jwks_url": nil, "conditions": nil, "provider": "kubernetes",
			"settings": map[string]any{"issuer": "https://10.0.0.1", "audience": "x"}}, []string{"/settings url.address"}},
		{"the wrong place and another fault", map[string]any{"jwks_url": "https://127.0.0.1:22/x", "algorithms": []string{"HS256"}}, []string{"/algorithms/0 unknown"}},
		{"a private key", map[string]any{"jwks_url": nil, "jwks": map[string]any{"keys": []any{private}}}, []string{"/jwks jwks_private_material"}},
		{"a symmetric key", map[string]any{"jwks_url": nil, "jwks": map[string]any{"keys": []any{map[string]any{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}}}}, []string{"/jwks jwks_private_material"}},
		{"a key set without keys", map[string]any{"jwks_url": nil, "jwks": map[string]any{"keys": []any{}}}, []string{"/jwks jwks_no_usable_key"}},
		{"a private key for a certificate", map[string]any{"ca_certificate": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"}, []string{"/ca_certificate invalid"}},
		{"no certificate at all", map[string]any{"ca_certificate": "PK\x03\x04"}, []string{"/ca_certificate invalid"}},
		{"seventeen certificates", map[string]any{"ca_certificate": strings.Repeat("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", 17)}, []string{"/ca_certificate invalid", "/ca_certificate too_long"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e.t = t
			r := e.as("devops", "POST", "/connections", e.document("ci", tc.change))
			if diff := cmp.Diff(tc.fields, r.pointers()); r.Status != 422 || diff != "" {
				t.Errorf("got %d %s; fields (-want +got):\n%s", r.Status, r.Raw, diff)
			}
			if d := private["d"].(string); strings.Contains(r.Raw, d) || strings.Contains(e.log.String(), d) {
				t.Error("the private key is sent back or logged")
			}
		})
	}
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("the log has %v", types)
	}
}

func publicJWK(t testing.TB, alg string) (jwk map[string]any) {
	t.Helper()
	key, err := jose.NewHostKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(key.PublicJWK(), &jwk); err != nil {
		t.Fatal(err)
	}
	return jwk
}

func TestUploadedKeysAreStoredByTheirPublicMembersAlone(t *testing.T) {
	e := newEdge(t)
	jwk := publicJWK(t, "RS256")
	jwk["x-note"], jwk["x5u"] = "what else the file held", "https://evil.example/cert"
	doc := e.document("cluster", map[string]any{"jwks_url": nil, "jwks": map[string]any{"keys": []any{jwk}}})
	r := e.must(201, e.as("devops", "POST", "/connections", doc))
	if loc := r.Header.Get("Location"); loc != "/orgs/default/v1/connections/cluster" {
		t.Errorf("Location is %q", loc)
	}
	if strings.Contains(r.Raw, "x-note") || strings.Contains(r.Raw, "x5u") || !strings.Contains(r.Raw, jwk["n"].(string)) {
		t.Errorf("the keys are answered as %s", r.Raw)
	}
}

func TestDraftingFetchesNothing(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "RS256")
	e.must(201, e.as("devops", "POST", "/connections", e.document("ci", map[string]any{"jwks_url": p.URL + "/jwks"})))
	e.must(200, e.as("devops", "PUT", "/connections/ci", e.document("ci", map[string]any{"jwks_url": p.URL + "/other"}), "If-Match", `"1"`))
	if n := p.Fetched.Load(); n != 0 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestAnAnswerMaySafelyBeSentBack(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("devops", "POST", "/connections", map[string]any{
		"name": "gitlab-ci", "provider": "gitlab", "settings": map[string]any{"domain": "gitlab.com", "group": "acme", "project": "app"},
	}))
	at := e.Last()
	r := e.must(200, e.as("devops", "GET", "/connections/gitlab-ci", nil))
	e.must(200, e.as("devops", "PUT", "/connections/gitlab-ci", r.Body, "If-Match", r.Header.Get("ETag")))
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("an answer that was sent back recorded %v", types)
	}
	r.Body["status"], r.Body["version"], r.Body["created_by"] = "active", 99, "security"
	r.Body["description"] = "changed"
	r = e.must(200, e.as("devops", "PUT", "/connections/gitlab-ci", r.Body, "If-Match", `"1"`))
	if r.text("status") != "draft" || r.Body["version"] != 2.0 || r.text("created_by") != "devops" || r.text("description") != "changed" || r.Body["pending"] != nil {
		t.Errorf("the server believed what only it says: %s", r.Raw)
	}
	delete(r.Body, "name")
	e.must(200, e.as("devops", "PUT", "/connections/gitlab-ci", r.Body, "If-Match", `"2"`))
	r.Body["name"] = "other"
	if r := e.as("devops", "PUT", "/connections/gitlab-ci", r.Body, "If-Match", `"2"`); r.Status != 422 || !slices.Equal(r.pointers(), []string{"/name name.fixed"}) {
		t.Errorf("a connection changes its name: %d %s", r.Status, r.Raw)
	}
}

func TestAPendingVersionShowsWhatItChanges(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("devops", "POST", "/connections", e.document("ci", nil)))
	e.must(200, e.as("security", "POST", "/connections/ci/activate", nil, "If-Match", `"1"`))
	r := e.must(200, e.as("security2", "PUT", "/connections/ci", e.document("ci", map[string]any{"conditions": e.openPrefix()}), "If-Match", `"1"`))
	pending, _ := r.Body["pending"].(map[string]any)
	if pending["version"] != 2.0 || r.Body["active_version"] != 1.0 {
		t.Errorf("pending is version %v of %v", pending["version"], r.Body["active_version"])
	}
	want := []any{
		map[string]any{"pointer": "/conditions/2", "from": "sub equals build", "to": ""},
		map[string]any{"pointer": "/conditions/2", "from": "", "to": "sub starts_with repo:acme/app"},
	}
	if diff := cmp.Diff(want, pending["difference"]); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
	if first := r.Body["conditions"].([]any)[2].(map[string]any); first["operator"] != "equals" {
		t.Errorf("the version that decides is shown as %v", first)
	}
	if !strings.Contains(fmt.Sprint(r.Body["warnings"]), "prefix.open") {
		t.Errorf("the warnings are not of what would be activated: %v", r.Body["warnings"])
	}
}

func TestOneOfManyWritersWhoSawTheSameVersionWins(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("devops", "POST", "/connections", e.document("ci", nil)))
	at := e.Last()
	statuses := make([]int, 24)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() {
			doc := e.document("ci", map[string]any{"description": fmt.Sprint("writer ", i)})
			statuses[i] = e.as("devops", "PUT", "/connections/ci", doc, "If-Match", `"1"`).Status
		})
	}
	wg.Wait()
	slices.Sort(statuses)
	if statuses[0] != 200 || statuses[1] != 412 || statuses[len(statuses)-1] != 412 {
		t.Errorf("got %v, want one 200 and all others 412", statuses)
	}
	if types := e.Types(at); !slices.Equal(types, []string{"connection.edited"}) {
		t.Errorf("the log has %v", types)
	}
}

func TestActivatedByTwoAtOnceItIsActivatedOnce(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("devops", "POST", "/connections", e.document("ci", nil)))
	at := e.Last()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			who := []string{"security", "security2"}[i%2]
			if r := e.as(who, "POST", "/connections/ci/activate", nil, "If-Match", `"1"`); r.Status != http.StatusOK {
				t.Errorf("got %d %s", r.Status, r.Raw)
			}
		})
	}
	wg.Wait()
	if types := e.Types(at); !slices.Equal(types, []string{"connection.activated"}) {
		t.Errorf("the log has %v", types)
	}
}

func TestAWriteThatIsRepeatedUnderItsKeyIsAnsweredAndNotDoneAgain(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "RS256")
	proof := map[string]any{"token": p.Mint(p.Claims(e.Now(), e.Issuer(), "build", nil))}
	trust := []any{
		map[string]any{"claim": "iss", "operator": "equals", "value": p.URL},
		map[string]any{"claim": "aud", "operator": "equals", "value": e.Issuer()},
		map[string]any{"claim": "sub", "operator": "equals", "value": "build"},
	}
	doc := e.document("ci", map[string]any{"jwks_url": p.URL + "/jwks", "conditions": trust})
	edited := e.document("ci", map[string]any{"jwks_url": p.URL + "/jwks", "conditions": trust, "description": "edited"})
	for _, s := range []struct {
		name, person, method, path, ifMatch string
		body, other                         any
		status                              int
		event                               string
	}{
		{"draft", "devops", "POST", "/connections", "", doc, edited, 201, "connection.drafted"},
		{"test", "devops", "POST", "/connections/ci/test", "", proof, map[string]any{"token": "x"}, 200, "connection.tested"},
		{"edit", "devops", "PUT", "/connections/ci", `"1"`, edited, doc, 200, "connection.edited"},
		{"activate", "security", "POST", "/connections/ci/activate", `"2"`, nil, map[string]any{}, 200, "connection.activated"},
		{"deactivate", "security", "POST", "/connections/ci/deactivate", `"2"`, nil, map[string]any{"revoke_tokens": true}, 200, "connection.deactivated"},
		{"delete", "security", "DELETE", "/connections/ci", `"2"`, nil, nil, 204, "connection.deleted"},
	} {
		t.Run(s.name, func(t *testing.T) {
			e.t = t
			at := e.Last()
			first := e.must(s.status, e.as(s.person, s.method, s.path, s.body, "If-Match", s.ifMatch, "Idempotency-Key", "key of "+s.name))
			again := e.must(s.status, e.as(s.person, s.method, s.path, s.body, "If-Match", s.ifMatch, "Idempotency-Key", "key of "+s.name))
			if first.Header.Get("Sallyport-Position") != again.Header.Get("Sallyport-Position") || first.Header.Get("ETag") != again.Header.Get("ETag") {
				t.Errorf("first %s %s, again %s %s", first.Header.Get("Sallyport-Position"), first.Header.Get("ETag"), again.Header.Get("Sallyport-Position"), again.Header.Get("ETag"))
			}
			if s.name == "test" {
				if first.Body["would_issue"] == nil || again.Body["would_issue"] != nil {
					t.Errorf("what is shown once: first %v, again %v", first.Body["would_issue"], again.Body["would_issue"])
				}
				delete(first.Body, "would_issue")
				delete(again.Body, "would_issue")
			}
			if diff := cmp.Diff(first.Body, again.Body); diff != "" {
				t.Errorf("answers (-first +again):\n%s", diff)
			}
			if types := but(e.Types(at), "keys.changed"); !slices.Equal(types, []string{s.event}) {
				t.Errorf("the log has %v", types)
			}
			if s.other != nil {
				if r := e.as(s.person, s.method, s.path, s.other, "If-Match", s.ifMatch, "Idempotency-Key", "key of "+s.name); r.Status != 422 || r.text("code") != "idempotency.mismatch" {
					t.Errorf("another body got %d %s", r.Status, r.Raw)
				}
			}
			if s.ifMatch != "" {
				if r := e.as(s.person, s.method, s.path, s.body, "If-Match", `"77"`, "Idempotency-Key", "key of "+s.name); r.Status != 422 || r.text("code") != "idempotency.mismatch" {
					t.Errorf("the same of another version got %d %s", r.Status, r.Raw)
				}
			}
		})
	}
}

// but leaves out a type that is recorded whenever it comes to be.
func but(types []string, typ string) []string {
	return slices.DeleteFunc(types, func(t string) bool { return t == typ })
}

func TestATestTellsEverythingAndIssuesNothing(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "RS256")
	e.must(201, e.as("devops", "POST", "/connections", e.document("ci", map[string]any{"jwks_url": p.URL + "/jwks", "conditions": []any{
		map[string]any{"claim": "iss", "operator": "equals", "value": p.URL},
		map[string]any{"claim": "aud", "operator": "equals", "value": e.Issuer()},
		map[string]any{"claim": "ref", "operator": "equals", "value": "main"},
	}})))
	at := e.Last()
	good := p.Mint(p.Claims(e.Now(), e.Issuer(), "build", map[string]any{"ref": "main"}))
	r := e.must(200, e.as("devops", "POST", "/connections/ci/test", map[string]any{"token": good}))
	claims, _ := r.Body["would_issue"].(map[string]any)
	if r.text("verdict") != "pass" || r.text("identity") != "build" || claims["sub"] != "workload://default/ci/build" {
		t.Errorf("a good proof: %s", r.Raw)
	}
	bad := p.Mint(p.Claims(e.Now(), "somebody else", "build", map[string]any{"ref": "Main"}))
	r = e.must(200, e.as("devops", "POST", "/connections/ci/test", map[string]any{"token": bad}))
	if r.text("verdict") != "fail" || r.Body["would_issue"] != nil || strings.Count(r.Raw, `"result":"fail"`) != 2 {
		t.Errorf("every failure is told, and nothing would be issued: %s", r.Raw)
	}
	if strings.Contains(r.Raw, bad) {
		t.Error("the proof is sent back")
	}
	if r := e.as("devops", "POST", "/connections/ci/test", map[string]any{}); r.Status != 422 || !slices.Equal(r.pointers(), []string{"/token field.required"}) {
		t.Errorf("without a token: %d %s", r.Status, r.Raw)
	}
	if types := but(e.Types(at), "keys.changed"); !slices.Equal(types, []string{"connection.tested", "connection.tested"}) {
		t.Errorf("the log has %v", types)
	}
	if got := e.as("devops", "GET", "/connections/ci", nil); got.Header.Get("ETag") != `"1"` {
		t.Errorf("the version is %s now", got.Header.Get("ETag"))
	}
}

func TestTheListIsSortedAndFiltered(t *testing.T) {
	e := newEdge(t)
	for _, name := range []string{"zebra", "ant", "mole"} {
		e.must(201, e.as("devops", "POST", "/connections", e.document(name, nil)))
	}
	e.must(200, e.as("security", "POST", "/connections/mole/activate", nil, "If-Match", `"1"`))
	for query, want := range map[string]string{"": "ant mole zebra", "?status=draft": "ant zebra", "?status=active": "mole", "?provider=gitlab": ""} {
		r := e.must(200, e.as("auditor", "GET", "/connections"+query, nil))
		var names []string
		for _, c := range r.Body["connections"].([]any) {
			names = append(names, c.(map[string]any)["name"].(string))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q lists %q, want %q", query, got, want)
		}
	}
}

func TestAConnectionThatIsGoneBeforeItsDraftIsRepeatedIsNotFound(t *testing.T) {
	e := newEdge(t)
	draft := func() reply {
		return e.as("devops", "POST", "/connections", e.document("ci", nil), "Idempotency-Key", "k")
	}
	e.must(201, draft())
	e.must(204, e.as("devops", "DELETE", "/connections/ci", nil, "If-Match", `"1"`))
	if r := draft(); r.Status != 404 {
		t.Errorf("got %d %s", r.Status, r.Raw)
	}
}
