package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sallyport.dev/domain"
)

// Codec turns events into the bytes of their data and back. Both refuse a type they do not know.
type Codec interface {
	Encode(domain.Event) (json.RawMessage, error)
	Decode(typ string, data json.RawMessage) (domain.Event, error)
}

// Options says which organisation's log to open, and how.
type Options struct {
	Org              domain.Name
	Source           string // the organisation's issuer: the CloudEvents source of every event
	Codec            Codec
	Replicas         int  // copies of the log; 0: three on a cluster, one otherwise
	AllowFewReplicas bool // open a log with fewer than three copies on a cluster
	// Reached is a commit that the log is known to have, from outside its own
	// store: one that ends before it, or is not there, is damaged and never made
	// anew. 0: the log is made where there is none.
	Reached uint64
	Log     *slog.Logger // nil: slog.Default
	// Stored is told of every commit of this process once it is on disk: what it
	// recorded, and how long that took. It is waited for. Nil: nobody is told.
	Stored func(facts []domain.Fact, took time.Duration)
}

// Journal is one organisation's log. It is safe for concurrent use.
type Journal struct {
	c        *Conn
	o        Options
	stream   string
	control  string
	activity string
	ids      ids
	// unfenced leaves the fence out of activity commits, so that a test can show
	// that its check of the history fails without it. Nothing else sets it.
	unfenced bool
}

// Open opens an organisation's log, and makes it where there is none. A log
// whose stored configuration differs from the wanted one in any field is
// refused and the fields are named; so is one with holes, or that ends before
// what it is known to have, each with a *[domain.Damage]; and one with fewer than
// three copies on a cluster unless [Options] allows it.
func Open(ctx context.Context, c *Conn, o Options) (*Journal, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Replicas == 0 {
		o.Replicas = c.copies()
	}
	if c.clustered() && o.Replicas < 3 && !o.AllowFewReplicas {
		return nil, fmt.Errorf("the log of %s would have %d copies on a cluster, where it needs three to survive the loss of one server",
			o.Org, o.Replicas)
	}
	if err := check(ctx, c, o, o.Reached); err != nil && (o.Reached > 0 || !isMissing(err)) {
		return nil, err
	}
	if err := openStream(ctx, c, wantedConfig(o.Org, o.Replicas)); err != nil {
		return nil, err
	}
	return &Journal{
		c: c, o: o, stream: streamName(o.Org),
		control: controlSubject(o.Org), activity: activitySubject(o.Org),
		ids: newIDs(),
	}, nil
}

// Commit records facts as one commit on the control subject if its last
// sequence is still after: all of them or, with [ErrConflict], none. It returns
// the position of the last one once they are on disk.
//
// [ErrUnavailable] says that nothing was stored. [ErrUnclear] leaves open
// whether they were: the commit was sent, and within ctx and 90 seconds neither an
// acknowledgement nor a refusal came, though it was sent again and again
// under its id, by which the log stores it once at most. A *[domain.Error] of
// another kind says which rule the facts break.
func (j *Journal) Commit(ctx context.Context, after uint64, m domain.Meta, facts []domain.Fact) (domain.Position, error) {
	if len(facts) == 0 {
		return domain.Position{}, errors.New("recording a commit: it has no facts")
	}
	id := j.ids.next()
	events, err := j.encode(id, m, facts)
	if err != nil {
		return domain.Position{}, err
	}
	p, err := j.compose(id, events)
	if err != nil {
		return domain.Position{}, err
	}
	p.onControl(j, after)
	begun := time.Now()
	seq, err := j.publish(ctx, p)
	if err != nil {
		return domain.Position{}, fmt.Errorf("recording %s of %s: %w", facts[0].Event.EventType(), facts[0].Subject, err)
	}
	if j.o.Stored != nil {
		j.o.Stored(facts, time.Since(begun))
	}
	return domain.Position{Sequence: seq, Index: len(facts) - 1}, nil
}

// Writable is an error with [ErrUnavailable] while this process knows that
// nothing can be stored: the disk of its embedded server is full, or is lost.
func (j *Journal) Writable() error {
	if err := j.c.disk.refuses(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// LastControl asks the leader for the sequence of the last control commit, 0 if there is none.
func (j *Journal) LastControl(ctx context.Context) (uint64, error) {
	m, _, err := j.c.read(ctx, j.stream, msgGet{Last: j.control})
	if err != nil {
		return 0, fmt.Errorf("reading the control position of %s: %w", j.o.Org, err)
	}
	return m.Seq, nil
}

// Last asks the leader for the sequence of the last commit, 0 if there is none.
// A leader that may have been replaced is not believed: whatever was
// acknowledged to anybody before the call, the answer is not before it.
func (j *Journal) Last(ctx context.Context) (uint64, error) {
	info, err := j.led(ctx, patience)
	if err != nil {
		return 0, fmt.Errorf("reading the end of the log of %s: %w", j.o.Org, err)
	}
	return info.State.Last, nil
}

// Clock asks the leader for the time by its clock, and for when the last commit
// was stored, the zero time if there is none.
func (j *Journal) Clock(ctx context.Context) (now, newest time.Time, err error) {
	info, err := streamState(ctx, j.c, j.stream)
	if err != nil {
		return time.Time{}, time.Time{}, fmt.Errorf("reading the clock of the log of %s: %w", j.o.Org, err)
	}
	if info.State.Last > 0 {
		newest = info.State.Stored
	}
	return info.Now, newest, nil
}

// SequenceAt is the sequence of the last commit stored before t, 0 if there is
// none. "Stored" is by the clock of the server that led the log.
func (j *Journal) SequenceAt(ctx context.Context, t time.Time) (uint64, error) {
	last, err := j.Last(ctx)
	if err != nil || last == 0 {
		return 0, err
	}
	t = t.UTC()
	m, found, err := j.c.read(ctx, j.stream, msgGet{Start: &t})
	switch {
	case err != nil:
		return 0, fmt.Errorf("finding the commit before %s in the log of %s: %w", t.Format(time.RFC3339), j.o.Org, err)
	case !found:
		return last, nil
	}
	return m.Seq - 1, nil
}
