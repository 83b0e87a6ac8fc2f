package organisation

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// freshFor is how old the last comparison with the leader may be when
// something is opened on the strength of what was read.
const freshFor = time.Second

// freshness is one comparison with the leader, shared by all who ask.
type freshness struct {
	flight singleflight.Group
	at     atomic.Int64 // when the last comparison that held was begun, in nanoseconds since start
	start  time.Time
}

// Fresh returns nil if this process has folded every control commit that the
// leader had within the last second. Whatever opens something without writing
// (introspection, a person's API token) asks here first; an error means 503.
func (o *Organisation) Fresh(ctx context.Context) error {
	now := time.Since(o.fresh.start)
	if at := o.fresh.at.Load(); at > 0 && now-time.Duration(at) < freshFor {
		return nil
	}
	// The comparison outlives the caller that began it: others wait for it too.
	flight := o.fresh.flight.DoChan("", func() (any, error) { return nil, o.compare() })
	select {
	case r := <-flight:
		return r.Err
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

func (o *Organisation) compare() error {
	ctx, cancel := context.WithTimeout(context.Background(), freshFor)
	defer cancel()
	begun := time.Since(o.fresh.start)
	last, err := o.journal.LastControl(ctx)
	if err != nil {
		return unavailable(err)
	}
	if err := o.control.Wait(ctx, last); err != nil {
		return unavailable(err)
	}
	o.fresh.at.Store(int64(begun))
	return nil
}
