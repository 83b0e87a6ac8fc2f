package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket holds sealed keys and secrets by name: what must be destroyable and
// therefore never enters the log. It keeps the newest value of each key alone.
// It is safe for concurrent use.
type Bucket struct {
	c    *Conn
	kv   jetstream.KeyValue
	name string
}

// Bucket opens the bucket of that name, or makes it. A name is 1 to 63
// characters of a-z, A-Z, 0-9, _ and -. One that is there is not changed: who
// may only read and write needs no more, and fewer copies than wanted are an error.
func (c *Conn) Bucket(ctx context.Context, name string) (*Bucket, error) {
	return c.openBucket(ctx, name, 0)
}

// openBucket opens a bucket, or makes it: one whose values may have an end, if
// markers, which say that one has ended, have a life.
func (c *Conn) openBucket(ctx context.Context, name string, markers time.Duration) (*Bucket, error) {
	ctx, cancel := context.WithTimeout(ctx, bucketWithin)
	defer cancel()
	for try := 0; ; try++ {
		kv, err := c.keyValue(ctx, name, markers)
		b := &Bucket{c: c, kv: kv, name: name}
		if err == nil {
			err = b.checkReplicas(ctx)
		}
		if err == nil {
			return b, nil
		}
		if !c.unanswered(err) || pause(ctx, backoff(try)) != nil {
			return nil, fmt.Errorf("opening bucket %s: %w", name, err)
		}
	}
}

// unanswered tells whether an error means that nobody answered who could: it is
// neither a refusal nor silence about what this user may not ask.
func (c *Conn) unanswered(err error) bool {
	var refused *jetstream.APIError
	if errors.As(err, &refused) {
		// What was made a moment ago is not there yet for some.
		return refused.Code >= 500 || refused.ErrorCode == jetstream.JSErrCodeStreamNotFound
	}
	return !errors.Is(c.nc.LastError(), nats.ErrPermissionViolation) &&
		(errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders))
}

// bucketWithin bounds opening a bucket: while another process makes it, or a leader
// is elected, nobody answers.
const bucketWithin = 30 * time.Second

// keyValue tries once to open a bucket, or to make it.
func (c *Conn) keyValue(ctx context.Context, name string, markers time.Duration) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	kv, err := c.js.KeyValue(ctx, name)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, err
	}
	kv, err = c.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:   name,
		History:  1,
		Storage:  jetstream.FileStorage,
		Replicas: c.bucketReplicas,

		LimitMarkerTTL: markers,
	})
	if err != nil {
		return nil, fmt.Errorf("making it: %w", c.whyNotMade(err))
	}
	return kv, nil
}

// checkReplicas wants as many copies of the bucket as were asked for, or more.
func (b *Bucket) checkReplicas(ctx context.Context) error {
	var info struct {
		Config struct {
			Replicas int `json:"num_replicas"`
		} `json:"config"`
	}
	stream := "KV_" + b.name
	if err := b.c.api(ctx, "$JS.API.STREAM.INFO."+stream, struct{}{}, &info); err != nil {
		return fmt.Errorf("reading its configuration: %w", err)
	}
	if n := info.Config.Replicas; n < b.c.bucketReplicas {
		return fmt.Errorf("it has %d copies and must have %d: `nats stream update %s --replicas %[2]d` as the administrator",
			n, b.c.bucketReplicas, stream)
	}
	return nil
}

// Put stores val under key, in place of what was there. It returns once that
// is durable; after an error either value may be there.
func (b *Bucket) Put(ctx context.Context, key string, val []byte) error {
	if _, err := b.kv.Put(ctx, key, val); err != nil {
		return fmt.Errorf("storing %s in bucket %s: %w", key, b.name, err)
	}
	return nil
}

// Create stores val under a key that never was: of all who try one is answered
// nil, the others [ErrKeyTaken], also once the key is deleted. It returns once
// that is durable; after any other error the value may be there.
func (b *Bucket) Create(ctx context.Context, key string, val []byte) error {
	_, err := b.c.js.Publish(ctx, "$KV."+b.name+"."+key, val, jetstream.WithExpectLastSequencePerSubject(0))
	if sequenceMoved(err) {
		err = ErrKeyTaken
	}
	if err != nil {
		return fmt.Errorf("storing %s in bucket %s: %w", key, b.name, err)
	}
	return nil
}

// sequenceMoved tells the refusal of a message that was to be the first of its
// subject, or to follow another than the last; a replicated stream has a code of its own.
func sequenceMoved(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// Get reads the value of key through the leader, so that what one replica has
// put every replica gets; [ErrNoKey] if there is none.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, error) {
	m, err := b.get(ctx, key)
	return m.Data, err
}

func (b *Bucket) get(ctx context.Context, key string) (stored, error) {
	m, found, err := b.c.read(ctx, "KV_"+b.name, msgGet{Last: "$KV." + b.name + "." + key})
	switch {
	case err != nil:
		return stored{}, fmt.Errorf("reading %s from bucket %s: %w", key, b.name, err)
	case !found || marks(m.header()):
		return stored{}, fmt.Errorf("reading %s from bucket %s: %w", key, b.name, ErrNoKey)
	}
	return m, nil
}

// marks tells whether a message only says that its key has no value any more.
func marks(h nats.Header) bool {
	return h.Get("KV-Operation") != "" || h.Get(jetstream.MarkerReasonHeader) != ""
}

// Delete takes key and its value out of the bucket; a key that is not there is no
// error. The sealed bytes leave the disk when the server next compacts the
// block they are in: destroying the key that sealed them is what cannot be undone.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := b.kv.Purge(ctx, key); err != nil {
		return fmt.Errorf("deleting %s from bucket %s: %w", key, b.name, err)
	}
	return nil
}

// Keys lists the keys that have a value, sorted.
func (b *Bucket) Keys(ctx context.Context) ([]string, error) { return b.keys(ctx, ">") }

// keys lists the keys that match a pattern of subjects.
func (b *Bucket) keys(ctx context.Context, pattern string) (keys []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, listWithin)
	defer cancel()
	// Not by the client's own listing: it deletes the consumer that it makes,
	// which who may only read and write may not.
	list, err := b.c.js.CreateConsumer(ctx, "KV_"+b.name, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubject: "$KV." + b.name + "." + pattern, HeadersOnly: true,
		AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: keepIdleFor, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("listing bucket %s: %w", b.name, err)
	}
	for more := true; more; {
		batch, err := list.FetchNoWait(replayBatch)
		if err != nil {
			return nil, fmt.Errorf("listing bucket %s: %w", b.name, err)
		}
		more = false
		for m := range batch.Messages() {
			more = true
			if !marks(header(m)) {
				keys = append(keys, strings.TrimPrefix(m.Subject(), "$KV."+b.name+"."))
			}
		}
		if err := errors.Join(batch.Error(), ctx.Err()); err != nil {
			return nil, fmt.Errorf("listing bucket %s: %w", b.name, err)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// listWithin bounds a listing.
const listWithin = 30 * time.Second
