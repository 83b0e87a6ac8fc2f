// Package limit bounds how often something may be done, for very many keys in
// bounded memory. It never sleeps and never reads a clock.
package limit

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Limiter is a token bucket for each key. It is safe for concurrent use.
//
// Keys live in two generations of at most size each: when the newer is full it
// becomes the older, and the older is forgotten. A key that is used keeps its
// bucket; one that is forgotten starts again with a full one, which takes an
// attacker as many keys as the size to bring about.
type Limiter struct {
	rate   rate.Limit
	burst  int
	size   int
	shares atomic.Pointer[func() int] // nil: the limit is this process's own
	denied atomic.Uint64

	mu           sync.Mutex
	newer, older map[string]*rate.Limiter
}

// New allows each key perSecond uses a second and burst at once, for up to
// twice size keys.
func New(perSecond float64, burst, size int) *Limiter {
	return &Limiter{rate: rate.Limit(perSecond), burst: burst, size: size, newer: map[string]*rate.Limiter{}}
}

// Allow tells whether key may be used now, and counts the use if so.
func (l *Limiter) Allow(key string, now time.Time) bool {
	l.mu.Lock()
	b := l.newer[key]
	if b == nil {
		b = l.older[key]
		if b == nil {
			b = rate.NewLimiter(l.rate, l.burst)
		}
		if len(l.newer) >= l.size {
			l.newer, l.older = make(map[string]*rate.Limiter, l.size), l.newer
		}
		l.newer[key] = b
	}
	l.mu.Unlock()
	if !b.AllowN(now, l.price()) {
		l.denied.Add(1)
		return false
	}
	return true
}

// Denied counts the uses that were not allowed so far; a nil limiter denies none.
func (l *Limiter) Denied() uint64 {
	if l == nil {
		return 0
	}
	return l.denied.Load()
}

// Share has the limit hold for all of several processes together, each of which
// gets an equal part of it; shares tells how many there are now, and is asked at
// each use. Nobody is asked for leave, so where all of the load comes to one of n
// processes, it gets a n-th of the limit. A burst is never divided to nothing.
func (l *Limiter) Share(shares func() int) { l.shares.Store(&shares) }

// price is what one use takes out of a bucket: as much as so many processes
// that allow it at once would together.
func (l *Limiter) price() int {
	shares := l.shares.Load()
	if shares == nil {
		return 1
	}
	return max(1, min((*shares)(), l.burst))
}

// Source is the key of a client address: IPv4 whole, IPv6 by /64, since a /64
// is what one customer gets. An address that cannot be read is a source of its own.
func Source(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return "unknown"
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, 64).Masked().String()
}
