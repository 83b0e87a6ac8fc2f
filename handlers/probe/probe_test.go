package probe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sallyport "sallyport.dev"
	"sallyport.dev/domain/events"
	"sallyport.dev/e2e/contract"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/probe"
)

// part is something whose readiness a test decides.
type part map[string]error

func (p part) Ready(context.Context) map[string]error { return p }

// get asks a server with these parts and holds its answer to the document.
func get(t *testing.T, path string, parts ...probe.Readiness) (int, string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	e := api.New(api.Options{Log: log})
	probe.New(probe.Options{OpenAPI: sallyport.OpenAPI, Catalogue: events.New(), Log: log, Ready: parts}).Mount(e)
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	res, err := contract.Client(t).Get(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestReadiness(t *testing.T) {
	well, ill := part{"log": nil, "fold": nil}, part{"log": errors.New("secret reason"), "fold": nil}
	for _, tt := range []struct {
		name, path string
		parts      []probe.Readiness
		status     int
		body       string
	}{
		{"a process lives", "/livez", []probe.Readiness{ill}, 200, `{"status":"ok"}`},
		{"every check holds", "/readyz", []probe.Readiness{well, well}, 200, `{"status":"ok"}`},
		{"one that fails is enough", "/readyz", []probe.Readiness{well, ill}, 503, `{"status":"unavailable"}`},
		{"whatever comes after it", "/readyz?verbose", []probe.Readiness{ill, well}, 503, `{"status":"unavailable","checks":{"fold":"ok","log":"unavailable"}}`},
		{"verbose names the checks", "/readyz?verbose", []probe.Readiness{well}, 200, `{"status":"ok","checks":{"fold":"ok","log":"ok"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := get(t, tt.path, tt.parts...)
			if status != tt.status || strings.TrimSpace(body) != tt.body {
				t.Errorf("got %d %s, want %d %s", status, body, tt.status, tt.body)
			}
		})
	}
}

// Anybody may ask, as often as they like.
func TestAskingOftenDoesNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	e := api.New(api.Options{Log: slog.New(slog.DiscardHandler)})
	ill := part{"log": errors.New("secret reason"), "disk": errors.New("full"), "fold": nil}
	probe.New(probe.Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Ready: []probe.Readiness{ill}}).Mount(e)
	for range 100 {
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/readyz", nil))
	}
	if n := strings.Count(log.String(), "\n"); n == 0 || n > 20 { // two each ten seconds
		t.Errorf("a hundred questions wrote %d lines:\n%.500s", n, &log)
	}
}

func TestTheContractAndTheSchemasAreServed(t *testing.T) {
	if status, body := get(t, "/openapi.yaml"); status != http.StatusOK || body != string(sallyport.OpenAPI) {
		t.Errorf("openapi.yaml: %d", status)
	}
	for _, typ := range events.New().Types() {
		status, body := get(t, "/schemas/"+typ)
		if status != http.StatusOK || !json.Valid([]byte(body)) {
			t.Errorf("%s: %d %s", typ, status, body)
		}
	}
	if status, body := get(t, "/schemas/token.stolen"); status != http.StatusNotFound || !strings.Contains(body, `"code":"schema.not_found"`) {
		t.Errorf("got %d %s", status, body)
	}
}
