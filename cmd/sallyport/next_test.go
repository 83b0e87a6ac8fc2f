package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// counter is a server that answers paths, and finds nothing at any other.
func counter(t *testing.T, env map[string]string, answers map[string]string) map[string]string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/orgs/default/v1/")
		if body, ok := answers[path]; ok {
			w.Header().Set("ETag", `"3"`)
			io.WriteString(w, body)
			return
		}
		noun, _, _ := strings.Cut(strings.TrimPrefix(path, r.Method+" "), "/")
		w.WriteHeader(404)
		io.WriteString(w, `{"title":"t","code":"`+strings.ReplaceAll(strings.TrimSuffix(strings.Replace(noun, "policies", "policys", 1), "s"), "-", "_")+`.not_found"}`)
	}))
	t.Cleanup(srv.Close)
	env["SALLYPORT_ADDR"] = srv.URL
	if env["SALLYPORT_TOKEN"] == "" {
		env["SALLYPORT_TOKEN"] = "x"
	}
	return env
}

func TestWhatIsToldToDoNextHelps(t *testing.T) {
	const resolve = "POST access/resolve"
	methods := func(kind, more string) string {
		return `{"methods":[{"id":"p/r/m","kind":"` + kind + `","username":"root","account":"dba",` + more + `}]}`
	}
	request := `"conditions":[{"type":"access_request","request_type":"prod","description":"d."}]`
	for _, tt := range []struct {
		name, args string
		answers    map[string]string
		want, not  string
	}{
		{"a request that can be raised", "ssh-proxy --agent /tmp/none/x web-1", map[string]string{resolve: methods("ssh", request), "GET request-types/prod": `{"status":"published"}`}, "add --request", "publish"},
		{"a request type that is gone", "ssh-proxy --agent /tmp/none/x web-1", map[string]string{resolve: methods("ssh", request)}, "sallyport request-type publish prod", "--request"},
		{"one that is not published", "secrets reveal --server web-1 --account dba", map[string]string{resolve: methods("reveal_password", request), "GET request-types/prod": `{"status":"draft"}`}, "sallyport request-type publish prod", "request create"},
		{"glass that may be broken", "secrets reveal --server web-1 --account dba", map[string]string{resolve: methods("reveal_password", `"break_glass_seconds":900,`+request)}, "in an emergency: sallyport break-glass use server/web-1 --method p/r/m --reason TEXT", ""},
		{"what somebody else has", "secrets reveal --server web-1 --account dba", map[string]string{resolve: methods("reveal_password",
			`"checked_out":{"by":"bob","until":"2026-11-22T12:00:00Z"},"conditions":[{"type":"checkout","description":"d."}]`)}, "wait until 2026-11-22T12:00:00Z, or ask bob to release it", "take it first"},
		{"what nobody has", "secrets reveal --server web-1 --account dba", map[string]string{resolve: methods("reveal_password", `"conditions":[{"type":"checkout","description":"d."}]`)}, "checkout take server/web-1 --account dba", "wait"},
		{"nothing to release", "checkout release server/web-1 --account dba", map[string]string{"POST access/checkouts/release": `{"released":false}`}, "checkout list", "give --account"},
		{"no server", "servers list", map[string]string{"GET access/resources": `{"resources":[]}`}, "ask a security_admin for a policy", ""},
		{"no block", "ssh-config", map[string]string{"GET access/resources": `{"resources":[]}`}, "there is nothing to write", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if strings.HasPrefix(tt.args, "ssh-proxy") {
				tt.args = strings.Replace(tt.args, "/tmp/none/x", t.TempDir()+"/s/x", 1)
			}
			_, out, errs := run(t, counter(t, map[string]string{}, tt.answers), strings.Fields(tt.args)...)
			if said := out + errs; !strings.Contains(said, tt.want) || tt.not != "" && strings.Contains(said, tt.not) {
				t.Errorf("it says %s\nwant %q, not %q", said, tt.want, tt.not)
			}
		})
	}
}

func TestWhatWritingAndDeletingLeavesIsTold(t *testing.T) {
	rule := `"rules":[{"name":"r","resource":{"server":"web-1"},"conditions":[{"type":"access_request","request_type":"prod"}]}]`
	policy := func(more string) string { return `{"name":"p",` + rule + `,` + more + `}` }
	lists := map[string]string{
		"GET policies":      `{"policies":[{"name":"p","principals":{"groups":["dba"]},` + rule + `},{"name":"q","principals":{"roles":["dba"]}}]}`,
		"GET request-types": `{"request_types":[{"name":"prod","steps":[{"approvers":{"group":"dba"}}]}]}`,
		"GET groups/dba":    `{"name":"dba"}`, "DELETE groups/dba": ``, "GET servers/web-1": `{"name":"web-1"}`, "DELETE servers/web-1": ``,
	}
	for _, tt := range []struct {
		name, args string
		answers    map[string]string
		want, not  string
	}{
		{"a group that others name", "group delete dba", lists, "still named by policy p, request-type prod: there it counts as missing", "policy q"},
		{"a server that a policy names", "server delete web-1", lists, "still named by policy p:", "request-type"},
		{"names that are missing", "policy list", map[string]string{"GET policies": `{"policies":[{"name":"p","principals":{"groups":["dba"]},"missing":["/principals/groups/0","/nowhere"]}]}`}, "dba /nowhere", "/principals"},
		{"a request type that nobody can use", "policy publish p", map[string]string{"GET policies/p": policy(`"status":"draft","version":1`), "POST policies/p/publish": `{}`}, "sallyport request-type publish prod", "Nothing"},
		{"one that can be used", "policy publish p", map[string]string{"GET policies/p": policy(`"status":"draft","version":1`), "POST policies/p/publish": `{}`, "GET request-types/prod": `{"status":"published"}`}, "it decides from now on", "request-type"},
		{"published already", "policy publish p", map[string]string{"GET policies/p": policy(`"status":"published","version":3,"published_version":3`), "POST policies/p/publish": `{}`}, "Nothing was changed: version 3 of policy p is published already", "from now on"},
		{"an edit of what is published", "policy put -f FILE", map[string]string{"GET policies/p": `{}`, "PUT policies/p": policy(`"status":"published","version":4,"published_version":3`)}, "Version 3 is still what counts; publish this one with: sallyport policy publish p", ""},
		{"a draft", "policy put -f FILE", map[string]string{"POST policies": policy(`"status":"draft","version":1`)}, "no effect before: sallyport policy publish p", ""},
		{"a file without -f", "policy put nofile.yaml", nil, "give -f with a file, or - for stdin: -f nofile.yaml", ""},
		{"a connection that may come back", "connection deactivate ci", map[string]string{"GET connections/ci": `{"name":"ci","version":1}`, "POST connections/ci/deactivate": `{"name":"ci"}`}, "work again if it is activated before they end", ""},
		{"one whose tokens are dead", "connection deactivate ci --revoke-tokens", map[string]string{"GET connections/ci": `{"name":"ci","version":1}`, "POST connections/ci/deactivate": `{"name":"ci"}`}, "ci", "work again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := t.TempDir() + "/doc.json"
			if err := os.WriteFile(file, []byte(`{"name":"p"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			args := strings.Fields(strings.Replace(tt.args, "FILE", file, 1))
			_, out, errs := run(t, counter(t, map[string]string{}, tt.answers), args...)
			if said := out + errs; !strings.Contains(said, tt.want) || tt.not != "" && strings.Contains(said, tt.not) {
				t.Errorf("it says %s\nwant %q, not %q", said, tt.want, tt.not)
			}
		})
	}
}

func TestSecretsAreRevealedOnceEachCanBe(t *testing.T) {
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
		switch {
		case asked[len(asked)-1] == "grants":
			io.WriteString(w, `{"value":"v"}`)
		case strings.Contains(string(body), "secret/b"):
			io.WriteString(w, `{"outcome":"filtered","methods":[]}`)
		default:
			io.WriteString(w, `{"methods":[{"id":"m","kind":"secret_reveal","open":true}]}`)
		}
	}))
	t.Cleanup(srv.Close)
	env := map[string]string{"SALLYPORT_ADDR": srv.URL, "SALLYPORT_TOKEN": "x"}
	code, _, errs := run(t, env, "wl", "exec", "--secret", "A=a", "--secret", "B=b", "--", "true")
	if code != 3 || strings.Join(asked, " ") != "resolve resolve" || !strings.Contains(errs, "further ones, which need a human") {
		t.Errorf("exit code %d, asked %q: %s", code, asked, errs)
	}
	asked = nil
	if code, _, errs := run(t, env, "wl", "exec", "--secret", "A=a", "--secret", "C=c", "--", "true"); code != 0 || strings.Join(asked, " ") != "resolve resolve grants grants" {
		t.Errorf("exit code %d, asked %q: %s", code, asked, errs)
	}
	for _, v := range []string{"PATH", "LD_PRELOAD", "BASH_ENV"} {
		if code, _, errs := run(t, env, "wl", "exec", "--secret", v+"=a", "--", "true"); code != 2 || !strings.Contains(errs, "does not go into "+v) {
			t.Errorf("%s: exit code %d: %s", v, code, errs)
		}
	}
}
