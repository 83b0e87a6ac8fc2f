package exchange_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/issuer"
	"sallyport.dev/handlers/organisation/orgtest"
)

const (
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	jwtBearer     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	typeJWT       = "urn:ietf:params:oauth:token-type:jwt"
	subject       = "repo:acme/app:ref:refs/heads/main"
)

// edge is a world with its token endpoint reached over real HTTP.
type edge struct {
	*orgtest.World
	URL      string
	exchange *exchange.Exchange
	t        testing.TB
	unclear  atomic.Int64 // answers that it is not known whether a token was recorded
}

func newEdge(t testing.TB) *edge { return newEdgeWith(t, exchange.Options{}) }

func newEdgeWith(t testing.TB, opt exchange.Options) *edge {
	t.Helper()
	w := orgtest.New(t)
	e := api.New(api.Options{Log: orgtest.Quiet()})
	g := e.Group("/orgs/default")
	x := exchange.New(w.Organisation, opt)
	t.Cleanup(x.Close)
	x.Mount(g)
	issuer.New(w.Organisation, nil).Mount(e, g)
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	return &edge{World: w, URL: s.URL + "/orgs/default", exchange: x, t: t}
}

// reply is what an endpoint answered.
type reply struct {
	Status int
	Header http.Header
	Body   map[string]any
}

func (r reply) text(name string) string { s, _ := r.Body[name].(string); return s }

func (e *edge) send(path, contentType, body string, headers ...string) reply {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodPost, e.URL+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	r := reply{Status: resp.StatusCode, Header: resp.Header}
	if err := json.Unmarshal(b, &r.Body); err != nil {
		e.t.Fatalf("the answer is not JSON: %s", b)
	}
	return r
}

// ask sends a form to the token endpoint.
func (e *edge) ask(f url.Values) reply {
	e.t.Helper()
	return e.send("/token", "application/x-www-form-urlencoded", f.Encode())
}

// form is a token exchange of a proof at a connection.
func form(proof string, more ...string) url.Values {
	f := url.Values{"grant_type": {tokenExchange}, "subject_token": {proof}, "subject_token_type": {typeJWT}}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] == "" {
			f.Del(more[i])
		} else {
			f.Add(more[i], more[i+1])
		}
	}
	return f
}

func (e *edge) introspect(tok string) reply {
	e.t.Helper()
	return e.send("/introspect", "application/x-www-form-urlencoded", url.Values{"token": {tok}}.Encode(),
		"Authorization", "Bearer "+e.Token("auditor", domain.Auditor))
}

// decisions are the events about tokens after a position. Key sets are observed
// in the background, at moments of their own.
func (e *edge) decisions(after domain.Position) (events []domain.Envelope) {
	e.t.Helper()
	for _, ev := range e.Events() {
		if after.Less(ev.Position) && strings.HasPrefix(ev.Type, "token.") {
			events = append(events, ev)
		}
	}
	return events
}

func (e *edge) lastDecision() domain.Envelope {
	e.t.Helper()
	all := e.decisions(domain.Position{})
	return all[len(all)-1]
}

func TestAProofBecomesATokenThatIsInTheLog(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "RS256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	before := e.Last()

	r := e.ask(form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, map[string]any{"ref": "main", "n": 1.5})), "connection", "ci", "role_hint", "deployer"))
	if r.Status != 200 || r.text("token_type") != "Bearer" || r.Body["expires_in"] != 900.0 ||
		r.text("issued_token_type") != "urn:ietf:params:oauth:token-type:access_token" || r.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("answer %d %v", r.Status, r.Body)
	}
	if _, refresh := r.Body["refresh_token"]; refresh {
		t.Error("there is a refresh token")
	}
	claims, holds := e.ReadToken(r.text("access_token"))
	if !holds {
		t.Fatalf("the token does not hold: %v", claims)
	}
	want := map[string]any{
		"iss": e.Issuer(), "aud": e.Issuer(), "sub": "workload://default/ci/repo:acme%2Fapp:ref:refs%2Fheads%2Fmain",
		"client_id": "workload://default/ci", "cid": "workload://default/ci",
	}
	for name, v := range want {
		if claims[name] != v {
			t.Errorf("%s = %v, want %v", name, claims[name], v)
		}
	}
	mark := claims["sallyport"].(map[string]any)
	if mark["identity"] != subject || mark["role_hint"] != "deployer" || mark["claims"].(map[string]any)["ref"] != "main" {
		t.Errorf("sallyport = %v", mark)
	}
	decided := e.decisions(before)
	if len(decided) != 1 || decided[0].Type != "token.issued" {
		t.Fatalf("events %v, want one token.issued", decided)
	}
	last := decided[0]
	if issued := last.Event.(token.WasIssued); issued.ID != claims["jti"] || last.Actor != want["sub"] || issued.Proof.SkewSeconds != 30 {
		t.Errorf("event %+v by %s", issued, last.Actor)
	}
	if last.RequestID != r.Header.Get("X-Request-Id") {
		t.Errorf("the event names request %q, the answer %q", last.RequestID, r.Header.Get("X-Request-Id"))
	}
}

func TestEveryOtherWayToAskGetsTheSameDecision(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	mint := func() string { return p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)) }
	for name, f := range map[string]url.Values{
		"token exchange with an id_token":         form(mint(), "subject_token_type", "", "subject_token_type", "urn:ietf:params:oauth:token-type:id_token", "connection", "ci"),
		"the connection by audience":              form(mint(), "audience", e.Issuer()+"/connections/ci"),
		"the connection by audience and by name":  form(mint(), "audience", e.Issuer()+"/connections/ci", "connection", "ci"),
		"no connection: found by iss":             form(mint()),
		"our own audience named":                  form(mint(), "connection", "ci", "audience", e.Issuer()),
		"the same audience as audience, resource": form(mint(), "connection", "ci", "audience", e.Issuer(), "resource", e.Issuer()),
		"jwt-bearer":                      {"grant_type": {jwtBearer}, "assertion": {mint()}, "connection": {"ci"}},
		"jwt-bearer without a connection": {"grant_type": {jwtBearer}, "assertion": {mint()}},
		"an unknown parameter":            form(mint(), "connection", "ci", "tenant", "x"),
	} {
		t.Run(name, func(t *testing.T) {
			if r := e.ask(f); r.Status != 200 {
				t.Errorf("%d %v", r.Status, r.Body)
			}
		})
	}
}

// TestWaysToATokenThatOneShouldNotGet is the list of attacks on this endpoint:
// each is refused with the code given, and none leaves a token.issued.
func TestWaysToATokenThatOneShouldNotGet(t *testing.T) {
	e := newEdge(t)
	p, other := orgtest.NewProvider(t, "RS256"), orgtest.NewProvider(t, "RS256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	single := p.Spec(e.Issuer(), "once")
	single.SingleUse = true
	e.Activated("once", single)
	e.Activated("twin-a", other.Spec(e.Issuer(), "twin"))
	e.Activated("twin-b", other.Spec(e.Issuer(), "twin"))
	e.Activated("off", p.Spec(e.Issuer(), "off"))
	e.Do(e.Meta("security", domain.SecurityAdmin), "off", connection.Deactivate{Version: 1})
	e.Activated("gone", p.Spec(e.Issuer(), "gone"))
	e.Do(e.Meta("security", domain.SecurityAdmin), "gone", connection.Deactivate{Version: 1})
	e.Do(e.Meta("security", domain.SecurityAdmin), "gone", connection.Delete{Version: 1})
	draft, err := connection.Complete(p.Spec(e.Issuer(), subject), e.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	e.Do(e.Meta("devops", domain.DevOpsAdmin), "draft", connection.Draft{Name: "draft", Spec: draft})

	now := e.Now()
	good := func(changes map[string]any) string { return p.Mint(p.Claims(now, e.Issuer(), subject, changes)) }
	fine := good(nil)
	header, rest, _ := strings.Cut(fine, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	_, rest, _ = strings.Cut(good(map[string]any{"jti": "promoted"}), ".")
	promoted, _, _ := strings.Cut(rest, ".")
	once := p.Mint(p.Claims(now, e.Issuer(), "once", map[string]any{"jti": "a"}))
	if r := e.ask(form(once, "connection", "once")); r.Status != 200 {
		t.Fatalf("the first use: %d %v", r.Status, r.Body)
	}
	ours := e.ask(form(fine, "connection", "ci")).text("access_token")
	if ours == "" {
		t.Fatal("no token to attack with")
	}
	before := e.Last()

	for _, tt := range []struct {
		name, code, oauth string
		status            int
		form              url.Values
	}{
		{"a connection that does not exist", "connection.unknown", "invalid_request", 400, form(fine, "connection", "nobody")},
		{"a connection name that is no name", "connection.unknown", "invalid_request", 400, form(fine, "connection", "../ci")},
		{"a deleted connection", "connection.unknown", "invalid_request", 400, form(p.Mint(p.Claims(now, e.Issuer(), "gone", nil)), "connection", "gone")},
		{"an unknown connection by audience", "connection.unknown", "invalid_target", 400, form(fine, "audience", e.Issuer()+"/connections/nobody")},
		{"a draft that the proof satisfies", "connection.draft", "invalid_request", 400, form(fine, "connection", "draft")},
		{"an inactive connection", "connection.inactive", "invalid_request", 400, form(p.Mint(p.Claims(now, e.Issuer(), "off", nil)), "connection", "off")},
		{"another audience than the connection lists", "audience.not_allowed", "invalid_target", 400, form(fine, "connection", "ci", "audience", "https://aws.example")},
		{"two audiences at once", "audience.not_allowed", "invalid_target", 400, form(fine, "connection", "ci", "audience", "https://a.example", "resource", "https://b.example")},
		{"two connections at once", "request.invalid", "invalid_request", 400, form(fine, "connection", "ci", "audience", e.Issuer()+"/connections/off")},
		{"another subject", "proof.conditions", "invalid_request", 400, form(good(map[string]any{"sub": subject + "-evil"}), "connection", "ci")},
		{"another audience in the proof", "proof.conditions", "invalid_request", 400, form(good(map[string]any{"aud": "https://other.example"}), "connection", "ci")},
		{"no issuer", "proof.conditions", "invalid_request", 400, form(good(map[string]any{"iss": nil}), "connection", "ci")},
		{"another provider's key", "proof.unknown_key", "invalid_request", 400, form(other.Mint(p.Claims(now, e.Issuer(), subject, nil)), "connection", "ci")},
		{"an expired proof", "proof.expired", "invalid_request", 400, form(good(map[string]any{"iat": now.Unix() - 600, "exp": now.Unix() - 31}), "connection", "ci")},
		{"a proof of the future", "proof.not_yet_valid", "invalid_request", 400, form(good(map[string]any{"iat": now.Unix() + 120, "exp": now.Unix() + 600}), "connection", "ci")},
		{"a proof without exp", "proof.malformed", "invalid_request", 400, form(good(map[string]any{"exp": nil}), "connection", "ci")},
		{"a changed payload", "proof.signature", "invalid_request", 400, form(header+"."+promoted+"."+signature, "connection", "ci")},
		{"alg none", "proof.algorithm", "invalid_request", 400, form("eyJhbGciOiJub25lIiwia2lkIjoieCJ9."+payload+".AA", "connection", "ci")},
		{"no signature", "proof.malformed", "invalid_request", 400, form(header+"."+payload+".", "connection", "ci")},
		{"a line end behind the proof", "proof.malformed", "invalid_request", 400, form(fine+"\n", "connection", "ci")},
		{"our own token as a proof", "proof.malformed", "invalid_request", 400, form(ours, "connection", "ci")},
		{"a proof that was used before", "proof.replayed", "invalid_request", 400, form(once, "connection", "once")},
		{"no connection, and two that fit", "connection.ambiguous", "invalid_request", 400, form(other.Mint(other.Claims(now, e.Issuer(), "twin", nil)))},
		{"no connection, and an issuer nobody trusts", "connection.unknown", "invalid_request", 400, form(good(map[string]any{"iss": "https://evil.example"}))},
		{"no connection, and an issuer only a draft trusts", "connection.unknown", "invalid_request", 400, form(good(map[string]any{"iss": "https://draft.example"}))},
		{"the same by jwt-bearer is invalid_grant", "proof.conditions", "invalid_grant", 400, url.Values{"grant_type": {jwtBearer}, "assertion": {good(map[string]any{"sub": "x"})}, "connection": {"ci"}}},
		{"a scope", "request.invalid", "invalid_scope", 400, form(fine, "connection", "ci", "scope", "admin")},
		{"a refresh", "request.invalid", "unsupported_grant_type", 400, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}},
		{"a password", "request.invalid", "unsupported_grant_type", 400, url.Values{"grant_type": {"password"}}},
		{"no grant type", "request.invalid", "invalid_request", 400, url.Values{}},
		{"no proof", "request.invalid", "invalid_request", 400, form("", "subject_token", "", "connection", "ci")},
		{"an actor token", "request.invalid", "invalid_request", 400, form(fine, "connection", "ci", "actor_token", "x")},
		{"a SAML assertion", "request.invalid", "invalid_request", 400, form(fine, "subject_token_type", "", "subject_token_type", "urn:ietf:params:oauth:token-type:saml2", "connection", "ci")},
		{"a refresh token as the requested type", "request.invalid", "invalid_request", 400, form(fine, "connection", "ci", "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")},
		{"a proof in place of an audience", "request.invalid", "invalid_request", 400, form(fine, "connection", "ci", "audience", fine)},
		{"a proof in place of a hint", "request.invalid", "invalid_request", 400, form(fine, "connection", "ci", "role_hint", fine[:200])},
		{"a bad name by jwt-bearer is invalid_grant", "connection.unknown", "invalid_grant", 400, url.Values{"grant_type": {jwtBearer}, "assertion": {fine}, "connection": {"ZZ"}}},
		{"the proof twice", "request.invalid", "invalid_request", 400, form(fine, "subject_token", fine, "connection", "ci")},
		{"the connection twice", "request.invalid", "invalid_request", 400, form(fine, "connection", "ci", "connection", "off")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := e.ask(tt.form)
			if r.Status != tt.status || r.text("error") != tt.oauth || r.text("error_code") != tt.code {
				t.Errorf("%d %v, want %d %s %s", r.Status, r.Body, tt.status, tt.oauth, tt.code)
			}
			if r.text("request_id") == "" || r.text("request_id") != r.Header.Get("X-Request-Id") {
				t.Errorf("request_id %q, header %q", r.text("request_id"), r.Header.Get("X-Request-Id"))
			}
			if r.text("access_token") != "" {
				t.Error("there is a token in a refusal")
			}
			if d := r.text("error_description"); d == "" || strings.ContainsAny(d, `"\`) || strings.Contains(d, subject) {
				t.Errorf("description %q", d)
			}
		})
	}
	for _, ev := range e.decisions(before) {
		if ev.Type != "token.denied" {
			t.Errorf("an attack left a %s", ev.Type)
		}
	}
}

func TestOfSeveralConnectionsOfAnIssuerTheOneThatFitsDecides(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	narrow := p.Spec(e.Issuer(), subject)
	for _, name := range []string{"a", "b", "c"} {
		narrow.Conditions = append(narrow.Conditions, claim.Condition{Claim: claim.Path(name), Operator: claim.Equals, Value: "yes"})
	}
	e.Activated("narrow", narrow)
	e.Activated("wide", p.Spec(e.Issuer(), subject))
	// It meets five of narrow's six conditions, and all three of wide's.
	r := e.ask(form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, map[string]any{"a": "yes", "b": "yes"}))))
	if d, ok := e.lastDecision().Event.(token.WasIssued); r.Status != 200 || !ok || d.Connection != "wide" {
		t.Errorf("%d %v: %+v", r.Status, r.Body, e.lastDecision().Event)
	}
	// It fits neither: the denial explains the one it came closest to.
	r = e.ask(form(p.Mint(p.Claims(e.Now(), e.Issuer(), "other", map[string]any{"a": "yes", "b": "yes"}))))
	if d, ok := e.lastDecision().Event.(token.WasDenied); r.text("error_code") != "proof.conditions" || !ok || d.Connection != "narrow" {
		t.Errorf("%d %v: %+v", r.Status, r.Body, e.lastDecision().Event)
	}
}

func TestWhatIsNotAFormIsRefused(t *testing.T) {
	e := newEdge(t)
	const encoded = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name, path, contentType, body string
		headers                       []string
		status                        int
		oauth                         string
	}{
		{"JSON", "/token", "application/json", `{"grant_type":"x"}`, nil, 400, "invalid_request"},
		{"multipart", "/token", "multipart/form-data; boundary=x", "--x--", nil, 400, "invalid_request"},
		{"another charset", "/token", encoded + "; charset=utf-16", "grant_type=x", nil, 400, "invalid_request"},
		{"a query", "/token?grant_type=x", encoded, "grant_type=x", nil, 400, "invalid_request"},
		{"a broken escape", "/token", encoded, "grant_type=%zz", nil, 400, "invalid_request"},
		{"bytes that are not UTF-8", "/token", encoded, "grant_type=%ff", nil, 400, "invalid_request"},
		{"a control character", "/token", encoded, "grant_type=a%00b", nil, 400, "invalid_request"},
		{"a name alone", "/token", encoded, "grant_type", nil, 400, "invalid_request"},
		{"33 parameters", "/token", encoded, strings.Repeat("a=b&", 32) + "c=d", nil, 400, "invalid_request"},
		{"a long hint", "/token", encoded, "grant_type=" + url.QueryEscape(tokenExchange) + "&subject_token=a&subject_token_type=" + url.QueryEscape(typeJWT) + "&role_hint=" + strings.Repeat("a", 300), nil, 400, "invalid_request"},
		{"64 KiB and a byte", "/token", encoded, "subject_token=" + strings.Repeat("a", 64<<10), nil, 413, "invalid_request"},
		{"a client secret", "/token", encoded, "grant_type=x", []string{"Authorization", "Basic eDp5"}, 401, "invalid_client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := e.send(tt.path, tt.contentType, tt.body, tt.headers...)
			if r.Status != tt.status || r.text("error") != tt.oauth {
				t.Errorf("%d %v, want %d %s", r.Status, r.Body, tt.status, tt.oauth)
			}
		})
	}
	if got := e.Types(domain.Position{}); strings.Contains(strings.Join(got, " "), "token.") {
		t.Errorf("strangers' noise is in the log: %v", got)
	}
}

func TestDenialsBeyondARateAreCountedNotWritten(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	bad := form(p.Mint(p.Claims(e.Now(), e.Issuer(), "somebody else", nil)), "connection", "ci")
	const asked = 120 // of one source: 40 at once and one in two seconds are written
	begun := time.Now()
	for range asked {
		if r := e.ask(bad); r.text("error_code") != "proof.conditions" {
			t.Fatalf("%d %v", r.Status, r.Body)
		}
	}
	most := 41 + int(time.Since(begun)/(2*time.Second))
	e.exchange.Close()
	var written, counted int
	for _, ev := range e.decisions(domain.Position{}) {
		switch d := ev.Event.(type) {
		case token.WasDenied:
			written++
		case token.DenialsWereSuppressed:
			counted += int(d.Count)
			if d.Source != "127.0.0.1" || d.Codes["proof.conditions"] != d.Count || d.Connection != "ci" {
				t.Errorf("the count says %+v", d)
			}
		}
	}
	if written+counted != asked || written > most || written < 40 {
		t.Errorf("%d denials: %d written (at most %d), %d counted", asked, written, most, counted)
	}
}

func TestADenialIsExplainedInTheLogAlone(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "RS256")
	spec := p.Spec(e.Issuer(), subject)
	spec.Conditions = append(spec.Conditions, claim.Condition{Claim: "ref", Operator: claim.Equals, Value: "main"})
	e.Activated("ci", spec)
	r := e.ask(form(p.Mint(p.Claims(e.Now(), e.Issuer(), strings.ToUpper(subject), map[string]any{"ref": "dev"})), "connection", "ci"))
	if r.text("error_code") != "proof.conditions" {
		t.Fatalf("%v", r.Body)
	}
	denied, ok := e.lastDecision().Event.(token.WasDenied)
	if !ok {
		t.Fatalf("the last decision is %T", e.lastDecision().Event)
	}
	failed := map[string]string{}
	for _, c := range denied.Checks {
		if c.Result == "fail" {
			failed[c.Claim] = c.Actual + ": " + c.Message
		}
	}
	if len(failed) != 2 || !strings.Contains(failed["sub"], "case") || !strings.HasPrefix(failed["ref"], "dev") {
		t.Errorf("failed checks: %v", failed)
	}
}

func TestNoKeysAreFetchedForAnInactiveConnectionOrABadAlgorithm(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "RS256")
	e.Activated("off", p.Spec(e.Issuer(), subject))
	e.Do(e.Meta("security", domain.SecurityAdmin), "off", connection.Deactivate{Version: 1})
	e.Activated("on", p.Spec(e.Issuer(), subject))
	good := p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil))
	_, rest, _ := strings.Cut(good, ".")
	e.ask(form(good, "connection", "off"))
	e.ask(form("eyJhbGciOiJIUzI1NiIsImtpZCI6IngifQ."+rest, "connection", "on"))
	if n := p.Fetched.Load(); n != 0 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestAnInactiveConnectionsTokensSleepAndARevokedGenerationsDie(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	security := func() domain.Meta { return e.Meta("security", domain.SecurityAdmin) }
	tok := e.ask(form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)), "connection", "ci")).text("access_token")
	active := func(want bool, when string) {
		t.Helper()
		r := e.introspect(tok)
		if r.Status != 200 || r.Body["active"] != want {
			t.Fatalf("%s: %d %v, want active %v", when, r.Status, r.Body, want)
		}
		if !want && len(r.Body) != 1 {
			t.Errorf("%s: an inactive token tells %v", when, r.Body)
		}
	}
	active(true, "fresh")
	e.Do(security(), "ci", connection.Deactivate{Version: 1})
	active(false, "while the connection is inactive")
	e.Activate("ci")
	active(true, "after it was activated again")
	e.Do(security(), "ci", connection.Deactivate{Version: 1, RevokeTokens: true})
	active(false, "after its tokens were revoked")
	e.Activate("ci")
	active(false, "a revoked token after activation")
	tok = e.ask(form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)), "connection", "ci")).text("access_token")
	active(true, "a token of the new generation")
	e.Advance(15 * time.Minute)
	active(false, "after it expired")
}

func TestIntrospectionIsForAdminsAuditorsAndWorkloads(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	spec := p.Spec(e.Issuer(), subject)
	spec.Audiences = []string{"https://aws.example"}
	e.Activated("ci", spec)
	mint := func(more ...string) string {
		return e.ask(form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)), append(more, "connection", "ci")...)).text("access_token")
	}
	own, foreign := mint(), mint("audience", "https://aws.example")
	if own == "" || foreign == "" {
		t.Fatal("no tokens")
	}
	for _, tt := range []struct {
		name, bearer string
		status       int
	}{
		{"an owner", e.Token("owner", domain.Owner), 200},
		{"a devops admin", e.Token("devops", domain.DevOpsAdmin), 200},
		{"an auditor", e.Token("auditor", domain.Auditor), 200},
		{"a workload", own, 200},
		{"a workload's token for somebody else", foreign, 401},
		{"a member", e.Token("alice", domain.Member), 401},
		{"nobody", "", 401},
		{"a guess", "sallyport_AAAA", 401},
		{"a cut token", own[:len(own)-1], 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var headers []string
			if tt.bearer != "" {
				headers = []string{"Authorization", "Bearer " + tt.bearer}
			}
			r := e.send("/introspect", "application/x-www-form-urlencoded", url.Values{"token": {foreign}}.Encode(), headers...)
			if r.Status != tt.status {
				t.Errorf("%d %v, want %d", r.Status, r.Body, tt.status)
			}
			if tt.status == 200 && (r.Body["active"] != true || r.Body["aud"] != "https://aws.example") {
				t.Errorf("%v", r.Body)
			}
		})
	}
}

func TestATokenForAnotherAudienceIsRS256AndCarriesOnlyWhatIsListed(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	spec := p.Spec(e.Issuer(), subject)
	spec.Audiences, spec.AudienceClaims = []string{"https://aws.example"}, []string{"ref"}
	e.Activated("ci", spec)
	r := e.ask(form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, map[string]any{"ref": "main", "secret": "x"})), "connection", "ci", "resource", "https://aws.example"))
	claims, holds := e.ReadToken(r.text("access_token"))
	if !holds || claims["aud"] != "https://aws.example" {
		t.Fatalf("%v %v", r.Body, claims)
	}
	got := claims["sallyport"].(map[string]any)["claims"].(map[string]any)
	if len(got) != 1 || got["ref"] != "main" {
		t.Errorf("it carries %v, want ref alone", got)
	}
	if alg := e.lastDecision().Event.(token.WasIssued).Algorithm; alg != "RS256" {
		t.Errorf("signed with %s, want RS256", alg)
	}
}
