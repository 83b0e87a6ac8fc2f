package blocks_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/streams/blocks"
)

// A server that stopped right after it had begun a block would write into the
// compressed one before it, and lose what it was just told to keep.
func TestSettleKeepsTheServerOutOfACompressedBlock(t *testing.T) {
	s, want := newLog(t, 300, 40_000, logConfig(jetstream.S2Compression))
	r := whole(t, s, blocks.Options{}, want)
	if r.Blocks != 2 || r.Compressed != 1 {
		t.Fatalf("the log has other blocks than this test needs: %+v", r)
	}
	ok(t, os.Truncate(blockFile(s, 2), 0))
	ok(t, os.Remove(filepath.Join(s.Dir, "msgs", "index.db")))
	first := int(must[blocks.Report](t)(s.Scan(blocks.Options{}, nil)).Last)
	for _, wanted := range []bool{true, false} {
		if settled := must[bool](t)(s.Settle()); settled != wanted {
			t.Fatalf("settled: %v, want %v", settled, wanted)
		}
	}
	whole(t, s, blocks.Options{}, want[:first])

	js, stop := serve(t, filepath.Join(s.Dir, "../../../.."))
	for i := range 3 { // small enough for the block that was full for the last one
		must[*jetstream.PubAck](t)(js.PublishMsg(t.Context(), &nats.Msg{Subject: "org.default.control", Data: body(i, 300)}))
	}
	all := stored(t, js, first+3)
	stop()
	ok(t, os.Remove(filepath.Join(s.Dir, "msgs", "index.db"))) // as after a kill
	whole(t, s, blocks.Options{Sealed: uint64(first + 3)}, all)
}

func TestSettleLeavesAPlainLastBlockAlone(t *testing.T) {
	s, want := newLog(t, 300, 40_000, logConfig(jetstream.S2Compression))
	if must[bool](t)(s.Settle()) {
		t.Error("a plain last block was settled")
	}
	whole(t, s, blocks.Options{Sealed: 300}, want)
}
