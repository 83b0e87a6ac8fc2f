package streams_test

import (
	"testing"
	"time"

	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// counts waits until every connection counts n processes.
func counts(t *testing.T, n int, conns ...*streams.Conn) {
	t.Helper()
	deadline := time.Now().Add(streamstest.Within)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, c := range conns {
		for c.Replicas() != n {
			if time.Now().After(deadline) {
				t.Fatalf("%d processes are counted, want %d", c.Replicas(), n)
			}
			<-tick.C
		}
	}
}

func TestProcessesOfADeploymentCountEachOther(t *testing.T) {
	c := streamstest.StartCluster(t)
	var conns []*streams.Conn
	for _, n := range c.Nodes {
		conns = append(conns, streamstest.Dial(t, n.URL))
	}
	counts(t, 3, conns...)
	conns[2].Close() // says that it goes
	counts(t, 2, conns[:2]...)
	conns[2] = streamstest.Dial(t, c.Nodes[0].URL)
	counts(t, 3, conns...)
}

func TestAProcessWithItsOwnLogIsAlone(t *testing.T) {
	s := must[*streams.Server](t)(streams.StartServer(t.Context(), streams.ServerOptions{Dir: t.TempDir(), Log: streamstest.Log(t)}))
	t.Cleanup(s.Close)
	c := must[*streams.Conn](t)(s.Connect())
	t.Cleanup(c.Close)
	if c.Shared() || c.Replicas() != 1 {
		t.Errorf("shared %v, %d processes", c.Shared(), c.Replicas())
	}
}
