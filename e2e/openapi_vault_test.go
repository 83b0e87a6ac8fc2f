package e2e

import (
	"slices"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation/orgtest"
)

// vault walks what the document says of projects, servers and secrets.
func (u *tour) vault() {
	u.t.Helper()
	const admin = domain.ResourceAdmin
	u.as(admin, 201, "POST", "/projects", map[string]any{"name": "payments"})
	u.as(admin, 409, "POST", "/projects", map[string]any{"name": "payments"})
	u.as(domain.SecurityAdmin, 403, "POST", "/projects", map[string]any{"name": "others"})
	u.as(domain.Auditor, 200, "GET", "/projects", nil)
	project := u.as(admin, 200, "GET", "/projects/payments", nil)
	project["checkout"] = map[string]any{"required": true, "max_seconds": 900}
	u.as(admin, 200, "PUT", "/projects/payments", project, "If-Match", `"1"`)
	u.as(admin, 422, "PUT", "/projects/payments", map[string]any{"checkout": map[string]any{"max_seconds": 5}}, "If-Match", `"2"`)

	u.as(admin, 201, "POST", "/servers", map[string]any{
		"name": "db-1", "project": "payments", "address": "db-1.example", "owner": map[string]any{"group": "nobody-knows"},
		"accounts": []map[string]any{{"name": "me", "kind": "personal"}, {"name": "dba", "kind": "vaulted", "username": "postgres"}},
	})
	u.as(admin, 422, "POST", "/servers", map[string]any{"name": "db-2", "project": "elsewhere", "address": "db-2.example:22"})
	u.as(domain.Member, 403, "GET", "/servers", nil)
	u.as(domain.Auditor, 200, "GET", "/servers", nil)
	const password = "/servers/db-1/accounts/dba/password"
	u.as(admin, 200, "PUT", password, map[string]any{"value": "first"}, "Idempotency-Key", "password")
	u.as(admin, 200, "PUT", password, map[string]any{"value": "first"}, "Idempotency-Key", "password")
	u.as(admin, 422, "PUT", password, map[string]any{"value": "second"}, "Idempotency-Key", "password")
	u.as(admin, 422, "PUT", password, map[string]any{"value": ""})
	u.as(admin, 404, "PUT", "/servers/db-1/accounts/me/password", map[string]any{"value": "mine"})
	server := u.as(admin, 200, "GET", "/servers/db-1", nil)
	server["description"] = "as it came, changed"
	u.as(admin, 200, "PUT", "/servers/db-1", server, "If-Match", `"1"`)
	server["accounts"] = []any{}
	u.as(admin, 409, "PUT", "/servers/db-1", server, "If-Match", `"2"`)
	u.as(admin, 404, "POST", password+"/destroy", map[string]any{"version": 2})
	u.as(admin, 200, "POST", password+"/destroy", map[string]any{"version": 1})
	u.as(admin, 409, "DELETE", "/projects/payments", nil, "If-Match", `"2"`)

	const path = "payments/db/password"
	u.as(admin, 201, "POST", "/secrets", map[string]any{"path": path, "project": "payments", "value": "first"})
	u.as(admin, 409, "POST", "/secrets", map[string]any{"path": path, "project": "payments"})
	u.as(admin, 422, "POST", "/secrets", map[string]any{"path": "payments/../other", "project": "payments"})
	u.as(domain.Member, 403, "POST", "/secrets", map[string]any{"path": "payments/mine", "project": "payments"})
	u.as(domain.Member, 200, "GET", "/secrets", nil)
	u.as(domain.Auditor, 422, "GET", "/secrets?folder=/payments", nil)
	u.as(admin, 200, "POST", "/secrets/versions", map[string]any{"path": path, "value": "second"})
	u.as(admin, 422, "POST", "/secrets/versions", map[string]any{"path": path, "value": strings.Repeat("x", 64<<10+1)})
	listed := u.as(domain.Auditor, 200, "GET", "/secrets?path="+path, nil)["secrets"].([]any)[0].(map[string]any)
	listed["labels"] = map[string]any{"env": "prod"}
	u.as(admin, 428, "PUT", "/secrets", listed)
	u.as(admin, 200, "PUT", "/secrets", listed, "If-Match", `"1"`)
	u.as(admin, 412, "PUT", "/secrets", listed, "If-Match", `"1"`)
	u.as(admin, 200, "POST", "/secrets/destroy", map[string]any{"path": path, "version": 1})
	u.as(admin, 204, "POST", "/secrets/delete", map[string]any{"path": path})
	u.as(admin, 404, "POST", "/secrets/delete", map[string]any{"path": path})
	u.as(admin, 409, "POST", "/secrets", map[string]any{"path": path, "project": "payments"})

	u.as(admin, 204, "DELETE", "/servers/db-1", nil, "If-Match", `"2"`)
	u.as(admin, 204, "DELETE", "/projects/payments", nil, "If-Match", `"2"`)
}

// The routes of the vault are walked by themselves too, to the end: whatever the
// document says of them happens.
func TestTheVaultAnswersAsTheOpenAPIDocumentSays(t *testing.T) {
	u := newTour(t, orgtest.New(t))
	u.vault()
	for _, op := range []string{
		"listProjects", "createProject", "showProject", "editProject", "deleteProject",
		"listServers", "createServer", "showServer", "editServer", "deleteServer", "putPassword", "destroyPassword",
		"listSecrets", "createSecret", "editSecret", "putSecret", "destroySecretVersion", "deleteSecret",
	} {
		if !slices.ContainsFunc(u.watcher.Seen(op), func(status int) bool { return status < 300 }) {
			t.Errorf("%s was never answered with success", op)
		}
	}
}
