package streams

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is how long to wait after the nth failed try: from about a
// millisecond to about a quarter of a second, never twice the same, so that
// replicas that collided do not collide again.
func backoff(n int) time.Duration {
	top := time.Millisecond << min(n, 8)
	return top/2 + rand.N(top)
}

// pause waits, or returns why it could not.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
