package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	virtual "github.com/descope/virtualwebauthn"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/session"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

func init() {
	views["passkeys"] = []any{
		passkeysView{}, passkeysView{OnlyProof: true, OnlyOwner: true, Passkeys: []identity.Passkey{{ID: "AQ", Name: "laptop", RegisteredAt: viewAt}}}, passkeysView{Passkeys: []identity.Passkey{{ID: "AQ", Name: "laptop", Synced: true, RegisteredAt: viewAt, UsedAt: viewAt}, {ID: "Ag", Name: "<b>"}}},
	}
	views["passkey-new"] = []any{newPasskeyView{Name: "laptop"}}
	views["signin"] = append(views["signin"], signInView{Passkeys: true, Again: true, Return: "/console/orgs/acme/"})
}

// ours is the relying party that a site is.
var ours = virtual.RelyingParty{ID: "sallyport.test", Name: "Sallyport", Origin: "http://sallyport.test"}

// keyed is an authenticator, and the browser that it is at.
type keyed struct {
	*site
	virtual.Authenticator
	rp      virtual.RelyingParty
	key     virtual.Credential
	cookies map[string]*http.Cookie
}

// wholeKey is the length of a COSE key on P-256, in bytes (RFC 9053 section 7.1.1).
const wholeKey = 77

func newDevice(s *site) *keyed {
	d := &keyed{site: s, Authenticator: virtual.NewAuthenticator(), rp: ours, key: virtual.NewCredential(virtual.KeyTypeEC2), cookies: map[string]*http.Cookie{}}
	for len(d.key.Key.AttestationData()) < wholeKey { // the virtual authenticator leaves leading zeros out
		d.key = virtual.NewCredential(virtual.KeyTypeEC2)
	}
	d.key.Counter = 1
	return d
}

// send posts a form from this browser, with its cookies.
func (d *keyed) send(path string, form url.Values) *httptest.ResponseRecorder {
	d.t.Helper()
	r := httptest.NewRequest(http.MethodPost, d.path(path), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range d.cookies {
		r.AddCookie(c)
	}
	w := d.as("", r)
	for _, c := range w.Result().Cookies() {
		if d.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(d.cookies, c.Name)
		}
	}
	return w
}

// signedIn puts a session of a person into this browser, just proved.
func (d *keyed) signedIn(who domain.Name) {
	d.t.Helper()
	d.signIn(who, domain.Member)
	c := d.site.cookies[who]
	d.cookies[c.Name] = c
}

// register has the authenticator make a key for who is signed in.
func (d *keyed) register(name string) *httptest.ResponseRecorder {
	d.t.Helper()
	w := d.send("/passkeys/new/options", nil)
	options, err := virtual.ParseAttestationOptions(w.Body.String())
	if err != nil {
		d.t.Fatalf("%v: %d %s", err, w.Code, w.Body)
	}
	d.Options.UserHandle = []byte(options.UserID)
	answer := virtual.CreateAttestationResponse(d.rp, d.Authenticator, d.key, *options)
	return d.send("/passkeys/new/add", url.Values{"name": {name}, "credential": {answer}})
}

// challenge is what the site wants signed.
func (d *keyed) challenge(at string) virtual.AssertionOptions {
	d.t.Helper()
	w := d.send(at+"/passkey/options", nil)
	options, err := virtual.ParseAssertionOptions(w.Body.String())
	if err != nil {
		d.t.Fatalf("%v: %d %s", err, w.Code, w.Body)
	}
	return *options
}

func (d *keyed) prove(at string) *httptest.ResponseRecorder {
	d.t.Helper()
	d.key.Counter++
	answer := virtual.CreateAssertionResponse(d.rp, d.Authenticator, d.key, d.challenge(at))
	return d.send(at+"/passkey/prove", url.Values{"credential": {answer}, "return": {d.path("/sessions")}})
}

// session is who is signed in at this browser.
func (d *keyed) session() (session.Session, bool) {
	d.t.Helper()
	c := d.cookies[d.cookieName()]
	if c == nil {
		return session.Session{}, false
	}
	s, err := d.world.Sessions().Find(context.Background(), c.Value)
	return s, err == nil
}

// registered is a device with alice's passkey, at a browser where nobody is signed in.
func registered(t *testing.T) *keyed {
	t.Helper()
	d := newDevice(newSite(t))
	d.signedIn("alice")
	if w := d.register("laptop"); w.Code != http.StatusSeeOther {
		t.Fatalf("registering: %d %s", w.Code, w.Body)
	}
	d.cookies = map[string]*http.Cookie{}
	return d
}

func TestSomebodySignsInWithTheirPasskeyUntilTheyRemoveIt(t *testing.T) {
	d := registered(t)
	w := d.prove(signInPath)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != d.path("/sessions") {
		t.Fatalf("signing in: %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	s, ok := d.session()
	if !ok || s.Person != "alice" || s.Method != "passkey" || s.MFAAt.IsZero() || s.FreshAt.IsZero() {
		t.Errorf("the session is %+v", s)
	}
	d.world.Advance(freshFor + time.Second)
	if w := d.prove(stepUpPath); w.Code != http.StatusSeeOther {
		t.Fatalf("proving anew: %d %s", w.Code, w.Body)
	}
	if again, _ := d.session(); again.ID == s.ID || d.world.Now().Sub(again.FreshAt) > time.Minute {
		t.Errorf("the session is still %+v", again)
	}
	id := d.world.Events()[slices.IndexFunc(d.world.Events(), func(e domain.Envelope) bool { return e.Type == "passkey.registered" })]
	key, _ := id.Event.(identity.PasskeyWasRegistered)
	if w := d.send("/passkeys/remove", url.Values{"passkey": {key.ID}}); w.Code != http.StatusSeeOther {
		t.Fatalf("removing: %d %s", w.Code, w.Body)
	}
	if _, in := d.session(); in {
		t.Error("the session that it was used in goes on")
	}
	d.cookies = map[string]*http.Cookie{}
	if w := d.prove(signInPath); w.Code != http.StatusForbidden {
		t.Errorf("a passkey that was removed: %d", w.Code)
	}
	types := d.world.Types(id.Position)
	if want := []string{"passkey.used", "person.signed_in", "passkey.used", "person.signed_in", "passkey.removed", "person.signed_out", "person.sign_in_refused"}; !slices.Equal(types, want) {
		t.Errorf("recorded are %v, want %v", types, want)
	}
}

// Who was shut out at their provider does not come in by a passkey, nor stay by one.
func TestWhoHasAProviderSignsInThere(t *testing.T) {
	d := registered(t)
	link := func(issuer string) {
		t.Helper()
		m := domain.Meta{Actor: signin.Actor(), Now: d.world.Now()}
		if _, err := d.world.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) {
			return identity.Decide(s.Identities(), identity.Link{Person: "alice", Account: identity.Account{Issuer: issuer, Subject: "a"}}, m)
		}); err != nil {
			t.Fatal(err)
		}
	}
	const issuer = "https://login.example.com"
	okta, err := signin.New(signin.Options{BaseURL: siteURL, Providers: []signin.Settings{{Name: "okta", Issuer: issuer, ClientID: "console"}}})
	if err != nil {
		t.Fatal(err)
	}
	d.console.opt.SignIn = okta
	link("https://former.example.com")
	if w := d.prove(signInPath); w.Code != http.StatusSeeOther {
		t.Fatalf("without an account at the provider: %d %s", w.Code, w.Body)
	}
	link(issuer)
	d.cookies = map[string]*http.Cookie{}
	w := d.prove(signInPath)
	if _, in := d.session(); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "sign_in.provider") || in {
		t.Errorf("with one: %d, signed in %t", w.Code, in)
	}
	d.signedIn("alice")
	was, _ := d.session()
	d.world.Advance(freshFor + time.Second)
	w = d.prove(stepUpPath)
	if now, in := d.session(); w.Code != http.StatusSeeOther || !in || !now.SignedInAt.Equal(was.SignedInAt) || !now.FreshAt.After(was.FreshAt) {
		t.Errorf("proving anew: %d, the session is %+v, and was %+v", w.Code, now, was)
	}
	d.console.opt.SignIn = nil
	d.cookies = map[string]*http.Cookie{}
	if w := d.prove(signInPath); w.Code != http.StatusSeeOther {
		t.Errorf("once the provider is no longer configured: %d %s", w.Code, w.Body)
	}
}

// Every way to be somebody with what is not their passkey, used here and now.
func TestWhatIsNoProofOfOurPasskeyOpensNothing(t *testing.T) {
	d := registered(t)
	bob := newDevice(d.site)
	bob.signedIn("bob")
	if w := bob.register("phone"); w.Code != http.StatusSeeOther {
		t.Fatalf("bob registers: %d %s", w.Code, w.Body)
	}
	bobs := bob.Options.UserHandle
	for name, change := range map[string]func(*keyed){
		"of another origin":             func(d *keyed) { d.rp.Origin = "https://sallyport.evil" },
		"of another port":               func(d *keyed) { d.rp.Origin = "http://sallyport.test:8080" },
		"of another relying party":      func(d *keyed) { d.rp.ID = "evil.test" },
		"without user verification":     func(d *keyed) { d.Options.UserNotVerified = true },
		"without anybody there":         func(d *keyed) { d.Options.UserNotPresent = true },
		"with another's handle":         func(d *keyed) { d.Options.UserHandle = bobs },
		"with no handle":                func(d *keyed) { d.Options.UserHandle = nil },
		"signed by another key":         func(d *keyed) { id := d.key.ID; d.key = virtual.NewCredential(virtual.KeyTypeEC2); d.key.ID = id },
		"of a key that nobody has":      func(d *keyed) { d.key = virtual.NewCredential(virtual.KeyTypeEC2) },
		"under the id of another's key": func(d *keyed) { d.key.ID = bob.key.ID },
	} {
		thief := *d
		thief.cookies = map[string]*http.Cookie{}
		change(&thief)
		if w := thief.prove(signInPath); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "sign_in.passkey") {
			t.Errorf("a proof %s: %d", name, w.Code)
		}
		if s, ok := thief.session(); ok {
			t.Errorf("a proof %s opened %+v", name, s)
		}
	}
	if w := d.prove(signInPath); w.Code != http.StatusSeeOther {
		t.Errorf("the passkey itself: %d", w.Code)
	}
}

func TestAChallengeIsAnsweredOnceAndInItsBrowser(t *testing.T) {
	d := registered(t)
	options := d.challenge(signInPath)
	attempt := d.cookies[(d.cookieName() + ofPasskeyAttempts)]
	form := url.Values{"credential": {virtual.CreateAssertionResponse(d.rp, d.Authenticator, d.key, options)}}
	other := *d
	other.cookies = map[string]*http.Cookie{}
	if w := other.send(signInPath+"/passkey/prove", form); w.Code < 400 {
		t.Errorf("in another browser: %d", w.Code)
	}
	if w := d.send(signInPath+"/passkey/prove", form); w.Code != http.StatusSeeOther {
		t.Fatalf("the answer: %d %s", w.Code, w.Body)
	}
	other.cookies[attempt.Name] = attempt
	if w := other.send(signInPath+"/passkey/prove", form); w.Code < 400 {
		t.Errorf("replayed: %d", w.Code)
	}
	other.challenge(signInPath)
	if w := other.send(signInPath+"/passkey/prove", form); w.Code != http.StatusForbidden {
		t.Errorf("replayed to another challenge: %d", w.Code)
	}
	if _, in := other.session(); in {
		t.Error("a replayed answer opened a session")
	}
}

func TestNobodyProvesAnewWithThePasskeyOfAnother(t *testing.T) {
	d := registered(t)
	d.signedIn("mallory")
	before, _ := d.session()
	if w := d.prove(stepUpPath); w.Code < 400 {
		t.Errorf("got %d", w.Code)
	}
	if s, _ := d.session(); s.ID != before.ID || s.Person != "mallory" {
		t.Errorf("the session is %+v now", s)
	}
}

func TestACounterThatWentBackIsToldInTheTrail(t *testing.T) {
	d := registered(t)
	d.prove(signInPath)
	d.key.Counter = 0 // as a copy of the key has
	d.cookies = map[string]*http.Cookie{}
	d.prove(signInPath)
	var back []bool
	for _, e := range d.world.Events() {
		if used, ok := e.Event.(identity.PasskeyWasUsed); ok {
			back = append(back, used.Back)
		}
	}
	if !slices.Equal(back, []bool{false, true}) {
		t.Errorf("went back: %v", back)
	}
}

func TestAPasskeyIsRegisteredByWhoJustProvedWhoTheyAre(t *testing.T) {
	d := newDevice(newSite(t))
	d.signedIn("alice")
	d.Options.UserNotVerified = true
	if w := d.register("laptop"); w.Code != http.StatusForbidden {
		t.Errorf("without user verification: %d", w.Code)
	}
	d.Options.UserNotVerified = false
	if w := d.register(" "); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("without a name: %d", w.Code)
	}
	if w := d.register("laptop"); w.Code != http.StatusSeeOther {
		t.Errorf("registering: %d", w.Code)
	}
	if w := d.register("laptop"); w.Code != http.StatusConflict {
		t.Errorf("the same again: %d", w.Code)
	}
	d.world.Advance(freshFor + time.Second)
	if w := d.send("/passkeys/new/options", nil); w.Code != http.StatusForbidden {
		t.Errorf("after a while: %d", w.Code)
	}
}

func TestTheFirstPasskeyMayRestOnASignInThatTellsNoTime(t *testing.T) {
	for name, c := range map[string]struct {
		trusted   bool // the provider's first_passkey
		since     time.Duration
		freshAt   time.Duration // before the sign-in; 0: the provider does not say
		has, want bool
	}{
		"a sign-in just now, where that is trusted": {trusted: true, want: true},
		"where it is not":                             {},
		"a while after it":                            {trusted: true, since: freshFor},
		"who has a passkey already":                   {trusted: true, has: true},
		"a provider that says it was a long time ago": {trusted: true, freshAt: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSignIn(t)
			s.console.opt.SignIn.Of(s.world.Name())[0].FirstPasskey = c.trusted
			d := newDevice(s)
			if c.has {
				d.signedIn("carol")
				s.wants(http.StatusSeeOther, d.register("laptop"))
			}
			signedIn := session.Session{Person: "carol", Method: "oidc", Provider: "demo"}
			if c.freshAt > 0 {
				signedIn.FreshAt = s.world.Now().Add(-c.freshAt)
			}
			cookie, _ := s.world.SignedIn(signedIn)
			d.cookies = map[string]*http.Cookie{s.cookieName(): {Name: s.cookieName(), Value: cookie}}
			s.world.Advance(c.since)
			w := d.send("/passkeys/new/options", nil)
			if got := w.Code == http.StatusOK; got != c.want {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		})
	}
}

func TestNoPasskeysAreOfferedWhereBrowsersRefuseThem(t *testing.T) {
	c, err := New(Options{BaseURL: "http://127.0.0.1:8420"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.all {
		if strings.Contains(s.path, "passkey") {
			t.Errorf("%s is there", s.path)
		}
	}
}
