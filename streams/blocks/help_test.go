package blocks_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/streams/blocks"
)

const within = time.Minute

// message is what was stored, to be found again byte for byte.
type message struct {
	subject string
	header  nats.Header
	body    []byte
	stored  time.Time
}

// serve runs a real server on a folder until the test, or the returned func, ends it.
func serve(t testing.TB, dir string) (jetstream.JetStream, func()) {
	t.Helper()
	ns, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	go ns.Start()
	if !ns.ReadyForConnections(within) {
		t.Fatal("the server takes no connections")
	}
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			nc.Close()
			ns.Shutdown()
			ns.WaitForShutdown()
		}
	}
	t.Cleanup(stop)
	return js, stop
}

const logName = "ORG_default"

func logConfig(c jetstream.StoreCompression) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: logName, Subjects: []string{"org.default.control", "org.default.activity"},
		Storage: jetstream.FileStorage, DenyDelete: true, DenyPurge: true, Compression: c,
	}
}

// small makes the server begin a new block every 32,000 bytes.
func small(c jetstream.StreamConfig) jetstream.StreamConfig {
	c.MaxBytes, c.Discard = 125_000, jetstream.DiscardNew
	return c
}

// newLog makes a stream with n messages of some size and returns its folder and what is in it.
func newLog(t testing.TB, n, size int, c jetstream.StreamConfig) (blocks.Stream, []message) {
	t.Helper()
	dir := t.TempDir()
	js, stop := serve(t, dir)
	if _, err := js.CreateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	publish(t, js, n, size)
	s := blocks.Stream{Dir: filepath.Join(dir, "jetstream", "$G", "streams", logName)}
	if c.Compression == jetstream.S2Compression {
		awaitCompressed(t, s)
	}
	all := stored(t, js, n)
	stop()
	return s, all
}

func publish(t testing.TB, js jetstream.JetStream, n, size int) {
	t.Helper()
	for i := range n {
		m := &nats.Msg{Subject: "org.default.activity", Data: body(i, size)}
		if i%7 == 0 {
			m.Subject = "org.default.control"
		}
		if i%5 != 0 {
			m.Header = nats.Header{"Nats-Msg-Id": {fmt.Sprintf("id-%d-%d", i, time.Now().UnixNano())}, "Content-Type": {"application/cloudevents-batch+json"}}
		}
		if _, err := js.PublishMsgAsync(m); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(within):
		t.Fatal("the messages were not stored")
	}
}

// body is text that compresses, as events do, and differs from every other.
func body(i, size int) []byte {
	text := fmt.Sprintf(`{"id":"%d","type":"token.issued","data":"%x"}`, i, i*i+12345)
	return []byte(strings.Repeat(text, size/len(text)+1)[:size])
}

func stored(t testing.TB, js jetstream.JetStream, n int) (all []message) {
	t.Helper()
	s, err := js.Stream(t.Context(), logName)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		m, err := s.GetMsg(t.Context(), uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, message{m.Subject, m.Header, m.Data, m.Time})
	}
	return all
}

// awaitCompressed returns when every block but the last is compressed.
func awaitCompressed(t testing.TB, s blocks.Stream) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); ; <-tick.C {
		r, err := s.Scan(blocks.Options{}, nil)
		if err == nil && r.Blocks > 1 && r.Compressed == r.Blocks-1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the blocks are not compressed: %+v, %v", r, err)
		}
	}
}

func (m message) equal(r blocks.Record) error {
	var header nats.Header
	if r.Header != nil {
		var err error
		if header, err = nats.DecodeHeadersMsg(r.Header); err != nil {
			return fmt.Errorf("header %q: %w", r.Header, err)
		}
	}
	switch {
	case m.subject != string(r.Subject):
		return fmt.Errorf("subject %q, want %q", r.Subject, m.subject)
	case !bytes.Equal(m.body, r.Body):
		return fmt.Errorf("another body, of %d bytes instead of %d", len(r.Body), len(m.body))
	case !m.stored.Equal(r.Stored):
		return fmt.Errorf("stored %s, want %s", r.Stored, m.stored)
	case len(m.header) != len(header) || len(header) > 0 && !reflect.DeepEqual(m.header, header):
		return fmt.Errorf("header %v, want %v", header, m.header)
	}
	return nil
}

// whole fails unless the stream holds exactly those messages.
func whole(t testing.TB, s blocks.Stream, o blocks.Options, want []message) blocks.Report {
	t.Helper()
	at := 0
	r, err := s.Scan(o, func(r blocks.Record) error {
		if at >= len(want) {
			return fmt.Errorf("record %d is one too many", r.Sequence)
		}
		if r.Sequence != uint64(at+1) {
			return fmt.Errorf("record %d came where %d was to come", r.Sequence, at+1)
		}
		if err := want[at].equal(r); err != nil {
			return fmt.Errorf("record %d: %w", r.Sequence, err)
		}
		at++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if at != len(want) || r.Records != uint64(at) {
		t.Errorf("%d of %d records were found: %+v", at, len(want), r)
	}
	return r
}

func blockFile(s blocks.Stream, n int) string {
	return filepath.Join(s.Dir, "msgs", fmt.Sprintf("%d.blk", n))
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// edit changes a file's bytes.
func edit(t testing.TB, path string, change func([]byte) []byte) {
	t.Helper()
	ok(t, os.WriteFile(path, change(must[[]byte](t)(os.ReadFile(path))), 0o600))
}
