package streams

import (
	"context"
	"encoding/json"
	"errors"
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
	Replicas         int          // copies of the log; 0: three on a cluster, one otherwise
	AllowFewReplicas bool         // open a log with fewer than three copies on a cluster
	Log              *slog.Logger // nil: slog.Default
}

// Journal is one organisation's log. It is safe for concurrent use.
type Journal struct{}

// Open opens an organisation's log, and makes it where there is none.
func Open(ctx context.Context, c *Conn, o Options) (*Journal, error) {
	return nil, errors.ErrUnsupported
}

// Commit records facts as one commit on the control subject if after is still its last sequence.
func (j *Journal) Commit(ctx context.Context, after uint64, m domain.Meta, facts []domain.Fact) (domain.Position, error) {
	return domain.Position{}, errors.ErrUnsupported
}

// LastControl asks the leader for the sequence of the last control commit, 0 if there is none.
func (j *Journal) LastControl(ctx context.Context) (uint64, error) { return 0, errors.ErrUnsupported }

// Last asks the leader for the sequence of the last commit, 0 if there is none.
func (j *Journal) Last(ctx context.Context) (uint64, error) { return 0, errors.ErrUnsupported }

// SequenceAt is the sequence of the last commit stored before t, 0 if there is none.
func (j *Journal) SequenceAt(ctx context.Context, t time.Time) (uint64, error) {
	return 0, errors.ErrUnsupported
}

// ReplayControl hands the control commits alone to apply, up to the end of the log as of the call.
func (j *Journal) ReplayControl(ctx context.Context, apply func([]domain.Commit) error) (domain.Head, error) {
	return domain.Head{}, errors.ErrUnsupported
}
