package admin_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func condition(claim, operator, value string) map[string]any {
	return map[string]any{"claim": claim, "operator": operator, "value": value}
}

// roleDocument is a workload role for tokens of connection ci on branch main.
func roleDocument(name string) map[string]any {
	return map[string]any{"name": name, "description": "deploys", "requirements": []any{
		map[string]any{"connection": "ci", "conditions": []any{condition("ref", "equals", "main")}},
	}}
}

func TestTheLifeOfAWorkloadRole(t *testing.T) {
	e := newEdge(t)
	const post, put, get, del = "POST", "PUT", "GET", "DELETE"
	const list, one = "/roles", "/roles/shop-deployers"
	e.must(201, e.as("devops", post, "/connections", e.document("ci", nil)))
	doc := roleDocument("shop-deployers")
	wider := roleDocument("shop-deployers")
	wider["requirements"] = []any{map[string]any{"connection": "ci"}}
	elsewhere := roleDocument("shop-deployers")
	elsewhere["requirements"] = []any{map[string]any{"connection": "nowhere"}}
	unnamed := map[string]any{"requirements": wider["requirements"]}
	renamed := roleDocument("other")
	e.run(t, []step{
		{"a devops admin creates none", "devops", post, list, doc, "", 403, "role.missing", "security_admin", nil, nil},
		{"an owner creates none", "owner", post, list, doc, "", 403, "role.missing", "security_admin", nil, nil},
		{"a connection that is not there", "security", post, list, elsewhere, "", 422, "request.invalid", "", nil, nil},
		{"a security admin creates", "security", post, list, doc, "", 201, "", "", []string{"role.created"},
			map[string]any{"name": "shop-deployers", "version": 1.0, "linux_server_username": "wl_shop_deployers", "created_by": "security"}},
		{"a name is given once", "security", post, list, doc, "", 409, "role.taken", "", nil, nil},
		{"an auditor reads", "auditor", get, one, nil, "", 200, "", "", nil, map[string]any{"version": 1.0}},
		{"an edit says what it saw", "security", put, one, wider, "", 428, "version.required", "", nil, nil},
		{"an edit of another version", "security", put, one, wider, `"2"`, 412, "version.stale", "", nil, nil},
		{"an edit by who may not", "devops", put, one, wider, `"1"`, 403, "role.missing", "", nil, nil},
		{"a name never changes", "security", put, one, renamed, `"1"`, 422, "request.invalid", "", nil, nil},
		{"an edit", "security", put, one, unnamed, `"1"`, 200, "", "", []string{"role.edited"}, map[string]any{"version": 2.0, "description": ""}},
		{"the same again is nothing new", "security", put, one, unnamed, `"2"`, 200, "", "", nil, map[string]any{"version": 2.0}},
		{"a role called match would hide a question", "security", post, list, roleDocument("match"), "", 422, "request.invalid", "", nil, nil},
		{"a deletion of another version", "security", del, one, nil, `"1"`, 412, "version.stale", "", nil, nil},
		{"a deletion", "security", del, one, nil, `"2"`, 204, "", "", []string{"role.deleted"}, nil},
		{"it is gone", "security", get, one, nil, "", 404, "role.not_found", "", nil, nil},
		{"for writes too", "security", put, one, doc, `"2"`, 404, "role.not_found", "", nil, nil},
		{"its name is never given again", "security", post, list, doc, "", 409, "role.taken", "never given again", nil, nil},
		{"nor is it listed", "auditor", get, list, nil, "", 200, "", "", nil, map[string]any{"roles": []any{}}},
		{"what is no name is not there", "security", get, "/roles/" + strings.Repeat("a", 30), nil, "", 404, "role.not_found", "", nil, nil},
	})
}

func TestWhatARoleMayNotSayIsNamed(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("devops", "POST", "/connections", e.document("ci", nil)))
	at := e.Last()
	requirement := func(changes map[string]any) []any {
		r := map[string]any{"connection": "ci"}
		for k, v := range changes {
			r[k] = v
		}
		return []any{r}
	}
	for _, tc := range []struct {
		name   string
		change map[string]any
		fields []string
	}{
		{"a name too long for a Linux user", map[string]any{"name": strings.Repeat("a", 30)}, []string{"/name name.invalid"}},
		{"no requirement", map[string]any{"requirements": []any{}}, []string{"/requirements required"}},
		{"the platform's audience", map[string]any{"requirements": requirement(map[string]any{"conditions": []any{condition("aud", "equals", "x")}})}, []string{"/requirements/0/conditions/0/claim not_allowed"}},
		{"an operator of nobody", map[string]any{"requirements": requirement(map[string]any{"conditions": []any{condition("a", "like", "x")}})}, []string{"/requirements/0/conditions/0/operator unknown"}},
		{"a field of its own", map[string]any{"requirements": requirement(map[string]any{"role": "root"}), "roles": []any{"owner"}}, []string{"/requirements/0/role field.unknown", "/roles field.unknown"}},
		{"a connection that is not there", map[string]any{"requirements": requirement(map[string]any{"connection": "cd"})}, []string{"/requirements/0/connection connection.not_found"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e.t = t
			doc := roleDocument("deployers")
			for k, v := range tc.change {
				doc[k] = v
			}
			r := e.as("security", "POST", "/roles", doc)
			if diff := cmp.Diff(tc.fields, r.pointers()); r.Status != 422 || diff != "" {
				t.Errorf("got %d %s; fields (-want +got):\n%s", r.Status, r.Raw, diff)
			}
		})
	}
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("recorded %v", types)
	}
}

// A requirement on a deleted connection is shown as missing, and what was read
// can be sent back as it is.
func TestADeletedConnectionIsShownAsMissing(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("devops", "POST", "/connections", e.document("ci", nil)))
	e.must(201, e.as("security", "POST", "/roles", roleDocument("deployers")))
	e.must(204, e.as("devops", "DELETE", "/connections/ci", nil, "If-Match", `"1"`))
	r := e.must(200, e.as("auditor", "GET", "/roles/deployers", nil))
	requirement := r.Body["requirements"].([]any)[0].(map[string]any)
	if requirement["missing"] != true || requirement["connection"] != "ci" {
		t.Errorf("it is shown as %v", requirement)
	}
	same := e.must(200, e.as("security", "PUT", "/roles/deployers", r.Body, "If-Match", `"1"`))
	if same.Body["version"] != 1.0 {
		t.Errorf("sent back as it came it is another version: %s", same.Raw)
	}
	if r := e.as("security", "POST", "/roles/match", map[string]any{"connection": "ci", "claims": map[string]any{"ref": "main"}}); r.Status != 422 {
		t.Errorf("a deleted connection is explained: %d %s", r.Status, r.Raw)
	}
}

func TestMatchSaysWhichRolesWouldBeBorneAndWhyNot(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("devops", "POST", "/connections", e.document("ci", map[string]any{"identity_path": "apps"})))
	e.must(201, e.as("security", "POST", "/roles", roleDocument("main")))
	bySub := roleDocument("by-sub")
	bySub["requirements"] = []any{map[string]any{"connection": "ci", "conditions": []any{condition("sub", "equals", "shop")}}}
	e.must(201, e.as("security", "POST", "/roles", bySub))
	at := e.Last()
	for _, tc := range []struct {
		name, person string
		body         map[string]any
		status       int
		roles        []any
		message      string // somewhere in the answer
	}{
		{"by a claim", "security", map[string]any{"connection": "ci", "claims": map[string]any{"ref": "main"}}, 200, []any{"main"}, "The claim is absent."},
		{"by the platform's sub", "devops", map[string]any{"connection": "ci", "claims": map[string]any{"sub": "shop", "iss": "x", "exp": 1}}, 200, []any{"by-sub"}, ""},
		{"by the identity of our token", "auditor", map[string]any{"connection": "ci", "identity": "apps/shop", "claims": map[string]any{}}, 200, []any{"by-sub"}, ""},
		{"an identity below another path is no sub", "auditor", map[string]any{"connection": "ci", "identity": "shop", "claims": map[string]any{"sub": "shop"}}, 200, []any{}, ""},
		{"a near miss is told", "security", map[string]any{"connection": "ci", "claims": map[string]any{"ref": "Main"}}, 200, []any{}, "only in case"},
		{"a number keeps its text", "security", map[string]any{"connection": "ci", "claims": map[string]any{"ref": 12345678901234567}}, 200, []any{}, "12345678901234567"},
		{"no such connection", "security", map[string]any{"connection": "cd", "claims": map[string]any{}}, 422, nil, "/connection"},
		{"no connection", "security", map[string]any{"claims": map[string]any{}}, 422, nil, "/connection"},
		{"no claims", "security", map[string]any{"connection": "ci"}, 422, nil, "/claims"},
		{"a token instead of claims", "security", map[string]any{"connection": "ci", "token": "ey", "claims": "ey"}, 422, nil, "/claims"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e.t = t
			r := e.as(tc.person, "POST", "/roles/match", tc.body)
			if r.Status != tc.status || !strings.Contains(r.Raw, tc.message) {
				t.Fatalf("got %d %s", r.Status, r.Raw)
			}
			if diff := cmp.Diff(tc.roles, r.Body["roles"]); tc.status == 200 && diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("asking recorded %v", types)
	}
}
