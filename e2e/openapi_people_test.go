package e2e

import "sallyport.dev/domain"

// people walks the routes of people, groups and members.
func (u *tour) people() {
	u.t.Helper()
	const own, sec = domain.Owner, domain.SecurityAdmin
	carol := map[string]any{"name": "carol", "roles": []string{"member"}, "email": "carol@example.com", "manager": "p-owner"}
	u.as(own, 404, "POST", "/people/carol/sign-out", nil)
	u.as(own, 201, "POST", "/people", carol, "Idempotency-Key", "carol")
	u.as(own, 200, "POST", "/people/carol/sign-out", nil)
	u.as(sec, 403, "POST", "/people/carol/sign-out", nil)
	u.as(own, 201, "POST", "/people", carol, "Idempotency-Key", "carol")
	u.as(own, 409, "POST", "/people", map[string]any{"name": "carol", "roles": []string{"auditor"}})
	u.as(own, 422, "POST", "/people", map[string]any{"name": "Carol", "roles": []string{"root"}, "email": "x", "manager": "Y"})
	u.as(sec, 403, "POST", "/people", carol)
	u.as(domain.Auditor, 200, "GET", "/people", nil)
	answered := u.as(own, 200, "GET", "/people/carol", nil)
	answered["email"] = "c@example.com"
	u.as(own, 200, "PUT", "/people/carol", answered, "If-Match", `"1"`)
	u.as(own, 412, "PUT", "/people/carol", answered, "If-Match", `"1"`)
	u.as(own, 428, "PUT", "/people/carol", answered)
	u.as(own, 403, "PUT", "/people/p-owner", map[string]any{"roles": []string{"owner", "auditor"}}, "If-Match", `"1"`)

	u.as(sec, 201, "POST", "/groups", map[string]any{"name": "night", "description": "Who is called"})
	u.as(sec, 403, "POST", "/groups", map[string]any{"name": "admins", "roles": []string{"security_admin"}})
	u.as(own, 201, "POST", "/groups", map[string]any{"name": "readers", "roles": []string{"auditor"}})
	u.as(own, 409, "POST", "/groups", map[string]any{"name": "readers"})
	u.as(sec, 200, "GET", "/groups", nil)
	group := u.as(sec, 200, "GET", "/groups/night", nil)
	group["description"] = "Who is called at night"
	u.as(sec, 200, "PUT", "/groups/night", group, "If-Match", `"1"`)
	u.as(sec, 404, "GET", "/groups/nobody", nil)

	u.as(sec, 201, "POST", "/groups/night/members", map[string]any{"person": "carol"})
	u.as(sec, 422, "POST", "/groups/night/members", map[string]any{"person": "mallory"})
	u.as(sec, 422, "POST", "/groups/night/members", map[string]any{"person": "carol", "until": "2020-01-01T00:00:00Z"})
	u.as(sec, 403, "POST", "/groups/readers/members", map[string]any{"person": "carol"})
	u.as(sec, 200, "GET", "/groups/night/members", nil)
	u.as(sec, 404, "DELETE", "/groups/night/members/mallory", nil)
	u.as(sec, 204, "DELETE", "/groups/night/members/carol", nil)
	u.as(sec, 204, "DELETE", "/groups/night", nil, "If-Match", `"2"`)
	u.as(own, 204, "DELETE", "/people/carol", nil, "If-Match", `"2"`)
}
