package main

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const shownPolicy = `{"name":"db","description":"Databases","status":"published","version":3,"published_version":2,"pending":true,
	"principals":{"groups":["ops"],"roles":["backup"]},"missing":["/principals/groups/0"],"rules":[
	{"name":"servers","resource":{"labels":{"tier":"db","env":"prod"}},"privileges":[{"type":"ssh","accounts":["postgres","root"]},{"type":"ssh_workload"},{"type":"reveal_password","accounts":["root"]}],
	 "conditions":[{"type":"access_request","request_type":"prod","approval_seconds":5400},{"type":"mfa","fresh_seconds":0},{"type":"checkout","max_seconds":900}],
	 "expression":"time.getHours() < 18","break_glass":{"access_seconds":90}},
	{"name":"key","resource":{"secret":"a/b"},"privileges":[{"type":"secret","actions":["list","reveal"]}],"conditions":[{"type":"access_request","request_type":"prod","approval_seconds":60}],"workloads_may_wait":true},
	{"name":"web","resource":{"server":"web-1"},"privileges":[{"type":"ssh","accounts":["me"]}],"conditions":[{"type":"mfa"},{"type":"checkout"}]},
	{"name":"below","resource":{"folder":"a"},"privileges":[{"type":"secret","actions":["list"]}]}]}`

func TestAPolicyIsShownInWords(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"3"`)
		if r.URL.Path == "/orgs/default/v1/policies" {
			io.WriteString(w, `{"policies":[`+shownPolicy+`]}`)
			return
		}
		io.WriteString(w, shownPolicy)
	}))
	defer s.Close()
	env := map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "sallyport_x"}
	_, out, errs := run(t, env, "policy", "show", "db")
	for _, line := range []string{
		"3, version 2 published", "group/ops, role/backup", "ops: gone, and let nobody in",
		"servers: servers with env=prod, tier=db", "may log in with postgres, root; log in as the workload's own user; read the password of root",
		"needs access_request prod, which holds for 1h30m", "needs mfa every time", "needs checkout, for up to 15m", "only if time.getHours() < 18", "glass may be broken, for 1m30s",
		"key: secret a/b", "may list, reveal", "workloads may wait for the approval", "web: server web-1", "needs mfa, not older than 30m", "below: secrets below a",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("it does not say %q:\n%s%s", line, out, errs)
		}
	}
	if _, out, _ := run(t, env, "policy", "list"); !strings.Contains(out, "db") || !strings.Contains(out, "version 2 published") {
		t.Errorf("the list says\n%s", out)
	}
}

func TestPublishIsOfTheVersionThatWasRead(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("If-Match"))
		w.Header().Set("ETag", `"3"`)
		io.WriteString(w, shownPolicy)
	}))
	defer s.Close()
	env := map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "sallyport_x"}
	for _, word := range []string{"publish", "unpublish"} {
		asked = nil
		code, out, errs := run(t, env, "policy", word, "db")
		if want := `POST /orgs/default/v1/policies/db/` + word + ` "3"`; code != 0 || len(asked) < 2 || asked[1] != want {
			t.Errorf("%s ended with %d and asked %q\n%s%s", word, code, asked, out, errs)
		}
	}
}

func TestASimulationAsksForOneSubject(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		exit int
		sent string // "": nothing
		say  string // on either
	}{
		{"a person", []string{"server/db-1", "--person", "carol"}, 0, `{"resource":"server/db-1","subject":{"person":"carol"}}`, "db/servers/ssh:root"},
		{"a workload", []string{"server/db-1", "--connection", "ci", "--identity", "app", "--role", "backup", "--claims", "FILE"}, 0,
			`{"resource":"server/db-1","subject":{"claims":{"n":12345678901234567890},"connection":"ci","identity":"app","role":"backup"}}`, "never, for a workload"},
		{"a token of ours, of which the claims are sent", []string{"server/db-1", "--jwt-env", "JOB_TOKEN"}, 0,
			`{"resource":"server/db-1","subject":{"claims":{"ref":"main"},"connection":"ci","identity":"app","role":"backup"}}`, "db/servers/ssh:root"},
		{"a token of the platform's", []string{"server/db-1", "--jwt-env", "OTHER_TOKEN"}, 1, "", "no token of Sallyport"},
		{"a token and a person", []string{"server/db-1", "--jwt-env", "JOB_TOKEN", "--person", "carol"}, 2, "", "give either --person"},
		{"nobody", []string{"server/db-1"}, 2, "", "give either --person"},
		{"two", []string{"server/db-1", "--person", "carol", "--connection", "ci"}, 2, "", "give either --person"},
		{"claims that are none", []string{"server/db-1", "--connection", "ci", "--identity", "app", "--claims", "FILE"}, 1, "", "not JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sent string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				sent = string(b)
				io.WriteString(w, `{"resource":"server/db-1","subject":"carol","outcome":"filtered","methods":[{"id":"db/servers/ssh:root","through":"group/ops","open":false,
					"conditions":[{"type":"mfa","met":false},{"type":"checkout","met":true}]}],"left_out":[{"id":"db/x/ssh:root","through":"role/backup","conditions":[{"type":"mfa","met":false}]}]}`)
			}))
			defer s.Close()
			jwt := func(claims string) string {
				return "eyJhbGciOiJFUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2VjcmV0"
			}
			env := map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "sallyport_x", "OTHER_TOKEN": jwt(`{"sub":"app"}`),
				"JOB_TOKEN": jwt(`{"sub":"x","sallyport":{"connection":"ci","identity":"app","role_hint":"backup","claims":{"ref":"main"}}}`)}
			file, claims := filepath.Join(t.TempDir(), "claims.json"), `{"n":12345678901234567890}`
			if tt.exit == 1 {
				claims = `{"n":`
			}
			if err := os.WriteFile(file, []byte(claims), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"policy", "simulate"}
			for _, a := range tt.args {
				args = append(args, strings.ReplaceAll(a, "FILE", file))
			}
			code, out, errs := run(t, env, args...)
			if code != tt.exit || sent != tt.sent || !strings.Contains(out+errs, tt.say) {
				t.Errorf("got %d, sent %s\n%s%s", code, sent, out, errs)
			}
		})
	}
}
