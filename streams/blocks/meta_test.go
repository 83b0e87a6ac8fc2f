package blocks_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/streams/blocks"
)

func TestMetaTellsWhichFileWasHit(t *testing.T) {
	orig, _ := newLog(t, 5, 900, logConfig(jetstream.NoCompression))
	inf := func(s blocks.Stream) string { return filepath.Join(s.Dir, "meta.inf") }
	sum := func(s blocks.Stream) string { return filepath.Join(s.Dir, "meta.sum") }
	for _, tt := range []struct {
		name   string
		damage func(blocks.Stream)
		want   blocks.Meta
	}{
		{"nothing", func(blocks.Stream) {}, blocks.MetaWhole},
		{"no meta.inf", func(s blocks.Stream) { ok(t, os.Remove(inf(s))) }, blocks.MetaAbsent},
		{"no meta.sum", func(s blocks.Stream) { ok(t, os.Remove(sum(s))) }, blocks.MetaSumLost},
		{"a bit of meta.sum", func(s blocks.Stream) { edit(t, sum(s), func(b []byte) []byte { b[3] ^= 1; return b }) }, blocks.MetaSumLost},
		{"meta.sum empty", func(s blocks.Stream) { ok(t, os.Truncate(sum(s), 0)) }, blocks.MetaSumLost},
		{"a digit of meta.inf", func(s blocks.Stream) {
			edit(t, inf(s), func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"max_msgs":-1`), []byte(`"max_msgs":-9`), 1)
			})
		}, blocks.MetaDamaged},
		{"a bit of meta.inf", func(s blocks.Stream) { edit(t, inf(s), func(b []byte) []byte { b[30] ^= 1; return b }) }, blocks.MetaDamaged},
		{"meta.inf empty", func(s blocks.Stream) { ok(t, os.Truncate(inf(s), 0)) }, blocks.MetaDamaged},
		{"the meta files of another stream", func(s blocks.Stream) {
			ok(t, os.Remove(sum(s)))
			edit(t, inf(s), func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("default"), []byte("another")) })
		}, blocks.MetaDamaged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := copyStream(t, orig)
			tt.damage(s)
			if got := must[blocks.Meta](t)(s.Meta()); got != tt.want {
				t.Errorf("the configuration is told as %d, want %d", got, tt.want)
			}
			must[bool](t)(s.Settle())
			if got := must[blocks.Meta](t)(s.Meta()); tt.want == blocks.MetaSumLost && got != blocks.MetaWhole {
				t.Errorf("once settled it is %d", got)
			}
		})
	}
}
