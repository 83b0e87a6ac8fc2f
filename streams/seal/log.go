package seal

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport.dev/domain"
)

// Options say where a log is sealed and how.
type Options struct {
	Dir    string        // DATA/seal/<org>; made where it is missing
	Origin string        // <host of base_url>/orgs/<org>
	Signer crypto.Signer // Ed25519
	Log    *slog.Logger  // nil: slog.Default
	// Every is after how many events a checkpoint is due, 0: 1,000; Within is the
	// longest that an event waits for one, 0: 10 s. Where more than Every events
	// come at once, one checkpoint covers them all.
	Every  int
	Within time.Duration
	// SegmentBytes is how large a segment grows before it is compressed; 0: 16 MiB.
	SegmentBytes int64
	Now          func() time.Time // nil: time.Now
}

// pace is the least time between two checkpoints: each costs four fsyncs, on a
// disk that every token waits for.
const pace = 100 * time.Millisecond

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Every == 0 {
		o.Every = 1000
	}
	if o.Within == 0 {
		o.Within = 10 * time.Second
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 16 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Log seals one log: a reader of it (Applied, Apply), fed by one goroutine; the
// rest is safe for concurrent use. Once something cannot be written it seals no
// more ([Log.Err], [Log.Failed]): close it, and open it again when there is
// room. Nothing is lost by that, since the log itself is what it reads from.
type Log struct {
	o      Options
	signer *signer

	// mu guards what follows, while files are written, too; told is what is told of
	// it meanwhile, so that nobody waits for a disk to learn that it is slow.
	mu       sync.Mutex
	told     atomic.Pointer[standing]
	cp       Checkpoint // the newest
	tree     *tree
	segment  *segmentWriter // nil until there is something to write
	history  *os.File
	applied  uint64    // sequence of the last commit taken in
	since    time.Time // when the first event that no checkpoint covers came
	sealedAt time.Time // when the newest checkpoint was made
	due      *time.Timer
	err      error
	failed   chan struct{}
	closed   bool
}

// standing is how far a log is sealed.
type standing struct {
	cp      Checkpoint
	applied uint64
	waiting uint64    // events
	since   time.Time // zero if none waits
	err     error
}

// tell makes known how far it is. The caller holds the mutex.
func (l *Log) tell() {
	s := &standing{cp: l.cp, applied: l.applied, waiting: l.unsealed(), err: l.err}
	if s.waiting > 0 {
		s.since = l.since
	}
	l.told.Store(s)
}

// Open opens the folder, or makes it. What lies behind the newest checkpoint is
// cut off. A *[domain.Damage] is returned where the newest checkpoint, or its
// verifier, is not what the folder's other files and the key bear out; a
// program that was killed never leaves that.
func Open(o Options) (*Log, error) {
	l := &Log{o: o.withDefaults(), failed: make(chan struct{})}
	if err := l.open(); err != nil {
		l.release()
		if domain.Damaged(err) != nil {
			return nil, err
		}
		return nil, fmt.Errorf("opening the seal in %s: %w", o.Dir, cmp.Or(unreadable(err), err))
	}
	l.tell()
	l.due = time.AfterFunc(time.Hour, l.whenDue)
	l.due.Stop()
	return l, nil
}

func (l *Log) open() error {
	if err := makeDirs(filepath.Join(l.o.Dir, segmentsDir)); err != nil {
		return err
	}
	var verifier string
	var err error
	if l.signer, verifier, err = newSigner(l.o.Origin, l.o.Signer); err != nil {
		return err
	}
	if err := l.openVerifier(verifier); err != nil {
		return err
	}
	cp, _, err := Newest(l.o.Dir)
	if err != nil {
		return l.damage(err, "the newest checkpoint cannot be read")
	}
	l.cp, l.applied = cp, cp.Sequence
	if l.cp.Origin == "" {
		l.cp.Origin = l.o.Origin
	}
	if err := l.openTree(); err != nil {
		return err
	}
	if err := l.openSegments(); err != nil {
		return err
	}
	return l.openHistory()
}

// makeDirs makes a folder and those above it, durably.
func makeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// openVerifier holds the folder's public key against the one that signs.
func (l *Log) openVerifier(verifier string) error {
	name := filepath.Join(l.o.Dir, verifierFile)
	b, err := os.ReadFile(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if _, err := os.Stat(filepath.Join(l.o.Dir, checkpointFile)); err == nil {
			return l.damage(nil, "there is a checkpoint and no verifier beside it")
		}
		return replaceFile(name, []byte(verifier+"\n"))
	case err != nil:
		return err
	case string(b) != verifier+"\n":
		return l.damage(nil, fmt.Sprintf("its checkpoints are signed by another key: the verifier is %q, and the log's key is %q", b, verifier))
	}
	return nil
}

func (l *Log) openTree() (err error) {
	if l.tree, err = openTree(filepath.Join(l.o.Dir, treeFile), int64(l.cp.Size)); err != nil {
		return l.damage(err, "the file of the tree does not reach to the newest checkpoint")
	}
	if l.cp.Size == 0 {
		return nil
	}
	root, err := l.tree.root()
	if err != nil {
		return err
	}
	if root != tlog.Hash(l.cp.Root) {
		return l.damage(errTree, "the file of the tree and the newest checkpoint do not agree")
	}
	return nil
}

// openSegments drops what lies behind the newest checkpoint and goes on behind it.
func (l *Log) openSegments() error {
	all, err := segments(l.o.Dir)
	if err != nil {
		return err
	}
	for len(all) > 0 && all[len(all)-1].sequence > l.cp.Sequence {
		if err := os.Remove(all[len(all)-1].file()); err != nil {
			return err
		}
		all = all[:len(all)-1]
	}
	if l.cp.Size == 0 {
		return nil
	}
	if len(all) == 0 {
		return l.damage(nil, "there are no segments, and a checkpoint that covers some")
	}
	last := all[len(all)-1]
	size, leaves, err := last.scan(l.o.Origin, l.cp.Sequence)
	if err != nil {
		return l.damage(err, "segment "+filepath.Base(last.file())+" is not what was sealed")
	}
	if leaves != l.cp.Size {
		return l.damage(nil, fmt.Sprintf("segment %s leads to %d events, and the newest checkpoint says %d", filepath.Base(last.file()), leaves, l.cp.Size))
	}
	if last.compressed { // a crash may have left the plain file beside it
		if err := os.Remove(last.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	l.segment, err = resumeSegment(last, size)
	return err
}

// scan reads the records up to and with that sequence, and tells where they end
// and how many events there are in this segment and all before it.
func (s segment) scan(origin string, to uint64) (size int64, leaves uint64, err error) {
	r, err := openSegment(s, origin)
	if err != nil {
		return 0, 0, err
	}
	defer r.close()
	for leaves = s.leaf; r.last < to; {
		rec, err := r.next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("it ends with commit %d, and the newest checkpoint covers %d", r.last, to)
			}
			return 0, 0, err
		}
		events, err := domain.SplitBatch(rec.Body)
		if err != nil {
			return 0, 0, err
		}
		leaves += uint64(len(events))
	}
	return r.read, leaves, nil
}

// openHistory holds the last line of the history against the newest checkpoint,
// and adds what a crash kept from being added.
func (l *Log) openHistory() (err error) {
	if l.history, err = os.OpenFile(filepath.Join(l.o.Dir, historyFile), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	line, end, err := lastLine(l.history)
	if err != nil {
		return err
	}
	if err := l.history.Truncate(end); err != nil {
		return err
	}
	if _, err := l.history.Seek(end, io.SeekStart); err != nil {
		return err
	}
	var was Checkpoint
	if line != "" {
		_, verifier, err := newSigner(l.o.Origin, l.o.Signer)
		if err != nil {
			return err
		}
		if was, err = parseLine(line, verifier); err != nil {
			return l.damage(err, "the last line of the history of checkpoints cannot be trusted")
		}
	}
	if err := Consistent(was, l.cp); err != nil {
		return l.damage(err, "the history of checkpoints and the newest one do not agree")
	}
	if was.Size == l.cp.Size {
		return nil
	}
	// A checkpoint was put in place and its line was not written.
	_, signature, err := l.signer.note(l.cp)
	if err != nil {
		return err
	}
	_, err = l.history.WriteString(historyLine(l.cp, signature))
	return err
}

// Consistent tells whether newer may follow older, or be the same, by what the
// two say alone: a checkpoint never goes back, and two of the same size have the
// same root. Two that break this were signed for two different logs.
func Consistent(older, newer Checkpoint) error {
	switch {
	case older.Size > newer.Size || older.Sequence > newer.Sequence:
		return fmt.Errorf("the checkpoint went back from %d events (commit %d) to %d (commit %d)", older.Size, older.Sequence, newer.Size, newer.Sequence)
	case older.Size == newer.Size && older.Size > 0 && (older.Root != newer.Root || older.Sequence != newer.Sequence):
		return fmt.Errorf("the log was forked: there are two checkpoints of %d events, with the roots %s and %s",
			newer.Size, tlog.Hash(older.Root), tlog.Hash(newer.Root))
	}
	return nil
}

// damage is an error about this folder.
func (l *Log) damage(err error, found string) error { return Damage(l.o.Dir, err, found) }

// Damage is an error about a folder, not about the log that it seals. The log
// may be whole; that it is cannot be proven until the folder is. Where err says that
// a file could not be read at all, it is an [*UnreadableError] instead.
func Damage(dir string, err error, found string) error {
	if err := unreadable(err); err != nil {
		return err
	}
	return &domain.Damage{
		Log: filepath.Base(dir), Check: "seal", Found: "in " + dir + ": " + found, Err: err,
		Repair: "stop the server and run `sallyportd log verify`; restore the data directory from a backup with `sallyportd restore`, " +
			"or, if nobody can have changed the log, have it sealed again with `sallyportd log repair --reseal`; docs/howto-checkpoints.md tells more",
	}
}

// Applied is the sequence of the last commit taken in; right after Open that of
// the newest checkpoint, from where the log is read on.
func (l *Log) Applied() uint64 { return l.told.Load().applied }

// Newest is the newest checkpoint; its Size is 0 before the first.
func (l *Log) Newest() Checkpoint { return l.told.Load().cp }

// Lag is how many events were taken in that no checkpoint covers yet, and since
// when the first of them waits.
func (l *Log) Lag() (events uint64, since time.Time) {
	s := l.told.Load()
	return s.waiting, s.since
}

func (l *Log) unsealed() uint64 { return uint64(l.tree.leaves) - l.cp.Size }

// Err is why nothing more is sealed; nil while it goes on.
func (l *Log) Err() error { return l.told.Load().err }

// Failed is closed when Err is set.
func (l *Log) Failed() <-chan struct{} { return l.failed }

// Apply takes commits in, each the next one; their checkpoint follows when it is due.
func (l *Log) Apply(commits []domain.Commit) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.closed {
		return errors.Join(l.err, errClosed(l.closed))
	}
	for _, c := range commits {
		if err := l.add(c); err != nil {
			return l.fail(fmt.Errorf("sealing commit %d: %w", c.Sequence, err))
		}
	}
	l.tell()
	return l.checkpointOrWait()
}

func errClosed(closed bool) error {
	if closed {
		return errors.New("the seal is closed")
	}
	return nil
}

func (l *Log) add(c domain.Commit) (err error) {
	if c.Sequence != l.applied+1 {
		return fmt.Errorf("it comes after %d", l.applied)
	}
	if l.segment == nil {
		if l.segment, err = createSegment(l.o.Dir, l.o.Origin, c.Sequence, uint64(l.tree.leaves)); err != nil {
			return err
		}
	}
	if l.unsealed() == 0 {
		l.since = time.Now()
	}
	if err := l.segment.append(Record{c.Sequence, c.Subject, c.Header, c.StoredAt, c.Body}); err != nil {
		return err
	}
	for i := range c.Events {
		if err := l.tree.add(Leaf(c.Subject, domain.Position{Sequence: c.Sequence, Index: i}, len(c.Events), c.Events[i].Stored)); err != nil {
			return err
		}
	}
	l.applied = c.Sequence
	return nil
}

// checkpointOrWait makes a checkpoint if one is due, and otherwise sees to it
// that one is made when it is. The caller holds the mutex.
func (l *Log) checkpointOrWait() error {
	waiting := l.unsealed()
	if waiting == 0 {
		return nil
	}
	wait := l.o.Within - time.Since(l.since)
	if waiting >= uint64(l.o.Every) {
		wait = min(wait, pace-time.Since(l.sealedAt))
	}
	if wait > 0 {
		l.due.Reset(wait)
		return nil
	}
	return l.fail(l.checkpoint())
}

// whenDue is the timer's.
func (l *Log) whenDue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && !l.closed {
		_ = l.checkpointOrWait() // kept in err
	}
}

// checkpoint makes everything taken in durable and signs it.
func (l *Log) checkpoint() error {
	if err := errors.Join(l.segment.sync(), l.tree.sync()); err != nil {
		return fmt.Errorf("writing what is sealed: %w", err)
	}
	root, err := l.tree.root()
	if err != nil {
		return err
	}
	cp := Checkpoint{Origin: l.o.Origin, Size: uint64(l.tree.leaves), Root: root, Sequence: l.applied, Time: l.o.Now().UTC().Truncate(time.Second)}
	if err := Consistent(l.cp, cp); err != nil {
		return err // cannot be, and must not be signed
	}
	msg, signature, err := l.signer.note(cp)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(l.o.Dir, checkpointFile), msg); err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	l.cp, l.sealedAt = cp, time.Now()
	l.tell()
	if _, err := l.history.WriteString(historyLine(cp, signature)); err != nil {
		return fmt.Errorf("writing the history of checkpoints: %w", err)
	}
	if l.segment.size >= l.o.SegmentBytes {
		full := l.segment
		l.segment = nil
		return full.finish()
	}
	return nil
}

// fail keeps the first error. The caller holds the mutex.
func (l *Log) fail(err error) error {
	if err != nil && l.err == nil {
		l.err = err
		l.tell()
		close(l.failed)
	}
	return err
}

// Checkpoint seals at once whatever no checkpoint covers yet.
func (l *Log) Checkpoint() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.closed || l.unsealed() == 0 {
		return errors.Join(l.err, errClosed(l.closed))
	}
	return l.fail(l.checkpoint())
}

// Close seals what is left and closes the folder. It may be called more than once.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	l.due.Stop()
	var err error
	if l.err == nil && l.unsealed() > 0 {
		err = l.fail(l.checkpoint())
	}
	return errors.Join(err, l.release())
}

// release closes the files.
func (l *Log) release() error {
	var errs []error
	if l.segment != nil {
		errs = append(errs, l.segment.close())
	}
	if l.tree != nil {
		errs = append(errs, l.tree.f.Close())
	}
	if l.history != nil {
		errs = append(errs, l.history.Sync(), l.history.Close())
	}
	return errors.Join(errs...)
}
