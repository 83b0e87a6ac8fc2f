package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/streams"
)

// running is a server in this process.
type running struct {
	url  string
	host *host.Host
	stop context.CancelFunc
	// end is what Run returned; it waits for that.
	end func() error
	log *lines
}

// lines is a log that may be read while it is written.
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

// start runs a server on a free port, changed from the plain one, until the
// test ends or stops it.
func start(t *testing.T, change func(*Main)) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	ready := make(chan *host.Host, 1)
	m := &Main{
		Config:   Config{BaseURL: "https://sallyport.example.com", DataDir: t.TempDir(), Organisations: []string{"default", "acme"}},
		Listener: l, Log: slog.New(slog.NewTextHandler(log, nil)),
		Ready: func(_ context.Context, h *host.Host) error { ready <- h; return nil },
	}
	kek, err := jose.NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	if m.Sealer, err = jose.ParseKEK(kek); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(m)
	}
	ctx, stop := context.WithCancel(context.Background())
	var runErr error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runErr = m.Run(ctx)
	}()
	r := &running{url: "http://" + l.Addr().String(), stop: stop, log: log, end: func() error { <-ended; return runErr }}
	t.Cleanup(func() { stop(); <-ended })
	select {
	case r.host = <-ready:
	case <-ended:
		t.Fatalf("the server ended before it was ready: %v\n%s", runErr, log)
	}
	return r
}

func (r *running) token(t *testing.T, person string, role domain.Role) string {
	t.Helper()
	made, err := r.host.CreateToken(t.Context(), "default", host.TokenRequest{Person: person, Role: role, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// get asks as a person, or as nobody; the caller closes the answer.
func (r *running) get(t *testing.T, path, token string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestEveryOrganisationIsServedAndNoOther(t *testing.T) {
	r := start(t, nil)
	for path, want := range map[string]int{
		"/livez": 200, "/readyz": 200, "/openapi.yaml": 200, "/orgs/default/jwks": 200, "/orgs/acme/jwks": 200,
		"/.well-known/oauth-authorization-server/orgs/acme": 200, "/orgs/other/jwks": 404, "/orgs/default/v1/connections": 401, "/nothing": 404,
	} {
		res := r.get(t, path, "")
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
}

func TestStoppingEndsOpenStreamsAndReturnsWell(t *testing.T) {
	r := start(t, nil)
	res := r.get(t, "/orgs/default/v1/audit/stream", r.token(t, "dana", domain.Auditor))
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the stream answers %d", res.StatusCode)
	}
	r.token(t, "erin", domain.Auditor) // an event, so that the stream has begun
	if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	r.stop()
	if err := r.end(); err != nil {
		t.Errorf("Run returned %v", err)
	}
	if took := time.Since(begun); took > drainTime/2 {
		t.Errorf("stopping took %s: the stream was waited for", took)
	}
	for _, want := range []string{"msg=stopping", "msg=stopped"} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not say %s: %s", want, r.log)
		}
	}
}

func TestAFailureToGetReadyEndsTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	kek, err := jose.NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := jose.ParseKEK(kek)
	if err != nil {
		t.Fatal(err)
	}
	m := &Main{
		Config:   Config{BaseURL: "https://sallyport.example.com", DataDir: t.TempDir(), Organisations: []string{"default"}},
		Listener: l, Sealer: sealer, Log: slog.New(slog.DiscardHandler),
		Ready: func(context.Context, *host.Host) error { return io.ErrUnexpectedEOF },
	}
	if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), io.ErrUnexpectedEOF.Error()) {
		t.Errorf("Run returned %v", err)
	}
}

// Two processes on one NATS are one Sallyport: who may do what at one may at the other.
func TestTwoReplicasOnOneCluster(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	nats, err := streams.StartServer(t.Context(), streams.ServerOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	kek, err := jose.NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := jose.ParseKEK(kek)
	if err != nil {
		t.Fatal(err)
	}
	replica := func(m *Main) {
		m.Sealer = sealer
		m.Config.NATS = NATSConfig{URL: nats.ClientURL(), Replicas: 1, AllowFewReplicas: true}
	}
	a, b := start(t, replica), start(t, replica)
	res := b.get(t, "/orgs/default/v1/connections", a.token(t, "dana", domain.Auditor))
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("a token made at one replica is answered with %d at the other", res.StatusCode)
	}
}

func TestTLS(t *testing.T) {
	cert, key, pool := selfSigned(t)
	r := start(t, func(m *Main) { m.Config.TLS = TLSConfig{CertFile: cert, KeyFile: key} })
	for version, works := range map[uint16]bool{tls.VersionTLS13: true, tls.VersionTLS12: true, tls.VersionTLS11: false} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
			RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: version,
		}}}
		res, err := client.Get("https://" + strings.TrimPrefix(r.url, "http://") + "/livez")
		if err == nil {
			res.Body.Close()
		}
		if (err == nil) != works {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}

// selfSigned makes a certificate for the loopback and keeps it in files.
func selfSigned(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key, pool = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), x509.NewCertPool()
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool.AppendCertsFromPEM(public)
	for path, b := range map[string][]byte{cert: public, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, pool
}
