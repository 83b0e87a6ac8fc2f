package streams

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Subscriber makes the consumer through which somebody else reads the whole log,
// from its first commit on, each commit until it is acknowledged. It is made for
// them because a right to make consumers is a right to write: a consumer may
// be told to deliver to any subject. One that is there is left where it is.
// A name is 1 to 63 characters of a-z, A-Z, 0-9, _ and -.
func (j *Journal) Subscriber(ctx context.Context, name string) error {
	_, err := j.c.js.CreateOrUpdateConsumer(ctx, j.stream, jetstream.ConsumerConfig{
		Durable:       name,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return fmt.Errorf("making the consumer %s of the log %s: %w", name, j.stream, err)
	}
	return nil
}
