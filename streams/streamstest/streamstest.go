// Package streamstest gives tests a real journal of their own: one server in
// the test's process ([New]), or three that replicate ([NewCluster]). What ends up
// in the log is audited when the test ends.
package streamstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
)

// Org and Source are the organisation of every fixture and its issuer.
const (
	Org    = domain.Name("default")
	Source = "http://127.0.0.1/orgs/default"
)

// Within bounds every wait of a fixture; nothing in it takes as long.
const Within = 30 * time.Second

// Fixture is a server, a connection and a journal, in a folder of the test.
type Fixture struct {
	Dir     string
	Server  *streams.Server
	Conn    *streams.Conn
	Journal *streams.Journal

	codec     streams.Codec
	secrets   []string
	abandoned bool
}

// New starts a journal that ends with the test, after every event in it was
// decoded by codec and found to name an actor and to hold no [Fixture.Secret].
func New(t testing.TB, codec streams.Codec) *Fixture {
	t.Helper()
	f := &Fixture{Dir: t.TempDir(), codec: codec}
	f.open(t)
	t.Cleanup(func() {
		f.Close()
		if f.abandoned {
			return
		}
		f.open(t)
		defer f.Close()
		f.audit(t)
	})
	return f
}

// Secret names something that must never be in the log.
func (f *Fixture) Secret(s ...string) { f.secrets = append(f.secrets, s...) }

// Abandon leaves out the audit, for a test that damages the log.
func (f *Fixture) Abandon() { f.abandoned = true }

// Close ends journal, connection and server; [Fixture.Restart] brings them back.
func (f *Fixture) Close() {
	f.Conn.Close()
	f.Server.Close()
}

// Restart ends everything and opens it again on the same folder.
func (f *Fixture) Restart(t testing.TB) {
	t.Helper()
	f.Close()
	f.open(t)
}

func (f *Fixture) open(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	var err error
	if f.Server, err = streams.StartServer(ctx, streams.ServerOptions{Dir: f.Dir, Log: Log(t)}); err != nil {
		t.Fatal(err)
	}
	if f.Conn, err = f.Server.Connect(); err != nil {
		t.Fatal(err)
	}
	if f.Journal, err = streams.Open(ctx, f.Conn, Options(t, f.codec)); err != nil {
		t.Fatal(err)
	}
}

// Options are those of every fixture's journal.
func Options(t testing.TB, codec streams.Codec) streams.Options {
	return streams.Options{Org: Org, Source: Source, Codec: codec, Log: Log(t)}
}

// Log shows warnings and errors in the test's output.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (f *Fixture) audit(t testing.TB) {
	t.Helper()
	for _, c := range All(t, f.Journal) {
		for _, e := range c.Events {
			b, err := json.Marshal(e)
			if err != nil {
				t.Errorf("audit: %s at %s: %v", e.Type, e.Position, err)
			}
			if e.Actor == "" || e.Event == nil {
				t.Errorf("audit: %s at %s names no actor or was not decoded", e.Type, e.Position)
			}
			for _, s := range f.secrets {
				if bytes.Contains(b, []byte(s)) {
					t.Errorf("audit: %s at %s holds a secret", e.Type, e.Position)
				}
			}
		}
	}
}

// All reads a whole log by a follower, as every reader does.
func All(t testing.TB, j *streams.Journal) []domain.Commit {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	last, err := j.Last(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var r collector
	f, err := j.Follow(ctx, &r)
	if err != nil {
		t.Fatal(err)
	}
	err = f.Wait(ctx, last)
	f.Close()
	if err := errors.Join(err, f.Err()); err != nil {
		t.Fatalf("reading the log: %v", err)
	}
	return r
}

type collector []domain.Commit

func (c *collector) Applied() uint64 { return 0 }
func (c *collector) Apply(cs []domain.Commit) error {
	*c = append(*c, cs...)
	return nil
}
