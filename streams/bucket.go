package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
// characters of a-z, A-Z, 0-9, _ and -.
func (c *Conn) Bucket(ctx context.Context, name string) (*Bucket, error) {
	kv, err := c.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:   name,
		History:  1,
		Storage:  jetstream.FileStorage,
		Replicas: c.bucketReplicas,
	})
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", name, err)
	}
	return &Bucket{c: c, kv: kv, name: name}, nil
}

// Put stores val under key, in place of what was there. It returns once that
// is durable; after an error either value may be there.
func (b *Bucket) Put(ctx context.Context, key string, val []byte) error {
	if _, err := b.kv.Put(ctx, key, val); err != nil {
		return fmt.Errorf("storing %s in bucket %s: %w", key, b.name, err)
	}
	return nil
}

// Get reads the value of key through the leader, so that what one replica has
// put every replica gets; [ErrNoKey] if there is none.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, error) {
	m, found, err := b.c.read(ctx, "KV_"+b.name, msgGet{Last: "$KV." + b.name + "." + key})
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s from bucket %s: %w", key, b.name, err)
	case !found || m.header().Get("KV-Operation") != "":
		return nil, fmt.Errorf("reading %s from bucket %s: %w", key, b.name, ErrNoKey)
	}
	return m.Data, nil
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
func (b *Bucket) Keys(ctx context.Context) ([]string, error) {
	keys, err := b.kv.Keys(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, fmt.Errorf("listing bucket %s: %w", b.name, err)
	}
	slices.Sort(keys)
	return keys, nil
}
