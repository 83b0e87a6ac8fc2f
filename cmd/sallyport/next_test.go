package main

import (
	"io"
	"net/http"
	"net/http/httptest"
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
		io.WriteString(w, `{"title":"t","code":"`+strings.ReplaceAll(strings.TrimSuffix(noun, "s"), "-", "_")+`.not_found"}`)
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
