package admin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// dbServer is a server with an account of each kind, in a project.
func (e *edge) dbServer(owner doc) doc {
	e.t.Helper()
	e.must(201, e.as("resource", "POST", "/projects", doc{"name": "shop"}))
	server := doc{"name": "db-1", "project": "shop", "address": "db-1.example", "accounts": []doc{
		{"name": "dba", "kind": "vaulted", "username": "postgres"}, {"name": "own", "kind": "personal"}}}
	if owner != nil {
		server["owner"] = owner
	}
	e.must(201, e.as("resource", "POST", "/servers", server))
	return server
}

const dbaPassword = "/servers/db-1/accounts/dba/password"

// kept is how many values the vault has.
func (e *edge) kept() int {
	e.t.Helper()
	ids, err := e.Vault().IDs(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	return len(ids)
}

func TestTheLifeOfAServer(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.dbServer(nil)
	at := e.Last()
	if r := e.must(200, e.as("resource", "PUT", dbaPassword, doc{"value": "a telltale"})); strings.Contains(string(r.Raw), "telltale") {
		t.Errorf("the answer to a password has it: %s", r.Raw)
	}
	e.must(200, e.as("resource", "PUT", dbaPassword, doc{"value": "another"}))
	e.must(200, e.as("resource", "POST", dbaPassword+"/destroy", doc{"version": 1}))
	if n := e.kept(); n != 1 {
		t.Errorf("the vault has %d values, want the second alone", n)
	}
	r := e.must(200, e.as("auditor", "GET", "/servers/db-1", nil))
	if r.Header.Get("ETag") != `"1"` || !strings.Contains(string(r.Raw), `"destroyed_at"`) || strings.Contains(string(r.Raw), "telltale") {
		t.Errorf("it shows as %s", r.Raw)
	}
	e.must(200, e.as("resource", "PUT", "/servers/db-1", r.Body, "If-Match", `"1"`)) // as it came, it says so already
	r.Body["address"] = "192.0.2.7"
	e.must(200, e.as("resource", "PUT", "/servers/db-1", r.Body, "If-Match", `"1"`))
	r.Body["accounts"] = []doc{}
	if r := e.as("resource", "PUT", "/servers/db-1", r.Body, "If-Match", `"2"`); r.Status != 409 || r.text("code") != "server.account_has_password" {
		t.Errorf("an account with a password was taken away: %d %s", r.Status, r.Raw)
	}
	if r := e.as("resource", "DELETE", "/projects/shop", nil, "If-Match", `"1"`); r.Status != 409 || r.text("code") != "project.not_empty" {
		t.Errorf("a project with a server was deleted: %d %s", r.Status, r.Raw)
	}
	e.must(204, e.as("resource", "DELETE", "/servers/db-1", nil, "If-Match", `"2"`))
	if n := e.kept(); n != 0 {
		t.Errorf("the vault has %d values of a server that is gone", n)
	}
	e.must(404, e.as("resource", "PUT", dbaPassword, doc{"value": "late"}))
	e.must(204, e.as("resource", "DELETE", "/projects/shop", nil, "If-Match", `"1"`))
	want := []string{"secret.version_added", "secret.version_added", "secret.version_destroyed", "server.edited", "server.deleted", "project.deleted"}
	if got := e.Types(at); !slices.Equal(got, want) {
		t.Errorf("the log has %v, want %v", got, want)
	}
	if strings.Contains(e.log.String(), "telltale") {
		t.Error("the password is in a line of the log")
	}
}

// Who answered for a server and is gone is shown as missing.
func TestAnOwnerWhoIsGoneIsShownAsMissing(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.must(201, e.as("owner", "POST", "/groups", doc{"name": "dbas"}))
	e.dbServer(doc{"group": "dbas"})
	owner := func() string {
		return fmt.Sprint(e.must(200, e.as("auditor", "GET", "/servers/db-1", nil)).Body["owner"])
	}
	if got := owner(); got != "map[group:dbas]" {
		t.Errorf("its owner is %s", got)
	}
	e.must(204, e.as("owner", "DELETE", "/groups/dbas", nil, "If-Match", `"1"`))
	if got := owner(); got != "map[group:dbas missing:true]" {
		t.Errorf("its owner is %s, want it missing", got)
	}
}

// A password is of a vaulted account, and put by whom it is for to put.
func TestPasswordsAreOfVaultedAccounts(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.dbServer(nil)
	for path, code := range map[string]string{
		"/servers/db-1/accounts/own/password":     "server.account_not_found",
		"/servers/db-1/accounts/nobody/password":  "server.account_not_found",
		"/servers/db-1/accounts/DBA/password":     "server.account_not_found",
		"/servers/db-2/accounts/dba/password":     "server.not_found",
		"/servers/DB-1/accounts/dba/password":     "server.not_found",
		"/servers/db-1/accounts/dba%2f/password":  "route.not_found",
		"/servers/db-1/accounts/../dba/password/": "route.not_found",
	} {
		if r := e.as("resource", "PUT", path, doc{"value": "x"}); r.Status != 404 || r.text("code") != code {
			t.Errorf("%s: %d %s, want 404 %s", path, r.Status, r.Raw, code)
		}
	}
	for _, body := range []any{doc{"value": ""}, doc{"value": strings.Repeat("x", 64<<10+1)}, doc{"value": 1}, doc{"value": "x", "version": 1}, doc{}} {
		if r := e.as("resource", "PUT", dbaPassword, body); r.Status != 422 {
			t.Errorf("%.40v: %d %s", body, r.Status, r.Raw)
		}
	}
	for _, body := range []any{doc{"version": 0}, doc{"version": -1}, doc{}} {
		e.must(422, e.as("resource", "POST", dbaPassword+"/destroy", body))
	}
	for _, who := range []string{"owner", "security", "devops", "auditor", "alice"} {
		e.must(403, e.as(who, "PUT", dbaPassword, doc{"value": "x"}))
		e.must(403, e.as(who, "POST", dbaPassword+"/destroy", doc{"version": 1}))
	}
	if n := e.kept(); n != 0 {
		t.Errorf("what was refused left %d values", n)
	}
}
