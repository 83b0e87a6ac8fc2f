package faults

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/handlers/jose"
)

var sources = []scenario{
	{"F28", "key sources down, slow, 500, garbage, huge, redirecting, cut off, of another authority in TLS, rotated",
		"keys at hand go on being used, other connections are as fast as before, a rotation is found", true, keysFail},
	{"F29", "start while every key source is down", "ready, and the last good keys of the log are used", true, coldStart},
	{"F30", "1,000 proofs a second with unknown key ids", "at most 2 fetches a minute, and the same connection's own traffic goes on", false, unknownKeys},
}

// sourced is a server with a connection for each provider, and who asks it.
type sourced struct {
	*server
	l         *ledger
	providers map[string]*provider
	callers   map[string]*caller
}

// newSourced starts a server that trusts these providers, all well.
func newSourced(t testing.TB, names ...string) *sourced {
	t.Helper()
	w := &sourced{l: newLedger(), providers: map[string]*provider{}, callers: map[string]*caller{}}
	var ports []string
	for _, name := range names {
		w.providers[name] = newProvider(t)
		ports = append(ports, w.providers[name].port())
	}
	w.server = newServer(t, options{config: "jwks: {private_cidrs: [127.0.0.0/8], ports: [" + strings.Join(ports, ", ") + "]}\n"})
	w.up()
	for _, name := range names {
		p := w.providers[name]
		w.trust(name, map[string]any{
			"provider": "generic_jwt", "jwks_url": p.URL + "/jwks", "ca_certificate": authority(t, p, name), "conditions": conditions(w.issuer),
		})
		w.callers[name] = &caller{s: w.server, l: w.l, http: newClient(64, patience/2), name: name,
			proof: shared(proofs(p.Key, "https://idp.example.com", w.issuer))}
	}
	return w
}

// authority is who a connection trusts to certify its provider: the right one, but for tls.
func authority(t testing.TB, p *provider, name string) string {
	t.Helper()
	if !strings.HasSuffix(name, "tls") {
		return p.CA
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(nil, c, c, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// ask wants this status of one request for each of these connections.
func (w *sourced) ask(status int, names ...string) {
	w.t.Helper()
	for _, name := range names {
		if got, err := w.callers[name].exchange(w.t.Context()); err != nil || got != status {
			w.t.Errorf("the connection %s is answered %d, want %d (%v): %v", name, got, status, err, w.l.codes)
		}
	}
}

// stranger asks the connection with a key that nobody published.
func (w *sourced) stranger(name string) *caller {
	w.t.Helper()
	key, err := jose.NewHostKey("ES256")
	if err != nil {
		w.t.Fatal(err)
	}
	c := *w.callers[name]
	c.proof = shared(proofs(key, "https://idp.example.com", w.issuer))
	return &c
}

// keysFail lets key sources fail in every way there is: those whose keys are at
// hand, and those that were never asked before.
func keysFail(t *testing.T, long bool) string {
	sick := append(slices.Clone(failures), "down")
	var cold []string
	for _, name := range append(slices.Clone(sick), "tls") {
		cold = append(cold, "cold-"+name)
	}
	w := newSourced(t, slices.Concat(sick, cold, []string{"rotated", "well"})...)
	w.ask(http.StatusOK, append(slices.Clone(sick), "well", "rotated")...)
	lasting := pick(long, time.Second, 150*time.Second) // long: longer than keys live
	before := w.load("well", pick(long, time.Second, 20*time.Second))
	begun := time.Now()
	for _, name := range failures {
		w.providers[name].fail(name)
		w.providers["cold-"+name].fail(name)
		w.providers[name].fetches.Store(0)
	}
	w.providers["down"].Close()
	w.providers["cold-down"].Close()

	ctx, cancel := context.WithTimeout(t.Context(), lasting)
	defer cancel()
	var asking sync.WaitGroup
	for _, name := range sick { // whoever asks has a key that is at hand, or one that nobody has
		stranger := w.stranger(name)
		asking.Go(func() {
			for ctx.Err() == nil {
				w.ask(http.StatusOK, name)
				_, _ = stranger.exchange(ctx)
				breathe(ctx, 100*time.Millisecond)
			}
		})
	}
	for _, name := range cold {
		asking.Go(func() { w.ask(http.StatusServiceUnavailable, name) })
	}
	during := w.load("well", lasting)
	asking.Wait()
	rotated := "left out"
	if long { // an unknown key is looked for once in 30 s
		rotated = w.rotation("rotated").Round(time.Millisecond).String()
	}
	var fetched []string
	for _, name := range failures {
		n := w.providers[name].fetches.Load()
		fetched = append(fetched, fmt.Sprintf("%s %d", name, n))
		if took := time.Since(begun); n > int64(took/(10*time.Second))+4 {
			t.Errorf("the source that is %s was asked %d times in %s", name, n, took)
		}
	}
	return fmt.Sprintf("%s: keys at hand answered all of %s, those never fetched 503; another connection's p99 %s before, %s meanwhile; fetches: %s; a rotation found after: %s; %s",
		lasting, strings.Join(sick, ", "), before.Round(time.Millisecond), during.Round(time.Millisecond), strings.Join(fetched, ", "), rotated, check(w.server, w.l))
}

// rotation is how long it takes until proofs of a key that was published just now are taken.
func (w *sourced) rotation(name string) time.Duration {
	w.t.Helper()
	w.providers[name].rotate(w.t)
	w.callers[name].proof = shared(proofs(w.providers[name].Key, "https://idp.example.com", w.issuer))
	begun := time.Now()
	w.until("the rotated key is found", func() bool {
		status, err := w.callers[name].exchange(w.t.Context())
		return err == nil && status == http.StatusOK
	})
	return time.Since(begun)
}

// load asks for tokens of a connection, 50 a second, each of which must be issued, and returns their p99.
func (w *sourced) load(name string, d time.Duration) time.Duration {
	w.t.Helper()
	c := *w.callers[name]
	c.l = newLedger() // its times are its own
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		if status, err := c.exchange(w.t.Context()); err != nil || status != http.StatusOK {
			w.t.Errorf("the connection %s is answered %d (%v)", name, status, err)
		}
	}
	_, p99, _ := c.l.quantiles()
	return p99
}

// coldStart starts a server whose key sources are all gone.
func coldStart(t *testing.T, _ bool) string {
	w := newSourced(t, "one", "two", "never")
	w.ask(http.StatusOK, "one", "two")
	// What was fetched is recorded in the background.
	w.until("the keys are recorded", func() bool {
		b, ok := w.get("/v1/audit?type=keys.changed&limit=10", "")
		return ok && strings.Count(string(b), `"specversion"`) >= 2
	})
	w.stop()
	for _, p := range w.providers {
		p.CloseClientConnections()
		p.Close()
	}
	ready := w.up()
	w.ask(http.StatusOK, "one", "two")
	w.ask(http.StatusServiceUnavailable, "never")
	return fmt.Sprintf("ready after %s; connections with keys in the log answered 200, one without 503; %s", ready.Round(time.Millisecond), check(w.server, w.l))
}

// unknownKeys floods a connection with proofs of keys that nobody published.
func unknownKeys(t *testing.T, _ bool) string {
	const d = time.Minute
	w := newSourced(t, "well", "other")
	w.ask(http.StatusOK, "well", "other")
	before := w.load("well", 10*time.Second)
	w.providers["well"].fetches.Store(0)
	stranger := w.stranger("well")
	stranger.http = newClient(512, 15*time.Second)
	flooded := make(chan int64, 1)
	go func() {
		sent, _ := stranger.flood(t, 1000, d)
		flooded <- sent
	}()
	during := w.load("well", d-2*time.Second)
	other := w.load("other", time.Second)
	sent := <-flooded
	n := w.providers["well"].fetches.Load()
	if n > 3 { // one of them may be the refresh that was due anyway
		t.Errorf("%d fetches in a minute", n)
	}
	return fmt.Sprintf("%d asked in %s: %d fetches; the connection's own p99 %s before, %s meanwhile, another's %s; %s; %s",
		sent, d, n, before.Round(time.Millisecond), during.Round(time.Millisecond), other.Round(time.Millisecond), w.l.statuses(), check(w.server, w.l))
}
