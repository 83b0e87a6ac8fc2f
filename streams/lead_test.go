package streams_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// The server that led is left alone by the two others. It does not know yet, and
// later has no leader to name, and in both cases would gladly tell how long its
// log is, as if nobody could have gone on without it.
func TestALeaderWithoutAMajorityIsNotBelieved(t *testing.T) {
	if testing.Short() {
		t.Skip("a majority is given up after seconds")
	}
	c := streamstest.NewCluster(t, toys{})
	j := c.Nodes[0].Journal
	must[uint64](t)(j.Last(withTimeout(t)))
	alone := 0
	for i, n := range c.Nodes {
		if n.Leads() {
			alone = i
		}
	}
	for i, n := range c.Nodes {
		if i != alone {
			n.Stop()
		}
	}
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Nodes[alone].Journal.Last(ctx)
		return err
	}
	deadline := time.Now().Add(streamstest.Within)
	for ask() == nil {
		if time.Now().After(deadline) {
			t.Fatal("the end of the log is told without a majority that has it")
		}
	}
	if err := ask(); !errors.Is(err, streams.ErrUnavailable) {
		t.Errorf("got %v, want that the log is unavailable", err)
	}
}
