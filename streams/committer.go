package streams

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"sallyport.dev/domain"
)

// State is what decisions are made on: a fold of the log that tells how far it got.
type State[S any] interface {
	// Read calls f with the state and its head; both stand still until f returns.
	Read(f func(S, domain.Head))
	// Wait returns once the commit with that sequence is folded.
	Wait(ctx context.Context, seq uint64) error
}

// Decision is made under [State.Read] and may be called again on a newer state,
// so it must have no effect but its answer. An error is answered to the caller
// and nothing is recorded; no facts and no error likewise.
//
// spend names what these facts spend, where that may be spent once, and is empty
// otherwise. The decision must refuse a key that s says is spent.
type Decision[S any] func(s S) (facts []domain.Fact, spend string, err error)

// CommitterOptions bounds a [Committer].
type CommitterOptions struct {
	Queue int // decisions that may wait; 0: 1024
}

// Bounds of one activity commit (a larger one replays badly), of the wait for
// the fold, and of the patience with a commit in flight when closing.
const (
	maxBatch       = 64
	maxBatchBytes  = 64 << 10
	foldWithin     = 8 * time.Second
	closeWithin    = 5 * time.Second
	defaultWaiting = 1024
)

// Committer records decisions about activity, many to a commit: one commit is in
// flight, and whatever waits when it is acknowledged makes the next one, so
// nobody waits for a timer. All decisions of a commit are made at one control
// position, and the log refuses the commit if that is no longer the last one;
// they are then made again.
//
// A single use: the commit must be the very next one after the state it was
// decided on, so every earlier spend was seen, and no two decisions of a
// commit may spend the same key, so no later one is hidden in it. The second of two waits
// for the next commit and is decided on a state that has the first.
//
// It is safe for concurrent use. An organisation needs one in a process.
type Committer[S any] struct {
	j     *Journal
	st    State[S]
	queue chan *ticket[S]
	quit  chan struct{}
	done  chan struct{}

	closing sync.RWMutex // held for reading while a ticket is put into the queue
	closed  bool

	// What follows belongs to the committing goroutine.
	carry    []*ticket[S] // to be decided before anything in the queue
	own      uint64       // sequence of our own last commit
	spending bool         // the last batch had a spend: fold our own commit before deciding
	crowded  bool         // a batch with spends was refused: let the others go first once
	refused  int          // refusals in a row
}

// ticket is one decision that waits, and where its caller waits.
type ticket[S any] struct {
	ctx    context.Context
	m      domain.Meta
	decide Decision[S]
	state  atomic.Int32 // waiting, taken or gone
	answer chan answer  // holds one

	facts []domain.Fact
	spend string
	err   error
}

type answer struct {
	at  domain.Position
	err error
}

const (
	waiting int32 = iota
	taken         // in a commit that is being made; its caller can no longer take it back
	gone          // its caller left before
)

// NewCommitter starts the committer of one organisation in this process.
func NewCommitter[S any](j *Journal, st State[S], o CommitterOptions) *Committer[S] {
	if o.Queue <= 0 {
		o.Queue = defaultWaiting
	}
	c := &Committer[S]{
		j: j, st: st, queue: make(chan *ticket[S], o.Queue),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	go c.run()
	return c
}

// Record has d decided and its facts recorded, all or none, fenced on the control
// position they were decided at. It returns the position of the last fact once
// they are on disk, and the zero position where d had nothing to record.
//
// The caller must not let out what it had decided unless this returns without an
// error. [ErrFull] and [ErrUnavailable] say that nothing was stored; so does an
// error of d itself. [ErrUnclear] leaves that open, as at [Journal.Commit], and
// is also the answer when ctx ends while the commit is under way. When ctx ends
// before, d is dropped and the error is [ErrUnavailable] and that of ctx.
func (c *Committer[S]) Record(ctx context.Context, m domain.Meta, d Decision[S]) (domain.Position, error) {
	t := &ticket[S]{ctx: ctx, m: m, decide: d, answer: make(chan answer, 1)}
	if err := c.enqueue(t); err != nil {
		return domain.Position{}, err
	}
	select {
	case a := <-t.answer:
		return a.at, a.err
	case <-ctx.Done():
	}
	if t.state.CompareAndSwap(waiting, gone) {
		return domain.Position{}, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	select {
	case a := <-t.answer: // it came just now
		return a.at, a.err
	default:
		return domain.Position{}, fmt.Errorf("%w: %w", ErrUnclear, ctx.Err())
	}
}

func (c *Committer[S]) enqueue(t *ticket[S]) error {
	c.closing.RLock()
	defer c.closing.RUnlock()
	if c.closed {
		return fmt.Errorf("%w: the committer is %w", ErrUnavailable, ErrClosed)
	}
	select {
	case c.queue <- t:
		return nil
	default:
		return ErrFull
	}
}

// Close stops the committer. A commit in flight is given five seconds; what
// waits is answered with [ErrUnavailable].
func (c *Committer[S]) Close() {
	c.closing.Lock()
	if !c.closed {
		c.closed = true
		close(c.quit)
	}
	c.closing.Unlock()
	<-c.done
}

func (c *Committer[S]) run() {
	defer close(c.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-c.quit
		time.AfterFunc(closeWithin, cancel)
	}()
	for c.await() {
		c.round(ctx, c.take())
	}
	for _, t := range c.rest() {
		t.reply(domain.Position{}, fmt.Errorf("%w: the committer is %w", ErrUnavailable, ErrClosed))
	}
}

// await returns when something waits; false when the committer is to stop.
func (c *Committer[S]) await() bool {
	select {
	case <-c.quit:
		return false
	default:
	}
	if len(c.carry) > 0 {
		return true
	}
	select {
	case t := <-c.queue:
		c.carry = append(c.carry, t)
		return true
	case <-c.quit:
		return false
	}
}

// take takes what waits, up to one batch. What is left of a batch with spends
// that was refused goes behind the decisions without, once, so that a rush of
// spends on other replicas holds up nobody else.
func (c *Committer[S]) take() []*ticket[S] {
	runtime.Gosched() // whoever was just answered and has more is about to say so
	for len(c.carry) < maxBatch && len(c.queue) > 0 {
		c.carry = append(c.carry, <-c.queue)
	}
	var batch, rest []*ticket[S]
	apart := c.crowded && c.anyPlain()
	for _, t := range c.carry {
		if len(batch) == maxBatch || apart && t.spend != "" {
			rest = append(rest, t)
		} else if t.state.CompareAndSwap(waiting, taken) {
			batch = append(batch, t)
		}
	}
	c.carry, c.crowded = rest, false
	return batch
}

func (c *Committer[S]) anyPlain() bool {
	for _, t := range c.carry {
		if t.spend == "" {
			return true
		}
	}
	return false
}

// rest takes everything that still waits.
func (c *Committer[S]) rest() []*ticket[S] {
	for len(c.queue) > 0 {
		c.carry = append(c.carry, <-c.queue)
	}
	return c.carry
}

// release gives decisions that were taken back to the head of the line. A caller
// who has left meanwhile was told that the outcome is unclear.
func (c *Committer[S]) release(ts []*ticket[S]) {
	back := make([]*ticket[S], 0, len(ts)+len(c.carry))
	for _, t := range ts {
		if t.ctx.Err() == nil {
			t.state.Store(waiting)
			back = append(back, t)
		} else {
			t.reply(domain.Position{}, fmt.Errorf("%w: %w", ErrUnavailable, t.ctx.Err()))
		}
	}
	c.carry = append(back, c.carry...)
}

// round decides a batch and records it, or gives it back to be decided again.
func (c *Committer[S]) round(ctx context.Context, batch []*ticket[S]) {
	if c.spending {
		if err := c.fold(ctx, c.own); err != nil {
			fail(batch, err)
			return
		}
	}
	head, batch := c.decideAll(batch)
	batch, spends := c.apart(batch)
	if c.spending = spends; spends && head.Stream < c.own {
		c.release(batch) // our own last commit is not folded: it would be refused
		return
	}
	p, batch := c.pack(batch, head, spends)
	if len(batch) == 0 {
		return
	}
	begun := time.Now()
	seq, err := c.j.publish(ctx, p)
	switch {
	case errors.Is(err, ErrConflict):
		c.again(ctx, batch, spends)
	case err != nil:
		fail(batch, err)
	default:
		c.own, c.refused = seq, 0
		c.stored(batch, time.Since(begun))
		confirm(batch, seq)
	}
}

// stored tells whoever counts what a batch recorded.
func (c *Committer[S]) stored(batch []*ticket[S], took time.Duration) {
	if c.j.o.Stored == nil {
		return
	}
	var facts []domain.Fact
	for _, t := range batch {
		facts = append(facts, t.facts...)
	}
	c.j.o.Stored(facts, took)
}

// decideAll makes every decision at one head and answers those that record nothing.
func (c *Committer[S]) decideAll(batch []*ticket[S]) (domain.Head, []*ticket[S]) {
	var head domain.Head
	c.st.Read(func(s S, h domain.Head) {
		head = h
		for _, t := range batch {
			t.facts, t.spend, t.err = decide(t.decide, s)
		}
	})
	kept := batch[:0]
	for _, t := range batch {
		if t.err != nil || len(t.facts) == 0 {
			t.reply(domain.Position{}, t.err)
		} else {
			kept = append(kept, t)
		}
	}
	return head, kept
}

// decide turns a panic of one decision into its caller's error.
func decide[S any](d Decision[S], s S) (facts []domain.Fact, spend string, err error) {
	defer func() {
		if p := recover(); p != nil {
			facts, err = nil, fmt.Errorf("a decision panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return d(s)
}

// apart keeps the first decision of each key that is spent and gives the others back.
func (c *Committer[S]) apart(batch []*ticket[S]) (kept []*ticket[S], spends bool) {
	keys := map[string]bool{}
	var later []*ticket[S]
	for _, t := range batch {
		if t.spend != "" && keys[t.spend] {
			later = append(later, t)
			continue
		}
		if t.spend != "" {
			keys[t.spend] = true
		}
		kept = append(kept, t)
	}
	if later != nil {
		c.release(later)
	}
	return kept, len(keys) > 0
}

// pack makes one commit of as many decisions as it may hold, one in any case,
// and gives the others back.
func (c *Committer[S]) pack(batch []*ticket[S], head domain.Head, spends bool) (*proposal, []*ticket[S]) {
	id := c.j.ids.next()
	var events [][]byte
	var in, later []*ticket[S]
	size := 0
	for i, t := range batch {
		enc, err := c.j.encode(id, t.m, t.facts)
		if n := total(enc); err == nil && n > MaxCommitBytes {
			_, err = c.j.compose(id, enc)
		} else if err == nil && len(in) > 0 && (len(events)+len(enc) > maxBatch || size+n > maxBatchBytes) {
			later = batch[i:]
			break
		}
		if err != nil {
			t.reply(domain.Position{}, err)
			continue
		}
		in, events, size = append(in, t), append(events, enc...), size+total(enc)
	}
	c.release(later)
	if len(in) == 0 {
		return nil, nil
	}
	p, err := c.j.compose(id, events)
	if err != nil {
		fail(in, err)
		return nil, nil
	}
	p.onActivity(c.j, head, spends)
	return p, in
}

func total(events [][]byte) (n int) {
	for _, e := range events {
		n += len(e) + 1
	}
	return n
}

// again folds what the log has by now and gives the batch back to be decided again.
func (c *Committer[S]) again(ctx context.Context, batch []*ticket[S], spends bool) {
	last, read := uint64(0), c.j.LastControl
	if spends {
		c.crowded, read = true, c.j.Last
	}
	last, err := read(ctx)
	if err == nil {
		err = c.fold(ctx, last)
	}
	if err != nil {
		fail(batch, err)
		return
	}
	_ = pause(ctx, backoff(min(c.refused, 3)))
	c.refused++
	c.release(batch)
}

// fold waits until the state has the commit with that sequence.
func (c *Committer[S]) fold(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, foldWithin)
	defer cancel()
	defer context.AfterFunc(c.j.c.disk.alarm(), cancel)()
	if err := c.st.Wait(ctx, seq); err != nil {
		return fmt.Errorf("%w: folding commit %d: %w", ErrUnavailable, seq, err)
	}
	return nil
}

// confirm tells every caller of a stored commit where its facts are.
func confirm[S any](batch []*ticket[S], seq uint64) {
	at := domain.Position{Sequence: seq, Index: -1}
	for _, t := range batch {
		at.Index += len(t.facts)
		t.reply(at, nil)
	}
}

func fail[S any](batch []*ticket[S], err error) {
	for _, t := range batch {
		t.reply(domain.Position{}, err)
	}
}

// reply answers a decision; it never blocks, and happens once.
func (t *ticket[S]) reply(at domain.Position, err error) { t.answer <- answer{at, err} }
