package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// workloadTokenOf is a token of a workload, as far as its bearer reads it.
func workloadTokenOf(exp int64, hint string) string {
	claims := fmt.Sprintf(`{"exp":%d,"sallyport":{"role_hint":%q}}`, exp, hint)
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestAWorkloadIsToldWhyItsTokenDoesNotDo(t *testing.T) {
	const later = 4102444800
	for _, tt := range []struct{ name, token, code, roles, want, not string }{
		{"it is over", workloadTokenOf(1000000000, ""), "auth.required", "", "this workload token ended at 2001-09-09T01:46:40Z: run `sallyport wl auth` again", "inactive"},
		{"it is not over", workloadTokenOf(later, ""), "auth.required", "", "its connection may be inactive", "ended"},
		{"a person's", "sallyport_x", "auth.required", "", "run `sallyport login`", "wl auth"},
		{"roles", workloadTokenOf(later, ""), "access.refused", `"deployer","reader"`, "this token bears now: deployer, reader\n", "hints"},
		{"a hint at what it does not bear", workloadTokenOf(later, "nosuch"), "access.refused", `"deployer"`, "bears now: deployer; it hints at nosuch", ""},
		{"no role", workloadTokenOf(later, ""), "access.refused", "", "this token bears no role now", ""},
		{"a person is not asked", "sallyport_x", "access.refused", `"deployer"`, "access resources", "bears"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/whoami") {
					io.WriteString(w, `{"roles":[`+tt.roles+`]}`)
					return
				}
				w.WriteHeader(map[string]int{"auth.required": 401, "access.refused": 403}[tt.code])
				io.WriteString(w, `{"title":"t","code":"`+tt.code+`"}`)
			}))
			t.Cleanup(srv.Close)
			code, _, stderr := run(t, map[string]string{"SALLYPORT_ADDR": srv.URL, "SALLYPORT_TOKEN": tt.token}, "access", "resolve", "server/web-1")
			if code != 3 || !strings.Contains(stderr, tt.want) || tt.not != "" && strings.Contains(stderr, tt.not) {
				t.Errorf("exit code %d, %s\nwant %q, not %q", code, stderr, tt.want, tt.not)
			}
		})
	}
}
