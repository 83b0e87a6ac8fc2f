package api

import (
	"container/list"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"sallyport.dev/domain"
)

// How much one address may ask by default, and how many addresses are remembered.
const (
	DefaultRate  = 100 // requests a second
	DefaultBurst = 200
	DefaultKeys  = 100_000
)

// ErrRate is answered to those who ask too often.
var ErrRate = &domain.Error{Kind: domain.KindTooMany, Code: "rate.limited",
	Message: "Too many requests: wait a second and try again."}

// Limiter allows each key so many events a second. It remembers a bounded
// number of keys and forgets the one that was quiet the longest, which has then
// its whole burst again. It is safe for concurrent use.
type Limiter struct {
	rate  rate.Limit
	burst int
	size  int

	mu     sync.Mutex
	byKey  map[string]*list.Element // of *bucket
	recent *list.List               // most recent first
}

type bucket struct {
	key string
	lim *rate.Limiter
}

// NewLimiter allows every key perSecond events a second and burst at once, and
// remembers at most keys of them.
func NewLimiter(perSecond float64, burst, keys int) *Limiter {
	return &Limiter{rate: rate.Limit(perSecond), burst: burst, size: max(1, keys),
		byKey: map[string]*list.Element{}, recent: list.New()}
}

// Allow tells whether one more event of key may happen now, and counts it if so.
func (l *Limiter) Allow(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.byKey[key]
	if !ok {
		if len(l.byKey) >= l.size {
			oldest := l.recent.Back()
			delete(l.byKey, l.recent.Remove(oldest).(*bucket).key)
		}
		at = l.recent.PushFront(&bucket{key, rate.NewLimiter(l.rate, l.burst)})
		l.byKey[key] = at
	}
	l.recent.MoveToFront(at)
	return at.Value.(*bucket).lim.AllowN(now, 1)
}

// LimitBySource refuses requests of a client's network that asks too often:
// 429 with Retry-After.
func LimitBySource(l *Limiter, now func() time.Time) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !l.Allow(Source(c), now()) {
				return ErrRate
			}
			return next(c)
		}
	}
}
