package streams_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// until asks again and again until it is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// A disk that is full refuses writes at once and hides nothing that was stored;
// once there is room the same journal goes on, behind what was acknowledged.
func TestAFullDiskIsWaitedFor(t *testing.T) {
	if !streamstest.Alone(t) {
		return
	}
	f := streamstest.New(t, toys{})
	w := follow(t, f.Journal)
	ok(t, switchOn(t.Context(), f.Journal, w.state))
	acked := map[string]uint64{}
	issueOne := func(name string) error {
		at, err := w.committer.Record(t.Context(), meta, issue(name, ""))
		if err == nil {
			acked[name] = at.Sequence
		}
		return err
	}
	for _, name := range []string{"a", "b", "c"} {
		ok(t, issueOne(name))
	}
	block := must[os.FileInfo](t)(os.Stat(filepath.Join(f.Dir, "nats", "jetstream", "$G", "streams", "ORG_default", "msgs", "1.blk")))
	lift := streamstest.NoFileBeyond(t, block.Size()+64)
	err := issueOne("full")
	if !errors.Is(err, streams.ErrUnclear) {
		t.Fatalf("the write that met the full disk was answered %v, want unclear", err)
	}
	until(t, "the server says so", func() bool { return f.Server.Err() != nil })
	begun := time.Now()
	if err := issueOne("later"); !errors.Is(err, streams.ErrUnavailable) {
		t.Errorf("a write on a full disk was answered %v, want unavailable", err)
	}
	if _, err := f.Journal.Commit(t.Context(), w.state.at().Control, meta, switched(true)); !errors.Is(err, streams.ErrUnavailable) {
		t.Errorf("a commit on a full disk was answered %v, want unavailable", err)
	}
	if last := must[uint64](t)(f.Journal.Last(t.Context())); last < acked["c"] || time.Since(begun) > 30*time.Second {
		t.Errorf("the log reads up to %d, and took %s", last, time.Since(begun))
	}
	lift()
	until(t, "it is written again", func() bool { return issueOne("after") == nil })
	select {
	case <-f.Server.Failed():
		t.Error("a full disk was taken for a lost one")
	default:
	}
	there := map[string]uint64{}
	for _, c := range streamstest.All(t, f.Journal) {
		for _, e := range c.Events {
			if e, is := e.Event.(wasIssued); is {
				there[e.Name] = c.Sequence
			}
		}
	}
	for name, at := range acked {
		if there[name] != at {
			t.Errorf("%s was acknowledged at %d and is at %d", name, at, there[name])
		}
	}
	if _, stored := there["later"]; stored {
		t.Error("what was refused was stored")
	}
}

// A server does not start on a disk that takes no writes.
func TestADiskThatTakesNoWritesIsRefused(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(dir, "mode"), []byte("standalone\n"), 0o600))
	ok(t, os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600))
	ok(t, os.Mkdir(filepath.Join(dir, "try"), 0o700)) // no file can be made there
	s, err := streams.StartServer(withTimeout(t), streams.ServerOptions{Dir: dir, Log: streamstest.Log(t)})
	if err == nil {
		s.Close()
		t.Fatal("it started")
	}
	var d *domain.Error
	if errors.As(err, &d) {
		t.Errorf("the operator's error is a caller's: %v", err)
	}
}
