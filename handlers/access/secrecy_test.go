package access_test

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"sallyport.dev/handlers/access"
	"sallyport.dev/handlers/admin"
	"sallyport.dev/handlers/api"
)

// lines is a log that a test reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Not even a log of everything has a token, a value or a certificate in it.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	h := build(t)
	log := &lines{}
	e := api.New(api.Options{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	admin.Mount(e.Group("/orgs/default"), h.Organisation, admin.Options{More: access.New(h.Organisation, access.Options{}).Routes()})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	token := h.workload()
	h.url = s.URL + "/orgs/default"
	h.as(token, 200, "GET", "/whoami", nil)
	h.as(token, 200, "POST", "/access/grants", doc{"resource": password, "method": ofSecret}, "Idempotency-Key", "k")
	cert := h.as(token, 200, "POST", "/access/grants", h.ssh(ofRole))["certificate"].(string)
	h.refused(token, 409, "grant.answered", "POST", "/access/grants", doc{"resource": password, "method": ofSecret}, "Idempotency-Key", "k")
	h.refused(token, 403, "workload.not_allowed", "GET", "/people", nil)
	h.refused(token+"x", 401, "auth.required", "GET", "/whoami", nil)
	if !strings.Contains(log.String(), "/v1/access/grants") {
		t.Fatal("this test looks at the wrong log")
	}
	for what, secret := range map[string]string{
		"the token": token, "its payload": strings.Split(token, ".")[1], "its signature": strings.Split(token, ".")[2],
		"the value": "hunter2", "the certificate": strings.Fields(cert)[1],
	} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %s", what)
		}
		for _, e := range h.Events() {
			if strings.Contains(string(e.Data), secret) {
				t.Errorf("%s has %s", e.Type, what)
			}
		}
	}
}

// A loop does not fill the disk: what one subject has written is bounded, and
// another's asking is not bounded by it.
func TestWhoAsksTooOftenIsNotWrittenDown(t *testing.T) {
	t.Parallel()
	h := build(t)
	e := api.New(api.Options{Log: slog.New(slog.DiscardHandler)})
	admin.Mount(e.Group("/orgs/default"), h.Organisation, admin.Options{More: access.New(h.Organisation, access.Options{PerSecond: 1}).Routes()})
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	h.url = s.URL + "/orgs/default"
	at := h.Last()
	limited := map[string]int{}
	const asked = 200 // far more than a slow machine is let ask in that time
	for i := range asked {
		path, body := "/access/resolve", doc{"resource": "server/nothing"}
		if i%2 == 0 {
			path, body = "/access/grants", h.ssh("production/nothing/ssh:root")
		}
		switch status, answer := h.ask("mallory", "POST", path, body); {
		case status == 429 && answer["code"] == "rate.limited":
			limited[path]++
		case status != 403:
			t.Fatalf("answered %d %v", status, answer)
		}
	}
	if n := len(h.told(at)); len(limited) != 2 || n != asked-limited["/access/resolve"]-limited["/access/grants"] {
		t.Errorf("of %d were limited %v, and %d were written", asked, limited, n)
	}
	h.as("alice", 200, "POST", "/access/grants", h.ssh(mine))
	for range 50 {
		h.methods("alice", web) // writes nothing, and so is not limited
	}
}
