package streams_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// recorder is a reader that keeps what it got and can start behind, block and fail.
type recorder struct {
	mu      sync.Mutex
	from    uint64
	seqs    []uint64
	calls   int
	hold    holdBack
	failAt  uint64
	panicAt uint64
}

var errReader = errors.New("the reader's disk is full")

func (r *recorder) Applied() uint64 { return r.from }

func (r *recorder) Apply(cs []domain.Commit) error {
	r.hold.pass(cs)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	for _, c := range cs {
		switch c.Sequence {
		case r.failAt:
			return errReader
		case r.panicAt:
			panic("out of cheese")
		}
		r.seqs = append(r.seqs, c.Sequence)
	}
	return nil
}

func (r *recorder) got() (first, last uint64, n, calls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seqs) == 0 {
		return 0, 0, 0, r.calls
	}
	return r.seqs[0], r.seqs[len(r.seqs)-1], len(r.seqs), r.calls
}

// fill writes n control commits.
func fill(t testing.TB, j *streams.Journal, n int) {
	t.Helper()
	ctx := withTimeout(t)
	after := must[uint64](t)(j.LastControl(ctx))
	for range n {
		after = must[domain.Position](t)(j.Commit(ctx, after, meta, switched(true))).Sequence
	}
}

func TestEachReaderGetsWhatItHasNot(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx := withTimeout(t)
	fill(t, f.Journal, 500)
	behind, ahead, whole := &recorder{from: 100}, &recorder{from: 500}, &recorder{}
	behind.hold.shut()
	fl := must[*streams.Follower](t)(f.Journal.Follow(ctx, behind, ahead, whole))
	defer fl.Close()
	if fl.CaughtUp() {
		t.Error("caught up before a reader that is held back has anything")
	}
	fill(t, f.Journal, 1)
	until(t, "all waits for the reader that is held back", func() bool {
		_, last, _, _ := whole.got()
		return last == 501
	})
	behind.hold.open()
	ok(t, fl.Wait(ctx, 501))
	for _, tt := range []struct {
		name        string
		r           *recorder
		first, last uint64
	}{{"behind", behind, 101, 501}, {"ahead", ahead, 501, 501}, {"whole", whole, 1, 501}} {
		first, last, n, calls := tt.r.got()
		if first != tt.first || last != tt.last || n != int(tt.last-tt.first+1) {
			t.Errorf("%s got %d commits from %d to %d", tt.name, n, first, last)
		}
		// Only what waited is sure to come many at once; the others may keep pace.
		if tt.r == behind && calls > n/2 {
			t.Errorf("%s was called %d times for %d commits that waited", tt.name, calls, n)
		}
	}
	if !fl.CaughtUp() || fl.Err() != nil {
		t.Errorf("CaughtUp = %v, Err = %v", fl.CaughtUp(), fl.Err())
	}
}

func TestASlowReaderHoldsUpNoOther(t *testing.T) {
	f := streamstest.New(t, toys{})
	slow, fast := &recorder{}, newToy()
	slow.hold.shut()
	fl := must[*streams.Follower](t)(f.Journal.Follow(withTimeout(t), slow, fast))
	fill(t, f.Journal, 50)
	ok(t, fast.Wait(withTimeout(t), 50))
	slow.hold.open()
	ok(t, fl.Wait(withTimeout(t), 50))
	fl.Close()
}

func TestAReaderThatFailsStopsTheFollower(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    *recorder
		says string
	}{
		{"by an error", &recorder{failAt: 3}, errReader.Error()},
		{"by a panic", &recorder{panicAt: 3}, "out of cheese"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := streamstest.New(t, toys{})
			fill(t, f.Journal, 5)
			fl := must[*streams.Follower](t)(f.Journal.Follow(withTimeout(t), tt.r, newToy()))
			defer fl.Close()
			<-fl.Done()
			if err := fl.Err(); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Err = %v, want %q", err, tt.says)
			}
			if err := fl.Wait(withTimeout(t), 5); err == nil {
				t.Error("Wait returned without an error")
			}
			if _, last, _, _ := tt.r.got(); last != 2 {
				t.Errorf("the reader has commits up to %d, want 2", last)
			}
		})
	}
}

func TestACursorAheadOfTheLogIsFatal(t *testing.T) {
	f := streamstest.New(t, toys{})
	fill(t, f.Journal, 2)
	_, err := f.Journal.Follow(withTimeout(t), &recorder{from: 3})
	if err == nil || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("err = %v, want a refusal", err)
	}
}

func TestAClosedFollowerHasNoError(t *testing.T) {
	f := streamstest.New(t, toys{})
	r := &recorder{}
	fl := must[*streams.Follower](t)(f.Journal.Follow(withTimeout(t), r))
	fl.Close()
	fl.Close()
	if fl.Err() != nil {
		t.Errorf("Err = %v", fl.Err())
	}
	if err := fl.Wait(withTimeout(t), 1); !errors.Is(err, streams.ErrClosed) {
		t.Errorf("Wait = %v, want ErrClosed", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	again := must[*streams.Follower](t)(f.Journal.Follow(withTimeout(t), r))
	defer again.Close()
	if err := again.Wait(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v, want that the context ended", err)
	}
}

// Frames of 64 events, each as large as they come: a client that is sent more than it
// can hold loses some on the way and must not lose them from the fold.
func TestFullFramesAreReadAtSpeed(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx := withTimeout(t)
	w := follow(t, f.Journal)
	w.turn(t, true)
	each(t, 64, func(i int) error {
		for n := range 20 {
			if _, err := w.committer.Record(ctx, meta, issue(fmt.Sprintf("%d-%d-%s", i, n, strings.Repeat("x", 600)), "")); err != nil {
				return err
			}
		}
		return nil
	})
	events := 0
	for _, c := range streamstest.All(t, f.Journal) {
		events += len(c.Events)
	}
	if events != 64*20+1 {
		t.Errorf("read %d events, want %d", events, 64*20+1)
	}
}
