package seal

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport.dev/domain"
)

// Records yields the sealed commits from a sequence on, in order, up to the
// newest checkpoint, each after every event in it was held against the tree,
// and the tree against the checkpoint. It may run beside a sealer. An error is
// the last thing it yields; a *[domain.Damage] says that the folder is not whole.
func Records(dir string, from uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		r, err := openReader(dir, from)
		if err != nil {
			yield(Record{}, err)
			return
		}
		defer r.close()
		for {
			rec, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil && rec.Sequence < from {
				continue
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// reader reads a folder from the beginning of a segment on, and proves what it reads.
type reader struct {
	dir    string
	cp     Checkpoint
	ahead  []segment // not begun
	cur    *segmentReader
	curIs  segment
	proven *proven
	done   uint64 // sequence of the last commit read
	leaves uint64 // events read, with those before the beginning
}

// openReader begins with the segment that the commit with that sequence lies
// in, or the first; behind the newest checkpoint there is nothing to read.
func openReader(dir string, from uint64) (*reader, error) {
	cp, found, err := Newest(dir)
	if err != nil {
		return nil, Damage(dir, err, "the newest checkpoint cannot be read")
	}
	r := &reader{dir: dir, cp: cp}
	if !found {
		return r, nil
	}
	all, err := segments(dir)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 || all[0].sequence != 1 || all[0].leaf != 0 {
		return nil, Damage(dir, nil, "the first segment is missing")
	}
	at := 0
	for i, s := range all {
		if s.sequence <= from && s.sequence <= cp.Sequence {
			at = i
		}
	}
	r.ahead, r.done, r.leaves = all[at:], all[at].sequence-1, all[at].leaf
	if r.proven, err = openProven(filepath.Join(dir, treeFile), cp, r.leaves); err != nil {
		return nil, Damage(dir, err, "the file of the tree is not what was sealed")
	}
	return r, nil
}

func (r *reader) next() (Record, error) {
	for r.done < r.cp.Sequence {
		if r.cur == nil {
			if err := r.begin(); err != nil {
				return Record{}, err
			}
		}
		rec, err := r.cur.next()
		if errors.Is(err, io.EOF) {
			r.cur.close()
			r.cur = nil
			continue
		}
		if err != nil {
			return Record{}, r.damage(err, r.done+1)
		}
		return rec, r.prove(rec)
	}
	return Record{}, io.EOF
}

// begin opens the next segment, which must begin where the last one ended.
func (r *reader) begin() error {
	if len(r.ahead) == 0 {
		return Damage(r.dir, nil, fmt.Sprintf("the segments end with commit %d, and the newest checkpoint covers %d", r.done, r.cp.Sequence))
	}
	s := r.ahead[0]
	r.ahead = r.ahead[1:]
	if s.sequence != r.done+1 || s.leaf != r.leaves {
		return Damage(r.dir, nil, fmt.Sprintf("commits %d to %d are missing: the segment before %s ends with commit %d and %d events",
			r.done+1, s.sequence-1, filepath.Base(s.file()), r.done, r.leaves))
	}
	cur, err := openSegment(s, r.cp.Origin)
	if err != nil {
		return r.damage(err, s.sequence)
	}
	r.cur, r.curIs = cur, s
	return nil
}

// prove holds the events of a record against the tree.
func (r *reader) prove(rec Record) error {
	events, err := domain.SplitBatch(rec.Body)
	if err != nil {
		return r.damage(err, rec.Sequence)
	}
	for i, e := range events {
		if r.leaves >= r.cp.Size {
			return r.damage(errors.New("it has events behind the newest checkpoint"), rec.Sequence)
		}
		want, err := r.proven.leaf()
		if err != nil {
			return r.damage(err, rec.Sequence)
		}
		at := domain.Position{Sequence: rec.Sequence, Index: i}
		if tlog.RecordHash(Leaf(rec.Subject, at, len(events), e)) != want {
			return r.damage(fmt.Errorf("event %s is not what was sealed", at), rec.Sequence)
		}
		r.leaves++
	}
	r.done = rec.Sequence
	if r.done == r.cp.Sequence && r.leaves != r.cp.Size {
		return r.damage(fmt.Errorf("it is the last one sealed and leads to %d events, not to %d", r.leaves, r.cp.Size), rec.Sequence)
	}
	return nil
}

func (r *reader) damage(err error, sequence uint64) error {
	name := filepath.Base(r.curIs.file())
	err = Damage(r.dir, err, "segment "+name+" is not what was sealed")
	if d := domain.Damaged(err); d != nil {
		d.Sequence = sequence
	}
	return err
}

func (r *reader) close() {
	if r.cur != nil {
		r.cur.close()
	}
	if r.proven != nil {
		r.proven.close()
	}
}

// Report is what [Verify] found whole.
type Report struct {
	Checkpoint  Checkpoint
	Checkpoints int // in the history; 0 where that was not read
	Segments    int
	Commits     uint64
	Events      uint64
}

// Verify checks a folder by itself, with nothing but its files: the signature of
// every checkpoint, that each is a beginning of the next, every hash of the
// tree, every record of the segments. progress, if not nil, is told after each
// commit how many events are done of how many. It may run beside a sealer.
func Verify(dir string, progress func(done, total uint64)) (Report, error) {
	return verify(dir, true, progress)
}

// Reread is [Verify] without the older checkpoints: what finds a disk that rots,
// and takes no longer however many checkpoints there are.
func Reread(dir string, progress func(done, total uint64)) (Report, error) {
	return verify(dir, false, progress)
}

func verify(dir string, history bool, progress func(done, total uint64)) (Report, error) {
	r, err := openReader(dir, 0)
	if err != nil {
		return Report{}, err
	}
	defer r.close()
	report := Report{Checkpoint: r.cp, Segments: len(r.ahead)}
	if r.cp.Size == 0 {
		return report, nil
	}
	if history {
		if report.Checkpoints, err = verifyHistory(dir, r.cp); err != nil {
			return report, err
		}
	}
	for {
		_, err := r.next()
		if errors.Is(err, io.EOF) {
			return report, nil
		}
		if err != nil {
			return report, err
		}
		report.Commits++
		report.Events = r.leaves
		if progress != nil {
			progress(r.leaves, r.cp.Size)
		}
	}
}

// verifyHistory shows that each checkpoint there ever was is a beginning of the newest.
func verifyHistory(dir string, newest Checkpoint) (n int, err error) {
	t, err := openTreeToRead(dir)
	if err != nil {
		return 0, Damage(dir, err, "the file of the tree cannot be read")
	}
	defer t.f.Close()
	var last Checkpoint
	for cp, err := range History(dir) {
		if err != nil {
			return n, Damage(dir, err, "the history of checkpoints is not what was signed")
		}
		if cp.Size > newest.Size {
			break // made since we began
		}
		root, err := tlog.TreeHash(int64(cp.Size), t)
		if err == nil && root != tlog.Hash(cp.Root) {
			err = fmt.Errorf("the checkpoint of %d events has the root %s, and the tree has %s there", cp.Size, tlog.Hash(cp.Root), root)
		}
		if err := errors.Join(err, Consistent(last, cp)); err != nil {
			return n, Damage(dir, err, "the history of checkpoints and the tree do not agree")
		}
		last = cp
		n++
	}
	return n, nil
}
