package e2e

import (
	"slices"

	"sallyport.dev/domain"
)

func (u *tour) roles() {
	u.t.Helper()
	const sec, aud = domain.SecurityAdmin, domain.Auditor
	role := func(name, connection string) map[string]any {
		return map[string]any{"name": name, "description": "of a tour", "requirements": []any{
			map[string]any{"connection": connection, "conditions": []any{map[string]any{"claim": "sub", "operator": "equals", "value": "job/1"}}},
			map[string]any{"connection": "gitlab-ci"},
		}}
	}
	u.as(sec, 201, "POST", "/roles", role("tour", "ci"))
	u.as(sec, 409, "POST", "/roles", role("tour", "ci"))
	u.as(sec, 422, "POST", "/roles", role("Tour", "nowhere"))
	u.as(domain.DevOpsAdmin, 403, "POST", "/roles", role("mine", "ci"))
	u.as(aud, 200, "GET", "/roles", nil)
	answered := u.as(aud, 200, "GET", "/roles/tour", nil)
	u.as(aud, 404, "GET", "/roles/nobody", nil)
	answered["description"] = "as it came, changed"
	u.as(sec, 428, "PUT", "/roles/tour", answered)
	u.as(sec, 200, "PUT", "/roles/tour", answered, "If-Match", `"1"`)
	u.as(sec, 412, "PUT", "/roles/tour", answered, "If-Match", `"1"`)
	question := map[string]any{"connection": "ci", "claims": map[string]any{"sub": "job/1", "n": 1}}
	if m := u.as(aud, 200, "POST", "/roles/match", question); !slices.Equal(m["roles"].([]any), []any{"tour"}) {
		u.t.Errorf("what matches is %v", m)
	}
	u.as(sec, 422, "POST", "/roles/match", map[string]any{"connection": "nowhere", "claims": map[string]any{}})
	u.as(domain.Member, 403, "POST", "/roles/match", question)
	u.as(sec, 412, "DELETE", "/roles/tour", nil, "If-Match", `"1"`)
	u.as(sec, 204, "DELETE", "/roles/tour", nil, "If-Match", `"2"`)
	u.as(sec, 409, "POST", "/roles", role("tour", "ci"))
}
