package signin_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/signin"
)

// world is an OpenID provider that says what a test wants it to say.
type world struct {
	*httptest.Server
	key *jose.HostKey

	mu        sync.Mutex
	discovery map[string]any
	claims    map[string]any // of the next ID token
	status    int            // of the token endpoint; zero is 200
	asked     url.Values     // at the token endpoint
	auth      string         // header there
	down      bool
	fetched   int // discovery was

	info       map[string]any // of the UserInfo endpoint
	infoStatus int            // zero is 200
	toldTo     []string       // headers there
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := jose.NewHostKey("RS256")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{key: key}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)
	w.discovery = map[string]any{
		"issuer": w.URL, "authorization_endpoint": w.URL + "/authorize", "token_endpoint": w.URL + "/token", "jwks_uri": w.URL + "/jwks",
		"id_token_signing_alg_values_supported": []string{"RS256"}, "token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
	}
	return w
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rw.Header().Set("Content-Type", "application/json")
	switch {
	case w.down:
		rw.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == "/.well-known/openid-configuration":
		w.fetched++
		_ = json.NewEncoder(rw).Encode(w.discovery)
	case r.URL.Path == "/jwks":
		_, _ = rw.Write(w.key.PublicJWKS())
	case r.URL.Path == "/userinfo":
		w.toldTo = append(w.toldTo, r.Header.Get("Authorization"))
		if w.infoStatus != 0 {
			rw.WriteHeader(w.infoStatus)
		}
		_ = json.NewEncoder(rw).Encode(w.info)
	case r.URL.Path == "/token":
		_ = r.ParseForm()
		w.asked, w.auth = r.PostForm, r.Header.Get("Authorization")
		if w.status != 0 {
			rw.WriteHeader(w.status)
			_, _ = rw.Write([]byte(`{"error":"invalid_grant","error_description":"secret-of-the-provider"}`))
			return
		}
		id, _ := w.key.Sign(w.claims)
		_ = json.NewEncoder(rw).Encode(map[string]any{"access_token": "at", "token_type": "Bearer", "id_token": id})
	}
}

// provider is ours at the world.
func (w *world) provider(t *testing.T, change func(*signin.Settings)) *signin.Provider {
	t.Helper()
	s := signin.Settings{Name: "idp", Issuer: w.URL, ClientID: "console", ClientSecret: domain.NewSecret("s3cret"), GroupsClaim: "groups"}
	if change != nil {
		change(&s)
	}
	ps, err := signin.New(signin.Options{Providers: []signin.Settings{s}, BaseURL: "https://sallyport.example.com", Gate: jose.Gate{LoopbackHTTP: true}})
	if err != nil {
		t.Fatal(err)
	}
	return ps.Find("acme", "idp")
}

// begin begins a sign-in; the world will answer as it should, but for changes.
func (w *world) begin(t *testing.T, p *signin.Provider, person domain.Name, changes map[string]any) (signin.Attempt, url.Values) {
	t.Helper()
	to, a, err := p.Begin(t.Context(), "acme", person, "/console/")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	w.claims = map[string]any{
		"iss": w.URL, "sub": "00u1", "aud": "console", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "auth_time": now.Unix(),
		"nonce": u.Query().Get("nonce"), "preferred_username": "carol", "email": "carol@example.com", "email_verified": true,
		"groups": []string{"Admins", "Staff"}, "amr": []string{"pwd", "mfa"},
	}
	maps.Copy(w.claims, changes)
	maps.DeleteFunc(w.claims, func(_ string, v any) bool { return v == nil })
	return a, u.Query()
}

func TestTheRequestIsBoundToTheAttempt(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, nil)
	a, q := w.begin(t, p, "", nil)
	sum := sha256.Sum256([]byte(a.Verifier))
	for name, want := range map[string]string{
		"client_id": "console", "response_type": "code", "redirect_uri": "https://sallyport.example.com/console/callback",
		"state": a.State, "nonce": a.Nonce, "code_challenge_method": "S256", "code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]),
		"prompt": "", "max_age": "", "client_secret": "", "code_verifier": "", "scope": "openid profile email",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	if _, q := w.begin(t, w.provider(t, func(s *signin.Settings) { s.Scopes = []string{"groups"} }), "", nil); q.Get("scope") != "openid profile email groups" {
		t.Errorf("it asks for %q", q.Get("scope"))
	}
	b, again := w.begin(t, p, "carol", nil)
	if again.Get("prompt") != "login" || again.Get("max_age") != "0" {
		t.Errorf("who is to prove it anew is sent with %v", again)
	}
	if a.State == b.State || a.Nonce == b.Nonce || a.Verifier == b.Verifier || len(a.State) < 26 || len(a.Nonce) < 26 || len(a.Verifier) < 43 {
		t.Error("two attempts have something in common, or it can be guessed")
	}
}

func TestAProofSaysWhatTheProviderVouchesFor(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, nil)
	a, _ := w.begin(t, p, "", nil)
	proof, err := p.Finish(t.Context(), a, url.Values{"state": {a.State}, "code": {"c0de"}})
	if err != nil {
		t.Fatal(err)
	}
	if proof.Account.Issuer != w.URL || proof.Account.Subject != "00u1" || proof.Name != "carol" || proof.Email != "carol@example.com" ||
		!proof.MFA || !slices.Equal(proof.Groups, []string{"Admins", "Staff"}) || time.Since(proof.At) > time.Minute {
		t.Errorf("got %+v", proof)
	}
	if w.asked.Get("code") != "c0de" || w.asked.Get("code_verifier") != a.Verifier || w.asked.Get("redirect_uri") != "https://sallyport.example.com/console/callback" {
		t.Errorf("the code was exchanged with %v", w.asked)
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("console:s3cret")); w.auth != want || w.asked.Has("client_secret") {
		t.Errorf("the client showed who it is by %q, %v", w.auth, w.asked)
	}
}

func TestTheClientShowsWhoItIsAsTheProviderTakesIt(t *testing.T) {
	w := newWorld(t)
	w.discovery["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
	for name, secret := range map[string]string{"by post": "s3cret", "a public client": ""} {
		p := w.provider(t, func(s *signin.Settings) { s.ClientSecret = domain.NewSecret(secret) })
		a, _ := w.begin(t, p, "", nil)
		if _, err := p.Finish(t.Context(), a, url.Values{"state": {a.State}, "code": {"c"}}); err != nil {
			t.Fatal(err)
		}
		if w.auth != "" || w.asked.Get("client_secret") != secret || w.asked.Get("client_id") != "console" {
			t.Errorf("%s: %q, %v", name, w.auth, w.asked)
		}
	}
}

// T177: whatever of a sign-in is missing, swapped or another's is refused.
func TestWhatIsNoProofIsRefused(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	for _, tt := range []struct {
		name   string
		claims map[string]any
		query  func(a signin.Attempt, q url.Values)
		err    error
	}{
		{name: "no state", query: func(_ signin.Attempt, q url.Values) { q.Del("state") }, err: signin.ErrState},
		{name: "another state", query: func(_ signin.Attempt, q url.Values) { q.Set("state", "A") }, err: signin.ErrState},
		{name: "the state twice", query: func(a signin.Attempt, q url.Values) { q.Add("state", a.State) }, err: signin.ErrState},
		{name: "two codes", query: func(_ signin.Attempt, q url.Values) { q.Add("code", "other") }, err: signin.ErrState},
		{name: "no code", query: func(_ signin.Attempt, q url.Values) { q.Del("code") }, err: signin.ErrState},
		{name: "another provider's answer", query: func(_ signin.Attempt, q url.Values) { q.Set("iss", "https://evil.example.com") }, err: signin.ErrState},
		{name: "a refusal", query: func(_ signin.Attempt, q url.Values) { q.Set("error", "access_denied") }, err: signin.ErrDenied},
		{name: "a refusal under another state", query: func(_ signin.Attempt, q url.Values) { q.Set("error", "x"); q.Set("state", "A") }, err: signin.ErrState},
		{name: "no nonce", claims: map[string]any{"nonce": nil}, err: signin.ErrProof},
		{name: "another nonce", claims: map[string]any{"nonce": "A"}, err: signin.ErrProof},
		{name: "another audience", claims: map[string]any{"aud": "other"}, err: signin.ErrProof},
		{name: "no audience", claims: map[string]any{"aud": nil}, err: signin.ErrProof},
		{name: "two audiences, and nobody it was issued for", claims: map[string]any{"aud": []string{"console", "other"}}, err: signin.ErrProof},
		{name: "issued for another", claims: map[string]any{"aud": []string{"console", "other"}, "azp": "other"}, err: signin.ErrProof},
		{name: "issued for another, of one audience", claims: map[string]any{"azp": "other"}, err: signin.ErrProof},
		{name: "two audiences, issued for us", claims: map[string]any{"aud": []string{"console", "other"}, "azp": "console"}},
		{name: "another issuer", claims: map[string]any{"iss": "https://evil.example.com"}, err: signin.ErrProof},
		{name: "past its end", claims: map[string]any{"exp": now.Add(-time.Minute).Unix()}, err: signin.ErrProof},
		{name: "without an end", claims: map[string]any{"exp": nil}, err: signin.ErrProof},
		{name: "no subject", claims: map[string]any{"sub": nil}, err: signin.ErrProof},
		{name: "an empty subject", claims: map[string]any{"sub": ""}, err: signin.ErrProof},
		{name: "a subject that is not ASCII", claims: map[string]any{"sub": "\u202eroot"}, err: signin.ErrProof},
		{name: "a subject of a kilobyte", claims: map[string]any{"sub": strings.Repeat("a", 1024)}, err: signin.ErrProof},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := w.provider(t, nil)
			a, _ := w.begin(t, p, "", tt.claims)
			q := url.Values{"state": {a.State}, "code": {"c"}}
			if tt.query != nil {
				tt.query(a, q)
			}
			w.asked = nil
			proof, err := p.Finish(t.Context(), a, q)
			if !errors.Is(err, tt.err) {
				t.Errorf("got %+v, %v, want %v", proof, err, tt.err)
			}
			if errors.Is(tt.err, signin.ErrState) && w.asked != nil {
				t.Error("the code was shown to the provider")
			}
		})
	}
}

func TestAnAttemptThatNobodyBeganIsNone(t *testing.T) {
	p := newWorld(t).provider(t, nil)
	if _, err := p.Finish(t.Context(), signin.Attempt{}, url.Values{"state": {""}, "code": {"c"}}); !errors.Is(err, signin.ErrState) {
		t.Errorf("got %v", err)
	}
}

func TestAKeyThatIsNotTheProvidersProvesNothing(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, nil)
	a, _ := w.begin(t, p, "", nil)
	other, err := jose.NewHostKey("RS256")
	if err != nil {
		t.Fatal(err)
	}
	published := w.key
	other.KeyID = published.KeyID
	w.key = other
	w.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			_, _ = rw.Write(published.PublicJWKS())
			return
		}
		w.serve(rw, r)
	})
	if _, err := p.Finish(t.Context(), a, url.Values{"state": {a.State}, "code": {"c"}}); !errors.Is(err, signin.ErrProof) {
		t.Errorf("got %v", err)
	}
}

// A provider that always says who it is has to: otherwise another's answer could
// be shown to it (RFC 9207).
func TestAProviderThatSaysWhoItIsHasTo(t *testing.T) {
	w := newWorld(t)
	w.discovery["authorization_response_iss_parameter_supported"] = true
	p := w.provider(t, nil)
	a, _ := w.begin(t, p, "", nil)
	if _, err := p.Finish(t.Context(), a, url.Values{"state": {a.State}, "code": {"c"}}); !errors.Is(err, signin.ErrState) {
		t.Errorf("without iss: %v", err)
	}
	if _, err := p.Finish(t.Context(), a, url.Values{"state": {a.State}, "code": {"c"}, "iss": {w.URL}}); err != nil {
		t.Errorf("with its iss: %v", err)
	}
}

func TestAFreshProofIsFresh(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name string
		at   any
		err  error
	}{
		{"now", time.Now().Unix(), nil},
		{"an hour ago", time.Now().Add(-time.Hour).Unix(), signin.ErrStale},
		{"a minute ago", time.Now().Add(-time.Minute).Unix(), signin.ErrStale},
		{"nobody knows when", nil, signin.ErrTimeless},
		{"a text", "1795348800", signin.ErrTimeless},
	} {
		p := w.provider(t, nil)
		a, _ := w.begin(t, p, "carol", map[string]any{"auth_time": tt.at})
		if _, err := p.Finish(t.Context(), a, url.Values{"state": {a.State}, "code": {"c"}}); !errors.Is(err, tt.err) {
			t.Errorf("proved %s: got %v, want %v", tt.name, err, tt.err)
		}
	}
}

func TestWhatProvesASecondFactorAndAnAddress(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name   string
		claims map[string]any
		own    []string // mfa_amr
		mfa    bool
		email  string
	}{
		{"as it is", nil, nil, true, "carol@example.com"},
		{"a hardware key, which is one factor", map[string]any{"amr": []string{"hwk"}}, nil, false, "carol@example.com"},
		{"a password alone", map[string]any{"amr": []string{"pwd"}}, nil, false, "carol@example.com"},
		{"what the provider calls it", map[string]any{"amr": []string{"duo"}}, []string{"duo"}, true, "carol@example.com"},
		{"and nothing else then", nil, []string{"duo"}, false, "carol@example.com"},
		{"no list", map[string]any{"amr": "mfa"}, nil, false, "carol@example.com"},
		{"an address that nobody verified", map[string]any{"email_verified": false}, nil, true, ""},
		{"nobody says whether", map[string]any{"email_verified": nil}, nil, true, ""},
		{"a text is no yes", map[string]any{"email_verified": "true"}, nil, true, ""},
	} {
		p := w.provider(t, func(s *signin.Settings) { s.MFA = tt.own })
		a, _ := w.begin(t, p, "", tt.claims)
		proof, err := p.Finish(t.Context(), a, url.Values{"state": {a.State}, "code": {"c"}})
		if err != nil || proof.MFA != tt.mfa || proof.Email != tt.email {
			t.Errorf("%s: got %+v, %v", tt.name, proof, err)
		}
	}
}

// Where an ID token says nothing of what is wanted, the UserInfo endpoint is asked,
// and believed of the same subject alone.
func TestWhatTheIDTokenDoesNotSayTheProviderIsAsked(t *testing.T) {
	bare := map[string]any{"email": nil, "email_verified": nil, "groups": nil, "preferred_username": nil}
	whole := map[string]any{"sub": "00u1", "email": "carol@example.com", "email_verified": true, "groups": []string{"Staff"}, "preferred_username": "carol"}
	with := func(base, changes map[string]any) map[string]any {
		out := maps.Clone(base)
		maps.Copy(out, changes)
		maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
		return out
	}
	for _, tt := range []struct {
		name         string
		claims, info map[string]any
		status       int
		asked        int
		email, whose string
		groups       []string
		code         string
	}{
		{name: "everything is there", info: whole, email: "carol@example.com", whose: "carol", groups: []string{"Admins", "Staff"}},
		{name: "nothing is", claims: bare, info: whole, asked: 1, email: "carol@example.com", whose: "carol", groups: []string{"Staff"}},
		{name: "what the token says stays", claims: map[string]any{"groups": nil}, info: with(whole, map[string]any{"email": "other@example.com", "preferred_username": "mallory"}), asked: 1, email: "carol@example.com", whose: "carol", groups: []string{"Staff"}},
		{name: "an address is verified by who tells it", claims: map[string]any{"email": nil}, info: with(whole, map[string]any{"email_verified": nil}), asked: 1, whose: "carol", groups: []string{"Admins", "Staff"}},
		{name: "and not by who tells another", claims: map[string]any{"email_verified": nil}, info: with(whole, map[string]any{"email": "other@example.com"}), asked: 1, whose: "carol", groups: []string{"Admins", "Staff"}},
		{name: "the same one is", claims: map[string]any{"email_verified": nil}, info: whole, asked: 1, email: "carol@example.com", whose: "carol", groups: []string{"Admins", "Staff"}},
		{name: "it says nothing either", claims: bare, info: map[string]any{"sub": "00u1"}, asked: 1},
		{name: "another subject", claims: bare, info: with(whole, map[string]any{"sub": "00u2"}), asked: 1, code: "sign_in.proof"},
		{name: "no subject", claims: bare, info: with(whole, map[string]any{"sub": nil}), asked: 1, code: "sign_in.proof"},
		{name: "it is down", claims: bare, info: whole, status: http.StatusBadGateway, asked: 1, code: "sign_in.unavailable"},
		{name: "it answers without end", claims: bare, info: with(whole, map[string]any{"x": strings.Repeat("x", 300<<10)}), asked: 1, code: "sign_in.unavailable"},
		{name: "the access token is not the one that the ID token is of", claims: map[string]any{"email": nil, "at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, info: whole, code: "sign_in.proof"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.discovery["userinfo_endpoint"] = w.URL + "/userinfo"
			w.info, w.infoStatus = tt.info, tt.status
			p := w.provider(t, func(s *signin.Settings) { s.Create = true })
			a, _ := w.begin(t, p, "", tt.claims)
			proof, err := p.Finish(t.Context(), a, url.Values{"state": {a.State}, "code": {"c"}})
			var told *domain.Error
			if errors.As(err, &told); (err == nil) != (tt.code == "") || told != nil && told.Code != tt.code {
				t.Fatalf("got %v, want %q", err, tt.code)
			}
			if len(w.toldTo) != tt.asked || tt.asked > 0 && w.toldTo[0] != "Bearer at" {
				t.Errorf("it was asked with %v", w.toldTo)
			}
			if proof.Email != tt.email || proof.Name != tt.whose || !slices.Equal(proof.Groups, tt.groups) {
				t.Errorf("got %+v", proof)
			}
		})
	}
}

// An address that nobody verified is no name either.
func TestANameIsOfAVerifiedAddressAlone(t *testing.T) {
	w := newWorld(t)
	for _, verified := range []any{true, false, nil} {
		p := w.provider(t, func(s *signin.Settings) { s.NameClaim, s.Create = "email", true })
		a, _ := w.begin(t, p, "", map[string]any{"email_verified": verified})
		proof, err := p.Finish(t.Context(), a, url.Values{"state": {a.State}, "code": {"c"}})
		if err != nil || (proof.Name != "") != (verified == true) {
			t.Errorf("verified %v: named %q, %v", verified, proof.Name, err)
		}
	}
}

// What a provider answers is told by its status alone: it may quote what it was sent.
func TestAProvidersTroubleIsToldWithoutItsWords(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, nil)
	for status, want := range map[int]string{http.StatusBadRequest: "sign_in.proof", http.StatusUnauthorized: "sign_in.proof", http.StatusServiceUnavailable: "sign_in.unavailable"} {
		a, _ := w.begin(t, p, "", nil)
		w.status = status
		_, err := p.Finish(t.Context(), a, url.Values{"state": {a.State}, "code": {"c0de-of-carol"}})
		var told *domain.Error
		if !errors.As(err, &told) || told.Code != want {
			t.Errorf("%d: got %v, want %s", status, err, want)
		} else if strings.Contains(err.Error(), "c0de") || strings.Contains(err.Error(), "secret-of") {
			t.Errorf("%d is told as %q", status, err)
		}
	}
}

func TestDiscoveryIsFetchedOnceAndOutlivesAnOutage(t *testing.T) {
	w := newWorld(t)
	var now time.Time
	ps, err := signin.New(signin.Options{
		Providers: []signin.Settings{{Name: "idp", Issuer: w.URL, ClientID: "console"}}, BaseURL: "https://sallyport.example.com",
		Gate: jose.Gate{LoopbackHTTP: true}, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	now = time.Now()
	p := ps.Find("acme", "idp")
	w.down = true
	var told *domain.Error
	if _, _, err := p.Begin(t.Context(), "acme", "", ""); !errors.As(err, &told) || told.Code != "sign_in.unavailable" {
		t.Fatalf("of a provider that is down: %v", err)
	}
	w.down = false
	now = now.Add(time.Minute)
	for range 3 {
		if to, _, err := p.Begin(t.Context(), "acme", "", ""); err != nil || !strings.HasPrefix(to, w.URL+"/authorize?") {
			t.Fatalf("%q, %v", to, err)
		}
	}
	if w.fetched != 1 {
		t.Errorf("it was fetched %d times", w.fetched)
	}
	w.down = true
	now = now.Add(2 * time.Hour)
	if _, _, err := p.Begin(t.Context(), "acme", "", ""); err != nil {
		t.Errorf("in an outage: %v", err)
	}
}

// A provider that is slow to say again what it is holds up nobody.
func TestASlowProviderHoldsUpNobodyWhoKnowsItAlready(t *testing.T) {
	w := newWorld(t)
	hold, asked := make(chan struct{}), make(chan struct{}, 10)
	var slow atomic.Bool
	w.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if slow.Load() {
			asked <- struct{}{}
			<-hold
		}
		w.serve(rw, r)
	})
	var hours atomic.Int64
	began := time.Now()
	ps, err := signin.New(signin.Options{
		Providers: []signin.Settings{{Name: "idp", Issuer: w.URL, ClientID: "console"}}, BaseURL: "https://sallyport.example.com",
		Gate: jose.Gate{LoopbackHTTP: true}, Now: func() time.Time { return began.Add(time.Duration(hours.Load()) * time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	p := ps.Find("acme", "idp")
	if _, _, err := p.Begin(t.Context(), "acme", "", ""); err != nil {
		t.Fatal(err)
	}
	slow.Store(true)
	hours.Store(2)
	for range 3 {
		if _, _, err := p.Begin(t.Context(), "acme", "", ""); err != nil {
			t.Error(err)
		}
	}
	<-asked
	close(hold)
	if len(asked) > 0 {
		t.Error("it is asked by everybody at once")
	}
}

func TestADiscoveryThatLeadsElsewhereIsRefused(t *testing.T) {
	for name, change := range map[string]map[string]any{
		"another issuer":                 {"issuer": "https://evil.example.com"},
		"keys where we must not look":    {"jwks_uri": "http://169.254.169.254/latest"},
		"a token endpoint without https": {"token_endpoint": "http://example.com/token"},
	} {
		w := newWorld(t)
		maps.Copy(w.discovery, change)
		p := w.provider(t, nil)
		to, a, err := p.Begin(t.Context(), "acme", "", "")
		if err == nil {
			u, _ := url.Parse(to)
			w.claims = map[string]any{"iss": w.URL, "sub": "00u1", "aud": "console", "exp": time.Now().Add(time.Minute).Unix(), "nonce": u.Query().Get("nonce")}
			_, err = p.Finish(t.Context(), a, url.Values{"state": {a.State}, "code": {"c"}})
		}
		if err == nil {
			t.Errorf("%s: somebody was signed in", name)
		}
	}
}

// Who controls one organisation's provider is nobody in another.
func TestAProviderIsOfItsOrganisations(t *testing.T) {
	settings := func(name domain.Name, orgs ...domain.Name) signin.Settings {
		return signin.Settings{Name: name, Issuer: "https://login.example.com", ClientID: "console", Organisations: orgs}
	}
	ps, err := signin.New(signin.Options{BaseURL: "https://sallyport.example.com", Providers: []signin.Settings{settings("everybody"), settings("theirs", "acme"), settings("both", "acme", "globex")}})
	if err != nil {
		t.Fatal(err)
	}
	for org, want := range map[domain.Name][]domain.Name{"acme": {"everybody", "theirs", "both"}, "globex": {"everybody", "both"}, "initech": {"everybody"}} {
		var got []domain.Name
		for _, p := range ps.Of(org) {
			got = append(got, p.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s signs in at %v, want %v", org, got, want)
		}
	}
	if ps.Find("globex", "theirs") != nil || ps.Find("acme", "theirs") == nil {
		t.Error("a provider is found by another organisation, or not by its own")
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	for name, s := range map[string]signin.Settings{
		"names trusted of a real provider": {Name: "okta", Issuer: "https://login.example.com", ClientID: "console", TrustNames: true},
		"an issuer without https":          {Name: "okta", Issuer: "http://login.example.com", ClientID: "console"},
		"no client":                        {Name: "okta", Issuer: "https://login.example.com"},
	} {
		if _, err := signin.New(signin.Options{Providers: []signin.Settings{s}, BaseURL: "https://sallyport.example.com", Gate: jose.Gate{LoopbackHTTP: true}}); err == nil {
			t.Errorf("%s is allowed", name)
		}
	}
}
