package e2e

import (
	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

// proofs gives a person an account at a provider and a passkey, and takes both away.
func (u *tour) proofs(w *orgtest.World, who domain.Name) {
	u.t.Helper()
	account := identity.Account{Issuer: "https://login.example.com", Subject: "00u1a2b3"}
	for by, c := range map[string]identity.Command{
		signin.Actor().ID: identity.Link{Person: who, Account: account},
		who.String():      identity.RegisterPasskey{Person: who, ID: "AQIDBAUGBwg", PublicKey: "AQ", Name: "my laptop"},
	} {
		m := domain.Meta{Actor: domain.Actor{ID: by}, Now: w.Now()}
		if _, err := w.Execute(u.t.Context(), m, func(s *control.State) ([]domain.Fact, error) { return identity.Decide(s.Identities(), c, m) }); err != nil {
			u.t.Fatal(err)
		}
	}
	const own, sec = domain.Owner, domain.SecurityAdmin
	person := "/people/" + who.String()
	unlink := map[string]any{"issuer": account.Issuer, "subject": account.Subject}
	u.as(own, 200, "GET", person, nil)
	u.as(sec, 403, "POST", person+"/unlink", unlink)
	u.as(own, 422, "POST", person+"/unlink", map[string]any{"issuer": ""})
	u.as(own, 200, "POST", person+"/unlink", unlink)
	u.as(own, 404, "POST", person+"/unlink", map[string]any{"issuer": account.Issuer, "subject": "another"})
	u.as(sec, 403, "DELETE", person+"/passkeys/AQIDBAUGBwg", nil)
	u.as(own, 200, "DELETE", person+"/passkeys/AQIDBAUGBwg", nil)
	u.as(own, 404, "DELETE", person+"/passkeys/AQIDBAUGBwg", nil)
	u.as(own, 200, "GET", person, nil)
}

// people walks the routes of people, groups and members.
func (u *tour) people(w *orgtest.World) {
	u.t.Helper()
	const own, sec = domain.Owner, domain.SecurityAdmin
	carol := map[string]any{"name": "carol", "roles": []string{"member"}, "email": "carol@example.com", "manager": "p-owner"}
	u.as(own, 404, "POST", "/people/carol/sign-out", nil)
	u.as(own, 404, "POST", "/people/carol/invite", nil)
	u.as(own, 201, "POST", "/people", carol, "Idempotency-Key", "carol")
	u.as(own, 200, "POST", "/people/carol/sign-out", nil)
	u.as(sec, 403, "POST", "/people/carol/sign-out", nil)
	u.as(sec, 403, "POST", "/people/carol/invite", nil)
	u.as(own, 201, "POST", "/people/carol/invite", nil)
	u.proofs(w, "carol")
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
