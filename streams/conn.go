package streams

import (
	"context"
	"errors"
	"log/slog"
)

// DialOptions says where an external NATS cluster is and who we are there.
type DialOptions struct {
	URL             string       // nats:// or tls://, several separated by commas
	CredentialsFile string       // NATS .creds file; empty: none
	CACertFile      string       // PEM file of the authorities that may sign the cluster's certificates; empty: the system's
	Log             *slog.Logger // nil: slog.Default
}

// Conn is a connection to NATS. It reconnects by itself for as long as it is open.
type Conn struct{}

// Dial connects to an external cluster.
func Dial(ctx context.Context, o DialOptions) (*Conn, error) { return nil, errors.ErrUnsupported }

// Close ends the connection.
func (c *Conn) Close() {}
