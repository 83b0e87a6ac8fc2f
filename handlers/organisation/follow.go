package organisation

import (
	"context"
	"errors"
	"sync"
	"time"

	"sallyport.dev/projections/trail"
	"sallyport.dev/streams"
)

// feeder keeps the two read models fed from the log. Once both are at its end
// they share one follower, which decodes each commit once. While the trail is
// behind (it was deleted, or set its damaged file aside) it is fed apart, so
// that tokens are issued and introspected while it is built again.
type feeder struct {
	stop    context.CancelFunc
	stopped chan struct{}

	mu  sync.Mutex
	err error // why the trail is fed no more
}

// feed starts the feeder; it returns once the control state is at the end of the log.
func (o *Organisation) feed(ctx context.Context) error {
	first, err := o.journal.Follow(ctx, o.control)
	if err != nil {
		return err
	}
	last, err := o.journal.Last(ctx)
	if err == nil {
		err = first.Wait(ctx, last)
	}
	if err != nil {
		first.Close()
		return err
	}
	run, stop := context.WithCancel(context.Background())
	f := &feeder{stop: stop, stopped: make(chan struct{})}
	o.feeder = f
	go func() {
		defer close(f.stopped)
		_ = o.keepFed(run, first) // ends with run alone
	}()
	return nil
}

// keepFed alternates between the two ways until ctx ends or a read model
// cannot go on. The control state is fed all the while: alone feeds it until
// both are fed together.
func (o *Organisation) keepFed(ctx context.Context, alone *streams.Follower) error {
	defer func() { alone.Close() }() // whichever it is then
	for {
		err := o.catchUp(ctx)
		if err == nil {
			// Between two followers nothing is lost: the next one begins behind
			// what was applied.
			alone.Close()
			err = o.together(ctx)
			if alone, err = o.followControl(ctx, alone, err); ctx.Err() != nil {
				return ctx.Err()
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, trail.ErrSetAside):
			o.log.Warn("the audit trail is built again from the log", "reason", err)
		case errors.Is(err, streams.ErrUnavailable):
			o.log.Warn("the log cannot be read to feed the audit trail; trying again", "error", err)
			pause(ctx)
		default:
			o.feeder.fail(err)
			o.log.Error("the audit trail cannot go on; it is repaired or deleted, and then built again at the next start", "error", err)
			<-ctx.Done()
			return ctx.Err()
		}
	}
}

// followControl feeds the control state alone again; was is why it is not fed together.
func (o *Organisation) followControl(ctx context.Context, old *streams.Follower, was error) (*streams.Follower, error) {
	for ctx.Err() == nil {
		f, err := o.journal.Follow(ctx, o.control)
		if err == nil {
			return f, was
		}
		o.log.Warn("the log cannot be followed; trying again", "error", err)
		pause(ctx)
	}
	return old, ctx.Err()
}

// pause waits a second before what failed is tried again.
func pause(ctx context.Context) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
}

// catchUp feeds the trail alone until it is at what was the end of the log.
func (o *Organisation) catchUp(ctx context.Context) error {
	last, err := o.journal.Last(ctx)
	if err != nil || o.trail.Applied() >= last {
		return err
	}
	f, err := o.journal.Follow(ctx, o.trail)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Wait(ctx, last); err != nil {
		return errors.Join(err, f.Err())
	}
	return nil
}

// together feeds both; it returns why it stopped.
func (o *Organisation) together(ctx context.Context) error {
	f, err := o.journal.Follow(ctx, o.control, o.trail)
	if err != nil {
		return err
	}
	defer f.Close()
	select {
	case <-f.Done():
		return f.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends feeding, and waits for it.
func (f *feeder) close() {
	f.stop()
	<-f.stopped
}

func (f *feeder) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// failed is why the trail is fed no more, nil while it is.
func (f *feeder) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
