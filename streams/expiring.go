package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ExpiringBucket holds values that end by themselves, such as who is signed in.
// What is over leaves the disk without anybody's doing. It is safe for concurrent use.
type ExpiringBucket struct{ b *Bucket }

// ErrKeyMoved means that the value is no longer the one that was read: somebody
// changed it or took it away.
var ErrKeyMoved = errors.New("the value of this key was changed meanwhile")

// markerLife is how long it is remembered that a key was deleted, which nobody asks.
const markerLife = time.Minute

// ExpiringBucket opens the bucket of that name, or makes it, as [Conn.Bucket] does.
func (c *Conn) ExpiringBucket(ctx context.Context, name string) (*ExpiringBucket, error) {
	b, err := c.openBucket(ctx, name, markerLife)
	if err != nil {
		return nil, err
	}
	return &ExpiringBucket{b}, nil
}

// Check tells what of the bucket is not as [Conn.ExpiringBucket] makes it, in a way
// that loses what is signed in, or keeps what is over. It reads no value.
func (e *ExpiringBucket) Check(ctx context.Context) error {
	var info struct {
		Config struct {
			Storage    string        `json:"storage"`
			Replicas   int           `json:"num_replicas"`
			History    int           `json:"max_msgs_per_subject"`
			MaxMsgs    int64         `json:"max_msgs"`
			MaxBytes   int64         `json:"max_bytes"`
			MaxAge     time.Duration `json:"max_age"`
			LifePerKey bool          `json:"allow_msg_ttl"`
			Markers    time.Duration `json:"subject_delete_marker_ttl"`
		} `json:"config"`
	}
	stream := "KV_" + e.b.name
	if err := e.b.c.api(ctx, "$JS.API.STREAM.INFO."+stream, struct{}{}, &info); err != nil {
		return fmt.Errorf("reading the configuration of %s: %w", stream, err)
	}
	c := info.Config
	for _, wrong := range []struct {
		is   bool
		says string
	}{
		{c.Storage != "file", "it is not on disk: a restart of NATS signs everybody out"},
		{c.Replicas < e.b.c.bucketReplicas, fmt.Sprintf("it has %d copies and must have %d", c.Replicas, e.b.c.bucketReplicas)},
		{c.History != 1, fmt.Sprintf("it keeps %d values of a key and must keep one", c.History)},
		{c.MaxMsgs > 0 || c.MaxBytes > 0 || c.MaxAge > 0, "it has a limit of its own: sessions end, or cannot begin, because of others"},
		{!c.LifePerKey || c.Markers <= 0, "its values have no end of their own: what is over stays on disk"},
	} {
		if wrong.is {
			return fmt.Errorf("%s: %s", stream, wrong.says)
		}
	}
	return nil
}

// Create stores val for so long, a second at least, under a key that never was.
// It returns once that is durable.
func (e *ExpiringBucket) Create(ctx context.Context, key string, val []byte, life time.Duration) error {
	return e.Replace(ctx, key, val, 0, life)
}

// Get reads the value of key through the leader, and its revision; [ErrNoKey] if
// there is none.
func (e *ExpiringBucket) Get(ctx context.Context, key string) (val []byte, revision uint64, err error) {
	m, err := e.b.get(ctx, key)
	return m.Data, m.Seq, err
}

// Replace stores val for so long in place of the value of that revision; of all
// who try one is answered nil, the others [ErrKeyMoved].
func (e *ExpiringBucket) Replace(ctx context.Context, key string, val []byte, revision uint64, life time.Duration) error {
	_, err := e.b.c.js.Publish(ctx, "$KV."+e.b.name+"."+key, val,
		jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithMsgTTL(max(life, time.Second)))
	return e.told(err, "storing", key)
}

// Take deletes the value of that revision; of all who try one is answered nil,
// the others [ErrKeyMoved].
func (e *ExpiringBucket) Take(ctx context.Context, key string, revision uint64) error {
	return e.told(e.b.kv.Purge(ctx, key, jetstream.LastRevision(revision), jetstream.PurgeTTL(markerLife)), "taking", key)
}

// Delete ends the value of key; a key that is not there is no error.
func (e *ExpiringBucket) Delete(ctx context.Context, key string) error {
	return e.told(e.b.kv.Purge(ctx, key, jetstream.PurgeTTL(markerLife)), "deleting", key)
}

// Keys lists the keys below a prefix, such as s for s.1 and s.2, that have a value, sorted.
func (e *ExpiringBucket) Keys(ctx context.Context, prefix string) ([]string, error) {
	return e.b.keys(ctx, prefix+".>")
}

func (e *ExpiringBucket) told(err error, doing, key string) error {
	if sequenceMoved(err) {
		err = ErrKeyMoved
	}
	if err != nil {
		return fmt.Errorf("%s %s in bucket %s: %w", doing, key, e.b.name, err)
	}
	return nil
}
