package console

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/demo"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/session"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

const siteURL = "http://sallyport.test"

// newSignIn is a site where the people of the demo provider sign in.
func newSignIn(t *testing.T) *site {
	t.Helper()
	return newSite(t).withDemo()
}

// withDemo has the site believe a demo provider, and know some of its people.
func (s *site) withDemo() *site {
	s.t.Helper()
	for who, role := range map[domain.Name]domain.Role{"carol": domain.Member, "olga": domain.Owner, "alan": domain.Auditor} {
		s.world.Token(who, role)
	}
	var p *demo.Provider
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.Handler().ServeHTTP(w, r) }))
	s.t.(*testing.T).Cleanup(server.Close)
	var err error
	if p, err = demo.Open(s.t.(*testing.T).TempDir(), server.URL, time.Now); err != nil {
		s.t.Fatal(err)
	}
	people := []demo.Person{{Name: "carol", Title: "Carol", Email: "carol@example.com"}, {Name: "olga"}, {Name: "alan"}, {Name: "stranger", Email: "stranger@example.com"}}
	client := p.SignIn([]string{siteURL + signin.CallbackPath}, people)
	ps, err := signin.New(signin.Options{BaseURL: siteURL, Gate: jose.Gate{LoopbackHTTP: true}, Providers: []signin.Settings{{
		Name: "demo", Issuer: server.URL, ClientID: client.ID, ClientSecret: client.Secret, TrustNames: true,
	}}})
	if err != nil {
		s.t.Fatal(err)
	}
	*s.providers = *ps
	return s
}

// browser is one that keeps cookies and follows nothing by itself.
type browser struct {
	t      testing.TB
	site   *site
	client *http.Client
	jar    http.CookieJar
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{s.t, s, &http.Client{Jar: jar, Transport: s, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, jar}
}

// RoundTrip answers for the site, and asks everybody else.
func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "sallyport.test" {
		return http.DefaultTransport.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	r.RemoteAddr, r.RequestURI = "192.0.2.7:1234", r.URL.RequestURI()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	s.handler.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// answer is what a browser got.
type gotten struct {
	status   int
	location string
	body     string
}

func (b *browser) do(r *http.Request) gotten {
	b.t.Helper()
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return gotten{resp.StatusCode, resp.Header.Get("Location"), string(body)}
}

func (b *browser) get(to string) gotten {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.absolute(to), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(r)
}

// post sends a form as from the page that it leads to.
func (b *browser) post(to string, form url.Values) gotten {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodPost, b.absolute(to), strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("User-Agent", "Browser/1.0")
	return b.do(r)
}

func (b *browser) absolute(to string) string {
	if strings.HasPrefix(to, "/") {
		return siteURL + to
	}
	return to
}

// begin goes as far as the provider's page, whose hidden fields it gives.
func (b *browser) begin(at, returnTo string) (page string, fields url.Values) {
	b.t.Helper()
	w := b.post(b.site.path(at+"/with"), url.Values{"provider": {"demo"}, "return": {returnTo}})
	on := regexp.MustCompile(`<a class="button primary" href="([^"]*)">Go on to demo</a>`).FindStringSubmatch(w.body)
	if w.status != http.StatusOK || on == nil {
		b.t.Fatalf("beginning a sign-in: %d %s", w.status, w.body)
	}
	page, fields = html.UnescapeString(on[1]), url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(b.get(page).body, -1) {
		fields.Set(m[1], html.UnescapeString(m[2]))
	}
	return page, fields
}

// pick is the address that the provider leads back to.
func (b *browser) pick(page string, fields url.Values, who string) string {
	b.t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		b.t.Fatal(err)
	}
	u.RawQuery = ""
	fields.Set("person", who)
	w := b.post(u.String(), fields)
	if w.status != http.StatusSeeOther {
		b.t.Fatalf("picking %s: %d %s", who, w.status, w.body)
	}
	return w.location
}

// signIn signs somebody in by the whole flow, and gives where that leads.
func (b *browser) signIn(who string) gotten {
	b.t.Helper()
	page, fields := b.begin("/sign-in", "")
	return b.get(b.pick(page, fields, who))
}

// signedIn tells whether the browser's requests are somebody's.
func (b *browser) signedIn() bool {
	b.t.Helper()
	return b.get(b.site.path("/sessions")).status == http.StatusOK
}

// cookie is the browser's cookie of that name at the site.
func (b *browser) cookie(name string) *http.Cookie {
	u, _ := url.Parse(siteURL + "/")
	for _, c := range b.jar.Cookies(u) {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// attempts is how many sign-ins the browser has under way.
func (b *browser) attempts() (n int) {
	u, _ := url.Parse(siteURL + "/")
	for _, c := range b.jar.Cookies(u) {
		if b.site.console.ofAttempt(c.Name) {
			n++
		}
	}
	return n
}

// attemptOf is the cookie of the attempt that a callback is the end of.
func (b *browser) attemptOf(callback string) *http.Cookie {
	b.t.Helper()
	u, err := url.Parse(callback)
	if err != nil {
		b.t.Fatal(err)
	}
	_, tag, _ := signin.ReadState(u.Query().Get("state"))
	return b.cookie(b.site.cookieName() + ofAttempts + tag)
}

func (b *browser) setCookie(name, value string) {
	u, _ := url.Parse(siteURL + "/")
	b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

func TestPeopleSignInAtAProvider(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	from := s.world.Last()
	page := b.get(s.path("/sign-in?return=" + url.QueryEscape(s.path("/sessions?x=1"))))
	if page.status != http.StatusOK || !strings.Contains(page.body, "Sign in with demo") {
		t.Fatalf("got %d %s", page.status, page.body)
	}
	at, fields := b.begin("/sign-in", s.path("/sessions?x=1"))
	fields.Set("mfa", "true")
	w := b.get(b.pick(at, fields, "carol"))
	if w.status != http.StatusSeeOther || w.location != s.path("/sessions?x=1") {
		t.Fatalf("got %d to %q: %s", w.status, w.location, w.body)
	}
	if w := b.get(w.location); w.status != http.StatusOK || !strings.Contains(w.body, "Browser/1.0") && !strings.Contains(w.body, "192.0.2.7") {
		t.Errorf("got %d %s", w.status, w.body)
	}
	if got, want := s.world.Types(from), []string{"person.identity_linked", "person.signed_in"}; !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
	events := s.world.Events()
	if e, ok := events[len(events)-1].Event.(identity.WasSignedIn); !ok || e.Person != "carol" || !e.MFA || e.Provider != "demo" || e.Source != "192.0.2.7" || events[len(events)-1].Actor != "carol" {
		t.Errorf("recorded %+v", events[len(events)-1])
	}
	if b.attempts() != 0 {
		t.Error("the attempt's cookie is still there")
	}
}

func TestTheCookieIsForOurServerAlone(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	at, fields := b.begin("/sign-in", "")
	back := b.pick(at, fields, "carol")
	r := httptest.NewRequest(http.MethodGet, back, nil)
	r.AddCookie(b.attemptOf(back))
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	set := w.Result().Cookies()
	if len(set) != 2 || set[0].MaxAge >= 0 || set[1].Name != "sallyport-dev-"+s.world.Name().String() || len(set[1].Value) != 43 {
		t.Fatalf("it sets %+v", set)
	}
	s.console.opt.BaseURL = "https://sallyport.test"
	set = append(set[1:], s.post("", s.path("/sign-in/with"), "provider=demo").Result().Cookies()...)
	for i, c := range set {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Secure != (i > 0) {
			t.Errorf("%+v", c)
		}
	}
	if len(set) != 2 || !strings.HasPrefix(set[1].Name, "__Host-sallyport-"+s.world.Name().String()+".attempt-") || set[1].MaxAge != 600 {
		t.Errorf("by TLS it sets %+v", set)
	}
}

// A session is of one organisation: another's does not know its cookie.
func TestTheCookieOfAnotherOrganisationIsNobodys(t *testing.T) {
	s, other := newSignIn(t), oneMoreSite(t).withDemo()
	b, there := s.browser(), other.browser()
	b.signIn("olga")
	there.setCookie(other.cookieName(), b.cookie(s.cookieName()).Value)
	if !b.signedIn() || there.signedIn() {
		t.Error("a session opens another organisation")
	}
}

// T176, T177: a callback does nothing unless this browser began that very sign-in.
func TestACallbackThatThisBrowserDidNotBeginDoesNothing(t *testing.T) {
	s := newSignIn(t)
	attacker := s.browser()
	at, fields := attacker.begin("/sign-in", "")
	theirs := attacker.pick(at, fields, "olga") // login CSRF: the victim is to be signed in as the attacker
	from := s.world.Last()
	victim := s.browser()
	if w := victim.get(theirs); w.status != http.StatusUnauthorized || victim.signedIn() {
		t.Errorf("without a cookie: %d", w.status)
	}
	at, fields = victim.begin("/sign-in", "")
	own := victim.pick(at, fields, "carol")
	if w := victim.get(theirs); w.status != http.StatusUnauthorized || victim.signedIn() {
		t.Errorf("with another's state: %d", w.status)
	}
	victim.setCookie(attacker.attemptOf(theirs).Name, victim.attemptOf(own).Value)
	if w := victim.get(theirs); w.status != http.StatusForbidden || victim.signedIn() {
		t.Errorf("with another's state, under the name of its cookie: %d", w.status)
	}
	if w := victim.get(own); w.status != http.StatusUnauthorized || victim.signedIn() {
		t.Errorf("an attempt that failed was used again: %d", w.status)
	}
	if w := attacker.get(theirs); w.status != http.StatusSeeOther {
		t.Errorf("whose it is is refused: %d %s", w.status, w.body)
	}
	if w := attacker.get(theirs); w.status != http.StatusUnauthorized {
		t.Errorf("a callback works twice: %d", w.status)
	}
	name := regexp.MustCompile("state=[^&]*")
	for _, cookie := range []string{"", "x", strings.Repeat("A", 43), "../default.x"} {
		b := s.browser()
		b.setCookie(s.cookieName()+ofAttempts+"AAAAAAAA", cookie)
		org := s.world.Name().String()
		for _, state := range []string{"", "x", "." + strings.Repeat("A", 26), org + ".", org + "." + strings.Repeat("A", 26), "nowhere." + strings.Repeat("A", 26), org + "." + strings.Repeat("A", 27)} {
			if w := b.get(name.ReplaceAllLiteralString(theirs, "state="+state)); w.status != http.StatusUnauthorized {
				t.Errorf("the cookie %q with the state %q: %d", cookie, state, w.status)
			}
		}
	}
	if got := s.world.Types(from); !slices.Equal(got, []string{"person.identity_linked", "person.signed_in"}) {
		t.Errorf("recorded %v", got)
	}
}

// A code that was used is refused by the provider, and its answer by us.
func TestACodeWorksOnce(t *testing.T) {
	s := newSignIn(t)
	first, second := s.browser(), s.browser()
	at, fields := first.begin("/sign-in", "")
	back, _ := url.Parse(first.pick(at, fields, "olga"))
	if w := first.get(back.String()); w.status != http.StatusSeeOther {
		t.Fatalf("got %d", w.status)
	}
	at, fields = second.begin("/sign-in", "")
	other, _ := url.Parse(second.pick(at, fields, "carol"))
	for name, code := range map[string]string{"a code of another sign-in": back.Query().Get("code")} {
		q := other.Query()
		q.Set("code", code)
		other.RawQuery = q.Encode()
		if w := second.get(other.String()); w.status != http.StatusForbidden || second.signedIn() {
			t.Errorf("%s: %d %s", name, w.status, w.body)
		}
	}
}

func TestAnAttemptIsOverAfterTenMinutes(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	at, fields := b.begin("/sign-in", "")
	back := b.pick(at, fields, "carol")
	s.world.Advance(session.AttemptLife)
	if w := b.get(back); w.status != http.StatusUnauthorized || b.signedIn() {
		t.Errorf("got %d %s", w.status, w.body)
	}
}

// T176: whatever cookie a browser had before, it has another afterwards.
func TestASignInNeverKeepsACookie(t *testing.T) {
	s := newSignIn(t)
	name := s.cookieName()
	planted := s.browser()
	if planted.signIn("olga").status != http.StatusSeeOther {
		t.Fatal("the attacker is not signed in")
	}
	theirs := planted.cookie(name).Value
	victim := s.browser()
	victim.setCookie(name, theirs) // fixation
	if w := victim.signIn("carol"); w.status != http.StatusSeeOther {
		t.Fatalf("got %d %s", w.status, w.body)
	}
	if victim.cookie(name).Value == theirs {
		t.Error("the planted cookie is the session's")
	}
	if planted.signedIn() {
		t.Error("the session that the browser had goes on")
	}
	b := s.browser()
	b.setCookie(name, strings.Repeat("A", 43))
	if b.signedIn() {
		t.Error("a cookie that nobody gave is a session")
	}
	if b.signIn("carol"); b.cookie(name).Value == strings.Repeat("A", 43) {
		t.Error("a cookie that somebody chose became a session")
	}
}

func TestSigningOutEndsTheSession(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	b.signIn("carol")
	cookie := b.cookie(s.cookieName()).Value
	if w := b.get(s.path("/sign-out/now")); w.status != http.StatusSeeOther || !b.signedIn() {
		t.Fatalf("a GET signed somebody out: %d", w.status)
	}
	from := s.world.Last()
	if w := b.post(s.path("/sign-out/now"), url.Values{}); w.status != http.StatusSeeOther || w.location != s.path("/sign-out") {
		t.Fatalf("got %d to %q", w.status, w.location)
	}
	if b.cookie(s.cookieName()) != nil {
		t.Error("the cookie is still there")
	}
	if got := s.world.Types(from); !slices.Equal(got, []string{"person.signed_out"}) {
		t.Errorf("recorded %v", got)
	}
	thief := s.browser()
	thief.setCookie(s.cookieName(), cookie)
	if thief.signedIn() {
		t.Error("the cookie works after signing out")
	}
	if w := b.get(s.path("/sign-out")); w.status != http.StatusOK || !strings.Contains(w.body, "You are signed out") {
		t.Errorf("got %d %s", w.status, w.body)
	}
}

// T182: a parameter leads nowhere but to pages of this organisation's console.
func TestASignInLeadsNowhereElse(t *testing.T) {
	s := newSignIn(t)
	home := s.path("/")
	for _, to := range []string{
		"https://evil.example.com/", "//evil.example.com/", "/\\evil.example.com", "\\\\evil.example.com", "/console/../..//evil.example.com",
		"/console/orgs/default/../../../..//evil.example.com", "/console/orgs/default/%2e%2e/x", "/console/orgs/default//evil.example.com/..",
		"javascript:alert(1)", "data:text/html,x", "http:/console/orgs/default/", "/orgs/default/v1/people", "/console/orgs/other/", "/console/orgs/default/\r\nX: y",
		"/console/orgs/default/sign-in?return=x", "/console/orgs/default/sign-out", "/console/orgs/default@evil.example.com/", "", " /console/orgs/default/",
	} {
		b := s.browser()
		at, fields := b.begin("/sign-in", to)
		if w := b.get(b.pick(at, fields, "carol")); w.location != home {
			t.Errorf("%q leads to %q (%d)", to, w.location, w.status)
		}
		if w := b.get(s.path("/sign-in?return=" + url.QueryEscape(to))); w.location != home {
			t.Errorf("who is signed in already is led from %q to %q", to, w.location)
		}
	}
}

// T175: no page of another site begins or ends a sign-in.
func TestAnotherSiteNeitherSignsInNorOut(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	b.signIn("carol")
	for _, to := range []string{"/sign-in/with", "/sign-out/now", "/sessions/end-others", "/sessions/end", "/step-up/with"} {
		for _, h := range []http.Header{{"Origin": {"https://evil.example.com"}, "Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://evil.example.com"}}, {"Origin": {"null"}}, {}} {
			r, _ := http.NewRequest(http.MethodPost, siteURL+s.path(to), strings.NewReader("provider=demo"))
			r.Header = h.Clone()
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if w := b.do(r); w.status != http.StatusForbidden {
				t.Errorf("%s with %v: %d", to, h, w.status)
			}
		}
	}
	if !b.signedIn() {
		t.Error("somebody else signed carol out")
	}
}

func TestAStrangerAtTheProviderIsToldWhomToAsk(t *testing.T) {
	s := newSignIn(t)
	from := s.world.Last()
	b := s.browser()
	w := b.signIn("stranger")
	if w.status != http.StatusForbidden || !strings.Contains(w.body, "ask an owner") || b.signedIn() {
		t.Errorf("got %d %s", w.status, w.body)
	}
	if got := s.world.Types(from); !slices.Equal(got, []string{"person.sign_in_refused"}) {
		t.Errorf("recorded %v", got)
	}
	for range 2 * refusalsAtOnce {
		b.signIn("stranger")
	}
	if got := len(s.world.Types(from)); got != refusalsAtOnce {
		t.Errorf("%d refusals of one network were recorded, want %d", got, refusalsAtOnce)
	}
}

func TestCancellingIsNotRecorded(t *testing.T) {
	s := newSignIn(t)
	from := s.world.Last()
	if w := s.browser().signIn(""); w.status != http.StatusForbidden || !strings.Contains(w.body, "sign_in.denied") {
		t.Errorf("got %d %s", w.status, w.body)
	}
	if got := s.world.Types(from); len(got) > 0 {
		t.Errorf("recorded %v", got)
	}
}

// An office is behind one address: what is bounded is what one begins, and who has
// begun in time ends it.
func TestSignInsAreThrottled(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	at, fields := b.begin("/sign-in", "")
	back := b.pick(at, fields, "carol")
	many := s.browser()
	for i := range signInsAtOnce + 1000 {
		if w := many.post(s.path("/sign-in/with"), url.Values{"provider": {"demo"}}); w.status == http.StatusTooManyRequests {
			if i < signInsAtOnce-1 {
				t.Errorf("the %dth was refused", i)
			}
			break
		} else if i > 2*signInsAtOnce {
			t.Fatal("one network begins as many sign-ins as it likes")
		}
	}
	if w := b.get(back); w.status != http.StatusSeeOther || !b.signedIn() {
		t.Errorf("who came back from the provider was refused: %d %s", w.status, w.body)
	}
}

// A browser holds a form to our form-action through every redirect behind it,
// and a provider may lead on to another: so a page leads there, with a link in it.
func TestAPageLeadsOnToTheProvider(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	for _, from := range []string{"/sign-in", "/step-up"} {
		at, _ := b.begin(from, "")
		w := s.post("", s.path("/sign-in/with"), "provider=demo")
		csp := w.Header().Get("Content-Security-Policy")
		refresh := regexp.MustCompile(`<meta http-equiv="refresh" content="0;url=([^"]*)">`).FindStringSubmatch(w.Body.String())
		link := regexp.MustCompile(`href="([^"]*)">Go on to`).FindStringSubmatch(w.Body.String())
		if w.Code != http.StatusOK || w.Header().Get("Location") != "" || !strings.Contains(csp, "form-action 'self';") || refresh == nil || link == nil || html.UnescapeString(refresh[1]) != html.UnescapeString(link[1]) {
			t.Errorf("from %s: %d, %s, %v, %v", from, w.Code, csp, refresh, link)
		}
		if u, err := url.Parse(at); err != nil || u.Path != "/authorize" || u.Query().Get("redirect_uri") != siteURL+signin.CallbackPath {
			t.Errorf("it leads to %s", at)
		}
		b.signIn("carol")
	}
}

// A provider that is down is told to who chose it; the page offers it to others as
// before, and asks nobody.
func TestAProviderThatIsDownIsToldToWhoChoseIt(t *testing.T) {
	s := newSignIn(t)
	var err error
	s.console.opt.SignIn, err = signin.New(signin.Options{BaseURL: siteURL, Gate: jose.Gate{LoopbackHTTP: true}, Providers: []signin.Settings{
		{Name: "away", Issuer: "http://127.0.0.1:1", ClientID: "console"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	if w := b.get(s.path("/sign-in")); w.status != http.StatusOK || !strings.Contains(w.body, "Sign in with away") {
		t.Errorf("the page: %d %s", w.status, w.body)
	}
	if w := b.post(s.path("/sign-in/with"), url.Values{"provider": {"away"}}); w.status != http.StatusServiceUnavailable || !strings.Contains(w.body, "sign_in.unavailable") {
		t.Errorf("the choice: %d %s", w.status, w.body)
	}
}

// Browsers of before 2023 send no Sec-Fetch-Site, and some proxies take it away:
// the Origin that our pages have them send is enough.
func TestAFormNeedsNoSecFetchSite(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	if h := s.get("", s.path("/sign-in")).Header(); h.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("by %q a browser sends the origin null", h.Get("Referrer-Policy"))
	}
	r, _ := http.NewRequest(http.MethodPost, siteURL+s.path("/sign-in/with"), strings.NewReader("provider=demo"))
	r.Header = http.Header{"Origin": {siteURL}, "Content-Type": {"application/x-www-form-urlencoded"}}
	if w := b.do(r); w.status != http.StatusOK {
		t.Errorf("got %d %s", w.status, w.body)
	}
}

func TestWhoIsToProveItAnewComesBackAsThemself(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	at, fields := b.begin("/sign-in", "")
	fields.Set("mfa", "true")
	b.get(b.pick(at, fields, "carol"))
	old := b.cookie(s.cookieName()).Value
	at, fields = b.begin("/step-up", s.path("/sessions"))
	if fields.Get("prompt") != "login" || fields.Get("max_age") != "0" {
		t.Errorf("the provider is asked with %v", fields)
	}
	if w := b.get(b.pick(at, fields, "olga")); w.status != http.StatusForbidden || !strings.Contains(w.body, "sign_in.other_person") {
		t.Errorf("as somebody else: %d %s", w.status, w.body)
	}
	if !b.signedIn() || b.cookie(s.cookieName()).Value != old {
		t.Error("who came back as somebody else is signed in as them, or not at all")
	}
	at, fields = b.begin("/step-up", s.path("/sessions"))
	if w := b.get(b.pick(at, fields, "carol")); w.status != http.StatusSeeOther || w.location != s.path("/sessions") {
		t.Fatalf("got %d %s", w.status, w.body)
	}
	if b.cookie(s.cookieName()).Value == old {
		t.Error("the cookie stayed the same")
	}
	events := s.world.Events()
	if now, err := s.world.Sessions().Find(t.Context(), b.cookie(s.cookieName()).Value); err != nil || now.MFAAt.IsZero() {
		t.Errorf("the second factor is forgotten: %+v, %v", now, err)
	}
	if e, ok := events[len(events)-1].Event.(identity.WasSignedIn); !ok || !e.Again || e.MFA {
		t.Errorf("recorded %+v", events[len(events)-1].Event)
	}
	thief := s.browser()
	thief.setCookie(s.cookieName(), old)
	if thief.signedIn() {
		t.Error("the old cookie still works")
	}
}

func TestPeopleEndTheirOtherSessions(t *testing.T) {
	s := newSignIn(t)
	here, there, olga := s.browser(), s.browser(), s.browser()
	here.signIn("carol")
	there.signIn("carol")
	olga.signIn("olga")
	ids := map[*browser]string{}
	for _, b := range []*browser{here, there, olga} {
		one, err := s.world.Sessions().Find(t.Context(), b.cookie(s.cookieName()).Value)
		if err != nil {
			t.Fatal(err)
		}
		ids[b] = one.ID
	}
	if body := here.get(s.path("/sessions")).body; !strings.Contains(body, ids[there]) || strings.Contains(body, ids[olga]) {
		t.Error("the page lists another's sessions, or not one's own")
	}
	here.post(s.path("/sessions/end"), url.Values{"session": {ids[olga]}, "_once": {"a"}})
	if !olga.signedIn() {
		t.Fatal("carol ended olga's session")
	}
	from := s.world.Last()
	if w := here.post(s.path("/sessions/end"), url.Values{"session": {ids[there]}, "_once": {"b"}}); w.status != http.StatusSeeOther || there.signedIn() || !here.signedIn() {
		t.Errorf("got %d", w.status)
	}
	if got := s.world.Types(from); !slices.Equal(got, []string{"person.signed_out"}) {
		t.Errorf("recorded %v", got)
	}
	there.signIn("carol")
	if here.post(s.path("/sessions/end-others"), url.Values{"_once": {"c"}}); there.signedIn() || !here.signedIn() || !olga.signedIn() {
		t.Error("not exactly the others were ended")
	}
}

// A session ends by itself, and with its person.
func TestASessionEnds(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	b.signIn("carol")
	for range 23 {
		s.world.Advance(session.Idle - time.Minute)
		if !b.signedIn() {
			t.Fatal("a session in use ended before its time")
		}
	}
	s.world.Advance(session.Absolute - 23*(session.Idle-time.Minute))
	if b.signedIn() {
		t.Error("a session holds for longer than 12 hours")
	}
	b.signIn("carol")
	s.world.Advance(session.Idle)
	if b.signedIn() {
		t.Error("a session that nobody uses holds")
	}
	b.signIn("carol")
	m := s.world.Meta("olga", domain.Owner)
	if _, err := s.world.Execute(t.Context(), m, func(state *control.State) ([]domain.Fact, error) {
		known, _ := state.Person("carol")
		return person.Decide(state.People(), person.Remove{Name: "carol", Version: known.Version}, m)
	}); err != nil {
		t.Fatal(err)
	}
	if b.signedIn() {
		t.Error("somebody who was removed is signed in")
	}
	if w := b.signIn("carol"); w.status != http.StatusForbidden {
		t.Errorf("and signs in again: %d", w.status)
	}
}

// What one replica has ended is ended at every other.
func TestASessionIsEndedOnEveryReplica(t *testing.T) {
	s := newSignIn(t)
	b := s.browser()
	b.signIn("carol")
	other := orgtest.Join(t, s.world.Conn)
	cookie := b.cookie(s.cookieName()).Value
	if one, err := other.Sessions().Find(t.Context(), cookie); err != nil || one.Person != "carol" {
		t.Fatalf("another replica does not know the session: %+v, %v", one, err)
	}
	all, err := other.Sessions().List(t.Context(), "carol")
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	if err := other.Sessions().Revoke(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if b.signedIn() {
		t.Error("a session that was ended elsewhere holds")
	}
}

// slow is a body during whose arrival something happens.
type slow struct {
	io.Reader
	meanwhile func()
}

func (s *slow) Read(b []byte) (int, error) {
	s.meanwhile()
	return s.Reader.Read(b)
}

func TestASessionThatEndsWhileItsFormArrivesDoesNothing(t *testing.T) {
	s := newSignIn(t)
	b, there := s.browser(), s.browser()
	b.signIn("carol")
	there.signIn("carol")
	from := s.world.Last()
	r := httptest.NewRequest(http.MethodPost, s.path("/sessions/end-others"), &slow{strings.NewReader("_once=a"), func() {
		if err := s.world.Sessions().End(context.Background(), b.cookie(s.cookieName()).Value); err != nil {
			t.Error(err)
		}
	}})
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(b.cookie(s.cookieName()))
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if !strings.Contains(w.Header().Get("Location"), "/sign-in?") || !there.signedIn() || len(s.world.Types(from)) > 0 {
		t.Errorf("got %d to %q, recorded %v", w.Code, w.Header().Get("Location"), s.world.Types(from))
	}
}
