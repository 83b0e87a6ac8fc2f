package blocks_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/streams/blocks"
)

// In a bucket values are replaced and deleted, and that is no damage; a flipped bit is.
func TestScanReadsABucket(t *testing.T) {
	dir := t.TempDir()
	js, stop := serve(t, dir)
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "KEYS_default", Storage: jetstream.FileStorage})
	ok(t, err)
	for i := range 200 {
		key := fmt.Sprintf("key-%d", i%7)
		must[uint64](t)(kv.Put(t.Context(), key, body(i, 500)))
		if i%11 == 0 {
			ok(t, kv.Purge(t.Context(), key))
		}
	}
	must[uint64](t)(kv.Put(t.Context(), "last", body(1, 500)))
	stop()
	s := blocks.Stream{Dir: filepath.Join(dir, "jetstream", "$G", "streams", "KV_KEYS_default")}
	found := map[string]int{}
	r := must[blocks.Report](t)(s.Scan(blocks.Options{Bucket: true}, func(r blocks.Record) error {
		found[string(r.Subject)] = len(r.Body)
		return nil
	}))
	if r.Damages != nil || r.Torn != nil || found["$KV.KEYS_default.last"] != 500 || len(found) != 8 {
		t.Errorf("found %v, %+v", found, r)
	}
	edit(t, blockFile(s, 1), func(b []byte) []byte { b[len(b)-40] ^= 4; return b })
	r = must[blocks.Report](t)(s.Scan(blocks.Options{Bucket: true}, nil))
	if len(r.Damages) != 1 || r.Damages[0].Kind != blocks.Truncated && r.Damages[0].Kind != blocks.Modified {
		t.Errorf("a flipped bit is told as %+v", r)
	}
}
