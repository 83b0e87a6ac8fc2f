package organisation_test

import (
	"os"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/streams/streamstest"
)

func TestATrailWhoseDiskIsFullGoesOnOnceThereIsRoom(t *testing.T) {
	if !streamstest.Alone(t) {
		return
	}
	w := orgtest.New(t)
	w.Token("alice", domain.Member)
	caughtUp(t, w)
	wal, err := os.Stat(w.TrailPath + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	// The trail's files are larger than the log's by now, and grow faster.
	lift := streamstest.NoFileBeyond(t, wal.Size())
	deadline := time.Now().Add(30 * time.Second)
	for w.Ready(t.Context())["trail"] == nil {
		w.Token("bob", domain.Member) // the log takes it: the trail alone is full
		if time.Now().After(deadline) {
			t.Fatal("the trail never filled its disk")
		}
	}
	lift()
	for w.Ready(t.Context())["trail"] != nil {
		if time.Now().After(deadline) {
			t.Fatalf("the trail does not go on: %v", w.Ready(t.Context())["trail"])
		}
		w.Settle(t.Context())
	}
	if all := caughtUp(t, w); all[len(all)-1] != w.Last().String() {
		t.Errorf("the trail ends at %s, the log at %s", all[len(all)-1], w.Last())
	}
}
