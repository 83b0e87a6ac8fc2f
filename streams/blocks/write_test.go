package blocks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/streams/blocks"
)

// What is written here a server opens as its own: the same messages at the same
// sequences, stored at the same times; and it goes on behind them.
func TestAServerOpensWhatWasWritten(t *testing.T) {
	for _, c := range []jetstream.StoreCompression{jetstream.NoCompression, jetstream.S2Compression} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			orig, want := newLog(t, 500, 40_000, logConfig(c))
			data := t.TempDir()
			s := blocks.Stream{Dir: filepath.Join(data, "jetstream", "$G", "streams", logName)}
			ok(t, os.MkdirAll(filepath.Dir(s.Dir), 0o700))
			w := must[*blocks.Writer](t)(blocks.NewWriter(s.Dir, logName))
			must[blocks.Report](t)(orig.Scan(blocks.Options{}, w.Append))
			ok(t, w.Close())
			whole(t, s, blocks.Options{Sealed: 500}, want)

			js, stop := serve(t, data)
			stream, err := js.CreateStream(t.Context(), logConfig(c))
			ok(t, err)
			info := stream.CachedInfo()
			if info.State.Msgs != 500 || info.State.FirstSeq != 1 || info.State.LastSeq != 500 || info.State.NumDeleted != 0 {
				t.Errorf("the server sees %+v", info.State)
			}
			if !slices.EqualFunc(stored(t, js, 500), want, func(a, b message) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
				t.Error("the server has other messages")
			}
			publish(t, js, 300, 40_000)
			all := stored(t, js, 800)
			stop()
			whole(t, s, blocks.Options{Sealed: 800}, all)
		})
	}
}

func TestWriterRefusesAGap(t *testing.T) {
	w := must[*blocks.Writer](t)(blocks.NewWriter(filepath.Join(t.TempDir(), logName), logName))
	if err := w.Append(blocks.Record{Sequence: 2}); err == nil {
		t.Error("a log that begins at 2 was written")
	}
}

func TestAWriterNeverWritesIntoAFolderThatIsThere(t *testing.T) {
	if _, err := blocks.NewWriter(t.TempDir(), logName); err == nil {
		t.Error("a folder that was there was written into")
	}
}
