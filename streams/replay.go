package streams

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/domain"
)

// replayBatch is how many commits are handed over at once, at most.
const replayBatch = 256

// ReplayControl hands the control commits alone to apply, in order, up to the
// end of the log as of the call. It returns how far it got: the last control
// commit given, and the end of the log. A gap in the control subject, a commit that cannot
// be read, or an error of apply ends it.
func (j *Journal) ReplayControl(ctx context.Context, apply func([]domain.Commit) error) (domain.Head, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	head, err := j.replayEnd(ctx)
	if err != nil || head.Control == 0 {
		return head, err
	}
	src := &source{j: j, subject: j.control, next: 1}
	defer src.stop()
	var batch []domain.Commit
	for at := uint64(0); at < head.Control; {
		m, meta, err := src.message(ctx)
		if err != nil {
			return domain.Head{}, fmt.Errorf("replaying the control commits of %s: %w", j.o.Org, err)
		}
		c, err := j.decode(m, meta)
		if err != nil {
			return domain.Head{}, err
		}
		if err := follows(at, c, header(m)); err != nil {
			return domain.Head{}, err
		}
		at, batch = c.Sequence, append(batch, c)
		if len(batch) == replayBatch || at == head.Control {
			if err := apply(batch); err != nil {
				return domain.Head{}, err
			}
			batch = nil
		}
	}
	return head, nil
}

// ReplayActivity hands the activity commits after the sequence after, up to and
// including upTo, to apply, in order, of which wanted says by their stored bytes
// that they are wanted; no other is read, which makes a long log quick to go
// through. A gap, a wanted commit that cannot be read, or an error of apply ends it.
func (j *Journal) ReplayActivity(ctx context.Context, after, upTo uint64, wanted func(body []byte) bool, apply func([]domain.Commit) error) error {
	src := &source{j: j, next: after + 1}
	defer src.stop()
	for last := after; last < upTo; last++ {
		m, meta, err := src.message(ctx)
		if err != nil {
			return fmt.Errorf("replaying the activity of %s: %w", j.o.Org, err)
		}
		if meta.Sequence.Stream != last+1 {
			return fmt.Errorf("the log of %s has a gap: commit %d follows %d", j.o.Org, meta.Sequence.Stream, last)
		}
		if m.Subject() == j.control || !wanted(m.Data()) {
			continue
		}
		c, err := j.decode(m, meta)
		if err != nil {
			return err
		}
		if err := apply([]domain.Commit{c}); err != nil {
			return err
		}
	}
	return nil
}

// replayEnd reads the end of the log first and the last control commit second,
// so that no control commit lies between the two.
func (j *Journal) replayEnd(ctx context.Context) (domain.Head, error) {
	last, err := j.Last(ctx)
	if err != nil {
		return domain.Head{}, err
	}
	control, err := j.LastControl(ctx)
	if err != nil {
		return domain.Head{}, err
	}
	return domain.Head{Control: control, Stream: max(last, control)}, nil
}

// follows checks that no control commit is missing before c: each says in its
// fence which one it came after.
func follows(last uint64, c domain.Commit, h nats.Header) error {
	if c.Sequence <= last {
		return fmt.Errorf("replaying the log: commit %d came after %d", c.Sequence, last)
	}
	after := h.Get(jetstream.ExpectedLastSubjSeqHeader)
	if after != "" && after != strconv.FormatUint(last, 10) {
		return fmt.Errorf("replaying the log: control commit %d was stored after %s, and the one before it here is %d", c.Sequence, after, last)
	}
	return nil
}
