// Package contract holds a running server against openapi.yaml. It is for
// tests: a client whose transport is [Transport] fails the test as soon as an
// answer is not one the document promises, or as soon as the server accepts a
// request that the document does not allow.
package contract

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	sallyport "sallyport.dev"
)

// maxBody bounds what is kept of a request or an answer to be checked; no
// endpoint takes or answers more in a test.
const maxBody = 4 << 20

// Document loads openapi.yaml and checks the document itself, examples included.
func Document() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(sallyport.OpenAPI)
	if err != nil {
		return nil, fmt.Errorf("reading openapi.yaml: %w", err)
	}
	doc.Servers = nil // a test server listens wherever it finds a port
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("openapi.yaml breaks the rules of OpenAPI: %w", err)
	}
	return doc, nil
}

// router is made once: reading the document takes longer than most tests.
var router = sync.OnceValues(func() (routers.Router, error) {
	doc, err := Document()
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// Client is an HTTP client held to the document; it follows no redirect, since
// the document promises none.
func Client(t testing.TB) *http.Client {
	return &http.Client{
		Transport:     Transport(t, http.DefaultTransport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Transport is base, watched. Every answer must have a status, a media type,
// headers and a body that the document lists for that operation; every request
// that was accepted (2xx) must be one that the document allows. A path or a
// method that the document does not know must be refused with a 4xx.
//
// It may be used by many goroutines at once. It reports with t.Errorf, so the
// exchange itself goes on as it would have.
func Transport(t testing.TB, base http.RoundTripper) *Watcher {
	t.Helper()
	r, err := router()
	if err != nil {
		t.Fatal(err)
	}
	return &Watcher{t: t, base: base, router: r, seen: map[string][]int{}}
}

// Watcher is a transport that holds what passes through it against the document.
type Watcher struct {
	t      testing.TB
	base   http.RoundTripper
	router routers.Router

	mu   sync.Mutex
	seen map[string][]int // statuses answered, by operationId
}

// Seen lists the statuses that an operation was seen to answer.
func (c *Watcher) Seen(operation string) []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen[operation])
}

// RoundTrip is part of [http.RoundTripper].
func (c *Watcher) RoundTrip(req *http.Request) (*http.Response, error) {
	sent, kept := req, []byte(nil)
	if req.Body != nil && req.Body != http.NoBody {
		var err error
		// Read before it is sent: a server that refuses early answers while the
		// transport still reads the body.
		if kept, err = io.ReadAll(io.LimitReader(req.Body, maxBody)); err != nil {
			return nil, err
		}
		sent = req.Clone(req.Context())
		sent.Body = readCloser{bytes.NewReader(kept), req.Body}
	}
	res, err := c.base.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	if err := c.check(req, kept, res); err != nil {
		c.t.Errorf("%s %s answered %d, which openapi.yaml does not promise: %v", req.Method, req.URL.Path, res.StatusCode, err)
	}
	return res, nil
}

// check holds one exchange against the document, and leaves res readable.
func (c *Watcher) check(req *http.Request, body []byte, res *http.Response) error {
	seen := req.Clone(req.Context())
	if seen.Method == http.MethodHead {
		seen.Method = http.MethodGet // whatever answers GET answers HEAD
	}
	seen.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := c.router.FindRoute(seen)
	if err != nil {
		if res.StatusCode < 400 || res.StatusCode > 499 {
			return fmt.Errorf("the document does not know this path and method (%w)", err)
		}
		return nil
	}
	c.mu.Lock()
	c.seen[route.Operation.OperationID] = append(c.seen[route.Operation.OperationID], res.StatusCode)
	c.mu.Unlock()
	in := &openapi3filter.RequestValidationInput{
		Request: seen, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true,
			MultiError:            true,
		},
	}
	if res.StatusCode < 300 {
		if err := openapi3filter.ValidateRequest(req.Context(), in); err != nil {
			return fmt.Errorf("the server accepted a request that is not allowed: %w", err)
		}
	}
	if streams(res) || req.Method == http.MethodHead {
		return c.checkHead(in, res)
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return nil // the caller meets the same error when it reads
	}
	rest := res.Body
	res.Body = readCloser{io.MultiReader(bytes.NewReader(answer), rest), rest}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: res.StatusCode, Header: res.Header, Options: in.Options,
	}
	out.SetBodyBytes(answer)
	return openapi3filter.ValidateResponse(req.Context(), out)
}

// checkHead checks status and media type alone: of answers that go on for ever,
// or have no body.
func (c *Watcher) checkHead(in *openapi3filter.RequestValidationInput, res *http.Response) error {
	promised := in.Route.Operation.Responses.Status(res.StatusCode)
	if promised == nil {
		return fmt.Errorf("status %d is not listed", res.StatusCode)
	}
	if typ := res.Header.Get("Content-Type"); typ != "" && promised.Value.Content.Get(typ) == nil {
		return fmt.Errorf("media type %q is not listed for status %d", typ, res.StatusCode)
	}
	return nil
}

// streams tells whether the body is a stream, to be read line by line and not whole.
func streams(res *http.Response) bool {
	typ, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return typ == "text/event-stream" || strings.HasSuffix(typ, "ndjson")
}

// readCloser reads from one and closes the other.
type readCloser struct {
	io.Reader
	io.Closer
}
