package streams

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
)

// A commit travels as a CloudEvents 1.0 JSON batch.
const (
	contentType      = "Content-Type"
	contentTypeBatch = "application/cloudevents-batch+json"
)

// MaxCommitBytes bounds one commit as stored. A command that needs more is to be
// cut by whoever gives it.
const MaxCommitBytes = 512 << 10

// fenceSubject names the subject whose last sequence is expected, where it is not the message's own.
const fenceSubject = "Nats-Expected-Last-Subject-Sequence-Subject"

// encode makes the stored form of each fact.
func (j *Journal) encode(commitID string, m domain.Meta, facts []domain.Fact) ([][]byte, error) {
	out := make([][]byte, 0, len(facts))
	for _, f := range facts {
		b, err := j.encodeOne(commitID, m, f)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func (j *Journal) encodeOne(commitID string, m domain.Meta, f domain.Fact) ([]byte, error) {
	typ := f.Event.EventType()
	actor := f.Actor
	if actor == "" {
		actor = m.Actor.ID
	}
	if actor == "" || m.Now.IsZero() {
		return nil, fmt.Errorf("recording %s of %s: it names no actor or no time", typ, f.Subject)
	}
	id := f.ID
	if id == "" {
		id = j.ids.next()
	} else if u, err := ulid.ParseStrict(id); err != nil || u.String() != id {
		return nil, fmt.Errorf("recording %s of %s: %q is not an id of an event", typ, f.Subject, id)
	}
	data, err := j.o.Codec.Encode(f.Event)
	if err != nil {
		return nil, fmt.Errorf("encoding %s of %s: %w", typ, f.Subject, err)
	}
	b, err := domain.Envelope{
		ID: id, Type: typ, Source: j.o.Source, Subject: f.Subject, Time: m.Now.UTC(),
		Actor: actor, RequestID: m.RequestID, CommitID: commitID, Idempotency: m.Idempotency, Data: data,
	}.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encoding %s of %s: %w", typ, f.Subject, err)
	}
	if len(b) > domain.MaxEventBytes {
		return nil, domain.Invalid("event.too_large",
			fmt.Sprintf("This would be recorded in %d bytes, and an event has at most %d. Make it smaller.", len(b), domain.MaxEventBytes))
	}
	return b, nil
}

// proposal is a commit on its way into the log, byte for byte the same however often it is sent.
type proposal struct {
	id  string
	msg *nats.Msg
	// Where it stands if it was stored: the first commit of its subject after
	// from, if sole is set, and otherwise any commit of its subject after from.
	from uint64
	sole bool
}

func (j *Journal) compose(id string, events [][]byte) (*proposal, error) {
	size := 1
	for _, e := range events {
		size += len(e) + 1
	}
	if size > MaxCommitBytes {
		return nil, domain.Invalid("commit.too_large",
			fmt.Sprintf("This would be recorded in %d bytes, and a commit has at most %d. Do it in smaller steps.", size, MaxCommitBytes))
	}
	body := make([]byte, 0, size)
	for i, e := range events {
		body = append(body, "[,"[min(i, 1)])
		body = append(body, e...)
	}
	body = append(body, ']')
	return &proposal{id: id, msg: &nats.Msg{Data: body, Header: nats.Header{
		contentType:           {contentTypeBatch},
		jetstream.MsgIDHeader: {id},
	}}}, nil
}

// onControl addresses the commit to control, to be stored directly after after or not at all.
func (p *proposal) onControl(j *Journal, after uint64) {
	p.msg.Subject, p.from, p.sole = j.control, after, true
	p.msg.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(after, 10)}
}

// onActivity addresses the commit to activity, to be stored only while control is
// the last control commit. If it spends something, it must also be the very next
// commit of the log after head: a spend that this process has not folded refuses it.
func (p *proposal) onActivity(j *Journal, head domain.Head, spends bool) {
	p.msg.Subject, p.from = j.activity, head.Stream
	if j.unfenced {
		return
	}
	p.msg.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(head.Control, 10)}
	p.msg.Header[fenceSubject] = []string{j.control}
	if spends {
		p.sole = true
		p.msg.Header[jetstream.ExpectedLastSeqHeader] = []string{strconv.FormatUint(head.Stream, 10)}
	}
}

// asStored is a message as the log has it, with nothing of it read.
func (j *Journal) asStored(m jetstream.Msg, meta *jetstream.MsgMetadata) (domain.Commit, error) {
	c := domain.Commit{
		Sequence: meta.Sequence.Stream, Control: m.Subject() == j.control,
		Subject: m.Subject(), Header: header(m), StoredAt: meta.Timestamp.UTC(), Body: m.Data(),
	}
	if !c.Control && c.Subject != j.activity {
		return c, fmt.Errorf("its subject %q is none of ours", c.Subject)
	}
	return c, nil
}

// split is a message as the log has it, cut into its events, of which only
// Position and Stored are set: enough for who keeps or compares bytes.
func (j *Journal) split(m jetstream.Msg, meta *jetstream.MsgMetadata) (domain.Commit, error) {
	c, err := j.asStored(m, meta)
	var elements [][]byte
	if err == nil {
		elements, err = domain.SplitBatch(c.Body)
	}
	if err == nil && len(elements) == 0 {
		err = errors.New("it has no events")
	}
	if err != nil {
		return c, j.unreadable(c.Sequence, err)
	}
	c.Events = make([]domain.Envelope, len(elements))
	for i, e := range elements {
		c.Events[i] = domain.Envelope{Stored: e, Position: domain.Position{Sequence: c.Sequence, Index: i}}
	}
	return c, nil
}

// decode reads a commit back. A message that is not one, or that has an event of
// a type the codec does not know, is an error and never skipped.
func (j *Journal) decode(m jetstream.Msg, meta *jetstream.MsgMetadata) (domain.Commit, error) {
	c, err := j.asStored(m, meta)
	if err == nil {
		c, err = j.understood(c)
	}
	if err != nil {
		return c, j.unreadable(c.Sequence, err)
	}
	return c, nil
}

func (j *Journal) understood(c domain.Commit) (domain.Commit, error) {
	var err error
	if c.Events, err = domain.ParseBatch(c.Body); err != nil {
		return c, err
	}
	if len(c.Events) == 0 {
		return c, errors.New("it has no events")
	}
	c.ID = c.Events[0].CommitID
	if id := nats.Header(c.Header).Get(jetstream.MsgIDHeader); id != "" && id != c.ID {
		return c, fmt.Errorf("it was stored as %q and says it is %q", id, c.ID)
	}
	for i := range c.Events {
		e := &c.Events[i]
		if e.CommitID != c.ID {
			return c, fmt.Errorf("event %d is of another commit", i)
		}
		e.Position = domain.Position{Sequence: c.Sequence, Index: i}
		event, err := j.o.Codec.Decode(e.Type, e.Data)
		if err != nil {
			return c, fmt.Errorf("reading %s at %s: %w", e.Type, e.Position, err)
		}
		if event == nil {
			return c, errors.New("the codec decoded " + e.Type + " to nothing")
		}
		e.Event = event
	}
	return c, nil
}
