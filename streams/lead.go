package streams

import (
	"context"
	"fmt"
	"time"
)

// leaseFor is how long a leader that a majority answered is believed to be the
// only one. A server stands for election four seconds after it last heard from the
// leader at the soonest (nats-server, minElectionTimeout), and the leader hears
// from the others each second at least. With the second for which [Journal.Last]
// may be held to be current that leaves half a second for clocks and networks.
const leaseFor = 2500 * time.Millisecond

// led asks the leader for the state of the log, again and again while the answer
// comes from a server that a majority of the copies did not answer lately. A
// server that is cut off from the others takes itself for the leader for ten more
// seconds, and one that was stopped and goes on for a moment, while others have
// elected another that already takes commits; and one without a leader tells
// what it has.
func (j *Journal) led(ctx context.Context) (streamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for try := 0; ; try++ {
		info, err := streamState(ctx, j.c, j.stream)
		if err != nil || info.leads(j.o.Replicas) {
			return info, err
		}
		if pause(ctx, backoff(try)) != nil {
			return info, fmt.Errorf("%w: no server answers for a majority of its copies", ErrUnavailable)
		}
	}
}

// leads tells whether the server that answered leads a majority of the copies.
func (i streamInfo) leads(copies int) bool {
	if copies <= 1 {
		return true
	}
	heard := 1 // itself
	for _, r := range i.Cluster.Replicas {
		if r.Active > 0 && r.Active < leaseFor {
			heard++
		}
	}
	return i.Cluster.Leader != "" && heard > copies/2
}
