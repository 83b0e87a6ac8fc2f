package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/domain"
)

// source reads a log in order from a sequence on, over lost connections and
// lost servers. It is an ordered consumer with the waits bounded: it makes a new
// one, one after the last message it gave, whenever the old one falters.
//
// What is lost between server and client shows as a gap in the consumer's own count and is
// read again; what is missing in the log shows as a gap in the stream's.
type source struct {
	j       *Journal
	subject string // empty: both
	next    uint64 // stream sequence to begin at
	serial  uint64 // of the consumer's last message
	msgs    jetstream.MessagesContext
	forget  func() bool // ends the watch of the connection that msgs came with
}

// Bounds of one consumer: how much it sends ahead, how soon a silent one is
// given up (twice the beat), and how long the server keeps one that nobody reads.
const (
	readAhead   = 256
	beat        = time.Second
	pullFor     = 10 * time.Second
	keepIdleFor = time.Minute
)

// message returns the next message, waiting for it. It fails only when ctx
// ends, the connection is closed, or the log ends before where the source is.
func (s *source) message(ctx context.Context) (jetstream.Msg, *jetstream.MsgMetadata, error) {
	for try := 0; ; try++ {
		m, meta, err := s.step(ctx)
		if err == nil {
			return m, meta, nil
		}
		s.stop()
		if ctx.Err() != nil || s.j.c.nc.IsClosed() || errors.Is(err, errAhead) {
			return nil, nil, err
		}
		s.j.o.Log.Debug("reading the log again", "org", s.j.o.Org, "from", s.next, "error", err)
		if err := pause(ctx, backoff(try)); err != nil {
			return nil, nil, err
		}
	}
}

var errFaltered = errors.New("a message was lost on the way")

func (s *source) step(ctx context.Context) (jetstream.Msg, *jetstream.MsgMetadata, error) {
	if s.msgs == nil {
		if err := s.open(ctx); err != nil {
			return nil, nil, err
		}
	}
	m, err := s.msgs.Next(jetstream.NextContext(ctx))
	if err != nil {
		return nil, nil, err
	}
	meta, err := m.Metadata()
	if err != nil {
		return nil, nil, err
	}
	if meta.Sequence.Consumer != s.serial+1 {
		return nil, nil, errFaltered
	}
	s.serial, s.next = meta.Sequence.Consumer, meta.Sequence.Stream+1
	return m, meta, nil
}

func (s *source) open(ctx context.Context) error {
	if err := s.j.reaches(ctx, s.next-1); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tryWithin) // asked while nobody leads, it is never answered
	defer cancel()
	link := s.j.c.link.current()
	cons, err := s.j.c.js.CreateConsumer(ctx, s.j.stream, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       max(s.next, 1),
		FilterSubject:     s.subject,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: keepIdleFor,
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		return fmt.Errorf("reading the log of %s: %w", s.j.o.Org, err)
	}
	s.serial = 0
	s.msgs, err = cons.Messages(jetstream.PullMaxMessages(readAhead), jetstream.PullExpiry(pullFor),
		jetstream.PullHeartbeat(beat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		s.msgs = nil
		return err
	}
	// The client, left to itself, tries for up to a minute whether a consumer
	// outlived a lost connection, and is silent meanwhile.
	s.forget = context.AfterFunc(link, s.msgs.Stop)
	return nil
}

func (s *source) stop() {
	if s.msgs != nil {
		s.forget()
		s.msgs.Stop()
		s.msgs = nil
	}
}

// errAhead is returned where the log ends before what was read of it: it was
// rolled back, or is another log.
var errAhead = errors.New("the log ends before what was already read of it: it was rolled back or replaced")

// How long the log may be seen to end before what was read of it. On a cluster
// a leader that was cut off believes for some ten seconds that it still leads,
// and answers with what it has.
const (
	aheadWithin        = 3 * time.Second
	aheadWithinCluster = 20 * time.Second
)

// aheadFor is that time for this connection.
func (c *Conn) aheadFor() time.Duration {
	if c.clustered() {
		return aheadWithinCluster
	}
	return aheadWithin
}

// reaches checks that the log still has the commit with that sequence.
func (j *Journal) reaches(ctx context.Context, seq uint64) error {
	var last uint64
	for start, try := time.Now(), 0; ; try++ {
		var err error
		if last, err = j.Last(ctx); err != nil {
			return err
		}
		if last >= seq {
			return nil
		}
		if time.Since(start) > j.c.aheadFor() {
			return &domain.Damage{
				Log: j.o.Org.String(), Check: "last", Sequence: last + 1, Err: errAhead,
				Found: fmt.Sprintf("it ends with commit %d, and %d were read", last, seq),
			}
		}
		if err := pause(ctx, backoff(try)); err != nil {
			return err
		}
	}
}

// header returns a message's headers in the client's own type.
func header(m jetstream.Msg) nats.Header { return nats.Header(m.Headers()) }
