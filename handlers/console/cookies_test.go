package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/admin"
	"sallyport.dev/handlers/session"
)

// withOther has the site serve a second organisation, where carol and olga are, too.
func (s *site) withOther() *site {
	s.t.Helper()
	world := s.world.Beside("other")
	for who, role := range map[domain.Name]domain.Role{"carol": domain.Owner, "olga": domain.Member} {
		world.Token(who, role)
	}
	s.console.orgs["other"] = world.Organisation
	s.console.names = append(s.console.names, "other")
	admin.Mount(s.handler.Group("/orgs/other"), world.Organisation, admin.Options{})
	other := *s
	other.world, other.cookies = world, map[domain.Name]*http.Cookie{}
	return &other
}

// at is the same browser, at another organisation of the process.
func (b *browser) at(s *site) *browser {
	there := *b
	there.site = s
	return &there
}

func TestOneBrowserIsSignedInToSeveralOrganisations(t *testing.T) {
	s := newSignIn(t)
	other := s.withOther()
	here := s.browser()
	there := here.at(other)
	if w := here.signIn("olga"); w.location != s.path("/") {
		t.Fatalf("got %d to %q", w.status, w.location)
	}
	if there.signedIn() {
		t.Fatal("who is signed in to one organisation is signed in to another")
	}
	if w := there.signIn("carol"); w.location != other.path("/") {
		t.Fatalf("got %d to %q: %s", w.status, w.location, w.body)
	}
	if !here.signedIn() || !there.signedIn() {
		t.Fatal("signing in to a second organisation ended the session in the first")
	}
	if body := here.get(s.path("/sessions")).body; strings.Contains(body, "carol") {
		t.Error("the page of one organisation knows who is signed in to the other")
	}
	there.post(other.path("/sign-out/now"), url.Values{})
	if !here.signedIn() || there.signedIn() {
		t.Error("signing out did not end exactly the session of that organisation")
	}
}

// Which organisations there are is nobody's to know but theirs.
func TestTheEntranceNamesNoOrganisationToStrangers(t *testing.T) {
	s := newSignIn(t)
	s.withOther()
	b := s.browser()
	w := b.get("/console/")
	if w.status != http.StatusOK || !strings.Contains(w.body, "Which organisation?") || strings.Contains(w.body, "orgs/") {
		t.Errorf("a stranger is told: %d %s", w.status, mainOf(w.body))
	}
	for name, where := range map[string]string{"other": "/console/orgs/other/", "none-such": "/console/orgs/none-such/"} {
		if w := b.get("/console/?organisation=" + name); w.status != http.StatusSeeOther || w.location != where {
			t.Errorf("%s: %d to %q", name, w.status, w.location)
		}
	}
	if w := b.get("/console/?organisation=../evil"); w.status != http.StatusUnprocessableEntity || w.location != "" {
		t.Errorf("what is no name: %d to %q", w.status, w.location)
	}
	b.signIn("olga")
	if w := b.get("/console/"); !strings.Contains(w.body, s.path("/")) || strings.Contains(w.body, "orgs/other") {
		t.Errorf("who is signed in to one is not shown that one: %s", mainOf(w.body))
	}
}

// The cookie of a session in one organisation, under the name of another's, is
// nobody's there; nor is an attempt's.
func TestACookieUnderTheNameOfAnotherOrganisationOpensNothing(t *testing.T) {
	s := newSignIn(t)
	other := s.withOther()
	here := s.browser()
	here.signIn("olga")
	thief := s.browser().at(other)
	thief.setCookie(other.cookieName(), here.cookie(s.cookieName()).Value)
	if thief.signedIn() {
		t.Error("a session opens another organisation")
	}
	at, fields := here.begin("/sign-in", "")
	back := here.pick(at, fields, "carol") // who is an owner there, and a member here
	moved := strings.Replace(back, "state="+s.world.Name().String()+".", "state=other.", 1)
	if moved == back {
		t.Fatalf("the state of %s names no organisation", back)
	}
	attempt := here.attemptOf(back)
	thief.setCookie(strings.Replace(attempt.Name, s.cookieName(), other.cookieName(), 1), attempt.Value)
	if w := thief.get(moved); w.status != http.StatusUnauthorized || thief.signedIn() {
		t.Errorf("a sign-in to one organisation ends in another: %d", w.status)
	}
}

func TestTwoTabsSignInAtOnce(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	first, firstFields := b.begin("/sign-in", s.path("/sessions?x=1"))
	second, secondFields := b.begin("/sign-in", s.path("/sessions?x=2"))
	if w := b.get(b.pick(first, firstFields, "carol")); w.location != s.path("/sessions?x=1") {
		t.Errorf("the tab that began first: %d to %q", w.status, w.location)
	}
	if w := b.get(b.pick(second, secondFields, "carol")); w.location != s.path("/sessions?x=2") {
		t.Errorf("the tab that began second: %d to %q", w.status, w.location)
	}
	all, err := s.world.Sessions().List(t.Context(), "carol")
	if err != nil || len(all) != 1 || !b.signedIn() {
		t.Errorf("two tabs of one browser are %d sessions, %v", len(all), err)
	}
}

// What a browser keeps of us is bounded, whatever it begins: an older sign-in is
// then told that it is over.
func TestABrowserKeepsSoManySignInsUnderWay(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	first, fields := b.begin("/sign-in", "")
	oldest := b.pick(first, fields, "carol")
	for range maxAttempts {
		b.begin("/sign-in", "")
	}
	if got := b.attempts(); got != maxAttempts {
		t.Errorf("the browser keeps %d, want %d", got, maxAttempts)
	}
	if w := b.get(oldest); w.status != http.StatusUnauthorized || !strings.Contains(w.body, session.ErrAttempt.Code) {
		t.Errorf("the oldest: %d %s", w.status, w.body)
	}
}

func TestABrowserIsSignedInToSoManyOrganisations(t *testing.T) {
	s := newSignIn(t)
	other := s.withOther()
	b := s.browser()
	b.at(other).signIn("carol")
	theirs := b.cookie(other.cookieName())
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	at, fields := b.begin("/sign-in", "")
	back := b.pick(at, fields, "olga")
	r.URL, _ = url.Parse(back)
	r.AddCookie(theirs) // the oldest, and so the first
	for i := range maxOrganisations - 1 {
		r.AddCookie(&http.Cookie{Name: s.console.cookieName(domain.Name("org-" + string(rune('a'+i)))), Value: strings.Repeat("A", 43)})
	}
	r.AddCookie(b.attemptOf(back))
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	var gone []string
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 && !s.console.ofAttempt(c.Name) {
			gone = append(gone, c.Name)
		}
	}
	if w.Code != http.StatusSeeOther || len(gone) != 1 || gone[0] != other.cookieName() {
		t.Errorf("got %d, and %v is forgotten", w.Code, gone)
	}
	if b.at(other).signedIn() {
		t.Error("the session whose cookie is forgotten holds")
	}
	events := other.world.Events()
	if last, ok := events[len(events)-1].Event.(identity.WasSignedOut); !ok || last.Person != "carol" {
		t.Errorf("the log of the organisation ends with %+v", events[len(events)-1])
	}
}

// The longest names there are leave room in what a server takes of a request.
func TestWhatABrowserSendsIsBounded(t *testing.T) {
	c := &Console{opt: Options{BaseURL: "https://sallyport.example"}}
	name := c.cookieName(domain.Name(strings.Repeat("a", 63)))
	sent := maxOrganisations*len(name+"="+strings.Repeat("A", 43)+"; ") + maxAttempts*len(name+ofAttempts+"AAAAAAAA="+strings.Repeat("A", 43)+"; ")
	if sent > 4<<10 {
		t.Errorf("a browser sends %d bytes of cookies", sent)
	}
	for name := range map[string]bool{name: true, name + ofPasskeyAttempts: true} {
		if _, err := http.ParseSetCookie((&http.Cookie{Name: name, Value: "x"}).String()); err != nil {
			t.Errorf("%q is no name of a cookie: %v", name, err)
		}
	}
}
