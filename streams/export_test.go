package streams

import "github.com/nats-io/nats.go"

// Unfence leaves the fence out of this journal's activity commits.
func (j *Journal) Unfence() { j.unfenced = true }

// RawConn is the NATS connection beneath, for tests that play the outsider.
func RawConn(c *Conn) *nats.Conn { return c.nc }
