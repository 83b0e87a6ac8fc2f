package access_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/handlers/organisation/orgtest"
)

const requests = "/access/requests"

// want is a request for the method.
func want(method string) doc {
	return doc{"resource": web, "method": method, "justification": "the disk of web-1 is full"}
}

// raise raises a request and tells its id.
func (h *house) raise(who string, body doc) string {
	h.t.Helper()
	return h.as(who, 201, "POST", requests, body)["id"].(string)
}

// ofRequests is the events of requests and memberships after a position.
func (h *house) ofRequests(after domain.Position) (types []string) {
	h.t.Helper()
	for _, e := range h.Events() {
		if after.Less(e.Position) && (strings.HasPrefix(e.Type, "request.") || strings.HasPrefix(e.Type, "group.member") || strings.HasPrefix(e.Type, "delegation.")) {
			types = append(types, e.Type)
		}
	}
	return types
}

func TestTheStoryOfARequest(t *testing.T) {
	t.Parallel()
	h := build(t)
	at := h.Last()
	id := h.raise("alice", want(deploy))
	if again := h.as("alice", 200, "POST", requests, want(deploy)); again["id"] != id {
		t.Errorf("the same again is %v, want %s", again["id"], id)
	}
	if c := h.methods("alice", web)[deploy]["conditions"].([]any)[0].(doc); c["met"] != false || c["request"] != id {
		t.Errorf("while it is pending, resolve says %v", c)
	}
	inbox := h.as("carol", 200, "GET", requests+"?view=inbox", nil)["requests"].([]any)
	if len(inbox) != 1 {
		t.Fatalf("the inbox of the approver has %d requests", len(inbox))
	}
	r := inbox[0].(doc)
	for field, value := range map[string]any{
		"id": id, "requester": "alice", "resource": web, "method": deploy, "username": "deploy", "policy": "production", "rule": "approved",
		"approval_seconds": 900.0, "justification": "the disk of web-1 is full", "may_decide": true,
		"link": strings.TrimSuffix(h.Issuer(), "/orgs/default") + "/console/orgs/default/requests/" + id,
	} {
		if r[field] != value {
			t.Errorf("the approver sees %s %v, want %v", field, r[field], value)
		}
	}
	done := h.as("carol", 200, "POST", requests+"/"+id+"/approve", doc{"comment": "until it is swapped"})
	if done["status"] != "approved" || done["valid_until"] == nil {
		t.Errorf("approved, it is %v", done)
	}
	got := h.methods("alice", web)
	if got[deploy]["open"] != true || got[root]["open"] != false {
		t.Errorf("after the approval %v and %v", got[deploy], got[root])
	}
	h.refused("alice", 409, "request.held", "POST", requests, want(deploy))
	h.Advance(901 * time.Second)
	if h.methods("alice", web)[deploy]["open"] != false {
		t.Error("it is open past its time")
	}
	if again := h.raise("alice", want(deploy)); again == id {
		t.Error("what is asked for anew has the old id")
	}
	types := []string{"request.raised", "request.step_opened", "request.decided", "request.approved", "request.raised", "request.step_opened"}
	if got := h.ofRequests(at); !slices.Equal(got, types) {
		t.Errorf("recorded %v", got)
	}
}

func TestTwoAtOnceRaiseOneRequest(t *testing.T) {
	t.Parallel()
	h := build(t)
	var mu sync.Mutex
	ids := map[string]int{}
	var wg sync.WaitGroup
	replicas := []*house{h, h.replica()}
	for n := range 6 {
		wg.Go(func() {
			status, r := replicas[n%2].ask("alice", "POST", requests, want(deploy))
			mu.Lock()
			defer mu.Unlock()
			ids[fmt.Sprint(r["id"], " ", status)]++
		})
	}
	wg.Wait()
	created := 0
	names := map[string]bool{}
	for k := range ids {
		id, status, _ := strings.Cut(k, " ")
		names[id] = true
		if status == "201" {
			created += ids[k]
		}
	}
	if len(names) != 1 || created != 1 {
		t.Errorf("six at once answered %v", ids)
	}
}

func TestAnApprovalIsForTheUserThatItsApproverSaw(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.approve("alice", root)
	server := h.as("res", 200, "GET", "/servers/web-1", nil)
	for _, a := range server["accounts"].([]any) {
		if a.(doc)["name"] == "root" {
			a.(doc)["username"] = "toor"
		}
	}
	h.as("res", 200, "PUT", "/servers/web-1", server, "If-Match", fmt.Sprintf("%q", fmt.Sprint(server["version"])))
	if m := h.methods("alice", web)[root]; m["open"] != false || m["username"] != "toor" {
		t.Errorf("the account is another user's now, and it is %v", m)
	}
	h.refused("alice", 403, "access.unmet", "POST", "/access/grants", h.ssh(root))
	h.approve("alice", root)
	h.as("alice", 200, "POST", "/access/grants", h.ssh(root))
}

// A yes and a no at once, each to another replica, are decided on one log.
func TestOfAYesAndANoAtOnceOneWins(t *testing.T) {
	t.Parallel()
	h := build(t)
	other := h.replica()
	h.as("own", 201, "POST", "/groups/approvers/members", doc{"person": "res"})
	for round := range 9 {
		at := h.Last()
		id := h.raise("alice", want([]string{deploy, root, emergency}[round%3]))
		var wg sync.WaitGroup
		var statuses [2]int
		for i, on := range []*house{h, other} {
			word, who := []string{"approve", "deny"}[(i+round)%2], []string{"carol", "res"}[i]
			wg.Go(func() { statuses[i], _ = on.ask(who, "POST", requests+"/"+id+"/"+word, doc{}) })
		}
		wg.Wait()
		slices.Sort(statuses[:])
		if statuses != [2]int{200, 409} {
			t.Errorf("a yes and a no at once answered %v", statuses)
		}
		decided := 0
		for _, typ := range h.ofRequests(at) {
			if typ == "request.approved" || typ == "request.denied" {
				decided++
			}
		}
		if decided != 1 {
			t.Errorf("%d outcomes were recorded", decided)
		}
		if round%3 == 2 {
			h.Advance(901 * time.Second)
			other.Advance(901 * time.Second)
		}
	}
}

// replica is another replica on the same log.
func (h *house) replica() *house {
	h.t.Helper()
	conn, err := h.Server.Connect()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(conn.Close)
	other := open(h.t, orgtest.Join(h.t, conn))
	other.tokens = h.tokens
	return other
}

func TestRepetitionsUnderAKeyAreOne(t *testing.T) {
	t.Parallel()
	h := build(t)
	id := h.as("alice", 201, "POST", requests, want(deploy), "Idempotency-Key", "raise")["id"]
	at := h.Last()
	if again := h.as("alice", 201, "POST", requests, want(deploy), "Idempotency-Key", "raise"); again["id"] != id {
		t.Errorf("repeated, it is %v, want %v", again["id"], id)
	}
	h.refused("alice", 422, "idempotency.mismatch", "POST", requests, want(root), "Idempotency-Key", "raise")
	approve := requests + "/" + id.(string) + "/approve"
	h.as("carol", 200, "POST", approve, doc{}, "Idempotency-Key", "yes")
	h.as("carol", 200, "POST", approve, doc{}, "Idempotency-Key", "yes")
	h.refused("carol", 409, "request.decided", "POST", approve, doc{}, "Idempotency-Key", "another")
	// Nobody's key opens for somebody else, and an old key approves no new request.
	h.refused("mallory", 404, "request.not_found", "POST", approve, doc{}, "Idempotency-Key", "yes")
	h.Advance(901 * time.Second)
	other := h.raise("alice", want(deploy))
	h.refused("carol", 422, "idempotency.mismatch", "POST", requests+"/"+other+"/approve", doc{}, "Idempotency-Key", "yes")
	if got := h.ofRequests(at); !slices.Equal(got, []string{"request.decided", "request.approved", "request.raised", "request.step_opened"}) {
		t.Errorf("recorded %v", got)
	}
}

func TestWhoSeesAndDecidesARequest(t *testing.T) {
	t.Parallel()
	h := build(t)
	id := h.raise("alice", want(deploy))
	one := requests + "/" + id
	at := h.Last()
	for who, status := range map[string]int{"alice": 200, "carol": 200, "sec": 200, "own": 200, "aud": 200, "mallory": 404, "bob": 404, "res": 404} {
		if got, _ := h.ask(who, "GET", one, nil); got != status {
			t.Errorf("%s looks at it: %d, want %d", who, got, status)
		}
		all := 200
		if who != "sec" && who != "own" && who != "aud" {
			all = 403
		}
		if got, _ := h.ask(who, "GET", requests+"?view=all", nil); got != all {
			t.Errorf("%s lists all: %d, want %d", who, got, all)
		}
	}
	for _, word := range []string{"approve", "deny"} {
		h.refused("alice", 403, "request.own", "POST", one+"/"+word, doc{})
		h.refused("mallory", 404, "request.not_found", "POST", one+"/"+word, doc{})
		h.refused("sec", 403, "request.not_approver", "POST", one+"/"+word, doc{})
		h.refused("own", 403, "request.not_approver", "POST", one+"/"+word, doc{})
		h.refused(h.workload(), 403, "workload.not_allowed", "POST", one+"/"+word, doc{})
		if status, _ := h.ask("carol", "GET", one+"/"+word, nil); status != 405 {
			t.Errorf("GET of %s answers %d", word, status)
		}
	}
	h.refused("carol", 403, "request.not_requester", "POST", one+"/cancel", nil)
	h.refused("mallory", 404, "request.not_found", "POST", one+"/cancel", nil)
	h.refused("carol", 404, "request.not_found", "POST", requests+"/01KASE0000000000000000000Z/approve", doc{})
	h.as("alice", 200, "GET", requests+"?view=mine&status=pending", nil)
	h.refused("alice", 422, "request.invalid", "GET", requests+"?view=yours", nil)
	h.refused("alice", 422, "request.invalid", "GET", requests+"?status=open", nil)
	if got := h.ofRequests(at); len(got) > 0 {
		t.Errorf("asking recorded %v", got)
	}
	h.as("alice", 200, "POST", one+"/cancel", nil)
	h.refused("carol", 409, "request.over", "POST", one+"/approve", doc{})
	if got := h.ofRequests(at); !slices.Equal(got, []string{"request.cancelled"}) {
		t.Errorf("recorded %v", got)
	}
}

func TestWhatIsAskedForIsHeldToTheRules(t *testing.T) {
	t.Parallel()
	h := build(t)
	at := h.Last()
	with := func(more doc) doc {
		d := want(deploy)
		for k, v := range more {
			d[k] = v
		}
		return d
	}
	for name, body := range map[string]doc{
		"a status":            with(doc{"status": "approved"}),
		"an approver":         with(doc{"approver": "alice"}),
		"a requester":         with(doc{"requester": "bob"}),
		"an end":              with(doc{"valid_until": "2099-01-01T00:00:00Z"}),
		"longer":              with(doc{"approval_seconds": 86400}),
		"a field of nobody":   with(doc{"fields": doc{"status": "approved"}}),
		"a field of no text":  with(doc{"fields": doc{"status": 1}}),
		"a group besides":     with(doc{"group": "developers"}),
		"no reason":           with(doc{"justification": ""}),
		"a long reason":       with(doc{"justification": strings.Repeat("a", 2049)}),
		"no resource":         with(doc{"resource": ""}),
		"no method":           with(doc{"method": ""}),
		"a role, of a person": with(doc{"role": "deployers"}),
		"a time of no group":  {"type": "prod-access", "until": "tomorrow", "justification": "x"},
		"a type of no group":  {"type": "prod-access", "group": "developers", "until": "2099-01-01T00:00:00Z", "justification": "x"},
	} {
		if status, answer := h.ask("alice", "POST", requests, body); status != 422 {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	h.refused("alice", 409, "request.not_needed", "POST", requests, want(mine))
	h.refused("alice", 409, "request.not_needed", "POST", requests, with(doc{"type": "another"}))
	h.refused("alice", 403, "access.refused", "POST", requests, want("production/approved/ssh:nobody"))
	if got := h.ofRequests(at); len(got) > 0 {
		t.Errorf("what was refused recorded %v", got)
	}
	h.refused("mallory", 403, "access.refused", "POST", requests, want(deploy))
	h.refused("mallory", 403, "access.refused", "POST", requests, doc{"resource": "server/none", "method": deploy, "justification": "x"})
	h.tells(at, "access.refused", "access.refused")

	// HTML, reordered text and line breaks are text.
	odd := "<script>alert(1)</script> \u202etxt\r\nX-Header: 1"
	id := h.raise("alice", with(doc{"justification": odd}))
	if got := h.as("carol", 200, "GET", requests+"/"+id, nil)["justification"]; got != odd {
		t.Errorf("the reason is %q", got)
	}
	h.as("sec", 200, "POST", "/request-types/prod-access/disable", nil, "If-Match", `"1"`)
	h.refused("alice", 409, "request_type.unusable", "POST", requests, want(root))
	h.as("carol", 200, "POST", requests+"/"+id+"/approve", doc{}) // what is under way takes its course
	if h.methods("alice", web)[deploy]["open"] != true {
		t.Error("what was approved under a type that is disabled since is closed")
	}
}

func TestAFloodOfRequestsIsBounded(t *testing.T) {
	t.Parallel()
	h := build(t)
	rules := make([]doc, 21)
	for i := range rules {
		rules[i] = rule(fmt.Sprint("r", i), "deploy", doc{"conditions": asks})
	}
	h.as("sec", 201, "POST", "/policies", doc{"name": "many", "principals": doc{"groups": []string{"developers"}}, "rules": rules})
	h.as("sec", 200, "POST", "/policies/many/publish", nil, "If-Match", `"1"`)
	for i := range 20 {
		h.raise("alice", want(fmt.Sprintf("many/r%d/ssh:deploy", i)))
	}
	h.refused("alice", 429, "request.too_many", "POST", requests, want("many/r20/ssh:deploy"))
	h.raise("bob", want("many/r20/ssh:deploy"))
}

// groupType publishes a request type for membership of the group.
func (h *house) groupType(name, group string) {
	h.t.Helper()
	h.as("sec", 201, "POST", "/request-types", doc{"name": name, "kind": "group", "groups": []string{group}, "max_seconds": 7200,
		"steps": []doc{{"name": "lead", "approvers": doc{"group": "approvers"}}}})
	h.as("sec", 200, "POST", "/request-types/"+name+"/publish", nil, "If-Match", `"1"`)
}

func TestTheStoryOfAMembership(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.groupType("time-in-production", "developers")
	until := h.Now().Add(time.Hour).UTC().Truncate(time.Second)
	ask := doc{"type": "time-in-production", "group": "developers", "until": until.In(time.FixedZone("", 3600)).Format(time.RFC3339), "justification": "on call"}
	h.refused("mallory", 403, "access.refused", "POST", "/access/resolve", doc{"resource": web})
	h.refused(h.workload(), 403, "request.people_only", "POST", requests, ask)
	id := h.raise("mallory", ask)
	if again := h.as("mallory", 200, "POST", requests, ask); again["id"] != id || again["until"] != until.Format(time.RFC3339) {
		t.Errorf("the same again is %v", again)
	}
	at := h.Last()
	h.as("carol", 200, "POST", requests+"/"+id+"/approve", doc{})
	if h.methods("mallory", web)[mine]["open"] != true {
		t.Error("in the group, the way of the group is closed")
	}
	var commits []string
	for _, e := range h.Events() {
		if at.Less(e.Position) && (e.Type == "request.approved" || e.Type == "group.member_added") {
			commits = append(commits, e.CommitID)
		}
	}
	if len(commits) != 2 || commits[0] != commits[1] {
		t.Errorf("the approval and the membership are in commits %v", commits)
	}
	h.refused("mallory", 409, "request.held", "POST", requests, ask)
	members := h.as("sec", 200, "GET", "/groups/developers/members", nil)["members"].([]any)
	if !slices.ContainsFunc(members, func(m any) bool { return m.(doc)["person"] == "mallory" && m.(doc)["request"] == id }) {
		t.Errorf("the members are %v", members)
	}
	h.Advance(until.Sub(h.Now())) // its time is over, and nobody recorded that
	h.tokens["mallory"] = h.Token("mallory", domain.Member)
	h.refused("mallory", 403, "access.refused", "POST", "/access/resolve", doc{"resource": web})
}

func TestAMembershipIsNotGivenOtherwise(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.groupType("time-in-production", "developers")
	ask := func(until time.Time) doc {
		return doc{"type": "time-in-production", "group": "developers", "until": until.UTC().Format(time.RFC3339), "justification": "on call"}
	}
	for _, until := range []time.Time{h.Now(), h.Now().Add(-time.Hour), h.Now().Add(3 * time.Hour), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if status, answer := h.ask("mallory", "POST", requests, ask(until)); status != 422 {
			t.Errorf("until %v: %d %v", until, status, answer)
		}
	}
	id := h.raise("mallory", ask(h.Now().Add(time.Hour)))
	// The group comes to lend an admin role: a type that no owner published gives it no more.
	h.as("own", 200, "PUT", "/groups/developers", doc{"roles": []string{"security_admin"}}, "If-Match", `"1"`)
	at := h.Last()
	h.refused("carol", 403, "request_type.owner_only", "POST", requests+"/"+id+"/approve", doc{})
	h.refused("sec", 403, "request_type.owner_only", "POST", "/request-types/time-in-production/publish", nil, "If-Match", `"1"`)
	if got := h.ofRequests(at); len(got) > 0 {
		t.Errorf("recorded %v", got)
	}
	h.as("own", 200, "POST", "/request-types/time-in-production/publish", nil, "If-Match", `"1"`)
	h.refused("carol", 403, "request_type.owner_only", "POST", requests+"/"+id+"/approve", doc{}) // it keeps what it was raised under
	h.as("mallory", 200, "POST", requests+"/"+id+"/cancel", nil)
	id = h.raise("mallory", ask(h.Now().Add(time.Hour)))
	h.as("carol", 200, "POST", requests+"/"+id+"/approve", doc{})
	if g := h.as("own", 200, "GET", "/groups/developers", nil); g["members"] != 3.0 {
		t.Errorf("the group is %v", g)
	}
}

func TestDelegatesOverHTTP(t *testing.T) {
	t.Parallel()
	h := build(t)
	const path = "/access/delegation"
	until := h.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	h.refused("carol", 422, "request.invalid", "PUT", path, doc{"to": "nobody", "until": until})
	h.refused("carol", 422, "request.invalid", "PUT", path, doc{"to": "carol", "until": until})
	h.refused("carol", 422, "request.invalid", "PUT", path, doc{"to": "bob"})
	h.refused("carol", 422, "request.invalid", "PUT", path, doc{"to": "bob", "until": until, "from": "alice"})
	h.refused("carol", 422, "request.invalid", "PUT", path, doc{"to": "bob", "until": h.Now().Add(91 * 24 * time.Hour).UTC().Format(time.RFC3339)})
	h.as("carol", 200, "PUT", path, doc{"to": "bob", "until": until})
	if got := h.as("bob", 200, "GET", path, nil)["received"].([]any); len(got) != 1 || got[0].(doc)["from"] != "carol" {
		t.Errorf("bob decides for %v", got)
	}
	if got := h.as("carol", 200, "GET", path, nil); got["to"] != "bob" || got["until"] != until {
		t.Errorf("carol's delegate is %v", got)
	}
	bobs := h.raise("bob", want(deploy))
	h.refused("bob", 403, "request.own", "POST", requests+"/"+bobs+"/approve", doc{})
	id := h.raise("alice", want(deploy))
	done := h.as("bob", 200, "POST", requests+"/"+id+"/approve", doc{})
	d := done["steps"].([]any)[0].(doc)["decisions"].([]any)[0].(doc)
	if d["by"] != "bob" || d["for"] != "carol" {
		t.Errorf("the decision is %v", d)
	}
	h.refused("carol", 409, "request.decided", "POST", requests+"/"+id+"/deny", doc{})
	h.as("carol", 204, "DELETE", path, nil)
	h.as("carol", 204, "DELETE", path, nil)
	id = h.raise("alice", want(root))
	h.refused("bob", 404, "request.not_found", "POST", requests+"/"+id+"/approve", doc{})
	h.Advance(2 * time.Hour)
}

func TestAWorkloadWaitsWhereTheRuleLetsIt(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.as("sec", 201, "POST", "/policies", doc{"name": "patient", "principals": doc{"roles": []string{"deployers"}}, "rules": []doc{
		rule("waits", "shared", doc{"conditions": asks, "workloads_may_wait": true})}})
	h.as("sec", 200, "POST", "/policies/patient/publish", nil, "If-Match", `"1"`)
	const method = "patient/waits/ssh:shared"
	token := h.workload()
	at := h.Last()
	h.refused(token, 403, "access.refused", "POST", requests, want("machines/asked/ssh:root")) // left out: no approval is raised
	h.refused(token, 403, "access.cancelled", "POST", requests, doc{"resource": "server/web-2", "method": "machines/human/ssh:deploy", "justification": "x"})
	if got := h.ofRequests(at); len(got) > 0 {
		t.Errorf("recorded %v", got)
	}
	id := h.raise(token, want(method))
	h.refused(token, 403, "access.unmet", "POST", "/access/grants", h.ssh(method))
	poll := func(status int, oauth string) doc {
		t.Helper()
		got, answer := h.ask(token, "GET", requests+"/"+id+"/poll", nil)
		if text, _ := answer["error"].(string); got != status || text != oauth {
			t.Errorf("polling answered %d %v", got, answer)
		}
		return answer
	}
	if p := poll(400, "authorization_pending"); p["interval"] != 5.0 || p["code"] != "request.pending" {
		t.Errorf("pending is told as %v", p)
	}
	poll(400, "slow_down")
	h.refused("mallory", 404, "request.not_found", "GET", requests+"/"+id+"/poll", nil)
	h.Advance(6 * time.Second)
	poll(400, "authorization_pending")
	r := h.as("carol", 200, "GET", requests+"/"+id, nil)
	if r["connection"] != "ci" || r["identity"] != "job/1" || r["requester"] == "job/1" {
		t.Errorf("the approver sees %v", r)
	}
	h.as("carol", 200, "POST", requests+"/"+id+"/approve", doc{})
	poll(200, "") // at once, though it was asked about just now
	poll(200, "")
	h.as(token, 200, "POST", "/access/grants", h.ssh(method))
	h.Advance(15 * time.Minute)
	token = h.workload()
	poll(400, "expired_token")
	id = h.raise(token, want(method))
	h.as("carol", 200, "POST", requests+"/"+id+"/deny", doc{"comment": "no"})
	poll(400, "access_denied")
	if got := h.as(token, 200, "GET", requests, nil)["requests"].([]any); len(got) != 2 {
		t.Errorf("the workload has %d requests", len(got))
	}
}

func TestWhereGlassWasBrokenAnApprovalMayStillBeAskedFor(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.as("alice", 201, "POST", "/access/break-glass", doc{"resource": web, "method": emergency, "reason": "the shop is down"})
	if h.methods("alice", web)[emergency]["open"] != true {
		t.Error("broken glass opens nothing")
	}
	h.approve("alice", emergency)
	h.refused("alice", 409, "request.held", "POST", requests, want(emergency))
}

func TestAnApproverWhoWasRemovedDecidesNothing(t *testing.T) {
	t.Parallel()
	h := build(t)
	id := h.raise("alice", want(deploy))
	h.as("own", 204, "DELETE", "/groups/approvers/members/carol", nil)
	h.refused("carol", 404, "request.not_found", "POST", requests+"/"+id+"/approve", doc{})
	h.as("own", 201, "POST", "/groups/approvers/members", doc{"person": "alice"})
	h.refused("alice", 403, "request.own", "POST", requests+"/"+id+"/approve", doc{})
	h.refused("sec", 403, "role.missing", "POST", "/groups/approvers/members", doc{"person": "carol"}) // named by a request type
	// Who was among them until a moment ago, which nobody recorded, is not.
	h.as("own", 201, "POST", "/groups/approvers/members", doc{"person": "bob", "until": h.Now().Add(30 * time.Minute).UTC().Format(time.RFC3339)})
	if inbox := h.as("bob", 200, "GET", requests+"?view=inbox", nil)["requests"].([]any); len(inbox) != 1 {
		t.Errorf("the inbox of who is among them for a while has %d requests", len(inbox))
	}
	h.Advance(30 * time.Minute)
	h.refused("bob", 404, "request.not_found", "POST", requests+"/"+id+"/approve", doc{})
	h.Advance(8 * 24 * time.Hour)
	h.tokens["alice"] = h.Token("alice", domain.Member)
	if r := h.as("alice", 200, "GET", requests+"/"+id, nil); r["status"] != string(request.Expired) {
		t.Errorf("after a week it is %v", r["status"])
	}
}
