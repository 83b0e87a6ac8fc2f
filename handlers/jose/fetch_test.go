package jose

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain/proof"
)

// names is a Resolver of a fixed zone. A name's answers are given one after
// the other, the last one for good.
type names struct {
	zone  map[string][][]string
	asked atomic.Int32
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	answers := n.zone[host]
	if len(answers) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	i := min(int(n.asked.Add(1))-1, len(answers)-1)
	var out []netip.Addr
	for _, a := range answers[i] {
		out = append(out, netip.MustParseAddr(a))
	}
	return out, nil
}

// idp is where the tests' provider lives.
const idp = "idp.example.com"

func local() *names { return &names{zone: map[string][][]string{idp: {{"127.0.0.1"}}}} }

// provider is a TLS server at idp on a loopback address, as a real one on the internet.
type provider struct {
	ca   string // PEM
	port uint16
	hits atomic.Int32
}

func (p *provider) url() string { return fmt.Sprintf("https://%s:%d/jwks", idp, p.port) }

// gate takes the loopback for the internet.
func (p *provider) gate() Gate {
	return Gate{Private: prefixes("127.0.0.1/32"), Ports: []uint16{p.port}}
}

type certOptions struct {
	name    string // "": idp
	expired bool   // since an hour
	version uint16 // the highest TLS version; 0: any
}

func serve(t testing.TB, o certOptions, h http.HandlerFunc) *provider {
	t.Helper()
	cert, ca := certificate(t, o)
	p := &provider{ca: ca}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.hits.Add(1)
		h(w, r)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: o.version} //nolint:gosec // an old server is what is tested
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	p.port = netip.MustParseAddrPort(srv.Listener.Addr().String()).Port()
	return p
}

func certificate(t testing.TB, o certOptions) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name, until := idp, time.Now().Add(time.Hour)
	if o.name != "" {
		name = o.name
	}
	if o.expired {
		until = time.Now().Add(-time.Hour)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// raw is a listener that does with connections whatever do does.
func raw(t testing.TB, do func(net.Conn)) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			go do(c)
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

func get(t testing.TB, p *provider, r Resolver) ([]byte, error) {
	t.Helper()
	f, err := newFetcher(p.gate(), r, p.ca)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := f.get(t.Context(), p.url())
	return b, err
}

// wantReason demands a refusal of that reason; "" demands some other error.
func wantReason(t testing.TB, err error, reason string) {
	t.Helper()
	if err == nil || reasonOf(err) != reason {
		t.Errorf("got %v (%q), want %q", err, reasonOf(err), reason)
	}
}

func keysOf(t testing.TB) http.HandlerFunc {
	doc := documentOf(hostKey(t, "rsa_r1"))
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(doc) }
}

// outage is a source that had keys, and whose next fetch meets what broken
// describes: it has to go on with the keys it has.
func outage(t testing.TB, p *provider, r Resolver, ca string) {
	t.Helper()
	now := noon
	s := NewSources(p.gate(), SourcesOptions{Now: func() time.Time { return now }, Resolver: r})
	t.Cleanup(s.Close)
	src := s.Source(SourceID{"acme", "ci", 1}, KeySpec{JWKSURL: p.url(), CA: ca}, recordedSet(t, 1, noon.Add(-10*time.Minute)))
	f, err := src.Find(t.Context(), "r1")
	if err != nil || !f.Known || !f.Stale {
		t.Errorf("the cached keys do not serve: got %+v, %v", f, err)
	}
	now = noon.Add(time.Hour)
	if _, err := src.Find(t.Context(), "r1"); err == nil {
		t.Error("they serve past their bound")
	}
}

// Every fetch scenario of the corpus, by its ID, against real listeners.
var scenarios = map[string]func(t *testing.T){
	"DN-01 rebinding": func(t *testing.T) {
		p := serve(t, certOptions{}, keysOf(t))
		r := &names{zone: map[string][][]string{idp: {{"127.0.0.1"}, {"10.0.0.1"}}}}
		if _, err := get(t, p, r); err != nil || r.asked.Load() != 1 {
			t.Errorf("got %v after %d lookups, want the checked address dialled after one", err, r.asked.Load())
		}
		_, err := get(t, p, r) // the second answer
		wantReason(t, err, "ssrf_blocked")
		// However an address got there, the last look is at the one that is dialled.
		f, err := newFetcher(Gate{}, r, "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.dialAny(t.Context(), []netip.Addr{netip.MustParseAddr("127.0.0.1")}, p.port)
		wantReason(t, err, "ssrf_blocked")
	},
	"DN-02 one of the addresses is private": func(t *testing.T) {
		p := serve(t, certOptions{}, keysOf(t))
		_, err := get(t, p, &names{zone: map[string][][]string{idp: {{"127.0.0.1", "10.0.0.1"}}}})
		wantReason(t, err, "ssrf_blocked")
		if n := p.hits.Load(); n != 0 {
			t.Errorf("got %d requests, want none", n)
		}
	},
	"DN-03 the chain of names ends in a private address": func(t *testing.T) {
		_, err := get(t, serve(t, certOptions{}, keysOf(t)), &names{zone: map[string][][]string{idp: {{"169.254.169.254"}}}})
		wantReason(t, err, "ssrf_blocked")
	},
	"DN-04 a private IPv6 address alone": func(t *testing.T) {
		_, err := get(t, serve(t, certOptions{}, keysOf(t)), &names{zone: map[string][][]string{idp: {{"fd00::1"}}}})
		wantReason(t, err, "ssrf_blocked")
	},
	"DN-05 no answer, an error, and silence": func(t *testing.T) {
		p := serve(t, certOptions{}, keysOf(t))
		for name, r := range map[string]Resolver{"NXDOMAIN": &names{}, "SERVFAIL": failing{}, "silence": silent{}} {
			start := time.Now()
			_, err := get(t, p, r)
			if d := time.Since(start); err == nil || d > totalTimeout-500*time.Millisecond {
				t.Errorf("%s: got %v after %v, want an error within 2 s", name, err, d)
			}
			outage(t, p, r, p.ca)
		}
	},
	"RD-01 redirects to another host": func(t *testing.T) {
		for _, status := range []int{301, 302, 303, 307, 308} {
			redirects(t, status, "https://other.example.com/jwks")
		}
	},
	"RD-02 a redirect to http": func(t *testing.T) { redirects(t, 302, "http://"+idp+"/jwks") },
	"RD-03 a redirect in a loop": func(t *testing.T) {
		redirects(t, 302, "/jwks")
	},
	"RD-04 HTML that says where to go": func(t *testing.T) {
		p := serve(t, certOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `<html><meta http-equiv="refresh" content="0;url=https://other.example.com/">`)
		})
		wantReason(t, find(t, p), "jwks_not_an_object")
	},
	"SZ-01 a body that is too large": func(t *testing.T) {
		p := serve(t, certOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte(" "), MaxKeySetBytes+1))
		})
		_, err := get(t, p, local())
		wantReason(t, err, "jwks_too_large")
		var sent atomic.Int64
		p = serve(t, certOptions{}, func(w http.ResponseWriter, _ *http.Request) {
			for chunk := make([]byte, 1<<16); ; {
				n, err := w.Write(chunk)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		})
		_, err = get(t, p, local())
		wantReason(t, err, "jwks_too_large")
		if n := sent.Load(); n > 32<<20 {
			t.Errorf("%d bytes of an endless body were taken off the server", n)
		}
	},
	"SZ-02 an endless body, byte by byte": func(t *testing.T) {
		p := serve(t, certOptions{}, drip)
		start := time.Now()
		_, err := get(t, p, local())
		if d := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || d > totalTimeout+10*time.Second {
			t.Errorf("got %v after %v, want the deadline after 5 s", err, d)
		}
	},
	"SZ-03 a compressed bomb": func(t *testing.T) {
		var bomb bytes.Buffer
		z := gzip.NewWriter(&bomb)
		_, _ = z.Write(bytes.Repeat([]byte(" "), 10<<20))
		_ = z.Close()
		p := serve(t, certOptions{}, func(w http.ResponseWriter, r *http.Request) {
			if e := r.Header.Get("Accept-Encoding"); e != "" {
				t.Errorf("Accept-Encoding is %q, want none", e)
			}
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		})
		b, err := get(t, p, local())
		if err != nil || len(b) != bomb.Len() {
			t.Errorf("got %d bytes, %v, want the %d as they were sent", len(b), err, bomb.Len())
		}
		wantReason(t, find(t, p), "jwks_not_an_object")
	},
	"SZ-04 headers that are too large": func(t *testing.T) {
		p := serve(t, certOptions{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 1<<20))
			keysOf(t)(w, r)
		})
		_, err := get(t, p, local())
		wantReason(t, err, "")
	},
	"SZ-05 more body than announced": func(t *testing.T) {
		p := hijacked(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"+strings.Repeat("x", 10<<20))
		if b, err := get(t, p, local()); err != nil || len(b) != 10 {
			t.Errorf("got %d bytes, %v, want 10", len(b), err)
		}
	},
	"SL-01 TCP without TLS": func(t *testing.T) {
		p := &provider{port: raw(t, func(net.Conn) {})}
		takes(t, tlsTimeout, func() error { _, err := get(t, p, local()); return err })
	},
	"SL-02 TLS without an answer": func(t *testing.T) {
		p := serve(t, certOptions{}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		takes(t, headersTimeout, func() error { _, err := get(t, p, local()); return err })
	},
	"SL-03 sixteen that stall delay no seventeenth": func(t *testing.T) {
		var connected atomic.Int32
		all := make(chan struct{})
		port := raw(t, func(net.Conn) {
			if connected.Add(1) == 16 {
				close(all)
			}
		})
		p := serve(t, certOptions{}, keysOf(t))
		s := NewSources(Gate{Private: prefixes("127.0.0.1/32"), Ports: []uint16{port, p.port}}, SourcesOptions{Resolver: local()})
		t.Cleanup(s.Close)
		for i := range uint64(16) {
			src := s.Source(SourceID{"acme", "stalled", i}, KeySpec{JWKSURL: fmt.Sprintf("https://%s:%d/jwks", idp, port)}, nil)
			go func() { _, _ = src.Find(t.Context(), "r1") }()
		}
		<-all
		start := time.Now()
		f, err := s.Source(SourceID{"acme", "healthy", 1}, KeySpec{JWKSURL: p.url(), CA: p.ca}, nil).Find(t.Context(), "r1")
		if d := time.Since(start); err != nil || !f.Known || d > totalTimeout-time.Second {
			t.Errorf("got %+v, %v after %v, want the key at once", f, err, d)
		}
	},
	"TL-01 a certificate for another name": func(t *testing.T) {
		refusesTLS(t, serve(t, certOptions{name: "other.example.com"}, keysOf(t)))
	},
	"TL-02 a certificate nobody vouches for": func(t *testing.T) {
		p := serve(t, certOptions{}, keysOf(t))
		p.ca = ""
		refusesTLS(t, p)
	},
	"TL-03 roots of one connection are no other's": func(t *testing.T) {
		p := serve(t, certOptions{}, keysOf(t))
		s := NewSources(p.gate(), SourcesOptions{Resolver: local()})
		t.Cleanup(s.Close)
		for _, c := range []struct {
			connection, ca string
			want           bool
		}{{"a", p.ca, true}, {"b", "", false}, {"a", p.ca, true}} {
			src := s.Source(SourceID{"acme", "a", 1}, KeySpec{JWKSURL: p.url(), CA: c.ca}, nil)
			if c.connection == "b" {
				src = s.Source(SourceID{"acme", "b", 1}, KeySpec{JWKSURL: p.url(), CA: c.ca}, nil)
			}
			if _, err := src.Find(t.Context(), "r1"); (err == nil) != c.want {
				t.Errorf("%s: got %v, want keys: %v", c.connection, err, c.want)
			}
		}
	},
	"TL-04 TLS 1.1": func(t *testing.T) {
		refusesTLS(t, serve(t, certOptions{version: tls.VersionTLS11}, keysOf(t)))
	},
	"TL-05 an expired certificate": func(t *testing.T) {
		p := serve(t, certOptions{expired: true}, keysOf(t))
		refusesTLS(t, p)
		outage(t, p, local(), p.ca)
	},
	"TL-06 roots taken from a connection": func(t *testing.T) {
		var open atomic.Int32
		p := serve(t, certOptions{}, func(w http.ResponseWriter, r *http.Request) {
			if !r.Close {
				open.Add(1)
			}
			keysOf(t)(w, r)
		})
		s := NewSources(p.gate(), SourcesOptions{Resolver: local()})
		t.Cleanup(s.Close)
		if _, err := s.Source(SourceID{"acme", "ci", 1}, KeySpec{JWKSURL: p.url(), CA: p.ca}, nil).Find(t.Context(), "r1"); err != nil {
			t.Fatal(err)
		}
		_, err := s.Source(SourceID{"acme", "ci", 2}, KeySpec{JWKSURL: p.url()}, nil).Find(t.Context(), "r1")
		if err == nil || open.Load() != 0 {
			t.Errorf("got %v with %d connections kept open, want an error and none", err, open.Load())
		}
	},
}

func TestFetchScenarios(t *testing.T) {
	corpus := readSSRF(t)
	if len(corpus.Scenarios) != 24 {
		t.Fatalf("got %d scenarios, want 24", len(corpus.Scenarios))
	}
	tested := map[string]bool{"DN-06": true} // sets the environment, so it runs alone: below
	for name := range scenarios {
		id, _, _ := strings.Cut(name, " ")
		tested[id] = true
	}
	for _, s := range corpus.Scenarios {
		if !tested[s.ID] {
			t.Errorf("%s has no test: %s: %s", s.ID, s.Setup, s.Expect)
		}
	}
	for name, test := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

func TestFetchScenarioDN06AProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	var asked atomic.Int32
	port := raw(t, func(c net.Conn) { asked.Add(1); _ = c.Close() })
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, fmt.Sprintf("http://127.0.0.1:%d", port))
	}
	p := serve(t, certOptions{}, keysOf(t))
	if _, err := get(t, p, local()); err != nil || asked.Load() != 0 {
		t.Errorf("got %v, and the proxy was asked %d times", err, asked.Load())
	}
}

type failing struct{}

func (failing) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
}

type silent struct{}

func (silent) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// redirects demands that a redirect is refused after one request.
func redirects(t *testing.T, status int, to string) {
	t.Helper()
	p := serve(t, certOptions{}, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, status) })
	_, err := get(t, p, local())
	wantReason(t, err, "redirect_refused")
	if n := p.hits.Load(); n != 1 {
		t.Errorf("%d: got %d requests, want 1", status, n)
	}
}

// find asks a new source for a key, and hands on why there is none.
func find(t testing.TB, p *provider) error {
	t.Helper()
	s := NewSources(p.gate(), SourcesOptions{Resolver: local()})
	t.Cleanup(s.Close)
	_, err := s.Source(SourceID{"acme", "ci", 1}, KeySpec{JWKSURL: p.url(), CA: p.ca}, nil).Find(t.Context(), "r1")
	return err
}

// drip sends a byte now and then, for ever.
func drip(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := w.Write([]byte(" ")); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// hijacked answers every request with these bytes.
func hijacked(t testing.TB, answer string) *provider {
	t.Helper()
	return serve(t, certOptions{}, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, answer)
	})
}

// takes demands that f fails after d, give or take.
func takes(t *testing.T, d time.Duration, f func() error) {
	t.Helper()
	start := time.Now()
	err := f()
	if got := time.Since(start); err == nil || got < d-time.Second || got > d+10*time.Second {
		t.Errorf("got %v after %v, want an error after %v", err, got, d)
	}
}

func refusesTLS(t *testing.T, p *provider) {
	t.Helper()
	_, err := get(t, p, local())
	wantReason(t, err, "")
	if n := p.hits.Load(); n != 0 {
		t.Errorf("got %d requests, want none", n)
	}
}

func TestCACertificates(t *testing.T) {
	_, one := certificate(t, certOptions{})
	k, err := hostKey(t, "ec_e1").PrivatePEM()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string
		ok         bool
	}{
		{"one", one, true},
		{"sixteen", strings.Repeat(one, 16), true},
		{"seventeen", strings.Repeat(one, 17), false},
		{"none", " ", false},
		{"a private key", one + string(k), false},
		{"no PEM", "hello", false},
		{"something behind", one + "hello", false},
		{"a block that is no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", false},
	} {
		if _, err := ParseCA(c.text); (err == nil) != c.ok {
			t.Errorf("%s: got %v, want it taken: %v", c.name, err, c.ok)
		}
	}
}

func TestOnlyStatus200HasKeys(t *testing.T) {
	for _, status := range []int{201, 204, 206, 304, 400, 404, 500, 503} {
		p := serve(t, certOptions{}, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			if status >= 400 || status == 201 || status == 206 {
				keysOf(t)(w, r)
			}
		})
		_, err := get(t, p, local())
		wantReason(t, err, "jwks_status")
	}
}

func TestURLsOfATokenAreNeverFollowed(t *testing.T) {
	var asked atomic.Int32
	port := raw(t, func(c net.Conn) { asked.Add(1); _ = c.Close() })
	elsewhere := fmt.Sprintf("http://127.0.0.1:%d/jwks", port)
	k := hostKey(t, "rsa_r1")
	p := serve(t, certOptions{}, keysOf(t))
	g := p.gate()
	g.LoopbackHTTP = true // the gate would let it through
	s := NewSources(g, SourcesOptions{Resolver: local(), Now: func() time.Time { return noon }})
	t.Cleanup(s.Close)
	src := s.Source(SourceID{"acme", "ci", 1}, KeySpec{JWKSURL: p.url(), CA: p.ca}, nil)
	urls := map[string]any{"jku": elsewhere, "x5u": elsewhere}
	good := forge(t, k, "RS256", header(t, k, urls), claims(t, map[string]any{"iss": elsewhere + "#{{x}}..", "sub": elsewhere}))
	if _, checks := Verify(t.Context(), good, everyAlgorithm, src, noon); !proof.Passed(checks) {
		t.Errorf("got %v, want a pass", checks)
	}
	attacker := hostKey(t, "rsa_attacker")
	got, _ := reasons(t, forge(t, attacker, "RS256", header(t, attacker, urls), claims(t, nil)), everyAlgorithm, src, noon)
	wantReasons(t, got, "kid_unknown")
	if asked.Load() != 0 || p.hits.Load() == 0 {
		t.Errorf("the token's URL was asked %d times, the connection's %d times", asked.Load(), p.hits.Load())
	}
}
