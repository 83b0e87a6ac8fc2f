package access_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	eventsof "sallyport.dev/domain/access"
	"sallyport.dev/handlers/access"
	"sallyport.dev/handlers/admin"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/sshca"
)

func TestAPersonSeesEveryMethodWithWhatIsStillToBeMet(t *testing.T) {
	t.Parallel()
	h := build(t)
	at := h.Last()
	got := h.methods("alice", web)
	for id, open := range map[string]bool{mine: true, deploy: false, root: false, shared: false, emergency: false, "production/approved/reveal_password:deploy": false} {
		if m, ok := got[id]; !ok || m["open"] != open {
			t.Errorf("%s is %v, want open %v", id, m, open)
		}
	}
	if len(got) != 6 {
		t.Errorf("got %d methods: %v", len(got), got)
	}
	h.tells(at) // who is given all there is writes nothing

	// The story of the page: the first of two is approved, and the other stays closed.
	h.approve("alice", deploy)
	got = h.methods("alice", web)
	if got[deploy]["open"] != true || got[root]["open"] != false {
		t.Errorf("after the approval of deploy: %v and %v", got[deploy], got[root])
	}
	if bob := h.methods("bob", web); bob[deploy]["open"] != false {
		t.Error("an approval of alice's opened it for bob")
	}
	list := h.as("alice", 200, "GET", "/access/resources?kind=server", nil)["resources"].([]any)
	if len(list) != 1 || list[0].(doc)["resource"] != web || list[0].(doc)["address"] != "127.0.0.1" {
		t.Errorf("the list of servers is %v", list)
	}
}

func TestAGrantIsRecordedAndThenACertificateIsSigned(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.approve("alice", deploy)
	at := h.Last()
	before := h.Now()
	answer := h.as("alice", 200, "POST", "/access/grants", h.ssh(deploy))
	cert := h.certificate(answer)
	e := h.tells(at, "access.granted")[0]
	granted := e.Event.(eventsof.WasGranted)
	switch {
	case cert.KeyId != e.ID+" alice" || answer["id"] != e.ID || answer["key_id"] != cert.KeyId:
		t.Errorf("the key id is %q, the event %s", cert.KeyId, e.ID)
	case cert.Serial != sshca.Serial(e.Position):
		t.Errorf("the serial is %d at %s", cert.Serial, e.Position)
	case len(cert.ValidPrincipals) != 1 || cert.ValidPrincipals[0] != "deploy" || answer["username"] != "deploy":
		t.Errorf("the principals are %v", cert.ValidPrincipals)
	case cert.CriticalOptions["source-address"] != "127.0.0.1/32":
		t.Errorf("the critical options are %v", cert.CriticalOptions)
	case len(cert.Extensions) != 0:
		t.Errorf("a certificate without a terminal has %v", cert.Extensions)
	case time.Unix(int64(cert.ValidBefore), 0).After(h.Now().Add(5*time.Minute)) || time.Unix(int64(cert.ValidAfter), 0).After(before):
		t.Errorf("it holds from %d to %d", cert.ValidAfter, cert.ValidBefore)
	case len(granted.Requests) != 1 || granted.Policy != "production" || granted.Rule != "approved" || granted.Through != "group/developers" || granted.Source == "":
		t.Errorf("the event says %+v", granted)
	}
	pty := h.ssh(mine)
	pty["pty"] = true
	cert = h.certificate(h.as("alice", 200, "POST", "/access/grants", pty))
	if _, ok := cert.Extensions["permit-pty"]; !ok || len(cert.Extensions) != 1 || cert.ValidPrincipals[0] != "alice" {
		t.Errorf("it has %v for %v", cert.Extensions, cert.ValidPrincipals)
	}
}

func TestAValueIsToldOnceItIsRecorded(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.as("res", 200, "POST", "/secrets/versions", doc{"path": "payments/db/password", "value": "hunter3"})
	at := h.Last()
	answer := h.as("alice", 200, "POST", "/access/grants", doc{"resource": password, "method": reveal})
	if answer["value"] != "hunter3" || answer["version"] != 2.0 {
		t.Errorf("the newest is %v", answer)
	}
	answer = h.as("alice", 200, "POST", "/access/grants", doc{"resource": password, "method": reveal, "version": 1})
	if answer["value"] != "hunter2" {
		t.Errorf("the first is %v", answer)
	}
	events := h.tells(at, "access.granted", "secret.revealed", "access.granted", "secret.revealed")
	if events[0].CommitID != events[1].CommitID || events[3].Event.(eventsof.SecretWasRevealed).Version != 1 {
		t.Errorf("recorded %v", events)
	}
	h.approve("alice", "production/approved/reveal_password:deploy")
	answer = h.as("alice", 200, "POST", "/access/grants", doc{"resource": web, "method": "production/approved/reveal_password:deploy"})
	if answer["value"] != "deploys-password" || answer["account"] != "deploy" {
		t.Errorf("the password is %v", answer)
	}
	for _, e := range h.Events() {
		for _, secret := range []string{"hunter2", "hunter3", "deploys-password"} {
			if strings.Contains(string(e.Data), secret) {
				t.Errorf("%s holds the value", e.Type)
			}
		}
	}
	h.as("res", 200, "POST", "/secrets/destroy", doc{"path": "payments/db/password", "version": 1})
	if status, answer := h.ask("alice", "POST", "/access/grants", doc{"resource": password, "method": reveal, "version": 1}); status < 400 {
		t.Errorf("a destroyed version answered %v", answer)
	}
}

func TestAWorkloadGetsWhatNeedsNoHuman(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.workload()
	who := h.as(token, 200, "GET", "/whoami", nil)
	if who["connection"] != "ci" || who["identity"] != "job/1" || len(who["roles"].([]any)) != 1 {
		t.Errorf("whoami says %v", who)
	}
	at := h.Last()
	got := h.methods(token, web)
	if len(got) != 1 || got[ofRole]["open"] != true || got[ofRole]["username"] != "wl_deployers" {
		t.Errorf("it was given %v", got)
	}
	if told := h.refused(token, 403, "access.cancelled", "POST", "/access/resolve", doc{"resource": "server/web-2"}); !strings.Contains(told["detail"].(string), "a human (a second factor)") {
		t.Errorf("it is not told what needs a human: %v", told["detail"])
	}
	h.refused(token, 403, "access.refused", "POST", "/access/resolve", doc{"resource": "secret/elsewhere/key", "role": "nosuch"})
	cert := h.certificate(h.as(token, 200, "POST", "/access/grants", h.ssh(ofRole)))
	if cert.ValidPrincipals[0] != "wl_deployers" {
		t.Errorf("the principals are %v", cert.ValidPrincipals)
	}
	if v := h.as(token, 200, "POST", "/access/grants", doc{"resource": password, "method": ofSecret})["value"]; v != "hunter2" {
		t.Errorf("the secret is %v", v)
	}
	events := h.tells(at, "access.filtered", "access.cancelled", "access.refused", "access.granted", "access.granted", "secret.revealed")
	for _, e := range events {
		typ, _ := h.Catalogue().Lookup(e.Type)
		if r, ok := e.Event.(eventsof.WasRefused); ok && (r.Role != "nosuch" || fmt.Sprint(r.Roles) != "[deployers]") {
			t.Errorf("the refusal says %q of %v", r.Role, r.Roles)
		}
		if c, identity := typ.Workload(e); c != "ci" || identity != "job/1" || !strings.HasPrefix(e.Actor, "workload://default/ci/") {
			t.Errorf("%s is about %q %q, by %s", e.Type, c, identity, e.Actor)
		}
	}
	h.refused(token, 403, "access.cancelled", "POST", "/access/grants", doc{"resource": "server/web-2", "method": "machines/human/ssh:deploy", "public_key": h.key})
}

func TestACheckoutIsForOneAtATime(t *testing.T) {
	t.Parallel()
	h := build(t)
	at := h.Last()
	h.refused("alice", 403, "access.unmet", "POST", "/access/grants", h.ssh(shared))
	take := doc{"resource": web, "method": shared}
	first := h.as("alice", 201, "POST", "/access/checkouts", take)
	if again := h.as("alice", 200, "POST", "/access/checkouts", take); again["until"] != first["until"] {
		t.Errorf("a second one prolonged it: %v", again)
	}
	h.refused("bob", 409, "checkout.taken", "POST", "/access/checkouts", take)
	h.as("alice", 200, "POST", "/access/grants", h.ssh(shared))
	h.refused("bob", 403, "access.unmet", "POST", "/access/grants", h.ssh(shared))
	if got := h.methods("bob", web)[shared]["checked_out"].(doc); got["by"] != "alice" {
		t.Errorf("resolve tells bob %v", got)
	}
	for who, n := range map[string]int{"alice": 1, "bob": 0, "aud": 1} {
		if list := h.as(who, 200, "GET", "/access/checkouts", nil)["checkouts"].([]any); len(list) != n {
			t.Errorf("%s sees %v", who, list)
		}
	}
	back := doc{"resource": web, "account": "shared"}
	if r := h.as("bob", 200, "POST", "/access/checkouts/release", back); r["released"] != false {
		t.Errorf("bob released alice's: %v", r)
	}
	if r := h.as("res", 200, "POST", "/access/checkouts/release", back); r["released"] != true {
		t.Errorf("the resource admin could not release it: %v", r)
	}
	h.as("bob", 201, "POST", "/access/checkouts", doc{"resource": web, "method": shared, "seconds": 60})
	h.refused("bob", 422, "request.invalid", "POST", "/access/checkouts", doc{"resource": web, "method": shared, "seconds": 901})
	h.refused("alice", 409, "checkout.not_needed", "POST", "/access/checkouts", doc{"resource": web, "method": mine})
	h.Advance(61 * time.Second)
	h.refused("bob", 403, "access.unmet", "POST", "/access/grants", h.ssh(shared)) // over, whether recorded or not
	h.as("alice", 201, "POST", "/access/checkouts", take)
	h.tells(at, "access.refused", "checkout.taken", "access.granted", "access.refused", "checkout.released", "checkout.taken",
		"access.refused", "checkout.lapsed", "checkout.taken")
}

func TestGlassIsBrokenAtOnceAndReviewedBySomebodyElse(t *testing.T) {
	t.Parallel()
	h := build(t)
	at := h.Last()
	use := doc{"resource": web, "method": emergency, "reason": "the shop is down"}
	h.refused("alice", 403, "break_glass.not_allowed", "POST", "/access/break-glass", doc{"resource": web, "method": deploy, "reason": "x"})
	h.refused("alice", 422, "request.invalid", "POST", "/access/break-glass", doc{"resource": web, "method": emergency, "reason": " "})
	h.refused("mallory", 403, "access.refused", "POST", "/access/break-glass", use)
	glass := h.as("alice", 201, "POST", "/access/break-glass", use)
	id := glass["id"].(string)
	if glass["reviewed"] != false || glass["reason"] != "the shop is down" {
		t.Errorf("it is %v", glass)
	}
	h.as("alice", 200, "POST", "/access/grants", h.ssh(emergency))
	granted := h.told(at)[1].Event.(eventsof.WasGranted)
	if granted.BreakGlass != id || len(granted.Requests) != 0 {
		t.Errorf("the grant says %+v", granted)
	}
	if h.methods("bob", web)[emergency]["open"] != false {
		t.Error("alice's glass lets bob in")
	}
	h.refused("alice", 409, "break_glass.unreviewed", "POST", "/access/break-glass", use)
	review := "/access/break-glass/" + id + "/review"
	h.refused("alice", 403, "break_glass.own", "POST", review, doc{})
	h.refused("bob", 404, "break_glass.not_found", "POST", review, doc{})
	h.refused("aud", 403, "role.missing", "POST", review, doc{})
	for who, n := range map[string]int{"alice": 1, "bob": 0, "carol": 1, "aud": 1} {
		if list := h.as(who, 200, "GET", "/access/break-glass", nil)["break_glass"].([]any); len(list) != n {
			t.Errorf("%s sees %v", who, list)
		}
	}
	if r := h.as("carol", 200, "POST", review, doc{"comment": "seen"}); r["reviewed_by"] != "carol" {
		t.Errorf("it is %v", r)
	}
	h.as("carol", 200, "POST", review, doc{})
	h.refused("sec", 409, "break_glass.reviewed", "POST", review, doc{})
	h.Advance(601 * time.Second)
	h.refused("alice", 403, "access.unmet", "POST", "/access/grants", h.ssh(emergency))
	h.as("alice", 201, "POST", "/access/break-glass", use) // the first was reviewed
	h.tells(at, "break_glass.used", "access.granted", "break_glass.reviewed", "access.refused", "break_glass.used")
}

func TestAWriteUnderOneKeyIsDoneOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	at := h.Last()
	take, use := doc{"resource": web, "method": shared}, doc{"resource": web, "method": emergency, "reason": "fire"}
	first := h.as("alice", 201, "POST", "/access/checkouts", take, "Idempotency-Key", "take")
	again := h.as("alice", 200, "POST", "/access/checkouts", take, "Idempotency-Key", "take")
	if first["until"] != again["until"] {
		t.Errorf("taken until %v, and by the repetition until %v", first["until"], again["until"])
	}
	glass := h.as("alice", 201, "POST", "/access/break-glass", use, "Idempotency-Key", "use")
	if again := h.as("alice", 201, "POST", "/access/break-glass", use, "Idempotency-Key", "use"); again["id"] != glass["id"] {
		t.Errorf("broken as %v, and by the repetition as %v", glass["id"], again["id"])
	}
	h.refused("alice", 422, "idempotency.mismatch", "POST", "/access/checkouts", use, "Idempotency-Key", "use")
	for _, released := range []bool{true, true} { // the repetition tells what the first did
		if r := h.as("alice", 200, "POST", "/access/checkouts/release", doc{"resource": web, "account": "shared"}, "Idempotency-Key", "release"); r["released"] != released {
			t.Errorf("it is %v", r)
		}
	}
	h.refused("alice", 404, "checkout.not_found", "POST", "/access/checkouts", take, "Idempotency-Key", "take")
	review := "/access/break-glass/" + glass["id"].(string) + "/review"
	for range 2 {
		h.as("carol", 200, "POST", review, doc{"comment": "seen"}, "Idempotency-Key", "review")
	}
	// A key is its owner's: bob's of the same name is another.
	h.as("bob", 201, "POST", "/access/checkouts", take, "Idempotency-Key", "take")
	h.tells(at, "checkout.taken", "break_glass.used", "checkout.released", "break_glass.reviewed", "checkout.taken")
}

func TestACertificateIsBoundToWhereTheCallerIs(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.as("sec", 201, "POST", "/policies", doc{"name": "anywhere", "principals": doc{"groups": []string{"developers"}}, "rules": []doc{
		{"name": "own", "resource": doc{"server": "web-2"}, "privileges": []doc{{"type": "ssh", "accounts": []string{"own"}}}}}})
	h.as("sec", 200, "POST", "/policies/anywhere/publish", nil, "If-Match", `"1"`)
	plain := h.url
	e := api.New(api.Options{Log: orgtest.Quiet(), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	admin.Mount(e.Group("/orgs/default"), h.Organisation, admin.Options{More: access.New(h.Organisation, access.Options{}).Routes()})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	for _, tt := range []struct {
		name, url, resource, forwarded, want string
	}{
		{"who comes themself", plain, web, "", "127.0.0.1/32"},
		{"what a stranger says of themself", plain, web, "203.0.113.9", "127.0.0.1/32"},
		{"what our proxy says", s.URL + "/orgs/default", web, "203.0.113.9", "203.0.113.9/32"},
		{"what a stranger told our proxy", s.URL + "/orgs/default", web, "198.51.100.1, 203.0.113.9", "203.0.113.9/32"},
		{"IPv6", s.URL + "/orgs/default", web, "2001:db8::7", "2001:db8::7/128"},
		{"IPv4 in IPv6", s.URL + "/orgs/default", web, "::ffff:203.0.113.9", "203.0.113.9/32"},
		{"a server that sees others", plain, "server/web-2", "", ""},
	} {
		method := mine
		if tt.resource != web {
			method = "anywhere/own/ssh:own"
		}
		h.url = tt.url
		header := []string{}
		if tt.forwarded != "" {
			header = append(header, "X-Forwarded-For", tt.forwarded)
		}
		cert := h.certificate(h.as("alice", 200, "POST", "/access/grants", doc{"resource": tt.resource, "method": method, "public_key": h.key}, header...))
		if got := cert.CriticalOptions["source-address"]; got != tt.want {
			t.Errorf("%s is bound to %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestACertificateForAServerThatWantsItIsGoodNowhereElse(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.as("sec", 201, "POST", "/policies", doc{"name": "anywhere", "principals": doc{"groups": []string{"developers"}}, "rules": []doc{
		{"name": "own", "resource": doc{"server": "web-3"}, "privileges": []doc{{"type": "ssh", "accounts": []string{"own"}}}}}})
	h.as("sec", 200, "POST", "/policies/anywhere/publish", nil, "If-Match", `"1"`)
	answer := h.as("alice", 200, "POST", "/access/grants", doc{"resource": "server/web-3", "method": "anywhere/own/ssh:own", "public_key": h.key})
	if cert := h.certificate(answer); !slices.Equal(cert.ValidPrincipals, []string{"web-3/alice"}) || answer["username"] != "alice" {
		t.Errorf("the principals are %v, for %v", cert.ValidPrincipals, answer["username"])
	}
}

func TestAWorkloadThatMayWaitGetsInOnceSomebodySaidYes(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.as("sec", 201, "POST", "/policies", doc{"name": "patient", "principals": doc{"roles": []string{"deployers"}},
		"rules": []doc{rule("waits", "root", doc{"conditions": asks, "workloads_may_wait": true})}})
	h.as("sec", 200, "POST", "/policies/patient/publish", nil, "If-Match", `"1"`)
	token := h.workload()
	const waits = "patient/waits/ssh:root"
	if m := h.methods(token, web)[waits]; m["open"] != false || m["may_wait"] != true {
		t.Errorf("it is given %v", m)
	}
	h.refused(token, 403, "access.unmet", "POST", "/access/grants", h.ssh(waits))
	id := h.as(token, 201, "POST", "/access/requests", doc{"resource": web, "method": waits, "justification": "nightly"})["id"].(string)
	h.refused(token, 403, "access.unmet", "POST", "/access/grants", h.ssh(waits))
	h.as("carol", 200, "POST", "/access/requests/"+id+"/approve", doc{})
	at := h.Last()
	h.as(token, 200, "POST", "/access/grants", h.ssh(waits))
	granted := h.tells(at, "access.granted")[0].Event.(eventsof.WasGranted)
	if len(granted.Requests) != 1 || granted.Requests[0] != id || granted.Through != "role/deployers" || granted.Identity != "job/1" {
		t.Errorf("the grant says %+v", granted)
	}
	h.refused("alice", 403, "access.unmet", "POST", "/access/grants", h.ssh(root)) // it is the workload's alone
	h.Advance(15 * time.Minute)
	if status, answer := h.ask(token, "POST", "/access/grants", h.ssh(waits)); status == 200 {
		t.Errorf("after its time it answered %v", answer)
	}
}
