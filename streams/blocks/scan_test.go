package blocks_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/streams/blocks"
)

func TestScanReadsWhatTheServerWrote(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    jetstream.StoreCompression
	}{
		{"plain blocks", jetstream.NoCompression},
		{"compressed blocks and a plain last one", jetstream.S2Compression},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, want := newLog(t, 600, 40_000, logConfig(tt.c))
			r := whole(t, s, blocks.Options{Sealed: 600}, want)
			if r.Blocks < 3 || r.Damages != nil || r.Torn != nil || r.First != 1 || r.Last != 600 || r.Known != 600 {
				t.Errorf("the report is %+v", r)
			}
		})
	}
}
