package console

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/session"
)

var (
	hiddenForm   = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	readonlyForm = regexp.MustCompile(`name="([^"]*)" type="text" value="([^"]*)" readonly`)
	linesForm    = regexp.MustCompile(`(?s)name="([^"]*)" rows="8" readonly[^>]*>\n(.*?)</textarea>`)
	mainForm     = regexp.MustCompile(`(?s)<main.*</main>`)
)

// sentAgain is what a page that keeps a form sends, as a browser does.
func sentAgain(page string) url.Values {
	v := url.Values{}
	for _, form := range []*regexp.Regexp{hiddenForm, readonlyForm, linesForm} {
		for _, m := range form.FindAllStringSubmatch(mainForm.FindString(page), -1) {
			v.Add(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
		}
	}
	return v
}

// A form that comes when the session is over does nothing, and nothing that was typed
// is lost: whoever typed it signs in, and sends it again.
func TestWhatWasTypedIsKeptWhenTheSessionIsOver(t *testing.T) {
	s := newSite(t)
	s.signIn("sam", domain.SecurityAdmin)
	s.prepare()
	typed := url.Values{"document": {webStanding + "# \"><script>alert(1)</script>\r\n"}, "etag": {""}, onceField: {"abc"}}
	for name, over := range map[string]func(){
		"idle":         func() { s.world.Advance(session.Idle + time.Second) },
		"signed out":   func() { s.wants(http.StatusSeeOther, s.post("sam", s.path("/sign-out/now"), "")) },
		"no cookie":    func() { delete(s.cookies, "sam") },
		"not a cookie": func() { s.cookies["sam"].Value = "x" },
	} {
		s.signIn("sam", domain.SecurityAdmin)
		over()
		before := s.world.Last()
		w := s.post("sam", s.path("/policies/-/new/save"), typed.Encode())
		page := s.wants(http.StatusUnauthorized, w, "Your session is over", "Send it again", `target="_blank"`)
		if strings.Contains(page, "<script>alert") || s.world.Last() != before || strings.Contains(page, ">sam<") || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: it did something, or shows more than what was sent: %s", name, mainOf(page))
		}
		checkAnswer(t, "a session that is over", w)
		again := sentAgain(page)
		if again.Get("document") != typed.Get("document") || again.Get(onceField) != "abc" || !again.Has("etag") {
			t.Errorf("%s: what is sent again is %q", name, again)
		}
	}
	s.signIn("sam", domain.SecurityAdmin)
	for range 2 { // pressed twice it is done once
		s.wants(http.StatusSeeOther, s.post("sam", s.path("/policies/-/new/save"), typed.Encode()))
	}
	s.wants(http.StatusOK, s.get("sam", s.path(provedPath)), "Close this tab")
}

func TestWhatIsSecretIsNotKept(t *testing.T) {
	s := newSite(t)
	for path, form := range map[string]url.Values{
		"/secrets/-/one/put":           {"path": {"a/b"}, "value": {"correct horse"}},
		"/connections/gitlab/test/run": {"token": {"correct horse"}, "name": {"x"}},
	} {
		w := s.post("", s.path(path), form.Encode())
		if w.Code == http.StatusNotFound {
			t.Fatalf("there is no %s", path)
		}
		if body := w.Body.String(); strings.Contains(body, "correct horse") || strings.Contains(w.Header().Get("Location"), "correct") || !strings.Contains(body, "you are asked for it once more") {
			t.Errorf("%s: %d %s", path, w.Code, mainOf(body))
		}
	}
}

// What has nothing typed in it leads to where one signs in, which says that nothing was
// done, and from there back to the very page.
func TestAButtonOfASessionThatIsOverLeadsBackToItsPage(t *testing.T) {
	s := newSite(t)
	ask := s.path("/access/request")
	for name, tt := range map[string]struct{ path, referer, back string }{
		"a button":                   {"/policies/p/publish", "", s.path("/policies/p")},
		"with the page's query":      {"/access/request/raise", siteURL + ask + "?resource=server/web", ask + "?resource=server/web"},
		"of another page":            {"/access/request/raise", siteURL + s.path("/access") + "?x=1", ask},
		"of another site":            {"/access/request/raise", "https://evil.example.com" + s.path("/x") + "?x=1", ask},
		"an address that is none":    {"/access/request/raise", "::", ask},
		"an approval without a word": {"/requests/x/approve", "", s.path("/requests/x")},
		"a program's code":           {"/device/allow", siteURL + s.path("/device") + "?user_code=BCDF-GHJK", s.path("/device") + "?user_code=BCDF-GHJK"},
		"to prove who they are":      {"/step-up/with", "", s.path("/keys")},
		"too many fields":            {"/policies/-/new/save", "", s.path("/policies/-/new")},
		"an authenticator's answer":  {"/passkeys/new/add", "", s.path("/passkeys/new")},
	} {
		form := url.Values{"etag": {`"1"`}, onceField: {"a"}}
		switch name {
		case "to prove who they are":
			form = url.Values{"return": {s.path("/keys")}, "provider": {"okta"}}
		case "an approval without a word":
			form.Set("step", "1")
		case "a program's code":
			form.Set("user_code", "BCDF-GHJK")
		case "too many fields":
			form["x"] = make([]string, 1000)
		case "an authenticator's answer":
			form = url.Values{"credential": {"{}"}, "name": {"laptop"}}
		}
		r := httptest.NewRequest(http.MethodPost, s.path(tt.path), strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if tt.referer != "" {
			r.Header.Set("Referer", tt.referer)
		}
		w := s.as("", r)
		to, err := url.Parse(w.Header().Get("Location"))
		if err != nil || w.Code != http.StatusSeeOther || to.Path != s.path(signInPath) || to.Query().Get("return") != tt.back {
			t.Errorf("%s: %d to %q, want back to %q: %s", name, w.Code, to, tt.back, mainOf(w.Body.String()))
			continue
		}
		s.wants(http.StatusOK, s.get("", to.String()), "Your session is over, and nothing was done")
	}
	if body := s.get("", s.path(signInPath)).Body.String(); strings.Contains(body, "session is over") {
		t.Error("it is said to who had none")
	}
	w := s.post("", s.path("/passkeys/new/options"), "name=laptop")
	if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), `"code":"session.none"`) {
		t.Errorf("a script is told %d %s", w.Code, w.Body)
	}
}

// endsSession is a form whose session ends while it is read.
type endsSession struct {
	io.Reader
	end func()
}

func (e *endsSession) Read(b []byte) (int, error) {
	if e.end != nil {
		e.end()
		e.end = nil
	}
	return e.Reader.Read(b)
}

func TestASessionThatEndsWhileItsFormIsReadKeepsWhatWasTyped(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	before := s.world.Last()
	form := &endsSession{strings.NewReader("name=carol&roles=member"), func() {
		if err := s.world.Sessions().End(context.Background(), s.cookies["olga"].Value); err != nil {
			t.Error(err)
		}
	}}
	r := httptest.NewRequest(http.MethodPost, s.path("/people/-/new/save"), form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	page := s.wants(http.StatusUnauthorized, s.as("olga", r), "Your session is over", `value="carol"`)
	if strings.Contains(page, "olga") || s.world.Last() != before {
		t.Errorf("it did something, or names who it was: %s", mainOf(page))
	}
}

// Another site's page gets nothing of that: its forms are refused before anybody asks
// whose they are.
func TestAnotherSitesFormIsNotKept(t *testing.T) {
	s := newSite(t)
	r := httptest.NewRequest(http.MethodPost, s.path("/people/-/new/save"), strings.NewReader("name=mallory&roles=owner"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://evil.example.com")
	if body := s.wants(http.StatusForbidden, s.as("", r)); strings.Contains(body, "mallory") {
		t.Errorf("it is kept: %s", mainOf(body))
	}
}
