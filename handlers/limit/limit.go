// Package limit bounds how often something may be done, for very many keys in
// bounded memory. It never sleeps and never reads a clock.
package limit

import (
	"net/netip"
	"sync"
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
	rate  rate.Limit
	burst int
	size  int

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
	return b.AllowN(now, 1)
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
