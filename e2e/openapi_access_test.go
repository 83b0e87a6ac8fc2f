package e2e

import (
	"strings"

	"sallyport.dev/domain"
)

// access walks what the document says of resolve, grants, checkouts and broken glass.
func (u *tour) access() {
	u.t.Helper()
	type doc = map[string]any
	const owner, sec, res, mem, aud = domain.Owner, domain.SecurityAdmin, domain.ResourceAdmin, domain.Member, domain.Auditor
	u.as(sec, 201, "POST", "/groups", doc{"name": "door-people"})
	u.as(sec, 201, "POST", "/groups/door-people/members", doc{"person": "p-member"})
	u.as(sec, 201, "POST", "/groups", doc{"name": "door-leads"})
	u.as(sec, 201, "POST", "/groups/door-leads/members", doc{"person": "p-auditor"})
	u.as(res, 201, "POST", "/projects", doc{"name": "door-tour"})
	u.as(res, 201, "POST", "/servers", doc{"name": "door-1", "project": "door-tour", "address": "127.0.0.1", "labels": doc{"env": "prod"}, "accounts": []doc{
		{"name": "own", "kind": "personal"}, {"name": "one", "kind": "vaulted", "username": "one"}, {"name": "two", "kind": "vaulted", "username": "two"}}})
	u.as(res, 201, "POST", "/secrets", doc{"path": "door/key", "project": "door-tour", "value": "open sesame"})
	u.as(sec, 201, "POST", "/request-types", doc{"name": "door-access", "kind": "access",
		"steps": []doc{{"name": "lead", "approvers": doc{"group": "door-leads"}, "needed": 1}}})
	u.as(sec, 200, "POST", "/request-types/door-access/publish", nil, "If-Match", `"1"`)
	ssh := func(name, account string, more doc) doc {
		r := doc{"name": name, "resource": doc{"server": "door-1"}, "privileges": []doc{{"type": "ssh", "accounts": []string{account}}}}
		for k, v := range more {
			r[k] = v
		}
		return r
	}
	u.as(sec, 201, "POST", "/policies", doc{"name": "door", "principals": doc{"groups": []string{"door-people"}}, "rules": []doc{
		ssh("own", "own", nil),
		ssh("one", "one", doc{"conditions": []doc{{"type": "checkout", "max_seconds": 900}}}),
		ssh("two", "two", doc{"break_glass": doc{"access_seconds": 600}, "conditions": []doc{
			{"type": "access_request", "request_type": "door-access", "approval_seconds": 900}, {"type": "mfa", "fresh_seconds": 0}}}),
		{"name": "key", "resource": doc{"secret": "door/key"}, "privileges": []doc{{"type": "secret", "actions": []string{"reveal"}}}},
	}})
	u.as(sec, 200, "POST", "/policies/door/publish", nil, "If-Match", `"1"`)

	const server, key = "server/door-1", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDxXySP/Zu18hY6b/mJxFacPCtU/zX7zS5DnZvq1kmp"
	u.as(mem, 200, "GET", "/access/resources", nil)
	u.as(mem, 200, "GET", "/access/resources?kind=server", nil)
	u.as(mem, 422, "GET", "/access/resources?kind=door&role=any", nil)
	u.as(mem, 200, "POST", "/access/resolve", doc{"resource": server})
	u.as(owner, 403, "POST", "/access/resolve", doc{"resource": server})
	u.as(aud, 404, "POST", "/access/resolve", doc{"resource": "server/nothing"})
	u.as(mem, 422, "POST", "/access/resolve", doc{"resource": "door-1", "role": "any"})
	u.as(mem, 400, "POST", "/access/resolve", "{")

	u.as(mem, 200, "POST", "/access/grants", doc{"resource": server, "method": "door/own/ssh:own", "public_key": key, "pty": true}, "Idempotency-Key", "door")
	u.as(mem, 409, "POST", "/access/grants", doc{"resource": server, "method": "door/own/ssh:own", "public_key": key, "pty": true}, "Idempotency-Key", "door")
	u.as(mem, 200, "POST", "/access/grants", doc{"resource": "secret/door/key", "method": "door/key/secret_reveal"})
	u.as(mem, 404, "POST", "/access/grants", doc{"resource": "secret/door/key", "method": "door/key/secret_reveal", "version": 7})
	u.as(mem, 403, "POST", "/access/grants", doc{"resource": server, "method": "door/two/ssh:two", "public_key": key})
	u.as(mem, 422, "POST", "/access/grants", doc{"resource": server, "method": "door/own/ssh:own"})

	one := doc{"resource": server, "method": "door/one/ssh:one"}
	u.as(mem, 201, "POST", "/access/checkouts", one)
	u.as(mem, 200, "POST", "/access/checkouts", one)
	u.as(mem, 409, "POST", "/access/checkouts", doc{"resource": server, "method": "door/own/ssh:own"})
	u.as(owner, 403, "POST", "/access/checkouts", one)
	u.as(aud, 200, "GET", "/access/checkouts", nil)
	u.as(mem, 200, "POST", "/access/resolve", doc{"resource": server}) // it shows who has it
	u.as(res, 200, "POST", "/access/checkouts/release", doc{"resource": server, "account": "one"})
	u.as(mem, 422, "POST", "/access/checkouts/release", doc{"resource": "one"})

	two := doc{"resource": server, "method": "door/two/ssh:two", "reason": "the door is stuck"}
	broken := u.as(mem, 201, "POST", "/access/break-glass", two)
	u.as(mem, 409, "POST", "/access/break-glass", two)
	u.as(mem, 422, "POST", "/access/break-glass", doc{"resource": server, "method": "door/two/ssh:two", "reason": strings.Repeat("x", 2049)})
	u.as(mem, 200, "GET", "/access/break-glass", nil)
	id, _ := broken["id"].(string)
	u.as(mem, 403, "POST", "/access/break-glass/"+id+"/review", doc{})
	u.as(aud, 200, "POST", "/access/break-glass/"+id+"/review", doc{"comment": "oiled"})
	u.as(sec, 409, "POST", "/access/break-glass/"+id+"/review", nil)
	u.as(sec, 404, "POST", "/access/break-glass/nothing/review", doc{})
	u.as(aud, 200, "GET", "/access/break-glass", nil)
}
