package admin_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/e2e/contract"
	"sallyport.dev/handlers/admin"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation/orgtest"
)

// edge is an organisation whose /v1 is reached over real HTTP, by the people of
// interface.md. Every answer is held against openapi.yaml.
type edge struct {
	*orgtest.World
	url      string
	echo     *echo.Echo
	log      *buffer
	stopping chan struct{}
	client   *http.Client
	tokens   map[string]string // by person
	t        testing.TB
}

// people of interface.md and the one role that each has.
var people = map[string]domain.Role{
	"owner": domain.Owner, "devops": domain.DevOpsAdmin, "security": domain.SecurityAdmin, "security2": domain.SecurityAdmin,
	"resource": domain.ResourceAdmin, "auditor": domain.Auditor, "alice": domain.Member,
}

func newEdge(t testing.TB) *edge { return newEdgeWith(t, admin.Options{}) }

func newEdgeWith(t testing.TB, opt admin.Options) *edge {
	t.Helper()
	e := &edge{World: orgtest.New(t), log: &buffer{}, stopping: make(chan struct{}), tokens: map[string]string{}, t: t}
	for name, role := range people {
		e.tokens[name] = e.Token(domain.Name(name), role)
	}
	// The same person twice: whoever drafts as one may not activate as the other.
	e.tokens["dana as devops"] = e.Token("dana", domain.DevOpsAdmin)
	e.tokens["dana as security"] = e.Token("dana", domain.SecurityAdmin)
	log := slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	opt.Stopping = e.stopping
	e.echo = api.New(api.Options{Log: log})
	admin.Mount(e.echo.Group("/orgs/default"), e.Organisation, opt)
	s := httptest.NewUnstartedServer(e.echo)
	s.Config = api.NewServer(e.echo, log)
	s.Start()
	t.Cleanup(s.Close)
	e.url = s.URL
	e.client = contract.Client(t)
	t.Cleanup(e.noSecrets)
	return e
}

// noSecrets holds the server's log to what is promised of it.
func (e *edge) noSecrets() {
	for name, token := range e.tokens {
		if strings.Contains(e.log.String(), token) {
			e.t.Errorf("the token of %s is in the log", name)
		}
	}
	if strings.Contains(e.log.String(), "eyJ") {
		e.t.Error("a JWT is in the log")
	}
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// reply is what was answered.
type reply struct {
	Status int
	Header http.Header
	Raw    string
	Body   map[string]any
}

func (r reply) text(name string) string { s, _ := r.Body[name].(string); return s }

// pointers are the fields that an error names, sorted: "pointer code".
func (r reply) pointers() (fields []string) {
	list, _ := r.Body["errors"].([]any)
	for _, v := range list {
		f := v.(map[string]any)
		fields = append(fields, f["pointer"].(string)+" "+f["code"].(string))
	}
	slices.Sort(fields)
	return fields
}

// as sends a request of a person; headers come in pairs, an empty value removes one.
func (e *edge) as(person, method, path string, body any, headers ...string) reply {
	e.t.Helper()
	var text string
	switch b := body.(type) {
	case nil:
	case string:
		text = b
	default:
		j, err := json.Marshal(b)
		if err != nil {
			e.t.Fatal(err)
		}
		text = string(j)
	}
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.url+"/orgs/default/v1"+path, strings.NewReader(text))
	if err != nil {
		e.t.Fatal(err)
	}
	if text != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if person != "" {
		if e.tokens[person] == "" {
			e.t.Fatalf("nobody is called %q", person)
		}
		req.Header.Set("Authorization", "Bearer "+e.tokens[person])
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Del(headers[i])
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := e.client.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	r := reply{Status: res.StatusCode, Header: res.Header, Raw: string(b)}
	if strings.Contains(res.Header.Get("Content-Type"), "json") && !strings.Contains(res.Header.Get("Content-Type"), "ndjson") && len(b) > 0 {
		if err := json.Unmarshal(b, &r.Body); err != nil {
			e.t.Fatalf("%s %s answered no JSON: %s", method, path, b)
		}
	}
	return r
}

// document is a connection that anybody may draft, with changes; a nil value removes.
func (e *edge) document(name string, changes map[string]any) map[string]any {
	doc := map[string]any{
		"name": name, "provider": "generic_jwt", "jwks_url": "https://ci.example/jwks",
		"conditions": []any{
			map[string]any{"claim": "iss", "operator": "equals", "value": "https://ci.example"},
			map[string]any{"claim": "aud", "operator": "equals", "value": e.Issuer()},
			map[string]any{"claim": "sub", "operator": "equals", "value": "build"},
		},
	}
	for k, v := range changes {
		doc[k] = v
		if v == nil {
			delete(doc, k)
		}
	}
	return doc
}

// openPrefix is conditions of which one ends inside a segment, which blocks activation.
func (e *edge) openPrefix() []any {
	return []any{
		map[string]any{"claim": "iss", "operator": "equals", "value": "https://ci.example"},
		map[string]any{"claim": "aud", "operator": "equals", "value": e.Issuer()},
		map[string]any{"claim": "sub", "operator": "starts_with", "value": "repo:acme/app"},
	}
}

// must fails the test unless the answer has the status.
func (e *edge) must(status int, r reply) reply {
	e.t.Helper()
	if r.Status != status {
		e.t.Fatalf("got %d, want %d: %s", r.Status, status, r.Raw)
	}
	return r
}
