// Package clock records what deadlines have brought: memberships and checkouts
// that ended, requests that expired. Nothing waits for it to be right, since
// whether something still holds is decided from the time when it is used. It
// only makes the log say so.
//
// What it records are commands like any other, decided on the control state, so
// any number of replicas record each thing once.
package clock

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
)

// MaxFacts bounds what one commit records; the rest is in the next ones.
const MaxFacts = 100

const (
	// lookEvery is how long the clock sleeps at most: the machine's clock may be
	// put forward meanwhile, which no timer notices.
	lookEvery = 15 * time.Second
	// sweepEvery is how often what was destroyed is looked for in the vault.
	sweepEvery = time.Hour
	// askTimeout bounds the question what time it is for the log.
	askTimeout = 5 * time.Second
	// After an error it waits, twice as long each time.
	leastPause, mostPause = time.Second, time.Minute
)

// Options are what a clock tells, and whom.
type Options struct {
	// Late is told how long after the earliest deadline it was recorded; nil: nobody is.
	Late func(time.Duration)
	// Log is the clock of the log, as [organisation.Organisation.Clock] tells it. A
	// deadline is recorded once both clocks are past it, so that no machine that is
	// ahead, alone, ends anything early for all. Nil: ours is enough.
	Log func(context.Context) (now, newest time.Time, err error)
	// Sweep is called at the start and every hour; nil: nothing is.
	Sweep func(context.Context) error
	// Look is how long the clock sleeps at most; zero: 15 seconds.
	Look time.Duration
}

// clock records for one organisation.
type clock struct {
	org *organisation.Organisation
	Options
	log   *slog.Logger
	swept time.Time // by a clock that nobody sets; zero: never
	// still is how often in a row it was waited for a deadline that the machine's
	// clock had then not reached: it stands still, or was put back.
	still int
	// ahead is by how much our clock was found to be ahead of the log's.
	ahead time.Duration
}

// Run records what deadlines bring until ctx ends or the organisation is
// halted. First it records what they brought while nobody ran.
func Run(ctx context.Context, o *organisation.Organisation, opt Options) {
	c := &clock{org: o, Options: opt, log: o.Log()}
	if c.Late == nil {
		c.Late = func(time.Duration) {}
	}
	c.Look = cmp.Or(c.Look, lookEvery)
	pause := leastPause
	for ctx.Err() == nil && o.Halted() == nil {
		if err := c.once(ctx); err != nil {
			if ctx.Err() != nil || o.Halted() != nil {
				return
			}
			c.log.Warn("what deadlines have brought is recorded later; nothing holds for longer because of it", "error", err, "again_in", pause)
			sleep(ctx, pause/2+rand.N(pause/2))
			pause = min(2*pause, mostPause)
			continue
		}
		pause = leastPause
	}
}

// once records whatever is due, sweeps if it is time to, and waits until there
// may be something new.
func (c *clock) once(ctx context.Context) error {
	for {
		more, err := c.record(ctx)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	if c.Sweep != nil && (c.swept.IsZero() || time.Since(c.swept) >= sweepEvery) {
		if err := c.Sweep(ctx); err != nil {
			return err
		}
		c.swept = time.Now()
	}
	return c.wait(ctx)
}

// record records what is due by now, as much as one commit takes, and tells
// whether there is more.
func (c *clock) record(ctx context.Context) (more bool, err error) {
	c.ahead = 0 // unless it still is
	due, now, _ := c.look()
	if due.IsZero() || due.After(now) {
		return false, nil
	}
	if c.ahead, err = c.lead(ctx); err != nil {
		return false, err
	}
	if due, now, _ = c.look(); due.IsZero() || due.After(now) {
		return false, nil
	}
	m := domain.Meta{Actor: domain.System("clock"), Now: now}
	recorded := 0
	_, err = c.org.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		facts := s.Lapse(m) // each stands alone
		facts = facts[:min(len(facts), MaxFacts)]
		recorded = len(facts)
		return facts, nil
	})
	if err != nil {
		return false, err
	}
	if recorded == 0 { // by another replica
		if again, _, _ := c.look(); again.Equal(due) {
			return false, errStuck
		}
		return true, nil
	}
	c.Late(max(0, c.org.Now().Sub(due)))
	return true, nil
}

// lead is by how much our clock is ahead of the log's.
func (c *clock) lead(ctx context.Context) (time.Duration, error) {
	if c.Log == nil {
		return 0, nil
	}
	asked := c.org.Now()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	theirs, _, err := c.Log(ctx)
	return max(0, asked.Sub(theirs)), err
}

// errStuck is a deadline that has passed and brings nothing, which would have us
// look again at once, and for ever.
var errStuck = errors.New("a deadline has passed, and nothing follows from it")

// look is the next deadline, what time it is for the control state, and where in
// the log that holds.
func (c *clock) look() (due, now time.Time, at domain.Head) {
	c.org.Read(func(s *control.State, h domain.Head) {
		due, now, at = s.Due(), s.Later(c.org.Now().Add(-c.ahead)), h
	})
	return due, now, at
}

// wait returns when the next deadline has come, the state has changed, or it is
// time to look at the clock again.
func (c *clock) wait(ctx context.Context) error {
	due, now, at := c.look()
	d := c.Look
	if !due.IsZero() {
		d = min(d, max(due.Sub(now), time.Millisecond<<min(c.still, 14)))
	}
	waiting, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := c.org.WaitControl(waiting, at.Control)
	if waiting.Err() == nil {
		c.still = 0
		return err
	}
	if due, now, _ = c.look(); due.After(now) && d < c.Look {
		c.still++
	} else {
		c.still = 0
	}
	return nil
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
