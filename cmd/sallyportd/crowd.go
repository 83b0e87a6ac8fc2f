package main

import (
	"net"
	"net/netip"
	"sync"
	"syscall"

	"sallyport.dev/handlers/limit"
)

// How many connections may be open at once: each takes a descriptor, which the
// log needs to write, and some 40 KiB with TLS, whether it asks anything or not.
const (
	mostConnections = 16_384
	mostOfOne       = 1024 // client network that is no proxy
)

// crowd is a listener that bounds how many connections there are, of one client
// network and of all. What is beyond is closed at once: who waits for a place
// would keep others out.
type crowd struct {
	net.Listener
	most, mostOfOne int
	proxies         []netip.Prefix // and loopback: not bounded as one

	mu  sync.Mutex
	all int
	of  map[string]int
}

// newCrowd takes no more than half of the descriptors that the process may have.
func newCrowd(l net.Listener, proxies []netip.Prefix) *crowd {
	most := mostConnections
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil && files.Cur/2 < uint64(most) {
		most = int(files.Cur / 2)
	}
	return &crowd{Listener: l, most: most, mostOfOne: mostOfOne, proxies: proxies, of: map[string]int{}}
}

// Accept is the next connection that there is room for.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if leave := c.enter(conn.RemoteAddr()); leave != nil {
			return &guest{conn, sync.OnceFunc(leave)}, nil
		}
		conn.Close() // it was told nothing, and is owed nothing
	}
}

// enter counts a connection; nil: there is no room for it.
func (c *crowd) enter(from net.Addr) (leave func()) {
	source := c.source(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.most || source != "" && c.of[source] >= c.mostOfOne {
		return nil
	}
	c.all++
	if source != "" {
		c.of[source]++
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if c.of[source]--; c.of[source] <= 0 {
			delete(c.of, source)
		}
	}
}

// source is the client network of an address; empty for one that many come by.
func (c *crowd) source(from net.Addr) string {
	tcp, ok := from.(*net.TCPAddr)
	if !ok {
		return ""
	}
	addr := tcp.AddrPort().Addr().Unmap()
	if addr.IsLoopback() {
		return ""
	}
	for _, p := range c.proxies {
		if p.Contains(addr) {
			return ""
		}
	}
	return limit.Source(addr.String())
}

// guest is a connection that leaves its place when it is closed.
type guest struct {
	net.Conn
	leave func()
}

// Close may be called more than once.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
