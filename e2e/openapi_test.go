package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	sallyport "sallyport.dev"
	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/e2e/contract"
	"sallyport.dev/handlers/access"
	"sallyport.dev/handlers/admin"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/device"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/issuer"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/probe"
)

func TestTheOpenAPIDocumentIsSound(t *testing.T) {
	doc, err := contract.Document()
	if err != nil {
		t.Fatal(err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Errorf("openapi.yaml says it is OpenAPI %s, want 3.1", doc.OpenAPI)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s %s needs an operationId, a summary and one tag", method, path)
			}
		}
	}
}

// everything is every route of a server with one organisation, mounted as
// cmd/sallyportd mounts them.
func everything(t *testing.T, w *orgtest.World) *echo.Echo {
	t.Helper()
	e := api.New(api.Options{Log: orgtest.Quiet()})
	g := e.Group("/orgs/" + w.Name().String())
	waiting := device.New(w.Organisation, nil)
	waiting.Mount(g)
	x := exchange.New(w.Organisation, exchange.Options{
		Sources: limit.New(1000, 1000, 10), Grants: map[string]exchange.Grant{device.Grant: waiting.Token},
	})
	t.Cleanup(x.Close)
	x.Mount(g)
	issuer.New(w.Organisation, nil).Mount(e, g)
	stopping := make(chan struct{})
	t.Cleanup(func() { close(stopping) })
	admin.Mount(g, w.Organisation, admin.Options{Stopping: stopping, More: access.New(w.Organisation, access.Options{}).Routes()})
	probe.New(probe.Options{OpenAPI: sallyport.OpenAPI, Catalogue: events.New(), Log: orgtest.Quiet(), Ready: []probe.Readiness{w}}).Mount(e)
	return e
}

func TestTheOpenAPIDocumentHasEveryRouteAndNoOther(t *testing.T) {
	doc, err := contract.Document()
	if err != nil {
		t.Fatal(err)
	}
	var documented, served []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	parameter := regexp.MustCompile(`:([a-z]+)`)
	for _, r := range everything(t, orgtest.New(t)).Routes() {
		if r.Method == echo.RouteNotFound {
			continue
		}
		path := strings.Replace(r.Path, "/orgs/default", "/orgs/{org}", 1)
		served = append(served, r.Method+" "+parameter.ReplaceAllString(path, "{$1}"))
	}
	for _, d := range documented {
		if !slices.Contains(served, d) {
			t.Errorf("%s is in openapi.yaml and is not served", d)
		}
	}
	for _, s := range served {
		if !slices.Contains(documented, s) {
			t.Errorf("%s is served and is not in openapi.yaml", s)
		}
	}
}

// tour is a client whose every answer is held against openapi.yaml.
type tour struct {
	t       *testing.T
	http    *http.Client
	base    string // of the server
	issuer  string // where the organisation is served
	tokens  map[domain.Role]string
	watcher *contract.Watcher
}

func newTour(t *testing.T, w *orgtest.World) *tour {
	t.Helper()
	s := httptest.NewServer(everything(t, w))
	t.Cleanup(s.Close)
	watcher := contract.Transport(t, s.Client().Transport)
	u := &tour{t: t, http: &http.Client{Transport: watcher}, base: s.URL, issuer: s.URL + "/orgs/default", watcher: watcher, tokens: map[domain.Role]string{}}
	for _, r := range domain.Roles() {
		u.tokens[r] = w.Token(domain.Name("p-"+strings.ReplaceAll(string(r), "_", "-")), r)
	}
	return u
}

// send does one request; its status must be the one given. header is name,
// value, name, value.
func (u *tour) send(status int, method, address string, body any, header ...string) map[string]any {
	u.t.Helper()
	var send io.Reader
	typ := "application/json"
	switch b := body.(type) {
	case nil:
	case url.Values:
		send, typ = strings.NewReader(b.Encode()), "application/x-www-form-urlencoded"
	case string:
		send = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			u.t.Fatal(err)
		}
		send = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(u.t.Context(), method, address, send)
	if err != nil {
		u.t.Fatal(err)
	}
	if send != nil {
		req.Header.Set("Content-Type", typ)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := u.http.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer res.Body.Close()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return nil // it does not end
	}
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	if res.StatusCode != status {
		u.t.Errorf("%s %s answered %d, want %d: %s", method, address, res.StatusCode, status, raw)
	}
	var doc map[string]any
	if strings.Contains(res.Header.Get("Content-Type"), "json") && !strings.Contains(res.Header.Get("Content-Type"), "ndjson") && len(raw) > 0 {
		if err := json.Unmarshal(raw, &doc); err != nil {
			u.t.Errorf("%s %s answered %q: %v", method, address, raw, err)
		}
	}
	return doc
}

// as does a request of a person with that role to /v1.
func (u *tour) as(role domain.Role, status int, method, path string, body any, header ...string) map[string]any {
	u.t.Helper()
	return u.send(status, method, u.issuer+"/v1"+path, body, append(header, "Authorization", "Bearer "+u.tokens[role])...)
}

// The document is walked from end to end: whatever it says, the server does.
func TestTheServerAnswersAsTheOpenAPIDocumentSays(t *testing.T) {
	w := orgtest.New(t)
	u := newTour(t, w)
	p := orgtest.NewProvider(t, "RS256")
	u.connections(w, p)
	token := u.exchanges(w, p)
	u.devices(w)
	u.issuerAndProbes(token)
	u.settings()
	u.people(w)
	u.roles()
	u.vault()
	u.policies()
	u.access()
	u.requests()
	u.audit()
	u.endOfConnection()
	u.ssh(w)

	doc, err := contract.Document()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if !slices.ContainsFunc(u.watcher.Seen(op.OperationID), func(status int) bool { return status < 300 }) {
				t.Errorf("%s %s was never answered with success here", method, path)
			}
		}
	}
}

func (u *tour) connections(w *orgtest.World, p *orgtest.Provider) {
	u.t.Helper()
	const dev, sec = domain.DevOpsAdmin, domain.SecurityAdmin
	spec := func(more map[string]any) map[string]any {
		s := map[string]any{
			"name": "ci", "provider": "generic_jwt", "jwks_url": p.URL + "/jwks", "audiences": []string{"https://api.example.com"},
			"conditions": []map[string]any{
				{"claim": "iss", "operator": "equals", "value": p.URL},
				{"claim": "aud", "operator": "equals", "value": w.Issuer()},
				{"claim": "sub", "operator": "one_of", "values": []string{"job/1", "job/2"}},
			},
		}
		for k, v := range more {
			s[k] = v
		}
		return s
	}
	u.as(dev, 201, "POST", "/connections", spec(nil), "Idempotency-Key", "first")
	u.as(dev, 201, "POST", "/connections", spec(nil), "Idempotency-Key", "first")
	u.as(dev, 422, "POST", "/connections", spec(map[string]any{"description": "another"}), "Idempotency-Key", "first")
	u.as(dev, 409, "POST", "/connections", spec(nil))
	u.as(dev, 422, "POST", "/connections", map[string]any{"name": "UPPER", "provider": "gitlab", "settings": map[string]string{"domain": "*"}, "nonsense": 1})
	u.as(dev, 400, "POST", "/connections", "{")
	u.as(dev, 415, "POST", "/connections", url.Values{"name": {"ci"}})
	u.as(dev, 413, "POST", "/connections", `{"name":"`+strings.Repeat("x", 1<<20)+`"}`)
	u.as(domain.Auditor, 403, "POST", "/connections", spec(nil))
	u.send(401, "POST", u.issuer+"/v1/connections", spec(nil))
	u.as(dev, 201, "POST", "/connections", map[string]any{
		"name": "gitlab-ci", "provider": "gitlab", "settings": map[string]string{"domain": "gitlab.com", "group": "acme"},
	})
	u.as(dev, 200, "GET", "/connections", nil)
	u.as(dev, 200, "GET", "/connections?status=draft&provider=gitlab", nil)
	u.as(dev, 422, "GET", "/connections?colour=red", nil)
	u.as(domain.Member, 403, "GET", "/connections", nil)
	u.as(dev, 404, "GET", "/connections/nobody", nil)
	u.as(dev, 405, "PATCH", "/connections/ci", nil)
	u.as(dev, 404, "GET", "/workloads", nil)

	u.as(dev, 428, "PUT", "/connections/ci", spec(nil))
	u.as(dev, 412, "PUT", "/connections/ci", spec(nil), "If-Match", `"7"`)
	u.as(dev, 422, "PUT", "/connections/ci", spec(nil), "If-Match", `*`)
	answered := u.as(dev, 200, "GET", "/connections/ci", nil)
	answered["description"] = "as it came, changed"
	u.as(dev, 200, "PUT", "/connections/ci", answered, "If-Match", `"1"`)

	good := p.Mint(p.Claims(w.Now(), w.Issuer(), "job/1", nil))
	u.as(dev, 200, "POST", "/connections/ci/test", map[string]string{"token": good})
	u.as(dev, 200, "POST", "/connections/ci/test", map[string]string{"token": p.Mint(p.Claims(w.Now(), w.Issuer(), "Job/1", nil))})
	u.as(dev, 200, "POST", "/connections/ci/test", map[string]string{"token": "not.a.token"})
	u.as(dev, 422, "POST", "/connections/ci/test", map[string]string{})

	u.as(dev, 403, "POST", "/connections/ci/activate", nil, "If-Match", `"2"`)
	u.as(sec, 428, "POST", "/connections/ci/activate", nil)
	u.as(sec, 412, "POST", "/connections/ci/activate", nil, "If-Match", `"1"`)
	u.as(sec, 200, "POST", "/connections/ci/activate", map[string]any{"acknowledge": []string{}}, "If-Match", `"2"`)
	u.as(dev, 403, "PUT", "/connections/ci", spec(nil), "If-Match", `"2"`)
	u.as(sec, 200, "PUT", "/connections/ci", spec(map[string]any{"token_ttl": map[string]any{"amount": 2, "unit": "hours"}}), "If-Match", `"2"`)
	u.as(sec, 403, "POST", "/connections/ci/activate", nil, "If-Match", `"3"`)
	u.as(sec, 409, "DELETE", "/connections/ci", nil, "If-Match", `"3"`)

	blocked := u.as(dev, 201, "POST", "/connections", map[string]any{
		"name": "open", "provider": "generic_jwt", "jwks_url": p.URL + "/jwks",
		"conditions": []map[string]any{{"claim": "sub", "operator": "exists"}},
	})
	if len(blocked["warnings"].([]any)) == 0 {
		u.t.Error("a connection without an audience has no warning")
	}
	u.as(sec, 422, "POST", "/connections/open/activate", nil, "If-Match", `"1"`)
	u.as(dev, 204, "DELETE", "/connections/open", nil, "If-Match", `"1"`)
	u.as(dev, 404, "DELETE", "/connections/open", nil, "If-Match", `"1"`)
}

func (u *tour) exchanges(w *orgtest.World, p *orgtest.Provider) string {
	u.t.Helper()
	const grant = "urn:ietf:params:oauth:grant-type:token-exchange"
	ask := func(sub string, more url.Values) url.Values {
		f := url.Values{
			"grant_type": {grant}, "subject_token": {p.Mint(p.Claims(w.Now(), w.Issuer(), sub, nil))},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}, "connection": {"ci"},
		}
		for name, v := range more {
			f[name] = v
		}
		return f
	}
	token := u.issuer + "/token"
	answer := u.send(200, "POST", token, ask("job/1", nil))
	u.send(200, "POST", token, ask("job/2", url.Values{"audience": {"https://api.example.com"}}))
	u.send(200, "POST", token, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "connection": {"ci"},
		"assertion": {p.Mint(p.Claims(w.Now(), w.Issuer(), "job/1", nil))},
	})
	for _, refused := range []url.Values{
		ask("job/3", nil),
		ask("job/1", url.Values{"connection": {"nobody"}}),
		ask("job/1", url.Values{"scope": {"read"}}),
		ask("job/1", url.Values{"audience": {"https://elsewhere.example.com"}}),
		ask("job/1", url.Values{"subject_token": {"not.a.token"}}),
		ask("job/1", url.Values{"grant_type": {"password"}}),
		{},
	} {
		u.send(400, "POST", token, refused)
	}
	u.send(400, "POST", token, "{}")
	u.send(401, "POST", token, ask("job/1", nil), "Authorization", "Basic eDp5")
	u.send(413, "POST", token, ask("job/1", url.Values{"role_hint": {strings.Repeat("x", 64<<10)}}))
	p.Down.Store(true)
	u.send(200, "POST", token, ask("job/1", nil)) // its keys are still good
	p.Down.Store(false)
	down := orgtest.NewProvider(u.t, "ES256")
	down.Down.Store(true)
	w.Activated("down", down.Spec(w.Issuer(), "job/1"))
	u.send(503, "POST", token, ask("job/1", url.Values{"connection": {"down"}, "subject_token": {down.Mint(down.Claims(w.Now(), w.Issuer(), "job/1", nil))}}))
	u.send(404, "POST", u.base+"/orgs/nobody/token", ask("job/1", nil))
	issued, _ := answer["access_token"].(string)
	return issued
}

func (u *tour) issuerAndProbes(token string) {
	u.t.Helper()
	u.send(200, "GET", u.issuer+"/.well-known/openid-configuration", nil)
	u.send(200, "HEAD", u.issuer+"/.well-known/openid-configuration", nil)
	u.send(200, "GET", u.base+"/.well-known/oauth-authorization-server/orgs/default", nil)
	u.send(404, "GET", u.base+"/.well-known/oauth-authorization-server/orgs/nobody", nil)
	u.send(200, "GET", u.issuer+"/jwks", nil)

	introspect, bearer := u.issuer+"/introspect", "Bearer "+u.tokens[domain.Auditor]
	u.send(200, "GET", u.issuer+"/v1/whoami", nil, "Authorization", "Bearer "+token)
	for _, by := range []string{bearer, "Bearer " + token} {
		if a := u.send(200, "POST", introspect, url.Values{"token": {token}}, "Authorization", by); a["active"] != true {
			u.t.Errorf("a fresh token introspects as %v", a)
		}
	}
	u.send(200, "POST", introspect, url.Values{"token": {"nonsense"}}, "Authorization", bearer)
	u.send(400, "POST", introspect, url.Values{}, "Authorization", bearer)
	u.send(401, "POST", introspect, url.Values{"token": {token}})
	u.send(413, "POST", introspect, url.Values{"token": {strings.Repeat("x", 64<<10)}}, "Authorization", bearer)

	u.send(200, "GET", u.base+"/livez", nil)
	u.send(200, "GET", u.base+"/readyz", nil)
	u.send(200, "GET", u.base+"/readyz?verbose", nil)
	u.send(200, "GET", u.base+"/openapi.yaml", nil)
	for _, typ := range events.New().Types() {
		u.send(200, "GET", u.base+"/schemas/"+typ, nil)
	}
	u.send(404, "GET", u.base+"/schemas/nothing.happened", nil)
}

func (u *tour) settings() {
	u.t.Helper()
	for role := range u.tokens {
		u.as(role, 200, "GET", "/whoami", nil)
	}
	u.send(401, "GET", u.issuer+"/v1/whoami", nil, "Authorization", "Bearer sallyport_wrong")
	o := u.as(domain.Auditor, 200, "GET", "/organisation", nil)
	if o["dual_control"] != "strict" {
		u.t.Errorf("dual_control is %v, want strict where nobody changed it", o["dual_control"])
	}
	change := map[string]string{"dual_control": "roles"}
	u.as(domain.SecurityAdmin, 403, "PUT", "/organisation", change, "If-Match", `"1"`)
	u.as(domain.Owner, 428, "PUT", "/organisation", change)
	u.as(domain.Owner, 422, "PUT", "/organisation", map[string]string{"dual_control": "none"}, "If-Match", `"1"`)
	u.as(domain.Owner, 200, "PUT", "/organisation", change, "If-Match", `"1"`)
	u.as(domain.Owner, 412, "PUT", "/organisation", change, "If-Match", `"1"`)
}

func (u *tour) audit() {
	u.t.Helper()
	const aud = domain.Auditor
	page := u.as(aud, 200, "GET", "/audit?limit=2", nil)
	last, _ := page["last_position"].(string)
	next, _ := page["next"].(string)
	u.as(aud, 200, "GET", "/audit?limit=2&after="+url.QueryEscape(next), nil, "Sallyport-Min-Position", last)
	u.as(aud, 422, "GET", "/audit?limit=2&type=token.issued&after="+url.QueryEscape(next), nil)
	u.as(aud, 422, "GET", "/audit?limit=0&order=sideways&since=yesterday", nil)
	u.as(aud, 200, "GET", "/audit?order=desc&outcome=denied&connection=ci&q=job", nil)
	u.as(aud, 200, "GET", "/audit", nil, "Accept", "application/x-ndjson")
	u.as(domain.Member, 403, "GET", "/audit", nil)
	u.as(aud, 200, "GET", "/audit/stream", nil, "Last-Event-ID", "1.0")
	u.as(aud, 422, "GET", "/audit/stream", nil, "Last-Event-ID", "nonsense")
}

func (u *tour) endOfConnection() {
	u.t.Helper()
	const sec = domain.SecurityAdmin
	u.as(sec, 412, "POST", "/connections/ci/deactivate", nil, "If-Match", `"1"`)
	u.as(sec, 200, "POST", "/connections/ci/deactivate", map[string]bool{"revoke_tokens": true}, "If-Match", `"3"`)
	u.as(sec, 409, "POST", "/connections/gitlab-ci/deactivate", nil, "If-Match", `"1"`)
	u.as(sec, 204, "DELETE", "/connections/ci", nil, "If-Match", `"3"`)
	u.as(sec, 409, "POST", "/connections", map[string]any{"name": "ci", "provider": "gitlab", "settings": map[string]string{"domain": "gitlab.com", "group": "acme"}})
}

func (u *tour) ssh(w *orgtest.World) {
	u.t.Helper()
	u.send(200, "GET", u.issuer+"/ssh/ca.pub", nil)
	u.as(domain.Auditor, 200, "GET", "/ssh/ca", nil)
	u.as(domain.Member, 403, "GET", "/ssh/ca", nil)
	u.as(domain.Owner, 403, "POST", "/ssh/ca/rotate", nil)
	u.as(domain.SecurityAdmin, 409, "POST", "/ssh/ca/rotate", nil)
	w.Advance(6 * time.Minute)
	u.as(domain.SecurityAdmin, 200, "POST", "/ssh/ca/rotate", nil)
}
