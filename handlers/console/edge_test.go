package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

// What the edge refuses below the console is a page to a browser, with the headers of
// every page, and JSON to everybody else; and it is refused, whoever asks.
func TestWhatTheEdgeRefusesIsAPageForBrowsersAlone(t *testing.T) {
	s := newSite(t)
	s.signIn("olga", domain.Owner)
	org := s.path("")
	for name, tt := range map[string]struct{ method, path string }{
		"a slash that is encoded":    {"GET", "/console/%2f"},
		"a parameter of a segment":   {"GET", "/console/;x"},
		"an empty segment":           {"GET", "/console//"},
		"one within":                 {"GET", org + "//people"},
		"dots that are encoded":      {"GET", "/console/%2e%2e/v1"},
		"dots":                       {"GET", "/console/orgs/../orgs/"},
		"a backslash":                {"GET", `/console/%5c`},
		"a byte that is no UTF-8":    {"GET", "/console/%ff%fe"},
		"letters beyond ASCII":       {"GET", "/console/%C3%A9"},
		"markup":                     {"GET", "/console/%3Cscript%3Ealert(1)%3C/script%3E"},
		"a line break":               {"GET", "/console/%0d%0aX-Y:%20z"},
		"a path that is very long":   {"GET", "/console/" + strings.Repeat("%61", 3000)},
		"a form to an odd path":      {"POST", org + "/sessions/%65nd"},
		"a path that is not encoded": {"GET", "/%63onsole/"},
	} {
		t.Run(name, func(t *testing.T) {
			for accept, page := range map[string]bool{
				"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": true, "*/*": false, "application/json": false, "": false,
			} {
				r := &http.Request{Method: tt.method, Header: http.Header{"Accept": {accept}, "Origin": {siteURL}}, Body: http.NoBody, RemoteAddr: "192.0.2.7:1", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
				var err error
				if r.URL, err = url.ParseRequestURI(tt.path); err != nil {
					t.Fatal(err)
				}
				w := s.as("olga", r)
				if w.Code != http.StatusNotFound {
					t.Fatalf("Accept %q: got %d: %s", accept, w.Code, w.Body)
				}
				if page {
					refusedByPage(t, w)
					continue
				}
				var told struct{ Code string }
				if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || told.Code != "route.not_found" || w.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("Accept %q: got %s %s", accept, w.Header().Get("Content-Type"), w.Body)
				}
			}
		})
	}
	// What the console has no page for is one of its own pages, whoever asks.
	for _, path := range []string{"/console/" + strings.Repeat("a", 8000), "/console/x", org + "/x"} {
		refusedByPage(t, s.get("", path))
	}
}

// refusedByPage holds an answer to what a page of an error is.
func refusedByPage(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	h, body := w.Header(), w.Body.String()
	if !strings.HasPrefix(h.Get("Content-Type"), "text/html") || !strings.Contains(body, "<h1>") {
		t.Fatalf("no page: %s %s", h.Get("Content-Type"), body)
	}
	checkPage(t, "a refusal of the edge", body)
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'nonce-", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
	} {
		if len(h.Values(name)) != 1 || !strings.HasPrefix(h.Get(name), want) {
			t.Errorf("%s: %q", name, h.Values(name))
		}
	}
	if strings.Contains(body, "alert(1)") && strings.Contains(body, "<script>alert") || len(body) > 20_000 || h.Get("X-Y") != "" || len(w.Result().Cookies()) > 0 {
		t.Errorf("it repeats what was asked for, or sets something: %s", body)
	}
}

// Elsewhere nothing changes: a browser that asks the API is told as a program is.
func TestBesideTheConsoleTheEdgeTellsJSON(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/consolex/%2f", "/%2f", "/orgs/%2f", "/x/console/%2f"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Accept", "text/html")
		if w := s.as("", r); w.Code != http.StatusNotFound || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
			t.Errorf("%s: got %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
	}
}
