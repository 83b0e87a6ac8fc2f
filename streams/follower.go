package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/domain"
)

// Reader is fed by a [Follower], from one goroutine. Apply gets commits in order,
// contiguous in sequence, all after Applied; many at once where many are
// waiting. It must not change them: other readers get the same. Applied is asked
// once, before the first Apply.
type Reader interface {
	Applied() uint64
	Apply([]domain.Commit) error
}

// Follower hands every commit of a log to its readers, each at its own pace, or
// stops: at a gap, at a commit that cannot be read, at a reader's error, at a
// log that ends before what a reader has. It never skips. Lost connections and
// lost leaders it outlives.
type Follower struct {
	j      *Journal
	read   func(jetstream.Msg, *jetstream.MsgMetadata) (domain.Commit, error)
	target uint64 // the end of the log when the follower started
	feeds  []*feed
	cancel context.CancelFunc
	done   chan struct{}

	mu    sync.Mutex
	err   error
	ended bool
	moved chan struct{} // closed and replaced whenever anything below or above changes
}

// feed is one reader, what waits for it, and how far it got. The follower's mutex guards it.
type feed struct {
	reader  Reader
	queue   []domain.Commit
	bytes   int    // of the commits in the queue, as stored
	queued  uint64 // last sequence put into the queue, or applied before the start
	applied uint64
}

// maxBacklog and maxBacklogBytes bound what waits for a slow reader: at either
// the log is not read on, for any reader. maxApply and maxApplyBytes bound one
// call of Apply. Bytes are as stored; decoded, a commit takes some four times that.
const (
	maxBacklog      = 1024
	maxBacklogBytes = 8 << 20
	maxApply        = 256
	maxApplyBytes   = 8 << 20
)

// Follow starts a follower behind the reader that has read least. ctx bounds the
// start alone; [Follower.Close] ends it.
func (j *Journal) Follow(ctx context.Context, readers ...Reader) (*Follower, error) {
	return j.follow(ctx, j.decode, readers)
}

// FollowStored is [Journal.Follow] for readers that keep or compare what is
// stored and do not ask what it means: of the events they get only Position and
// Stored are set. An event of a type that nobody knows does not stop it.
func (j *Journal) FollowStored(ctx context.Context, readers ...Reader) (*Follower, error) {
	return j.follow(ctx, j.split, readers)
}

func (j *Journal) follow(ctx context.Context, read func(jetstream.Msg, *jetstream.MsgMetadata) (domain.Commit, error), readers []Reader) (*Follower, error) {
	last, err := j.Last(ctx)
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.Background())
	f := &Follower{j: j, read: read, target: last, cancel: cancel, done: make(chan struct{}), moved: make(chan struct{})}
	from := last
	for _, r := range readers {
		at := r.Applied()
		if err := j.reaches(ctx, at); err != nil {
			cancel()
			return nil, fmt.Errorf("following the log of %s: %w", j.o.Org, err)
		}
		f.feeds = append(f.feeds, &feed{reader: r, queued: at, applied: at})
		from = min(from, at)
	}
	var running sync.WaitGroup
	running.Go(func() { f.stop(f.pump(run, from)) })
	for _, d := range f.feeds {
		running.Go(func() { f.stop(f.serve(run, d)) })
	}
	go func() {
		running.Wait()
		close(f.done)
	}()
	return f, nil
}

// Wait returns once every reader has applied the commit with that sequence; an
// error when ctx ends or the follower stops before.
func (f *Follower) Wait(ctx context.Context, seq uint64) error {
	for {
		f.mu.Lock()
		reached, ended, err, moved := f.reached(seq), f.ended, f.err, f.moved
		f.mu.Unlock()
		switch {
		case reached:
			return nil
		case err != nil:
			return fmt.Errorf("waiting for commit %d: %w", seq, err)
		case ended:
			return fmt.Errorf("waiting for commit %d: the follower is %w", seq, ErrClosed)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("waiting for commit %d: %w", seq, ctx.Err())
		}
	}
}

// CaughtUp tells whether every reader has reached what was the end of the log
// when the follower started, and the follower has not stopped.
func (f *Follower) CaughtUp() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.ended && f.reached(f.target)
}

// Err is why the follower stopped; nil while it runs and after Close.
func (f *Follower) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Done is closed when the follower has stopped and no reader is called any more.
func (f *Follower) Done() <-chan struct{} { return f.done }

// Close stops the follower and waits for its readers to return. It may be called more than once.
func (f *Follower) Close() {
	f.stop(nil)
	<-f.done
}

// pump reads the log, checks that it has no gap, decodes each commit once and queues it for every reader.
func (f *Follower) pump(ctx context.Context, last uint64) error {
	src := &source{j: f.j, next: last + 1}
	defer src.stop()
	for {
		m, meta, err := src.message(ctx)
		if err != nil {
			return err
		}
		seq := meta.Sequence.Stream
		if seq != last+1 {
			return f.j.gap(last+1, seq)
		}
		c, err := f.read(m, meta)
		if err != nil {
			return err
		}
		if err := f.queue(ctx, c); err != nil {
			return err
		}
		last = seq
	}
}

func (f *Follower) queue(ctx context.Context, c domain.Commit) error {
	for {
		f.mu.Lock()
		moved, full := f.moved, false
		for _, d := range f.feeds {
			full = full || len(d.queue) >= maxBacklog || d.bytes >= maxBacklogBytes
		}
		if !full {
			for _, d := range f.feeds {
				if c.Sequence > d.queued {
					d.queue, d.queued = append(d.queue, c), c.Sequence
					d.bytes += len(c.Body)
				}
			}
			f.announce()
			f.mu.Unlock()
			return nil
		}
		f.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serve hands one reader what waits for it.
func (f *Follower) serve(ctx context.Context, d *feed) error {
	for {
		f.mu.Lock()
		moved, batch := f.moved, d.take()
		f.mu.Unlock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(batch) == 0 {
			select {
			case <-moved:
			case <-ctx.Done():
			}
			continue
		}
		if err := apply(d.reader, batch); err != nil {
			return err
		}
		f.mu.Lock()
		d.applied = batch[len(batch)-1].Sequence
		f.announce()
		f.mu.Unlock()
	}
}

// take takes what one call of Apply gets out of the queue, nothing if it is
// empty. What is taken is not held by the queue any more, and so can be
// forgotten once it is applied. The caller holds the follower's mutex.
func (d *feed) take() []domain.Commit {
	n, size := 0, 0
	for n < len(d.queue) && n < maxApply && (n == 0 || size+len(d.queue[n].Body) <= maxApplyBytes) {
		size += len(d.queue[n].Body)
		n++
	}
	batch := slices.Clone(d.queue[:n])
	clear(d.queue[:n])
	d.queue, d.bytes = d.queue[n:], d.bytes-size
	return batch
}

// apply turns a reader's panic into an error: the reader stops, the process tells.
func apply(r Reader, batch []domain.Commit) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a reader panicked between commits %d and %d: %v", batch[0].Sequence, batch[len(batch)-1].Sequence, p)
		}
	}()
	return r.Apply(batch)
}

// stop ends the follower; the first reason stays.
func (f *Follower) stop(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.ended = true
		if err != nil && !errors.Is(err, context.Canceled) {
			f.err = err
			f.j.o.Log.Error("the log is no longer followed", "org", f.j.o.Org, "error", err)
		}
	}
	f.cancel()
	f.announce()
}

// reached tells whether every reader has the commit. The caller holds the mutex.
func (f *Follower) reached(seq uint64) bool {
	for _, d := range f.feeds {
		if d.applied < seq {
			return false
		}
	}
	return true
}

// announce wakes whoever waits for a change. The caller holds the mutex.
func (f *Follower) announce() {
	close(f.moved)
	f.moved = make(chan struct{})
}
