package streams

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// ids makes the ULIDs of one journal in this process, each greater than the one
// before, whatever the clock does. An id is a name and never a secret.
type ids struct {
	mu      *sync.Mutex
	entropy *ulid.MonotonicEntropy
	last    *uint64 // milliseconds of the newest id
}

func newIDs() ids {
	return ids{mu: new(sync.Mutex), entropy: ulid.Monotonic(rand.Reader, 0), last: new(uint64)}
}

func (g ids) next() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	*g.last = max(*g.last, ulid.Timestamp(time.Now()))
	id, err := ulid.New(*g.last, g.entropy)
	for err != nil { // this millisecond has no greater id: take the next one's
		*g.last++
		id, err = ulid.New(*g.last, g.entropy)
	}
	return id.String()
}
