package streams

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// ServerOptions says where an embedded server keeps its log and who may reach it.
type ServerOptions struct {
	// Dir is the data directory; it is made with mode 0700 where it is missing.
	Dir string
	// Listen is an address for NATS clients, such as 127.0.0.1:4222; port 0 picks
	// a free one. Empty, the default: no listener, and only this process can connect.
	Listen string
	Log    *slog.Logger // nil: slog.Default
	// Check is asked each time before the store is opened, when nobody else can: its
	// error is returned, and the store stays as it is. Opening one cuts off
	// whatever is damaged in it. Nil: it is opened as it is.
	Check func(context.Context) error

	// lazy leaves syncing to the end: see StartStaging.
	lazy bool
}

// Server is a NATS server inside this process and the only user of its data directory.
type Server struct {
	opts  *server.Options
	check func(context.Context) error
	dir   string
	lock  *os.File
	user  string
	pass  string
	log   *slog.Logger
	once  sync.Once

	mu   sync.Mutex
	nats *server.Server // another one after its disk was full; see disk.go
	disk *disk
}

// standalone is what the mode file of a data directory says when its log was
// written by one server. A clustered server deletes such a log thirty seconds
// after opening it (nats-server issue 5467), so nothing else may open it.
const (
	modeFile   = "mode"
	standalone = "standalone\n"
)

// readyWithin bounds how long opening a log may take; five million events took ten seconds.
const readyWithin = 2 * time.Minute

// StartServer opens the log under Dir for this process alone: a second process
// is refused and told the first one's process id. Every commit is on disk before it is
// acknowledged; that cannot be turned off.
func StartServer(ctx context.Context, o ServerOptions) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{check: o.Check, dir: o.Dir, lock: lock, user: "sallyport", pass: rand.Text(), log: o.Log, disk: newDisk()}
	if err := s.start(ctx, o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, o ServerOptions) error {
	if err := markStandalone(o.Dir); err != nil {
		return err
	}
	if err := tryDisk(o.Dir, oneByte); err != nil {
		return fmt.Errorf("the disk of the data directory takes no writes: %w", err)
	}
	s.opts = &server.Options{
		ServerName:             "sallyport",
		DontListen:             o.Listen == "",
		NoSigs:                 true, // signals belong to the program
		NoLog:                  true, // the log goes to slog, below
		JetStream:              true,
		DisableJetStreamBanner: true,
		StoreDir:               filepath.Join(o.Dir, "nats"),
		JetStreamMaxStore:      1 << 50, // the disk is the limit: the default is what was free at the start, for good
		SyncAlways:             !o.lazy, // the default loses minutes of acknowledged events with the power
		MaxPayload:             1 << 20,
		Username:               s.user, // with a listener, too, nobody but us gets in
		Password:               s.pass,
	}
	if o.Listen != "" {
		host, port, err := splitListen(o.Listen)
		if err != nil {
			return err
		}
		s.opts.Host, s.opts.Port = host, port
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	if a, ok := s.current().Addr().(*net.TCPAddr); ok && a != nil {
		s.opts.Port = a.Port // the same, should it be opened again
	}
	s.disk.watching.Go(s.watch)
	return nil
}

// open starts the NATS server on the store as it is, once it was checked.
func (s *Server) open(ctx context.Context) error {
	if s.check != nil {
		if err := s.check(ctx); err != nil {
			return err
		}
	}
	opts := *s.opts
	ns, err := server.NewServer(&opts)
	if err != nil {
		return fmt.Errorf("setting up the NATS server: %w", err)
	}
	s.mu.Lock()
	s.nats = ns
	s.mu.Unlock()
	logger := &natsLog{log: s.log, disk: s.disk}
	ns.SetLoggerV2(logger, false, false, false)
	go ns.Start()
	return awaitReady(ctx, ns, logger)
}

// current is the NATS server as of now, nil before there is one.
func (s *Server) current() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nats
}

// InProcessConn connects to the server as it then is; for nats.InProcessServer.
func (s *Server) InProcessConn() (net.Conn, error) { return s.current().InProcessConn() }

// awaitReady returns when the server takes connections, or why it will not.
func awaitReady(ctx context.Context, ns *server.Server, l *natsLog) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for !ns.ReadyForConnections(50 * time.Millisecond) {
		if f := l.fatal.Load(); f != nil {
			return fmt.Errorf("starting the NATS server: %s", *f)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for the NATS server: %w", ctx.Err())
		}
	}
	return nil
}

// Connect connects this process to the server without a network.
func (s *Server) Connect() (*Conn, error) {
	c, err := connect("nats://"+s.opts.ServerName, s.log, 0, nats.InProcessServer(s), nats.UserInfo(s.user, s.pass))
	if err == nil {
		c.disk = s.disk
	}
	return c, err
}

// ClientURL is the address for NATS clients, with our own user and password, which
// are new at every start: treat it as a secret. It is empty without a listener.
func (s *Server) ClientURL() string {
	a, ok := s.current().Addr().(*net.TCPAddr)
	if !ok || a == nil {
		return ""
	}
	u := url.URL{Scheme: "nats", User: url.UserPassword(s.user, s.pass), Host: a.String()}
	return u.String()
}

// Close stops the server and gives its data directory free. It may be called more than once.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.disk.quit)
		s.disk.watching.Wait()
		if ns := s.current(); ns != nil {
			ns.Shutdown()
			ns.WaitForShutdown()
		}
		s.lock.Close()
	})
}

// InUseError tells that another process has the data directory.
type InUseError struct {
	Dir     string
	Process string // its id; empty while it has not written it yet
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("the data directory %s is in use by process %s", e.Dir, e.Process)
}

// lockDir takes the data directory for this process until the file is closed,
// or the process ends however it ends.
func lockDir(dir string) (*os.File, error) {
	// Root restores into the directory of a user who must not have it write elsewhere.
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(f.Name())
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking the data directory %s: %w", dir, err)
		}
		return nil, &InUseError{Dir: dir, Process: strings.TrimSpace(string(holder))}
	}
	err = errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())+"\n"))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("naming this process in the lock: %w", err)
	}
	return f, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// markStandalone writes the mode file, or refuses a directory that was written otherwise.
func markStandalone(dir string) error {
	name := filepath.Join(dir, modeFile)
	b, err := os.ReadFile(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return writeDurably(name, standalone)
	case err != nil:
		return fmt.Errorf("reading how the log was written: %w", err)
	case string(b) == restoringMode:
		return restoringError(dir)
	case string(b) != standalone:
		return fmt.Errorf("the log in %s was not written standalone (%s says %q): move it with `sallyportd backup` and `sallyportd restore`", dir, modeFile, b)
	}
	return nil
}

// refuseStandalone keeps a process that uses a cluster away from a log written standalone.
func refuseStandalone(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, modeFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("looking for a standalone log: %w", err)
	case string(b) == restoringMode:
		return restoringError(dir)
	}
	return fmt.Errorf("the data directory %s holds a log that was written standalone, which a cluster would not see: "+
		"move it with `sallyportd backup` and `sallyportd restore`, or use another data directory", dir)
}

func writeDurably(name, content string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// splitListen reads host:port, where port 0 means any free one (NATS calls that -1).
func splitListen(addr string) (string, int, error) {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return "", 0, fmt.Errorf("reading the listen address: %w", err)
	}
	host, _, _ := net.SplitHostPort(addr)
	if a.Port == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, a.Port, nil
}

// natsLog hands what the NATS server says to slog. Its notices are of interest
// to those who look into NATS, so they are debug.
type natsLog struct {
	log   *slog.Logger
	disk  *disk
	fatal atomic.Pointer[string]
}

func (l *natsLog) Noticef(f string, v ...any) { l.log.Debug("nats: " + fmt.Sprintf(f, v...)) }
func (l *natsLog) Debugf(f string, v ...any)  { l.log.Debug("nats: " + fmt.Sprintf(f, v...)) }
func (l *natsLog) Tracef(f string, v ...any)  { l.log.Debug("nats: " + fmt.Sprintf(f, v...)) }

// Errorf also tells the watch of the disk why it should look.
func (l *natsLog) Errorf(f string, v ...any) {
	l.disk.hear(v)
	l.log.Error("nats: " + fmt.Sprintf(f, v...))
}

// Warnf leaves out the advice to hash the password in the configuration file: there is no file.
func (l *natsLog) Warnf(f string, v ...any) {
	if strings.HasPrefix(f, "Plaintext passwords detected") {
		return
	}
	l.log.Warn("nats: " + fmt.Sprintf(f, v...))
}

// Fatalf does not end the process, as NATS would: StartServer returns the reason.
func (l *natsLog) Fatalf(f string, v ...any) {
	s := fmt.Sprintf(f, v...)
	l.fatal.Store(&s)
	l.log.Error("nats: " + s)
}
