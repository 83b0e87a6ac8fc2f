package streams

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// disk is what the embedded server knows of the disk under it. After a write
// or a sync that failed, JetStream takes nothing more into that stream, and
// answers nobody who tries, until it is opened again.
//
//	well -> full:  there is no room. Whoever writes is refused at once; reads go
//	               on. Once there is room the store is opened again: well.
//	     -> lost:  any other error, such as that of a sync: what the disk has is
//	               not known any more. Nothing is written; the process must end.
//
// A nil *disk, that of a cluster, is well.
type disk struct {
	heard    chan error    // an error that the server told of; holds one
	quit     chan struct{} // closed with the server
	failed   chan struct{} // closed when the disk is lost
	watching sync.WaitGroup

	mu   sync.Mutex
	err  error           // why nothing is written; nil: well
	bell context.Context // done while nothing is written
	ring context.CancelFunc
}

func newDisk() *disk {
	d := &disk{heard: make(chan error, 1), quit: make(chan struct{}), failed: make(chan struct{})}
	d.bell, d.ring = context.WithCancel(context.Background())
	return d
}

// How often a server is asked whether its streams still write, when it tells
// nothing by itself; and how much room there must be before a store that was
// full is opened again: more than one block of it.
const (
	lookEvery = time.Second
	roomEvery = 500 * time.Millisecond
	oneByte   = 1
	oneBlock  = 16 << 20
)

// Failed is closed when the disk failed for good: the process must end, and say
// [Server.Err]. A disk that is full is not that; it is waited for.
func (s *Server) Failed() <-chan struct{} { return s.disk.failed }

// Err is why nothing can be written, nil while it can.
func (s *Server) Err() error { return s.disk.refuses() }

// refuses is why nothing can be written.
func (d *disk) refuses() error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// alarm is done while nothing is written, so that nobody waits for the answer
// to a write that will not come.
func (d *disk) alarm() context.Context {
	if d == nil {
		return context.Background()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bell
}

func (d *disk) set(err error, lost bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.err = err; {
	case err == nil:
		d.bell, d.ring = context.WithCancel(context.Background())
	case lost:
		close(d.failed)
		fallthrough
	default:
		d.ring()
	}
}

// hear takes in an error of the operating system that the server told of. It never blocks.
func (d *disk) hear(args []any) {
	var errno syscall.Errno
	for _, a := range args {
		if err, is := a.(error); is && errors.As(err, &errno) {
			select {
			case d.heard <- err:
			default:
			}
		}
	}
}

// sureAfter is how many looks in a row must find something wrong that the server
// told no error of.
const sureAfter = 3

// watch looks whether the streams still write: when the server tells of an
// error, and each second, should it not.
func (s *Server) watch() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var why error // the newest error that the server told of
	doubts := 0   // looks in a row at which something was wrong, and no error was told
	for {
		soon := false
		select {
		case why = <-s.disk.heard:
			soon = true // it tells of an error before it acts on it
		case <-tick.C:
		case <-s.disk.quit:
			return
		}
		said := s.look(soon)
		if said == "" {
			doubts = 0
			continue
		}
		if why == nil {
			// A stream that is just being made has a folder before the server knows it.
			if doubts++; doubts < sureAfter {
				continue
			}
			why = errors.New(said)
		}
		if !s.mend(why) {
			return
		}
		why, doubts = nil, 0
	}
}

// look asks the server whether its streams still write, and for a second again
// and again if an answer is expected soon. What it returns is why they do not.
func (s *Server) look(soon bool) string {
	for begun := time.Now(); ; {
		if said := stuck(s.current()); said != "" || !soon || time.Since(begun) > time.Second {
			return said
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.disk.quit:
			return ""
		}
	}
}

// mend sees to streams that do not write: it waits for room and opens the store
// again, or gives the disk up and returns false.
func (s *Server) mend(why error) bool {
	if !roomless(why) {
		return s.giveUp(fmt.Errorf("the disk under the log failed: %w", why))
	}
	s.disk.set(fmt.Errorf("the disk under the log is full: %w", why), false)
	s.log.Error("the disk under the log is full: nothing is written until there is room", "error", why, "directory", s.dir)
	if !s.awaitRoom() {
		return false
	}
	if err := s.reopen(); err != nil {
		return s.giveUp(fmt.Errorf("opening the log again after its disk was full: %w", err))
	}
	s.disk.set(nil, false)
	s.log.Info("the disk under the log has room again, and the log is written again")
	return true
}

func (s *Server) giveUp(err error) bool {
	s.disk.set(err, true)
	s.log.Error("nothing is written any more, and the process must end", "error", err)
	return false
}

// stuck is what the server says of a stream that does not write any more, or is
// not there though its folder is; empty where all is well.
func stuck(ns *server.Server) string {
	h := ns.Healthz(&server.HealthzOptions{Details: true})
	for _, e := range h.Errors {
		if e.Type == server.HealthzErrorStream || e.Type == server.HealthzErrorJetStream {
			return e.Error
		}
	}
	return ""
}

// roomless tells whether an error is that of a disk that is full: of the disk,
// of a quota, or of the largest file that the process may write.
func roomless(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// awaitRoom returns true once a block of the log would fit, false when the server is closed.
func (s *Server) awaitRoom() bool {
	tick := time.NewTicker(roomEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if tryDisk(s.dir, oneBlock) == nil {
				return true
			}
		case <-s.disk.quit:
			return false
		}
	}
}

// reopen ends the NATS server and starts another on its store, which reads the
// blocks: what was cut off by the full disk was never acknowledged, and goes.
func (s *Server) reopen() error {
	old := s.current()
	old.Shutdown()
	old.WaitForShutdown()
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	if err := s.open(ctx); err != nil {
		return err
	}
	if why := stuck(s.current()); why != "" {
		return errors.New(why)
	}
	for { // what the old server said on its way out
		select {
		case <-s.disk.heard:
		default:
			return nil
		}
	}
}

// tryDisk writes so many bytes to a file of its own, syncs and removes it.
func tryDisk(dir string, n int) error {
	name := filepath.Join(dir, "try")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, n))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
}
