package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/e2e/contract"
	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/organisation/orgtest"
)

const publicBase = "https://sallyport.example.com/orgs/"

// answered is what came back.
type answered struct {
	*http.Response
	raw  string
	body map[string]any
}

func (r answered) text(name string) string { s, _ := r.body[name].(string); return s }

// send asks the running server; headers come in pairs, Host among them.
func (r *running) send(t *testing.T, method, path, body string, headers ...string) (out answered) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	if out.Response, err = http.DefaultTransport.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	out.raw = string(b)
	_ = json.Unmarshal(b, &out.body) // what is no JSON has none
	return out
}

func (r *running) form(t *testing.T, path string, f url.Values, headers ...string) answered {
	t.Helper()
	return r.send(t, "POST", path, f.Encode(), append(headers, "Content-Type", "application/x-www-form-urlencoded")...)
}

// tenancy is a server with the organisations default and acme, each with its
// own people and a connection ci to the same provider.
type tenancy struct {
	*running
	provider *orgtest.Provider
	tokens   map[string]map[domain.Role]string // by organisation
}

func twoTenants(t *testing.T) *tenancy {
	t.Helper()
	return twoTenantsWith(t, func(*Main) {})
}

// twoTenantsWith is twoTenants on a server that is changed before it starts.
func twoTenantsWith(t *testing.T, change func(*Main)) *tenancy {
	t.Helper()
	r := start(t, func(m *Main) { m.Gate = jose.Gate{LoopbackHTTP: true}; change(m) })
	x := &tenancy{running: r, provider: orgtest.NewProvider(t, "ES256"), tokens: map[string]map[domain.Role]string{}}
	for _, org := range []string{"default", "acme"} {
		x.tokens[org] = map[domain.Role]string{}
		for person, role := range map[string]domain.Role{"dana": domain.DevOpsAdmin, "sara": domain.SecurityAdmin, "olga": domain.Owner, "otto": domain.Auditor} {
			made, err := r.host.CreateToken(t.Context(), org, host.TokenRequest{Person: person, Role: role, TTL: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			x.tokens[org][role] = made.Token
		}
		x.draft(t, org, "ci")
		if a := x.json(t, org, domain.SecurityAdmin, "POST", "/connections/ci/activate", "{}", "If-Match", `"1"`); a.StatusCode != 200 {
			t.Fatalf("activating in %s: %d %s", org, a.StatusCode, a.raw)
		}
	}
	return x
}

func (x *tenancy) draft(t *testing.T, org, name string) {
	t.Helper()
	doc, err := json.Marshal(map[string]any{"name": name, "provider": "generic_jwt", "jwks_url": x.provider.URL + "/jwks", "conditions": []map[string]string{
		{"claim": "iss", "operator": "equals", "value": x.provider.URL},
		{"claim": "aud", "operator": "equals", "value": publicBase + org},
		{"claim": "sub", "operator": "equals", "value": "job"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if d := x.json(t, org, domain.DevOpsAdmin, "POST", "/connections", string(doc)); d.StatusCode != 201 {
		t.Fatalf("drafting in %s: %d %s", org, d.StatusCode, d.raw)
	}
}

// json asks the API of an organisation as one of its people.
func (x *tenancy) json(t *testing.T, org string, who domain.Role, method, path, body string, headers ...string) answered {
	t.Helper()
	headers = append(headers, "Authorization", "Bearer "+x.tokens[org][who], "Content-Type", "application/json")
	return x.send(t, method, "/orgs/"+org+"/v1"+path, body, headers...)
}

func (x *tenancy) exchange(t *testing.T, org, proof string, more ...string) answered {
	t.Helper()
	f := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {proof},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}}
	for i := 0; i+1 < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return x.form(t, "/orgs/"+org+"/token", f)
}

func (x *tenancy) proof(org string) string {
	return x.provider.Mint(x.provider.Claims(time.Now(), publicBase+org, "job", nil))
}

// Two organisations of one server, with connections of one name to one
// provider, are strangers to each other.
func TestWhatIsGoodInOneOrganisationIsNothingInAnother(t *testing.T) {
	x := twoTenants(t)
	x.draft(t, "default", "only-here")
	bearer := func(org string, who domain.Role) []string {
		return []string{"Authorization", "Bearer " + x.tokens[org][who]}
	}

	t.Run("a proof", func(t *testing.T) {
		for _, more := range [][]string{{"connection", "ci"}, {"audience", publicBase + "acme/connections/ci"}} {
			if r := x.exchange(t, "acme", x.proof("default"), more...); r.StatusCode != 400 || r.text("error_code") != "proof.conditions" || r.text("access_token") != "" {
				t.Errorf("%v: %d %s", more, r.StatusCode, r.raw)
			}
		}
	})
	t.Run("the name of a connection", func(t *testing.T) {
		for _, more := range [][]string{{"connection", "only-here"}, {"audience", publicBase + "default/connections/ci"}, {"connection", "default/ci"}} {
			if r := x.exchange(t, "acme", x.proof("acme"), more...); r.StatusCode != 400 || r.text("access_token") != "" {
				t.Errorf("%v: %d %s", more, r.StatusCode, r.raw)
			}
		}
	})
	tok := x.exchange(t, "default", x.proof("default"), "connection", "ci").text("access_token")
	if tok == "" {
		t.Fatal("no token at all")
	}
	t.Run("a token, looked at", func(t *testing.T) {
		asked := url.Values{"token": {tok}}
		if r := x.form(t, "/orgs/default/introspect", asked, bearer("default", domain.Auditor)...); r.body["active"] != true {
			t.Fatalf("at home: %s", r.raw)
		}
		if r := x.form(t, "/orgs/acme/introspect", asked, bearer("acme", domain.Auditor)...); r.StatusCode != 200 || strings.TrimSpace(r.raw) != `{"active":false}` {
			t.Errorf("at the other: %d %s", r.StatusCode, r.raw)
		}
	})
	t.Run("a token under the other's kid", func(t *testing.T) {
		other := x.exchange(t, "acme", x.proof("acme"), "connection", "ci").text("access_token")
		header, _, _ := strings.Cut(other, ".")
		_, rest, _ := strings.Cut(tok, ".")
		for _, org := range []string{"default", "acme"} {
			if r := x.form(t, "/orgs/"+org+"/introspect", url.Values{"token": {header + "." + rest}}, bearer(org, domain.Auditor)...); r.body["active"] != false {
				t.Errorf("at %s: %s", org, r.raw)
			}
		}
	})
	t.Run("who may look", func(t *testing.T) {
		for name, secret := range map[string]string{"a workload": tok, "an auditor": x.tokens["default"][domain.Auditor], "an owner": x.tokens["default"][domain.Owner]} {
			if r := x.form(t, "/orgs/acme/introspect", url.Values{"token": {tok}}, "Authorization", "Bearer "+secret); r.StatusCode != 401 {
				t.Errorf("%s of the other organisation: %d %s", name, r.StatusCode, r.raw)
			}
		}
	})
	t.Run("a token, as a proof", func(t *testing.T) {
		if r := x.exchange(t, "acme", tok, "connection", "ci"); r.text("error_code") != "proof.malformed" {
			t.Errorf("%d %s", r.StatusCode, r.raw)
		}
	})
	t.Run("an API token, on every route", func(t *testing.T) { x.everyRouteIsForeign(t) })
	t.Run("a key of the SSH authority", func(t *testing.T) {
		trusted := func(org string) []string {
			r := x.send(t, "GET", "/orgs/"+org+"/ssh/ca.pub", "")
			lines := strings.Split(strings.TrimSpace(r.raw), "\n")
			if r.StatusCode != 200 || len(lines) != 2 || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") || r.Header.Get("Cache-Control") != "public, max-age=300" {
				t.Fatalf("%s: %d %v %s", org, r.StatusCode, r.Header, r.raw)
			}
			return lines
		}
		for _, line := range trusted("default") {
			key, comment, _ := strings.Cut(strings.TrimPrefix(line, "ssh-ed25519 "), " ")
			if comment != "sallyport-default" || strings.Contains(strings.Join(trusted("acme"), "\n"), key) {
				t.Errorf("%s is the other's, too, or says that it is somebody else's", line)
			}
		}
	})
	t.Run("an event", func(t *testing.T) {
		if r := x.send(t, "GET", "/orgs/acme/v1/audit?limit=200", "", bearer("acme", domain.Auditor)...); r.StatusCode != 200 || strings.Contains(r.raw, "only-here") || strings.Contains(r.raw, `"source":"`+publicBase+`default"`) {
			t.Errorf("the other's trail shows it: %d %s", r.StatusCode, r.raw)
		}
	})
}

// everyRouteIsForeign asks every route of the document at acme with every
// person's token of default.
func (x *tenancy) everyRouteIsForeign(t *testing.T) {
	doc, err := contract.Document()
	if err != nil {
		t.Fatal(err)
	}
	routes := 0
	for path, item := range doc.Paths.Map() {
		rest, ours := strings.CutPrefix(path, "/orgs/{org}/v1")
		if !ours {
			continue
		}
		rest = regexp.MustCompile(`\{[a-z_]+\}`).ReplaceAllString(rest, "ci")
		for method := range item.Operations() {
			routes++
			for role, secret := range x.tokens["default"] {
				r := x.send(t, method, "/orgs/acme/v1"+rest, "{}", "Authorization", "Bearer "+secret, "Content-Type", "application/json", "If-Match", `"1"`)
				if r.StatusCode != 401 || r.text("code") != "api_token.unknown" {
					t.Errorf("%s %s by default's %s: %d %s", method, rest, role, r.StatusCode, r.raw)
				}
			}
		}
	}
	if routes < 13 {
		t.Errorf("%d routes were asked", routes)
	}
}

// An organisation is found under its own name and no other spelling, and what
// it says of itself comes from the configuration alone.
func TestAnOrganisationIsFoundUnderItsOwnNameAlone(t *testing.T) {
	r := start(t, nil)
	for _, suffix := range []string{"/.well-known/openid-configuration", "/jwks"} {
		for _, org := range []string{"other", "DEFAULT", "Default", "defaul", "default-", "default.", "default%2f", "default%2F..", "acme%2f..%2fdefault", "%64efault", "default;x", "default%00", "d\u00e9fault", ""} {
			if a := r.send(t, "GET", "/orgs/"+org+suffix, ""); a.StatusCode != 404 && a.StatusCode != 400 {
				t.Errorf("/orgs/%s%s: %d %s", org, suffix, a.StatusCode, a.raw)
			}
		}
	}
	for _, path := range []string{
		"/orgs/default/.well-known/openid-configuration/", "/orgs/default/jwks/", "/orgs/default//jwks", "/orgs/default%2fjwks", "/orgs/default/jwks%2f",
		"/ORGS/default/jwks", "/orgs/default/JWKS", "/.well-known/oauth-authorization-server/orgs/other", "/.well-known/oauth-authorization-server/orgs/default/",
		"/.well-known/oauth-authorization-server/orgs/DEFAULT", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/jwks",
	} {
		if a := r.send(t, "GET", path, ""); a.StatusCode != 404 {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.raw)
		}
	}
	lies := [][]string{nil, {"Host", "evil.example"}, {"X-Forwarded-Host", "evil.example"}, {"X-Forwarded-Proto", "http"}, {"Forwarded", "host=evil.example;proto=http"}, {"X-Original-URL", "/orgs/acme/jwks"}}
	for _, org := range []string{"default", "acme"} {
		for _, path := range []string{"/orgs/" + org + "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/orgs/" + org} {
			for _, lie := range lies {
				a := r.send(t, "GET", path, "", lie...)
				iss := publicBase + org
				if a.StatusCode != 200 || a.text("issuer") != iss || a.text("jwks_uri") != iss+"/jwks" || a.text("token_endpoint") != iss+"/token" || strings.Contains(a.raw, "evil") {
					t.Errorf("%s with %v: %d %s", path, lie, a.StatusCode, a.raw)
				}
			}
		}
	}
}

// What is published for verifiers may be read by any page in a browser, without
// credentials, and holds public members alone; nothing else may.
func TestOnlyWhatIsPublicIsSharedAndHoldsNothingElse(t *testing.T) {
	r := start(t, nil)
	evil := []string{"Origin", "https://evil.example"}
	for path, want := range map[string]string{
		"/orgs/default/jwks": "*", "/orgs/default/.well-known/openid-configuration": "*", "/.well-known/oauth-authorization-server/orgs/default": "*",
		"/orgs/default/v1/connections": "", "/orgs/default/v1/audit": "", "/orgs/default/token": "", "/orgs/default/introspect": "", "/livez": "", "/nothing": "",
	} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			a := r.send(t, method, path, "", append(evil, "Access-Control-Request-Method", "POST")...)
			expected := want
			if method != "GET" {
				expected = ""
			}
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != expected {
				t.Errorf("%s %s: Access-Control-Allow-Origin is %q, want %q", method, path, got, expected)
			}
			for _, name := range []string{"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods"} {
				if a.Header.Get(name) != "" {
					t.Errorf("%s %s: %s is %q", method, path, name, a.Header.Get(name))
				}
			}
		}
	}
	a := r.send(t, "GET", "/orgs/default/jwks", "")
	if got := a.Header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("Cache-Control of the keys is %q", got)
	}
	public := []string{"alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"}
	keys, _ := a.body["keys"].([]any)
	for _, k := range keys {
		for member := range k.(map[string]any) {
			if !slices.Contains(public, member) {
				t.Errorf("a published key has the member %q", member)
			}
		}
	}
	if len(keys) < 4 || len(a.body) != 1 {
		t.Errorf("the key set is %s", a.raw)
	}
}

// What operators look into is not on the port that strangers reach.
func TestNothingForOperatorsIsOnThePublicPort(t *testing.T) {
	r := start(t, nil)
	for _, path := range []string{
		"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/vars", "/debug/requests", "/varz", "/connz", "/jsz", "/healthz",
		"/orgs/default/metrics", "/orgs/default/debug/pprof/", "/orgs/default/workloads", "/orgs", "/orgs/", "/orgs/default", "/orgs/default/", "/orgs/default/revoke",
		"/config", "/env", "/admin", "/tokens", "/host",
	} {
		for _, method := range []string{"GET", "POST"} {
			if a := r.send(t, method, path, ""); a.StatusCode != 404 || a.text("code") != "route.not_found" {
				t.Errorf("%s %s: %d %s", method, path, a.StatusCode, a.raw)
			}
		}
	}
}

// Keys are never fetched from ourselves, whatever the operator allows.
func TestTheServersOwnPortIsNoProvider(t *testing.T) {
	var m *Main
	r := start(t, func(changed *Main) {
		m = changed
		m.Gate = jose.Gate{Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Ports: []uint16{m.Listener.Addr().(*net.TCPAddr).AddrPort().Port()}}
	})
	own := m.Listener.Addr().(*net.TCPAddr).AddrPort()
	if !slices.Contains(m.Gate.Self, own) {
		t.Errorf("the gate knows %v as ourselves, want %s in it", m.Gate.Self, own)
	}
	dana := []string{"Authorization", "Bearer " + r.token(t, "dana", domain.DevOpsAdmin), "Content-Type", "application/json"}
	doc := fmt.Sprintf(`{"name":"self","provider":"generic_jwt","jwks_url":"https://%s/orgs/default/jwks","conditions":[{"claim":"sub","operator":"equals","value":"x"}]}`, own)
	if a := r.send(t, "POST", "/orgs/default/v1/connections", doc, dana...); a.StatusCode != 201 {
		t.Fatalf("its address alone is a matter of dialling: %d %s", a.StatusCode, a.raw)
	}
	p := orgtest.NewProvider(t, "ES256")
	body, err := json.Marshal(map[string]string{"token": p.Mint(p.Claims(time.Now(), publicBase+"default", "x", nil))})
	if err != nil {
		t.Fatal(err)
	}
	a := r.send(t, "POST", "/orgs/default/v1/connections/self/test", string(body), dana...)
	if a.StatusCode != 200 || a.text("verdict") != "fail" || !strings.Contains(a.raw, "its address is our own") {
		t.Errorf("%d %s", a.StatusCode, a.raw)
	}
}
