package console

import (
	"context"
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/projections/control"
)

// idp is an OpenID provider that says what a test wants of who comes, and of itself.
type idp struct {
	*httptest.Server
	t    *testing.T
	name domain.Name
	key  *jose.HostKey

	mu    sync.Mutex
	codes map[string]map[string]any // the claims of each code that is out, once
	asked []string                  // codes that it was shown
}

// withProvider has the site believe one more provider, which tells who it is when it
// sends people back (RFC 9207).
func (s *site) withProvider(name domain.Name, change func(*signin.Settings)) *idp {
	t := s.t.(*testing.T)
	t.Helper()
	key, err := jose.NewHostKey("RS256")
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{t: t, name: name, key: key, codes: map[string]map[string]any{}}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	settings := signin.Settings{Name: name, Issuer: p.URL, ClientID: "console"}
	if change != nil {
		change(&settings)
	}
	all := []signin.Settings{settings}
	for _, one := range s.providers.Of(s.world.Name()) {
		all = append(all, one.Settings)
	}
	ps, err := signin.New(signin.Options{BaseURL: siteURL, Gate: jose.Gate{LoopbackHTTP: true}, Providers: all})
	if err != nil {
		t.Fatal(err)
	}
	*s.providers = *ps
	return p
}

func (p *idp) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/jwks",
			"id_token_signing_alg_values_supported": []string{"RS256"}, "authorization_response_iss_parameter_supported": true,
		})
	case "/jwks":
		_, _ = w.Write(p.key.PublicJWKS())
	case "/token":
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked = append(p.asked, r.FormValue("code"))
		claims, out := p.codes[r.FormValue("code")]
		delete(p.codes, r.FormValue("code"))
		if !out {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
			return
		}
		id, _ := p.key.Sign(claims)
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "at", "token_type": "Bearer", "id_token": id})
	}
}

// vouches is where the provider sends a browser back to that has begun a sign-in at it:
// somebody came, of whom it says that beside what it says of everybody.
func (p *idp) vouches(b *browser, at, sub string, more map[string]any) string {
	p.t.Helper()
	w := b.post(b.site.path(at+"/with"), url.Values{"provider": {p.name.String()}, "return": {b.site.path("/sessions")}})
	on := regexp.MustCompile(`<a class="button primary" href="([^"]*)">Go on to`).FindStringSubmatch(w.body)
	if on == nil {
		p.t.Fatalf("beginning a sign-in: %d to %q: %s", w.status, w.location, mainOf(w.body))
	}
	u, err := url.Parse(html.UnescapeString(on[1]))
	if err != nil || !strings.HasPrefix(u.String(), p.URL+"/authorize?") {
		p.t.Fatalf("it leads to %v, %v", u, err)
	}
	now, q := time.Now(), u.Query()
	claims := map[string]any{"iss": p.URL, "aud": "console", "sub": sub, "nonce": q.Get("nonce"), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	maps.Copy(claims, more)
	code := "code-" + q.Get("nonce")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = claims
	return q.Get("redirect_uri") + "?" + url.Values{"state": {q.Get("state")}, "code": {code}, "iss": {p.URL}}.Encode()
}

// Who signed in at a provider that does not say when they proved who they are is told
// that it proves nothing anew, and what does: before they go there, and after.
func TestWhoseProviderTellsNoTimeIsToldWhatToDo(t *testing.T) {
	for name, tt := range map[string]struct {
		trusted, has bool
		since        time.Duration
		says, leads  string
	}{
		"who has a passkey":                     {has: true, says: "use a passkey", leads: stepUpPath},
		"who has none, just now":                {trusted: true, says: "may register your first now", leads: "/passkeys/new"},
		"who has none, later":                   {trusted: true, since: freshFor, says: "sign out, sign in again"},
		"who has none, where it is not trusted": {says: "sets first_passkey for it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.world.Token("carol", domain.Member)
			p := s.withProvider("google", func(set *signin.Settings) { set.FirstPasskey = tt.trusted })
			d := newDevice(s)
			if tt.has {
				d.signedIn("carol")
				s.wants(http.StatusSeeOther, d.register("laptop"))
			}
			s.links("carol", identity.Account{Issuer: p.URL, Subject: "1"})
			b := s.browser()
			if w := b.get(p.vouches(b, signInPath, "1", nil)); w.status != http.StatusSeeOther {
				t.Fatalf("carol is not let in: %d %s", w.status, mainOf(w.body))
			}
			s.world.Advance(tt.since)
			page := b.get(s.path(stepUpPath))
			if !strings.Contains(page.body, "google does not say when") || !strings.Contains(page.body, tt.says) {
				t.Errorf("before they go there: %s", mainOf(page.body))
			}
			checkPage(t, "a proof of no time", page.body)
			w := b.get(p.vouches(b, stepUpPath, "1", nil))
			if w.status != http.StatusForbidden || !strings.Contains(w.body, "sign_in.timeless") || !strings.Contains(w.body, tt.says) || tt.leads != "" && !strings.Contains(w.body, `href="`+s.path(tt.leads)) {
				t.Errorf("as they come back: %d %s", w.status, mainOf(w.body))
			}
			if !b.signedIn() {
				t.Error("they are signed out by it")
			}
			// One that does say when, if it is asked, is believed.
			if w := b.get(p.vouches(b, stepUpPath, "1", map[string]any{"auth_time": time.Now().Add(tt.since).Unix()})); w.status != http.StatusSeeOther {
				t.Errorf("once it says when: %d %s", w.status, mainOf(w.body))
			}
			if page := b.get(s.path(stepUpPath)); strings.Contains(page.body, "does not say when") {
				t.Errorf("it is still said of it: %s", mainOf(page.body))
			}
		})
	}
}

// links has an account be somebody's.
func (s *site) links(who domain.Name, a identity.Account) {
	s.t.Helper()
	m := domain.Meta{Actor: signin.Actor(), Now: s.world.Now()}
	_, err := s.world.Execute(context.Background(), m, func(state *control.State) ([]domain.Fact, error) {
		return identity.Decide(state.Identities(), identity.Link{Person: who, Account: a}, m)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// Who cancelled at the provider, or is nobody here, begins again from where they are
// told so, and comes to where they were going.
func TestWhoIsRefusedAtTheProviderMayBeginAgain(t *testing.T) {
	s := newSite(t)
	p := s.withProvider("okta", nil)
	b := s.browser()
	for name, change := range map[string]func(url.Values){
		"cancelled": func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") },
		"nobody":    func(url.Values) {},
	} {
		u, err := url.Parse(p.vouches(b, signInPath, "1", nil))
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		change(q)
		u.RawQuery = q.Encode()
		w := b.get(u.String())
		if again := `href="` + s.path(signInPath) + "?return=" + url.QueryEscape(s.path("/sessions")) + `"`; w.status != http.StatusForbidden || !strings.Contains(w.body, "This sign-in did not work") || !strings.Contains(w.body, again) {
			t.Errorf("%s: %d, without %s: %s", name, w.status, again, mainOf(w.body))
		}
	}
}
