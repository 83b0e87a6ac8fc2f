package main

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
)

// receiver is a collector of OTLP over HTTP, as the protocol says.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	raw strings.Builder
	all []*spans.Span
}

func collect(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body := io.Reader(req.Body)
		if req.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			body = z
		}
		b, err := io.ReadAll(body)
		var in collector.ExportTraceServiceRequest
		if err != nil || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(b, &in) != nil {
			http.Error(w, "no OTLP", http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.raw.Write(b)
		for _, rs := range in.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				r.all = append(r.all, ss.Spans...)
			}
		}
		out, _ := proto.Marshal(&collector.ExportTraceServiceResponse{})
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.Write(out)
	}))
	t.Cleanup(r.Close)
	return r
}

// mainJob does what a server is for, and what it is not for, and returns every
// secret that came by.
func mainJob(t *testing.T, x *tenancy) (secrets []string) {
	t.Helper()
	for range 3 {
		proof := x.proof("default")
		a := x.exchange(t, "default", proof, "connection", "ci")
		token := a.text("access_token")
		if token == "" {
			t.Fatalf("%d %s", a.StatusCode, a.raw)
		}
		secrets = append(secrets, proof, token)
		b := x.exchange(t, "default", proof) // found by its issuer
		secrets = append(secrets, b.text("access_token"))
		x.send(t, "POST", "/orgs/default/introspect", "token="+token, "Authorization", "Bearer "+x.tokens["default"][domain.Auditor],
			"Content-Type", "application/x-www-form-urlencoded")
	}
	secrets = append(secrets, vaultJob(t, x, secrets[1])...)
	other := x.proof("acme")
	x.exchange(t, "default", other, "connection", "ci") // denied
	x.json(t, "default", domain.DevOpsAdmin, "POST", "/connections/ci/test", `{"jwt":"`+other+`"}`)
	secrets = append(secrets, other)
	// Secrets where they do not belong.
	x.send(t, "GET", "/"+other, "")
	x.send(t, "GET", "/orgs/default/jwks?token="+other, "", "Authorization", "Bearer "+other, "User-Agent", other, "X-Request-Id", other, "Referer", other)
	x.send(t, "GET", "/orgs/default/v1/connections/"+other, "", "Authorization", "Bearer "+x.tokens["default"][domain.Owner])
	x.exchange(t, "default", other, "connection", other)
	x.exchange(t, "default", other, "audience", other)
	x.exchange(t, "default", other, "grant_type", other)
	for _, of := range x.tokens {
		for _, token := range of {
			secrets = append(secrets, token)
		}
	}
	return secrets
}

// holdSecrets finds none of the secrets, nor the signature of one, in text.
func holdSecrets(t *testing.T, where, text string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		if s == "" {
			t.Fatal("a secret is empty, so this test looks for nothing")
		}
		for _, part := range []string{s, s[strings.LastIndex(s, ".")+1:]} { // a JWT's signature
			if strings.Contains(text, part) {
				t.Errorf("%s has a secret: %.24s...", where, s)
			}
		}
	}
}

func TestNoSecretIsInTheLog(t *testing.T) {
	log := &lines{}
	kek, err := jose.NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	x := twoTenantsWith(t, func(m *Main) {
		m.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if m.Sealer, err = jose.ParseKEK(kek); err != nil {
			t.Fatal(err)
		}
	})
	secrets := mainJob(t, x)
	a := x.exchange(t, "default", x.proof("default"), "connection", "ci")
	d := x.json(t, "default", domain.SecurityAdmin, "POST", "/connections/ci/deactivate", "{}", "If-Match", `"1"`)
	x.stop()
	if err := x.end(); err != nil {
		t.Fatal(err)
	}
	text := log.String()
	holdSecrets(t, "the log", text, append(secrets, strings.Trim(string(kek), "{}\n")))
	// Each request and the event that it caused are found in the log.
	for _, want := range []answered{a, d} {
		id, found := want.Header.Get("X-Request-Id"), false
		for line := range strings.Lines(text) {
			var m struct {
				Msg, Route, Event string
				RequestID         string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("a line is no JSON: %s", line)
			}
			if m.RequestID == id && m.Msg == "answered" {
				found = true
				if _, err := domain.ParsePosition(m.Event); err != nil || m.Route == "" {
					t.Errorf("the line names no event, or no route: %s", line)
				}
			}
		}
		if !found {
			t.Errorf("no line has the request %s", id)
		}
	}
}

func TestTracesTellTheStepsAndNothingElse(t *testing.T) {
	r := collect(t)
	log := &lines{}
	x := twoTenantsWith(t, func(m *Main) {
		m.Config.Tracing = TracingConfig{Endpoint: r.URL, SampleRatio: 1}
		m.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	secrets := mainJob(t, x)
	const strange = "4bf92f3577b34da6a3ce929d0e0e4736"
	a := x.send(t, "GET", "/orgs/default/jwks", "", "Traceparent", "00-"+strange+"-00f067aa0ba902b7-01")
	x.send(t, "GET", "/odd-path-of-a-stranger", "")
	x.send(t, "ODD", "/livez", "")
	x.stop() // sends what waits
	if err := x.end(); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	holdSecrets(t, "a trace", r.raw.String(), secrets)
	if strings.Contains(r.raw.String(), "odd-path") || strings.Contains(r.raw.String(), "ODD") {
		t.Error("a trace has a stranger's text")
	}
	steps := map[string][]string{} // by trace
	var exchanges []string
	for _, s := range r.all {
		id := hex.EncodeToString(s.TraceId)
		if id == strange {
			t.Errorf("the span %s is in a stranger's trace", s.Name)
		}
		if s.Name == "POST /orgs/default/token" {
			exchanges = append(exchanges, id)
		} else {
			steps[id] = append(steps[id], s.Name)
		}
		for _, attr := range s.Attributes {
			if !slices.Contains([]string{"http.request.method", "http.response.status_code", "http.route", "network.protocol.version", "url.scheme",
				"http.request.body.size", "http.response.body.size", "error.type"}, attr.Key) {
				t.Errorf("the span %s has %s", s.Name, attr.Key)
			}
		}
	}
	whole := 0
	for _, id := range exchanges {
		if slices.Equal(steps[id], []string{"verify", "decide", "sign", "record"}) {
			whole++
		}
		if !strings.Contains(log.String(), `"trace_id":"`+id+`"`) {
			t.Errorf("no line of the log names the trace %s", id)
		}
	}
	if whole < 6 {
		t.Errorf("%d of %d exchanges have all of their steps", whole, len(exchanges))
	}
	if !strings.Contains(log.String(), a.Header.Get("X-Request-Id")) {
		t.Error("the request whose trace was named from outside is not in the log")
	}
}

// A collector that is not there costs traces, and nothing else.
func TestACollectorThatIsGoneHoldsNothingUp(t *testing.T) {
	r := collect(t)
	r.Close()
	x := twoTenantsWith(t, func(m *Main) { m.Config.Tracing = TracingConfig{Endpoint: r.URL, SampleRatio: 1} })
	if a := x.exchange(t, "default", x.proof("default"), "connection", "ci"); a.StatusCode != http.StatusOK {
		t.Errorf("%d %s", a.StatusCode, a.raw)
	}
	x.stop()
	if err := x.end(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(x.log.String(), "traces were not taken") {
		t.Errorf("the log does not say that traces are lost:\n%s", x.log)
	}
}
