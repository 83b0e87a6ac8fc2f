package streams

import (
	"log/slog"
	"net"

	"github.com/nats-io/nats.go"
)

// Unfence leaves the fence out of this journal's activity commits.
func (j *Journal) Unfence() { j.unfenced = true }

// RawConn is the NATS connection beneath, for tests that play the outsider.
func RawConn(c *Conn) *nats.Conn { return c.nc }

// Waiting is how many decisions are in the queue.
func (c *Committer[S]) Waiting() int { return len(c.queue) }

// Closing tells whether Close was called.
func (c *Committer[S]) Closing() bool {
	c.closing.RLock()
	defer c.closing.RUnlock()
	return c.closed
}

// SyncsAlways tells whether the server syncs every message before it acknowledges it.
func SyncsAlways(s *Server) bool { return s.nats.JetStreamConfig().SyncAlways }

// MaxStore is how much the server lets logs take, in bytes.
func MaxStore(s *Server) int64 { return s.nats.JetStreamConfig().MaxStore }

// Listeners are the addresses beside its own at which the server listens: for
// monitoring, profiling and other servers.
func Listeners(s *Server) (open []string) {
	for name, addr := range map[string]net.Addr{
		"monitoring": s.nats.MonitorAddr(), "cluster": s.nats.ClusterAddr(), "profiling": s.nats.ProfilerAddr(),
	} {
		// The server answers with typed nothings.
		if a, ok := addr.(*net.TCPAddr); ok && a != nil {
			open = append(open, name+" "+a.String())
		}
	}
	return open
}

// Connect connects as the options say, for a test that is somebody else's account.
func Connect(url string, log *slog.Logger, extra ...nats.Option) (*Conn, error) {
	return connect(url, log, 0, extra...)
}
