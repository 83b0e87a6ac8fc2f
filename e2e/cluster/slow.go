package cluster

import (
	"io"
	"net"
	"testing"
	"time"
)

// slowly starts a proxy to an address that delivers what it is given a while
// later, in either direction, and returns where it listens.
func slowly(t testing.TB, to string, delay time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			target, err := net.Dial("tcp", to)
			if err != nil {
				from.Close()
				continue
			}
			go deliver(target, from, delay)
			go deliver(from, target, delay)
		}
	}()
	return l.Addr().String()
}

// deliver copies from one end to the other, each piece a while after it came.
func deliver(to, from net.Conn, delay time.Duration) {
	defer to.Close()
	type piece struct {
		due   time.Time
		bytes []byte
	}
	pieces := make(chan piece, 4096)
	go func() {
		defer close(pieces)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if n > 0 {
				pieces <- piece{time.Now().Add(delay), b[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due)) // a network that is slow is what is tested
		if _, err := to.Write(p.bytes); err != nil {
			from.Close()
			_, _ = io.Copy(io.Discard, from) // so that the reader ends
			return
		}
	}
}
