package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	virtual "github.com/descope/virtualwebauthn"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/device"
	"sallyport.dev/projections/control"
)

// IdP mix-up (RFC 9207): what one provider answered is taken to no other, which would
// learn the code, and to whose people it would make somebody.
func TestTheAnswerOfOneProviderIsTakenToNoOther(t *testing.T) {
	s := newSite(t)
	s.world.Token("carol", domain.Member)
	good, evil := s.withProvider("good", nil), (*idp)(nil)
	evil = s.withProvider("evil", nil)
	s.links("carol", identity.Account{Issuer: good.URL, Subject: "1"})
	s.links("carol", identity.Account{Issuer: evil.URL, Subject: "1"})
	b := s.browser()
	of := func(callback string) url.Values {
		u, err := url.Parse(callback)
		if err != nil {
			t.Fatal(err)
		}
		return u.Query()
	}
	for name, change := range map[string]func(q, theirs url.Values){
		"its code, and it says so":            func(q, theirs url.Values) { q.Set("code", theirs.Get("code")); q.Set("iss", theirs.Get("iss")) },
		"its code, and it does not say whose": func(q, theirs url.Values) { q.Set("code", theirs.Get("code")); q.Del("iss") },
		"its whole answer, to our state":      func(q, theirs url.Values) { q.Set("code", theirs.Get("code")); q.Set("iss", good.URL+"/") },
	} {
		theirs := of(good.vouches(b, signInPath, "1", nil))
		q := of(evil.vouches(b, signInPath, "1", nil))
		change(q, theirs)
		at := s.world.Last()
		if w := b.get("/console/callback?" + q.Encode()); w.status != http.StatusForbidden || b.signedIn() {
			t.Errorf("%s: %d", name, w.status)
		}
		good.mu.Lock()
		if _, out := good.codes[theirs.Get("code")]; !out {
			t.Errorf("%s: the code is spent", name)
		}
		good.mu.Unlock()
		evil.mu.Lock()
		if len(evil.asked) > 0 {
			t.Errorf("%s: the other provider is shown the code", name)
		}
		evil.mu.Unlock()
		if slices.Contains(s.world.Types(at), "person.signed_in") {
			t.Errorf("%s: somebody is signed in", name)
		}
	}
}

// An older step-up: what an authenticator signed is as old as the challenge, however
// long somebody kept the answer.
func TestAProofIsAsOldAsItsChallenge(t *testing.T) {
	d := registered(t)
	if w := d.prove(signInPath); w.Code != http.StatusSeeOther {
		t.Fatalf("signing in: %d", w.Code)
	}
	for _, kept := range []time.Duration{4 * time.Minute, 9 * time.Minute} {
		d.key.Counter++
		began := d.world.Now()
		answer := virtual.CreateAssertionResponse(d.rp, d.Authenticator, d.key, d.challenge(stepUpPath))
		d.world.Advance(kept)
		if w := d.send(stepUpPath+"/passkey/prove", url.Values{"credential": {answer}}); w.Code != http.StatusSeeOther {
			t.Fatalf("after %s: %d", kept, w.Code)
		}
		s, in := d.session()
		if !in || s.FreshAt.Sub(began) > time.Minute || s.MFAAt.Sub(began) > time.Minute {
			t.Errorf("an answer that was kept for %s counts as of %s, the challenge is of %s", kept, s.FreshAt, began)
		}
	}
	if w := d.send("/passkeys/remove", url.Values{"passkey": {"AQ"}}); !strings.Contains(w.Header().Get("Location"), stepUpPath) {
		t.Errorf("it opens what asks for a fresh proof: %d to %q", w.Code, w.Header().Get("Location"))
	}
}

// What was begun for one thing ends no other: a challenge for registering signs nobody
// in, one for signing in registers nothing, and a sign-in at a provider is no challenge.
func TestAnAttemptOfOneKindEndsNoOther(t *testing.T) {
	d := registered(t)
	d.signedIn("alice")
	w := d.send("/passkeys/new/options", nil)
	options, err := virtual.ParseAttestationOptions(w.Body.String())
	if err != nil {
		t.Fatal(err)
	}
	d.key.Counter++
	signed := virtual.CreateAssertionResponse(d.rp, d.Authenticator, d.key, virtual.AssertionOptions{Challenge: options.Challenge, RelyingPartyID: d.rp.ID})
	at := d.world.Last()
	if w := d.send(stepUpPath+"/passkey/prove", url.Values{"credential": {signed}}); w.Code != http.StatusUnauthorized {
		t.Errorf("a challenge for registering proves somebody: %d", w.Code)
	}
	challenge := d.challenge(stepUpPath)
	options.Challenge = challenge.Challenge
	made := virtual.CreateAttestationResponse(d.rp, d.Authenticator, virtual.NewCredential(virtual.KeyTypeEC2), *options)
	if w := d.send("/passkeys/new/add", url.Values{"name": {"phone"}, "credential": {made}}); w.Code != http.StatusUnauthorized {
		t.Errorf("a challenge for signing in registers: %d", w.Code)
	}
	d.challenge(stepUpPath)
	if w := d.send("/enrol/register", url.Values{"credential": {made}}); w.Code != http.StatusUnauthorized {
		t.Errorf("a challenge for signing in enrols: %d", w.Code)
	}
	if got := d.world.Types(at); len(got) > 0 {
		t.Errorf("recorded %v", got)
	}
}

// A device code is of its organisation: no session of another lets the program in, and
// another's token endpoint knows nothing of it.
func TestADeviceCodeIsOfItsOrganisation(t *testing.T) {
	here := newTerminal(t)
	there := oneMoreSite(t)
	deviceCode, userCode := here.begin()
	there.signIn("alice", domain.Owner) // the same name, another person
	if w := there.post("alice", there.path("/device/allow"), url.Values{"user_code": {userCode}}.Encode()); w.Code != http.StatusNotFound {
		t.Errorf("another organisation's session answers it: %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodPost, here.path("/device/allow"), strings.NewReader(url.Values{"user_code": {userCode}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(&http.Cookie{Name: here.cookieName(), Value: there.cookies["alice"].Value})
	if w := here.as("", r); w.Code != http.StatusSeeOther || !strings.Contains(w.Header().Get("Location"), signInPath) {
		t.Errorf("another organisation's cookie answers it here: %d", w.Code)
	}
	if token, refusal := here.poll(deviceCode); token != "" || refusal != "authorization_pending" {
		t.Errorf("the program is told %q", refusal)
	}
	var known bool
	for _, code := range []string{deviceCode, userCode} {
		if _, err := there.world.Sessions().LetIn(t.Context(), code); err == nil {
			known = true
		}
	}
	if known || device.ClientID == "" {
		t.Error("another organisation knows the code")
	}
}

// Race of two sign-ins: whoever comes with an account that an owner named, at once and
// in several browsers, is one person, linked once.
func TestFirstSignInsAtOnceLinkOneAccountOnce(t *testing.T) {
	s := newSite(t)
	s.world.Token("carol", domain.Member)
	p := s.withProvider("okta", nil)
	invites(s, "carol", identity.Account{Issuer: p.URL, Subject: "1"})
	var all []*browser
	var back []string
	for range 5 {
		b := s.browser()
		all, back = append(all, b), append(back, p.vouches(b, signInPath, "1", nil))
	}
	at := s.world.Last()
	var done sync.WaitGroup
	for i, b := range all {
		done.Go(func() { b.get(back[i]) })
	}
	done.Wait()
	for i, b := range all {
		if !b.signedIn() {
			t.Errorf("browser %d is not signed in", i)
		}
	}
	types := s.world.Types(at)
	if n := len(slices.DeleteFunc(slices.Clone(types), func(typ string) bool { return typ != "person.identity_linked" })); n != 1 || len(types) != 6 {
		t.Errorf("recorded %v", types)
	}
}

// invites has an owner name the account that somebody comes with.
func invites(s *site, who domain.Name, a identity.Account) {
	s.t.Helper()
	m := s.world.Meta("owner", domain.Owner)
	if _, err := s.world.Execute(s.t.Context(), m, func(state *control.State) ([]domain.Fact, error) {
		return identity.Decide(state.Identities(), identity.InviteAccount{Person: who, Account: a}, m)
	}); err != nil {
		s.t.Fatal(err)
	}
}

// A link and a named account are two ways in for one person: whichever is first ends
// the other, also when both are used at once.
func TestALinkAndANamedAccountMakeOneWayIn(t *testing.T) {
	for range 3 {
		d := newDevice(oneMoreSite(t))
		d.site.signIn("olga", domain.Owner)
		d.world.Token("carol", domain.Member)
		p := d.withProvider("okta", nil)
		secret := d.invited("carol")
		invites(d.site, "carol", identity.Account{Issuer: p.URL, Subject: "1"})
		b := d.site.browser()
		back := p.vouches(b, signInPath, "1", nil)
		_, answer := d.begins(secret, "carol", "laptop")
		var both sync.WaitGroup
		both.Go(func() { b.get(back) })
		both.Go(func() { d.send("/enrol/register", answer) })
		both.Wait()
		d.world.Read(func(s *control.State, _ domain.Head) {
			if n := len(s.Identities().Accounts("carol")) + len(s.Identities().Passkeys("carol")); n != 1 {
				t.Errorf("carol has %d ways in", n)
			}
		})
	}
}

// chanced is what of a page is another each time.
var chanced = regexp.MustCompile(`01[0-9A-HJKMNP-TV-Z]{24}|nonce="[^"]*"|name="_once" value="[^"]*"`)

// Username enumeration: strangers are told the same of who is here as of who is not.
func TestStrangersLearnOfNobodyWhoIsHere(t *testing.T) {
	s := newSite(t)
	s.world.Token("carol", domain.Member)
	s.world.Token("olga", domain.Owner)
	p := s.withProvider("okta", nil)
	told := func(who string, w *httptest.ResponseRecorder) string {
		return strings.ReplaceAll(chanced.ReplaceAllString(w.Body.String(), ""), who, "X")
	}
	ask := func(method, path, who string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, s.path(strings.ReplaceAll(path, "WHO", who)), strings.NewReader(strings.ReplaceAll(form.Encode(), "WHO", who)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		return s.as("", r)
	}
	for name, tt := range map[string]struct {
		method, path string
		form         url.Values
	}{
		"the page of a link":   {"GET", "/enrol?person=WHO", nil},
		"a link that is none":  {"POST", "/enrol/options", url.Values{"person": {"WHO"}, "name": {"laptop"}, "secret": {"sallyport_" + strings.Repeat("A", 43)}}},
		"the page of a person": {"GET", "/people/WHO", nil},
		"their passkeys":       {"POST", "/sign-in/passkey/options", url.Values{"person": {"WHO"}, "username": {"WHO"}}},
	} {
		here, nobody := ask(tt.method, tt.path, "carol", tt.form), ask(tt.method, tt.path, "nancy", tt.form)
		if tt.path == "/sign-in/passkey/options" { // the challenge is another each time
			if strings.Contains(here.Body.String(), "allowCredentials\":[{") || here.Code != nobody.Code {
				t.Errorf("%s: %d %s", name, here.Code, here.Body)
			}
			continue
		}
		if here.Code != nobody.Code || told("carol", here) != told("nancy", nobody) || strings.ReplaceAll(here.Header().Get("Location"), "carol", "") != strings.ReplaceAll(nobody.Header().Get("Location"), "nancy", "") {
			t.Errorf("%s: of who is here %d %s, of who is not %d %s", name, here.Code, mainOf(here.Body.String()), nobody.Code, mainOf(nobody.Body.String()))
		}
	}
	// Whoever has an account at the provider, and is nobody here, is told no name either.
	b := s.browser()
	for _, sub := range []string{"carol", "nancy"} {
		if w := b.get(p.vouches(b, signInPath, sub, map[string]any{"preferred_username": sub, "email": sub + "@example.com", "email_verified": true})); w.status != http.StatusForbidden || !strings.Contains(w.body, "sign_in.unknown") {
			t.Errorf("%s is told %d", sub, w.status)
		}
	}
}

// Open redirect: however a return is written, it stays in the console of the organisation.
func TestAReturnStaysInTheConsoleHoweverItIsWritten(t *testing.T) {
	s := newSite(t)
	s.world.Token("carol", domain.Member)
	p := s.withProvider("okta", nil)
	s.links("carol", identity.Account{Issuer: p.URL, Subject: "1"})
	c := s.console.stranger(s.handler.NewContext(httptest.NewRequest(http.MethodGet, s.path("/"), nil), httptest.NewRecorder()))
	c.Org = s.world.Organisation
	for _, to := range []string{
		"https://evil.example.com/", "//evil.example.com/", "///evil.example.com/", `/\evil.example.com`, "/console/../..//evil.example.com", "\t//evil.example.com", "/\t/evil.example.com",
		"https:/console/orgs/" + s.world.Name().String() + "/", "https:" + s.path("/"), "javascript:alert(1)//" + s.path("/"), "data:text/html,x", "/console/orgs/other/", s.path("x") + "/",
		s.path("/../other/"), s.path("/./../other/"), s.path("/%2e%2e/%2e%2e/"), s.path("/") + "\r\nSet-Cookie: a=b", s.path(`/\..\..`), "console" + s.path("/"), "?x", "#x", "", " " + s.path("/"),
		"//user@" + strings.TrimPrefix(siteURL, "http://") + s.path("/"), s.path("/sign-in/x"), s.path("/sign-out/now"),
	} {
		got := c.returnTo(to)
		u, err := url.Parse(got)
		if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, s.path("/")) || strings.Contains(u.Path, "..") || strings.ContainsAny(got, "\\\r\n\t") || strings.HasPrefix(u.Path, s.path(signInPath)) || strings.HasPrefix(u.Path, s.path("/sign-out")) {
			t.Errorf("%q leads to %q", to, got)
		}
	}
}

// A proof that was begun before its person was signed out everywhere keeps no session
// of before: step-up makes none of a session that is over, and a sign-in makes a new one.
func TestAProofThatWasBegunBeforeRevivesNoSession(t *testing.T) {
	d := registered(t)
	if w := d.prove(signInPath); w.Code != http.StatusSeeOther {
		t.Fatalf("signing in: %d", w.Code)
	}
	d.key.Counter++
	answer := virtual.CreateAssertionResponse(d.rp, d.Authenticator, d.key, d.challenge(stepUpPath))
	d.site.signIn("olga", domain.Owner)
	d.api("olga", http.MethodPost, "/people/alice/sign-out", "")
	if w := d.send(stepUpPath+"/passkey/prove", url.Values{"credential": {answer}}); w.Code != http.StatusSeeOther || !strings.Contains(w.Header().Get("Location"), signInPath) {
		t.Errorf("a step-up of a session that is over: %d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := d.send("/sessions/end-others", nil); !strings.Contains(w.Header().Get("Location"), signInPath) {
		t.Errorf("the session goes on: %d", w.Code)
	}
}
