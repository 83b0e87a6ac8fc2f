package backup

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/seal"
)

// tree is the RFC 6962 tree of a log's events as they are read, of which only
// the right edge is kept: what the root is made of.
type tree struct {
	size uint64
	edge []tlog.Hash // roots of the complete subtrees, the largest first
}

// add takes a commit's events in; it is an error if the commit is none.
func (t *tree) add(r streams.Record, each func(size uint64)) error {
	events, err := domain.SplitBatch(r.Body)
	if err != nil || len(events) == 0 {
		return fmt.Errorf("commit %d has no events: %w", r.Sequence, err)
	}
	for i, stored := range events {
		h := tlog.RecordHash(seal.Leaf(r.Subject, domain.Position{Sequence: r.Sequence, Index: i}, len(events), stored))
		t.size++
		for n := t.size; n%2 == 0; n /= 2 {
			last := len(t.edge) - 1
			h, t.edge = tlog.NodeHash(t.edge[last], h), t.edge[:last]
		}
		t.edge = append(t.edge, h)
		each(t.size)
	}
	return nil
}

// root is the tree's; that of no events is not asked for.
func (t *tree) root() tlog.Hash {
	h := t.edge[len(t.edge)-1]
	for i := len(t.edge) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.edge[i], h)
	}
	return h
}
