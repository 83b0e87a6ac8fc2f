package streamstest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"sallyport.dev/e2e/ports"
	"sallyport.dev/streams"
)

// Cluster is three NATS servers that replicate, each with a connection and a
// journal of its own, as three processes of ours would have.
type Cluster struct {
	Nodes []*Node
}

// Node is one of the three.
type Node struct {
	URL     string // of this server alone
	Conn    *streams.Conn
	Journal *streams.Journal

	opts server.Options
	nats *server.Server
}

const clusterUser, clusterPassword = "sallyport", "known to this test alone"

// NewCluster starts three servers on loopback, syncing always, and opens the same
// organisation's log on each, replicated three times.
func NewCluster(t testing.TB, codec streams.Codec) *Cluster {
	t.Helper()
	c := StartCluster(t)
	for _, n := range c.Nodes {
		n.Conn = Dial(t, n.URL)
		n.Journal = Open(t, n.Conn, codec)
	}
	return c
}

// Dial connects to a server until the test ends.
func Dial(t testing.TB, url string) *streams.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	c, err := streams.Dial(ctx, streams.DialOptions{URL: url, Log: Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Open opens the fixtures' log on a connection.
func Open(t testing.TB, c *streams.Conn, codec streams.Codec) *streams.Journal {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	j, err := streams.Open(ctx, c, Options(t, codec))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// StartCluster starts the three servers alone.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	ports := ports.Take(t, 3)
	var routes []*url.URL
	for _, p := range ports {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", p)})
	}
	c := &Cluster{}
	for i, p := range ports {
		n := &Node{opts: server.Options{
			ServerName: fmt.Sprintf("node%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
			Username: clusterUser, Password: clusterPassword,
			// A client stays with the server it was given, so that a test can cut it off.
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: p, NoAdvertise: true},
			Routes:  routes,
		}}
		n.Start(t)
		c.Nodes = append(c.Nodes, n)
	}
	t.Cleanup(func() {
		for _, n := range c.Nodes {
			n.Stop()
		}
	})
	c.awaitLeader(t)
	return c
}

// Start starts the node's server, again on the same folder after [Node.Stop].
func (n *Node) Start(t testing.TB) {
	t.Helper()
	opts := n.opts
	ns, err := server.NewServer(&opts)
	if err != nil {
		t.Fatal(err)
	}
	go ns.Start()
	if !ns.ReadyForConnections(Within) {
		t.Fatal("a server of the cluster takes no connections")
	}
	a := ns.Addr().(*net.TCPAddr)
	n.opts.Port = a.Port
	u := url.URL{Scheme: "nats", User: url.UserPassword(clusterUser, clusterPassword), Host: a.String()}
	n.nats, n.URL = ns, u.String()
}

// Stop ends the node's server; its connection stays and tries to come back.
func (n *Node) Stop() {
	n.nats.Shutdown()
	n.nats.WaitForShutdown()
}

// StoreDir is the folder of the node's server, for a test that looks into it or
// damages it while the server is stopped.
func (n *Node) StoreDir() string { return n.opts.StoreDir }

// Leads tells whether the node leads the log.
func (n *Node) Leads() bool {
	return n.nats.JetStreamIsStreamLeader("$G", "ORG_"+string(Org))
}

// awaitLeader returns when the cluster can be asked to make a log.
func (c *Cluster) awaitLeader(t testing.TB) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(Within)
	for {
		for _, n := range c.Nodes {
			if n.nats.JetStreamIsLeader() && len(n.nats.JetStreamClusterPeers()) == len(c.Nodes) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatal("the cluster elected no leader")
		}
	}
}
