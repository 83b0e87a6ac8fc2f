package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) *Provider {
	t.Helper()
	p, err := Open(dir, "http://127.0.0.1:8421", func() time.Time { return noon })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask sends a request as from the loopback.
func ask(p *Provider, method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8421"+path, strings.NewReader(body))
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, r)
	return w
}

// minted asks the mint and gives the header and claims of what it signed.
func minted(t *testing.T, p *Provider, path, body string) (header, claims map[string]any) {
	t.Helper()
	w := ask(p, http.MethodPost, path, body)
	var got struct{ Token string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	parts := strings.Split(got.Token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", got.Token)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

func TestMintFillsInWhatIsAbsent(t *testing.T) {
	p := open(t, t.TempDir())
	header, claims := minted(t, p, "/mint?alg=ES256", `{"sub":"job","n":9007199254740993}`)
	if header["alg"] != "ES256" || header["kid"] == "" {
		t.Errorf("header %v", header)
	}
	want := map[string]any{
		"iss": "http://127.0.0.1:8421", "iat": json.Number("1795348800"), "exp": json.Number("1795349100"),
		"sub": "job", "n": json.Number("9007199254740993"),
	}
	if got, want := text(t, claims), text(t, want); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	header, claims = minted(t, p, "/mint", `{"iss":"other","iat":1,"exp":2}`)
	if header["alg"] != "RS256" || claims["iss"] != "other" || claims["iat"] != json.Number("1") || claims["exp"] != json.Number("2") {
		t.Errorf("what was given was changed: %v %v", header, claims)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMintKnowsTheRealClaimsOfFiveProviders(t *testing.T) {
	p := open(t, t.TempDir())
	for provider, want := range map[string]struct {
		iss, sub string
		exp      int64 // seconds from now
	}{
		"github":       {"https://token.actions.githubusercontent.com", "repo:xyz/okta-lab-workloads:ref:refs/heads/main", 300},
		"gitlab":       {"https://gitlab.example.com", "project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1", 3600},
		"circleci":     {"https://oidc.circleci.com/org/c9035eb6-6eb2-4c85-8a81-d9ed6a1d1d1e", "", 3600},
		"google_cloud": {"https://accounts.google.com", "110481570481807168043", 3600},
		"kubernetes":   {"https://kubernetes.default.svc.cluster.local", "system:serviceaccount:linkding:default", 86400},
	} {
		t.Run(provider, func(t *testing.T) {
			_, claims := minted(t, p, "/mint/"+provider, "")
			if claims["iss"] != want.iss || want.sub != "" && claims["sub"] != want.sub {
				t.Errorf("iss %v, sub %v", claims["iss"], claims["sub"])
			}
			if iat, err := seconds(claims["iat"]); err != nil || iat != noon.Unix() {
				t.Errorf("iat %v", claims["iat"])
			}
			if exp, err := seconds(claims["exp"]); err != nil || exp != noon.Unix()+want.exp {
				t.Errorf("exp %v, want %d s from now", claims["exp"], want.exp)
			}
			_, again := minted(t, p, "/mint/"+provider, `{"sub":"other","aud":null}`)
			if again["sub"] != "other" || again["aud"] != nil {
				t.Errorf("sub %v, aud %v were not overridden", again["sub"], again["aud"])
			}
			if _, has := claims["jti"]; has && claims["jti"] == again["jti"] {
				t.Errorf("two tokens have one jti")
			}
		})
	}
}

func TestTypesOfClaimsStayReal(t *testing.T) {
	p := open(t, t.TempDir())
	_, gitlab := minted(t, p, "/mint/gitlab", "")
	if gitlab["runner_id"] != json.Number("1") || gitlab["ref_protected"] != "false" {
		t.Errorf("runner_id %T, ref_protected %T", gitlab["runner_id"], gitlab["ref_protected"])
	}
	_, circle := minted(t, p, "/mint/circleci", "")
	if circle["oidc.circleci.com/ssh-rerun"] != false {
		t.Errorf("ssh-rerun %v", circle["oidc.circleci.com/ssh-rerun"])
	}
	_, google := minted(t, p, "/mint/google_cloud", "")
	if !strings.Contains(text(t, google["google"]), `"project_number":224189033886`) {
		t.Errorf("google %v", google["google"])
	}
	_, kubernetes := minted(t, p, "/mint/kubernetes", "")
	if _, list := kubernetes["aud"].([]any); !list || !strings.Contains(text(t, kubernetes["kubernetes.io"]), `"warnafter":1795352407`) {
		t.Errorf("aud %v, kubernetes.io %v", kubernetes["aud"], kubernetes["kubernetes.io"])
	}
}

func TestMintRefuses(t *testing.T) {
	p := open(t, t.TempDir())
	for _, tt := range []struct {
		name, path, body string
		status           int
		change           func(*http.Request)
	}{
		{name: "an algorithm it has no key for", path: "/mint?alg=HS256", status: 400},
		{name: "two algorithms", path: "/mint?alg=RS256&alg=ES256", status: 400},
		{name: "a provider it does not know", path: "/mint/azure", status: 404},
		{name: "a path out of its claims", path: "/mint/..%2f..%2fdemo", status: 404},
		{name: "a list", path: "/mint", body: "[]", status: 400},
		{name: "null", path: "/mint", body: "null", status: 400},
		{name: "two documents", path: "/mint", body: "{}{}", status: 400},
		{name: "more than 64 KiB", path: "/mint", body: `{"a":"` + strings.Repeat("x", 64<<10) + `"}`, status: 413},
		{name: "another host's name", path: "/mint", status: 403, change: func(r *http.Request) { r.Host = "evil.example.com" }},
		{name: "a web page", path: "/mint", status: 403, change: func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var change []func(*http.Request)
			if tt.change != nil {
				change = append(change, tt.change)
			}
			if w := ask(p, http.MethodPost, tt.path, tt.body, change...); w.Code != tt.status || strings.Contains(w.Body.String(), `"token"`) {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, tt.status)
			}
		})
	}
	if w := ask(p, http.MethodGet, "/mint", ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET was answered with %d", w.Code)
	}
}

func TestKeysArePublishedAndKept(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir)
	set := func(p *Provider) string {
		w := ask(p, http.MethodGet, "/jwks", "")
		b, err := io.ReadAll(w.Body)
		if err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %v", w.Code, err)
		}
		return string(b)
	}
	first := set(p)
	var doc struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(first), &doc); err != nil || len(doc.Keys) != 2 {
		t.Fatalf("%s, %v", first, err)
	}
	for _, k := range doc.Keys {
		if _, private := k["d"]; private {
			t.Errorf("a private key is published")
		}
	}
	header, _ := minted(t, p, "/mint", "")
	if !slices.ContainsFunc(doc.Keys, func(k map[string]any) bool { return k["kid"] == header["kid"] }) {
		t.Errorf("kid %v is not published", header["kid"])
	}
	if again := set(open(t, dir)); again != first {
		t.Errorf("a second start has other keys")
	}
	info, err := os.Stat(filepath.Join(dir, "RS256.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	var d struct{ Issuer, JWKS_URI string }
	if err := json.Unmarshal(ask(p, http.MethodGet, "/.well-known/openid-configuration", "").Body.Bytes(), &d); err != nil || d.Issuer != p.Issuer() {
		t.Errorf("discovery: %+v, %v", d, err)
	}
}
