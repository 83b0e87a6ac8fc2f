package streams_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// Every case of an outcome that is not known, on one server and on three. The
// proxied world writes; the other sees what is in the log and writes in between.
func TestUnclearOutcomes(t *testing.T) {
	for _, servers := range []struct {
		name  string
		start func(t *testing.T) (urls [2]string)
	}{
		{"one server", func(t *testing.T) [2]string {
			s := must[*streams.Server](t)(streams.StartServer(withTimeout(t),
				streams.ServerOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", Log: streamstest.Log(t)}))
			t.Cleanup(s.Close)
			return [2]string{s.ClientURL(), s.ClientURL()}
		}},
		{"three servers", func(t *testing.T) [2]string {
			c := streamstest.StartCluster(t)
			return [2]string{c.Nodes[0].URL, c.Nodes[1].URL}
		}},
	} {
		t.Run(servers.name, func(t *testing.T) {
			t.Parallel()
			urls := servers.start(t)
			other := follow(t, streamstest.Open(t, streamstest.Dial(t, urls[1]), toys{}))
			w, p := behindProxy(t, urls[0])
			for _, tt := range unclearCases {
				t.Run(tt.name, func(t *testing.T) {
					defer p.heal() // A case that fails fails alone.
					tt.run(t, w, other, p)
				})
			}
		})
	}
}

var unclearCases = []struct {
	name string
	run  func(t *testing.T, w, other *world, p *proxy)
}{
	{"a control commit stored, its acknowledgement lost", func(t *testing.T, w, other *world, p *proxy) {
		lostAcknowledgement(t, w, other, p, w.control, nil)
	}},
	{"a control commit stored, its acknowledgement lost, and others after it", func(t *testing.T, w, other *world, p *proxy) {
		lostAcknowledgement(t, w, other, p, w.control, other.control)
	}},
	{"a token stored, its acknowledgement lost", func(t *testing.T, w, other *world, p *proxy) {
		lostAcknowledgement(t, w, other, p, w.token, nil)
	}},
	{"a token stored, its acknowledgement lost, and the fence moved after it", func(t *testing.T, w, other *world, p *proxy) {
		lostAcknowledgement(t, w, other, p, w.token, other.control)
	}},
	{"a spend stored, its acknowledgement lost", func(t *testing.T, w, other *world, p *proxy) {
		lostAcknowledgement(t, w, other, p, w.spend, nil)
	}},
	{"a spend stored, its acknowledgement lost, and other tokens after it", func(t *testing.T, w, other *world, p *proxy) {
		lostAcknowledgement(t, w, other, p, w.spend, other.token)
	}},
	{"a control commit never sent, and the fence moved", func(t *testing.T, w, other *world, p *proxy) {
		both(t, w, other)
		before := other.last(t)
		p.mute.Store(true)
		answer := start(t, w.control)
		p.awaitLoss(t)
		moved := must[domain.Position](t)(other.control(t.Context()))
		p.heal()
		if r := <-answer; !errors.Is(r.err, streams.ErrConflict) {
			t.Errorf("%v, %v, want a conflict", r.at, r.err)
		}
		if got := other.last(t); got != before+1 || moved.Sequence != got {
			t.Errorf("the log went from %d to %d, want the other's commit alone", before, got)
		}
	}},
	{"given up by its caller", func(t *testing.T, w, other *world, p *proxy) {
		both(t, w, other)
		want := other.last(t) + 1
		p.deaf.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		answer := startIn(ctx, w.control)
		ok(t, other.state.Wait(withTimeout(t), want))
		cancel()
		if r := <-answer; !errors.Is(r.err, streams.ErrUnclear) {
			t.Errorf("%v, %v, want unclear", r.at, r.err)
		}
		p.heal()
	}},
	{"the log unreachable, and back", func(t *testing.T, w, other *world, p *proxy) {
		both(t, w, other)
		before := other.last(t)
		p.cut()
		begin := time.Now()
		for _, write := range []func(context.Context) (domain.Position, error){w.control, w.token} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			at, err := write(ctx)
			cancel()
			// What was sent in the very moment of the cut may have arrived.
			if !errors.Is(err, streams.ErrUnavailable) && !errors.Is(err, streams.ErrUnclear) {
				t.Errorf("%v, %v, want that the log is unavailable", at, err)
			}
		}
		if took := time.Since(begin); took > 12*time.Second {
			t.Errorf("it took %v to be told", took)
		}
		p.heal()
		both(t, w, other)
		after := must[domain.Position](t)(w.token(withTimeout(t)))
		if after.Sequence <= before {
			t.Errorf("the log is at %v after %d", after, before)
		}
	}},
}

// lostAcknowledgement writes while the client is deaf, waits until the commit is
// in the log, has something else written after it, and lets the client hear again: it
// must come to know its own commit, which is there once.
func lostAcknowledgement(t *testing.T, w, other *world, p *proxy, write, after func(context.Context) (domain.Position, error)) {
	t.Helper()
	both(t, w, other)
	want := other.last(t) + 1
	p.deaf.Store(true)
	answer := start(t, write)
	ok(t, other.state.Wait(withTimeout(t), want))
	extra := uint64(0)
	if after != nil {
		must[domain.Position](t)(after(withTimeout(t)))
		extra = 1
	}
	p.heal()
	if r := <-answer; r.err != nil || r.at.Sequence != want {
		t.Errorf("%v, %v, want sequence %d", r.at, r.err, want)
	}
	if got := other.last(t); got != want+extra {
		t.Errorf("the log ends at %d, want %d", got, want+extra)
	}
}

// both has two worlds fold the same, switched on.
func both(t testing.TB, w, other *world) {
	t.Helper()
	at := other.turn(t, true)
	ok(t, w.state.Wait(withTimeout(t), at))
}

func (w *world) last(t testing.TB) uint64 {
	t.Helper()
	return must[uint64](t)(w.journal.Last(withTimeout(t)))
}

func (w *world) control(ctx context.Context) (domain.Position, error) {
	return w.journal.Commit(ctx, w.state.at().Control, meta, switched(true))
}

func (w *world) token(ctx context.Context) (domain.Position, error) {
	return w.committer.Record(ctx, meta, issue("token", ""))
}

// spend spends a key that nobody has spent.
func (w *world) spend(ctx context.Context) (domain.Position, error) {
	return w.committer.Record(ctx, meta, issue("token", time.Now().String()))
}

func start(t testing.TB, write func(context.Context) (domain.Position, error)) <-chan result {
	return startIn(withTimeout(t), write)
}

func startIn(ctx context.Context, write func(context.Context) (domain.Position, error)) <-chan result {
	answer := make(chan result, 1)
	go func() {
		at, err := write(ctx)
		answer <- result{at, err}
	}()
	return answer
}
