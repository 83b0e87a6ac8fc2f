package streams_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// world is one process of ours: a fold of the log and a committer on it.
type world struct {
	journal   *streams.Journal
	state     *toy
	follower  *streams.Follower
	committer *streams.Committer[*toy]
}

func follow(t testing.TB, j *streams.Journal) *world { return followHeld(t, j, nil) }

// followHeld is a world whose fold can be held back.
func followHeld(t testing.TB, j *streams.Journal, hold *holdBack) *world {
	t.Helper()
	w := &world{journal: j, state: newToy()}
	if hold != nil {
		w.state.hold = hold.pass
	}
	w.follower = must[*streams.Follower](t)(j.Follow(withTimeout(t), w.state))
	w.committer = streams.NewCommitter(j, w.state, streams.CommitterOptions{})
	t.Cleanup(w.close)
	return w
}

func (w *world) close() {
	w.committer.Close()
	w.follower.Close()
}

// turn switches on or off, as a command would: decided on the state, again after a
// conflict. It returns the sequence once this process has folded it.
func (w *world) turn(t testing.TB, on bool) uint64 {
	t.Helper()
	ctx := withTimeout(t)
	for {
		at, err := w.journal.Commit(ctx, w.state.at().Control, meta, switched(on))
		if errors.Is(err, streams.ErrConflict) {
			ok(t, w.state.Wait(ctx, must[uint64](t)(w.journal.LastControl(ctx))))
			continue
		}
		ok(t, err)
		ok(t, w.state.Wait(ctx, at.Sequence))
		return at.Sequence
	}
}

// each runs f n times at once and reports what failed.
func each(t testing.TB, n int, f func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// rawMessage reads a message as any NATS client would.
func rawMessage(t testing.TB, f *streamstest.Fixture, seq uint64) *nats.RawStreamMsg {
	t.Helper()
	js := must[nats.JetStreamContext](t)(streams.RawConn(f.Conn).JetStream())
	return must[*nats.RawStreamMsg](t)(js.GetMsg("ORG_"+string(streamstest.Org), seq))
}
