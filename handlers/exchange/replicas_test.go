package exchange_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/issuer"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// replicas are three processes' worth of one organisation, each on its own node
// of a real cluster, each reached over HTTP.
func replicas(t *testing.T) ([]*edge, *streamstest.Cluster) {
	t.Helper()
	cluster := streamstest.StartCluster(t)
	var all []*edge
	for _, n := range cluster.Nodes {
		conn, err := streams.Dial(t.Context(), streams.DialOptions{URL: n.URL, Log: orgtest.Quiet()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		w := orgtest.Join(t, conn)
		x := exchange.New(w.Organisation, exchange.Options{})
		t.Cleanup(x.Close)
		e := api.New(api.Options{Log: orgtest.Quiet()})
		g := e.Group("/orgs/default")
		x.Mount(g)
		issuer.New(w.Organisation, nil).Mount(e, g)
		s := httptest.NewServer(e)
		t.Cleanup(s.Close)
		all = append(all, &edge{World: w, URL: s.URL + "/orgs/default", exchange: x, t: t})
	}
	return all, cluster
}

// everywhere waits until every replica has folded what is in the log.
func everywhere(t *testing.T, all []*edge) {
	t.Helper()
	last := all[0].Last()
	for _, e := range all {
		e.Await(last)
	}
}

// reached asks for a token until the log can be reached, and says what came of it.
func (e *edge) reached(f url.Values) (r reply) {
	e.t.Helper()
	_ = orgtest.Reached(func() error { // what it answers is looked at
		r = e.ask(f)
		switch r.text("error_code") {
		case "log.unclear":
			e.unclear.Add(1)
			fallthrough
		case "log.unavailable":
			return streams.ErrUnavailable
		}
		return nil
	})
	return r
}

// unclear tells whether anybody was told that it is not known.
func unclear(all []*edge) bool {
	return slices.ContainsFunc(all, func(e *edge) bool { return e.unclear.Load() > 0 })
}

func TestThreeReplicasDecideAsOne(t *testing.T) {
	all, _ := replicas(t)
	a := all[0]
	p := orgtest.NewProvider(t, "ES256")
	spec := p.Spec(a.Issuer(), subject)
	spec.SingleUse = true
	a.Activated("once", spec)
	a.Activated("ci", p.Spec(a.Issuer(), subject))
	everywhere(t, all)

	t.Run("a proof that is good for one token gets one, wherever it is shown", func(t *testing.T) {
		for round := range 20 {
			proof := p.Mint(p.Claims(a.Now(), a.Issuer(), subject, map[string]any{"jti": string(rune('a' + round))}))
			var issued, replayed atomic.Int64
			var wg sync.WaitGroup
			for _, e := range append(all, all...) {
				wg.Go(func() {
					switch r := e.reached(form(proof, "connection", "once")); r.text("error_code") {
					case "":
						issued.Add(1)
					case "proof.replayed":
						replayed.Add(1)
					default:
						t.Errorf("%d %v", r.Status, r.Body)
					}
				})
			}
			wg.Wait()
			if n := issued.Load(); n > 1 || n == 0 && !unclear(all) || n+replayed.Load() != 6 {
				t.Fatalf("round %d: %d tokens and %d refusals for one proof shown six times", round, issued.Load(), replayed.Load())
			}
		}
	})

	t.Run("a rotation on one replica signs on all", func(t *testing.T) {
		for _, e := range all {
			e.Advance(10 * time.Minute) // the next key is old enough
		}
		err := orgtest.Reached(func() error {
			_, err := all[1].RotateKeys(t.Context(), domain.Meta{Actor: domain.System("host"), Now: all[1].Now()})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		everywhere(t, all)
		for i, e := range all {
			r := e.reached(form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)), "connection", "ci"))
			if _, holds := all[(i+1)%3].ReadToken(r.text("access_token")); !holds {
				t.Errorf("the token of replica %d does not hold on the next: %d %v", i, r.Status, r.Body)
			}
		}
	})

	t.Run("nothing is issued after an acknowledged deactivation", func(t *testing.T) { interleave(t, all, p) })
}

// interleave runs exchanges on every replica against a connection that is
// switched on and off on random ones, and holds every client's view against the
// log: a token whose request began after a deactivation was acknowledged, and
// ended before the next activation was asked for, must not exist.
func interleave(t *testing.T, all []*edge, p *orgtest.Provider) {
	const name, switches = domain.Name("ci"), 60
	var off atomic.Bool // true only between an acknowledged deactivation and the next activation
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	var tokens, refusals atomic.Int64
	answered := make(chan struct{}, 1000)
	for _, e := range all {
		for range 3 {
			wg.Go(func() {
				proof := p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil))
				for ctx.Err() == nil {
					before := off.Load()
					r := e.ask(form(proof, "connection", "ci"))
					if r.Status == 503 {
						continue // nobody got a token
					}
					select {
					case answered <- struct{}{}:
					default:
					}
					switch {
					case r.Status == 200:
						tokens.Add(1)
						if before && off.Load() {
							t.Errorf("a token was issued after the deactivation was acknowledged")
						}
					case r.text("error_code") == "connection.inactive":
						refusals.Add(1)
					default:
						t.Errorf("%d %v", r.Status, r.Body)
					}
				}
			})
		}
	}
	security := domain.Actor{ID: "security", Roles: []domain.Role{domain.SecurityAdmin}}
	for i := range switches {
		e := all[rand.IntN(len(all))]
		m := domain.Meta{Actor: security, Now: e.Now(), RequestID: "switch"}
		var c connection.Command = connection.Deactivate{Version: 1}
		if i%2 == 1 {
			off.Store(false)
			c = connection.Activate{Version: 1, DualControl: "strict", Issuer: e.Issuer()}
		}
		err := orgtest.Reached(func() error {
			_, err := orgtest.Try(ctx, e.Organisation, m, name, c)
			if errors.Is(err, streams.ErrUnclear) {
				return streams.ErrUnavailable // it may be done twice
			}
			return err
		})
		if err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		if i%2 == 0 {
			off.Store(true)
		}
		for range 2 + rand.IntN(12) {
			<-answered // so that each state is met by some exchanges, and some are met by the switch
		}
	}
	cancel()
	wg.Wait()
	if tokens.Load() == 0 || refusals.Load() == 0 {
		t.Fatalf("%d tokens and %d refusals: the run shows nothing", tokens.Load(), refusals.Load())
	}
	active := true
	for _, ev := range all[0].Events() {
		switch d := ev.Event.(type) {
		case connection.WasActivated:
			active = active || ev.Subject == "connection/ci"
		case connection.WasDeactivated:
			active = active && ev.Subject != "connection/ci"
		case token.WasIssued:
			if d.Connection == name && !active {
				t.Errorf("the log has a token at %s while the connection is inactive", ev.Position)
			}
		}
	}
	t.Logf("%d switches, %d tokens, %d refusals", switches, tokens.Load(), refusals.Load())
}

func TestWithoutTheLogNothingIsIssuedAndItRecoversByItself(t *testing.T) {
	all, cluster := replicas(t)
	e := all[0]
	p := orgtest.NewProvider(t, "ES256")
	e.Activated("ci", p.Spec(e.Issuer(), subject))
	proof := form(p.Mint(p.Claims(e.Now(), e.Issuer(), subject, nil)), "connection", "ci")
	tok := e.ask(proof).text("access_token")
	if tok == "" {
		t.Fatal("no token while all is well")
	}
	bearer := e.Token("auditor", domain.Auditor)

	cluster.Nodes[1].Stop()
	cluster.Nodes[2].Stop()
	// Leadership may last a moment longer than the quorum; what was issued in it is on disk.
	for r := e.ask(proof); r.Status == 200; r = e.ask(proof) {
	}
	before := time.Now()
	r := e.ask(proof)
	if r.Status != 503 || r.text("error_code") != "log.unavailable" || r.text("access_token") != "" || r.Header.Get("Retry-After") == "" {
		t.Fatalf("without a quorum: %d %v", r.Status, r.Body)
	}
	t.Logf("answered in %v", time.Since(before).Round(time.Millisecond))
	form := "token=" + tok
	for r = e.send("/introspect", "application/x-www-form-urlencoded", form, "Authorization", "Bearer "+bearer); r.Status == 200; {
		r = e.send("/introspect", "application/x-www-form-urlencoded", form, "Authorization", "Bearer "+bearer)
	}
	if r.Status != 503 {
		t.Errorf("introspection on state of unknown age: %d %v", r.Status, r.Body)
	}

	cluster.Nodes[1].Start(t)
	cluster.Nodes[2].Start(t)
	deadline := time.Now().Add(60 * time.Second)
	for r = e.ask(proof); r.Status != 200; r = e.ask(proof) {
		if time.Now().After(deadline) {
			t.Fatalf("a minute after the log is back: %d %v", r.Status, r.Body)
		}
	}
	if _, holds := e.ReadToken(r.text("access_token")); !holds {
		t.Error("the token after recovery does not hold")
	}
}
