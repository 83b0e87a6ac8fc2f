package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/issuer"
	"sallyport.dev/handlers/organisation/orgtest"
)

var clocks = []scenario{
	{"F25", "the clock is an hour ahead, then put back; an hour behind, then put right",
		"tokens judged by the clock and its tolerance, nothing that was revoked or spent holds again", true, clockSteps},
}

// clocked is an organisation in this process, whose clock can be moved: the
// machine's own is not touched.
type clocked struct {
	*orgtest.World
	t        *testing.T
	url      string
	provider *orgtest.Provider
}

func newClocked(t *testing.T) *clocked {
	t.Helper()
	w := orgtest.New(t)
	w.RunClock() // beside the provider's
	e := api.New(api.Options{Log: orgtest.Quiet()})
	g := e.Group("/orgs/default")
	x := exchange.New(w.Organisation, exchange.Options{})
	t.Cleanup(x.Close)
	x.Mount(g)
	issuer.New(w.Organisation, nil).Mount(e, g)
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	c := &clocked{World: w, t: t, url: s.URL + "/orgs/default", provider: orgtest.NewProvider(t, "ES256")}
	spec := c.provider.Spec(w.Issuer(), "job")
	w.Activated("again", spec)
	spec.SingleUse = true
	w.Activated("once", spec)
	return c
}

// post sends a form and decodes the answer.
func (c *clocked) post(path string, form url.Values) (int, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if path == "/introspect" {
		req.Header.Set("Authorization", "Bearer "+c.Token("audrey", domain.Auditor))
	}
	res, err := probing.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	var doc map[string]any
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, doc
}

// proof is one of the provider, whose clock is right, with a jti.
func (c *clocked) proof(jti string) string {
	return c.provider.Mint(c.provider.Claims(time.Now(), c.Issuer(), "job", map[string]any{"jti": jti}))
}

// exchanged is the token, or the error code.
func (c *clocked) exchanged(name, proof string) (token, code string) {
	c.t.Helper()
	_, doc := c.post("/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {proof}, "connection": {name}})
	token, _ = doc["access_token"].(string)
	code, _ = doc["error_code"].(string)
	return token, code
}

// wants holds an exchange against the code it must be refused with; empty: a token.
func (c *clocked) wants(what, name, proof, want string) string {
	c.t.Helper()
	token, code := c.exchanged(name, proof)
	if code != want || want == "" && token == "" {
		c.t.Errorf("%s: an exchange is answered %q, want %q", what, code, want)
	}
	return token
}

// active holds introspection against what it must say.
func (c *clocked) active(what, token string, want bool) {
	c.t.Helper()
	status, doc := c.post("/introspect", url.Values{"token": {token}})
	if status != http.StatusOK || doc["active"] != want {
		c.t.Errorf("%s: introspection answers %d and %v, want %v", what, status, doc["active"], want)
	}
}

// clockSteps moves the clock of an organisation and puts it right again.
func clockSteps(t *testing.T, _ bool) string {
	c := newClocked(t)
	spent, revoked := c.proof("spent"), ""
	held := c.wants("before", "again", c.proof("1"), "")
	c.wants("before", "once", spent, "")
	c.wants("before", "once", spent, "proof.replayed")

	c.Advance(time.Hour)
	c.active("an hour ahead, a token of before", held, false)
	c.wants("an hour ahead, a proof of the right time", "again", c.proof("2"), "proof.expired")
	ahead := c.wants("an hour ahead, a proof of that time", "again", c.provider.Mint(c.provider.Claims(c.Now(), c.Issuer(), "job", nil)), "")

	c.Advance(-time.Hour)
	c.active("put back, a token of before that still lives", held, true)
	c.active("put back, a token from the future", ahead, false)
	c.wants("put back", "again", c.proof("3"), "")
	c.wants("put back, a proof that was spent before", "once", spent, "proof.replayed")
	c.wants("put back, a proof that was not", "once", c.proof("4"), "")

	c.Advance(-time.Hour)
	c.active("an hour behind, a token of the right time", held, false)
	c.wants("an hour behind, a proof of the right time", "again", c.proof("5"), "proof.not_yet_valid")
	revoked = c.wants("an hour behind, a proof of that time", "again", c.provider.Mint(c.provider.Claims(c.Now(), c.Issuer(), "job", nil)), "")
	c.Do(c.Meta("security", domain.SecurityAdmin), "again", connection.Deactivate{Version: 1, RevokeTokens: true})
	c.active("an hour behind, revoked", revoked, false)

	c.Advance(time.Hour)
	c.active("put right, revoked", held, false)
	c.active("put right, revoked an hour ago", revoked, false)
	c.wants("put right", "again", c.proof("6"), "connection.inactive")
	c.Advance(2 * time.Hour)
	c.wants("later than the clock ever was", "once",
		c.provider.Mint(c.provider.Claims(c.Now(), c.Issuer(), "job", map[string]any{"jti": "7"})), "")
	return fmt.Sprintf("%d events: expired, not yet valid, spent and revoked as they must be at every step", len(c.Events()))
}
