package streams_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// replicas is a cluster with a world at each node.
func replicas(t *testing.T) (*streamstest.Cluster, []*world) {
	t.Helper()
	c := streamstest.NewCluster(t, toys{})
	var ws []*world
	for _, n := range c.Nodes {
		ws = append(ws, follow(t, n.Journal))
	}
	return c, ws
}

// Three processes write control commits and tokens at once: everything
// acknowledged is in the log once, where it was said to be, and what one caller
// wrote is in the order in which it wrote.
func TestThreeReplicasLoseDoubleAndReorderNothing(t *testing.T) {
	_, ws := replicas(t)
	var mu sync.Mutex
	acked := map[string]domain.Position{}
	ack := func(name string, at domain.Position) {
		mu.Lock()
		defer mu.Unlock()
		acked[name] = at
	}
	ws[0].turn(t, true)
	const callers, each3 = 12, 40
	each(t, callers, func(i int) error {
		w := ws[i%3]
		if err := w.state.Wait(t.Context(), 1); err != nil {
			return err
		}
		for n := range each3 {
			name := fmt.Sprintf("%d-%d", i, n)
			var at domain.Position
			var err error
			if i < 3 && n%4 == 0 {
				at, err = w.named(t, name)
			} else {
				at, err = w.committer.Record(t.Context(), meta, issue(name, ""))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			ack(name, at)
		}
		return nil
	})
	all := streamstest.All(t, ws[1].journal)
	there := map[string]domain.Position{}
	latest := map[string]int{}
	for _, c := range all {
		for _, e := range c.Events {
			if e.Type != "toy.issued" {
				continue
			}
			name := e.Event.(wasIssued).Name
			if at, twice := there[name]; twice {
				t.Errorf("%s is in the log at %s and at %s", name, at, e.Position)
			}
			there[name] = e.Position
			caller, number, _ := strings.Cut(name, "-")
			var n int
			fmt.Sscan(number, &n)
			if n != latest[caller] {
				t.Errorf("caller %s: number %d came where %d was next", caller, n, latest[caller])
			}
			latest[caller]++
		}
	}
	if len(acked) != callers*each3 || len(there) != len(acked) {
		t.Errorf("%d acknowledged, %d in the log, want %d", len(acked), len(there), callers*each3)
	}
	for name, at := range acked {
		if there[name] != at {
			t.Errorf("%s was acknowledged at %s and is at %s", name, at, there[name])
		}
	}
}

// named writes a token event as a control commit, as a command would.
func (w *world) named(t testing.TB, name string) (domain.Position, error) {
	for {
		at, err := w.journal.Commit(t.Context(), w.state.at().Control, meta, issued(name))
		if !errors.Is(err, streams.ErrConflict) {
			return at, err
		}
		last, err := w.journal.LastControl(t.Context())
		if err := errors.Join(err, w.state.Wait(t.Context(), last)); err != nil {
			return domain.Position{}, err
		}
	}
}

// Three processes race for the same key, round after round: one gets it.
func TestASingleUseHasOneWinner(t *testing.T) {
	_, ws := replicas(t)
	at := ws[0].turn(t, true)
	for _, w := range ws {
		ok(t, w.state.Wait(t.Context(), at))
	}
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	for round := range rounds {
		won := make([]bool, 6)
		each(t, len(won), func(i int) error {
			_, err := ws[i%3].committer.Record(t.Context(), meta, issue(fmt.Sprint(i), fmt.Sprintf("key %d", round)))
			won[i] = err == nil
			if errors.Is(err, errSpent) {
				return nil
			}
			return err
		})
		winners := 0
		for _, w := range won {
			if w {
				winners++
			}
		}
		if winners != 1 {
			t.Fatalf("round %d has %d winners", round, winners)
		}
	}
	spent := map[string]int{}
	for _, c := range streamstest.All(t, ws[0].journal)[1:] {
		for _, e := range c.Events {
			spent[e.Event.(wasIssued).Spent]++
		}
	}
	for key, n := range spent {
		if n != 1 {
			t.Errorf("%s was spent %d times", key, n)
		}
	}
	if len(spent) != rounds {
		t.Errorf("%d keys were spent, want %d", len(spent), rounds)
	}
}

func TestFewReplicasOnAClusterAreRefused(t *testing.T) {
	c := streamstest.StartCluster(t)
	conn := streamstest.Dial(t, c.Nodes[0].URL)
	o := streamstest.Options(t, toys{})
	for _, n := range []int{1, 2} {
		o.Replicas = n
		if _, err := streams.Open(withTimeout(t), conn, o); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d copies", n)) {
			t.Errorf("%d replicas: err = %v, want a refusal", n, err)
		}
	}
	o.Replicas, o.AllowFewReplicas = 1, true
	must[*streams.Journal](t)(streams.Open(withTimeout(t), conn, o))

	o.Replicas, o.AllowFewReplicas = 0, false
	if _, err := streams.Open(withTimeout(t), conn, o); err == nil || !strings.Contains(err.Error(), "num_replicas is 1 and must be 3") {
		t.Errorf("err = %v, want that the log has one copy", err)
	}
}

// The server that leads the log ends: writers wait and go on, followers miss
// nothing, and the server that comes back is no worse for it.
func TestLeaderLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("an election takes seconds")
	}
	c, ws := replicas(t)
	at := ws[0].turn(t, true)
	leader := 0
	for i, n := range c.Nodes {
		ok(t, ws[i].state.Wait(t.Context(), at))
		if n.Leads() {
			leader = i
		}
	}
	w := ws[(leader+1)%3]
	begin := time.Now()
	c.Nodes[leader].Stop()
	var outage time.Duration
	for n := range 200 {
		name := fmt.Sprint(n)
		for {
			_, err := w.committer.Record(withTimeout(t), meta, issue(name, ""))
			if err == nil {
				break
			}
			if !errors.Is(err, streams.ErrUnavailable) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if n == 0 {
			outage = time.Since(begin)
		}
	}
	t.Logf("the first token after %v", outage)
	last := w.last(t)
	c.Nodes[leader].Start(t)
	for i, w := range ws {
		ok(t, w.state.Wait(withTimeout(t), last))
		if err := w.follower.Err(); err != nil {
			t.Errorf("the follower of node %d stopped: %v", i, err)
		}
	}
	must[domain.Position](t)(ws[leader].committer.Record(withTimeout(t), meta, issue("back", "")))
	if n := len(streamstest.All(t, ws[leader].journal)); n != int(last)+1 {
		t.Errorf("the log has %d commits, want %d", n, last+1)
	}
}

// A bucket on a cluster is read through its leader, whoever wrote it.
func TestBucketsAcrossReplicas(t *testing.T) {
	c, _ := replicas(t)
	writer := must[*streams.Bucket](t)(c.Nodes[0].Conn.Bucket(withTimeout(t), "KEYS_default"))
	reader := must[*streams.Bucket](t)(c.Nodes[2].Conn.Bucket(withTimeout(t), "KEYS_default"))
	for n := range 50 {
		want := fmt.Sprint(n)
		ok(t, writer.Put(t.Context(), "key", []byte(want)))
		if got := must[[]byte](t)(reader.Get(t.Context(), "key")); string(got) != want {
			t.Fatalf("read %s after %s was written", got, want)
		}
	}
}

// Replicas that start together make the log and its bucket together; who comes
// second finds nobody that answers for it yet.
func TestALogAndItsBucketAreMadeByManyAtOnce(t *testing.T) {
	c := streamstest.StartCluster(t)
	var conns []*streams.Conn
	for _, n := range c.Nodes {
		conns = append(conns, streamstest.Dial(t, n.URL))
	}
	for round := range 6 {
		each(t, 2*len(conns), func(i int) error {
			conn := conns[i%len(conns)]
			o := streamstest.Options(t, toys{})
			o.Org = domain.Name(fmt.Sprint("org-", round))
			if _, err := streams.Open(withTimeout(t), conn, o); err != nil {
				return err
			}
			_, err := conn.Bucket(withTimeout(t), fmt.Sprintf("KEYS_%d", round))
			return err
		})
	}
}

// A server of a cluster that starts again cuts its copy back, and one that cuts a
// compressed block leaves it where nobody can read it: three rounds of kill -9 under
// load were enough.
func TestALogWithSeveralCopiesIsNotCompressed(t *testing.T) {
	c := streamstest.NewCluster(t, toys{})
	js := must[nats.JetStreamContext](t)(streams.RawConn(c.Nodes[0].Conn).JetStream())
	if got := compression(t, js); got != nats.NoCompression {
		t.Errorf("compression is %v, want none", got)
	}
}
