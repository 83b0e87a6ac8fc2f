package access_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/domain"
	eventsof "sallyport.dev/domain/access"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

// Methods that ask for a second factor every time.
const (
	everyLogin  = "careful/login/ssh:root"
	everyReveal = "careful/reveal/secret_reveal"
	everyList   = "careful/reveal/secret_list"
)

// careful is a house where that is asked for.
func careful(t *testing.T) *house {
	t.Helper()
	h := build(t)
	everyTime := []doc{{"type": "mfa", "fresh_seconds": 0}}
	h.as("sec", 201, "POST", "/policies", doc{"name": "careful", "principals": doc{"groups": []string{"developers"}}, "rules": []doc{
		rule("login", "root", doc{"conditions": everyTime}),
		{"name": "reveal", "resource": doc{"folder": "payments"}, "privileges": []doc{{"type": "secret", "actions": []string{"list", "reveal"}}}, "conditions": everyTime},
	}})
	h.as("sec", 200, "POST", "/policies/careful/publish", nil, "If-Match", `"1"`)
	return h
}

// login is a token of somebody who proved a second factor at that time.
func (h *house) login(who domain.Name, mfaAt time.Time) string {
	h.t.Helper()
	m := domain.Meta{Actor: domain.Actor{ID: who.String()}, Now: h.Now()}
	t, err := h.LogIn(context.Background(), m, person.LogIn{Person: who, MFAAt: mfaAt}, func(*control.State) error { return nil })
	if err != nil {
		h.t.Fatal(err)
	}
	return t.Secret
}

func TestAProofForEachUseOpensOneThing(t *testing.T) {
	t.Parallel()
	h := careful(t)
	alice := h.login("alice", h.Now().Add(-time.Minute))
	if m := h.methods(alice, web)[everyLogin]; m["open"] != true {
		t.Errorf("it is %v", m)
	}
	at := h.Last()
	h.certificate(h.as(alice, 200, "POST", "/access/grants", h.ssh(everyLogin)))
	granted := h.tells(at, "access.granted")[0].Event.(eventsof.WasGranted)
	if granted.Spent == "" || !granted.SpentUntil.After(h.Now()) || granted.ValidUntil.After(granted.SpentUntil) {
		t.Errorf("recorded %+v", granted)
	}
	if m := h.methods(alice, web)[everyLogin]; m["open"] != false {
		t.Errorf("it is %v", m)
	}
	at = h.Last()
	told := h.refused(alice, 403, "access.unmet", "POST", "/access/grants", h.ssh(everyLogin))
	if !strings.Contains(told["detail"].(string), "sallyport login") {
		t.Errorf("told %v", told["detail"])
	}
	h.refused(alice, 403, "access.unmet", "POST", "/access/grants", doc{"resource": password, "method": everyReveal})
	h.tells(at, "access.refused", "access.refused")
	again := h.login("alice", h.Now())
	h.as(again, 200, "POST", "/access/grants", doc{"resource": password, "method": everyReveal})
	h.refused(again, 403, "access.unmet", "POST", "/access/grants", h.ssh(everyLogin))
}

// A session, a token and a second token that rest on one proof have one use of it.
func TestACopyOfAProofIsThatProof(t *testing.T) {
	t.Parallel()
	h := careful(t)
	at := h.Now()
	first, second := h.login("alice", at), h.login("alice", at)
	other, bob := h.login("alice", at.Add(-time.Nanosecond)), h.login("bob", at)
	h.as(first, 200, "POST", "/access/grants", h.ssh(everyLogin))
	h.refused(second, 403, "access.unmet", "POST", "/access/grants", h.ssh(everyLogin))
	h.as(other, 200, "POST", "/access/grants", h.ssh(everyLogin))
	h.as(bob, 200, "POST", "/access/grants", h.ssh(everyLogin)) // whose proof is his own
}

func TestWhatIsNoProofForThisUseOpensNothing(t *testing.T) {
	t.Parallel()
	h := careful(t)
	for name, token := range map[string]string{
		"a token of the host":     h.tokens["alice"],
		"a proof of long ago":     h.login("alice", h.Now().Add(-eventsof.EveryTime)),
		"a proof that is to come": h.login("alice", h.Now().Add(time.Hour)),
		"no proof":                h.login("alice", time.Time{}),
	} {
		if told := h.refused(token, 403, "access.unmet", "POST", "/access/grants", h.ssh(everyLogin)); told["certificate"] != nil {
			t.Errorf("%s opened %v", name, told)
		}
	}
	old := h.login("alice", h.Now())
	h.Advance(eventsof.EveryTime)
	h.refused(old, 403, "access.unmet", "POST", "/access/grants", h.ssh(everyLogin))
}

// What is used without a grant would spend nothing: it stays closed.
func TestAProofForEachUseOpensNothingThatIsUsedAgainAndAgain(t *testing.T) {
	t.Parallel()
	h := careful(t)
	h.as("sec", 200, "POST", "/policies/production/unpublish", nil, "If-Match", `"1"`)
	alice := h.login("alice", h.Now())
	if m := h.methods(alice, password)[everyList]; m["open"] != false {
		t.Errorf("it is %v", m)
	}
	if listed := h.as(alice, 200, "GET", "/secrets", nil)["secrets"].([]any); len(listed) > 0 {
		t.Errorf("listed are %v", listed)
	}
}

// Of all who come with one proof at once, on any replica, with any key, one is let in.
func TestTwoGrantsAtOnceDoNotShareAProof(t *testing.T) {
	t.Parallel()
	h := careful(t)
	there := open(t, orgtest.Join(t, h.Conn))
	for round := range 5 {
		proved := h.Now()
		tokens := []string{h.login("alice", proved), h.login("alice", proved)}
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		for i := range 12 {
			at, header := h, []string{}
			if i%2 == 1 {
				at = there
			}
			if i%3 == 1 {
				header = []string{"Idempotency-Key", "round-" + string(rune('a'+round)) + string(rune('a'+i%2))}
			}
			body := at.ssh(everyLogin)
			if i%4 == 3 {
				body = doc{"resource": password, "method": everyReveal}
			}
			all.Go(func() {
				status, _ := at.ask(tokens[i%2], "POST", "/access/grants", body, header...)
				mu.Lock()
				defer mu.Unlock()
				codes[status]++
			})
		}
		all.Wait()
		if codes[200] != 1 {
			t.Fatalf("one proof opened %d: %v", codes[200], codes)
		}
	}
	spent := map[string]int{}
	for _, e := range h.told(domain.Position{}) {
		if g, ok := e.Event.(eventsof.WasGranted); ok {
			spent[g.Spent]++
		}
	}
	if len(spent) != 5 {
		t.Errorf("spent are %v", spent)
	}
}

// A replica that starts knows what was spent.
func TestASpentProofIsRememberedAcrossAStart(t *testing.T) {
	t.Parallel()
	h := careful(t)
	alice := h.login("alice", h.Now())
	h.as(alice, 200, "POST", "/access/grants", h.ssh(everyLogin))
	there := open(t, orgtest.Join(t, h.Conn))
	there.refused(alice, 403, "access.unmet", "POST", "/access/grants", there.ssh(everyLogin))
}
