package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"
)

var killed = []scenario{
	{"F01", "kill -9 during load", "0 acknowledged lost, 0 effects twice, ready within 5 s", true, killedUnderLoad},
}

var stopped = []scenario{
	{"F04", "SIGSTOP under load", "no split effect, recovers within 5 s", true, frozen},
	{"F05", "SIGTERM under load", "drained within 10 s, no accepted request failed", true, asked},
}

// killedUnderLoad kills the server at random moments under load. What was sent
// and not answered is repeated under its key (F02): some of it had been stored,
// and is answered as it was then.
func killedUnderLoad(t *testing.T, long bool) string {
	rounds := pick(long, 4, 100)
	s, c := world(t, options{})
	c.writes = 4
	var ready []time.Duration
	stored, unclear := 0, 0
	for range rounds {
		before := c.l.answered()
		ctx, cancel := context.WithCancel(t.Context())
		worked := make(chan error, 1)
		go func() { worked <- c.work(ctx, 16) }()
		s.until("the load is answered", func() bool { return c.l.answered() > before+20 })
		breathe(ctx, rand.N(200*time.Millisecond))
		s.kill()
		cancel()
		if err := <-worked; err != nil {
			t.Fatal(err)
		}
		ready = append(ready, s.up())
		n, all, err := c.repeat(t.Context(), s.last())
		if err != nil {
			t.Fatal(err)
		}
		stored, unclear = stored+n, unclear+all
	}
	got := check(s, c.l)
	slices.Sort(ready)
	if long && ready[len(ready)-1] > 5*time.Second {
		t.Errorf("ready after %s", ready[len(ready)-1])
	}
	if stored == 0 && long {
		t.Error("no write was stored and not answered: F02 shows nothing")
	}
	return fmt.Sprintf("%d rounds: 0 lost, 0 twice; ready after %s (median), %s (longest); F02: of %d writes without an answer %d had been stored, all answered the same under their key; %s",
		rounds, ready[len(ready)/2].Round(time.Millisecond), ready[len(ready)-1].Round(time.Millisecond), unclear, stored, got)
}

// frozen stops the process as a machine that hangs does, and lets it go on.
func frozen(t *testing.T, long bool) string {
	s, c := world(t, options{})
	c.http = newClient(64, 2*time.Second) // who asks does not wait for ever
	ctx, cancel := context.WithCancel(t.Context())
	worked := make(chan error, 1)
	go func() { worked <- c.work(ctx, 8) }()
	var longest time.Duration
	lasting := pick(long, []time.Duration{time.Second}, []time.Duration{5 * time.Second, 60 * time.Second})
	for _, d := range lasting {
		before := c.l.answered()
		s.until("the load is answered", func() bool { return c.l.answered() > before+20 })
		s.signal(syscall.SIGSTOP)
		breathe(ctx, d)
		s.signal(syscall.SIGCONT)
		at, begun := c.l.answered(), time.Now()
		s.until("it goes on", func() bool { return c.l.answered() > at+8 && s.ready() == 200 })
		longest = max(longest, time.Since(begun))
	}
	cancel()
	if err := <-worked; err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.repeat(t.Context(), s.last()); err != nil {
		t.Fatal(err)
	}
	if long && longest > 5*time.Second {
		t.Errorf("it took %s to go on", longest)
	}
	return fmt.Sprintf("frozen for %v: answers again after %s at most; %s; %s", lasting, longest.Round(time.Millisecond), c.l.statuses(), check(s, c.l))
}

// asked stops the server in good order under load. Whoever asks does what a load
// balancer does: as soon as /readyz is red, no more is sent. Then nothing fails.
func asked(t *testing.T, long bool) string {
	rounds := pick(long, 1, 20)
	// A load balancer that has no processor for a moment sees late that it is red.
	s, c := world(t, options{wait: pick(long, "5s", "")})
	var longest time.Duration
	for range rounds {
		before := c.l.answered()
		ctx, cancel := context.WithCancel(t.Context())
		worked := make(chan error, 1)
		go func() { worked <- c.work(ctx, 16) }()
		s.until("the load is answered", func() bool { return c.l.answered() > before+20 })
		begun := time.Now()
		s.signal(syscall.SIGTERM)
		s.until("it is not ready", func() bool { return s.ready() != 200 })
		cancel()
		if err := <-worked; err != nil {
			t.Fatal(err)
		}
		s.awaitStop()
		longest = max(longest, time.Since(begun))
		s.up()
		if _, _, err := c.repeat(t.Context(), s.last()); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.l.tally(); n[cut]+n[refused] > 0 {
		t.Errorf("requests failed that were sent before it was red: %s", n)
	}
	if long && longest > 10*time.Second {
		t.Errorf("it took %s to stop", longest)
	}
	return fmt.Sprintf("%d rounds, stopped within %s; %s; %s", rounds, longest.Round(time.Millisecond), c.l.statuses(), check(s, c.l))
}
