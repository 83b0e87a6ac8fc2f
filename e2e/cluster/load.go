package cluster

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// load is what clients do to a cluster all at once, on connections of their own,
// until it is ended; then all they saw is checked.
type load struct {
	*history
	c    *cluster
	p    provider
	name string // ends the names of the connections
	from uint64 // the log's last commit before

	ctx     context.Context
	stop    context.CancelFunc
	clients sync.WaitGroup
	ids     atomic.Int64
	token   atomic.Pointer[string] // the newest of the connection that is switched
	ended   bool
}

// The pace of each client. It is modest: what is looked for is what is wrong, not how fast.
const (
	askEvery    = 25 * time.Millisecond
	switchEvery = 250 * time.Millisecond
	readEvery   = 400 * time.Millisecond
	roundEvery  = 100 * time.Millisecond
	checkEvery  = 250 * time.Millisecond
)

var loads atomic.Int64

// begin makes the connections and sets the clients to work; it returns once
// every site has given out tokens.
func (c *cluster) begin() *load {
	c.t.Helper()
	key, err := jose.NewHostKey("ES256")
	if err != nil {
		c.t.Fatal(err)
	}
	l := &load{c: c, p: provider{key}, name: fmt.Sprint(loads.Add(1)), history: newHistory()}
	l.ctx, l.stop = context.WithCancel(context.Background())
	c.t.Cleanup(func() { l.stop(); l.clients.Wait() })
	l.from = uint64(len(c.log()))
	c.activated(l.p, "steady-"+l.name, nil)
	c.activated(l.p, "switched-"+l.name, nil)
	c.activated(l.p, "once-"+l.name, map[string]any{"single_use": true})
	for i, s := range c.sites {
		for range 2 {
			l.client(func(int) { l.ask(s) })
		}
		l.client(func(id int) { l.askSwitched(id, s) })
		l.client(func(id int) { l.read(id, s) })
		l.client(func(int) { l.watch(s) })
		if i < 2 {
			l.client(func(id int) { l.turn(id, i, []string{"sam", "sue"}[i]) })
		}
	}
	l.client(func(id int) { l.edit(id) })
	l.client(func(int) { l.spend() })
	l.client(func(int) { l.decide() })
	l.awaitTokens(0)
	return l
}

func (l *load) client(do func(id int)) {
	id := int(l.ids.Add(1))
	l.clients.Go(func() { do(id) })
}

// awaitTokens returns once every site that is meant has given out a token that was asked for from now on.
func (l *load) awaitTokens(since time.Duration, sites ...*site) {
	l.c.t.Helper()
	if len(sites) == 0 {
		sites = l.c.sites
	}
	for _, s := range sites {
		l.c.until(fmt.Sprintf("site %d gives out tokens", s.n), func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			_, found := l.firstAfter(since, s.n)
			return found
		})
	}
}

// watch is a load balancer's health check of a site, by which clients leave out
// a replica that is about to stop.
func (l *load) watch(s *site) {
	for rest(l.ctx, checkEvery) {
		s.leaving.Store(s.stops())
	}
}

// ask asks one site for tokens of the connection that nobody touches.
func (l *load) ask(s *site) {
	proof := l.p.proof(l.c.issuer)
	for rest(l.ctx, askEvery) {
		if s.leaving.Load() {
			continue
		}
		l.c.exchange(context.Background(), l.history, s, "steady-"+l.name, proof)
	}
}

// askSwitched asks for tokens of the connection that is switched on and off.
func (l *load) askSwitched(id int, s *site) {
	proof := l.p.proof(l.c.issuer)
	for rest(l.ctx, 2*askEvery) {
		if s.leaving.Load() {
			continue
		}
		a, compact := l.c.exchange(context.Background(), l.history, s, "switched-"+l.name, proof)
		if a.status == http.StatusOK {
			l.add(&l.register, id, a.at, registerIn{what: issue}, registerOut{what: done}, false)
			l.token.Store(&compact)
		}
	}
}

// read reads the connection, and what a token of it is worth. Either answer may
// be a second old.
func (l *load) read(id int, s *site) {
	for rest(l.ctx, readEvery) {
		at := l.now() - time.Second
		if a := l.c.send(l.ctx, s, http.MethodGet, "/v1/connections/switched-"+l.name, l.c.tokens["audrey"], "", ""); a.status == http.StatusOK {
			l.add(&l.register, id, at, registerIn{what: read}, registerOut{what: done, state: stateOf(a)}, false)
		}
		token := l.token.Load()
		if token == nil {
			continue
		}
		at = l.now() - time.Second
		a := l.c.introspect(l.ctx, s, *token)
		l.mu.Lock()
		l.looked = append(l.looked, asked{at: at + time.Second, told: l.now(), site: s.n, status: a.status, code: a.code})
		l.mu.Unlock()
		if a.status == http.StatusOK {
			active, _ := a.body["active"].(bool)
			l.add(&l.register, id, at, registerIn{what: introspect}, registerOut{what: done, state: registerState{active: active}}, false)
		}
	}
}

func stateOf(a answered) registerState {
	return registerState{active: a.text("status") == "active", version: a.number("version"), deciding: a.number("active_version")}
}

// turn switches the connection off and on, as it was last seen, at one site
// first and at the others when that does not answer.
func (l *load) turn(id, first int, who string) {
	path := "/v1/connections/switched-" + l.name
	for rest(l.ctx, switchEvery) {
		now := l.c.send(l.ctx, l.c.sites[first], http.MethodGet, path, l.c.tokens[who], "", "")
		if now.status != http.StatusOK {
			continue
		}
		what, body := activate, any(map[string]any{})
		if now.text("status") == "active" {
			what = deactivate
		}
		at := l.now()
		a, sent := l.c.write(l.ctx, first, who, http.MethodPost, path+"/"+what, now.etag, body)
		l.note(id, at, registerIn{what, now.number("version")}, a, sent)
	}
}

// edit writes new versions of the connection.
func (l *load) edit(id int) {
	path := "/v1/connections/switched-" + l.name
	for n := 0; rest(l.ctx, 3*switchEvery); n++ {
		s := l.c.sites[n%len(l.c.sites)]
		now := l.c.send(l.ctx, s, http.MethodGet, path, l.c.tokens["sam"], "", "")
		if now.status != http.StatusOK {
			continue
		}
		at := l.now()
		a, sent := l.c.write(l.ctx, n, "dora", http.MethodPut, path, now.etag, l.p.spec("", l.c.issuer, map[string]any{"description": fmt.Sprint("number ", n)}))
		l.note(id, at, registerIn{edit, now.number("version")}, a, sent)
	}
}

// note adds what came of a write: done, refused as stale, or not known. One that
// was refused for another reason, or never done, is no part of the history.
func (l *load) note(id int, at time.Duration, in registerIn, a answered, sent bool) {
	switch {
	case a.status == http.StatusOK:
		l.add(&l.register, id, at, in, registerOut{what: done}, false)
	case a.status == http.StatusPreconditionFailed:
		l.add(&l.register, id, at, in, registerOut{what: stale}, false)
	case !a.settled() && sent:
		l.add(&l.register, id, at, in, registerOut{what: unknown}, true)
	case a.settled():
		l.c.t.Errorf("%s of version %d: %d %v", in.what, in.version, a.status, a.body)
	}
}

// spend shows proofs that are good for one token at every site at once, and
// again where there was no token and no reason.
func (l *load) spend() {
	for rest(l.ctx, roundEvery) {
		proof := l.p.proof(l.c.issuer)
		var round sync.WaitGroup
		for i := range 2 * len(l.c.sites) {
			s := l.c.sites[i%len(l.c.sites)]
			round.Go(func() {
				for range 3 {
					if l.show(i, s, proof) || l.ctx.Err() != nil {
						return
					}
				}
			})
		}
		round.Wait()
	}
}

// show shows a proof that is good for one token; false is to be tried again.
func (l *load) show(id int, s *site, proof string) (settled bool) {
	if s.leaving.Load() {
		return true // a load balancer would have sent it elsewhere, where it is shown anyway
	}
	a, _ := l.c.exchange(context.Background(), l.history, s, "once-"+l.name, proof)
	switch {
	case a.status == http.StatusOK:
		l.add(&l.spends, id, a.at, proof, "issued", false)
	case a.code == "proof.replayed":
		l.add(&l.spends, id, a.at, proof, "replayed", false)
	case a.status == http.StatusServiceUnavailable || a.status == 0:
		l.add(&l.spends, id, a.at, proof, "unknown", true)
		return false
	default:
		l.c.t.Errorf("a proof for one token: %d %s", a.status, a.code)
	}
	return true
}

// decide has two people activate the same draft at once, at two sites.
func (l *load) decide() {
	for n := 0; rest(l.ctx, 5*roundEvery); n++ {
		name := fmt.Sprintf("decision-%s-%d", l.name, n)
		draft, _ := l.c.write(l.ctx, n, "dana", http.MethodPost, "/v1/connections", "", l.p.spec(name, l.c.issuer, nil))
		if draft.status != http.StatusCreated {
			continue
		}
		var both sync.WaitGroup
		for i, who := range []string{"sam", "sue"} {
			both.Go(func() {
				at := l.now()
				a, sent := l.c.write(l.ctx, n+i, who, http.MethodPost, "/v1/connections/"+name+"/activate", draft.etag, map[string]any{})
				switch {
				case a.status == http.StatusOK:
					l.add(&l.decisions, i, at, decisionIn{name, who}, a.text("activated_by"), false)
				case !a.settled() && sent:
					l.add(&l.decisions, i, at, decisionIn{name, who}, "", true)
				case a.settled():
					l.c.t.Errorf("activating %s: %d %v", name, a.status, a.body)
				}
			})
		}
		both.Wait()
	}
}

// end stops the clients and checks all they saw.
func (l *load) end() {
	l.c.t.Helper()
	if l.ended {
		return
	}
	l.ended = true
	l.c.until("the clients have done enough to show something", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.register) >= 100 && len(l.spends) >= 60 && len(l.decisions) >= 6
	})
	l.stop()
	l.clients.Wait()
	bad := l.violations(l.c.log()[l.from:])
	for _, b := range bad[:min(len(bad), 10)] {
		l.c.t.Error(b)
	}
}

// summary is the part of a row that every harm has.
func (l *load) summary() string {
	n := l.counts()
	return fmt.Sprintf("%d tokens, %d told 503, %d without an answer; longest time without a token %s",
		n[200], n[503], n[0], round(l.gap(0)))
}

func round(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

// log is every commit, read through the first site that answers.
func (c *cluster) log() []domain.Commit {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for _, s := range c.sites {
		conn, err := streams.Dial(ctx, streams.DialOptions{URL: fmt.Sprintf("nats://%s:%s@%s", user, password, s.natsAt), Log: quiet})
		if err != nil {
			continue
		}
		defer conn.Close()
		j, err := streams.Open(ctx, conn, streams.Options{Org: "default", Source: c.issuer, Codec: events.New(), Log: quiet})
		if err != nil {
			c.t.Fatalf("reading the log: %v", err)
		}
		return streamstest.All(c.t, j)
	}
	c.t.Fatal("reading the log: no site answers")
	return nil
}
