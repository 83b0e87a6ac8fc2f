package streams_test

import (
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sallyport.dev/streams/streamstest"
)

// proxy stands between a client and a server and loses what one says to the other.
type proxy struct {
	URL string

	to    string
	deaf  atomic.Bool // the client hears nothing: what was done is done, and not acknowledged
	mute  atomic.Bool // the server hears nothing: nothing is done, and not refused
	down  atomic.Bool // nobody gets through, nor in
	mu    sync.Mutex
	conns []net.Conn
	drops chan struct{} // something was lost
}

// between starts a proxy to the server at the URL.
func between(t testing.TB, server string) *proxy {
	t.Helper()
	u := must[*url.URL](t)(url.Parse(server))
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	p := &proxy{URL: strings.Replace(server, u.Host, l.Addr().String(), 1), to: u.Host, drops: make(chan struct{}, 1)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.serve(c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		p.heal()
	})
	return p
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.to)
	if err != nil || p.down.Load() {
		client.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	go p.pass(server, client, &p.mute)
	go p.pass(client, server, &p.deaf)
}

// pass copies until either end closes, dropping what comes while lost is set.
func (p *proxy) pass(to, from net.Conn, lost *atomic.Bool) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		switch {
		case n > 0 && lost.Load():
			select {
			case p.drops <- struct{}{}:
			default:
			}
		case n > 0:
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// awaitLoss returns once something was lost.
func (p *proxy) awaitLoss(t testing.TB) {
	t.Helper()
	select {
	case <-p.drops:
	case <-withTimeout(t).Done():
		t.Fatal("nothing was lost")
	}
}

// cut ends every connection and lets none in.
func (p *proxy) cut() {
	p.down.Store(true)
	p.hangUp()
}

// heal ends the connections, whose bytes are beyond repair, and lets new ones through whole.
func (p *proxy) heal() {
	p.deaf.Store(false)
	p.mute.Store(false)
	p.down.Store(false)
	p.hangUp()
}

func (p *proxy) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// behindProxy is a world that reaches its log through a proxy.
func behindProxy(t testing.TB, url string) (*world, *proxy) {
	t.Helper()
	p := between(t, url)
	w := follow(t, streamstest.Open(t, streamstest.Dial(t, p.URL), toys{}))
	return w, p
}
