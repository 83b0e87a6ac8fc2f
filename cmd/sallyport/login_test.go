package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// door is a server that lets a program in at its second question.
func door(t *testing.T) (url string, revoked *atomic.Int64) {
	t.Helper()
	var asked, ended atomic.Int64
	mux := http.NewServeMux()
	tell := func(w http.ResponseWriter, status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
	mux.HandleFunc("POST /orgs/default/device_authorization", func(w http.ResponseWriter, _ *http.Request) {
		tell(w, 200, `{"device_code":"d","user_code":"BCDF-GHJK","verification_uri":"http://x/device","verification_uri_complete":"http://x/device?user_code=BCDF-GHJK","expires_in":600,"interval":1}`)
	})
	mux.HandleFunc("POST /orgs/default/token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("device_code") != "d" || r.FormValue("client_id") != "sallyport-cli" || asked.Add(1) == 1 {
			tell(w, 400, `{"error":"authorization_pending","error_code":"device.pending","error_description":"not yet","request_id":"1"}`)
			return
		}
		tell(w, 200, `{"access_token":"sallyport_new","token_type":"Bearer","expires_in":28800}`)
	})
	holds := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer sallyport_new" && ended.Load() == 0 {
			return true
		}
		tell(w, 401, `{"title":"Unauthorized","detail":"It was revoked.","code":"api_token.revoked","request_id":"1"}`)
		return false
	}
	mux.HandleFunc("GET /orgs/default/v1/whoami", func(w http.ResponseWriter, r *http.Request) {
		if holds(w, r) {
			tell(w, 200, `{"person":"alice","roles":["member"],"expires_at":"2026-11-22T12:00:00Z"}`)
		}
	})
	mux.HandleFunc("POST /orgs/default/v1/logout", func(w http.ResponseWriter, r *http.Request) {
		if holds(w, r) {
			ended.Add(1)
			w.WriteHeader(http.StatusNoContent)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL, &ended
}

func TestALoginIsKeptForItsServerAloneUntilTheLogout(t *testing.T) {
	url, revoked := door(t)
	home := t.TempDir()
	env := map[string]string{"SALLYPORT_ADDR": url, "HOME": home}
	code, _, errs := run(t, env, "login")
	if code != 0 || !strings.Contains(errs, "http://x/device?user_code=BCDF-GHJK") || !strings.Contains(errs, "code BCDF-GHJK") || !strings.Contains(errs, "Logged in as alice") || strings.Contains(errs, "sallyport_new") {
		t.Fatalf("login exits with %d: %s", code, errs)
	}
	file := filepath.Join(home, ".config", "sallyport", "credentials.json")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the token is kept as %v, %v", info, err)
	}
	if code, out, errs := run(t, env, "whoami"); code != 0 || !strings.Contains(out, "alice") {
		t.Errorf("whoami exits with %d: %s%s", code, out, errs)
	}
	for name, other := range map[string]map[string]string{
		"another organisation": {"SALLYPORT_ADDR": url, "HOME": home, "SALLYPORT_ORG": "other"},
		"another server":       {"SALLYPORT_ADDR": "http://127.0.0.1:1", "HOME": home},
	} {
		if code, _, errs := run(t, other, "whoami"); code != 2 || !strings.Contains(errs, "run `sallyport login`") {
			t.Errorf("%s is asked with a token: %d %s", name, code, errs)
		}
	}
	env["SALLYPORT_TOKEN"] = "sallyport_mine" // comes first
	if code, _, errs := run(t, env, "whoami"); code != 3 || !strings.Contains(errs, "sallyport login") {
		t.Errorf("SALLYPORT_TOKEN was not used: %d %s", code, errs)
	}
	delete(env, "SALLYPORT_TOKEN")
	if code, _, errs := run(t, env, "logout"); code != 0 || revoked.Load() != 1 {
		t.Errorf("logout exits with %d: %s", code, errs)
	}
	if b, err := os.ReadFile(file); err != nil || strings.Contains(string(b), "sallyport_new") {
		t.Errorf("after the logout there is %s, %v", b, err)
	}
	if code, _, errs := run(t, env, "logout"); code != 0 || !strings.Contains(errs, "not logged in") {
		t.Errorf("a second logout exits with %d: %s", code, errs)
	}
}
