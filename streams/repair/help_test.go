package repair_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/blocks"
	"sallyport.dev/streams/repair"
	"sallyport.dev/streams/seal"
	"sallyport.dev/streams/streamstest"
)

type said struct{ Words string }

func (said) EventType() string { return "toy.said" }

type codec struct{}

func (codec) Encode(e domain.Event) (json.RawMessage, error) { return json.Marshal(e) }
func (codec) Decode(_ string, b json.RawMessage) (domain.Event, error) {
	var e said
	return e, json.Unmarshal(b, &e)
}

var meta = domain.Meta{Actor: domain.Actor{ID: "tess"}, Now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}

// How many commits a log of these tests has, and how many of them are sealed.
const (
	commits = 45
	sealed  = 40
)

// How often an event of these tests says its words: once for a log of one block,
// often for one of three, of which the first two are compressed.
const (
	once  = 60
	often = 9000
)

// newLog makes a data directory with a log, its first 40 commits sealed, and
// returns every commit as it was stored.
func newLog(t testing.TB, words int) (repair.Data, []domain.Commit) {
	t.Helper()
	d := repair.Data{Dir: t.TempDir()}
	s, j := open(t, d)
	defer s()
	for i := range commits {
		commit(t, j, uint64(i), words)
	}
	all := streamstest.All(t, j)
	sealUpTo(t, d, all, sealed)
	return d, all
}

func commit(t testing.TB, j *streams.Journal, after uint64, words int) {
	t.Helper()
	facts := make([]domain.Fact, 10)
	for i := range facts {
		facts[i] = domain.Fact{Event: said{strings.Repeat(fmt.Sprintf("%d.%d ", after, i), words)}}
	}
	if _, err := j.Commit(t.Context(), after, meta, facts); err != nil {
		t.Fatal(err)
	}
}

// open opens the log of a data directory.
func open(t testing.TB, d repair.Data) (func(), *streams.Journal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := streams.StartServer(ctx, streams.ServerOptions{Dir: d.Dir, Log: streamstest.Log(t)})
	ok(t, err)
	c, err := s.Connect()
	ok(t, err)
	j, err := streams.Open(ctx, c, streams.Options{Org: streamstest.Org, Source: streamstest.Source, Codec: codec{}})
	ok(t, err)
	return func() {
		c.Close()
		s.Close()
	}, j
}

func sealUpTo(t testing.TB, d repair.Data, all []domain.Commit, last uint64) {
	t.Helper()
	l, err := seal.Open(seal.Options{
		Dir: d.Target("default").Seal, Origin: "sallyport.example/orgs/default",
		Signer: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), SegmentBytes: 4 << 20,
	})
	ok(t, err)
	for _, c := range all {
		if c.Sequence > l.Applied() && c.Sequence <= last {
			ok(t, l.Apply([]domain.Commit{c}))
		}
	}
	ok(t, l.Close())
}

// holds fails unless the log has exactly the first n of those commits, byte for
// byte, at their sequences; and goes on.
func holds(t testing.TB, d repair.Data, want []domain.Commit, n int) {
	t.Helper()
	stop, j := open(t, d)
	defer stop()
	got := streamstest.All(t, j)
	if len(got) != n {
		t.Fatalf("the log has %d commits, want %d", len(got), n)
	}
	for i, c := range got {
		w := want[i]
		if c.Sequence != w.Sequence || string(c.Body) != string(w.Body) || c.Subject != w.Subject || !c.StoredAt.Equal(w.StoredAt) || fmt.Sprint(c.Header) != fmt.Sprint(w.Header) {
			t.Fatalf("commit %d is another one: %d bytes at %s with %v, want %d at %s with %v",
				w.Sequence, len(c.Body), c.StoredAt, c.Header, len(w.Body), w.StoredAt, w.Header)
		}
	}
	commit(t, j, uint64(n), once)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func copyData(t testing.TB, from repair.Data) repair.Data {
	t.Helper()
	to := repair.Data{Dir: filepath.Join(t.TempDir(), "data")}
	ok(t, os.CopyFS(to.Dir, os.DirFS(from.Dir)))
	return to
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func edit(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	ok(t, err)
	ok(t, os.WriteFile(path, change(b), 0o600))
}

// rewrite writes the blocks of a log again, with every record as change makes it: as
// somebody would who knows the checksums.
func rewrite(t testing.TB, s blocks.Stream, change func(*blocks.Record)) {
	t.Helper()
	fresh := filepath.Join(t.TempDir(), "fresh")
	w, err := blocks.NewWriter(fresh, s.Name())
	ok(t, err)
	_, err = s.Scan(blocks.Options{}, func(r blocks.Record) error {
		r.Body = slices.Clone(r.Body)
		change(&r)
		return w.Append(r)
	})
	ok(t, err)
	ok(t, w.Close())
	ok(t, os.RemoveAll(filepath.Join(s.Dir, "msgs")))
	ok(t, os.Rename(filepath.Join(fresh, "msgs"), filepath.Join(s.Dir, "msgs")))
}
