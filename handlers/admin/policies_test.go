package admin_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// policyDocument is a policy for group ops on servers by label.
func policyDocument(name string, change map[string]any) map[string]any {
	rule := map[string]any{
		"name": "servers", "resource": map[string]any{"labels": map[string]any{"tier": "web"}},
		"privileges": []any{map[string]any{"type": "ssh", "accounts": []any{"root"}}},
	}
	for k, v := range change {
		rule[k] = v
	}
	return map[string]any{"name": name, "principals": map[string]any{"groups": []any{"ops"}}, "rules": []any{rule}}
}

func TestTheLifeOfAPolicyOverTheWire(t *testing.T) {
	e := newEdge(t)
	const post, put, get, del = "POST", "PUT", "GET", "DELETE"
	const list, one, publish, unpublish = "/policies", "/policies/web", "/policies/web/publish", "/policies/web/unpublish"
	e.must(201, e.as("owner", post, "/groups", map[string]any{"name": "ops"}))
	doc, timed := policyDocument("web", nil), policyDocument("web", map[string]any{"expression": "time.getHours() < 18"})
	elsewhere := policyDocument("web", nil)
	elsewhere["principals"] = map[string]any{"groups": []any{"nowhere"}}
	e.run(t, []step{
		{"a resource admin writes none", "resource", post, list, doc, "", 403, "role.missing", "security_admin", nil, nil},
		{"an owner writes none", "owner", post, list, doc, "", 403, "role.missing", "security_admin", nil, nil},
		{"a group that is not there", "security", post, list, elsewhere, "", 422, "request.invalid", "", nil, nil},
		{"a question is no name", "security", post, list, policyDocument("simulate", nil), "", 422, "request.invalid", "", nil, nil},
		{"a security admin drafts", "security", post, list, doc, "", 201, "", "", []string{"policy.drafted"},
			map[string]any{"name": "web", "version": 1.0, "status": "draft", "pending": false, "created_by": "security"}},
		{"a name is given once", "security", post, list, doc, "", 409, "policy.taken", "", nil, nil},
		{"an auditor publishes nothing", "auditor", post, publish, nil, `"1"`, 403, "role.missing", "", nil, nil},
		{"who publishes says what they saw", "security", post, publish, nil, "", 428, "version.required", "", nil, nil},
		{"which is what is there", "security", post, publish, nil, `"2"`, 412, "version.stale", "", nil, nil},
		{"published", "security", post, publish, nil, `"1"`, 200, "", "", []string{"policy.published"},
			map[string]any{"status": "published", "published_version": 1.0, "published_by": "security", "version": 1.0}},
		{"twice is once", "security", post, publish, nil, `"1"`, 200, "", "", nil, map[string]any{"published_version": 1.0}},
		{"an edit", "security", put, one, timed, `"1"`, 200, "", "", []string{"policy.edited"},
			map[string]any{"version": 2.0, "published_version": 1.0, "pending": true, "status": "published"}},
		{"both are shown", "auditor", get, one, nil, "", 200, "", "", nil, map[string]any{"published": map[string]any{
			"principals": doc["principals"], "rules": doc["rules"]}, "rules": timed["rules"]}},
		{"an edit of another version", "security", put, one, doc, `"1"`, 412, "version.stale", "", nil, nil},
		{"an edit by who may not", "resource", put, one, doc, `"2"`, 403, "role.missing", "", nil, nil},
		{"unpublished by who may not", "owner", post, unpublish, nil, `"2"`, 403, "role.missing", "", nil, nil},
		{"unpublished", "security", post, unpublish, nil, `"2"`, 200, "", "", []string{"policy.unpublished"}, map[string]any{"status": "draft", "pending": false}},
		{"a deletion by who may not", "auditor", del, one, nil, `"2"`, 403, "role.missing", "", nil, nil},
		{"a deletion", "security", del, one, nil, `"2"`, 204, "", "", []string{"policy.deleted"}, nil},
		{"it is gone", "security", get, one, nil, "", 404, "policy.not_found", "", nil, nil},
		{"and is published no more", "security", post, publish, nil, `"2"`, 404, "policy.not_found", "", nil, nil},
		{"its name is never given again", "security", post, list, doc, "", 409, "policy.taken", "never given again", nil, nil},
		{"nor is it listed", "auditor", get, list, nil, "", 200, "", "", nil, map[string]any{"policies": []any{}}},
	})
}

func TestWhatAPolicyMayNotSayIsNamed(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("owner", "POST", "/groups", map[string]any{"name": "ops"}))
	at := e.Last()
	for _, tc := range []struct {
		name   string
		change map[string]any
		fields []string
	}{
		{"a server that is not there", map[string]any{"resource": map[string]any{"server": "web-1"}}, []string{"/rules/0/resource/server server.not_found"}},
		{"a request type that is not there", map[string]any{"conditions": []any{map[string]any{"type": "access_request", "request_type": "x", "approval_seconds": 60}}},
			[]string{"/rules/0/conditions/0/request_type request_type.not_found"}},
		{"an expression that is none", map[string]any{"expression": "claims.sub"}, []string{"/rules/0/expression invalid"}},
		{"a field of its own", map[string]any{"allow": true}, []string{"/rules/0/allow field.unknown"}},
		{"a way to select of its own", map[string]any{"resource": map[string]any{"labels": map[string]any{"a": "b"}, "all": true}}, []string{"/rules/0/resource/all field.unknown"}},
		{"a label that is no text", map[string]any{"resource": map[string]any{"labels": map[string]any{"a": 1}}}, []string{"/rules/0/resource/labels/a field.type"}},
		{"several at once", map[string]any{"name": "A", "privileges": []any{map[string]any{"type": "ssh", "accounts": []any{"a:b"}}}},
			[]string{"/rules/0/name name.invalid", "/rules/0/privileges/0/accounts/0 name.invalid"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e.t = t
			r := e.as("security", "POST", "/policies", policyDocument("web", tc.change))
			if diff := cmp.Diff(tc.fields, r.pointers()); r.Status != 422 || diff != "" {
				t.Errorf("got %d %s; fields (-want +got):\n%s", r.Status, r.Raw, diff)
			}
		})
	}
	if types := e.Types(at); len(types) > 0 {
		t.Errorf("recorded %v", types)
	}
}

// What a policy names may go: it is shown by where it stands, both in what was
// written last and in what decides, and what was read can be sent back.
func TestWhatAPolicyNamesAndIsGoneIsPointedAt(t *testing.T) {
	e := newEdge(t)
	e.must(201, e.as("owner", "POST", "/groups", map[string]any{"name": "ops"}))
	e.must(201, e.as("owner", "POST", "/groups", map[string]any{"name": "dba"}))
	e.must(201, e.as("security", "POST", "/policies", policyDocument("web", nil)))
	e.must(200, e.as("security", "POST", "/policies/web/publish", nil, "If-Match", `"1"`))
	both := policyDocument("web", nil)
	both["principals"] = map[string]any{"groups": []any{"dba", "ops"}}
	e.must(200, e.as("security", "PUT", "/policies/web", both, "If-Match", `"1"`))
	e.must(204, e.as("owner", "DELETE", "/groups/ops", nil, "If-Match", `"1"`))
	r := e.must(200, e.as("auditor", "GET", "/policies/web", nil))
	if diff := cmp.Diff([]any{"/principals/groups/1", "/published/principals/groups/0"}, r.Body["missing"]); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	same := e.must(200, e.as("security", "PUT", "/policies/web", r.Body, "If-Match", `"2"`))
	if same.Body["version"] != 2.0 {
		t.Errorf("sent back as it came it is another version: %s", same.Raw)
	}
	if r := e.as("security", "POST", "/groups", map[string]any{"name": "ops"}); r.Status != 409 || !strings.Contains(r.Raw, "group.taken") {
		t.Errorf("the group's name is given again: %d %s", r.Status, r.Raw)
	}
}
