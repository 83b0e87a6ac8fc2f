package trail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
)

// ErrSetAside tells that the file was corrupt, was set aside, and an empty one
// is in its place: Applied is 0, and whoever follows the log follows it again from there.
var ErrSetAside = errors.New("the audit trail was corrupt and set aside; it is folded again from the beginning")

// ErrClosed is the end of a trail that was closed.
var ErrClosed = errors.New("the audit trail is closed")

// errRebuilding answers a reader whose question found the corruption.
var errRebuilding = &domain.Error{
	Kind: domain.KindUnavailable, Code: "audit.rebuilding",
	Message: "The audit trail is being rebuilt from the log; ask again in a moment.",
}

// Trail is the audit trail of one organisation. It is safe for concurrent use:
// any number of readers, and an Apply that never waits for them.
type Trail struct {
	path string
	cat  *events.Catalogue
	log  *slog.Logger

	applying sync.Mutex // one Apply at a time

	opened    *file // what Open found, and as it stood then
	standing  *sql.Tx
	lookOnce  sync.Once
	run       context.Context // ends with Close
	stopCheck context.CancelFunc
	checked   chan struct{} // closed when the file that Open found was looked through

	mu     sync.RWMutex // held for reading while file is used; for writing while it is replaced or closed
	file   *file
	closed bool

	state    sync.Mutex // guards the fields below
	applied  uint64     // sequence of the last commit in file
	setAside bool       // file was replaced and nothing was applied since
	changed  chan struct{}
	done     chan struct{} // closed by Close
	replaced chan struct{} // file was replaced; holds one
}

// Open opens the trail in the file at path, or begins an empty one. A file
// that is corrupt is renamed to path+".corrupt" (replacing the one set aside
// before), one of an older or newer form of ours is removed; the log is told, and
// Applied is 0. It returns an error only where no trail can be had: no
// permission, no space, no such folder. A long file is looked through while it
// is used already ([Trail.Check]): what is wrong deep inside sets it aside then.
//
// The catalogue has to know every type that will be applied. No other process
// may have the file open.
func Open(ctx context.Context, path string, cat *events.Catalogue, log *slog.Logger) (*Trail, error) {
	t := &Trail{path: path, cat: cat, log: log, changed: make(chan struct{}), done: make(chan struct{}), checked: make(chan struct{}),
		replaced: make(chan struct{}, 1)}
	f, applied, err := openFile(ctx, path, log)
	t.run, t.stopCheck = context.WithCancel(context.Background())
	if err == nil {
		if t.standing, err = f.standing(); err != nil {
			f.close()
		}
	}
	if isCorrupt(err) {
		log.Error("audit trail is corrupt: setting it aside and rebuilding it from the log",
			"file", path, "aside", path+asideSuffix, "error", err)
		if err = setAside(path); err == nil {
			f, applied, err = openFile(ctx, path, log)
		}
	}
	if err != nil {
		t.stopCheck()
		return nil, fmt.Errorf("opening the audit trail %s: %w", path, err)
	}
	t.file, t.opened, t.applied = f, f, applied
	return t, nil
}

// Check begins to look through the file as Open found it, which takes some
// seconds for a million events: a server that starts has better things to do
// first. Called again, it does nothing.
func (t *Trail) Check() {
	t.lookOnce.Do(func() { go t.look(t.opened, t.standing) })
}

// look looks through a file. standing is nil where there is nothing to look through.
func (t *Trail) look(f *file, standing *sql.Tx) {
	defer close(t.checked)
	if standing == nil {
		return
	}
	err := check(t.run, standing)
	_ = standing.Rollback() // it wrote nothing; the file is closed only after it
	switch {
	case t.run.Err() != nil:
	case isCorrupt(err):
		if err := t.replace(f, err); err != nil {
			t.log.Error("the audit trail cannot be begun again", "error", err)
		}
	case err != nil:
		t.log.Error("the audit trail could not be looked through", "file", t.path, "error", err)
	}
}

// Checked returns once the file that Open found was looked through to its end,
// and was set aside if it was corrupt. It returns an error when ctx ends before.
func (t *Trail) Checked(ctx context.Context) error {
	select {
	case <-t.checked:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends every wait and subscription with [ErrClosed] and closes the file.
// What was applied is kept. A second Close does nothing. It takes about a
// second for a million events; a process that is killed instead loses nothing.
func (t *Trail) Close() error {
	t.stopCheck()
	t.Check() // nothing is looked at any more
	<-t.checked
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	close(t.done)
	err := t.file.seal(context.Background())
	return errors.Join(err, t.file.close())
}

// Applied is the sequence of the last commit in the trail; 0 before the first.
func (t *Trail) Applied() uint64 {
	t.state.Lock()
	defer t.state.Unlock()
	return t.applied
}

// Wait returns once the commit at seq is in the trail, and with an error when
// ctx ends or the trail is closed before.
func (t *Trail) Wait(ctx context.Context, seq uint64) error {
	for {
		applied, changed := t.watch()
		if applied >= seq {
			return nil
		}
		if err := t.await(ctx, changed); err != nil {
			return err
		}
	}
}

// watch is how far the trail is, and what is closed when it gets further.
func (t *Trail) watch() (applied uint64, changed <-chan struct{}) {
	t.state.Lock()
	defer t.state.Unlock()
	return t.applied, t.changed
}

func (t *Trail) await(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.done:
		return ErrClosed
	}
}

// advance makes seq the last commit applied and wakes whoever waits.
func (t *Trail) advance(seq uint64, setAside bool) {
	t.state.Lock()
	defer t.state.Unlock()
	t.applied, t.setAside = seq, setAside
	close(t.changed)
	t.changed = make(chan struct{})
}

// use runs fn on the open file. If fn finds it corrupt, the file is set aside,
// an empty one takes its place, and use returns replaced.
func (t *Trail) use(fn func(*file) error) (replaced bool, err error) {
	t.mu.RLock()
	f := t.file
	if t.closed {
		t.mu.RUnlock()
		return false, ErrClosed
	}
	err = fn(f)
	t.mu.RUnlock()
	if !isCorrupt(err) {
		return false, err
	}
	return true, t.replace(f, err)
}

// replace sets a corrupt file aside, unless another finder was faster.
func (t *Trail) replace(bad *file, cause error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != bad || t.closed {
		return nil
	}
	t.log.Error("audit trail is corrupt: setting it aside and rebuilding it from the log",
		"file", t.path, "aside", t.path+asideSuffix, "error", cause)
	bad.close() // its own complaints would be about the same corruption
	if err := setAside(t.path); err != nil {
		return fmt.Errorf("setting the corrupt audit trail aside: %w", err)
	}
	f, applied, err := openFile(context.Background(), t.path, t.log)
	if err != nil {
		return fmt.Errorf("beginning a new audit trail: %w", err)
	}
	t.file = f
	t.advance(applied, true)
	select {
	case t.replaced <- struct{}{}:
	default:
	}
	return nil
}

// Replaced receives when the file was set aside while it was used, so that
// whoever feeds the trail begins again without waiting for the next commit.
func (t *Trail) Replaced() <-chan struct{} { return t.replaced }
