package streams

import (
	"context"
	"errors"

	"sallyport.dev/domain"
)

// State is what decisions are made on: a fold of the log that tells how far it got.
type State[S any] interface {
	// Read calls f with the state and its head; both stand still until f returns.
	Read(f func(S, domain.Head))
	// Wait returns once the commit with that sequence is folded.
	Wait(ctx context.Context, seq uint64) error
}

// Decision is made under [State.Read] and may be called again on a newer state.
// An error is answered to the caller and nothing is recorded. singleUse says
// that the facts spend something that may be spent once.
type Decision[S any] func(s S) (facts []domain.Fact, singleUse bool, err error)

// CommitterOptions bounds a [Committer].
type CommitterOptions struct {
	Queue int // decisions that may wait; 0: 1024
}

// Committer records decisions about activity, many to a commit.
type Committer[S any] struct{}

// NewCommitter starts the committer of one organisation in this process. There is to be one alone.
func NewCommitter[S any](j *Journal, st State[S], o CommitterOptions) *Committer[S] {
	return &Committer[S]{}
}

// Record has d decided and its facts recorded, fenced on the control position it was decided at.
func (c *Committer[S]) Record(ctx context.Context, m domain.Meta, d Decision[S]) (domain.Position, error) {
	return domain.Position{}, errors.ErrUnsupported
}

// Close stops the committer: what waits is answered with [ErrUnavailable].
func (c *Committer[S]) Close() {}
