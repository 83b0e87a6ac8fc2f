package console

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
)

// at is the query of a form for a method.
func at(ref, method string) string {
	return "?" + url.Values{"resource": {ref}, "method": {method}}.Encode()
}

func TestMyAccessHasWhatICanReachAndWhatIsToBeMet(t *testing.T) {
	h := newHouse(t)
	text := h.show("alice", "/access")
	has(t, text, "web-1", "the shop", "open log in as own (user alice)", "unmet log in as deploy", "payments/db/password", "open reveal", "2 in all")
	has(t, h.show("mallory", "/access"), "Nothing yet")
	hasNot(t, h.show("mallory", "/access"), "web-1")
	text = h.show("alice", "/access?q=WEB&kind=server")
	has(t, text, "web-1", "1 in all")
	hasNot(t, text, "payments")
	has(t, h.show("alice", "/access?q=nothing"), "Nothing of that name")

	text = h.show("alice", "/access/resource?resource="+web)
	has(t, text, "Log in to web-1 as own (user alice)", "sallyport ssh web-1 --account own", "By rule standing of policy production, through the group developers",
		"Raise an access request", "Ask for approval", "Break glass", "Check out")
	hasNot(t, text, "--account deploy")
	for who, ref := range map[domain.Name]string{"mallory": web, "alice": "server/none", "bob": "x"} {
		if w := h.get(who, h.path("/access/resource?resource="+ref)); w.Code != http.StatusNotFound {
			t.Errorf("%s at %s: %d", who, ref, w.Code)
		}
	}
}

func TestMyAccessIsShownAPageAtATime(t *testing.T) {
	h := newHouse(t)
	for i := range reachPerPage + 3 {
		h.do("res", 201, "POST", "/secrets", doc{"path": "payments/x" + string(rune('a'+i/26)) + string(rune('a'+i%26)), "project": "shop"})
	}
	seen := map[string]bool{}
	for next := h.path("/access?q=payments"); next != ""; {
		body := h.get("alice", next).Body.String()
		for _, row := range strings.Split(body, `<tr><th scope="row">`)[1:] {
			seen[row[:strings.Index(row, "</a>")]] = true
		}
		_, next, _ = strings.Cut(body, `rel="next" href="`)
		next = html.UnescapeString(next[:strings.Index(next+`"`, `"`)])
	}
	if len(seen) != reachPerPage+4 {
		t.Errorf("%d are listed, want %d", len(seen), reachPerPage+4)
	}
}

func TestAnApprovalIsAskedForFromMyAccess(t *testing.T) {
	h := newHouse(t)
	form := "/access/request" + at(web, deploy)
	has(t, h.show("alice", form), "Log in to web-1 as deploy, for 15 minutes from the approval.", "Which ticket?", "What kind?", "Step 1 of 2, lead: whoever is in group leads", "A day, in UTC.")
	filledIn := url.Values{"resource": {web}, "method": {deploy}, "type": {"prod-access"}, "justification": {"disk"}, "fields.ticket": {"OPS-1"}, "fields.when": {"2026-12-01"}, "fields.kind": {"fix"}}
	for _, tc := range []struct{ field, value, says string }{
		{"justification", "", "say why, for those who decide"}, {"fields.ticket", "", "the request type asks for ticket"},
		{"fields.when", "soon", "this is a date, such as"}, {"fields.kind", "other", "this is one of the choices"},
	} {
		wrong := url.Values{}
		for k, v := range filledIn {
			wrong[k] = v
		}
		wrong.Set(tc.field, tc.value)
		code, text := h.send("alice", "/access/request/raise", wrong)
		if code != http.StatusUnprocessableEntity {
			t.Errorf("%s %q: %d", tc.field, tc.value, code)
		}
		has(t, text, tc.says)
	}
	code, text := h.send("alice", "/access/request/raise", filledIn)
	if code != http.StatusSeeOther {
		t.Fatalf("got %d: %s", code, text)
	}
	has(t, text, "Asked. It is in the inbox of those who may decide.", "disk", "What kind? fix")
	has(t, h.show("alice", "/access/resource?resource="+web), "a request waits to be approved")
	code, _ = h.send("mallory", "/access/request/raise", filledIn)
	if code != http.StatusNotFound {
		t.Errorf("who has no such way asks: %d", code)
	}
	code, text = h.send("alice", "/access/request/raise", url.Values{"resource": {web}, "method": {own}, "justification": {"x"}})
	if code != http.StatusConflict || !strings.Contains(text, "needs no approval") {
		t.Errorf("what needs no approval: %d %s", code, text)
	}
}

func TestACheckoutIsTakenAndReleased(t *testing.T) {
	h := newHouse(t)
	take := url.Values{"resource": {web}, "method": {shared}, "seconds": {"300"}}
	code, text := h.send("alice", "/access/resource/take", take)
	if code != http.StatusSeeOther {
		t.Fatalf("got %d: %s", code, text)
	}
	has(t, text, "You have it to yourself now.", "sallyport ssh web-1 --account shared", "Release")
	has(t, h.show("alice", "/access"), "Checked out by you", "shared on web-1")
	code, text = h.send("bob", "/access/resource/take", take)
	if code != http.StatusConflict {
		t.Errorf("somebody else takes it: %d", code)
	}
	has(t, text, "alice has it checked out until")
	hasNot(t, h.show("bob", "/access/resource?resource="+web), "Check out")
	take.Set("seconds", "90000")
	code, text = h.send("alice", "/access/resource/take", url.Values{"resource": {web}, "method": {own}, "seconds": {"0"}})
	if code != http.StatusConflict || !strings.Contains(text, "used without a checkout") {
		t.Errorf("what needs none: %d %s", code, text)
	}
	_, text = h.send("alice", "/access/resource/release", url.Values{"resource": {web}, "account": {"shared"}})
	has(t, text, "Released")
	hasNot(t, text, "Checked out by you")
	if code, text = h.send("bob", "/access/resource/take", take); code != http.StatusUnprocessableEntity || !strings.Contains(text, "from 60 to 900") {
		t.Errorf("for longer than may be: %d %s", code, text)
	}
}

func TestASecretIsShownOnceOnItsPageAndNowhereElse(t *testing.T) {
	h := newHouse(t)
	form := url.Values{"resource": {password}, "method": {reveal}, "_once": {"once-only-1"}}
	w := h.post("alice", h.path("/access/resource/reveal"), form.Encode())
	body := w.Body.String()
	if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d, kept: %q", w.Code, w.Header().Get("Cache-Control"))
	}
	if strings.Count(body, "hunter2&lt;b&gt;") != 2 || !strings.Contains(body, `data-copy="hunter2&lt;b&gt;"`) || strings.Contains(body, "hunter2<b>") {
		t.Errorf("the value is there as text in its place, and to be copied: %s", body)
	}
	if !strings.Contains(body, `<details class="value" data-revealed><summary>`) || strings.Contains(body, "<details open") {
		t.Error("it is not hidden until it is asked for")
	}
	title := body[strings.Index(body, "<title>"):strings.Index(body, "</title>")]
	if strings.Contains(title, "hunter2") || strings.Contains(w.Header().Get("Set-Cookie")+w.Header().Get("Location"), "hunter2") {
		t.Errorf("the value is in %s or %v", title, w.Header())
	}
	checkAnswer(t, "the value's page", w)

	w = h.post("alice", h.path("/access/resource/reveal"), form.Encode())
	if w.Code != http.StatusConflict || strings.Contains(w.Body.String(), "hunter2") || !strings.Contains(w.Body.String(), "it is shown once") {
		t.Errorf("the form sent again: %d %s", w.Code, w.Body)
	}
	form.Del("_once")
	if w = h.post("alice", h.path("/access/resource/reveal"), form.Encode()); w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("without the field that makes it once: %d", w.Code)
	}
	form.Set("_once", "another")
	if w = h.post("mallory", h.path("/access/resource/reveal"), form.Encode()); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("who may not: %d %s", w.Code, w.Body)
	}
	if w = h.get("alice", h.path("/access/resource/reveal?resource="+password)); w.Code != http.StatusSeeOther {
		t.Errorf("a GET reveals: %d", w.Code)
	}
	has(t, h.show("alice", "/access/resource?resource="+password), "Revealing it is recorded")
	hasNot(t, h.show("alice", "/access"), "hunter2")
}

func TestGlassIsBrokenWithAReasonAndReviewedBySomebodyElse(t *testing.T) {
	h := newHouse(t)
	text := h.show("alice", "/access/break-glass"+at(web, admin1))
	has(t, text, "Log in to web-1 as admin, at once, for 10 minutes.", "It is shown at once to bob, carol, dave, sec and the security admins.")
	form := url.Values{"resource": {web}, "method": {admin1}}
	code, text := h.send("alice", "/access/break-glass/break", form)
	if code != http.StatusUnprocessableEntity {
		t.Errorf("without a reason: %d", code)
	}
	has(t, text, "reason says why")
	form.Set("reason", evil+" the shop is down")
	code, text = h.send("alice", "/access/break-glass/break", form)
	if code != http.StatusSeeOther {
		t.Fatalf("got %d: %s", code, text)
	}
	has(t, text, "You broke glass: it is open now", "you broke glass; it ends", "sallyport ssh web-1 --account admin")
	code, text = h.send("alice", "/access/break-glass/break", url.Values{"resource": {web}, "method": {deploy}, "reason": {"x"}})
	if code != http.StatusForbidden || !strings.Contains(text, "has no break-glass") {
		t.Errorf("where no rule allows it: %d %s", code, text)
	}

	body := h.get("carol", h.path("/break-glass")).Body.String()
	_, id, _ := strings.Cut(body, `/break-glass/01`)
	id = "01" + id[:24]
	if strings.Contains(body, "<img") || !strings.Contains(body, "For you to review") || !strings.Contains(body, `Break glass <span class="count">1`) {
		t.Errorf("carol sees: %s", body)
	}
	has(t, h.show("alice", "/break-glass"), "Broken by you", "unreviewed")
	hasNot(t, h.show("mallory", "/break-glass"), "shop is down")
	has(t, h.show("olga", "/break-glass"), "Broken by others", "alice")
	if w := h.get("mallory", h.path("/break-glass/"+id)); w.Code != http.StatusNotFound {
		t.Errorf("mallory: %d", w.Code)
	}
	hasNot(t, h.show("alice", "/break-glass/"+id), "It is accounted for")
	for who, want := range map[domain.Name]int{"alice": 403, "mallory": 404, "res": 403} {
		if code, text := h.send(who, "/break-glass/"+id+"/review", nil); code != want {
			t.Errorf("a review by %s: %d, want %d: %s", who, code, want, text)
		}
	}
	has(t, h.show("carol", "/break-glass/"+id), "the shop is down", "It is accounted for", "Ends")
	code, text = h.send("carol", "/break-glass/"+id+"/review", url.Values{"comment": {"ticket 4711"}})
	if code != http.StatusSeeOther {
		t.Fatalf("got %d: %s", code, text)
	}
	has(t, text, "Reviewed.", "carol", "ticket 4711")
	code, text = h.send("sec", "/break-glass/"+id+"/review", nil)
	if code != http.StatusConflict || !strings.Contains(text, "carol has reviewed it already") {
		t.Errorf("reviewed twice: %d %s", code, text)
	}
}

func TestGlassAndAnApprovalSayWhatIsStillToBeDone(t *testing.T) {
	h := newHouse(t)
	h.do("sec", 201, "POST", "/policies", doc{"name": "one-at-a-time", "principals": doc{"groups": []string{"developers"}}, "rules": []doc{{
		"name": "admin", "resource": doc{"server": "web-1"}, "privileges": []doc{{"type": "ssh", "accounts": []string{"admin"}}},
		"conditions":  []doc{{"type": "access_request", "request_type": "prod-access", "approval_seconds": 900}, {"type": "checkout", "max_seconds": 900}},
		"break_glass": doc{"access_seconds": 600},
	}}})
	h.do("sec", 200, "POST", "/policies/one-at-a-time/publish", nil)
	const method = "one-at-a-time/admin/ssh:admin"
	code, text := h.send("alice", "/access/break-glass/break", url.Values{"resource": {web}, "method": {method}, "reason": {"the shop is down"}})
	if code != http.StatusSeeOther {
		t.Fatalf("got %d: %s", code, text)
	}
	has(t, text, "It is not open yet, one more step: check it out.")
	hasNot(t, text, "it is open now")
	has(t, h.show("alice", "/"), "broken glass, still to be checked out")

	path := "/requests/" + h.do("bob", 201, "POST", "/access/requests", doc{"resource": web, "method": method, "justification": "x", "fields": doc{"ticket": "OPS-17"}})["id"].(string)
	for _, step := range []url.Values{{"step": {"1"}, "fields.risk": {"low"}}, {"step": {"2"}, "fields.risk": {"low"}}} {
		who := map[string]domain.Name{"1": "carol", "2": "sec"}[step.Get("step")]
		if code, text := h.send(who, path+"/approve", step); code != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", who, code, text)
		}
	}
	has(t, h.show("bob", "/"), "approved, still to be checked out")
	if code, text := h.send("alice", "/access/resource/take", url.Values{"resource": {web}, "method": {method}, "seconds": {"300"}}); code != http.StatusSeeOther {
		t.Fatalf("a checkout: %d %s", code, text)
	}
	hasNot(t, h.show("alice", "/"), "still to be")
	h.do("olga", 204, "DELETE", "/groups/developers/members/bob", nil)
	has(t, h.show("bob", "/"), "approved, but no rule opens it now")
}

func TestASecondFactorThatIsAskedForIsTheSessions(t *testing.T) {
	h := newHouse(t)
	h.do("sec", 201, "POST", "/policies", doc{"name": "strict", "principals": doc{"groups": []string{"developers"}}, "rules": []doc{
		{"name": "fresh", "resource": doc{"folder": "payments"}, "privileges": []doc{{"type": "secret", "actions": []string{"reveal"}}}, "conditions": []doc{{"type": string(policy.MFA), "fresh_seconds": 300}}},
	}})
	h.do("sec", 200, "POST", "/policies/strict/publish", nil)
	has(t, h.show("alice", "/access/resource?resource="+password), "met mfa : ends")
	h.world.Advance(6 * time.Minute)
	has(t, h.show("alice", "/access/resource?resource="+password), "unmet mfa")
	w := h.post("alice", h.path("/access/resource/reveal"), url.Values{"resource": {password}, "method": {"strict/fresh/secret_reveal"}, "_once": {"a"}}.Encode())
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "Still to be met") || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
}

func TestNobodyIsOfferedToReviewTheirOwnGlass(t *testing.T) {
	h := newHouse(t)
	h.do("olga", 201, "POST", "/groups/developers/members", doc{"person": "sec"})
	if code, text := h.send("sec", "/access/break-glass/break", url.Values{"resource": {web}, "method": {admin1}, "reason": {"down"}}); code != http.StatusSeeOther {
		t.Fatalf("got %d: %s", code, text)
	}
	text := h.show("sec", "/break-glass")
	has(t, text, "Broken by you", "unreviewed")
	hasNot(t, text, "For you to review")
	has(t, h.show("carol", "/break-glass"), "For you to review")
}
