package organisation

import (
	"context"
	"errors"
	"sync"
	"time"

	"sallyport.dev/streams"
)

// failingFor is how long a write that the log refused keeps readiness red. It
// passes by itself: a replica that nobody sends work to has no write to prove
// itself by.
const failingFor = 10 * time.Second

// writes remembers whether the log takes what it is given: one that can be read
// and not written, as on a full disk, issues nothing.
type writes struct {
	mu  sync.Mutex
	err error
	at  time.Time
}

// note takes in the outcome of a write.
func (w *writes) note(err error) {
	down := errors.Is(err, streams.ErrUnavailable) || errors.Is(err, streams.ErrUnclear)
	if err != nil && (!down || errors.Is(err, context.Canceled)) {
		return // refused by a rule, or moved, or its caller left: the log is well
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err, w.at = err, time.Now()
}

// failing is why the newest write failed, if that was a moment ago.
func (w *writes) failing() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.at) > failingFor {
		return nil
	}
	return w.err
}
