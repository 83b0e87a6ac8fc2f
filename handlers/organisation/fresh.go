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

// freshness is what is known of the leader, asked once for all who ask.
type freshness struct {
	flight singleflight.Group
	at     atomic.Int64 // when the last comparison that held was begun, in nanoseconds since start
	lost   atomic.Bool  // the newest question to the leader was not answered well
	start  time.Time
}

// Fresh returns nil if this process has folded every commit that the leader had
// within the last second. Whatever opens something without writing
// (introspection, a person's API token) asks here first; an error means 503.
func (o *Organisation) Fresh(ctx context.Context) error {
	for {
		if err := o.trusted(); err != nil {
			return err
		}
		at := time.Duration(o.fresh.at.Load())
		if at > 0 && time.Since(o.fresh.start)-at < freshFor {
			return nil
		}
		// One that others began is taken, and looked at again when it has ended:
		// this process may have been stopped meanwhile.
		if err := o.share(ctx, "compare", o.compare); err != nil {
			return err
		}
	}
}

// Current is [Organisation.Fresh] as of the call: for who would be refused for
// the lack of something that was made on another replica just now.
func (o *Organisation) Current(ctx context.Context) error {
	if !o.shared {
		return o.Fresh(ctx)
	}
	called := time.Since(o.fresh.start)
	for time.Duration(o.fresh.at.Load()) < called {
		if err := o.trusted(); err != nil {
			return err
		}
		if err := o.share(ctx, "compare", o.compare); err != nil {
			return err
		}
	}
	return nil
}

// share has a question to the leader answered once for all who ask it now. It
// outlives the caller that began it: others wait for it too.
func (o *Organisation) share(ctx context.Context, what string, ask func(context.Context) error) error {
	flight := o.fresh.flight.DoChan(what, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), freshFor)
		defer cancel()
		err := ask(ctx)
		o.fresh.lost.Store(err != nil)
		return nil, unavailable(err)
	})
	select {
	case r := <-flight:
		return r.Err
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// compare waits until everything is folded that the leader has.
func (o *Organisation) compare(ctx context.Context) error {
	begun := time.Since(o.fresh.start)
	last, err := o.journal.Last(ctx)
	if err == nil {
		err = o.control.Wait(ctx, last)
	}
	if err == nil {
		o.fresh.at.Store(int64(begun))
	}
	return err
}

// suspectAfter is how long the log may take for a write before the leader is
// asked whether it can take one at all, and how often then.
const suspectAfter = 250 * time.Millisecond

// whileReachable is ctx for a write to a log that other processes share. It
// ends, with the reason as its cause, one to two seconds after the log can no
// longer be written: whoever is cut off from the majority says so instead of
// letting everybody wait. While that is known, it is asked first, and everybody
// waits for the one answer. A log that is only slow answers, and is waited for.
func (o *Organisation) whileReachable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if !o.shared {
		return ctx, func() { cancel(nil) }
	}
	reach := func() {
		if err := o.share(ctx, "reach", o.journal.Reachable); err != nil {
			cancel(err)
		}
	}
	if o.fresh.lost.Load() {
		reach()
	}
	watch := time.AfterFunc(suspectAfter, func() {
		for ctx.Err() == nil {
			reach()
			pause(ctx, suspectAfter)
		}
	})
	return ctx, func() {
		watch.Stop()
		cancel(nil)
	}
}
