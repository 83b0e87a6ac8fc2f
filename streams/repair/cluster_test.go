package repair_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"sallyport.dev/domain"
	"sallyport.dev/streams/blocks"
	"sallyport.dev/streams/repair"
	"sallyport.dev/streams/streamstest"
)

// One replica of three is damaged while its server is stopped. nats-server 2.15.2
// neither tells nor heals it, and lets it lead; that is what this test shows first, so
// that a version which does better is noticed. What we do about it: a reader that
// meets the hole stops, `log verify --store` finds the server, and a server
// whose store is moved away gets all of it from the others.
func TestADamagedReplicaIsFoundAndBuiltAgain(t *testing.T) {
	t.Parallel()
	c := streamstest.NewCluster(t, codec{})
	j := c.Nodes[0].Journal
	for i := range commits {
		commit(t, j, uint64(i), once)
	}
	all := streamstest.All(t, j)
	d := repair.Data{Dir: t.TempDir()}
	sealUpTo(t, d, all, sealed)
	bad := 0
	for c.Nodes[bad].Leads() {
		bad++
	}
	for _, n := range c.Nodes {
		awaitReplica(t, n, all)
	}

	node := c.Nodes[bad]
	node.Stop()
	store := replica(t, node)
	edit(t, filepath.Join(store.Dir, "msgs", "1.blk"), func(b []byte) []byte { b[30_000] ^= 1; return b })
	node.Start(t)
	lead(t, c, bad)
	for i, n := range c.Nodes {
		want := repair.Intact
		if i == bad {
			want = repair.Damaged
		}
		if f := verified(t, d, n); f.State != want || i == bad && (f.FirstBad != 6 || f.Kind != blocks.Modified) {
			t.Errorf("replica %d of which %d was damaged: %+v", i, bad, f)
		}
	}
	// Each reading is by a consumer of its own, which may be with any server.
	for range 6 {
		at := 0
		err := j.Scan(t.Context(), 1, func(got domain.Commit) (bool, error) {
			if string(got.Body) != string(all[at].Body) {
				return false, fmt.Errorf("commit %d came where %d was to come", got.Sequence, at+1)
			}
			at++
			return at < commits, nil
		})
		if damage := domain.Damaged(err); err != nil && (damage == nil || damage.Check != "gap" || damage.Sequence != 6) {
			t.Errorf("reading the log ends with %v, want all of it, or the gap", err)
		}
	}

	// The runbook: stop it, move its store away, start it.
	node.Stop()
	ok(t, os.Rename(filepath.Join(node.StoreDir(), "jetstream"), filepath.Join(node.StoreDir(), "damaged")))
	node.Start(t)
	awaitReplica(t, node, all)
	if f := verified(t, d, node); f.State != repair.Intact {
		t.Errorf("the replica that was built again: %+v", f)
	}
	lead(t, c, bad)
	awaitCommit(t, c, commits)
	got := streamstest.All(t, j)
	if len(got) != commits+1 {
		t.Fatalf("the log has %d commits, want %d", len(got), commits+1)
	}
	for i, w := range all {
		if string(got[i].Body) != string(w.Body) {
			t.Fatalf("commit %d is another one", w.Sequence)
		}
	}
}

func replica(t testing.TB, n *streamstest.Node) blocks.Stream {
	t.Helper()
	s, err := repair.StoreOf(n.StoreDir(), "default")
	ok(t, err)
	return s
}

func verified(t testing.TB, d repair.Data, n *streamstest.Node) repair.Findings {
	t.Helper()
	f, err := repair.Inspect(t.Context(), repair.Target{Org: "default", Store: replica(t, n), Seal: d.Target("default").Seal},
		repair.Options{Depth: repair.All, Live: true})
	ok(t, err)
	return f
}

// until waits for what f looks for; f says what is missing.
func until(t testing.TB, f func() error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// awaitReplica returns when the files of a node have every commit, byte for byte.
func awaitReplica(t testing.TB, n *streamstest.Node, want []domain.Commit) {
	t.Helper()
	until(t, func() error {
		s, err := repair.StoreOf(n.StoreDir(), "default")
		if err != nil {
			return err
		}
		at := 0
		r, err := s.Scan(blocks.Options{Upto: uint64(len(want))}, func(r blocks.Record) error {
			if string(r.Body) != string(want[r.Sequence-1].Body) {
				return fmt.Errorf("commit %d is another one", r.Sequence)
			}
			at++
			return nil
		})
		if err == nil && (at != len(want) || r.Damages != nil) {
			err = fmt.Errorf("the replica has %d of %d commits, and %v", at, len(want), r.Damages)
		}
		return err
	})
}

// lead makes a node lead the log.
func lead(t testing.TB, c *streamstest.Cluster, node int) {
	t.Helper()
	nc, err := nats.Connect(c.Nodes[node].URL)
	ok(t, err)
	defer nc.Close()
	until(t, func() error {
		if c.Nodes[node].Leads() {
			return nil
		}
		request := fmt.Sprintf(`{"placement":{"preferred":"node%d"}}`, node)
		m, err := nc.Request("$JS.API.STREAM.LEADER.STEPDOWN.ORG_default", []byte(request), 2*time.Second)
		if err == nil && !c.Nodes[node].Leads() {
			err = fmt.Errorf("node%d does not lead: %s", node, m.Data)
		}
		return err
	})
}

// awaitCommit commits once the cluster takes it.
func awaitCommit(t testing.TB, c *streamstest.Cluster, after uint64) {
	t.Helper()
	until(t, func() error {
		_, err := c.Nodes[0].Journal.Commit(t.Context(), after, meta, []domain.Fact{{Event: said{"one more"}}})
		if err != nil && !errors.As(err, new(*domain.Error)) {
			t.Fatal(err)
		}
		return err
	})
}
