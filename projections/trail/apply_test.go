package trail_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/projections/trail"
)

type unknown struct{}

func (unknown) EventType() string { return "never.heard" }

func TestApply(t *testing.T) {
	tr := begin(t)
	one, two, three := commit(1, added("a", "owner")), commit(2, added("b", "owner"), added("c", "owner")), commit(3, added("d", "owner"))
	apply(t, tr, one, two)
	apply(t, tr, one, two) // what is there is passed over
	apply(t, tr, two, three)
	apply(t, tr)
	if got := walk(t, tr, trail.Query{}); strings.Join(got, " ") != "1.0 2.0 2.1 3.0" || tr.Applied() != 3 {
		t.Fatalf("got %v at %d, want each event once", got, tr.Applied())
	}
	for name, bad := range map[string][]domain.Commit{
		"a gap before the first":   {commit(5, added("e", "owner"))},
		"a gap between":            {commit(4, added("e", "owner")), commit(6, added("f", "owner"))},
		"a type nobody knows":      {commit(4, happened{event: unknown{}, subject: "x", actor: "owner"})},
		"a commit without events":  {commit(4)},
		"an event nobody decoded":  {{Sequence: 4, Events: []domain.Envelope{{Type: "person.added"}}}},
		"a known and a bad commit": {commit(4, added("e", "owner")), commit(5, happened{event: unknown{}})},
	} {
		if err := tr.Apply(bad); err == nil || errors.Is(err, trail.ErrSetAside) {
			t.Errorf("%s: got %v, want an error", name, err)
		}
		if tr.Applied() != 3 || query(t, tr, trail.Query{}).Last.Sequence != 3 {
			t.Errorf("%s: left the trail at %d", name, tr.Applied())
		}
	}
	apply(t, tr, commit(4, added("e", "owner"))) // and it goes on
}

func TestWait(t *testing.T) {
	tr := begin(t)
	done := make(chan error)
	go func() { done <- tr.Wait(t.Context(), 2) }()
	apply(t, tr, commit(1, added("a", "owner")))
	select {
	case err := <-done:
		t.Fatalf("the wait for 2 ended at 1: %v", err)
	default:
	}
	apply(t, tr, commit(2, added("b", "owner")))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- tr.Wait(ctx, 3) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	go func() { done <- tr.Wait(t.Context(), 3) }()
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, trail.ErrClosed) {
		t.Errorf("got %v, want %v", err, trail.ErrClosed)
	}
	if _, err := tr.Query(t.Context(), trail.Query{}); !errors.Is(err, trail.ErrClosed) {
		t.Errorf("a query of a closed trail: got %v, want %v", err, trail.ErrClosed)
	}
}

func TestSubscription(t *testing.T) {
	tr := begin(t)
	apply(t, tr, commit(1, issued("github", "a"), issued("gitlab", "b")), commit(2, issued("github", "c")))
	q := trail.Query{Connection: "github", Limit: 1}
	sub, err := tr.Subscribe(q)
	if err != nil {
		t.Fatal(err)
	}
	next := func(want string) {
		t.Helper()
		es, err := sub.Next(t.Context())
		if err != nil || len(es) != 1 || es[0].Position.String() != want {
			t.Fatalf("got %v, %v; want %s", positions(es), err, want)
		}
	}
	next("1.0")
	next("2.0")
	deadline, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := sub.Next(deadline); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the deadline by which a heartbeat is due", err)
	}
	go func() {
		tr.Apply([]domain.Commit{commit(3, issued("gitlab", "d")), commit(4, issued("gitlab", "e"), issued("github", "f"))})
	}()
	next("4.1")

	q.After = trail.EncodeCursor(q, domain.Position{Sequence: 2})
	if sub, err = tr.Subscribe(q); err != nil {
		t.Fatal(err)
	}
	next("4.1")
	q = trail.Query{Order: trail.Descending}
	if _, err := tr.Subscribe(q); err == nil {
		t.Error("a stream backwards in time was not refused")
	}
	ended := make(chan error)
	go func() {
		_, err := sub.Next(t.Context())
		ended <- err
	}()
	tr.Close()
	if err := <-ended; !errors.Is(err, trail.ErrClosed) {
		t.Errorf("got %v, want %v", err, trail.ErrClosed)
	}
}

// Subscribers of different speed, and readers, beside a writer: each sees every event once.
func TestManyReadersBesideAWriter(t *testing.T) {
	const commits = 300
	tr := begin(t)
	done := make(chan error)
	for i := range 8 {
		go func() {
			sub, err := tr.Subscribe(trail.Query{Limit: 1 + i*10, Connection: "github"})
			if err != nil {
				done <- err
				return
			}
			at := domain.Position{}
			for at.Sequence < commits {
				es, err := sub.Next(t.Context())
				if err != nil {
					done <- err
					return
				}
				for _, e := range es {
					if e.Position.Sequence != at.Sequence+1 {
						done <- errors.New(e.Position.String() + " came after " + at.String())
						return
					}
					at = e.Position
				}
			}
			done <- nil
		}()
	}
	for seq := uint64(1); seq <= commits; seq++ {
		apply(t, tr, commit(seq, issued("github", "a"), issued("gitlab", "b")))
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestTheFileIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trail.db")
	apply(t, open(t, path), commit(1, added("a", "owner")))
	for _, part := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + part)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", part, info.Mode().Perm())
		}
	}
}
