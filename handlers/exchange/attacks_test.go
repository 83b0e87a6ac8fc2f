package exchange_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/organisation/orgtest"
)

// counting is a listener that counts what is read off its connections.
type counting struct {
	net.Listener
	read atomic.Int64
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, &l.read}, err
}

type countingConn struct {
	net.Conn
	read *atomic.Int64
}

func (c countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

// Whoever sends more than a form may hold is told so, is not listened to any
// longer, and cannot put a second request behind the first.
func TestAFormThatIsTooLargeIsNotReadToItsEnd(t *testing.T) {
	w := orgtest.New(t)
	x := exchange.New(w.Organisation, exchange.Options{})
	t.Cleanup(x.Close)
	e := api.New(api.Options{Log: orgtest.Quiet()})
	x.Mount(e.Group("/orgs/default"))
	s := httptest.NewUnstartedServer(e)
	s.Config = api.NewServer(e, orgtest.Quiet())
	l := &counting{Listener: s.Listener}
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)

	const head = "POST /orgs/default/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	value := "subject_token=" + strings.Repeat("a", 64<<10+1-len("subject_token="))
	rest := strings.Repeat("a", 1<<20)
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	for _, tt := range []struct {
		name, request string
		most          int64 // KiB read
	}{
		{"64 KiB and a byte, announced", head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(value)) + value, 80},
		{"64 KiB and a byte, in pieces", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(value[:100]) + chunk(value[100:]) + "0\r\n\r\n", 80 + 256},
		{"a mebibyte, announced", head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(value)+len(rest)) + value + rest, 80},
		{"a mebibyte, in pieces", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(value) + chunk(rest) + "0\r\n\r\n", 80 + 256},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := l.read.Load()
			c, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(60 * time.Second))
			go func() { _, _ = io.WriteString(c, tt.request) }() // it may be cut off
			r := bufio.NewReader(c)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != 413 || !res.Close {
				t.Errorf("%d, to be closed: %v: %s", res.StatusCode, res.Close, body)
			}
			if _, err := r.ReadByte(); err == nil {
				t.Error("something follows the answer")
			}
			// Beside the form a few KiB of headers and buffers, and what net/http
			// throws away of a body in pieces before it closes: 256 KiB.
			if n := l.read.Load() - before; n > tt.most<<10 {
				t.Errorf("%d KiB were read, want at most %d", n>>10, tt.most)
			}
		})
	}
}

// Every grant, with the connection named in every way, at a connection in every
// state it can be in: a token comes from the active one alone.
func TestOnlyAnActiveConnectionIssuesHoweverItIsAsked(t *testing.T) {
	e := newEdge(t)
	provider := map[string]*orgtest.Provider{}
	security := e.Meta("security", domain.SecurityAdmin)
	for _, name := range []string{"draft", "active", "inactive", "deleted", "unknown", "pending"} {
		p := orgtest.NewProvider(t, "ES256") // its own, so that naming none finds this one or none
		provider[name] = p
		n := domain.Name(name)
		switch name {
		case "unknown":
		case "draft":
			spec, err := connection.Complete(p.Spec(e.Issuer(), subject), e.Issuer())
			if err != nil {
				t.Fatal(err)
			}
			e.Do(e.Meta("devops", domain.DevOpsAdmin), n, connection.Draft{Name: n, Spec: spec})
		case "pending": // a version that would fit, which nobody activated
			e.Activated(n, p.Spec(e.Issuer(), "another subject"))
			e.Do(security, n, connection.Edit{Version: 1, Spec: p.Spec(e.Issuer(), subject), Issuer: e.Issuer()})
		default:
			e.Activated(n, p.Spec(e.Issuer(), subject))
		}
		if name == "inactive" || name == "deleted" {
			e.Do(security, n, connection.Deactivate{Version: 1})
		}
		if name == "deleted" {
			e.Do(security, n, connection.Delete{Version: 1})
		}
	}
	grants := map[string]func(proof string) url.Values{
		"token exchange": func(p string) url.Values { return form(p) },
		"token exchange with an id_token": func(p string) url.Values {
			return form(p, "subject_token_type", "", "subject_token_type", "urn:ietf:params:oauth:token-type:id_token")
		},
		"jwt-bearer": func(p string) url.Values { return url.Values{"grant_type": {jwtBearer}, "assertion": {p}} },
	}
	ways := map[string]func(f url.Values, name string){
		"by name":     func(f url.Values, name string) { f.Set("connection", name) },
		"by audience": func(f url.Values, name string) { f.Set("audience", e.Issuer()+"/connections/"+name) },
		"by resource": func(f url.Values, name string) { f.Set("resource", e.Issuer()+"/connections/"+name) },
		"by name and by audience": func(f url.Values, name string) {
			f.Set("connection", name)
			f.Set("audience", e.Issuer()+"/connections/"+name)
		},
		"not at all": func(url.Values, string) {},
	}
	codes := map[string]string{"draft": "connection.draft", "inactive": "connection.inactive", "deleted": "connection.unknown",
		"unknown": "connection.unknown", "pending": "proof.conditions"}
	asked := 0
	for status, p := range provider {
		for grant, begin := range grants {
			for way, name := range ways {
				f := begin(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)))
				name(f, status)
				want := codes[status]
				if way == "not at all" && status != "active" && status != "pending" {
					want = "connection.unknown"
				}
				asked++
				r := e.ask(f)
				if got := r.text("error_code"); got != want || (r.text("access_token") != "") != (status == "active") {
					t.Errorf("%s, %s, a connection that is %s: %d %s, want %q", grant, way, status, r.Status, got, want)
				}
			}
		}
	}
	issued := 0
	for _, ev := range e.decisions(domain.Position{}) {
		if d, ok := ev.Event.(token.WasIssued); ok {
			issued++
			if d.Connection != "active" {
				t.Errorf("%s issued a token", d.Connection)
			}
		}
	}
	if want := len(grants) * len(ways); issued != want || asked != want*len(provider) {
		t.Errorf("%d tokens of %d requests, want %d of %d", issued, asked, want, want*len(provider))
	}
}

// A provider that is down costs nobody a token while its keys may still be
// trusted, each use says so, and after that the caller is to come again later.
func TestAProviderThatIsDownIsServedFromItsKeysAndThenComeAgainLater(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	e.Activated("cold", orgtest.NewProvider(t, "ES256").Spec(e.Issuer(), subject))
	ask := func() reply {
		t.Helper()
		return e.ask(form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)), "connection", "ci"))
	}
	if r := ask(); r.Status != 200 {
		t.Fatalf("while the provider is up: %d %v", r.Status, r.Body)
	}
	p.Down.Store(true)
	e.Advance(30 * time.Minute)
	if r := ask(); r.Status != 200 {
		t.Fatalf("half an hour into an outage: %d %v", r.Status, r.Body)
	}
	if d := e.lastDecision().Event.(token.WasIssued); !d.Proof.KeysStale {
		t.Errorf("the event does not say that the keys were stale: %+v", d.Proof)
	}
	e.Advance(time.Hour)
	unavailable := func(r reply) {
		t.Helper()
		if r.Status != 503 || r.text("error") != "temporarily_unavailable" || r.text("error_code") != "keys.unavailable" || r.Header.Get("Retry-After") == "" {
			t.Errorf("%d %v with Retry-After %q", r.Status, r.Body, r.Header.Get("Retry-After"))
		}
	}
	unavailable(ask())

	never := orgtest.NewProvider(t, "ES256")
	never.Down.Store(true)
	e.Activated("never-seen", never.Spec(e.Issuer(), subject))
	proof := never.Mint(never.Claims(e.Now(), e.Issuer(), subject, nil))
	unavailable(e.ask(form(proof, "connection", "never-seen")))
	unavailable(e.ask(form(proof)))
}

func TestASpentProofStaysSpentAfterARestart(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	spec := p.Spec(e.Issuer(), subject)
	spec.SingleUse = true
	e.Activated("once", spec)
	proof := form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, map[string]any{"jti": "a"})), "connection", "once")
	if r := e.ask(proof); r.Status != 200 {
		t.Fatalf("the first use: %d %v", r.Status, r.Body)
	}
	e.restart(func() {})
	if r := e.ask(proof); r.text("error_code") != "proof.replayed" {
		t.Errorf("after a restart: %d %v", r.Status, r.Body)
	}
	fresh := form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, map[string]any{"jti": "b"})), "connection", "once")
	if r := e.ask(fresh); r.Status != 200 {
		t.Errorf("another proof after a restart: %d %v", r.Status, r.Body)
	}
}

// The clock was two days ahead when the server started, and was put right.
func TestASpentProofStaysSpentWhereTheClockWasAheadAtTheStart(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	spec := p.Spec(e.Issuer(), subject)
	spec.SingleUse = true
	e.Activated("once", spec)
	proof := form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, map[string]any{"jti": "a"})), "connection", "once")
	if r := e.ask(proof); r.Status != 200 {
		t.Fatalf("the first use: %d %v", r.Status, r.Body)
	}
	e.restart(func() { e.Advance(48 * time.Hour) })
	e.Advance(-48 * time.Hour)
	if r := e.ask(proof); r.text("error_code") != "proof.replayed" {
		t.Errorf("once the clock is right again: %d %v", r.Status, r.Body)
	}
	fresh := form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, map[string]any{"jti": "b"})), "connection", "once")
	if r := e.ask(fresh); r.Status != 200 {
		t.Errorf("another proof then: %d %v", r.Status, r.Body)
	}
}

// restart closes the organisation and opens it again, with a token endpoint of its own.
func (e *edge) restart(meanwhile func()) {
	e.t.Helper()
	e.exchange.Close()
	e.Reopen(meanwhile)
	again := api.New(api.Options{Log: orgtest.Quiet()})
	e.exchange = exchange.New(e.Organisation, exchange.Options{})
	e.t.Cleanup(e.exchange.Close)
	e.exchange.Mount(again.Group("/orgs/default"))
	s := httptest.NewServer(again)
	e.t.Cleanup(s.Close)
	e.URL = s.URL + "/orgs/default"
}

// A token that was touched is not active, and nothing more is said of it; one
// token alone cannot be revoked, by anybody.
func TestATokenThatWasTouchedIsNotActive(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	proof := p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil))
	tok := e.ask(form(proof, "connection", "ci")).text("access_token")
	swap := func(i int) string { // another letter there
		c := byte('A')
		if tok[i] == c {
			c = 'B'
		}
		return tok[:i] + string(c) + tok[i+1:]
	}
	header, rest, _ := strings.Cut(tok, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	for name, touched := range map[string]string{
		"cut by one":                  tok[:len(tok)-1],
		"cut to two parts":            header + "." + payload,
		"without its signature":       header + "." + payload + ".",
		"padded":                      tok + "=",
		"followed by a space":         tok + " ",
		"followed by a line end":      tok + "\n",
		"in lower case":               strings.ToLower(tok),
		"in upper case":               strings.ToUpper(tok),
		"with another header letter":  swap(5),
		"with another claim letter":   swap(len(header) + 20),
		"with another signature":      swap(len(header) + len(payload) + 10),
		"with the signature twice":    tok + "." + signature,
		"called a Bearer":             "Bearer " + tok,
		"the proof it was issued for": proof,
	} {
		if r := e.introspect(touched); r.Status != 200 || r.Body["active"] != false || len(r.Body) != 1 {
			t.Errorf("%s: %d %v", name, r.Status, r.Body)
		}
	}
	for _, path := range []string{"/revoke", "/token/revoke", "/revocation"} {
		r := e.send(path, "application/x-www-form-urlencoded", "token="+tok, "Authorization", "Bearer "+e.Token("owner", domain.Owner))
		if r.Status != 404 {
			t.Errorf("%s answers %d", path, r.Status)
		}
	}
	if r := e.introspect(tok); r.Body["active"] != true {
		t.Errorf("the token itself: %v", r.Body)
	}
}

// A source may put anything into its claims. What no condition asks for goes
// into our token, if it is for us, and not into the log.
func TestClaimsThatNobodyAskedForAreNotInTheLog(t *testing.T) {
	e := newEdge(t)
	p := orgtest.NewProvider(t, "ES256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	odd := map[string]any{"password": "hunter2-in-a-claim", "nested": map[string]any{"token": "hunter2-inside"}, "hunter2-as-a-name": true}
	for _, changes := range []map[string]any{nil, {"aud": "https://other.example"}, {"exp": e.Now().Unix() - 100, "iat": e.Now().Unix() - 400}} {
		c := p.Claims(e.Now(), e.Issuer(), subject, odd)
		for k, v := range changes {
			c[k] = v
		}
		e.ask(form(p.Mint(c), "connection", "ci"))
	}
	decided := e.decisions(domain.Position{})
	if len(decided) != 3 {
		t.Fatalf("%d decisions, want 3", len(decided))
	}
	for _, ev := range decided {
		if strings.Contains(string(ev.Data), "hunter2") {
			t.Errorf("%s holds %s", ev.Type, ev.Data)
		}
	}
}

func TestASourceThatExchangesTooOftenIsToldToWait(t *testing.T) {
	w := orgtest.New(t)
	x := exchange.New(w.Organisation, exchange.Options{Sources: limit.New(0.000_001, 2, 10)})
	t.Cleanup(x.Close)
	e := api.New(api.Options{Log: orgtest.Quiet()})
	x.Mount(e.Group("/orgs/default"))
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	asked := &edge{World: w, URL: s.URL + "/orgs/default", exchange: x, t: t}
	for i, want := range []int{400, 400, 429} {
		r := asked.send("/token", "application/x-www-form-urlencoded", "grant_type=x", "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
		if r.Status != want || want == 429 && (r.text("error_code") != "rate.limited" || r.Header.Get("Retry-After") == "") {
			t.Errorf("request %d: %d %v with Retry-After %q, want %d", i+1, r.Status, r.Body, r.Header.Get("Retry-After"), want)
		}
	}
}
