package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var loads = []scenario{
	{"F35", "5 times the load it can take; LOAD says for how long (10m)",
		"sheds with 429 or 503 and Retry-After, p99 of the accepted within 2 s, as fast as before within 30 s", false, overload},
}

// overload measures what the server can take, then asks five times as often
// without waiting for answers, and then measures again.
func overload(t *testing.T, _ bool) string {
	d := 10 * time.Minute
	if s := os.Getenv("LOAD"); s != "" {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	s, c := world(t, options{})
	c.writes, c.proof = 0, shared(c.proof)
	c.http = newClient(4096, 15*time.Second)
	alone := c.capacity(t)
	rate := 5 * alone
	before := c.l.tally()
	sent, unsent := c.flood(t, rate, d)
	p50, p99, n := c.l.quantiles()
	during := c.l.tally().less(before)
	begun := time.Now()
	s.until("it answers as before", func() bool {
		at := time.Now()
		status, err := c.exchange(t.Context())
		return err == nil && status == http.StatusOK && time.Since(at) < 250*time.Millisecond
	})
	recovered := time.Since(begun)
	after := c.capacity(t)
	if p99 > 2*time.Second {
		t.Errorf("p99 of the accepted is %s", p99)
	}
	if c.l.bare > 0 {
		t.Errorf("%d answers 429 or 503 had no Retry-After", c.l.bare)
	}
	if recovered > 30*time.Second {
		t.Errorf("it took %s to recover", recovered)
	}
	return fmt.Sprintf("takes %.0f/s with 64 callers; %.0f/s asked for %s (%d asked, %d more not even sent): %s; %.0f tokens/s, p50 %s, p99 %s; recovered after %s to %.0f/s; %s",
		alone, rate, d, sent, unsent, during, float64(n)/d.Seconds(), p50.Round(time.Millisecond), p99.Round(time.Millisecond),
		recovered.Round(time.Millisecond), after, check(s, c.l))
}

// capacity is how many tokens 64 callers get in a second, each waiting for its answer.
func (c *caller) capacity(t testing.TB) float64 {
	t.Helper()
	const d = 5 * time.Second
	c.l.quantiles()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := c.work(ctx, 64); err != nil {
		t.Fatal(err)
	}
	_, _, n := c.l.quantiles()
	return float64(n) / d.Seconds()
}

// flood asks so often for so long, whether or not it is answered, with no more
// than 4,000 requests on their way at once.
func (c *caller) flood(t testing.TB, perSecond float64, d time.Duration) (sent, unsent int64) {
	t.Helper()
	const most = 1000
	var under, out, lost atomic.Int64
	var flying sync.WaitGroup
	var wrong atomic.Pointer[error]
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for begun, due := time.Now(), 0.0; ctx.Err() == nil; {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		for ; due < time.Since(begun).Seconds()*perSecond; due++ {
			if under.Load() >= most {
				lost.Add(1)
				continue
			}
			under.Add(1)
			out.Add(1)
			flying.Go(func() {
				defer under.Add(-1)
				if _, err := c.exchange(t.Context()); err != nil && !errors.Is(err, errNoAnswer) {
					wrong.Store(&err)
				}
			})
		}
	}
	flying.Wait()
	if err := wrong.Load(); err != nil {
		t.Error(*err)
	}
	return out.Load(), lost.Load()
}

// tally is how many answers of each status there were.
type tally map[int]int

func (l *ledger) tally() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := tally{}
	for k, v := range l.status {
		out[k] = v
	}
	return out
}

func (a tally) less(b tally) tally {
	for k, v := range b {
		a[k] -= v
	}
	return a
}

// String names the statuses in order.
func (a tally) String() string { return told(a) }
