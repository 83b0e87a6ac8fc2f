package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sallyport.dev/handlers/probe"
)

// stopping is what requests learn of the end of the process. The zero value says
// that it goes on.
type stopping struct {
	asked   atomic.Bool
	streams chan struct{} // closed when answers that last must end, so that their clients resume elsewhere
}

var errStopping = errors.New("the server was asked to stop")

// Ready is red from the moment at which we are asked to stop; before it says nothing.
func (s *stopping) Ready(context.Context) map[string]error {
	if s.asked.Load() {
		return map[string]error{"stopping": errStopping}
	}
	return nil
}

// wrap has clients leave their connections behind once we stop: one that is
// closed while a request is on its way would look like a failure. With HTTP/2 the
// header makes net/http say GOAWAY.
func (s *stopping) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.asked.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// alive returns once every organisation and the router have answered, whatever
// they say.
func alive(t *tenants, h http.Handler) func(context.Context) {
	return func(ctx context.Context) {
		for _, o := range t.orgs {
			o.Ready(ctx)
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/livez", nil)
		if err == nil {
			h.ServeHTTP(&nobody{http.Header{}}, r)
		}
	}
}

// nobody takes an answer that is not read.
type nobody struct{ header http.Header }

func (n *nobody) Header() http.Header         { return n.header }
func (n *nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n *nobody) WriteHeader(int)             {}

// measure tells how much room there is below a folder, as df counts it.
func measure(dir string) func() (free, total uint64, err error) {
	return func() (free, total uint64, err error) {
		var s syscall.Statfs_t
		if err := syscall.Statfs(dir, &s); err != nil {
			return 0, 0, err
		}
		size := uint64(s.Bsize)
		return s.Bavail * size, (s.Blocks - s.Bfree + s.Bavail) * size, nil
	}
}

// clock compares the clock with the log's, of the first organisation: all are in
// one place.
func (p *process) clock(t *tenants) *probe.Clock {
	start := sinceBoot()
	return &probe.Clock{
		Now: time.Now, Elapsed: func() time.Duration { return sinceBoot() - start },
		Log: t.orgs[0].Clock, Out: p.log,
	}
}

// sinceBoot goes on while the machine sleeps, and nobody sets it.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0 // Linux has had it since 2.6.39
	}
	return time.Duration(t.Nano())
}
