package admin_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"sallyport.dev/handlers/admin"
	"sallyport.dev/handlers/limit"
)

// may says who is let in where: o owner, d devops_admin, s security_admin,
// r resource_admin, a auditor, m member.
var may = map[string]string{
	"GET /whoami":                                   "odsram",
	"POST /logout":                                  "odsram",
	"GET /organisation":                             "odsra",
	"PUT /organisation":                             "o",
	"GET /connections":                              "odsra",
	"POST /connections":                             "ds",
	"GET /connections/:name":                        "odsra",
	"PUT /connections/:name":                        "ds",
	"DELETE /connections/:name":                     "ds",
	"POST /connections/:name/test":                  "ds",
	"POST /connections/:name/activate":              "s",
	"POST /connections/:name/deactivate":            "s",
	"GET /policies":                                 "odsra",
	"POST /policies":                                "s",
	"GET /policies/:name":                           "odsra",
	"PUT /policies/:name":                           "s",
	"DELETE /policies/:name":                        "s",
	"POST /policies/:name/publish":                  "s",
	"POST /policies/:name/unpublish":                "s",
	"GET /roles":                                    "odsra",
	"POST /roles":                                   "s",
	"GET /roles/:name":                              "odsra",
	"PUT /roles/:name":                              "s",
	"DELETE /roles/:name":                           "s",
	"POST /roles/match":                             "sda",
	"GET /ssh/ca":                                   "odsra",
	"POST /ssh/ca/rotate":                           "s",
	"GET /people":                                   "odsra",
	"POST /people":                                  "o",
	"GET /people/:name":                             "odsra",
	"PUT /people/:name":                             "o",
	"DELETE /people/:name":                          "o",
	"POST /people/:name/sign-out":                   "o",
	"POST /people/:name/invite":                     "o",
	"POST /people/:name/unlink":                     "o",
	"DELETE /people/:name/passkeys/:id":             "o",
	"GET /groups":                                   "odsra",
	"POST /groups":                                  "os",
	"GET /groups/:name":                             "odsra",
	"PUT /groups/:name":                             "os",
	"DELETE /groups/:name":                          "os",
	"GET /groups/:name/members":                     "odsra",
	"POST /groups/:name/members":                    "os",
	"DELETE /groups/:name/members/:person":          "os",
	"GET /projects":                                 "odsra",
	"POST /projects":                                "r",
	"GET /projects/:name":                           "odsra",
	"PUT /projects/:name":                           "r",
	"DELETE /projects/:name":                        "r",
	"GET /servers":                                  "odsra",
	"POST /servers":                                 "r",
	"GET /servers/:name":                            "odsra",
	"PUT /servers/:name":                            "r",
	"DELETE /servers/:name":                         "r",
	"PUT /servers/:name/accounts/:account/password": "r",
	"POST /servers/:name/accounts/:account/password/destroy": "r",
	"GET /request-types":                "odsram",
	"POST /request-types":               "s",
	"GET /request-types/:name":          "odsram",
	"PUT /request-types/:name":          "s",
	"DELETE /request-types/:name":       "s",
	"POST /request-types/:name/publish": "os",
	"POST /request-types/:name/disable": "s",
	"GET /audit":                        "odsra",
	"GET /audit/stream":                 "odsra",
}

var letters = map[string]string{"o": "owner", "d": "devops", "s": "security", "r": "resource", "a": "auditor", "m": "alice"}

func TestEveryRouteLetsInItsRolesAndNobodyElse(t *testing.T) {
	e := newEdge(t)
	e.client = http.DefaultClient // HEAD and paths of nobody's are not in the document
	var served, rows []string
	for _, r := range e.echo.Routes() {
		if path, ours := strings.CutPrefix(r.Path, "/orgs/default/v1"); ours && r.Method != echo.RouteNotFound {
			served = append(served, r.Method+" "+path)
		}
	}
	for row := range may {
		rows = append(rows, row)
	}
	slices.Sort(served)
	slices.Sort(rows)
	if diff := cmp.Diff(rows, served); diff != "" {
		t.Fatalf("routes (-this table +served):\n%s", diff)
	}
	at := e.Last()
	for row, who := range may {
		method, path, _ := strings.Cut(row, " ")
		path = strings.Replace(path, ":name", "nothing", 1)
		if method == "GET" {
			method = "HEAD" // a stream would not end
		}
		if r := e.as("", method, path, nil); r.Status != 401 {
			t.Errorf("%s without a token got %d", row, r.Status)
		}
		if path == "/logout" {
			continue // nobody would get any further: TestWhoLogsOutRevokesTheirTokenAndNoOther
		}
		for letter, person := range letters {
			r := e.as(person, method, path, nil)
			if allowed := strings.Contains(who, letter); allowed == (r.Status == 403) || r.Status == 401 {
				t.Errorf("%s by %s got %d", row, person, r.Status)
			}
		}
	}
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("asking without saying anything recorded %v", types)
	}
}

func TestThereIsNoListOfWorkloads(t *testing.T) {
	e := newEdge(t)
	for _, path := range []string{
		"/workloads", "/workloads/", "/workload", "/identities", "/workload-identities", "/connections/ci/workloads", "/connections/ci/identities",
		"/connections/", "/connections/a/b", "/connections//test", "/audit/workloads", "/tokens", "/debug/pprof", "/metrics", "",
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			if r := e.as("owner", method, path, nil); r.Status != 404 || r.text("code") != "route.not_found" {
				t.Errorf("%s %s got %d %s", method, path, r.Status, r.Raw)
			}
			if r := e.as("", method, path, nil); r.Status != 401 && !strings.Contains(path, "//") {
				t.Errorf("a stranger's %s %s got %d", method, path, r.Status)
			}
		}
	}
}

func TestMethodsThatAPathHasNot(t *testing.T) {
	e := newEdge(t)
	for _, tc := range []struct{ method, path, allow string }{
		{"PATCH", "/connections/ci", "GET, HEAD, PUT, DELETE"}, {"DELETE", "/connections", "GET, HEAD, POST"},
		{"GET", "/connections/ci/test", "POST"}, {"POST", "/whoami", "GET, HEAD"}, {"OPTIONS", "/connections", "GET, HEAD, POST"}, {"DELETE", "/audit", "GET, HEAD"},
	} {
		r := e.as("alice", tc.method, tc.path, nil, "X-HTTP-Method-Override", "GET")
		if r.Status != 405 || r.Header.Get("Allow") != tc.allow || r.text("code") != "method.not_allowed" {
			t.Errorf("%s %s got %d, Allow %q, want %q", tc.method, tc.path, r.Status, r.Header.Get("Allow"), tc.allow)
		}
	}
}

func TestTheOrderOfChecksOnAConnection(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("devops", "POST", "/connections", e.document("ci", nil)))
	e.must(201, e.as("security", "POST", "/connections", e.document("mine", nil)))
	big := strings.Repeat("a", 2<<20)
	at := e.Last()
	for _, tc := range []struct {
		name, person, method, path, body, ifMatch, typ string
		status                                         int
	}{
		{"no token", "", "PATCH", "/connections/none", big, "", "text/plain", 401},
		{"wrong method", "alice", "PATCH", "/connections/none", big, "", "text/plain", 405},
		{"no role", "auditor", "PUT", "/connections/none", big, "", "text/plain", 403},
		{"not there", "devops", "PUT", "/connections/none", big, "", "text/plain", 404},
		{"not a name", "devops", "PUT", "/connections/NONE", big, "", "text/plain", 404},
		{"no If-Match", "devops", "PUT", "/connections/ci", big, "", "text/plain", 428},
		{"stale", "devops", "PUT", "/connections/ci", big, `"7"`, "text/plain", 412},
		{"media type", "devops", "PUT", "/connections/ci", big, `"1"`, "text/plain", 415},
		{"XML", "devops", "PUT", "/connections/ci", "<x/>", `"1"`, "application/xml", 415},
		{"form", "devops", "PUT", "/connections/ci", "a=b", `"1"`, "application/x-www-form-urlencoded", 415},
		{"too large", "devops", "PUT", "/connections/ci", big, `"1"`, "application/json", 413},
		{"not JSON", "devops", "PUT", "/connections/ci", "{", `"1"`, "application/json", 400},
		{"fields", "devops", "PUT", "/connections/ci", `{"x":1}`, `"1"`, "application/json", 422},
		{"a malformed If-Match is told with the fields", "devops", "PUT", "/connections/ci", `{"x":1}`, `1`, "application/json", 422},
		{"conflict comes after fields", "devops", "POST", "/connections", `{"name":"ci","x":1}`, "", "application/json", 422},
		{"same person before If-Match", "security", "POST", "/connections/mine/activate", big, "", "text/plain", 403},
		{"same person before the version", "security", "POST", "/connections/mine/activate", big, `"7"`, "text/plain", 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e.t = t
			r := e.as(tc.person, tc.method, tc.path, tc.body, "If-Match", tc.ifMatch, "Content-Type", tc.typ)
			if r.Status != tc.status {
				t.Errorf("got %d, want %d: %s", r.Status, tc.status, r.Raw)
			}
		})
	}
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("what was refused recorded %v", types)
	}
}

func TestIAmToldWhoIAm(t *testing.T) {
	e := newEdge(t)
	r := e.must(200, e.as("dana as security", "GET", "/whoami", nil))
	if r.text("person") != "dana" || r.text("organisation") != "default" || fmt.Sprint(r.Body["roles"]) != "[security_admin]" {
		t.Errorf("got %s", r.Raw)
	}
	until, err := time.Parse(time.RFC3339, r.text("expires_at"))
	if left := until.Sub(e.Now()); err != nil || left < 50*time.Minute || left > time.Hour {
		t.Errorf("the token, which lives an hour, ends at %q", r.text("expires_at"))
	}
}

func TestTheOwnerAloneDecidesHowStrictlyTwoPeopleAreNeeded(t *testing.T) {
	e := newEdge(t)
	const path = "/organisation"
	roles, strict := map[string]any{"dual_control": "roles"}, map[string]any{"dual_control": "strict"}
	e.run(t, []step{
		{"it is strict", "auditor", "GET", path, nil, "", 200, "", "", nil, map[string]any{"dual_control": "strict", "name": "default", "issuer": e.Issuer()}},
		{"a security admin may not", "security", "PUT", path, roles, `"1"`, 403, "role.missing", "owner", nil, nil},
		{"without a version", "owner", "PUT", path, roles, "", 428, "version.required", "", nil, nil},
		{"a value nobody knows", "owner", "PUT", path, map[string]any{"dual_control": "none"}, `"1"`, 422, "request.invalid", "", nil, nil},
		{"no value", "owner", "PUT", path, map[string]any{}, `"1"`, 422, "request.invalid", "", nil, nil},
		{"another setting", "owner", "PUT", path, map[string]any{"dual_control": "roles", "issuer": "https://evil.example"}, `"1"`, 422, "request.invalid", "", nil, nil},
		{"the owner may", "owner", "PUT", path, roles, `"1"`, 200, "", "", []string{"organisation.dual_control_changed"}, map[string]any{"dual_control": "roles"}},
		{"with the version of before", "owner", "PUT", path, strict, `"1"`, 412, "version.stale", "", nil, nil},
		{"what is so already", "owner", "PUT", path, roles, `"2"`, 200, "", "", nil, nil},
	})
}

func TestAnOrganisationThatIsAskedTooOftenSaysSoToEverybodyAlike(t *testing.T) {
	e := newEdgeWith(t, admin.Options{Limiter: limit.New(0.000_001, 4, 10)})
	for i, want := range []int{200, 401, 405, 404, 429, 429} {
		r := []func() reply{
			func() reply { return e.as("auditor", "GET", "/connections", nil) },
			func() reply { return e.as("", "GET", "/connections", nil) },
			func() reply { return e.as("auditor", "PATCH", "/connections", nil) },
			func() reply { return e.as("auditor", "GET", "/nothing", nil) },
			func() reply { return e.as("auditor", "GET", "/connections", nil, "X-Forwarded-For", "192.0.2.1") },
			func() reply { return e.as("", "GET", "/nothing", nil, "X-Real-Ip", "192.0.2.2") },
		}[i]()
		if r.Status != want || want == 429 && (r.text("code") != "rate.limited" || r.Header.Get("Retry-After") == "") {
			t.Errorf("request %d got %d, want %d: %s", i+1, r.Status, want, r.Raw)
		}
	}
}

func TestOnlySoManyStreamsAreOpenAtOnce(t *testing.T) {
	e := newEdgeWith(t, admin.Options{MaxStreams: 1})
	s := e.tail("auditor", "")
	if r := e.as("auditor", "GET", "/audit/stream", nil); r.Status != 429 || r.text("code") != "streams.limited" {
		t.Errorf("a second stream got %d %s", r.Status, r.Raw)
	}
	s.res.Body.Close()
	deadline := time.Now().Add(30 * time.Second)
	for i := 0; ; i++ { // the place is free once the server has seen that its reader left
		e.must(201, e.as("devops", "POST", "/connections", e.document(fmt.Sprint("c", i), nil)))
		if r := e.as("auditor", "HEAD", "/audit/stream", nil); r.Status == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a stream whose reader left keeps its place")
		}
	}
}
