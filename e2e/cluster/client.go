package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"sallyport.dev/handlers/jose"
)

// provider signs proofs; its keys are uploaded into connections, so that nobody
// has to fetch them.
type provider struct{ key *jose.HostKey }

const (
	proofIssuer = "https://ci.example.com"
	workload    = "build"
)

// proof is good for ten minutes, and unlike any other.
func (p provider) proof(audience string) string {
	now := time.Now()
	signed, err := p.key.Sign(map[string]any{"iss": proofIssuer, "aud": audience, "sub": workload, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()})
	if err != nil {
		panic(err) // an ES256 key in memory signs
	}
	return signed
}

// spec trusts the provider.
func (p provider) spec(name, audience string, more map[string]any) map[string]any {
	equals := func(claim, value string) map[string]any {
		return map[string]any{"claim": claim, "operator": "equals", "value": value}
	}
	s := map[string]any{
		"provider": "generic_jwt", "jwks": json.RawMessage(p.key.PublicJWKS()),
		"conditions": []any{equals("iss", proofIssuer), equals("aud", audience), equals("sub", workload)},
	}
	if name != "" {
		s["name"] = name
	}
	for k, v := range more {
		s[k] = v
	}
	return s
}

// answered is what came of a request: status 0 is no answer.
type answered struct {
	status  int
	code    string // of an error
	request string
	etag    string
	body    map[string]any
	err     error
}

func (a answered) text(member string) string {
	s, _ := a.body[member].(string)
	return s
}

func (a answered) number(member string) uint64 {
	n, _ := a.body[member].(float64)
	return uint64(n)
}

// send sends one request to one site.
func (c *cluster) send(ctx context.Context, s *site, method, path, bearer, contentType, body string, header ...string) answered {
	req, err := http.NewRequestWithContext(ctx, method, s.url+"/orgs/default"+path, strings.NewReader(body))
	if err != nil {
		return answered{err: err}
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if body != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		return answered{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return answered{err: err} // half an answer is none
	}
	a := answered{status: res.StatusCode, request: res.Header.Get("X-Request-Id"), etag: res.Header.Get("ETag")}
	_ = json.NewDecoder(bytes.NewReader(b)).Decode(&a.body) // 204 has none
	if a.code = a.text("error_code"); a.code == "" {
		a.code = a.text("code")
	}
	return a
}

const formType, jsonType = "application/x-www-form-urlencoded", "application/json"

// exchange asks a site for a token and notes what came of it.
func (c *cluster) exchange(ctx context.Context, h *history, s *site, connection, proof string, header ...string) (asked, string) {
	form := url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"subject_token":      {proof}, "connection": {connection},
	}
	at := h.now()
	a := c.send(ctx, s, http.MethodPost, "/token", "", formType, form.Encode(), header...)
	seen := asked{at: at, told: h.now(), site: s.n, connection: connection, status: a.status, code: a.code, request: a.request,
		refused: errors.Is(a.err, syscall.ECONNREFUSED)}
	compact := a.text("access_token")
	if a.status == http.StatusOK {
		seen.jti = jti(compact)
	}
	h.addAsked(seen)
	return seen, compact
}

// jti is the id that a token says it has.
func jti(compact string) string {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return "no token: " + compact
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ JTI string }
	if err != nil || json.Unmarshal(b, &claims) != nil {
		return "no token: " + compact
	}
	return claims.JTI
}

// introspect asks a site whether a token holds.
func (c *cluster) introspect(ctx context.Context, s *site, compact string) answered {
	return c.send(ctx, s, http.MethodPost, "/introspect", c.tokens["audrey"], formType, url.Values{"token": {compact}}.Encode())
}

// write gives a command to the sites in turn, under one Idempotency-Key, until
// one says what came of it or ctx ends. sent tells whether it may have been done
// where it is not known in the end.
func (c *cluster) write(ctx context.Context, first int, who, method, path, etag string, body any) (a answered, sent bool) {
	doc, err := json.Marshal(body)
	if err != nil {
		return answered{err: err}, false
	}
	key := rand.Text()
	for try := 0; ; try++ {
		header := []string{"Idempotency-Key", key}
		if etag != "" {
			header = append(header, "If-Match", etag)
		}
		a = c.send(ctx, c.sites[(first+try)%len(c.sites)], method, path, c.tokens[who], jsonType, string(doc), header...)
		switch {
		case a.status == 0 || a.code == "log.unclear":
			sent = true
		case a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests:
			return a, sent
		}
		if !rest(ctx, 20*time.Millisecond) {
			return a, sent
		}
	}
}

// settled tells whether an answer says what came of a write.
func (a answered) settled() bool {
	return a.status != 0 && a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests
}

// rest lets a client wait as people and machines do; false if ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// must gives a command that has to succeed.
func (c *cluster) must(who, method, path, etag string, body any) answered {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	a, _ := c.write(ctx, 0, who, method, path, etag, body)
	if a.status < 200 || a.status > 299 {
		c.t.Fatalf("%s %s: %d %v %v", method, path, a.status, a.body, a.err)
	}
	return a
}

// activated makes a connection that issues tokens: dana drafts, sam activates.
func (c *cluster) activated(p provider, name string, more map[string]any) {
	c.t.Helper()
	a := c.must("dana", http.MethodPost, "/v1/connections", "", p.spec(name, c.issuer, more))
	c.must("sam", http.MethodPost, "/v1/connections/"+name+"/activate", a.etag, map[string]any{})
}
