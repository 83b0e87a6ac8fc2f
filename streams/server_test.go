package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

func TestASecondProcessIsRefusedAndToldTheFirst(t *testing.T) {
	f := streamstest.New(t, toys{})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"=open", childDir+"="+f.Dir)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("a second process opened the data directory")
	}
	want := fmt.Sprintf("the data directory %s is in use by process %d", f.Dir, os.Getpid())
	if !strings.Contains(string(out), want) {
		t.Errorf("the second process said %q, want %q", out, want)
	}
	f.Close()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"=open", childDir+"="+f.Dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("after the first has ended the second is refused: %v: %s", err, out)
	}
	f.Restart(t)
}

// Root restores into the directory of another user, who must not have it write elsewhere.
func TestALockThatLeadsElsewhereIsNotFollowed(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "precious")
	if err := errors.Join(os.WriteFile(elsewhere, []byte("precious"), 0o600), os.Symlink(elsewhere, filepath.Join(dir, "lock"))); err != nil {
		t.Fatal(err)
	}
	if l, err := streams.LockDir(dir); err == nil {
		l.Close()
		t.Error("it was taken")
	}
	if b, err := os.ReadFile(elsewhere); string(b) != "precious" {
		t.Errorf("what the link leads to is now %q, %v", b, err)
	}
}

func TestEveryCommitIsSyncedToDisk(t *testing.T) {
	f := streamstest.New(t, toys{})
	// The default would be a part of what was free when the server started: a
	// disk that was enlarged since, or freed, would not be used.
	if max := streams.MaxStore(f.Server); max < 1<<50 {
		t.Errorf("logs may take %d bytes, want as much as the disk has", max)
	}
	if !streams.SyncsAlways(f.Server) {
		t.Error("the server acknowledges what is not on disk")
	}
}

func TestADirectoryNotWrittenStandaloneIsRefused(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(dir, "mode"), []byte("clustered\n"), 0o600))
	_, err := streams.StartServer(withTimeout(t), streams.ServerOptions{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "not written standalone") {
		t.Errorf("err = %v, want a refusal", err)
	}
}

func TestAClusterIsNotUsedOverAStandaloneLog(t *testing.T) {
	f := streamstest.New(t, toys{})
	_, err := streams.Dial(withTimeout(t), streams.DialOptions{URL: "nats://127.0.0.1:1", Dir: f.Dir})
	if err == nil || !strings.Contains(err.Error(), "written standalone") {
		t.Errorf("err = %v, want a refusal", err)
	}
}

func TestOnlyWeGetIn(t *testing.T) {
	s := must[*streams.Server](t)(streams.StartServer(withTimeout(t),
		streams.ServerOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", Log: streamstest.Log(t)}))
	defer s.Close()
	addr := s.ClientURL()[strings.LastIndex(s.ClientURL(), "@")+1:]
	for _, url := range []string{"nats://" + addr, "nats://sallyport:guess@" + addr, "nats://sallyport:@" + addr} {
		if nc, err := nats.Connect(url); err == nil {
			nc.Close()
			t.Errorf("%s was let in", url)
		}
	}
	c := must[*streams.Conn](t)(streams.Dial(withTimeout(t), streams.DialOptions{URL: s.ClientURL()}))
	c.Close()
}

func TestWithoutListenThereIsNoListener(t *testing.T) {
	f := streamstest.New(t, toys{})
	if got := f.Server.ClientURL(); got != "" {
		t.Errorf("ClientURL = %q, want none", got)
	}
}

// Nothing but its clients' port is open, and that one only where it was asked for:
// no monitoring, no profiling, no routes.
func TestNothingElseListens(t *testing.T) {
	for _, listen := range []string{"", "127.0.0.1:0"} {
		s := must[*streams.Server](t)(streams.StartServer(withTimeout(t),
			streams.ServerOptions{Dir: t.TempDir(), Listen: listen, Log: streamstest.Log(t)}))
		if open := streams.Listeners(s); len(open) > 0 {
			t.Errorf("with listen %q it also listens at %v", listen, open)
		}
		s.Close()
	}
}

func TestADriftedConfigurationIsRefusedAndNamed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*nats.StreamConfig)
		fields []string
	}{
		{"a limit on messages", func(c *nats.StreamConfig) { c.MaxMsgs = 10 }, []string{"max_msgs is 10"}},
		{"an age", func(c *nats.StreamConfig) { c.MaxAge = time.Hour }, []string{"max_age"}},
		{"old commits discarded", func(c *nats.StreamConfig) { c.Discard = nats.DiscardOld }, []string{"discard"}},
		{"direct reads, and a short window", func(c *nats.StreamConfig) { c.AllowDirect, c.Duplicates = true, time.Second },
			[]string{"allow_direct", "duplicate_window"}},
		{"one more subject", func(c *nats.StreamConfig) { c.Subjects = append(c.Subjects, "org.default.other") }, []string{"subjects"}},
		{"republished", func(c *nats.StreamConfig) { c.RePublish = &nats.RePublish{Source: ">", Destination: "leak.>"} }, []string{"republish"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := streamstest.New(t, toys{})
			js := must[nats.JetStreamContext](t)(streams.RawConn(f.Conn).JetStream())
			info := must[*nats.StreamInfo](t)(js.StreamInfo("ORG_default"))
			before := info.Config
			tt.change(&info.Config)
			must[*nats.StreamInfo](t)(js.UpdateStream(&info.Config))
			_, err := streams.Open(withTimeout(t), f.Conn, streamstest.Options(t, toys{}))
			for _, field := range tt.fields {
				if err == nil || !strings.Contains(err.Error(), "drifted") || !strings.Contains(err.Error(), field) {
					t.Errorf("err = %v, want one that names %s", err, field)
				}
			}
			must[*nats.StreamInfo](t)(js.UpdateStream(&before))
			must[*streams.Journal](t)(streams.Open(withTimeout(t), f.Conn, streamstest.Options(t, toys{})))
		})
	}
}

// A log that was made with protections switched off cannot be repaired by an update, and is refused.
func TestALogMadeByOthersIsRefused(t *testing.T) {
	s := must[*streams.Server](t)(streams.StartServer(withTimeout(t), streams.ServerOptions{Dir: t.TempDir(), Log: streamstest.Log(t)}))
	defer s.Close()
	c := must[*streams.Conn](t)(s.Connect())
	defer c.Close()
	js := must[nats.JetStreamContext](t)(streams.RawConn(c).JetStream())
	must[*nats.StreamInfo](t)(js.AddStream(&nats.StreamConfig{Name: "ORG_default",
		Subjects: []string{"org.default.control", "org.default.activity"}, Discard: nats.DiscardNew}))
	_, err := streams.Open(withTimeout(t), c, streamstest.Options(t, toys{}))
	for _, field := range []string{"deny_delete is unset", "deny_purge is unset"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("err = %v, want one that says %s", err, field)
		}
	}
}

func TestALogWithAHoleIsRefused(t *testing.T) {
	f := streamstest.New(t, toys{})
	ctx := withTimeout(t)
	w := follow(t, f.Journal)
	for range 12 {
		w.turn(t, true)
	}
	w.close()
	js := must[nats.JetStreamContext](t)(streams.RawConn(f.Conn).JetStream())
	info := must[*nats.StreamInfo](t)(js.StreamInfo("ORG_default"))
	before := info.Config
	info.Config.MaxMsgs, info.Config.Discard = 5, nats.DiscardOld // deny_delete does not stop this
	must[*nats.StreamInfo](t)(js.UpdateStream(&info.Config))
	must[*nats.StreamInfo](t)(js.UpdateStream(&before))
	_, err := streams.Open(ctx, f.Conn, streamstest.Options(t, toys{}))
	if err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("err = %v, want that it is damaged", err)
	}

	if _, err := f.Journal.ReplayControl(ctx, func([]domain.Commit) error { return nil }); err == nil || !strings.Contains(err.Error(), "was stored after 7") {
		t.Errorf("the replay ended with %v, want that a control commit is missing", err)
	}
	s := newToy()
	reader := must[*streams.Follower](t)(f.Journal.Follow(ctx, s))
	defer reader.Close()
	<-reader.Done()
	if err := reader.Err(); err == nil || !strings.Contains(err.Error(), "gap") {
		t.Errorf("a follower stopped with %v, want a gap", err)
	}
	f.Abandon()
}

func TestUnreachableServerIsToldWithinBound(t *testing.T) {
	start := time.Now()
	_, err := streams.Dial(withTimeout(t), streams.DialOptions{URL: "nats://127.0.0.1:1"})
	if err == nil || time.Since(start) > 10*time.Second {
		t.Errorf("Dial = %v after %v", err, time.Since(start))
	}
}

// What the server says goes to slog, and none of it is an error in plain use.
func TestServerLogsToSlog(t *testing.T) {
	var lines jsonLines
	ctx, cancel := context.WithTimeout(context.Background(), streamstest.Within)
	defer cancel()
	s := must[*streams.Server](t)(streams.StartServer(ctx, streams.ServerOptions{Dir: t.TempDir(),
		Log: slog.New(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))}))
	c := must[*streams.Conn](t)(s.Connect())
	must[*streams.Journal](t)(streams.Open(ctx, c, streams.Options{Org: "a", Source: "s", Codec: toys{}}))
	c.Close()
	s.Close()
	said := lines.all(t)
	if len(said) == 0 {
		t.Error("the server said nothing")
	}
	for _, l := range said {
		if l["level"] != "DEBUG" {
			t.Errorf("the server said %v", l)
		}
	}
}

// A broken event type in the log is for the operator to see, not to skip.
func TestUnknownTypeStopsTheFollower(t *testing.T) {
	f := streamstest.New(t, toys{})
	w := follow(t, f.Journal)
	w.turn(t, true)
	body, _ := json.Marshal([]domain.Envelope{{ID: "1", Type: "toy.exploded", Source: "s", Actor: "a", CommitID: "c", Time: meta.Now, Data: []byte("{}")}})
	js := must[nats.JetStreamContext](t)(streams.RawConn(f.Conn).JetStream())
	must[*nats.PubAck](t)(js.Publish("org.default.activity", body))
	<-w.follower.Done()
	if err := w.follower.Err(); err == nil || !strings.Contains(err.Error(), "toy.exploded at 2.0") {
		t.Errorf("Err = %v, want one that names the type and its position", err)
	}
	if w.follower.CaughtUp() {
		t.Error("a stopped follower says it is caught up")
	}
	if err := w.follower.Wait(withTimeout(t), 2); err == nil {
		t.Error("Wait for what cannot be read returned without an error")
	}
	if _, err := f.Journal.ReplayControl(withTimeout(t), func([]domain.Commit) error { return nil }); err != nil {
		t.Errorf("the control commits cannot be replayed: %v", err)
	}
	f.Abandon()
}
