package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/notification"
)

// Projection is the control state of one organisation and how far it was
// folded. It is safe for concurrent use.
type Projection struct {
	mu     sync.RWMutex // guards everything below
	state  *State
	head   domain.Head
	fed    bool          // Apply was called: the start is settled
	seeded uint64        // last activity commit seeded
	err    error         // why it stopped; set once
	moved  chan struct{} // closed and replaced whenever head or err changes
	turned chan struct{} // the same, but for activity, which changes nothing that has a deadline
}

// New is the state before the first commit.
func New() *Projection {
	return &Projection{state: newState(), moved: make(chan struct{}), turned: make(chan struct{})}
}

// Read calls f with the state and the place in the log where it holds. The
// state does not change while f runs, and is not to be used afterwards; f must not wait.
func (p *Projection) Read(f func(*State, domain.Head)) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	f(p.state, p.head)
}

// Head is how far the state was folded.
func (p *Projection) Head() domain.Head {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.head
}

// Err is why the projection stopped, nil while it has not.
func (p *Projection) Err() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.err
}

// Applied is the sequence after which [Projection.Apply] continues.
func (p *Projection) Applied() uint64 { return p.Head().Stream }

// Wait returns nil once the commit with that sequence is folded, or why it
// will not be: the projection stopped, or the context ended.
func (p *Projection) Wait(ctx context.Context, seq uint64) error {
	for {
		p.mu.RLock()
		head, err, moved := p.head, p.err, p.moved
		p.mu.RUnlock()
		switch {
		case head.Stream >= seq:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("waiting for sequence %d at %d: %w", seq, head.Stream, ctx.Err())
		}
	}
}

// KeepNotices makes the state keep of what people are to be told. It is called
// before anything is folded.
func (p *Projection) KeepNotices() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.notices = notification.Keeping()
}

// WaitControl returns nil once a control commit after seq is folded, or why none
// will be: the projection stopped, or the context ended.
func (p *Projection) WaitControl(ctx context.Context, seq uint64) error {
	for {
		p.mu.RLock()
		head, err, turned := p.head, p.err, p.turned
		p.mu.RUnlock()
		switch {
		case head.Control > seq:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Seed folds control commits alone, in order, before the follower starts:
// activity between them is left out. [Projection.Apply] then passes over the
// control commits that were seeded, wherever it starts.
func (p *Projection) Seed(commits []domain.Commit) error {
	return p.change(func() error {
		if p.fed {
			return errors.New("seeding the control state after it was applied to")
		}
		for _, c := range commits {
			if !c.Control || c.Sequence <= p.head.Control {
				return fmt.Errorf("seeding commit %d after control commit %d: not a later control commit", c.Sequence, p.head.Control)
			}
			if err := p.fold(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// SeedActivity folds activity commits, in order, after the control commits and
// before the follower starts: those that [Concerns] picks.
func (p *Projection) SeedActivity(commits []domain.Commit) error {
	return p.change(func() error {
		if p.fed {
			return errors.New("seeding the control state after it was applied to")
		}
		for _, c := range commits {
			if c.Control || c.Sequence <= p.seeded {
				return fmt.Errorf("seeding commit %d after activity commit %d: not a later activity commit", c.Sequence, p.seeded)
			}
			if err := p.fold(c); err != nil {
				return err
			}
			p.seeded = c.Sequence
		}
		return nil
	})
}

// StartAfter makes [Projection.Apply] begin with the commit after seq instead
// of the first one. The caller vouches that every control commit up to seq was
// seeded, and every activity commit up to seq that [Concerns] picks and that
// could still matter at that time: those of the day before, and of a proof's longest
// life. What was to be remembered until then is forgotten, as if it had been folded.
func (p *Projection) StartAfter(seq uint64, at time.Time) error {
	return p.change(func() error {
		if p.fed || seq < p.head.Stream {
			return fmt.Errorf("starting after %d: the control state was applied up to %d", seq, p.head.Stream)
		}
		p.head.Stream = seq
		p.state.passed(at)
		return nil
	})
}

// Apply folds commits, contiguous in sequence. One that was folded before is
// passed over; a gap, an unknown event or one that cannot be stops the
// projection, and this and every later call returns why.
func (p *Projection) Apply(commits []domain.Commit) error {
	return p.change(func() error {
		p.fed = true
		for _, c := range commits {
			switch {
			case c.Sequence <= p.head.Stream:
				continue
			case c.Sequence != p.head.Stream+1:
				return fmt.Errorf("commit %d follows commit %d: the log has a gap", c.Sequence, p.head.Stream)
			}
			if !c.Control || c.Sequence > p.head.Control {
				if err := p.fold(c); err != nil {
					return err
				}
			}
			p.head.Stream = c.Sequence
		}
		return nil
	})
}

// fold folds one commit, and its place if it is a control commit.
func (p *Projection) fold(c domain.Commit) error {
	if err := p.state.fold(c); err != nil {
		return fmt.Errorf("folding commit %d: %w", c.Sequence, err)
	}
	if c.Control {
		p.head.Control = c.Sequence
	}
	return nil
}

// change runs f under the lock, stops the projection if it fails, and wakes
// who waits.
func (p *Projection) change(f func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		was := p.head.Control
		p.err = f()
		close(p.moved)
		p.moved = make(chan struct{})
		if p.err != nil || p.head.Control != was {
			close(p.turned)
			p.turned = make(chan struct{})
		}
	}
	return p.err
}
