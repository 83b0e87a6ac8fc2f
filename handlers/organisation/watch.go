package organisation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/projections/control"
	"sallyport.dev/streams"
	"sallyport.dev/streams/seal"
)

// The log is checked, not trusted: against what the store must say of it, and
// against what was sealed of it outside the store.
const (
	// checkEvery is how often the leader is asked for the state and the configuration.
	checkEvery = 10 * time.Second
	// heldEvents is how many of the newest sealed events are read back before
	// anything is written or issued; the rest is read in the background.
	heldEvents = 100_000
	// scrubEvery is how long it takes to read the whole sealed log back, again and
	// again. A short log is read more often: scrubPause lies between two readings
	// at least, and scrubRate events are read in a second at least.
	scrubEvery = time.Hour
	scrubPause = time.Minute
	scrubRate  = 200
	// firstRate is how many events are read in a second at most when the log is
	// read back for the first time after a start.
	firstRate = 20_000
)

// guard is everything that checks and seals the log beside the service.
type guard struct {
	stop    context.CancelFunc
	running sync.WaitGroup
	held    chan error // what came of reading the newest events back
}

// recheck begins to read the newest sealed events back.
func (o *Organisation) recheck(ctx context.Context) {
	o.guard.held = make(chan error, 1)
	go func() { o.guard.held <- o.checkSealed(ctx) }()
}

// checkSealed holds the log, before anything is written to it, against the newest
// checkpoint: first the last commit that it covers, then the newest events.
func (o *Organisation) checkSealed(ctx context.Context) error {
	if o.sealer.dir == "" || o.sealer.newest.Size == 0 {
		return nil
	}
	last := o.sealer.newest.Sequence
	if err := o.journal.Scan(ctx, last, func(c domain.Commit) (bool, error) {
		return false, seal.HoldsLast(o.sealer.dir, o.name.String(), c)
	}); err != nil {
		return fmt.Errorf("reading back commit %d: %w", last, err)
	}
	begun := time.Now()
	n, err := o.readBack(ctx, heldEvents, 0)
	if err == nil {
		o.log.Info("the newest sealed events are as they were sealed", "events", n, "checkpoint", last, "took", time.Since(begun).Round(time.Millisecond))
	}
	return err
}

// readBack reads the sealed log back, or the part with the newest events, and
// holds it against the seal, with a pause after each event on average.
func (o *Organisation) readBack(ctx context.Context, tail uint64, each time.Duration) (events int, err error) {
	c, err := seal.Compare(o.sealer.dir, o.name.String(), tail)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if c.Done() {
		return 0, nil
	}
	p := pacer{each: each}
	err = o.journal.Scan(ctx, c.Next(), func(got domain.Commit) (bool, error) {
		if err := c.Commit(got); err != nil {
			return false, err
		}
		events += len(got.Events)
		p.wait(ctx, len(got.Events))
		return !c.Done(), ctx.Err()
	})
	return events, err
}

// pacer spreads work: it waits now and then, rather than a little each time.
type pacer struct{ each, owed time.Duration }

const paceStep = 20 * time.Millisecond

func (p *pacer) wait(ctx context.Context, events int) {
	if p.owed += p.each * time.Duration(events); p.owed >= paceStep {
		pause(ctx, p.owed)
		p.owed = 0
	}
}

// startGuard seals the log from now on and checks it until the organisation is closed.
func (o *Organisation) startGuard(ctx context.Context) error {
	if o.sealer.dir == "" {
		return nil
	}
	k, signer, err := o.ensureCheckpointKey(ctx)
	if err != nil {
		return err
	}
	// The name is the verifier's, for good.
	origin, _, _ := strings.Cut(k.Verifier, "+")
	if o.sealer.newest.Size == 0 {
		o.log.Info("the log is sealed from its first commit on", "folder", o.sealer.dir, "origin", origin)
	}
	open := func() (*seal.Log, error) {
		return seal.Open(seal.Options{Dir: o.sealer.dir, Origin: origin, Signer: signer, Log: o.log, Now: o.now})
	}
	l, err := open()
	if domain.Damaged(err) != nil || neverReadable(err) { // a full disk, on the other hand, is waited for
		return err
	}
	run, stop := context.WithCancel(context.Background())
	o.guard.stop = stop
	o.guard.running.Go(func() { o.keepSealed(run, l, err, open) })
	o.guard.running.Go(func() { o.watch(run) })
	o.guard.running.Go(func() { o.scrub(run) })
	return nil
}

// neverReadable tells that a file of the seal cannot be read, and will not be by waiting.
func neverReadable(err error) bool {
	_, is := errors.AsType[*seal.UnreadableError](err)
	return is && !slices.ContainsFunc([]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EMFILE, syscall.ENFILE},
		func(passing error) bool { return errors.Is(err, passing) })
}

// keepSealed seals until ctx ends. What cannot be written is tried again; what
// is wrong with the log itself halts. l is open, unless err says why it is not.
func (o *Organisation) keepSealed(ctx context.Context, l *seal.Log, err error, open func() (*seal.Log, error)) {
	for wait := firstWait; ; l, err = open() {
		if err == nil {
			err = o.seal(ctx, l, func() { wait = firstWait })
		}
		if ctx.Err() != nil {
			return
		}
		o.sealer.fail(err)
		if d := domain.Damaged(err); d != nil && d.Check != "seal" {
			o.Halt(err)
			return
		}
		o.log.Error("the log is not sealed; trying again", "error", err, "in", wait)
		if pause(ctx, wait); ctx.Err() != nil {
			return
		}
		wait = min(2*wait, longestWait)
	}
}

// seal feeds l until ctx ends or it does not go on, and closes it; level is
// called once it has sealed what there was at first. When ctx ends, what was
// acknowledged by then is sealed, if that takes no longer than stopWithin.
func (o *Organisation) seal(ctx context.Context, l *seal.Log, level func()) (err error) {
	o.sealer.set(l)
	defer func() {
		err = errors.Join(err, l.Close())
		o.sealer.set(nil)
	}()
	late, cancel := outliving(ctx, stopWithin)
	defer cancel()
	f, err := o.journal.FollowStored(late, l)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := o.sealAll(late, f, l); err != nil {
		return errors.Join(err, f.Err(), l.Err())
	}
	level()
	select {
	case <-f.Done():
		return f.Err()
	case <-l.Failed():
		return l.Err()
	case <-ctx.Done():
		return o.sealAll(late, f, l)
	}
}

// stopWithin bounds how long stopping waits for what is not sealed yet.
const stopWithin = 2 * time.Second

// outliving is a context that ends some time after another one.
func outliving(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		pause(late, by)
		cancel()
	})
	return late, func() {
		stop()
		cancel()
	}
}

// sealAll seals what is in the log by now.
func (o *Organisation) sealAll(ctx context.Context, f *streams.Follower, l *seal.Log) error {
	last, err := o.journal.Last(ctx)
	if err == nil {
		err = f.Wait(ctx, last)
	}
	if err == nil {
		err = l.Checkpoint()
	}
	if err == nil && last > 0 {
		err = o.sealer.setMark()
	}
	if err == nil {
		o.sealer.fail(nil)
	}
	return err
}

// watch asks the leader, again and again, whether the log is what it must be.
func (o *Organisation) watch(ctx context.Context) {
	tick := time.NewTicker(o.every.State)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := o.CheckLog(ctx); domain.Damaged(err) != nil {
			o.Halt(err)
			return
		}
	}
}

// CheckLog asks the leader now whether the log is what it must be, and reaches as
// far as this process has seen it reach. It halts nothing: a *[domain.Damage]
// tells what is wrong, another error that it could not be asked.
func (o *Organisation) CheckLog(ctx context.Context) error {
	reached := o.Sealed().Checkpoint.Sequence
	o.control.Read(func(_ *control.State, h domain.Head) { reached = max(reached, h.Stream) })
	return o.journal.Check(ctx, reached)
}

// scrub reads the sealed log back, again and again, and the seal with it.
func (o *Organisation) scrub(ctx context.Context) {
	each := time.Second / firstRate
	for ctx.Err() == nil {
		begun := time.Now()
		n, err := o.readBack(ctx, 0, each)
		if err == nil {
			err = o.verifySeal(ctx)
		}
		switch d := domain.Damaged(err); {
		case ctx.Err() != nil:
			return
		case d != nil && d.Check == "seal":
			o.log.Error("the seal of the log is damaged", "error", err)
			o.sealer.spoil(err)
		case d != nil:
			o.Halt(err)
			return
		case neverReadable(err):
			o.log.Error("the seal of the log cannot be read", "error", err)
			o.sealer.spoil(err)
		case err != nil:
			o.log.Warn("the log could not be read back; trying again", "error", err)
		default:
			o.sealer.spoil(nil)
			o.log.Debug("the sealed log is as it was sealed", "events", n, "took", time.Since(begun).Round(time.Millisecond))
		}
		pause(ctx, o.every.Pause-time.Since(begun))
		each = min(time.Second/scrubRate, o.every.Scrub/time.Duration(max(n, 1)))
	}
}

// verifySeal checks the second copy of the log.
func (o *Organisation) verifySeal(ctx context.Context) error {
	p := pacer{each: 50 * time.Microsecond}
	var was uint64
	_, err := seal.Reread(o.sealer.dir, func(done, _ uint64) {
		p.wait(ctx, int(done-was))
		was = done
	})
	return err
}

// Intervals are how often the log is checked.
type Intervals struct {
	State time.Duration // between two looks at the store's state and configuration; 0: 10 s
	Scrub time.Duration // for reading the whole sealed log back, again and again; 0: an hour
	Pause time.Duration // between two such readings at least; 0: a minute
}

func (i Intervals) withDefaults() Intervals {
	return Intervals{cmp.Or(i.State, checkEvery), cmp.Or(i.Scrub, scrubEvery), cmp.Or(i.Pause, scrubPause)}
}

// close stops sealing and checking; what is acknowledged is sealed first, if it can be.
func (g *guard) close() {
	if g.stop != nil {
		g.stop()
		g.running.Wait()
	}
}
