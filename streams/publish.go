package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// settleWithin bounds how long a commit is sent again, well inside the
// [dedupeWindow] in which the server knows its id: after that a second copy
// would be stored.
const settleWithin = 90 * time.Second

// verdict is what one try to store a commit came to.
type verdict int

const (
	isStored   verdict = iota
	isMoved            // refused: the log is past the fence, and will never come back
	isBusy             // refused at this moment: another commit with the same fence is being stored
	isInFlight         // an earlier try of this very commit is being stored
	isNotNow           // not stored by this try; another may be
	isUnknown          // sent, and not answered: it may be stored, or may still be
	isRefused          // never, whoever tries
)

// judge is the only place that reads the error of a publish. Both 10071 and 10164
// are a refused expectation: 10164 is what replicated streams say, without
// looking further, while another message with that expectation is in process.
func judge(err error) verdict {
	if err == nil {
		return isStored
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence:
			return isMoved
		case jetstream.JSErrCodeStreamWrongLastSequenceConstant:
			return isBusy
		case codeDuplicateInFlight:
			return isInFlight
		case codeStoreFailed:
			return isUnknown
		}
		if api.Code >= 500 {
			return isNotNow
		}
		return isRefused
	}
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrReconnectBufExceeded):
		return isNotNow
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrHeadersNotSupported):
		return isRefused
	}
	return isUnknown
}

// publish stores the commit once, or tells why not, as promised at
// [Journal.Commit].
//
// An outcome that is not known is settled like this. The commit is sent again
// under its id until the server acknowledges it, calls it a duplicate (replicas) or
// refuses its fence (one server checks the fence first, and our own commit has
// moved it). After a refusal the commit is looked for in the log through the
// leader, and only its absence there is a conflict: the log never comes back to
// before the fence, so an earlier copy that is still under way is refused, too.
// A refusal of the moment (10164) proves nothing of the kind and settles nothing.
func (j *Journal) publish(ctx context.Context, p *proposal) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	start, unclear, seen := time.Now(), false, isNotNow
	for try := 0; ; try++ {
		if err := j.Writable(); err != nil { // at once: nobody is helped by waiting
			if unclear {
				err = ErrUnclear
			}
			return 0, err
		}
		if ctx.Err() == nil && !j.c.nc.IsClosed() {
			var seq uint64
			var err error
			seq, seen, err = j.settle(ctx, p, unclear)
			if seq > 0 || err != nil {
				return seq, err
			}
			unclear = unclear || seen == isUnknown || seen == isInFlight
		}
		if !unclear && time.Since(start) > patience {
			break
		}
		wait := backoff(try)
		if seen == isBusy { // for a few milliseconds: who waits longer than the others never gets in
			wait = backoff(0)
		}
		if pause(ctx, wait) != nil || j.c.nc.IsClosed() {
			break
		}
	}
	switch {
	case unclear:
		return 0, ErrUnclear
	case seen == isBusy:
		return 0, ErrConflict
	}
	return 0, ErrUnavailable
}

// settle tries once. Neither a sequence nor an error means: try again.
func (j *Journal) settle(ctx context.Context, p *proposal, unclear bool) (uint64, verdict, error) {
	seq, err := j.try(ctx, p.msg)
	v := judge(err)
	switch {
	case v == isStored:
		return seq, v, nil
	case v == isMoved && !unclear:
		return 0, v, ErrConflict
	case v == isMoved:
		seq, found, err := j.find(ctx, p)
		if err == nil && !found {
			return 0, v, ErrConflict
		}
		return seq, isUnknown, nil
	case v == isRefused && !unclear:
		return 0, v, err
	}
	return 0, v, nil
}

// try sends the commit once and waits for the answer.
func (j *Journal) try(ctx context.Context, m *nats.Msg) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(j.c.disk.alarm(), cancel)()
	answer, err := j.c.requestWithin(ctx, m, j.c.storeWithin())
	if err != nil {
		return 0, err
	}
	var ack struct {
		Error    *jetstream.APIError `json:"error"`
		Stream   string              `json:"stream"`
		Sequence uint64              `json:"seq"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return 0, fmt.Errorf("reading an acknowledgement: %w", err)
	}
	if ack.Error != nil {
		return 0, ack.Error
	}
	if ack.Stream != j.stream || ack.Sequence == 0 {
		return 0, fmt.Errorf("the acknowledgement names %s %d, not the log %s", ack.Stream, ack.Sequence, j.stream)
	}
	return ack.Sequence, nil
}

// find looks for the commit in the log, through the leader.
func (j *Journal) find(ctx context.Context, p *proposal) (uint64, bool, error) {
	for from := p.from + 1; ; {
		m, found, err := j.c.read(ctx, j.stream, msgGet{Seq: from, Next: p.msg.Subject})
		if err != nil || !found {
			return 0, false, err
		}
		if m.header().Get(jetstream.MsgIDHeader) == p.id {
			return m.Seq, true, nil
		}
		if p.sole {
			return 0, false, nil
		}
		from = m.Seq + 1
	}
}
