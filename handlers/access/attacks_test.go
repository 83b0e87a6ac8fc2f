package access_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain"
	eventsof "sallyport.dev/domain/access"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

// knock asks for the workload's own door.
func (h *house) knock(token string) (int, doc) {
	return h.ask(token, "POST", "/access/grants", h.ssh(ofRole))
}

func TestATokenThatIsNotForUsOpensNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	spec := h.provider.Spec(h.Issuer(), "job/1")
	spec.Audiences = []string{"https://vault.example"}
	h.Activated("elsewhere", spec)
	good := h.workload()
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"a proof of the provider":               h.provider.Mint(h.provider.Claims(h.Now(), h.Issuer(), "job/1", nil)),
		"a signature that is cut":               good[:len(good)-4],
		"the same payload under no algorithm":   "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"two parts":                             parts[0] + "." + parts[1],
		"another's payload under our header":    parts[0] + ".e30." + parts[2],
		"a token with a dot that is a person's": h.tokens["alice"] + ".x.y",
	} {
		if status, answer := h.knock(token); status != 401 || answer["code"] != "auth.required" {
			t.Errorf("%s got %d %v", name, status, answer["code"])
		}
	}
	if status, answer := h.knock(good); status != 200 {
		t.Fatalf("the real one got %d %v", status, answer)
	}

	// One of ours for another audience is as good as none, wherever it is shown.
	res := h.exchange("elsewhere", "https://vault.example")
	for _, path := range []string{"/whoami", "/access/resources"} {
		h.refused(res, 401, "auth.required", "GET", path, nil)
	}
	if status, _ := h.knock(res); status != 401 {
		t.Errorf("a token for another audience got %d", status)
	}

	var ci connection.State
	h.Read(func(s *control.State, _ domain.Head) { ci = s.Connection("ci") })
	h.Do(h.Meta("sec", domain.SecurityAdmin), "ci", connection.Deactivate{Version: ci.Version})
	if status, _ := h.knock(good); status != 401 {
		t.Errorf("a token of an inactive connection got %d", status)
	}
	h.Activate("ci")
	if status, _ := h.knock(good); status != 200 {
		t.Errorf("once active again it got %d", status)
	}
	h.Advance(25 * time.Hour)
	if status, _ := h.knock(good); status != 401 {
		t.Errorf("an expired one got %d", status)
	}
}

// A token of another organisation's on the same server is nobody's here, since
// its issuer and its key are not ours.
func TestATokenOfAnotherOrganisationOpensNothing(t *testing.T) {
	t.Parallel()
	h, other := build(t), build(t) // both are called the same, and have keys of their own
	if status, answer := h.knock(other.workload()); status != 401 {
		t.Errorf("got %d %v", status, answer)
	}
}

func TestAWorkloadIsKeptOutOfWhatPeopleDo(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.workload()
	raised := h.as("alice", 201, "POST", "/access/requests", doc{"resource": web, "method": deploy, "justification": "x"})
	approve := "/access/requests/" + raised["id"].(string) + "/approve"
	at := h.Last()
	for _, r := range [][2]string{
		{"GET", "/people"}, {"POST", "/people"}, {"GET", "/groups"}, {"GET", "/connections"}, {"GET", "/policies"}, {"POST", "/policies"}, {"GET", "/roles"},
		{"POST", "/roles"}, {"GET", "/servers"}, {"PUT", "/servers/web-1/accounts/deploy/password"}, {"POST", "/request-types"},
		{"GET", "/audit"}, {"GET", "/audit/stream"}, {"GET", "/organisation"}, {"POST", approve}, {"POST", strings.Replace(approve, "approve", "deny", 1)},
		{"POST", "/access/checkouts"}, {"GET", "/access/checkouts"}, {"POST", "/access/checkouts/release"}, {"POST", "/access/break-glass"},
		{"GET", "/access/break-glass"}, {"POST", "/access/break-glass/x/review"}, {"PUT", "/access/delegation"}, {"POST", "/ssh/ca/rotate"}, {"POST", "/policies/simulate"},
	} {
		var body any
		if r[0] != "GET" {
			body = doc{}
		}
		h.refused(token, 403, "workload.not_allowed", r[0], r[1], body)
	}
	h.refused(token, 404, "route.not_found", "GET", "/workloads", nil)
	if types := h.Types(at); len(types) > 0 {
		t.Errorf("being kept out recorded %v", types)
	}
}

func TestARoleThatDoesNotMatchIsNoAuthority(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.as("sec", 201, "POST", "/roles", doc{"name": "admins", "requirements": []doc{
		{"connection": "ci", "conditions": []doc{{"claim": "admin", "operator": "equals", "value": "yes"}}}}})
	h.as("sec", 201, "POST", "/policies", doc{"name": "for-admins", "principals": doc{"roles": []string{"admins"}},
		"rules": []doc{{"name": "ssh", "resource": doc{"server": "web-1"}, "privileges": []doc{{"type": "ssh_workload"}, {"type": "ssh", "accounts": []string{"root"}}}}}})
	h.as("sec", 200, "POST", "/policies/for-admins/publish", nil, "If-Match", `"1"`)
	token := h.workload()
	h.refused(token, 403, "access.refused", "POST", "/access/resolve", doc{"resource": web, "role": "admins"})
	for _, method := range []string{"for-admins/ssh/ssh:wl_admins", "for-admins/ssh/ssh:root", ofRole} {
		body := h.ssh(method)
		body["role"] = "admins"
		h.refused(token, 403, "access.refused", "POST", "/access/grants", body)
	}
	body := h.ssh("for-admins/ssh/ssh:wl_admins")
	h.refused(token, 403, "access.refused", "POST", "/access/grants", body)
	if n := len(h.as(token, 200, "GET", "/access/resources?role=admins", nil)["resources"].([]any)); n > 0 {
		t.Errorf("a role that does not match reaches %d", n)
	}
	h.refused("alice", 422, "request.invalid", "POST", "/access/resolve", doc{"resource": web, "role": "deployers"})

	// A role that is changed bites a token that is out.
	h.as("sec", 200, "PUT", "/roles/deployers", doc{"requirements": []doc{
		{"connection": "ci", "conditions": []doc{{"claim": "admin", "operator": "exists"}}}}}, "If-Match", `"1"`)
	h.refused(token, 403, "access.refused", "POST", "/access/grants", h.ssh(ofRole))
}

func TestWhatOneMayNotKnowIsNotTold(t *testing.T) {
	t.Parallel()
	h := build(t)
	at := h.Last()
	answers := map[string]doc{}
	for _, ref := range []string{"secret/elsewhere/key", "secret/elsewhere/nothing", "server/web-2", "server/nothing"} {
		for _, path := range []string{"/access/resolve", "/access/grants", "/access/checkouts", "/access/break-glass"} {
			body := doc{"resource": ref}
			if path != "/access/resolve" {
				body["method"] = deploy
			}
			if path == "/access/break-glass" {
				body["reason"] = "x"
			}
			a := h.refused("alice", 403, "access.refused", "POST", path, body)
			delete(a, "request_id")
			if first, ok := answers[path]; !ok {
				answers[path] = a
			} else if fmt.Sprint(first) != fmt.Sprint(a) {
				t.Errorf("%s of %s answers %v, of another %v", path, ref, a, first)
			}
		}
		if r := h.as("alice", 200, "POST", "/access/checkouts/release", doc{"resource": ref, "account": "deploy"}); r["released"] != false {
			t.Errorf("%s was released", ref)
		}
	}
	for _, e := range h.told(at) {
		if e.Type != "access.refused" || e.Event.(eventsof.WasRefused).Subject != "alice" {
			t.Errorf("recorded %s", e.Type)
		}
	}
	if n := len(h.told(at)); n != 8 { // of resolve and grant, of what is there and what is not
		t.Errorf("recorded %d refusals", n)
	}
	h.refused("aud", 404, "resource.not_found", "POST", "/access/resolve", doc{"resource": "server/nothing"})
	h.refused("aud", 403, "access.refused", "POST", "/access/resolve", doc{"resource": web})
}

func TestReferencesAndMethodsByTricks(t *testing.T) {
	t.Parallel()
	h := build(t)
	for _, ref := range []string{
		"", "web-1", "server/", "server/web-1/", "server//web-1", "server/WEB-1", "Server/web-1", "server/web-1 ", " server/web-1", "server/../server/web-1",
		"server/web-1\n", "server/web-1\x00", "server/web-1%00", "server/*", "secret/", "secret//payments/db/password", "secret/payments/../payments/db/password",
		"secret/payments/db/password/", "secret/payments/./db/password", "secret/payments/db/pass\u200bword", "secret/payments", "project/shop", "secret/" + strings.Repeat("a/", 4000) + "b",
		"\u202eserver/web-1", "server/web-1;server/web-2", "server/ｗeb-1",
	} {
		for _, path := range []string{"/access/resolve", "/access/grants"} {
			body := h.ssh(mine)
			body["resource"] = ref
			if path == "/access/resolve" {
				body = doc{"resource": ref}
			}
			if status, answer := h.ask("alice", "POST", path, body); status != 422 && (status != 403 || answer["code"] != "access.refused") {
				t.Errorf("%s of %q answered %d %v", path, ref, status, answer)
			}
		}
	}
	h.approve("alice", deploy)
	for _, method := range []string{
		"", "production", "production/approved/ssh", "production/approved/ssh:", "production/approved/ssh:root", "production/approved/ssh:deploy ", "PRODUCTION/approved/ssh:deploy",
		"production/approved/ssh:deploy\n", "machines/ssh/ssh:wl_deployers", "production/approved/reveal_password:deploy", "production/standing/ssh:deploy",
		"production/emergency/ssh:deploy", "production/approved/ssh:deploy,root", "production/approved/ssh:../deploy", strings.Repeat("x", 401), reveal,
	} {
		if status, answer := h.ask("alice", "POST", "/access/grants", h.ssh(method)); status != 422 && status != 403 {
			t.Errorf("method %q answered %d %v", method, status, answer)
		}
	}
	// An approval for one method, one server and one person opens nothing else (T121).
	other := h.ssh(deploy)
	other["resource"] = "server/web-2"
	h.refused("alice", 403, "access.refused", "POST", "/access/grants", other)
	h.refused("bob", 403, "access.unmet", "POST", "/access/grants", h.ssh(deploy))
	h.refused("alice", 403, "access.unmet", "POST", "/access/grants", h.ssh(root))
	h.as("alice", 200, "POST", "/access/grants", h.ssh(deploy))
}

func TestPublicKeysThatGetNoCertificate(t *testing.T) {
	t.Parallel()
	h := build(t)
	cert := h.as("alice", 200, "POST", "/access/grants", h.ssh(mine))["certificate"].(string)
	at := h.Last()
	for name, key := range map[string]string{
		"none":                    "",
		"huge":                    h.key + strings.Repeat(" x", 5000),
		"a certificate":           cert,
		"options before it":       `command="sh" ` + h.key,
		"two lines":               h.key + "\n" + h.key,
		"another principal in it": h.key + "\nroot",
		"no key":                  "ssh-ed25519 AAAA",
		"a private key":           "-----BEGIN OPENSSH " + "PRIVATE KEY-----\n",
	} {
		body := h.ssh(mine)
		body["public_key"] = key
		if status, answer := h.ask("alice", "POST", "/access/grants", body); status != 422 {
			t.Errorf("%s answered %d %v", name, status, answer)
		}
	}
	h.refused("alice", 422, "request.invalid", "POST", "/access/grants", doc{"resource": password, "method": reveal, "public_key": h.key})
	h.refused("alice", 422, "request.invalid", "POST", "/access/grants", doc{"resource": password, "method": "production/secrets/secret_list"})
	h.tells(at)
}

// What an approval opened closes on time, and before any timer has run (T122).
func TestWhatWasOpenedClosesOnTime(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.approve("alice", deploy)
	h.Advance(14*time.Minute + 30*time.Second)
	answer := h.as("alice", 200, "POST", "/access/grants", h.ssh(deploy))
	until, err := time.Parse(time.RFC3339, answer["valid_until"].(string))
	if err != nil || until.After(h.Now().Add(31*time.Second)) {
		t.Errorf("a certificate outlives the approval by far: %v at %v", answer["valid_until"], h.Now())
	}
	h.Advance(31 * time.Second)
	h.refused("alice", 403, "access.unmet", "POST", "/access/grants", h.ssh(deploy))
	if h.methods("alice", web)[deploy]["open"] != false {
		t.Error("resolve says that it is open still")
	}
}

func TestACertificateEndsWithTheMembershipThatItRestsOn(t *testing.T) {
	t.Parallel()
	h := build(t)
	end := h.Now().Add(90 * time.Second).UTC()
	h.as("own", 201, "POST", "/groups/developers/members", doc{"person": "mallory", "until": end.Format(time.RFC3339Nano)})
	cert := h.certificate(h.as("mallory", 200, "POST", "/access/grants", h.ssh(mine)))
	if got := time.Unix(int64(cert.ValidBefore), 0); got.After(end) {
		t.Errorf("it holds until %v, the membership until %v", got, end)
	}
	h.Advance(91 * time.Second) // and no timer has run
	h.refused("mallory", 403, "access.refused", "POST", "/access/grants", h.ssh(mine))
}

// A policy that is edited counts once it is published, at the next use, and an
// approval for what it asked for before opens nothing that asks for something
// else now (T123).
func TestAnApprovalDoesNotOutliveWhatItWasFor(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.approve("alice", deploy)
	h.as("alice", 201, "POST", "/access/break-glass", doc{"resource": web, "method": emergency, "reason": "x"})
	h.as("alice", 200, "POST", "/access/grants", h.ssh(emergency))
	h.as("sec", 201, "POST", "/request-types", doc{"name": "stricter", "kind": "access",
		"steps": []doc{{"name": "lead", "approvers": doc{"group": "approvers"}, "needed": 2}}})
	h.as("sec", 200, "POST", "/request-types/stricter/publish", nil, "If-Match", `"1"`)
	p := production()
	rules := p["rules"].([]doc)
	stricter := []doc{{"type": "access_request", "request_type": "stricter", "approval_seconds": 900}}
	rules[1]["conditions"] = stricter
	delete(rules[3], "break_glass")
	h.as("sec", 200, "PUT", "/policies/production", p, "If-Match", `"1"`)
	h.as("alice", 200, "POST", "/access/grants", h.ssh(deploy)) // it is not published
	h.as("sec", 200, "POST", "/policies/production/publish", nil, "If-Match", `"2"`)
	h.refused("alice", 403, "access.unmet", "POST", "/access/grants", h.ssh(deploy))
	h.refused("alice", 403, "access.unmet", "POST", "/access/grants", h.ssh(emergency))
	h.refused("bob", 403, "break_glass.not_allowed", "POST", "/access/break-glass", doc{"resource": web, "method": emergency, "reason": "x"})
}

func TestAnAnswerIsToldOnce(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.approve("alice", deploy)
	token := h.workload()
	for _, g := range []struct {
		who  string
		body doc
	}{{"alice", h.ssh(deploy)}, {"alice", doc{"resource": password, "method": reveal}}, {token, doc{"resource": password, "method": ofSecret}}} {
		key := fmt.Sprintf("key-%d", h.Last().Sequence)
		h.as(g.who, 200, "POST", "/access/grants", g.body, "Idempotency-Key", key)
		at := h.Last()
		h.refused(g.who, 409, "grant.answered", "POST", "/access/grants", g.body, "Idempotency-Key", key)
		h.refused(g.who, 422, "idempotency.mismatch", "POST", "/access/grants", h.ssh(root), "Idempotency-Key", key)
		h.tells(at)
	}
	// Many at once under one key open it once.
	var opened atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch status, answer := h.ask("alice", "POST", "/access/grants", h.ssh(mine), "Idempotency-Key", "at once"); {
			case status == 200:
				opened.Add(1)
			case answer["code"] != "grant.answered":
				t.Errorf("got %d %v", status, answer)
			}
		})
	}
	wg.Wait()
	if opened.Load() != 1 {
		t.Errorf("it was opened %d times", opened.Load())
	}
	// A refusal uses up no key: what was refused may be asked for again once it is met.
	h.refused("bob", 403, "access.unmet", "POST", "/access/grants", h.ssh(deploy), "Idempotency-Key", "later")
	h.approve("bob", deploy)
	h.as("bob", 200, "POST", "/access/grants", h.ssh(deploy), "Idempotency-Key", "later")
}

// Another rule, or a workload's, that asks for no checkout is no way around somebody's.
func TestACheckoutKeepsEverybodyElseOut(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.workload()
	h.as("sec", 201, "POST", "/policies", doc{"name": "around", "principals": doc{"groups": []string{"developers"}, "roles": []string{"deployers"}},
		"rules": []doc{rule("free", "shared", nil)}})
	h.as("sec", 200, "POST", "/policies/around/publish", nil, "If-Match", `"1"`)
	free := h.ssh("around/free/ssh:shared")
	for _, who := range []string{"bob", token} {
		h.as(who, 200, "POST", "/access/grants", free)
	}
	h.as("alice", 201, "POST", "/access/checkouts", doc{"resource": web, "method": shared})
	h.as("alice", 200, "POST", "/access/grants", free)
	h.refused("bob", 403, "access.unmet", "POST", "/access/grants", free)
	if status, answer := h.ask(token, "POST", "/access/grants", free); status != 403 {
		t.Errorf("a workload got %d %v", status, answer)
	}
	h.as("alice", 200, "POST", "/access/checkouts/release", doc{"resource": web, "account": "shared"})
	h.as("bob", 200, "POST", "/access/grants", free)
}

func TestOfManyAtOnceOneWins(t *testing.T) {
	t.Parallel()
	h := build(t)
	for round := range 5 {
		var taken, broken atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				who := []string{"alice", "bob"}[i%2]
				if status, _ := h.ask(who, "POST", "/access/checkouts", doc{"resource": web, "method": shared}); status == 201 {
					taken.Add(1)
				}
				if status, _ := h.ask("alice", "POST", "/access/break-glass", doc{"resource": web, "method": emergency, "reason": "x"}); status == 201 {
					broken.Add(1)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 1 || broken.Load() != 1 {
			t.Fatalf("round %d: taken %d times, broken %d times", round, taken.Load(), broken.Load())
		}
		h.as("res", 200, "POST", "/access/checkouts/release", doc{"resource": web, "account": "shared"})
		glass := h.as("alice", 200, "GET", "/access/break-glass", nil)["break_glass"].([]any)[0].(doc)
		h.as("carol", 200, "POST", "/access/break-glass/"+glass["id"].(string)+"/review", doc{})
		h.Advance(11 * time.Minute) // it opens nothing any more
	}
}

// The grant is decided again on the state that it is recorded on: once a policy is
// unpublished on one replica, no other opens anything by it.
func TestNothingOpensAfterAnAcknowledgedUnpublish(t *testing.T) {
	t.Parallel()
	a := build(t)
	conn, err := a.Server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	b := open(t, orgtest.Join(t, conn))
	b.tokens = a.tokens
	version := 1
	for round := range 15 {
		if round > 0 {
			a.as("sec", 200, "POST", "/policies/production/publish", nil, "If-Match", fmt.Sprintf("%q", fmt.Sprint(version)))
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { // somebody is at the door all the time
			for {
				select {
				case <-stop:
					return
				default:
					b.ask("alice", "POST", "/access/grants", b.ssh(mine))
				}
			}
		})
		answer := a.as("sec", 200, "POST", "/policies/production/unpublish", nil, "If-Match", fmt.Sprintf("%q", fmt.Sprint(version)))
		status, got := b.ask("alice", "POST", "/access/grants", b.ssh(mine))
		close(stop)
		wg.Wait()
		if status != 403 || got["code"] != "access.refused" {
			t.Fatalf("round %d: after the unpublish was acknowledged the other replica answered %d %v", round, status, got)
		}
		version = int(answer["version"].(float64))
	}
	published := false
	for _, e := range a.Events() {
		switch e.Type {
		case "policy.published":
			published = true
		case "policy.unpublished":
			published = false
		case "access.granted":
			if !published {
				t.Errorf("%s opened something while no policy gave it", e.Position)
			}
		}
	}
}

// Somebody knocks all the time while their token is revoked: the log has nothing
// that it opened after that.
func TestNothingOpensAfterATokenWasRevoked(t *testing.T) {
	t.Parallel()
	h := build(t)
	m := domain.Meta{Actor: domain.System("host"), Now: h.Now()}
	revoked := domain.Position{}
	for range 10 {
		token, err := h.CreateToken(t.Context(), m, "alice", domain.Member, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		knocking := make(chan struct{}, 4)
		for range 4 {
			wg.Go(func() {
				for status := 200; status == 200; { // until it is refused
					if status, _ = h.ask(token.Secret, "POST", "/access/grants", h.ssh(mine)); status == 200 {
						select {
						case knocking <- struct{}{}:
						default:
						}
					}
				}
			})
		}
		<-knocking
		if revoked, err = h.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) {
			return person.Decide(s.People(), person.RevokeToken{ID: token.ID}, m)
		}); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for _, e := range h.told(revoked) {
			t.Fatalf("%s at %s, and the token was revoked at %s", e.Type, e.Position, revoked)
		}
	}
}

// A token is revoked, or its connection, while the body of its last request is on its way.
func TestABodyThatTakesItsTime(t *testing.T) {
	t.Parallel()
	h := build(t)
	m := domain.Meta{Actor: domain.System("host"), Now: h.Now()}
	own, err := h.CreateToken(t.Context(), m, "alice", domain.Member, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, token, method string
		end                 func()
	}{
		{"a person's token", own.Secret, mine, func() {
			if _, err := h.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) {
				return person.Decide(s.People(), person.RevokeToken{ID: own.ID}, m)
			}); err != nil {
				t.Fatal(err)
			}
		}},
		{"a workload's", h.workload(), ofRole, func() {
			var ci connection.State
			h.Read(func(s *control.State, _ domain.Head) { ci = s.Connection("ci") })
			h.Do(h.Meta("sec", domain.SecurityAdmin), "ci", connection.Deactivate{Version: ci.Version, RevokeTokens: true})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body, err := json.Marshal(h.ssh(tt.method))
			if err != nil {
				t.Fatal(err)
			}
			host := strings.TrimSuffix(strings.TrimPrefix(h.url, "http://"), "/orgs/default")
			conn, err := net.Dial("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "POST /orgs/default/v1/access/grants HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", tt.token, len(body))
			in := bufio.NewReader(conn)
			if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
				t.Fatalf("the server does not wait for the body: %q, %v", line, err)
			}
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			tt.end()
			if _, err := conn.Write(body); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("answered %d %s", resp.StatusCode, answer)
			}
		})
	}
	if granted := h.told(domain.Position{}); len(granted) > 0 {
		t.Errorf("recorded %v", granted[0].Type)
	}
}
