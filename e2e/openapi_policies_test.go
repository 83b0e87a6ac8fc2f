package e2e

import "sallyport.dev/domain"

// policies walks the routes of policies and the question who can reach what.
func (u *tour) policies() {
	u.t.Helper()
	const owner, sec, res, aud = domain.Owner, domain.SecurityAdmin, domain.ResourceAdmin, domain.Auditor
	u.as(owner, 201, "POST", "/groups", map[string]any{"name": "keepers"})
	u.as(owner, 201, "POST", "/people", map[string]any{"name": "kim", "roles": []string{"member"}})
	u.as(owner, 201, "POST", "/groups/keepers/members", map[string]any{"person": "kim"})
	u.as(res, 201, "POST", "/projects", map[string]any{"name": "policy-tour"})
	u.as(res, 201, "POST", "/servers", map[string]any{"name": "keep-1", "project": "policy-tour", "address": "127.0.0.1",
		"accounts": []any{map[string]any{"name": "root", "kind": "vaulted", "username": "root"}}})
	policy := func(expression string) map[string]any {
		return map[string]any{
			"name": "keep", "principals": map[string]any{"groups": []string{"keepers"}},
			"rules": []any{map[string]any{
				"name": "servers", "resource": map[string]any{"server": "keep-1"}, "expression": expression,
				"privileges": []any{map[string]any{"type": "ssh", "accounts": []string{"root"}}},
				"conditions": []any{map[string]any{"type": "mfa"}, map[string]any{"type": "checkout", "max_seconds": 900}},
			}},
		}
	}
	u.as(res, 403, "POST", "/policies", policy(""))
	u.as(sec, 422, "POST", "/policies", policy("claims.sub"))
	u.as(sec, 201, "POST", "/policies", policy(""))
	u.as(sec, 409, "POST", "/policies", policy(""))
	u.as(aud, 200, "GET", "/policies", nil)
	u.as(domain.Member, 403, "GET", "/policies", nil)
	u.as(sec, 428, "POST", "/policies/keep/publish", nil)
	u.as(sec, 412, "POST", "/policies/keep/publish", nil, "If-Match", `"2"`)
	u.as(sec, 200, "POST", "/policies/keep/publish", nil, "If-Match", `"1"`)
	u.as(sec, 200, "PUT", "/policies/keep", policy(`claims.sub == "kim"`), "If-Match", `"1"`)
	pending := u.as(aud, 200, "GET", "/policies/keep", nil)
	if pending["pending"] != true || pending["published_version"] != 1.0 {
		u.t.Errorf("an edited policy is answered as %v", pending)
	}
	u.as(sec, 200, "PUT", "/policies/keep", pending, "If-Match", `"2"`)
	u.as(sec, 200, "POST", "/policies/keep/publish", nil, "If-Match", `"2"`)

	ask := func(subject map[string]any, resource string) map[string]any {
		return map[string]any{"subject": subject, "resource": resource}
	}
	kim := map[string]any{"person": "kim"}
	u.as(domain.Member, 403, "POST", "/policies/simulate", ask(kim, "server/keep-1"))
	if a := u.as(aud, 200, "POST", "/policies/simulate", ask(kim, "server/keep-1")); a["outcome"] != "given" {
		u.t.Errorf("kim is answered %v", a)
	}
	u.as(sec, 200, "POST", "/policies/simulate", ask(map[string]any{"connection": "ci", "identity": "job/1", "claims": map[string]any{"n": 1}}, "server/keep-1"))
	u.as(sec, 422, "POST", "/policies/simulate", ask(map[string]any{"person": "nobody"}, "server/keep-1"))
	u.as(sec, 422, "POST", "/policies/simulate", ask(kim, "keep-1"))

	u.as(sec, 200, "POST", "/policies/keep/unpublish", nil, "If-Match", `"2"`)
	u.as(sec, 204, "DELETE", "/policies/keep", nil, "If-Match", `"2"`)
	u.as(aud, 404, "GET", "/policies/keep", nil)
}
