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
	lost   atomic.Bool  // the newest one failed
	start  time.Time
}

// Fresh returns nil if this process has folded every commit that the leader had
// within the last second. Whatever opens something without writing
// (introspection, a person's API token) asks here first; an error means 503.
func (o *Organisation) Fresh(ctx context.Context) error {
	return o.compared(ctx, func(now time.Duration) time.Duration { return now - freshFor })
}

// freshSince is Fresh for a comparison that was begun at some time or later.
func (o *Organisation) freshSince(ctx context.Context, at time.Duration) error {
	return o.compared(ctx, func(time.Duration) time.Duration { return at })
}

// compared returns nil once a comparison holds that was begun after what is
// asked for, as of now. One that others began is taken, and looked at again when
// it has ended: this process may have been stopped meanwhile.
func (o *Organisation) compared(ctx context.Context, after func(now time.Duration) time.Duration) error {
	for {
		if err := o.trusted(); err != nil {
			return err
		}
		if at := time.Duration(o.fresh.at.Load()); at > 0 && at > after(time.Since(o.fresh.start)) {
			return nil
		}
		// The comparison outlives the caller that began it: others wait for it too.
		flight := o.fresh.flight.DoChan("", func() (any, error) { return nil, o.compare() })
		select {
		case r := <-flight:
			if r.Err != nil {
				return r.Err
			}
		case <-ctx.Done():
			return unavailable(ctx.Err())
		}
	}
}

func (o *Organisation) compare() error {
	ctx, cancel := context.WithTimeout(context.Background(), freshFor)
	defer cancel()
	begun := time.Since(o.fresh.start)
	last, err := o.journal.Last(ctx)
	if err == nil {
		err = o.control.Wait(ctx, last)
	}
	o.fresh.lost.Store(err != nil)
	if err == nil {
		o.fresh.at.Store(int64(begun))
	}
	return unavailable(err)
}

// suspectAfter is how long the log may take for a write before the leader is
// asked whether it is there at all.
const suspectAfter = 250 * time.Millisecond

// whileReachable is ctx for a write to a log that other processes share. It
// ends, with the reason as its cause, about a second after the log can no
// longer be reached: whoever is cut off from the majority says so instead of
// letting everybody wait. While the log is known to be out of reach, it is
// asked for first, and everybody waits for the one answer; a log that is
// only slow answers, and is waited for.
func (o *Organisation) whileReachable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if !o.shared {
		return ctx, func() { cancel(nil) }
	}
	if o.fresh.lost.Load() {
		if err := o.Fresh(ctx); err != nil {
			cancel(err)
		}
	}
	begun := time.Since(o.fresh.start)
	watch := time.AfterFunc(suspectAfter, func() {
		for ctx.Err() == nil {
			if err := o.freshSince(ctx, begun); err != nil {
				cancel(err)
			}
			begun = time.Since(o.fresh.start)
			pause(ctx, suspectAfter)
		}
	})
	return ctx, func() {
		watch.Stop()
		cancel(nil)
	}
}
