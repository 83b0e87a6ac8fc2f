package demo

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const backTo = "http://127.0.0.1:8420/console/callback"

// verifier and its challenge are those of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// asked is a good authorization request, but for changes.
func asked(changes map[string]string) url.Values {
	q := url.Values{
		"client_id": {"sallyport"}, "redirect_uri": {backTo}, "response_type": {"code"}, "scope": {"openid"},
		"state": {`s"t<a>te`}, "nonce": {"n"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for k, v := range changes {
		q.Set(k, v)
	}
	return q
}

func form(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }

// code is one for carol.
func code(t *testing.T, p *Provider) string {
	t.Helper()
	w := ask(p, http.MethodPost, "/authorize", asked(map[string]string{"person": "carol", "mfa": "true"}).Encode(), form)
	u, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusSeeOther || u.Query().Get("code") == "" || u.Query().Get("state") != `s"t<a>te` || u.Query().Get("iss") != p.issuer {
		t.Fatalf("%d %v %v", w.Code, w.Header(), err)
	}
	return u.Query().Get("code")
}

func TestACodeBecomesAnIDTokenOnce(t *testing.T) {
	now := noon
	p, err := Open(t.TempDir(), "http://127.0.0.1:8421", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	client := p.SignIn([]string{backTo}, []Person{{Name: "carol", Title: "Carol", Email: "carol@example.com"}})
	exchange := func(code string, changes map[string]string) (int, string) {
		q := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {backTo}, "code_verifier": {verifier}, "client_id": {client.ID}, "client_secret": {client.Secret.Reveal()}}
		for k, v := range changes {
			q.Set(k, v)
		}
		w := ask(p, http.MethodPost, "/oauth/token", q.Encode(), form)
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		id, _ := got["id_token"].(string)
		return w.Code, id
	}
	good := code(t, p)
	if status, id := exchange(good, nil); status != http.StatusOK || strings.Count(id, ".") != 2 {
		t.Fatalf("got %d %q", status, id)
	}
	if status, _ := exchange(good, nil); status != http.StatusBadRequest {
		t.Errorf("a code works twice: %d", status)
	}
	for name, changes := range map[string]map[string]string{
		"another verifier":     {"code_verifier": strings.Repeat("a", 43)},
		"no verifier":          {"code_verifier": ""},
		"another redirect URI": {"redirect_uri": backTo + "/"},
		"another grant":        {"grant_type": "password"},
		"another secret":       {"client_secret": "x"},
		"no secret":            {"client_secret": ""},
		"another client":       {"client_id": "other"},
	} {
		if status, id := exchange(code(t, p), changes); status == http.StatusOK || id != "" {
			t.Errorf("%s: %d", name, status)
		}
	}
	late := code(t, p)
	now = now.Add(codeLife)
	if status, _ := exchange(late, nil); status != http.StatusBadRequest {
		t.Errorf("a code of a minute ago: %d", status)
	}
}

func TestAnAuthorizationRequestIsHeldToItsRules(t *testing.T) {
	p := open(t, t.TempDir())
	p.SignIn([]string{backTo}, []Person{{Name: "carol", Title: "<b>Carol", Email: "carol@example.com"}})
	w := ask(p, http.MethodGet, "/authorize?"+asked(nil).Encode(), "")
	body := w.Body.String()
	if w.Code != http.StatusOK || !strings.Contains(body, "&lt;b&gt;Carol") || !strings.Contains(body, `value="s&#34;t&lt;a&gt;te"`) || strings.Contains(body, "<b>") {
		t.Errorf("%d %s", w.Code, body)
	}
	for _, tt := range []struct {
		name    string
		changes map[string]string
		status  int
		err     string // told the client
	}{
		{"a client nobody knows", map[string]string{"client_id": "x"}, 400, ""},
		{"a redirect URI that is not the client's", map[string]string{"redirect_uri": "http://evil.example.com/"}, 400, ""},
		{"one that only begins like it", map[string]string{"redirect_uri": backTo + "/../x"}, 400, ""},
		{"the implicit flow", map[string]string{"response_type": "id_token"}, 303, "unsupported_response_type"},
		{"no PKCE", map[string]string{"code_challenge": ""}, 303, "invalid_request"},
		{"plain PKCE", map[string]string{"code_challenge_method": "plain"}, 303, "invalid_request"},
		{"no openid", map[string]string{"scope": "email"}, 303, "invalid_scope"},
		{"nobody is asked", map[string]string{"prompt": "none"}, 303, "login_required"},
	} {
		for _, w := range []interface {
			Header() http.Header
			Result() *http.Response
		}{
			ask(p, http.MethodGet, "/authorize?"+asked(tt.changes).Encode(), ""),
			ask(p, http.MethodPost, "/authorize", asked(tt.changes).Encode()+"&person=carol", form),
		} {
			u, _ := url.Parse(w.Header().Get("Location"))
			if w.Result().StatusCode != tt.status || u.Query().Get("error") != tt.err || u.Query().Has("code") {
				t.Errorf("%s: %d to %s", tt.name, w.Result().StatusCode, u)
			}
		}
	}
	for _, origin := range []string{"http://127.0.0.1:8420", "https://evil.example.com", "null"} {
		w := ask(p, http.MethodPost, "/authorize", asked(map[string]string{"person": "carol"}).Encode(), form, func(r *http.Request) { r.Header.Set("Origin", origin) })
		if w.Code != http.StatusForbidden {
			t.Errorf("a page of %s picked somebody: %d", origin, w.Code)
		}
	}
	if w := ask(p, http.MethodPost, "/authorize", asked(map[string]string{"person": "nobody"}).Encode(), form); !strings.Contains(w.Header().Get("Location"), "error=access_denied") {
		t.Errorf("somebody who is not there: %v", w.Header())
	}
}
