package repair_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/streams/blocks"
	"sallyport.dev/streams/repair"
)

// A bucket that keeps the server closed is told by whoever looks, too.
func TestADamagedBucketIsToldByWhoeverLooks(t *testing.T) {
	for _, bucket := range []string{"KEYS_default", "SECRETS_default"} {
		t.Run(bucket, func(t *testing.T) { damagedBucketIsTold(t, bucket) })
	}
}

func damagedBucketIsTold(t *testing.T, bucket string) {
	orig, _ := newLog(t, once)
	store := filepath.Join(filepath.Dir(orig.Target("default").Store.Dir), "KV_"+bucket)
	w, err := blocks.NewWriter(store, "KV_"+bucket)
	ok(t, err)
	for seq := range uint64(2) {
		ok(t, w.Append(blocks.Record{Sequence: seq + 1, Subject: []byte("$KV." + bucket + ".a"), Body: []byte("a sealed key")}))
	}
	ok(t, w.Close())
	for _, live := range []bool{false, true} {
		found, err := orig.Buckets("default", live)
		ok(t, err)
		if len(found) != 1 || found[0].State != repair.Intact || found[0].Err() != nil || found[0].Blocks.Records != 2 {
			t.Fatalf("of a whole bucket it says %+v", found)
		}
	}
	if found, err := orig.Buckets("another", false); err != nil || len(found) != 0 {
		t.Errorf("of another organisation it says %+v, %v", found, err)
	}
	edit(t, filepath.Join(store, "msgs", "1.blk"), func(b []byte) []byte { b[30] ^= 1; return b })
	for _, live := range []bool{false, true} {
		found, err := orig.Buckets("", live)
		ok(t, err)
		if len(found) != 1 || found[0].State != repair.Damaged || found[0].Org != "default" || !strings.Contains(found[0].Repair, "runbook-restore.md") {
			t.Fatalf("of a damaged bucket it says %+v", found)
		}
	}
	refused(t, orig, "KV_"+bucket)
}

// A seal that cannot be read is neither damage at the start nor a reason to make it again.
func TestASealThatCannotBeReadIsNotDamaged(t *testing.T) {
	orig, _ := newLog(t, once)
	for _, name := range []string{"checkpoint", "tree", "verifier"} {
		d := copyData(t, orig)
		file := filepath.Join(d.Target("default").Seal, name)
		ok(t, os.Remove(file))
		ok(t, os.Symlink(name, file)) // a loop
		look := func(ctx context.Context) error { return repair.Check(ctx, d, quiet()) }
		plan := func(ctx context.Context) error {
			_, err := repair.NewPlan(ctx, d.Target("default"), true)
			return err
		}
		for _, ask := range []func(context.Context) error{look, plan} {
			if err := ask(t.Context()); err == nil || domain.Damaged(err) != nil || !strings.Contains(err.Error(), file) {
				t.Errorf("of %s it says %v", name, err)
			}
		}
	}
}
