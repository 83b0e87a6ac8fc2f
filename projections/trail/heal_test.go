package trail_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/projections/trail"
)

// history is a log long enough for its file to have many pages.
func history(n int) []domain.Commit {
	var cs []domain.Commit
	for seq := 1; seq <= n; seq++ {
		cs = append(cs, commit(uint64(seq), issued("github", "repo:acme/app"), denied("gitlab", "main", "release")))
	}
	return cs
}

// follow does what a follower of the log does: it applies what is behind
// Applied, again from the beginning when it is asked to.
func follow(t testing.TB, tr *trail.Trail, log []domain.Commit) {
	t.Helper()
	for range 3 {
		err := tr.Apply(log[tr.Applied():])
		if err == nil {
			return
		}
		if !errors.Is(err, trail.ErrSetAside) || tr.Applied() != 0 {
			t.Fatalf("got %v at %d", err, tr.Applied())
		}
	}
	t.Fatal("it is set aside again and again")
}

// damaged opens a trail that holds log, closed it, and was damaged since. It
// returns what was logged.
func damaged(t *testing.T, path string, log []domain.Commit, damage func([]byte) []byte) (*trail.Trail, *bytes.Buffer) {
	t.Helper()
	tr := open(t, path)
	apply(t, tr, log...)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, damage(b), 0o600); err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	tr, err = trail.Open(t.Context(), path, events.New(), slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	tr.Check()
	if err := tr.Checked(t.Context()); err != nil {
		t.Fatal(err)
	}
	return tr, &logged
}

func overwrite(from, n int) func([]byte) []byte {
	return func(b []byte) []byte {
		copy(b[from:], bytes.Repeat([]byte{0x5a}, n))
		return b
	}
}

func replace(old, by string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(by)) }
}

func TestACorruptFileIsSetAsideWhenOpened(t *testing.T) {
	log := history(200)
	for name, damage := range map[string]func([]byte) []byte{
		"its header is gone":            overwrite(0, 100),
		"its first page is gone":        overwrite(100, 3900),
		"a page in the middle is gone":  overwrite(20*4096, 4096),
		"many pages are gone":           overwrite(8*4096, 80*4096),
		"its second half is gone":       func(b []byte) []byte { return b[:len(b)/2/4096*4096] },
		"it ends within a page":         func(b []byte) []byte { return b[:len(b)-1000] },
		"it is text":                    func([]byte) []byte { return []byte(strings.Repeat("not a database\n", 1000)) },
		"a table has another name":      replace("TABLE slot", "TABLE slit"),
		"it is another program's":       func(b []byte) []byte { copy(b[60:72], make([]byte, 12)); return b },
		"it belongs to another program": func(b []byte) []byte { copy(b[68:72], "WHAT"); return b },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "trail.db")
			var before []byte
			tr, logged := damaged(t, path, log, func(b []byte) []byte {
				whole := bytes.Clone(b)
				if before = bytes.Clone(damage(b)); bytes.Equal(before, whole) {
					t.Fatal("nothing was damaged")
				}
				return before
			})
			if tr.Applied() != 0 {
				t.Fatalf("it opens at %d; the log says %s", tr.Applied(), logged)
			}
			if !strings.Contains(logged.String(), "audit trail is corrupt") {
				t.Errorf("the log says %q", logged)
			}
			if aside, err := os.ReadFile(path + ".corrupt"); err != nil || len(aside) < len(before)/2 {
				t.Errorf("set aside are %d bytes of %d, %v", len(aside), len(before), err)
			}
			follow(t, tr, log)
			if n, err := count(t.Context(), tr); n != 400 || err != nil {
				t.Errorf("got %d events, %v; want 400", n, err)
			}
		})
	}
}

// What only shows when it is read sets the file aside then: the reader is told
// to ask again, the follower to begin again.
func TestAFlippedBitIsNotShown(t *testing.T) {
	log := history(200)
	for name, damage := range map[string]func([]byte) []byte{
		"in an event":   replace(`"specversion":"1.0"`, `"specversion":"1.1"`),
		"in a sentence": replace("issued a token", "denied a token"),
		"in the data":   replace(`"skew_seconds":0`, `"skew_seconds":1`),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "trail.db")
			tr, logged := damaged(t, path, log, damage)
			if tr.Applied() != 200 {
				t.Fatalf("it opens at %d; the log says %s", tr.Applied(), logged)
			}
			_, err := count(t.Context(), tr)
			var e *domain.Error
			if !errors.As(err, &e) || e.Kind != domain.KindUnavailable {
				t.Fatalf("got %v, want unavailable", err)
			}
			if tr.Applied() != 0 || !strings.Contains(logged.String(), "audit trail is corrupt") {
				t.Errorf("it is at %d, the log says %q", tr.Applied(), logged)
			}
			if err := tr.Apply([]domain.Commit{commit(201, added("a", "owner"))}); !errors.Is(err, trail.ErrSetAside) {
				t.Fatalf("applying on: got %v, want %v", err, trail.ErrSetAside)
			}
			follow(t, tr, log)
			if n, err := count(t.Context(), tr); n != 400 || err != nil {
				t.Errorf("got %d events, %v; want 400", n, err)
			}
		})
	}
}

// Wherever garbage lands in the file, every question is answered with what
// happened, all of it, once whoever follows the log has done what it was asked to.
func TestGarbageAnywhereIsMended(t *testing.T) {
	log := history(60)
	step := 4 * 1531
	if os.Getenv("SALLYPORT_LONG") != "" { // make long
		step = 1531
	}
	for at, size := 0, 1; at < size; at += step {
		path := filepath.Join(t.TempDir(), "trail.db")
		tr, _ := damaged(t, path, log, func(b []byte) []byte {
			size = len(b)
			return overwrite(at, min(64, size-at))(b)
		})
		follow(t, tr, log)
		for q, want := range map[trail.Query]int{{}: 120, {Connection: "github"}: 60, {Q: "acme/app"}: 60, {Since: noon.Add(1)}: 120} {
			n, err := read(t, tr, q, log)
			if err != nil { // it was found just now
				follow(t, tr, log)
				n, err = read(t, tr, q, log)
			}
			if n != want || err != nil {
				t.Errorf("garbage at %d: %+v finds %d, %v; want %d", at, q, n, err, want)
			}
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// read counts what q finds, which has to be what log holds; its error is one for the caller.
func read(t *testing.T, tr *trail.Trail, q trail.Query, log []domain.Commit) (n int, err error) {
	t.Helper()
	for e, err := range tr.All(t.Context(), q) {
		if err != nil {
			if !errors.As(err, new(*domain.Error)) {
				t.Errorf("%+v: %v", q, err)
			}
			return n, err
		}
		stored, err := json.Marshal(log[e.Position.Sequence-1].Events[e.Position.Index])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(e.JSON, stored[:len(stored)-1]) {
			t.Errorf("%s is %s, not %s", e.Position, e.JSON, stored)
		}
		n++
	}
	return n, nil
}

func TestADeletedFileBeginsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trail.db")
	log := history(20)
	tr := open(t, path)
	apply(t, tr, log...)
	// Deleted under a running server, its write-ahead log left behind.
	wal, err := os.ReadFile(path + "-wal")
	if err != nil || len(wal) == 0 {
		t.Fatalf("the write-ahead log has %d bytes, %v", len(wal), err)
	}
	tr.Close()
	if err := errors.Join(os.Remove(path), os.WriteFile(path+"-wal", wal, 0o600)); err != nil {
		t.Fatal(err)
	}
	tr = open(t, path)
	if tr.Applied() != 0 {
		t.Fatalf("it opens at %d", tr.Applied())
	}
	follow(t, tr, log)
	if n, err := count(t.Context(), tr); n != 40 || err != nil {
		t.Errorf("got %d events, %v; want 40", n, err)
	}
}

func TestAnotherSchemaVersionIsFoldedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trail.db")
	log := history(20)
	tr, logged := damaged(t, path, log, func(b []byte) []byte {
		b[63]++ // the user version in SQLite's header
		return b
	})
	if tr.Applied() != 0 || !strings.Contains(logged.String(), "another form") {
		t.Fatalf("it opens at %d, the log says %q", tr.Applied(), logged)
	}
	if _, err := os.Stat(path + ".corrupt"); err == nil {
		t.Error("it was set aside as corrupt")
	}
	follow(t, tr, log)
}

func TestAReaderThatGivesUpDamagesNothing(t *testing.T) {
	tr := begin(t)
	apply(t, tr, history(500)...)
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := count(ctx, tr)
			done <- err
		}()
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if tr.Applied() != 500 {
		t.Errorf("it is at %d", tr.Applied())
	}
}

func TestNoFolderNoTrail(t *testing.T) {
	if _, err := trail.Open(t.Context(), filepath.Join(t.TempDir(), "no", "trail.db"), events.New(), quiet); err == nil {
		t.Error("it opens")
	}
}

func TestAnInjectionIsInert(t *testing.T) {
	tr := begin(t)
	log := history(20)
	apply(t, tr, log...)
	want := walk(t, tr, trail.Query{})
	for _, s := range []string{
		`'; DROP TABLE event; --`, `") OR 1=1 --`, `github" OR text:"a`, `a' UNION SELECT 1,2,3,4,5,6 --`, `NEAR(a b)`, `text : a`, `^acme`, `{text} : a`,
		"a\x00b", `{"a":1}`, `- NOT`, `AND`, `a*b*`, `(a`, `"`, `a""b`, "words", `%`, `_`, `\`,
	} {
		for _, q := range []trail.Query{{Actor: s}, {Connection: s}, {Workload: s}, {RequestID: s}} {
			if got := walk(t, tr, q); len(got) != 0 {
				t.Errorf("%+v finds %v", q, got)
			}
		}
		for _, q := range []trail.Query{{Q: s}, {Type: s}, {Outcome: s}, {Order: s}, {After: s}} {
			if _, err := tr.Query(t.Context(), q); err != nil && !errors.As(err, new(*domain.Error)) {
				t.Errorf("%+v: %v", q, err)
			}
		}
	}
	if diff := cmp.Diff(want, walk(t, tr, trail.Query{})); diff != "" {
		t.Errorf("the trail changed (-want +got):\n%s", diff)
	}
}
