package streams

import (
	"context"
	"errors"
	"log/slog"
)

// ServerOptions says where an embedded server keeps its log and who may reach it.
type ServerOptions struct {
	Dir    string       // data directory; made with mode 0700 where it is missing
	Listen string       // address for NATS clients, such as 127.0.0.1:4222; empty: this process alone
	Log    *slog.Logger // nil: slog.Default
}

// Server is a NATS server inside this process, the only user of its data directory.
type Server struct{}

// StartServer opens the log under Dir, syncing every commit to disk before it is acknowledged.
func StartServer(ctx context.Context, o ServerOptions) (*Server, error) {
	return nil, errors.ErrUnsupported
}

// Connect connects this process to the server without a network.
func (s *Server) Connect() (*Conn, error) { return nil, errors.ErrUnsupported }

// Close stops the server and gives its data directory free.
func (s *Server) Close() {}
