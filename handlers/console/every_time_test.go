package console

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const everyReveal = "careful/reveal/secret_reveal"

// careful is a house where a second factor is asked for every time, and the
// browser of alice, who has a passkey.
func careful(t *testing.T) (*house, *keyed) {
	t.Helper()
	h := newHouse(t)
	everyTime := []doc{{"type": "mfa", "fresh_seconds": 0}}
	h.do("sec", 201, "POST", "/policies", doc{"name": "careful", "principals": doc{"groups": []string{"developers"}}, "rules": []doc{
		{"name": "reveal", "resource": doc{"folder": "payments"}, "privileges": []doc{{"type": "secret", "actions": []string{"list", "reveal"}}}, "conditions": everyTime},
		{"name": "login", "resource": doc{"server": "web-1"}, "privileges": []doc{{"type": "ssh", "accounts": []string{"deploy"}}}, "conditions": everyTime},
	}})
	h.do("sec", 200, "POST", "/policies/careful/publish", nil)
	d := newDevice(h.site)
	d.signedIn("alice")
	if w := d.register("laptop"); w.Code != http.StatusSeeOther {
		t.Fatalf("registering: %d", w.Code)
	}
	h.world.Advance(10 * time.Minute)
	return h, d
}

func (d *keyed) reveal(once string) *httptest.ResponseRecorder {
	return d.send("/access/resource/reveal", url.Values{"resource": {password}, "method": {everyReveal}, "_once": {once}})
}

// see is a page in this browser.
func (d *keyed) see(path string) *httptest.ResponseRecorder {
	d.t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for _, c := range d.cookies {
		r.AddCookie(c)
	}
	return d.as("", r)
}

var stepUpLink = regexp.MustCompile(`href="([^"]*` + stepUpPath + `\?return=[^"]*)"`)

// A refusal leads to the proof that it asks for, from there back, and the proof is
// good for one thing.
func TestWhatAsksForAProofEveryTimeLeadsToOneAndSpendsIt(t *testing.T) {
	h, d := careful(t)
	for round, once := range []string{"a", "b"} {
		w := d.reveal(once + "1")
		if w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "hunter2") {
			t.Fatalf("round %d: without a proof: %d", round, w.Code)
		}
		link := stepUpLink.FindStringSubmatch(w.Body.String())
		if link == nil || !strings.Contains(w.Body.String(), "Prove your passkey") {
			t.Fatalf("the refusal leads to no proof: %s", pageText(t, w))
		}
		at, err := url.Parse(html.UnescapeString(link[1]))
		if err != nil {
			t.Fatal(err)
		}
		back := at.Query().Get("return")
		page := d.see(at.String())
		if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), html.EscapeString(back)) {
			t.Fatalf("the page that asks for a proof: %d, leading back to %q", page.Code, back)
		}
		if w := d.prove(stepUpPath); w.Code != http.StatusSeeOther {
			t.Fatalf("proving: %d %s", w.Code, w.Body)
		}
		if text := pageText(t, d.see(back)); !strings.Contains(text, "met mfa") || !strings.Contains(text, "Reveal") {
			t.Fatalf("back on the page: %s", text)
		}
		if w := d.reveal(once + "2"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "hunter2") {
			t.Fatalf("with a proof: %d %s", w.Code, w.Body)
		}
	}
	if w := d.reveal("c"); w.Code != http.StatusForbidden {
		t.Errorf("a proof that is spent: %d", w.Code)
	}
	if text := pageText(t, d.see(h.path("/access/resource?resource="+web))); !strings.Contains(text, "sallyport login") {
		t.Errorf("a login does not say how it is proved: %s", text)
	}
}

func TestTwoTabsDoNotShareAProof(t *testing.T) {
	_, d := careful(t)
	if w := d.prove(stepUpPath); w.Code != http.StatusSeeOther {
		t.Fatalf("proving: %d", w.Code)
	}
	var both sync.WaitGroup
	var mu sync.Mutex
	shown := 0
	cookie := d.cookies[d.cookieName()]
	for _, once := range []string{"a", "b", "c", "d"} {
		both.Go(func() {
			form := url.Values{"resource": {password}, "method": {everyReveal}, "_once": {once}}
			r := httptest.NewRequest(http.MethodPost, d.path("/access/resource/reveal"), strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.AddCookie(cookie)
			r.Host = "sallyport.test"
			w := httptest.NewRecorder()
			d.handler.ServeHTTP(w, r)
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(w.Body.String(), "hunter2") {
				shown++
			}
		})
	}
	both.Wait()
	if shown != 1 {
		t.Errorf("one proof showed it %d times", shown)
	}
}

// Signing in anew without a second factor carries the old proof into the new
// session, and with it whether it is spent; so does another browser's session.
func TestAProofIsSpentInEverySessionThatHasIt(t *testing.T) {
	h, d := careful(t)
	if w := d.prove(stepUpPath); w.Code != http.StatusSeeOther {
		t.Fatalf("proving: %d", w.Code)
	}
	s, _ := d.session()
	copied := s
	copied.SignedInAt = time.Time{}
	cookie, _ := h.world.SignedIn(copied)
	if w := d.reveal("a"); w.Code != http.StatusOK {
		t.Fatalf("with a proof: %d", w.Code)
	}
	d.cookies[d.cookieName()].Value = cookie
	if w := d.reveal("b"); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("the same proof in another session: %d", w.Code)
	}
}
