package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport.dev/domain/claim"
)

func conditionsOf(t testing.TB, text string) (cs []claim.Condition) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &cs); err != nil {
		t.Fatal(err)
	}
	return cs
}

// A token is looked into here: what is sent is its claims, and of a token of
// ours those that it carries.
func TestRoleMatchSendsClaimsAndNeverATokens(t *testing.T) {
	jwt := func(claims string) string {
		return "eyJhbGciOiJFUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2VjcmV0"
	}
	const ours = `{"iss":"us","sub":"workload://default/ci/app","sallyport":{"connection":"ci","identity":"app","role_hint":"","claims":{"ref":"main","n":12345678901234567890}}}`
	for _, tt := range []struct {
		name, jwt, file string
		args            []string
		exit            int
		sent            string // "": nothing
		say             string // on either
	}{
		{name: "a token of ours", jwt: jwt(ours), sent: `{"claims":{"ref":"main","n":12345678901234567890},"connection":"ci","identity":"app"}`, say: "deployers"},
		{name: "the platform's, with a connection", jwt: jwt(`{"sub":"app"}`), args: []string{"--connection", "gitlab-ci"}, sent: `{"claims":{"sub":"app"},"connection":"gitlab-ci"}`, say: "ref equals main"},
		{name: "the platform's, without", jwt: jwt(`{"sub":"app"}`), exit: 2, say: "give --connection"},
		{name: "claims in a file", file: `{"ref":"dev"}`, args: []string{"--connection", "ci"}, sent: `{"claims":{"ref":"dev"},"connection":"ci"}`, say: "only in case"},
		{name: "a list in a file", file: `[1]`, args: []string{"--connection", "ci"}, exit: 1, say: "no claims"},
		{name: "neither", exit: 2, say: "exactly one of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sent string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				sent = string(b)
				io.WriteString(w, `{"connection":"ci","status":"inactive","roles":[],"explained":[{"role":"deployers","matches":false,"requirements":[
					{"index":0,"met":false,"conditions":[{"claim":"ref","operator":"equals","met":false,"expected":"main","actual":"Main","message":"It differs only in case."}]},
					{"index":2,"met":true,"conditions":[]}]}]}`)
			}))
			defer s.Close()
			args := append([]string{"role", "match"}, tt.args...)
			if tt.jwt != "" {
				args = append(args, "--jwt-env", "JOB_TOKEN")
			}
			if tt.file != "" {
				file := filepath.Join(t.TempDir(), "claims.json")
				if err := os.WriteFile(file, []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--claims", file)
			}
			env := map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "sallyport_x", "JOB_TOKEN": tt.jwt}
			code, out, errs := run(t, env, args...)
			if code != tt.exit || !strings.Contains(out+errs, tt.say) {
				t.Errorf("got %d\n%s%s", code, out, errs)
			}
			if sent != tt.sent || strings.Contains(sent, "eyJ") {
				t.Errorf("sent %s, want %s", sent, tt.sent)
			}
			if tt.exit == 0 && (!strings.Contains(out, "every token of ci") || !strings.Contains(out, "ci is inactive")) {
				t.Errorf("it prints\n%s", out)
			}
		})
	}
}
