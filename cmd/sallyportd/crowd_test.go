package main

import (
	"io"
	"net"
	"net/netip"
	"testing"
)

// from is a connection that came from an address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.addr)) }

// queue is a listener with connections that came already.
type queue struct {
	net.Listener
	came []net.Conn
}

func (q *queue) Accept() (net.Conn, error) {
	if len(q.came) == 0 {
		return nil, io.EOF
	}
	next := q.came[0]
	q.came = q.came[1:]
	return next, nil
}

func TestNobodyTakesEveryConnection(t *testing.T) {
	q := &queue{}
	c := newCrowd(q, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	c.most, c.mostOfOne = 6, 2
	come := func(addr string) net.Conn {
		t.Helper()
		ours, theirs := net.Pipe()
		t.Cleanup(func() { theirs.Close() })
		q.came = append(q.came, from{ours, addr})
		conn, err := c.Accept()
		if err == nil {
			return conn
		}
		if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s was not closed: %v", addr, err)
		}
		return nil
	}
	first := come("192.0.2.1:1")
	for _, tt := range []struct {
		addr  string
		taken bool
	}{
		{"192.0.2.1:2", true}, {"192.0.2.1:3", false}, {"[::ffff:192.0.2.1]:4", false},
		{"[2001:db8::1]:1", true}, {"[2001:db8::2]:1", true}, {"[2001:db8::3]:1", false},
		{"10.1.1.1:1", true}, {"10.1.1.1:2", true}, // a proxy; and now there are six
		{"10.1.1.1:3", false}, {"127.0.0.1:1", false},
	} {
		if got := come(tt.addr) != nil; got != tt.taken {
			t.Errorf("%s is taken: %v, want %v", tt.addr, got, tt.taken)
		}
	}
	first.Close()
	first.Close()
	if come("192.0.2.1:5") == nil || come("127.0.0.1:2") != nil {
		t.Error("a place that was left once is not given once")
	}
	if len(c.of) != 2 {
		t.Errorf("%d networks are remembered: %v", len(c.of), c.of)
	}
}
