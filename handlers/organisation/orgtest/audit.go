package orgtest

import (
	"context"
	"regexp"
	"slices"
	"sync"
	"time"

	"sallyport.dev/domain"
)

// collector is a reader of the log that keeps everything.
type collector struct {
	mu      sync.Mutex
	applied uint64
	events  []domain.Envelope
}

func (c *collector) Applied() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.applied
}

func (c *collector) Apply(commits []domain.Commit) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, commit := range commits {
		c.applied = commit.Sequence
		c.events = append(c.events, commit.Events...)
	}
	return nil
}

// Events replays the whole log, from its first event to its last as of now.
func (w *World) Events() []domain.Envelope {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	events, err := w.replay(ctx)
	if err != nil {
		w.t.Fatalf("replaying the log: %v", err)
	}
	return events
}

// Types are the types of the events after a position, in order.
func (w *World) Types(after domain.Position) (types []string) {
	w.t.Helper()
	for _, e := range w.Events() {
		if after.Less(e.Position) {
			types = append(types, e.Type)
		}
	}
	return types
}

// Last is the position of the newest event.
func (w *World) Last() domain.Position {
	w.t.Helper()
	events := w.Events()
	return events[len(events)-1].Position
}

// secret finds JWTs, API tokens and private keys in an event's data.
var secret = regexp.MustCompile(`eyJ[\w-]{10,}\.|sallyport_[\w-]{8}|PRIVATE KEY|"d":\s*"`)

// audit holds the log of every test to what is promised of every log: it
// decodes, each event names an actor, and none holds a secret.
func (w *World) audit() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	events, err := w.replay(ctx)
	if err != nil {
		w.t.Errorf("the log does not replay: %v", err)
		return
	}
	for _, e := range events {
		if e.Actor == "" {
			w.t.Errorf("%s at %s names no actor", e.Type, e.Position)
		}
		if found := secret.Find(e.Data); found != nil {
			w.t.Errorf("%s at %s holds what looks like a secret (%s): %s", e.Type, e.Position, found, e.Data)
		}
	}
	if !slices.IsSortedFunc(events, func(a, b domain.Envelope) int {
		if a.Position.Less(b.Position) {
			return -1
		}
		return 1
	}) {
		w.t.Error("the log is out of order")
	}
}

func (w *World) replay(ctx context.Context) ([]domain.Envelope, error) {
	all := &collector{}
	if err := w.Follow(ctx, all); err != nil {
		return nil, err
	}
	return all.events, nil
}
