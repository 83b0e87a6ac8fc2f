package streams_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// hostage is a world that is on, and whose committer stands still in a decision
// until it is let go, so that a test can fill the queue behind it.
func hostage(t testing.TB, o streams.CommitterOptions) (w *world, f *streamstest.Fixture, letGo func()) {
	t.Helper()
	f = streamstest.New(t, toys{})
	w = &world{journal: f.Journal, state: newToy()}
	w.follower = must[*streams.Follower](t)(f.Journal.Follow(withTimeout(t), w.state))
	w.turn(t, true)
	w.committer = streams.NewCommitter(f.Journal, w.state, o)
	t.Cleanup(w.close)
	inside, gate := make(chan struct{}), make(chan struct{})
	go w.committer.Record(context.Background(), meta, func(*toy) ([]domain.Fact, string, error) {
		close(inside)
		<-gate
		return nil, "", nil
	})
	<-inside
	return w, f, func() { close(gate) }
}

// queued records behind the hostage, one after the other, and returns how to get the answers.
func (w *world) queued(t testing.TB, ctx context.Context, ds ...streams.Decision[*toy]) func() []result {
	t.Helper()
	answers := make([]chan result, len(ds))
	for i, d := range ds {
		answers[i] = make(chan result, 1)
		before := w.committer.Waiting()
		go func() {
			at, err := w.committer.Record(ctx, meta, d)
			answers[i] <- result{at, err}
		}()
		for w.committer.Waiting() == before {
			runtime.Gosched() // the goroutine has not put it into the queue yet
		}
	}
	return func() (out []result) {
		for _, a := range answers {
			out = append(out, <-a)
		}
		return out
	}
}

type result struct {
	at  domain.Position
	err error
}

func TestWhatWaitsGoesIntoOneCommit(t *testing.T) {
	w, f, letGo := hostage(t, streams.CommitterOptions{})
	var ds []streams.Decision[*toy]
	for i := range 70 {
		ds = append(ds, issue(fmt.Sprint(i), ""))
	}
	answers := w.queued(t, t.Context(), ds...)
	letGo()
	for i, r := range answers() {
		want := domain.Position{Sequence: 2, Index: i}
		if i >= 64 {
			want = domain.Position{Sequence: 3, Index: i - 64}
		}
		if r.err != nil || r.at != want {
			t.Errorf("decision %d: %v, %v, want %v", i, r.at, r.err, want)
		}
	}
	for _, c := range streamstest.All(t, f.Journal)[1:] {
		for i, e := range c.Events {
			if e.Event.(wasIssued).Name != fmt.Sprint(int(c.Sequence-2)*64+i) {
				t.Errorf("event at %s is %v", e.Position, e.Event)
			}
		}
	}
}

func TestACommitHasAtMost64KiB(t *testing.T) {
	w, f, letGo := hostage(t, streams.CommitterOptions{})
	var ds []streams.Decision[*toy]
	for range 10 {
		ds = append(ds, issue(strings.Repeat("x", 7_000), ""))
	}
	answers := w.queued(t, t.Context(), ds...)
	letGo()
	for _, r := range answers() {
		ok(t, r.err)
	}
	all := streamstest.All(t, f.Journal)[1:]
	for _, c := range all {
		if n := len(rawMessage(t, f, c.Sequence).Data); n > 64<<10+2 {
			t.Errorf("commit %d has %d bytes", c.Sequence, n)
		}
	}
	if len(all) != 3 || len(all[0].Events) != 4 {
		t.Errorf("%d commits, the first of %d events; want 3, of 4 events", len(all), len(all[0].Events))
	}
}

func TestOneBadDecisionHarmsNoOther(t *testing.T) {
	w, f, letGo := hostage(t, streams.CommitterOptions{})
	refusal := errors.New("no")
	answers := w.queued(t, t.Context(),
		issue("first", ""),
		func(*toy) ([]domain.Fact, string, error) { panic("at the disco") },
		func(*toy) ([]domain.Fact, string, error) { return issued("refused"), "", refusal },
		func(*toy) ([]domain.Fact, string, error) { return nil, "", nil },
		issue(strings.Repeat("x", domain.MaxEventBytes), ""),
		issue("last", ""),
	)
	letGo()
	got := answers()
	for i, want := range map[int]domain.Position{0: {Sequence: 2}, 3: {}, 5: {Sequence: 2, Index: 1}} {
		if got[i].err != nil || got[i].at != want {
			t.Errorf("decision %d: %v, %v, want %v", i, got[i].at, got[i].err, want)
		}
	}
	if err := got[1].err; err == nil || !strings.Contains(err.Error(), "at the disco") {
		t.Errorf("the panic was answered with %v", err)
	}
	if !errors.Is(got[2].err, refusal) {
		t.Errorf("the refusal was answered with %v", got[2].err)
	}
	var de *domain.Error
	if !errors.As(got[4].err, &de) || de.Kind != domain.KindInvalid {
		t.Errorf("the large event was answered with %v", got[4].err)
	}
	if all := streamstest.All(t, f.Journal); len(all) != 2 || len(all[1].Events) != 2 {
		t.Errorf("the log has %+v", all)
	}
}

func TestADecisionWhoseCallerLeftIsDropped(t *testing.T) {
	w, f, letGo := hostage(t, streams.CommitterOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	left := w.queued(t, ctx, issue("left", ""))
	stays := w.queued(t, t.Context(), issue("stays", ""))
	cancel()
	if err := left()[0].err; !errors.Is(err, streams.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("the caller who left was told %v", err)
	}
	letGo()
	ok(t, stays()[0].err)
	if all := streamstest.All(t, f.Journal); len(all) != 2 || len(all[1].Events) != 1 {
		t.Errorf("the log has %+v", all)
	}
}

func TestAFullQueueIsToldAtOnce(t *testing.T) {
	w, _, letGo := hostage(t, streams.CommitterOptions{Queue: 2})
	answers := w.queued(t, t.Context(), issue("a", ""), issue("b", ""))
	if _, err := w.committer.Record(t.Context(), meta, issue("c", "")); !errors.Is(err, streams.ErrFull) {
		t.Errorf("err = %v, want ErrFull", err)
	}
	letGo()
	for _, r := range answers() {
		ok(t, r.err)
	}
	must[domain.Position](t)(w.committer.Record(t.Context(), meta, issue("c", "")))
}

func TestAClosedCommitterStoresNothing(t *testing.T) {
	w, f, letGo := hostage(t, streams.CommitterOptions{})
	answers := w.queued(t, t.Context(), issue("waits", ""))
	done := make(chan struct{})
	go func() {
		w.committer.Close()
		close(done)
	}()
	for !w.committer.Closing() {
		runtime.Gosched() // Close has not been heard yet
	}
	letGo()
	<-done
	if err := answers()[0].err; !errors.Is(err, streams.ErrUnavailable) {
		t.Errorf("what waited was told %v", err)
	}
	if _, err := w.committer.Record(t.Context(), meta, issue("late", "")); !errors.Is(err, streams.ErrUnavailable) {
		t.Errorf("what came late was told %v", err)
	}
	if n := len(streamstest.All(t, f.Journal)); n != 1 {
		t.Errorf("the log has %d commits, want 1", n)
	}
}

// Both are decided on the state before the first; only one may be in it.
func TestTwoOfOneCommitDoNotSpendTheSame(t *testing.T) {
	w, f, letGo := hostage(t, streams.CommitterOptions{})
	answers := w.queued(t, t.Context(), issue("a", "key"), issue("b", "key"), issue("c", "other"), issue("d", ""), issue("e", "key"))
	letGo()
	got := answers()
	for i, spent := range []bool{false, true, false, false, true} {
		if errors.Is(got[i].err, errSpent) != spent || !spent && (got[i].err != nil || got[i].at.Sequence != 2) {
			t.Errorf("decision %d: %v, %v", i, got[i].at, got[i].err)
		}
	}
	if all := streamstest.All(t, f.Journal); len(all) != 2 || len(all[1].Events) != 3 {
		t.Errorf("the log has %+v, want three tokens in one commit", all)
	}
}

func TestASpendSeesOurOwnLastCommit(t *testing.T) {
	f := streamstest.New(t, toys{})
	hold := &holdBack{}
	w := followHeld(t, f.Journal, hold)
	w.turn(t, true)
	must[domain.Position](t)(w.committer.Record(t.Context(), meta, issue("a", "key")))
	ok(t, w.state.Wait(t.Context(), 2))
	hold.shut()
	must[domain.Position](t)(w.committer.Record(t.Context(), meta, issue("plain", ""))) // needs no fold
	var second atomic.Bool
	answer := make(chan error)
	go func() {
		_, err := w.committer.Record(context.Background(), meta, func(s *toy) ([]domain.Fact, string, error) {
			second.Store(true)
			return issue("b", "key2")(s)
		})
		answer <- err
	}()
	for !second.Load() {
		runtime.Gosched() // it has not been decided on the old state yet
	}
	hold.open()
	ok(t, <-answer)
}

// A decision made before another process switched off is made again, and refused.
func TestADecisionOnOldStateIsMadeAgain(t *testing.T) {
	f := streamstest.New(t, toys{})
	hold := &holdBack{}
	late := followHeld(t, f.Journal, hold)
	other := follow(t, f.Journal)
	late.turn(t, true)
	ok(t, other.state.Wait(t.Context(), 1))
	hold.shut()
	other.turn(t, false)
	var decided atomic.Int32
	answer := make(chan error)
	go func() {
		_, err := late.committer.Record(context.Background(), meta, func(s *toy) ([]domain.Fact, string, error) {
			decided.Add(1)
			return issue("late", "")(s)
		})
		answer <- err
	}()
	for decided.Load() == 0 {
		runtime.Gosched() // not decided on the old state yet
	}
	hold.open()
	if err := <-answer; !errors.Is(err, errOff) || decided.Load() < 2 {
		t.Errorf("err = %v after %d decisions, want off after two", err, decided.Load())
	}
	if n := len(streamstest.All(t, f.Journal)); n != 2 {
		t.Errorf("the log has %d commits, want the two switches", n)
	}
}
