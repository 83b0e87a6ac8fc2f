package streams

import (
	"context"
	"errors"
)

// Bucket holds sealed keys and secrets by name: what must be destroyable and
// therefore never enters the log.
type Bucket struct{}

// Bucket opens the bucket of that name, or makes it.
func (c *Conn) Bucket(ctx context.Context, name string) (*Bucket, error) {
	return nil, errors.ErrUnsupported
}

// Put stores val under key; it returns once that is durable.
func (b *Bucket) Put(ctx context.Context, key string, val []byte) error {
	return errors.ErrUnsupported
}

// Get reads the value of key, or [ErrNoKey].
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Delete destroys the value of key; a key that is not there is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error { return errors.ErrUnsupported }

// Keys lists the keys, sorted.
func (b *Bucket) Keys(ctx context.Context) ([]string, error) { return nil, errors.ErrUnsupported }
