package organisation

import (
	"context"
	"errors"
	"sync"
	"time"

	"sallyport.dev/domain"
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
	opened  chan struct{} // closed once the organisation is open: what is folded for the trail before only delays that

	mu  sync.Mutex
	err error // why the trail does not go on
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
	f := &feeder{stop: stop, stopped: make(chan struct{}), opened: make(chan struct{})}
	o.feeder = f
	go func() {
		defer close(f.stopped)
		select {
		case <-f.opened:
		case <-run.Done():
		}
		_ = o.keepFed(run, first) // ends with run alone
	}()
	return nil
}

// keepFed alternates between the two ways until ctx ends. The control state is
// fed all the while: alone feeds it until both are fed together.
func (o *Organisation) keepFed(ctx context.Context, alone *streams.Follower) error {
	defer func() { alone.Close() }() // whichever it is then
	for wait := firstWait; ; {
		err := o.catchUp(ctx)
		if err == nil {
			o.feeder.fail(nil)
			wait = firstWait
			// Between two followers nothing is lost: the next one begins behind
			// what was applied.
			alone.Close()
			err = o.together(ctx)
			if alone, err = o.followControl(ctx, alone, err); ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := o.distrusted(err); err != nil {
			return err
		}
		if errors.Is(err, trail.ErrSetAside) {
			o.log.Warn("the audit trail is built again from the log", "reason", err)
			continue
		}
		// A full disk is freed and a lost connection comes back; what cannot be
		// read fails again. Until it goes on, readiness is red.
		o.feeder.fail(err)
		o.log.Error("the audit trail does not go on; trying again", "error", err, "in", wait)
		pause(ctx, wait)
		wait = min(2*wait, longestWait)
	}
}

// distrusted halts where a follower stopped because of the log itself, and
// returns why: a gap, a commit that cannot be read or does not follow from what
// is, a log that ends before what was read of it; or an event that only a newer
// version knows.
func (o *Organisation) distrusted(err error) error {
	why := o.impossible(err)
	if domain.Damaged(why) == nil && !errors.Is(why, domain.ErrNewer) {
		why = nil
	}
	if why != nil {
		o.feeder.fail(why)
		o.Halt(why)
	}
	return why
}

// impossible is err, or, where it comes from an event that cannot have followed
// from what was before it, the damage that this is: whoever wrote that was not Sallyport.
func (o *Organisation) impossible(err error) error {
	why := o.control.Err()
	if why == nil || domain.Damaged(err) != nil || errors.Is(err, domain.ErrNewer) {
		return err
	}
	return &domain.Damage{Log: o.name.String(), Check: "fold", Found: "there is an event that cannot have happened", Err: why}
}

// How long a trail that does not go on is left alone before it is tried again:
// a second at first, doubling.
const (
	firstWait   = time.Second
	longestWait = 30 * time.Second
)

// followControl feeds the control state alone again; was is why it is not fed together.
func (o *Organisation) followControl(ctx context.Context, old *streams.Follower, was error) (*streams.Follower, error) {
	for ctx.Err() == nil {
		f, err := o.journal.Follow(ctx, o.control)
		if err == nil {
			return f, was
		}
		if err := o.distrusted(err); err != nil {
			return old, err
		}
		o.log.Warn("the log cannot be followed; trying again", "error", err)
		pause(ctx, firstWait)
	}
	return old, ctx.Err()
}

// pause lets time pass before what failed is tried again.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
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
	case <-o.trail.Replaced():
		return trail.ErrSetAside // it would be told with the next commit, whenever that is
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

// failed is why the trail does not go on, nil while it does.
func (f *feeder) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
