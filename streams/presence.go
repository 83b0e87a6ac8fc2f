package streams

import (
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// presenceSubject is where the processes of a deployment tell each other that
// they are there: "+" or "-" and an id that means nothing, by core NATS, so
// nothing of it is kept. Whoever may publish in our account may also write the log.
const presenceSubject = "sallyport.presence"

// How often a process says that it is there, and after how long a silence it is
// taken to be gone without having said so. The silence is long on purpose: who
// counts too many allows too little for a while, who counts too few too much.
const (
	announceEvery = 2 * time.Second
	silentFor     = 30 * time.Second
	maxPresent    = 256
)

// presence counts the processes of a deployment. It is a matter of limits alone:
// nothing that must be right depends on it.
type presence struct {
	nc   *nats.Conn
	id   string
	sub  *nats.Subscription
	quit chan struct{}
	done chan struct{}

	mu    sync.Mutex
	heard map[string]time.Time // others, and when last
	since time.Time            // from when on silence counts: we could hear nothing before
}

// announce makes this process known on a connection, and hears of the others.
func announce(nc *nats.Conn, log *slog.Logger) *presence {
	p := &presence{
		nc: nc, id: rand.Text(), heard: map[string]time.Time{}, since: time.Now(),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	var err error
	if p.sub, err = nc.Subscribe(presenceSubject, p.hear); err != nil {
		log.Warn("other processes cannot be heard, so limits are this process's own", "error", err)
	}
	go p.run()
	return p
}

// count is how many processes there are, this one included.
func (p *presence) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return 1 + len(p.heard)
}

func (p *presence) run() {
	defer close(p.done)
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	for last := time.Now(); ; {
		p.say("+")
		select {
		case <-p.quit:
			p.say("-")
			if p.nc.IsConnected() {
				_ = p.nc.FlushTimeout(time.Second) // whoever misses it finds out by the silence
			}
			return
		case <-tick.C:
		}
		now := time.Now()
		// Cut off, or stopped for a while: the silence says nothing of the others.
		p.forget(now, !p.nc.IsConnected() || now.Sub(last) > 2*announceEvery)
		last = now
	}
}

// forget drops those who were silent for too long while they could be heard.
func (p *presence) forget(now time.Time, deaf bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if deaf {
		p.since = now
	}
	for id, at := range p.heard {
		if now.Sub(at) > silentFor && now.Sub(p.since) > silentFor {
			delete(p.heard, id)
		}
	}
}

func (p *presence) say(what string) {
	_ = p.nc.Publish(presenceSubject, []byte(what+p.id)) // said again in two seconds
}

func (p *presence) hear(m *nats.Msg) {
	what := string(m.Data)
	id, here := strings.CutPrefix(what, "+")
	if !here {
		id = strings.TrimPrefix(what, "-")
	}
	if id == p.id || len(id) != len(p.id) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.heard[id]
	switch {
	case !here:
		delete(p.heard, id)
	case known || len(p.heard) < maxPresent:
		p.heard[id] = time.Now()
		if !known {
			p.say("+") // who is new learns of all others at once
		}
	}
}

func (p *presence) stop() {
	close(p.quit)
	<-p.done
	if p.sub != nil {
		_ = p.sub.Unsubscribe() // the connection is about to close
	}
}
