package seal

import (
	"fmt"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport.dev/domain"
)

// Comparison holds a log against what was sealed of it, commit by commit. The
// tree it compares with was shown, when it was opened, to lead to the root of
// the checkpoint: a log that is compared from its first commit to its end has
// that root, and where one has not, the commit that differs is known.
type Comparison struct {
	log    string
	cp     Checkpoint
	proven *proven
	next   uint64 // sequence
	leaves uint64
}

// Compare begins a comparison at a commit that at least tail events follow
// under the newest checkpoint of the folder; 0 is the whole. It begins where a
// segment does, so some more are compared; a checkpoint of fewer events is
// compared from the first on. Log is what errors call the log. It may run
// beside a sealer; what is sealed meanwhile is not compared. The caller must Close it.
func Compare(dir, log string, tail uint64) (*Comparison, error) {
	cp, found, err := Newest(dir)
	if err != nil {
		return nil, Damage(dir, err, "the newest checkpoint cannot be read")
	}
	c := &Comparison{log: log, cp: cp, next: 1}
	if !found {
		return c, nil
	}
	if tail > 0 && tail < cp.Size {
		all, err := segments(dir)
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			if s.sequence <= cp.Sequence && s.leaf <= cp.Size-tail {
				c.next, c.leaves = s.sequence, s.leaf
			}
		}
	}
	if c.proven, err = openProven(filepath.Join(dir, treeFile), cp, c.leaves); err != nil {
		return nil, Damage(dir, err, "the file of the tree is not what was sealed")
	}
	return c, nil
}

// Next is the sequence of the commit to compare next.
func (c *Comparison) Next() uint64 { return c.next }

// End is the checkpoint that is compared with. When Next is behind its Sequence, all is compared.
func (c *Comparison) End() Checkpoint { return c.cp }

// Done tells whether everything was compared.
func (c *Comparison) Done() bool { return c.next > c.cp.Sequence }

// Commit compares the next commit: a *[domain.Damage] if it is not the one that
// was sealed. Of its events only Stored is looked at.
func (c *Comparison) Commit(got domain.Commit) error {
	if c.Done() {
		return nil
	}
	if got.Sequence != c.next {
		return c.damage("gap", c.next, fmt.Sprintf("commit %d was sealed, and the log goes on with %d", c.next, got.Sequence))
	}
	for i := range got.Events {
		if c.leaves >= c.cp.Size {
			return c.damage("altered", got.Sequence, "it has more events than were sealed")
		}
		want, err := c.proven.leaf()
		if err != nil {
			return fmt.Errorf("comparing commit %d with the seal: %w", got.Sequence, err)
		}
		at := domain.Position{Sequence: got.Sequence, Index: i}
		hash := tlog.RecordHash(Leaf(got.Subject, at, len(got.Events), got.Events[i].Stored))
		if hash != want {
			return c.damage("altered", got.Sequence, fmt.Sprintf("event %s has the hash %s, and %s was sealed", at, hash, want))
		}
		c.leaves++
	}
	c.next++
	if c.Done() && c.leaves != c.cp.Size {
		return c.damage("altered", got.Sequence, fmt.Sprintf("the log has %d events up to here, and %d were sealed", c.leaves, c.cp.Size))
	}
	return nil
}

func (c *Comparison) damage(check string, sequence uint64, found string) error {
	return &domain.Damage{Log: c.log, Check: check, Sequence: sequence, Found: found}
}

// Close frees what the comparison holds open.
func (c *Comparison) Close() {
	if c.proven != nil {
		c.proven.close()
	}
}

// HoldsLast tells whether a commit of the log is the last one that the newest
// checkpoint covers: one read, at start, that finds a log that was replaced. With
// no checkpoint it holds.
func HoldsLast(dir, log string, got domain.Commit) error {
	cp, found, err := Newest(dir)
	switch {
	case err != nil:
		return Damage(dir, err, "the newest checkpoint cannot be read")
	case !found:
		return nil
	}
	events := uint64(len(got.Events))
	if got.Sequence != cp.Sequence || events > cp.Size {
		return &domain.Damage{Log: log, Check: "altered", Sequence: got.Sequence, Found: fmt.Sprintf("commit %d with %d events cannot be the last of the %d events sealed", got.Sequence, events, cp.Size)}
	}
	c := &Comparison{log: log, cp: cp, next: cp.Sequence, leaves: cp.Size - events}
	if c.proven, err = openProven(filepath.Join(dir, treeFile), cp, c.leaves); err != nil {
		return Damage(dir, err, "the file of the tree is not what was sealed")
	}
	defer c.Close()
	return c.Commit(got)
}
