package main

import (
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/host"
)

// vaultJob puts values, has one revealed, sends them where they do not belong,
// and returns them. token is a workload's.
func vaultJob(t *testing.T, x *tenancy, token string) (secrets []string) {
	t.Helper()
	const value, password = "a-telltale-value-0f8e2c", "a-telltale-password-77d1"
	const admin, security = domain.ResourceAdmin, domain.SecurityAdmin
	for person, role := range map[string]domain.Role{"rita": admin, "mia": domain.Member} {
		made, err := x.host.CreateToken(t.Context(), "default", host.TokenRequest{Person: person, Role: role, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		x.tokens["default"][role] = made.Token
	}
	put := func(who domain.Role, status int, method, path, body string, headers ...string) answered {
		t.Helper()
		a := x.json(t, "default", who, method, path, body, headers...)
		if a.StatusCode != status {
			t.Fatalf("%s %s: %d %s", method, path, a.StatusCode, a.raw)
		}
		return a
	}
	put(admin, 201, "POST", "/projects", `{"name":"shop"}`)
	put(admin, 201, "POST", "/secrets", `{"path":"shop/key","project":"shop","value":"`+value+`"}`, "Idempotency-Key", "once")
	put(admin, 200, "POST", "/secrets/versions", `{"path":"shop/key","value":"`+value+`"}`)
	put(admin, 201, "POST", "/servers", `{"name":"db-1","project":"shop","address":"db-1.example","accounts":[{"name":"dba","kind":"vaulted","username":"dba"}]}`)
	put(admin, 200, "PUT", "/servers/db-1/accounts/dba/password", `{"value":"`+password+`"}`)
	put(security, 201, "POST", "/roles", `{"name":"jobs","requirements":[{"connection":"ci"}]}`)
	put(security, 201, "POST", "/policies", `{"name":"shop","principals":{"roles":["jobs"]},"rules":[
		{"name":"keys","resource":{"folder":"shop"},"privileges":[{"type":"secret","actions":["reveal","update"]}]},
		{"name":"passwords","resource":{"server":"db-1"},"privileges":[{"type":"reveal_password","accounts":["dba"]}]}]}`)
	put(security, 200, "POST", "/policies/shop/publish", "", "If-Match", `"1"`)
	as := []string{"Authorization", "Bearer " + token, "Content-Type", "application/json"}
	for body, want := range map[string]string{
		`{"resource":"secret/shop/key","method":"shop/keys/secret_reveal"}`:              value,
		`{"resource":"server/db-1","method":"shop/passwords/reveal_password:dba"}`:       password,
		`{"resource":"secret/shop/key","method":"shop/keys/secret_reveal","version":99}`: "",
	} {
		if got := x.send(t, "POST", "/orgs/default/v1/access/grants", body, as...); got.text("value") != want {
			t.Fatalf("%s: %d %s", body, got.StatusCode, got.raw)
		}
	}
	// Where it does not belong, in bodies that are refused, and by whom it is refused.
	x.json(t, "default", admin, "GET", "/secrets?path="+value, "")
	x.json(t, "default", admin, "POST", "/secrets", `{"path":"`+value+`/..","project":"`+value+`","value":7}`)
	x.json(t, "default", admin, "POST", "/secrets/versions", `{"path":"shop/key","value":"`+value+`"`)
	x.json(t, "default", admin, "POST", "/secrets/versions", `{"path":"shop/nothing","value":"`+value+`"}`)
	x.json(t, "default", domain.Member, "POST", "/secrets/versions", `{"path":"shop/key","value":"`+value+`"}`)
	x.send(t, "POST", "/orgs/default/v1/secrets/versions", `{"path":"shop/other","value":"`+value+`"}`, as...)
	x.send(t, "PUT", "/orgs/default/v1/servers/db-1/accounts/"+password+"/password", `{"value":"`+password+`"}`, as...)
	put(admin, 200, "POST", "/secrets/destroy", `{"path":"shop/key","version":1}`)
	return []string{value, password}
}
