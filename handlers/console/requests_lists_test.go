package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
)

func TestTheInboxHasWhatWaitsForMeOldestFirst(t *testing.T) {
	h := newHouse(t)
	has(t, h.show("carol", "/inbox"), "Nothing waits for you")
	first, second := h.asked(deploy, "the first"), h.asked(admin1, "the second")
	text := h.show("carol", "/inbox")
	has(t, text, "Log in to web-1 as deploy", "alice", "for 15 minutes", "the first", "Log in to web-1 as admin")
	if strings.Index(text, "the first") > strings.Index(text, "the second") {
		t.Errorf("the newest is first: %s", text)
	}
	if body := h.get("carol", h.path("/")).Body.String(); !strings.Contains(body, `Inbox <span class="count">2<span class="readers"> waiting</span></span>`) {
		t.Errorf("the menu does not count them: %s", body)
	}
	for _, nobody := range []string{"alice", "sec", "mallory"} {
		hasNot(t, h.show(domain.Name(nobody), "/inbox"), "the first")
	}
	h.send("carol", "/requests/"+first+"/approve", url.Values{"step": {"1"}, "fields.risk": {"low"}})
	text = h.show("carol", "/inbox")
	has(t, text, "the second", "You decided")
	hasNot(t, text, "the first")
	has(t, h.show("dave", "/inbox"), "the first")
	h.send("carol", "/requests/"+second+"/deny", url.Values{"step": {"1"}})
	has(t, h.show("carol", "/inbox"), "Nothing waits for you", "denied")
}

func TestMyRequestsAreMineAndAllOfThemAnAuditors(t *testing.T) {
	h := newHouse(t)
	h.asked(deploy, "x")
	has(t, h.show("alice", "/requests"), "Log in to web-1 as deploy", "pending", "expires in 7 days")
	for _, who := range []string{"bob", "mallory"} {
		text := h.show(domain.Name(who), "/requests?view=all")
		has(t, text, "No requests")
		hasNot(t, text, "Everybody's")
	}
	has(t, h.show("sec", "/requests"), "No requests", "Everybody's")
	has(t, h.show("sec", "/requests?view=all"), "Log in to web-1 as deploy", "alice")
}

func TestListsOfRequestsAreShownAPageAtATime(t *testing.T) {
	h := newHouse(t)
	for range perPage + 2 {
		h.do("alice", 200, "POST", "/access/requests/"+h.asked(deploy, "x")+"/cancel", nil)
	}
	w := h.get("alice", h.path("/requests"))
	_, next, found := strings.Cut(w.Body.String(), `rel="next" href="`)
	next, _, _ = strings.Cut(next, `"`)
	if rows := strings.Count(w.Body.String(), `<tr><th scope="row">`); rows != perPage || !found {
		t.Fatalf("%d rows, next: %v", rows, found)
	}
	w = h.get("alice", next)
	if rows := strings.Count(w.Body.String(), `<tr><th scope="row">`); rows != 2 || strings.Contains(w.Body.String(), `rel="next"`) {
		t.Errorf("%s: %d rows: %s", next, rows, w.Body)
	}
}

func TestAGroupIsAskedForUntilADate(t *testing.T) {
	h := newHouse(t)
	has(t, h.show("alice", "/requests"), "Ask for a group")
	has(t, h.show("alice", "/requests/membership"), "In UTC, at most 7 days from now.", "To be approved: carol")

	until := h.world.Now().UTC().Add(time.Hour)
	form := url.Values{"type": {"on-call"}, "group": {"watch"}, "until": {until.Format("2006-01-02T15:04")}, "justification": {"nights"}}
	for _, tc := range []struct{ field, value, says string }{
		{"until", "tomorrow", "this is a date and a time"},
		{"until", "9999-01-01T00:00", "until is after now and at most"},
		{"group", "leads", "this is one of the groups that the request type lists"},
		{"justification", " ", "say why, for those who decide"},
	} {
		wrong := url.Values{}
		for k, v := range form {
			wrong[k] = v
		}
		wrong.Set(tc.field, tc.value)
		code, text := h.send("alice", "/requests/membership/raise", wrong)
		if code != http.StatusUnprocessableEntity {
			t.Errorf("%s %q: %d", tc.field, tc.value, code)
		}
		has(t, text, tc.says)
	}
	code, text := h.send("alice", "/requests/membership/raise", form)
	if code != http.StatusSeeOther {
		t.Fatalf("got %d: %s", code, text)
	}
	has(t, text, "Be in group watch", "nights", "May decide now carol")
	has(t, h.show("carol", "/inbox"), "Be in group watch", "alice , until")
}

func TestSomebodyElseDecidesForMeUntilIEndIt(t *testing.T) {
	h := newHouse(t)
	until := h.world.Now().UTC().Add(48 * time.Hour).Format("2006-01-02T15:04")
	for to, says := range map[string]string{"carol": "nobody is their own delegate", "nobody": "there is no such person", "X Y": "name"} {
		code, text := h.send("carol", "/delegation/set", url.Values{"to": {to}, "until": {until}})
		if code != http.StatusUnprocessableEntity || !strings.Contains(text, says) {
			t.Errorf("to %q: %d %s", to, code, text)
		}
	}
	code, text := h.send("carol", "/delegation/set", url.Values{"to": {"mallory"}, "until": {until}})
	if code != http.StatusSeeOther {
		t.Fatalf("got %d: %s", code, text)
	}
	has(t, text, "mallory may decide for you now.", "mallory decides for you", "End it now")
	has(t, h.show("mallory", "/delegation"), "carol , until")
	id := h.asked(deploy, "while carol is away")
	has(t, h.show("mallory", "/inbox"), "You also decide for carol", "while carol is away")
	_, text = h.send("mallory", "/requests/"+id+"/approve", url.Values{"step": {"1"}, "fields.risk": {"low"}})
	has(t, text, "mallory said yes for carol")

	_, text = h.send("carol", "/delegation/end", nil)
	has(t, text, "You decide for yourself alone again.", "Let somebody decide for you")
	has(t, h.show("mallory", "/delegation"), "Nobody has delegated to you.")
}
