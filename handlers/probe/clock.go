package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// ClockSkew is how far our clock may be off: what verifiers allow.
const ClockSkew = 30 * time.Second

// clockEvery is how often the clock is compared, and stepHeld how long a step
// without a log that contradicts it is held against the clock; then it is taken
// to have been put right.
const (
	clockEvery = 3 * time.Second
	stepHeld   = 10 * time.Minute
)

// Clock compares our clock with the clock of the log, with the newest time in
// the log, and with how time has passed since the start. Safe for concurrent use.
type Clock struct {
	// Now is our clock. Elapsed is how long we run by a clock that nobody sets,
	// which goes on while the machine sleeps.
	Now     func() time.Time
	Elapsed func() time.Duration
	// Log is the clock of the log as of now, and when it stored its newest commit,
	// zero if there is none; an error is no verdict.
	Log func(context.Context) (now, newest time.Time, err error)
	Out *slog.Logger

	mu      sync.Mutex
	start   time.Time // our clock, less what has elapsed
	stepped time.Time // when, by Elapsed and start, a step was seen; zero: none that counts
	step    time.Duration
	err     error
}

// Run compares again and again until ctx ends.
func (c *Clock) Run(ctx context.Context) {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		c.Look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Look compares now, and says in the log when the verdict changes.
func (c *Clock) Look(ctx context.Context) {
	err := errors.Join(c.passed(), c.ofTheLog(ctx))
	c.mu.Lock()
	was := c.err
	c.err = err
	c.mu.Unlock()
	switch {
	case err != nil && was == nil:
		c.Out.Error("the clock is wrong: tokens and proofs are judged by it", "error", err)
	case err == nil && was != nil:
		c.Out.Info("the clock is right again")
	}
}

// passed holds our clock against the time that has passed.
func (c *Clock) passed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed := c.Elapsed()
	begun := c.Now().Round(0).Add(-elapsed) // Round takes the monotonic reading away
	if c.start.IsZero() {
		c.start = begun
	}
	off := begun.Sub(c.start)
	steady := c.start.Add(elapsed) // our clock, had nobody set it
	switch {
	case off.Abs() <= ClockSkew:
		c.stepped = time.Time{}
		return nil
	case c.stepped.IsZero() || (off-c.step).Abs() > ClockSkew:
		c.stepped, c.step = steady, off
	case steady.Sub(c.stepped) > stepHeld:
		c.start, c.stepped = begun, time.Time{}
		c.Out.Warn("the clock was set, and is taken to be right from now on", "by", off.Round(time.Second))
		return nil
	}
	return fmt.Errorf("it was set by %s while we ran", c.step.Round(time.Second))
}

// ofTheLog holds our clock against the log's.
func (c *Clock) ofTheLog(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clockEvery)
	defer cancel()
	asked := c.Now().Round(0)
	theirs, newest, err := c.Log(ctx)
	if err != nil {
		return nil // that the log is out of reach is another check's to tell
	}
	// The answer was made somewhere between asking and now.
	answered := c.Now().Round(0)
	switch {
	case theirs.Before(asked.Add(-ClockSkew)):
		return fmt.Errorf("it is %s ahead of the log's", asked.Sub(theirs).Round(time.Second))
	case theirs.After(answered.Add(ClockSkew)):
		return fmt.Errorf("it is %s behind the log's", theirs.Sub(answered).Round(time.Second))
	case newest.After(answered.Add(ClockSkew)):
		return fmt.Errorf("the log has a commit of %s, which is %s ahead", newest.UTC().Format(time.RFC3339), newest.Sub(answered).Round(time.Second))
	}
	return nil
}

// Ready is red while the clock is off by more than [ClockSkew].
func (c *Clock) Ready(context.Context) map[string]error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return map[string]error{"clock": c.err}
}
