package organisation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/projections/control"
	"sallyport.dev/streams"
)

// errIdempotency is answered to a second, different write under one Idempotency-Key.
var errIdempotency = domain.Invalid("idempotency.mismatch",
	"This Idempotency-Key was used for another request within 24 hours: use a new key.")

// Execute decides a command on the control state and records what it decided,
// all of it or nothing; it returns once that is durable and folded here, with
// the position to read from. If somebody else wrote meanwhile, decide is called
// again on the newer state, so it must be a pure function of the state.
//
// A refusal is never given on stale state: before decide's error is passed on,
// the leader has confirmed that this process had folded everything. No facts
// and no error mean that it is so already. [domain.KindUnavailable] means that
// nothing was done, or, with code log.unclear, that it is not known.
func (o *Organisation) Execute(ctx context.Context, m domain.Meta, decide func(*control.State) ([]domain.Fact, error)) (domain.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	ctx, done := o.whileReachable(ctx)
	defer done()
	confirmed := false
	for attempt := 0; ; attempt++ {
		if err := o.trusted(); err != nil {
			return domain.Position{}, err
		}
		facts, head, answered, err := o.decide(m, decide)
		if answered != (domain.Position{}) {
			return answered, nil
		}
		if err != nil || len(facts) == 0 {
			if !confirmed {
				current, freshErr := o.confirm(ctx, head)
				if freshErr != nil {
					return domain.Position{}, freshErr
				}
				if confirmed = true; !current {
					continue // decided on old state: once more, on the state as it was a moment ago
				}
			}
			return domain.Position{Sequence: head.Control}, err
		}
		if err := o.room(kindOf(facts)); err != nil {
			return domain.Position{}, err
		}
		pos, err := o.journal.Commit(ctx, head.Control, m, facts)
		o.writes.note(err)
		if err == nil {
			return pos, o.folded(ctx, pos)
		}
		if !errors.Is(err, streams.ErrConflict) {
			return domain.Position{}, unavailable(err)
		}
		if err := o.backOff(ctx, attempt, head); err != nil {
			return domain.Position{}, err
		}
	}
}

// commandTimeout bounds a command, conflicts and all.
const commandTimeout = 10 * time.Second

// decide asks for the facts on the state as it is here. done is the position of
// the write that already answered this Idempotency-Key.
func (o *Organisation) decide(m domain.Meta, decide func(*control.State) ([]domain.Fact, error)) (facts []domain.Fact, head domain.Head, done domain.Position, err error) {
	o.control.Read(func(s *control.State, h domain.Head) {
		head = h
		if m.Idempotency != nil {
			if was, ok := s.Idempotent(m.Idempotency.Key, m.Now); ok {
				if was.Request != m.Idempotency.Request {
					err = errIdempotency
				} else {
					done = was.Position
				}
				return
			}
		}
		facts, err = decide(s)
	})
	return facts, head, done, err
}

// confirm asks the leader whether at is the end of the log; if not, it waits
// until what is new is folded.
func (o *Organisation) confirm(ctx context.Context, at domain.Head) (current bool, err error) {
	last, err := o.journal.Last(ctx)
	if err != nil {
		return false, unavailable(err)
	}
	if last <= at.Stream {
		return true, nil
	}
	return false, unavailable(o.control.Wait(ctx, last))
}

// backOff waits for what another writer committed and a moment more, so that
// writers on several replicas do not meet again.
func (o *Organisation) backOff(ctx context.Context, attempt int, at domain.Head) error {
	if _, err := o.confirm(ctx, at); err != nil {
		return err
	}
	pause := time.Duration(rand.Int64N(int64(time.Millisecond) << min(attempt, 6)))
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// folded waits until this process has folded a write of its own. The write is
// durable by then, so a fold that is late is not an error of the command.
func (o *Organisation) folded(ctx context.Context, p domain.Position) error {
	if err := o.control.Wait(ctx, p.Sequence); err != nil {
		o.log.Warn("a durable commit is not folded yet", "position", p, "error", err)
	}
	return nil
}

// WaitFor returns once this process has folded everything up to p into both of
// its read models. After five seconds it gives up with [domain.KindUnavailable].
func (o *Organisation) WaitFor(ctx context.Context, p domain.Position) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := o.control.Wait(ctx, p.Sequence); err != nil {
		return notThere(p)
	}
	if err := o.trail.Wait(ctx, p.Sequence); err != nil {
		return notThere(p)
	}
	return nil
}

func notThere(p domain.Position) error {
	return &domain.Error{Kind: domain.KindUnavailable, Code: "position.not_reached",
		Message: fmt.Sprintf("Position %s was not reached within 5 seconds: try again later.", p)}
}

// unavailable makes any failure of the log one that a caller can act on.
func unavailable(err error) error {
	var known *domain.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return fmt.Errorf("%w: %w", errLog, err)
}

// unreachable tells whether err says that the log could not be reached, and nothing
// worse: a log that is not trusted has callers told the same.
func unreachable(err error) bool {
	var known *domain.Error
	return errors.As(err, &known) && known != errHalted && domain.Damaged(err) == nil &&
		(errors.Is(known, streams.ErrUnavailable) || errors.Is(known, streams.ErrUnclear))
}

var errLog = &domain.Error{Kind: domain.KindUnavailable, Code: "log.unavailable",
	Message: "The log cannot be reached at the moment. Try again in a few seconds."}
