// Package interop runs unmodified clients against a real server: what they can
// do without a line of code for us is what the standards were for.
package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"sallyport.dev/e2e/contract"
	"sallyport.dev/e2e/program"
)

func TestMain(m *testing.M) { program.Main(m) }

const (
	tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeJWT       = "urn:ietf:params:oauth:token-type:jwt"
	outside       = "https://api.example.com" // an audience that is not Sallyport
)

// world is a running server with an active connection, gitlab-ci.
type world struct {
	*program.Server
	t    *testing.T
	http *http.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("starts the real server; go test without -short")
	}
	w := &world{program.Dev(t), t, contract.Client(t)}
	w.trust("gitlab-ci", map[string]any{
		"provider": "gitlab", "jwks_url": w.Provider.JWKSURL, "audiences": []string{outside},
		"settings": map[string]string{"domain": "gitlab.com", "group": "acme", "project": "app"},
	})
	return w
}

// trust drafts a connection as one person and activates it as another.
func (w *world) trust(name string, spec map[string]any) {
	w.t.Helper()
	spec["name"] = name
	draft := w.call("devops", http.MethodPost, "/v1/connections", "", spec, http.StatusCreated)
	codes := []string{}
	for _, x := range draft["warnings"].([]any) {
		if x := x.(map[string]any); x["blocks"] == true {
			codes = append(codes, x["code"].(string))
		}
	}
	w.call("security", http.MethodPost, "/v1/connections/"+name+"/activate", `"1"`, map[string]any{"acknowledge": codes}, http.StatusOK)
}

// call does one request of a person and returns the answer, which must have the status.
func (w *world) call(person, method, path, version string, body any, status int) map[string]any {
	w.t.Helper()
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		send = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, w.Issuer+path, send)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.Tokens[person])
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if version != "" {
		req.Header.Set("If-Match", version)
	}
	return w.do(req, status)
}

func (w *world) do(req *http.Request, status int) map[string]any {
	w.t.Helper()
	res, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if res.StatusCode != status {
		w.t.Fatalf("%s %s answered %d, want %d: %s", req.Method, req.URL.Path, res.StatusCode, status, b)
	}
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil {
		w.t.Fatalf("%s %s answered %q: %v", req.Method, req.URL.Path, b, err)
	}
	return doc
}

// mint is a proof of a GitLab job of acme/app.
func (w *world) mint() string {
	w.t.Helper()
	claims, err := json.Marshal(map[string]string{
		"iss": "https://gitlab.com", "aud": w.Issuer, "namespace_path": "acme", "project_path": "acme/app",
		"sub": "project_path:acme/app:ref_type:branch:ref:main",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := http.Post(w.Provider.MintURL+"/gitlab", "application/json", bytes.NewReader(claims))
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var minted struct{ Token string }
	if err := json.NewDecoder(res.Body).Decode(&minted); err != nil || minted.Token == "" {
		w.t.Fatalf("the mint answered %d and no token: %v", res.StatusCode, err)
	}
	return minted.Token
}

// exchange is the OAuth client of x/oauth2, given what RFC 8693 adds. It is
// left to find out how we want clients to authenticate: it tries HTTP Basic,
// is refused, and goes on with parameters.
func (w *world) exchange(ctx context.Context, more url.Values) (*oauth2.Token, error) {
	params := url.Values{
		"grant_type": {tokenExchange}, "subject_token": {w.mint()}, "subject_token_type": {typeJWT},
	}
	for name, values := range more {
		params[name] = values
	}
	c := clientcredentials.Config{
		ClientID: "interop", TokenURL: w.Issuer + "/token", EndpointParams: params,
	}
	return c.Token(ctx)
}

func TestXOAuth2ExchangesAndGoOIDCVerifies(t *testing.T) {
	w := newWorld(t)
	ctx := oidc.ClientContext(t.Context(), w.http)
	provider, err := oidc.NewProvider(ctx, w.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name      string
		ask       url.Values
		audience  string
		algorithm string
	}{
		{"a token for Sallyport itself is signed with ES256", url.Values{"connection": {"gitlab-ci"}}, w.Issuer, oidc.ES256},
		{"a token for another audience is signed with RS256", url.Values{"connection": {"gitlab-ci"}, "audience": {outside}}, outside, oidc.RS256},
		{"a stock client names the connection by audience", url.Values{"audience": {w.Issuer + "/connections/gitlab-ci"}}, w.Issuer, oidc.ES256},
		{"connection and target both come as audience", url.Values{"audience": {w.Issuer + "/connections/gitlab-ci", outside}}, outside, oidc.RS256},
		{"a target may come as resource", url.Values{"connection": {"gitlab-ci"}, "resource": {outside}}, outside, oidc.RS256},
		{"the proof's issuer finds the connection", url.Values{}, w.Issuer, oidc.ES256},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token, err := w.exchange(ctx, tt.ask)
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(token.Expiry); token.TokenType != "Bearer" || left < 14*time.Minute || left > 15*time.Minute {
				t.Errorf("token_type %q, expires in %s, want Bearer and 15 minutes", token.TokenType, left)
			}
			if token.RefreshToken != "" {
				t.Error("there is a refresh token")
			}
			verifier := provider.Verifier(&oidc.Config{ClientID: tt.audience, SupportedSigningAlgs: []string{tt.algorithm}})
			verified, err := verifier.Verify(ctx, token.AccessToken)
			if err != nil {
				t.Fatal(err)
			}
			if want := "workload://default/gitlab-ci/project_path:acme%2Fapp:ref_type:branch:ref:main"; verified.Subject != want {
				t.Errorf("sub = %q, want %q", verified.Subject, want)
			}
		})
	}
}

func TestXOAuth2ReadsOurErrors(t *testing.T) {
	w := newWorld(t)
	_, err := w.exchange(oidc.ClientContext(t.Context(), w.http), url.Values{"connection": {"gitlab-ci"}, "audience": {"https://elsewhere.example.com"}})
	refused, ok := err.(*oauth2.RetrieveError)
	if !ok {
		t.Fatalf("got %v, want an OAuth error", err)
	}
	if refused.ErrorCode != "invalid_target" || !strings.Contains(string(refused.Body), "audience.not_allowed") {
		t.Errorf("got %s, want invalid_target and audience.not_allowed", refused.Body)
	}
}

// The JWT client of x/oauth2 signs with its own key and names no connection: a
// bare host whose public key was uploaded.
func TestXOAuth2JWTIsABareHost(t *testing.T) {
	w := newWorld(t)
	const issuer = "https://robots.example.com"
	cli := filepath.Join(program.Build(t), "sallyport")
	keygen := exec.Command(cli, "wl", "keygen", "--alg", "RS256", "--out", filepath.Join(w.Dir, "host.key"))
	public, err := keygen.Output()
	if err != nil {
		t.Fatalf("wl keygen: %v %s", err, stderr(err))
	}
	var set struct {
		Keys []struct{ Kid string } `json:"keys"`
	}
	if err := json.Unmarshal(public, &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("wl keygen printed no key set: %s", public)
	}
	private, err := os.ReadFile(filepath.Join(w.Dir, "host.key"))
	if err != nil {
		t.Fatal(err)
	}
	w.trust("robots", map[string]any{
		"provider": "generic_jwt", "jwks": json.RawMessage(public),
		"conditions": []map[string]string{
			{"claim": "iss", "operator": "equals", "value": issuer},
			{"claim": "aud", "operator": "equals", "value": w.Issuer},
			{"claim": "sub", "operator": "equals", "value": "robot/7"},
		},
	})
	host := jwt.Config{
		Email: issuer, Subject: "robot/7", PrivateKey: private, PrivateKeyID: set.Keys[0].Kid,
		Audience: w.Issuer, TokenURL: w.Issuer + "/token",
	}
	ctx := oidc.ClientContext(t.Context(), w.http)
	token, err := host.TokenSource(ctx).Token()
	if err != nil {
		t.Fatal(err)
	}
	answer := w.introspect(token.AccessToken)
	if answer["active"] != true || answer["sub"] != "workload://default/robots/robot%2F7" {
		t.Errorf("introspection answered %v", answer)
	}
}

func (w *world) introspect(token string) map[string]any {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodPost, w.Issuer+"/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.Tokens["auditor"])
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.do(req, http.StatusOK)
}

func TestClientsFromNPM(t *testing.T) {
	w := newWorld(t)
	if _, err := os.Stat("node_modules/openid-client"); err != nil {
		t.Fatal("the clients are not installed; run `make setup`")
	}
	world, err := json.Marshal(map[string]string{
		"issuer": w.Issuer, "mint_url": w.Provider.MintURL, "connection": "gitlab-ci", "outside": outside,
	})
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=spec", "clients.test.mjs")
	node.Env = append(os.Environ(), "SALLYPORT_INTEROP="+string(world))
	out, err := node.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("pass 6")) {
		t.Errorf("want 6 tests to pass, got:\n%s", out)
	}
}

func TestCloudEventsSDKReadsTheTrail(t *testing.T) {
	w := newWorld(t)
	if _, err := w.exchange(oidc.ClientContext(t.Context(), w.http), url.Values{"connection": {"gitlab-ci"}}); err != nil {
		t.Fatal(err)
	}
	page := w.call("auditor", http.MethodGet, "/v1/audit?limit=200", "", nil, http.StatusOK)
	types := map[string]bool{}
	for _, raw := range page["events"].([]any) {
		b, err := json.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		e, err := readCloudEvent(b, w.Issuer)
		if err != nil {
			t.Errorf("%s: %v", b, err)
			continue
		}
		types[e.Type()] = true
	}
	for _, want := range []string{"connection.drafted", "connection.activated", "token.issued"} {
		if !types[want] {
			t.Errorf("there is no %s among %v", want, types)
		}
	}
}

// readCloudEvent reads an event with the reference SDK and checks what only we promise.
func readCloudEvent(b []byte, source string) (e event.Event, err error) {
	if err := json.Unmarshal(b, &e); err != nil {
		return e, err
	}
	if err := e.Validate(); err != nil {
		return e, err
	}
	if e.SpecVersion() != "1.0" || e.Source() != source || e.Subject() == "" || e.Time().IsZero() {
		return e, fmt.Errorf("specversion %q, source %q, subject %q, time %s", e.SpecVersion(), e.Source(), e.Subject(), e.Time())
	}
	for _, name := range []string{"actor", "commitid", "position", "summary"} {
		if v, ok := e.Extensions()[name].(string); !ok || v == "" {
			return e, fmt.Errorf("extension %s is missing", name)
		}
	}
	return e, nil
}

// stderr is what a failed command said.
func stderr(err error) string {
	if e, ok := err.(*exec.ExitError); ok {
		return string(e.Stderr)
	}
	return ""
}
