package streams

import (
	"context"
	"errors"

	"sallyport.dev/domain"
)

// Reader is fed by a [Follower]. Apply gets commits in order, contiguous in
// sequence, all after Applied; many at once where many are waiting.
type Reader interface {
	Applied() uint64
	Apply([]domain.Commit) error
}

// Follower hands every commit of a log to its readers, or stops.
type Follower struct{}

// Follow starts a follower at the reader that is furthest behind.
func (j *Journal) Follow(ctx context.Context, readers ...Reader) (*Follower, error) {
	return nil, errors.ErrUnsupported
}

// Wait returns once every reader has applied the commit with that sequence.
func (f *Follower) Wait(ctx context.Context, seq uint64) error { return errors.ErrUnsupported }

// CaughtUp tells whether every reader has reached what was the end of the log when the follower started.
func (f *Follower) CaughtUp() bool { return false }

// Err is why the follower stopped, nil while it runs.
func (f *Follower) Err() error { return nil }

// Done is closed when the follower has stopped.
func (f *Follower) Done() <-chan struct{} { return nil }

// Close stops the follower and waits for its readers to return.
func (f *Follower) Close() {}
