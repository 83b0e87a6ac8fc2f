package backup

import (
	"bytes"
	"fmt"
	"iter"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
)

// logCheck looks at the commits of a log as they pass: they are contiguous from
// 1, and commits all. It remembers what somebody wants to compare.
type logCheck struct {
	org    domain.Name
	tree   tree
	last   uint64
	lastAt time.Time

	marks map[uint64]mark // by size of the tree: what was there, once it was met
	after uint64          // a sequence of which the commit is wanted
	body  []byte          // that commit's
}

// mark is where a log stands when its tree has a size.
type mark struct {
	root     [32]byte
	sequence uint64
}

// newLogCheck remembers the tree at these sizes.
func newLogCheck(org domain.Name, sizes ...uint64) *logCheck {
	c := &logCheck{org: org, marks: map[uint64]mark{}}
	for _, n := range sizes {
		c.marks[n] = mark{}
	}
	return c
}

// watch passes records on, and looks at each.
func (c *logCheck) watch(records iter.Seq2[streams.Record, error]) iter.Seq2[streams.Record, error] {
	return func(yield func(streams.Record, error) bool) {
		for r, err := range records {
			if err == nil {
				err = c.see(r)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (c *logCheck) see(r streams.Record) error {
	if r.Sequence != c.last+1 {
		return c.damage("gap", c.last+1, fmt.Sprintf("commit %d follows commit %d", r.Sequence, c.last))
	}
	c.last, c.lastAt = r.Sequence, r.Time
	if r.Sequence == c.after {
		c.body = bytes.Clone(r.Body)
	}
	return c.tree.add(r, func(size uint64) {
		if _, wanted := c.marks[size]; wanted {
			c.marks[size] = mark{c.tree.root(), r.Sequence}
		}
	})
}

func (c *logCheck) damage(check string, at uint64, found string) error {
	return &domain.Damage{Log: c.org.String(), Check: check, Sequence: at, Found: found}
}

// bears tells, at the end, why the log is not the one that a checkpoint was signed over.
func (c *logCheck) bears(cp *Checkpoint) error {
	if cp == nil || cp.Size == 0 {
		return nil
	}
	m := c.marks[cp.Size]
	switch {
	case cp.Size > c.tree.size:
		return c.damage("last", c.last, fmt.Sprintf("it ends at commit %d, before its newest checkpoint at commit %d: it was rolled back, or cut off", c.last, cp.Sequence))
	case !bytes.Equal(m.root[:], cp.Root) || m.sequence != cp.Sequence:
		return c.damage("root", cp.Sequence, fmt.Sprintf("up to the checkpoint over %d events it is not the log that was sealed", cp.Size))
	}
	return nil
}

// whole tells, at the end, whether these were all commits.
func (c *logCheck) whole(state streams.StreamState) error {
	if c.last != state.Last || state.Messages != state.Last {
		return c.damage("last", c.last, fmt.Sprintf("it has %d of %d commits", c.last, state.Last))
	}
	return nil
}
