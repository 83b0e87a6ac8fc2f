package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

// Whose browser it is changes between the page and its form: nothing is done in the
// name of who only happens to be signed in now.
func TestWhatSomebodyElseOpenedIsNotDoneInMyName(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.signIn("sue", domain.SecurityAdmin)
	s.prepare()
	before := s.world.Last()
	typed := url.Values{"document": {webStanding}, "etag": {""}, onceField: {onceOf("sam")}}
	w := s.post("sue", s.path("/policies/-/new/save"), typed.Encode())
	page := s.wants(http.StatusConflict, w, "Somebody else opened this", "You are signed in as <strong>sue</strong> now", "Send it again")
	checkAnswer(t, "a form of somebody else", w)
	if s.world.Last() != before {
		t.Error("it was done all the same")
	}
	again := sentAgain(page)
	if again.Get("document") != webStanding {
		t.Errorf("what is sent again is %q", again)
	}
	s.wants(http.StatusConflict, s.post("sue", s.path("/policies/-/new/save"), again.Encode()), "Somebody else opened this")
	s.wants(http.StatusSeeOther, s.post("sam", s.path("/policies/-/new/save"), again.Encode()))

	publish := url.Values{"etag": {`"1"`}, onceField: {onceOf("sam")}} // nothing is typed in it
	before = s.world.Last()
	body := s.wants(http.StatusConflict, s.post("sue", s.path("/policies/web-standing/publish"), publish.Encode()), "opened by somebody else", "form.opened_by_another")
	if s.world.Last() != before || strings.Contains(body, "Send it again") {
		t.Errorf("it was done, or is to be sent again: %s", mainOf(body))
	}
	s.wants(http.StatusSeeOther, s.post("sam", s.path("/policies/web-standing/publish"), publish.Encode()))
}
