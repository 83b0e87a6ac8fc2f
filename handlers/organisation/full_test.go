package organisation_test

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation/orgtest"
)

// noFileBeyond makes every write of this process behind size fail, as on a full
// disk, until the func returned is called.
func noFileBeyond(t *testing.T, size int64) (lift func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // the write fails instead
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	set := func(l syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	set(syscall.Rlimit{Cur: uint64(size), Max: was.Max})
	lift = func() { set(was) }
	t.Cleanup(lift)
	return lift
}

func TestATrailWhoseDiskIsFullGoesOnOnceThereIsRoom(t *testing.T) {
	w := orgtest.New(t)
	w.Token("alice", domain.Member)
	caughtUp(t, w)
	wal, err := os.Stat(w.TrailPath + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	// The trail's files are larger than the log's by now, and grow faster.
	lift := noFileBeyond(t, wal.Size())
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
