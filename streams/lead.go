package streams

import (
	"context"
	"fmt"
	"time"
)

// leaseFor is how recently a majority must have answered a leader for it to be
// believed, to be the only one and to be able to store. The leader hears from the
// others whenever it stores something, and each second at least; a server stands
// for election four seconds after it last heard from the leader at the soonest
// (nats-server, minElectionTimeout). With the second for which [Journal.Last] may
// be held to be current that leaves ample time for clocks and networks.
const leaseFor = 1250 * time.Millisecond

// deadAfter is how long a leader whose majority is silent is asked again, for a
// write that waits. Something is on its way to the others then, so they are not just quiet.
const deadAfter = 400 * time.Millisecond

// Reachable returns nil if the log can take a commit at this moment: its leader
// answers, and has heard from a majority of the copies within 1.25 seconds.
func (j *Journal) Reachable(ctx context.Context) error {
	_, err := j.led(ctx, deadAfter)
	if err != nil {
		return fmt.Errorf("reaching the log of %s: %w", j.o.Org, err)
	}
	return nil
}

// led asks the leader for the state of the log, again and again while the answer
// comes from a server that a majority of the copies did not answer lately. A
// server that is cut off from the others takes itself for the leader for ten more
// seconds, and one that was stopped and goes on for a moment, while others have
// elected another that already takes commits; and one without a leader tells
// what it has.
func (j *Journal) led(ctx context.Context, patience time.Duration) (streamInfo, error) {
	start := time.Now()
	for try := 0; ; try++ {
		info, err := streamState(ctx, j.c, j.stream)
		if err != nil || info.leads(j.o.Replicas) {
			return info, err
		}
		if time.Since(start) > patience || pause(ctx, backoff(try)) != nil {
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
