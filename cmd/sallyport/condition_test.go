package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// sent runs a command against a server that has the connection as it is, and
// gives what was sent of conditions, a line each, and the whole document.
func sent(t *testing.T, is string, args ...string) (lines string, doc map[string]json.RawMessage, stderr string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
			io.WriteString(w, `{"issuer":"https://us"}`)
		case r.Method == http.MethodGet:
			io.WriteString(w, is)
		default:
			if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
				t.Error(err)
			}
			io.WriteString(w, is)
		}
	}))
	t.Cleanup(s.Close)
	_, _, stderr = run(t, map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "x"}, args...)
	var b strings.Builder
	for _, line := range conditionLines(doc["conditions"]) {
		b.WriteString(strings.Join(line, " ") + "\n")
	}
	return b.String(), doc, stderr
}

func TestDraftedConditionsAddToThePreset(t *testing.T) {
	gitlab := []string{"connection", "draft", "c", "--provider", "gitlab", "--setting", "domain=gitlab.com", "--setting", "group=acme"}
	lines, _, _ := sent(t, "{}", append(gitlab, "--condition", "ref equals main")...)
	if !strings.HasPrefix(lines, "iss equals https://gitlab.com\naud equals https://us\n") || !strings.HasSuffix(lines, "\nref equals main\n") || strings.Count(lines, "\n") < 4 {
		t.Errorf("added: got\n%s", lines)
	}
	lines, _, _ = sent(t, "{}", append(gitlab, "--condition", "/aud equals https://other")...)
	if strings.Contains(lines, "https://us") || !strings.Contains(lines, "/aud equals https://other\n") || !strings.Contains(lines, "iss equals") {
		t.Errorf("replaced: got\n%s", lines)
	}
	lines, _, _ = sent(t, "{}", append(gitlab, "--remove-condition", "aud")...)
	if strings.Contains(lines, "aud") || !strings.Contains(lines, "iss equals") {
		t.Errorf("removed: got\n%s", lines)
	}
	lines, _, _ = sent(t, "{}", append(gitlab, "--condition", "ref equals main", "--replace-conditions")...)
	if lines != "ref equals main\n" {
		t.Errorf("alone: got\n%s", lines)
	}
	if _, doc, _ := sent(t, "{}", gitlab...); doc == nil || doc["conditions"] != nil {
		t.Errorf("the server fills in: got %s", doc["conditions"])
	}
	_, doc, errs := sent(t, "{}", "connection", "draft", "c", "--provider", "gitlab", "--setting", "group=acme", "--condition", "ref equals main")
	if doc != nil || !strings.Contains(errs, "--setting domain: ") {
		t.Errorf("sent %v, said %s", doc, errs)
	}
	_, doc, errs = sent(t, "{}", "connection", "draft", "c", "--condition", "ref equals main")
	if doc != nil || !strings.Contains(errs, "give --provider (generic_jwt, ") || !strings.Contains(errs, "--jwks-url") {
		t.Errorf("sent %v, said %s", doc, errs)
	}
}

func TestAnEditChangesTheConditionItNames(t *testing.T) {
	const is = `{"name":"c","version":2,"status":"draft","provider":"gitlab","settings":{"domain":"gitlab.com","group":"acme","project":"app"},"jwks_url":"https://mirror/jwks",
		"conditions":[{"claim":"iss","operator":"equals","value":"https://gitlab.com"},{"claim":"aud","operator":"equals","value":"mine"},
		{"claim":"project_path","operator":"equals","value":"acme/app"},{"claim":"ref","operator":"equals","value":"main","newer":1}]}`
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"one is changed", "iss equals https://gitlab.com\naud equals mine\nproject_path equals acme/app\nref one_of main, release\n", []string{"--condition", "ref one_of main, release"}},
		{"one is added", "iss equals https://gitlab.com\naud equals mine\nproject_path equals acme/app\nref equals main\nenvironment equals prod\n", []string{"--condition", "environment equals prod"}},
		{"one is removed", "iss equals https://gitlab.com\naud equals mine\nproject_path equals acme/app\n", []string{"--remove-condition", "ref"}},
		{"one becomes two, in its place", "iss equals https://gitlab.com\naud equals mine\nproject_path starts_with acme/\nproject_path one_of acme/app, acme/b\nref equals main\n", []string{"--condition", "project_path starts_with acme/", "--condition", "project_path one_of acme/app,acme/b"}},
		{"one in two forms stays both", "iss equals https://gitlab.com\naud equals mine\nproject_path equals acme/app\nref equals a\n/ref exists \n", []string{"--condition", "ref equals a", "--condition", "/ref exists"}},
		{"all are replaced", "sub equals x\n", []string{"--condition", "sub equals x", "--replace-conditions"}},
		{"a setting changes what it fills in", "iss equals https://gitlab.com\naud equals mine\nproject_path equals acme/other\nref equals main\n", []string{"--setting", "project=other"}},
		{"none is touched", "iss equals https://gitlab.com\naud equals mine\nproject_path equals acme/app\nref equals main\n", []string{"--ttl", "5m"}},
		{"another provider keeps what is a person's", "aud equals mine\nref equals main\n", []string{"--provider", "generic_jwt"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines, doc, errs := sent(t, is, append([]string{"connection", "edit", "c"}, tt.args...)...)
			if lines != tt.want {
				t.Errorf("got\n%swant\n%s%s", lines, tt.want, errs)
			}
			if strings.Contains(lines, "ref equals main") && !strings.Contains(string(doc["conditions"]), `"newer":1`) {
				t.Errorf("what a newer server knows is lost: %s", doc["conditions"])
			}
		})
	}
	_, doc, _ := sent(t, is, "connection", "edit", "c", "--setting", "project=other")
	if string(doc["jwks_url"]) != `"https://mirror/jwks"` || string(doc["settings"]) != `{"domain":"gitlab.com","group":"acme","project":"other"}` {
		t.Errorf("keys %s, settings %s", doc["jwks_url"], doc["settings"])
	}
	_, doc, _ = sent(t, is, "connection", "edit", "c", "--setting", "domain=gitlab.example.com", "--setting", "project=")
	if doc["jwks_url"] != nil || string(doc["settings"]) != `{"domain":"gitlab.example.com","group":"acme"}` {
		t.Errorf("keys %s, settings %s", doc["jwks_url"], doc["settings"])
	}
	_, doc, errs := sent(t, is, "connection", "edit", "c", "--remove-condition", "nope")
	if doc != nil || !strings.Contains(errs, "the conditions are on iss, aud, project_path, ref") {
		t.Errorf("sent %v, said %s", doc, errs)
	}
	if _, _, errs = sent(t, is, "connection", "edit", "c"); !strings.Contains(errs, "Nothing was changed") {
		t.Errorf("said %s", errs)
	}
}

func TestARefusedConditionIsShown(t *testing.T) {
	url := server(t, 422, nil, `{"title":"t","detail":"d","code":"request.invalid","errors":[{"pointer":"/conditions/1/claim","code":"invalid","detail":"long"}]}`)
	_, _, errs := run(t, map[string]string{"SALLYPORT_ADDR": url, "SALLYPORT_TOKEN": "x"},
		"connection", "draft", "c", "--jwks-url", "https://x", "--condition", "a equals b", "--condition", "c// exists")
	if !strings.Contains(errs, "--condition, the 2nd of those sent: long (invalid)\n") || !strings.Contains(errs, "the 2nd sent: c// exists") {
		t.Errorf("said %s", errs)
	}
}

func TestAReviewSaysWhatMattersOnce(t *testing.T) {
	const is = `{"name":"c","version":2,"status":"draft","provider":"generic_jwt","jwks":{"keys":[{"kid":"k1"},{"kid":"k2"}]},"updated_at":"2026-11-22T13:00:00.123Z",
		"conditions":[{"claim":"sub","operator":"equals","value":"x"}],"token_ttl":{"amount":15,"unit":"minutes"},"algorithms":["RS256","ES256"],
		"warnings":[{"code":"a.b","message":"m","blocks":true},{"code":"c.d","message":"n","blocks":true}]}`
	url := server(t, 200, nil, is)
	env := map[string]string{"SALLYPORT_ADDR": url, "SALLYPORT_TOKEN": "x"}
	_, out, errs := run(t, env, "connection", "activate", "c", "--acknowledge", "a.b")
	if out != "c  draft, version 2\n" || !strings.Contains(errs, "sub  equals  x") || strings.Contains(errs, "a.b") || !strings.Contains(errs, "until acknowledged: c.d") {
		t.Errorf("got %s, said %s", out, errs)
	}
	_, out, _ = run(t, env, "connection", "show", "c")
	for _, want := range []string{" 15m\n", " RS256, ES256\n", " keys k1, k2\n", " 2026-11-22 13:00:00Z\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	active := server(t, 200, nil, strings.Replace(is, `"draft"`, `"active"`, 1))
	if _, out, _ = run(t, map[string]string{"SALLYPORT_ADDR": active, "SALLYPORT_TOKEN": "x"}, "connection", "show", "c"); !strings.Contains(out, "warning, acknowledged: a.b") {
		t.Errorf("got %s", out)
	}
}

func TestAnEditOfAnActiveConnectionSaysWhoGoesOn(t *testing.T) {
	_, _, errs := sent(t, `{"name":"c","version":3,"status":"active","pending":{"difference":[{"pointer":"/conditions/1","from":"","to":"ref equals main"}]}}`,
		"connection", "edit", "c", "--ttl", "1m")
	if !strings.Contains(errs, "Version 3 waits. Another security admin runs: sallyport connection activate c") {
		t.Errorf("said %s", errs)
	}
}
