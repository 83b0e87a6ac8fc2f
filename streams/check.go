package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/domain"
)

// Check holds what the leader says of the log against what it must be: it is
// there, its configuration is the wanted one in every field, its first commit is
// number 1, it has every commit up to its last, none was deleted, and it reaches
// to the commit number reached, which somebody has seen in it. It reads no
// commit. A *[domain.Damage] says what differs; any other error, that nobody
// could be asked.
func (j *Journal) Check(ctx context.Context, reached uint64) error {
	return check(ctx, j.c, j.o, reached)
}

// isMissing tells whether the damage is that there is no log.
func isMissing(err error) bool {
	d := domain.Damaged(err)
	return d != nil && d.Check == "missing"
}

// state is what the leader says of a stream, with all that damage shows in.
type state struct {
	Config json.RawMessage `json:"config"`
	State  struct {
		Messages uint64 `json:"messages"`
		First    uint64 `json:"first_seq"`
		Last     uint64 `json:"last_seq"`
		Deleted  int    `json:"num_deleted"`
	} `json:"state"`
}

// check is [Journal.Check]. That a log is not there, or ends early, has to stand
// for a while on a cluster: a leader that was just elected, or does not know yet that it no longer
// leads, may not have what the others have.
func check(ctx context.Context, c *Conn, o Options, reached uint64) error {
	for start, try := time.Now(), 0; ; try++ {
		err := checkOnce(ctx, c, o, reached)
		d := domain.Damaged(err)
		if d == nil || d.Check != "missing" && d.Check != "last" || reached == 0 || !c.clustered() || time.Since(start) > c.aheadFor() {
			return err
		}
		if pause(ctx, backoff(try)) != nil {
			return err
		}
	}
}

func checkOnce(ctx context.Context, c *Conn, o Options, reached uint64) error {
	var is state
	want := wantedConfig(o.Org, o.Replicas)
	err := c.api(ctx, "$JS.API.STREAM.INFO."+want.Name, struct{}{}, &is)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return &domain.Damage{Log: o.Org.String(), Check: "missing", Found: fmt.Sprintf("there is no stream %s, and it had commits up to %d", want.Name, reached)}
	}
	if err != nil {
		return fmt.Errorf("checking the log of %s: %w", o.Org, err)
	}
	found := is.damage(reached)
	if err := compareConfig(want, is.Config); err != nil {
		found = append(found, domain.Damage{Check: "configuration", Found: "somebody changed the stream, which may have lost commits", Err: err})
	}
	if len(found) == 0 {
		return nil
	}
	first := found[0]
	first.Log = o.Org.String()
	for _, more := range found[1:] {
		first.Found += "; " + more.Found
		first.Err = errors.Join(first.Err, more.Err)
	}
	return &first
}

// damage is everything that the numbers of a stream tell.
func (is state) damage(reached uint64) (found []domain.Damage) {
	s := is.State
	if s.Last < reached {
		found = append(found, domain.Damage{Check: "last", Sequence: s.Last + 1,
			Found: fmt.Sprintf("it ends with commit %d and reached to %d before: it was cut, rolled back or replaced", s.Last, reached)})
	}
	if s.Messages > 0 && s.First != 1 {
		found = append(found, domain.Damage{Check: "first", Sequence: 1, Found: fmt.Sprintf("it begins with commit %d and must begin with 1", s.First)})
	}
	if s.Messages != s.Last || s.Deleted != 0 { // sequences begin at 1
		found = append(found, domain.Damage{Check: "count",
			Found: fmt.Sprintf("it has %d of the %d commits it should have, and %d deleted ones", s.Messages, s.Last, s.Deleted)})
	}
	return found
}

// Scan reads the log from a commit on and hands each to f as it is stored, its
// events cut but not read, until f wants no more, ctx ends or f fails. It waits
// at the end of the log for the next commit. A gap, or a message that is no
// commit, is a *[domain.Damage].
//
// Each scan is its own consumer, and on a cluster the servers choose which copy
// it reads: another scan may read another copy.
func (j *Journal) Scan(ctx context.Context, from uint64, f func(domain.Commit) (more bool, err error)) error {
	src := &source{j: j, next: max(from, 1)}
	defer src.stop()
	for seq := src.next; ; seq++ {
		m, meta, err := src.message(ctx)
		if err != nil {
			return err
		}
		if got := meta.Sequence.Stream; got != seq {
			return j.gap(seq, got)
		}
		c, err := j.split(m, meta)
		if err != nil {
			return err
		}
		if more, err := f(c); err != nil || !more {
			return err
		}
	}
}

// gap is the error of a commit that is not where it must be.
func (j *Journal) gap(want, got uint64) error {
	return &domain.Damage{
		Log: j.o.Org.String(), Check: "gap", Sequence: want,
		Found: fmt.Sprintf("the log has a gap: commit %d follows %d", got, want-1),
	}
}

// unreadable is the error of a message of the log that is no commit as we know
// them. One that a newer version wrote is no damage.
func (j *Journal) unreadable(seq uint64, err error) error {
	if errors.Is(err, domain.ErrNewer) {
		return fmt.Errorf("reading commit %d of the log of %s: %w", seq, j.o.Org, err)
	}
	return &domain.Damage{
		Log: j.o.Org.String(), Check: "unreadable", Sequence: seq, Found: fmt.Sprintf("reading commit %d", seq), Err: err,
	}
}
