package e2e

import (
	"slices"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation/orgtest"
)

// requests walks the routes of request types, access requests and delegations.
func (u *tour) requests() {
	u.t.Helper()
	const owner, sec, res, aud, member = domain.Owner, domain.SecurityAdmin, domain.ResourceAdmin, domain.Auditor, domain.Member
	typ := func(kind string, more map[string]any) map[string]any {
		doc := map[string]any{"name": "by-" + kind, "kind": kind, "steps": []any{
			map[string]any{"name": "lead", "approvers": map[string]any{"people": []string{"p-auditor"}}, "escalate": map[string]any{
				"after_seconds": 600, "to": map[string]any{"group": "nobody-knows"}}},
		}}
		for k, v := range more {
			doc[k] = v
		}
		return doc
	}
	u.as(member, 403, "POST", "/request-types", typ("access", nil))
	u.as(sec, 422, "POST", "/request-types", typ("access", map[string]any{"groups": []string{"askers"}}))
	if drafted := u.as(sec, 201, "POST", "/request-types", typ("access", map[string]any{"status": "published", "by_owner": true, "version": 7})); drafted["status"] != "draft" ||
		drafted["by_owner"] != nil || drafted["version"] != 1.0 {
		u.t.Errorf("what only the server says was taken from a draft: %v", drafted)
	}
	u.as(sec, 409, "POST", "/request-types", typ("access", map[string]any{"description": "another"}))
	u.as(member, 404, "GET", "/request-types/by-access", nil) // a draft
	u.as(sec, 428, "POST", "/request-types/by-access/publish", nil)
	u.as(sec, 412, "POST", "/request-types/by-access/publish", nil, "If-Match", `"2"`)
	u.as(sec, 200, "POST", "/request-types/by-access/publish", nil, "If-Match", `"1"`)
	u.as(member, 200, "GET", "/request-types/by-access", nil)
	shown := u.as(aud, 200, "GET", "/request-types/by-access", nil)
	if shown["missing"].([]any)[0] != "/steps/0/escalate/to/group" {
		u.t.Errorf("what is missing is %v", shown["missing"])
	}
	shown["description"] = "as it came, changed"
	u.as(sec, 200, "PUT", "/request-types/by-access", shown, "If-Match", `"1"`)
	if seen := u.as(member, 200, "GET", "/request-types/by-access", nil); seen["version"] != 1.0 || seen["description"] != nil {
		u.t.Errorf("a member sees %v before it is published", seen)
	}
	u.as(sec, 200, "POST", "/request-types/by-access/publish", nil, "If-Match", `"2"`)
	u.as(sec, 201, "POST", "/groups", map[string]any{"name": "askers"})
	u.as(sec, 201, "POST", "/groups/askers/members", map[string]any{"person": "p-member"})
	u.as(sec, 201, "POST", "/groups", map[string]any{"name": "visitors"})
	u.as(sec, 201, "POST", "/request-types", typ("group", map[string]any{"groups": []string{"visitors"}, "max_seconds": 3600,
		"fields": []any{map[string]any{"name": "risk", "type": "choice", "of": "approver", "choices": []string{"low"}, "required": true}}}))
	u.as(sec, 200, "POST", "/request-types/by-group/publish", nil, "If-Match", `"1"`)

	u.as(res, 201, "POST", "/projects", map[string]any{"name": "request-tour"})
	u.as(res, 201, "POST", "/servers", map[string]any{"name": "ask-1", "project": "request-tour", "address": "127.0.0.1",
		"accounts": []any{map[string]any{"name": "root", "kind": "vaulted", "username": "root"}}})
	u.as(sec, 201, "POST", "/policies", map[string]any{"name": "ask", "principals": map[string]any{"groups": []string{"askers"}}, "rules": []any{map[string]any{
		"name": "first", "resource": map[string]any{"server": "ask-1"}, "privileges": []any{map[string]any{"type": "ssh", "accounts": []string{"root"}}},
		"conditions": []any{map[string]any{"type": "access_request", "request_type": "by-access", "approval_seconds": 900}}}}})
	u.as(sec, 200, "POST", "/policies/ask/publish", nil, "If-Match", `"1"`)

	access := map[string]any{"resource": "server/ask-1", "method": "ask/first/ssh:root", "justification": "to look"}
	u.as(aud, 403, "POST", "/access/requests", access)
	u.as(member, 422, "POST", "/access/requests", map[string]any{"resource": "server/ask-1", "method": "ask/first/ssh:root", "status": "approved"})
	first := u.as(member, 201, "POST", "/access/requests", access)["id"].(string)
	u.as(member, 200, "POST", "/access/requests", access)
	u.as(member, 200, "GET", "/access/requests?view=mine&status=pending", nil)
	u.as(member, 422, "GET", "/access/requests?view=yours", nil)
	u.as(member, 403, "GET", "/access/requests?view=all", nil)
	u.as(res, 404, "GET", "/access/requests/"+first, nil)
	u.as(aud, 200, "GET", "/access/requests/"+first, nil)
	u.as(member, 400, "GET", "/access/requests/"+first+"/poll", nil)
	u.as(member, 400, "GET", "/access/requests/"+first+"/poll", nil) // too soon
	u.as(member, 403, "POST", "/access/requests/"+first+"/approve", nil)
	u.as(res, 404, "POST", "/access/requests/"+first+"/deny", nil)
	u.as(aud, 409, "POST", "/access/requests/"+first+"/approve", map[string]any{"step": 2})
	u.as(aud, 200, "POST", "/access/requests/"+first+"/deny", map[string]any{"comment": "not today"})
	u.as(aud, 409, "POST", "/access/requests/"+first+"/approve", nil)
	second := u.as(member, 201, "POST", "/access/requests", access)["id"].(string)
	u.as(member, 200, "POST", "/access/requests/"+second+"/cancel", nil)
	third := u.as(member, 201, "POST", "/access/requests", access)["id"].(string)
	u.as(aud, 200, "POST", "/access/requests/"+third+"/approve", nil)
	u.as(member, 200, "GET", "/access/requests/"+third+"/poll", nil)
	u.as(member, 409, "POST", "/access/requests", access)

	until := time.Now().Add(time.Hour / 2).UTC().Format(time.RFC3339)
	visit := map[string]any{"type": "by-group", "group": "visitors", "until": until, "justification": "to visit"}
	u.as(member, 422, "POST", "/access/requests", map[string]any{"type": "by-group", "group": "visitors", "until": "2020-01-01T00:00:00Z", "justification": "x"})
	fourth := u.as(member, 201, "POST", "/access/requests", visit)["id"].(string)

	u.as(aud, 422, "PUT", "/access/delegation", map[string]any{"to": "nobody", "until": until})
	u.as(aud, 200, "PUT", "/access/delegation", map[string]any{"to": "p-resource-admin", "until": until})
	u.as(res, 200, "GET", "/access/delegation", nil)
	u.as(res, 422, "POST", "/access/requests/"+fourth+"/approve", nil) // the field
	u.as(res, 200, "POST", "/access/requests/"+fourth+"/approve", map[string]any{"fields": map[string]any{"risk": "low"}, "comment": "for a visit"})
	u.as(aud, 409, "POST", "/access/requests/"+fourth+"/deny", nil)
	u.as(aud, 204, "DELETE", "/access/delegation", nil)
	u.as(aud, 200, "GET", "/access/requests?view=all", nil)
	u.as(aud, 200, "GET", "/access/requests?view=inbox", nil)

	u.as(sec, 200, "POST", "/request-types/by-group/disable", nil, "If-Match", `"1"`)
	u.as(sec, 204, "DELETE", "/request-types/by-group", nil, "If-Match", `"1"`)
	u.as(owner, 200, "GET", "/request-types", nil)
}

// The routes of requests are walked by themselves too.
func TestRequestsAreAnsweredAsTheOpenAPIDocumentSays(t *testing.T) {
	u := newTour(t, orgtest.New(t))
	u.requests()
	for _, op := range []string{
		"listRequestTypes", "draftRequestType", "showRequestType", "replaceRequestType", "deleteRequestType", "publishRequestType", "disableRequestType",
		"listRequests", "raiseRequest", "showRequest", "pollRequest", "approveRequest", "denyRequest", "cancelRequest",
		"showDelegation", "setDelegation", "endDelegation",
	} {
		if !slices.ContainsFunc(u.watcher.Seen(op), func(status int) bool { return status < 300 }) {
			t.Errorf("%s was never answered with success", op)
		}
	}
}
