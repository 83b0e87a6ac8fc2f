package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/limit"
)

// buffer is a log that a test reads.
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

// serve runs an echo instance with the routes that add makes, behind the real server.
func serve(t testing.TB, o api.Options, add func(*echo.Echo)) (url string, log *buffer) {
	t.Helper()
	log = &buffer{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	e := api.New(o)
	add(e)
	s := httptest.NewUnstartedServer(e)
	s.Config = api.NewServer(e, o.Log)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, log
}

// raw sends bytes as they are and reads the answer.
func raw(t testing.TB, url, request string) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer to %.80q: %v", request, err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res, string(body)
}

type problem struct {
	Type, Title, Detail, Instance, Code string
	Status                              int
	RequestID                           string `json:"request_id"`
	Errors                              []domain.FieldError
}

func readProblem(t testing.TB, res *http.Response, body string) (p problem) {
	t.Helper()
	if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("the media type of an error is %q", got)
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%d answered no problem: %s", res.StatusCode, body)
	}
	if p.Status != res.StatusCode || p.RequestID != res.Header.Get("X-Request-Id") || p.Type == "" || p.Title == "" || p.Detail == "" {
		t.Errorf("a problem is incomplete: %+v with X-Request-Id %q", p, res.Header.Get("X-Request-Id"))
	}
	return p
}

func routes(e *echo.Echo) {
	ok := func(c echo.Context) error { return c.String(http.StatusOK, "here "+api.RequestID(c)) }
	e.GET("/livez", ok)
	e.GET("/admin", ok)
	e.GET("/admin/:name", ok)
	e.POST("/form", ok)
	e.GET("/large", func(c echo.Context) error { return c.String(http.StatusOK, strings.Repeat("a", 1<<20)) })
	e.GET("/panic", func(echo.Context) error { panic("the handler's own words") })
	e.GET("/broken", func(echo.Context) error { return errors.New("dialling 10.0.0.7: no route to host") })
	e.GET("/busy", func(echo.Context) error {
		return fmt.Errorf("%w: the leader is gone", &domain.Error{Kind: domain.KindUnavailable, Code: "log.unavailable", Message: "Not now."})
	})
}

func TestPathsThatCanBeReadInTwoWaysAreNobodys(t *testing.T) {
	url, _ := serve(t, api.Options{}, routes)
	for _, path := range []string{
		"/admin%2f..", "/admin%2f..%2flivez", "/livez%2f", "/%6civez", "//livez", "/admin//x", "/admin/;x=1", "/livez;x", "/livez%00",
		"/admin/..%5clivez", "/admin/%2e%2e/livez", "/admin/../livez", "/./livez", "/admin/.", "/admin/..", `/admin\..\livez`,
		"/livez/", "/LIVEZ", "/livez%3f", "/livez%23", "/%2fadmin",
	} {
		t.Run(path, func(t *testing.T) {
			res, body := raw(t, url, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if res.StatusCode == http.StatusBadRequest {
				return // net/http would not even read it
			}
			if p := readProblem(t, res, body); p.Status != http.StatusNotFound || p.Code != "route.not_found" {
				t.Errorf("got %d %s, want 404 route.not_found", p.Status, p.Code)
			}
		})
	}
}

func TestRequestsThatAreReadAsTheyAreOrRefused(t *testing.T) {
	url, _ := serve(t, api.Options{}, routes)
	for _, tc := range []struct {
		name    string
		request string
		want    []int
	}{
		{"a plain request", "GET /livez HTTP/1.1\r\nHost: x\r\n", []int{200}},
		{"an absolute target is another spelling of the path", "GET http://evil.example/livez HTTP/1.1\r\nHost: x\r\n", []int{200}},
		{"two Host headers", "GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n", []int{400}},
		{"a method that is overridden stays what it is", "GET /form HTTP/1.1\r\nHost: x\r\nX-HTTP-Method-Override: POST\r\nX-Method-Override: POST\r\n", []int{405}},
		{"a method nobody knows", "BREW /livez HTTP/1.1\r\nHost: x\r\n", []int{405}},
		{"an empty header name", "GET /livez HTTP/1.1\r\nHost: x\r\n: y\r\n", []int{400}},
		{"both lengths, CL.TE", "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked, identity\r\n", []int{400, 501}},
		{"a header of 17 KiB", "GET /livez HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("a", 17<<10) + "\r\n", []int{431}},
		{"a header of a mebibyte", "GET /livez HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("a", 1<<20) + "\r\n", []int{431}},
		{"ten thousand headers", "GET /livez HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: b\r\n", 10_000), []int{431}},
		{"one header just within 16 KiB", "GET /livez HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("a", 15<<10) + "\r\n", []int{200}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res, body := raw(t, url, tc.request+"Connection: close\r\n\r\n")
			for _, want := range tc.want {
				if res.StatusCode == want {
					return
				}
			}
			t.Errorf("got %d, want one of %v: %s", res.StatusCode, tc.want, body)
		})
	}
}

func TestTheRequestIDIsAlwaysOurs(t *testing.T) {
	url, _ := serve(t, api.Options{}, routes)
	seen := map[string]bool{}
	for _, header := range []string{
		"", "X-Request-Id: 01ARZ3NDEKTSV4RRFFQ69G5FAV\r\n", "X-Request-Id: a\r\n evil: yes\r\n", "X-Request-Id: " + strings.Repeat("a", 10<<10) + "\r\n",
	} {
		res, body := raw(t, url, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+header+"\r\n")
		if res.StatusCode == http.StatusBadRequest {
			continue // an obsolete line fold need not be read
		}
		id := res.Header.Get("X-Request-Id")
		if u, err := ulid.ParseStrict(id); err != nil || u.String() != id || seen[id] || body != "here "+id {
			t.Errorf("with %.40q the request id is %q (%v), the handler's %q", header, id, err, body)
		}
		if res.Header.Get("Evil") != "" {
			t.Error("a client's line end became a header")
		}
		seen[id] = true
	}
}

func TestEveryAnswerHasTheHeadersThatKeepBrowsersAway(t *testing.T) {
	url, _ := serve(t, api.Options{}, routes)
	for _, path := range []string{"/livez", "/nothing", "/panic"} {
		res, _ := raw(t, url, "GET "+path+" HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Access-Control-Allow-Origin": "",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestErrorsThatAreOursAreLoggedOnceAndNotTold(t *testing.T) {
	for _, tc := range []struct {
		path, code, logged string
		status             int
	}{
		{"/panic", "internal", "the handler's own words", 500},
		{"/broken", "internal", "dialling 10.0.0.7: no route to host", 500},
		{"/busy", "log.unavailable", "the leader is gone", 503},
	} {
		t.Run(tc.path, func(t *testing.T) {
			url, log := serve(t, api.Options{}, routes)
			res, body := raw(t, url, "GET "+tc.path+"?secret=hunter2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			p := readProblem(t, res, body)
			if p.Status != tc.status || p.Code != tc.code || strings.Contains(body, tc.logged) {
				t.Errorf("answered %d %s: %s", p.Status, p.Code, body)
			}
			if n := strings.Count(log.String(), tc.logged); n != 1 {
				t.Errorf("logged %d times: %s", n, log)
			}
			if !strings.Contains(log.String(), p.RequestID) || strings.Contains(log.String(), "hunter2") {
				t.Errorf("the log has no request id, or the query: %s", log)
			}
			if p.Status == 503 && res.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		})
	}
}

func TestAWrongMethodIsToldWhichAreRight(t *testing.T) {
	url, _ := serve(t, api.Options{}, routes)
	res, body := raw(t, url, "DELETE /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if p := readProblem(t, res, body); p.Status != 405 || p.Code != "method.not_allowed" || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("got %d %s with Allow %q", p.Status, p.Code, res.Header.Get("Allow"))
	}
}

func TestHeadIsAnsweredLikeGetWithoutABody(t *testing.T) {
	url, _ := serve(t, api.Options{}, routes)
	for path, want := range map[string]int{"/livez": 200, "/nothing": 404, "/form": 405} {
		res, err := http.Head(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != want || len(body) > 0 || res.ContentLength == 0 {
			t.Errorf("HEAD %s: %d with %d bytes and Content-Length %d, want %d", path, res.StatusCode, len(body), res.ContentLength, want)
		}
	}
}

func TestHeadHasNoBodyHoweverLargeItWouldBe(t *testing.T) {
	url, _ := serve(t, api.Options{}, routes)
	res, body := raw(t, url, "HEAD /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if res.StatusCode != 200 || body != "" {
		t.Errorf("%d with %d bytes", res.StatusCode, len(body))
	}
}

func TestTheClientsAddressIsThePeersUnlessATrustedProxySaysOtherwise(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, tc := range []struct {
		name    string
		proxies []netip.Prefix
		headers string
		want    string
	}{
		{"nobody is trusted by default", nil, "X-Forwarded-For: 192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\nX_Forwarded_For: 192.0.2.1\r\n", "127.0.0.1"},
		{"a trusted proxy names the client", loopback, "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
		{"what the client wrote before the proxy is not believed", loopback, "X-Forwarded-For: 198.51.100.9, 192.0.2.1\r\n", "192.0.2.1"},
		{"a private address is not a proxy by itself", loopback, "X-Forwarded-For: 198.51.100.9, 10.0.0.1\r\n", "10.0.0.1"},
		{"a trusted proxy's other headers do not count", loopback, "X-Real-IP: 192.0.2.1\r\n", "127.0.0.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url, _ := serve(t, api.Options{TrustedProxies: tc.proxies}, func(e *echo.Echo) {
				e.GET("/", func(c echo.Context) error { return c.String(200, c.RealIP()) })
			})
			_, body := raw(t, url, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+tc.headers+"\r\n")
			if body != tc.want {
				t.Errorf("the client is %q, want %q", body, tc.want)
			}
		})
	}
}

func TestASourceThatAsksTooOftenIsToldToWaitWhateverItCallsItself(t *testing.T) {
	noon := func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }
	url, _ := serve(t, api.Options{}, func(e *echo.Echo) {
		e.GET("/", func(c echo.Context) error { return c.NoContent(204) }, api.LimitBySource(limit.New(1, 2, 10), noon))
	})
	var res *http.Response
	var body string
	for i, want := range []int{204, 204, 429} {
		res, body = raw(t, url, fmt.Sprintf("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n", i))
		if res.StatusCode != want {
			t.Fatalf("request %d got %d, want %d", i+1, res.StatusCode, want)
		}
	}
	if p := readProblem(t, res, body); p.Code != "rate.limited" || res.Header.Get("Retry-After") == "" {
		t.Errorf("got %s with Retry-After %q", p.Code, res.Header.Get("Retry-After"))
	}
}

func TestTheServerHasEveryLimit(t *testing.T) {
	s := api.NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if s.ReadHeaderTimeout != 5*time.Second || s.ReadTimeout != 10*time.Second || s.WriteTimeout != 15*time.Second || s.IdleTimeout != time.Minute {
		t.Errorf("timeouts are %v, %v, %v, %v", s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout)
	}
}
