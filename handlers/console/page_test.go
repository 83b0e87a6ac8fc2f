package console

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/session"
)

// trial is a screen whose page and action are those given.
func trial(get, post func(*page) error) screen {
	return screen{path: "/trial/:name", get: get, post: map[string]func(*page) error{"do": post}}
}

func confirmed(p *page) error { return p.render("confirm", confirmView{Heading: "Trial"}) }

// makeGroup has /v1 make the group that the form names.
func makeGroup(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	err = p.API(http.MethodPost, "/groups", nil, map[string]string{"name": form.Get("name")}, nil)
	if err != nil {
		return p.refused("confirm", confirmView{Heading: "Trial"}, err)
	}
	return p.done("/trial/"+p.param("name"), "Made.")
}

func TestThePolicyLetsNothingInThatIsNotOurs(t *testing.T) {
	got := map[string]string{}
	for part := range strings.SplitSeq(contentPolicy("abc"), "; ") {
		name, value, _ := strings.Cut(part, " ")
		got[name] = value
	}
	want := map[string]string{
		"default-src": "'none'", "script-src": "'nonce-abc'", "style-src": "'self'", "connect-src": "'self'", "img-src": "'self'", "form-action": "'self'",
		"base-uri": "'none'", "frame-ancestors": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "htmx",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	first, second := s.get("olga", s.path("/")), s.get("olga", s.path("/"))
	if a, b := first.Header().Get("Content-Security-Policy"), second.Header().Get("Content-Security-Policy"); a == b {
		t.Errorf("two answers have one nonce: %s", a)
	}
}

func TestARefusalOfNoFieldLeadsToNone(t *testing.T) {
	told := answer{status: http.StatusUnprocessableEntity}
	told.body.WriteString(`{"code":"request.invalid","detail":"Something is wrong.","errors":[{"pointer":"","detail":"it is too much"},{"pointer":"/name","detail":"it is taken"}]}`)
	var p *problem
	if err := told.problem(); !errors.As(err, &p) || p.Detail != "Something is wrong. it is too much." || len(p.FieldLinks()) != 1 || p.FieldLinks()[0].ID != "f-name" {
		t.Errorf("got %+v", p)
	}
}

func TestAFormWhoseOnceIsNotOursIsNotRead(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	for _, once := range []string{"é", strings.Repeat("A", 65), "a b"} {
		s.wants(http.StatusBadRequest, s.fills("olga", "/groups/-/new/save", "name", "ops", onceField, once), "The form could not be read")
	}
	s.wants(http.StatusSeeOther, s.fills("olga", "/groups/-/new/save", "name", "ops", onceField, frame{}.Once()))
}

func TestAnAddressThatIsBehindTheEndOfTheLogHoldsNothing(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	for _, at := range []string{"99999999.0", "18446744073709551615.0", s.world.Last().String()} {
		w := s.get("olga", s.path("/?at="+at))
		if w.Code != http.StatusOK {
			t.Errorf("at %s: status %d", at, w.Code)
		}
	}
}

func TestAnActionIsDoneByV1AsThePersonOfTheSession(t *testing.T) {
	s := newSite(t, trial(confirmed, makeGroup))
	s.signIn("olga", domain.Owner)
	w := s.post("olga", s.path("/trial/x/do"), "name=ops&_once=1")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != s.path("/trial/x") {
		t.Fatalf("got %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	events := s.world.Events()
	last := events[len(events)-1]
	if last.Type != "group.created" || last.Actor != "olga" || last.RequestID != w.Header().Get("X-Request-Id") {
		t.Errorf("the log has %s by %s in request %s, want group.created by olga in %s", last.Type, last.Actor, last.RequestID, w.Header().Get("X-Request-Id"))
	}
	if body := s.get("olga", s.path("/trial/x")).Body.String(); !strings.Contains(body, "Made.") {
		t.Errorf("the notice is not told: %s", body)
	}
	if body := s.get("olga", s.path("/trial/x")).Body.String(); strings.Contains(body, "Made.") {
		t.Error("the notice is told twice")
	}
}

func TestAFormThatIsSentTwiceDoesItsWorkOnce(t *testing.T) {
	s := newSite(t, trial(confirmed, makeGroup))
	s.signIn("olga", domain.Owner)
	for range 2 {
		if w := s.post("olga", s.path("/trial/x/do"), "name=ops&_once=1"); w.Code != http.StatusSeeOther {
			t.Fatalf("got %d: %s", w.Code, w.Body)
		}
	}
	if w := s.post("olga", s.path("/trial/x/do"), "name=ops&_once=2"); w.Code != http.StatusConflict {
		t.Errorf("the same by another form: %d, want 409", w.Code)
	}
}

func TestARefusalShowsTheFormAgainWithWhatIsWrong(t *testing.T) {
	s := newSite(t, trial(confirmed, makeGroup))
	s.signIn("olga", domain.Owner)
	w := s.post("olga", s.path("/trial/x/do"), "name=No+Name")
	body := w.Body.String()
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(body, `id="problem" role="alert"`) || !strings.Contains(body, `href="#f-name"`) {
		t.Errorf("got %d: %s", w.Code, body)
	}
	s.signIn("alice", domain.Member)
	if w := s.post("alice", s.path("/trial/x/do"), "name=ops"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "owner or security admin") {
		t.Errorf("somebody without the role: %d: %s", w.Code, w.Body)
	}
}

func TestAFormIsBoundedAndNothingElse(t *testing.T) {
	s := newSite(t, trial(confirmed, makeGroup))
	s.signIn("olga", domain.Owner)
	if w := s.post("olga", s.path("/trial/x/do"), "name="+strings.Repeat("x", maxForm)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large form: %d", w.Code)
	}
	if w := s.post("olga", s.path("/trial/x/do"), "name=%zz"); w.Code != http.StatusBadRequest {
		t.Errorf("a form that is none: %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodPost, s.path("/trial/x/do"), strings.NewReader(`{"name":"ops"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if w := s.as("olga", r); w.Code != http.StatusBadRequest {
		t.Errorf("JSON for a form: %d", w.Code)
	}
}

func TestThePageOfAnActionLeadsToItsScreen(t *testing.T) {
	s := newSite(t, trial(confirmed, makeGroup))
	s.signIn("olga", domain.Owner)
	if w := s.get("olga", s.path("/trial/x/do")); w.Header().Get("Location") != s.path("/trial/x") {
		t.Errorf("got %d to %q", w.Code, w.Header().Get("Location"))
	}
}

func TestAProofThatIsOldIsAskedForAnew(t *testing.T) {
	s := newSite(t, trial(confirmed, func(p *page) error {
		if ok, err := p.stepUp(); !ok {
			return err
		}
		return p.done("/trial/x", "Done.")
	}))
	s.signIn("olga", domain.Owner)
	if w := s.post("olga", s.path("/trial/x/do"), ""); w.Header().Get("Location") != s.path("/trial/x") {
		t.Errorf("a fresh proof: %d to %q", w.Code, w.Header().Get("Location"))
	}
	s.world.Advance(freshFor)
	want := s.path("/step-up?return=") + url.QueryEscape(s.path("/trial/x"))
	if w := s.post("olga", s.path("/trial/x/do"), ""); w.Header().Get("Location") != want {
		t.Errorf("an old proof: %d to %q, want %q", w.Code, w.Header().Get("Location"), want)
	}
}

func TestAPersonWhoIsGoneIsLedToSignInByWhatTheyDo(t *testing.T) {
	s := newSite(t, screen{path: "/gone", get: func(*page) error { return session.ErrNone }})
	s.signIn("olga", domain.Owner)
	if w := s.get("olga", s.path("/gone")); w.Code != http.StatusSeeOther || !strings.Contains(w.Header().Get("Location"), "/sign-in?return=") {
		t.Errorf("got %d to %q", w.Code, w.Header().Get("Location"))
	}
}

func TestWhatIsNotAvailableSaysWhenToTryAgain(t *testing.T) {
	away := &domain.Error{Kind: domain.KindUnavailable, Code: "log.unavailable", Message: "The log cannot be reached."}
	s := newSite(t, screen{path: "/away", get: func(*page) error { return away }}, screen{path: "/broken", get: func(*page) error { return errors.New("a password is hunter2") }})
	s.signIn("olga", domain.Owner)
	w := s.get("olga", s.path("/away"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "Try again") {
		t.Errorf("got %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	checkAnswer(t, "what is not available", w)
	w = s.get("olga", s.path("/broken"))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "hunter2") || !strings.Contains(w.Body.String(), w.Header().Get("X-Request-Id")) {
		t.Errorf("an error of ours: %d: %s", w.Code, w.Body)
	}
}

func TestHtmxGetsTheScreenItsRedirectAndNotAPageInsideAPage(t *testing.T) {
	s := newSite(t, trial(confirmed, makeGroup))
	r := httptest.NewRequest(http.MethodGet, s.path("/trial/x"), nil)
	r.Header.Set("HX-Request", "true")
	if w := s.as("", r); w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("HX-Redirect"), s.path("/sign-in")) {
		t.Errorf("got %d with HX-Redirect %q", w.Code, w.Header().Get("HX-Redirect"))
	}
}

func TestAPartThatIsRefusedIsASentence(t *testing.T) {
	s := newSite(t)
	s.signIn("alice", domain.Member)
	part := func(who domain.Name, method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, s.path(path), strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("HX-Request", "true")
		r.Header.Set("HX-Target", "section#list")
		return s.as(who, r)
	}
	for name, c := range map[string]struct {
		w      *httptest.ResponseRecorder
		status int
		says   string
	}{
		"a role that was taken away":     {part("alice", http.MethodGet, "/policies?q=x", ""), http.StatusForbidden, "This page needs the role"},
		"a session that ended meanwhile": {part("", http.MethodPost, "/connections/ci/edit/preview", "description=x"), http.StatusUnauthorized, "what you typed is still in the form"},
	} {
		if body := c.w.Body.String(); c.w.Code != c.status || !strings.Contains(body, c.says) || strings.ContainsAny(body, "<>") ||
			!strings.HasPrefix(c.w.Header().Get("Content-Type"), "text/plain") || c.w.Header().Get("HX-Redirect") != "" || c.w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d, %v: %s", name, c.w.Code, c.w.Header(), body)
		}
	}
}

func TestRelativeTimesAndDurations(t *testing.T) {
	s := newSite(t)
	now := s.world.Now()
	for want, got := range map[string]string{
		"just now": relative(now, now), "1 minute ago": relative(now.Add(-90e9), now), "in 2 hours": relative(now.Add(2*3600e9), now), "in 15 minutes": relative(now.Add(15*60e9-2e9), now), "in 1 hour": relative(now.Add(3600e9-20e9), now), "in 1 day": relative(now.Add(24*3600e9-60e9), now),
		"3 days ago": relative(now.Add(-3*24*3600e9), now), "1 hour 30 minutes": duration("1h30m"), "0 seconds": duration("0s"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if html := string(timeTag(now.Add(-90e9), now)); !strings.Contains(html, `<time datetime="`) || !strings.Contains(html, "UTC") {
		t.Errorf("got %s", html)
	}
}
