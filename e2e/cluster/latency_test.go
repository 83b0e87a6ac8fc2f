package cluster

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Between the NATS servers everything takes a while: tokens take a round trip
// more, and nobody loses the leader over it.
func TestASlowNetworkCostsARoundTrip(t *testing.T) {
	if !long() || !chosen("latency") {
		return // `make cluster` runs it: figures need a machine with time
	}
	const roundTrip = 100 * time.Millisecond
	c := newCluster(t, options{roundTrip: roundTrip})
	l := c.begin()
	leader := c.leader()
	rest(l.ctx, 10*time.Second)
	if now := c.leader(); now != leader {
		t.Errorf("site %d led the log, and now site %d does", leader.n, now.n)
	}
	l.end()
	var took []time.Duration
	for _, a := range l.asked {
		if a.status == 200 && a.connection == "steady-"+l.name {
			took = append(took, a.told-a.at)
		}
	}
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	fmt.Printf("row: | a round trip of %s between NATS servers | %s. A token took %s, one of a hundred %s |\n",
		roundTrip, l.summary(), round(p50), round(p99))
}
