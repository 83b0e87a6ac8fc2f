package streams_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// uncompressed makes the log as versions before compression made it.
func uncompressed(t testing.TB, js nats.JetStreamContext) {
	t.Helper()
	info := must[*nats.StreamInfo](t)(js.StreamInfo("ORG_default"))
	info.Config.Compression = nats.NoCompression
	must[*nats.StreamInfo](t)(js.UpdateStream(&info.Config))
}

func compression(t testing.TB, js nats.JetStreamContext) nats.StoreCompression {
	t.Helper()
	return must[*nats.StreamInfo](t)(js.StreamInfo("ORG_default")).Config.Compression
}

// A log that was made before there was compression has it from the next start
// on: full blocks are compressed, those of before stay, and all of it reads back.
func TestALogOfBeforeIsCompressedFromNowOn(t *testing.T) {
	f := streamstest.New(t, toys{})
	js := must[nats.JetStreamContext](t)(streams.RawConn(f.Conn).JetStream())
	uncompressed(t, js)
	f.Restart(t) // it was opened as it was, and is asked to be compressed
	js = must[nats.JetStreamContext](t)(streams.RawConn(f.Conn).JetStream())
	if got := compression(t, js); got != nats.S2Compression {
		t.Fatalf("compression is %v, want s2", got)
	}
	f.Restart(t)
	after := uint64(0)
	const commits = 24 // of 400 KiB, so that a block of 8 MiB is full
	for range commits {
		var facts []domain.Fact
		for range 10 {
			facts = append(facts, domain.Fact{Subject: "toy/a", Event: wasIssued{Name: strings.Repeat("much the same ", 40<<10/14)}})
		}
		after = must[domain.Position](t)(f.Journal.Commit(withTimeout(t), after, meta, facts)).Sequence
	}
	full := filepath.Join(f.Dir, "nats", "jetstream", "$G", "streams", "ORG_default", "msgs", "1.blk")
	for deadline, compressed := time.After(time.Minute), false; !compressed; { // behind the writer's back
		select {
		case <-time.After(10 * time.Millisecond):
			b := must[[]byte](t)(os.ReadFile(full))
			compressed = bytes.HasPrefix(b, []byte("cmp")) && len(b) < 1<<20
		case <-deadline:
			t.Fatal("the full block is not compressed")
		}
	}
	f.Restart(t)
	if got := streamstest.All(t, f.Journal); len(got) != commits {
		t.Errorf("%d commits read back, want %d", len(got), commits)
	}
}

// An account that may write and not change the log opens it as it is.
func TestALogThatMayNotBeChangedStaysAsItIs(t *testing.T) {
	s := must[*server.Server](t)(server.NewServer(&server.Options{
		DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), Users: []*server.User{
			{Username: "admin", Password: "a"},
			{Username: "writer", Password: "w", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.UPDATE.>"}},
			}},
		},
	}))
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	admin := must[*streams.Conn](t)(streams.Connect("nats://x", slog.Default(), nats.InProcessServer(s), nats.UserInfo("admin", "a")))
	defer admin.Close()
	must[*streams.Journal](t)(streams.Open(withTimeout(t), admin, streamstest.Options(t, toys{})))
	js := must[nats.JetStreamContext](t)(streams.RawConn(admin).JetStream())
	uncompressed(t, js)

	var said jsonLines
	writer := must[*streams.Conn](t)(streams.Connect("nats://x", slog.New(slog.NewJSONHandler(&said, nil)), nats.InProcessServer(s), nats.UserInfo("writer", "w")))
	j := must[*streams.Journal](t)(streams.Open(withTimeout(t), writer, streamstest.Options(t, toys{})))
	must[domain.Position](t)(j.Commit(withTimeout(t), 0, meta, switched(true)))
	writer.Close()
	if got := compression(t, js); got != nats.NoCompression {
		t.Errorf("compression is %v, want none", got)
	}
	told := slices.ContainsFunc(said.all(t), func(line map[string]any) bool {
		return strings.Contains(line["msg"].(string), "not compressed")
	})
	if !told {
		t.Errorf("the operator is told %v, want that the log is not compressed", said.all(t))
	}
}
