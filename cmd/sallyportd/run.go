package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/notify"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/signin"
	"sallyport.dev/streams"
	"sallyport.dev/streams/repair"
)

// drainTime bounds how long requests in flight may take where the
// configuration does not say.
const drainTime = 10 * time.Second

// Main is one server process, as told to be; [Main.Run] opens and serves it.
type Main struct {
	Config Config
	// Listener is served; Run closes it, and those below.
	Listener net.Listener
	// Metrics and Pprof are served apart; nil: not at all.
	Metrics, Pprof net.Listener
	Sealer         *jose.Sealer
	Gate           jose.Gate
	Notify         *notify.Notifier // nil: nobody is told of anything
	SignIn         signin.Options   // but for the gate, which is ours
	Log            *slog.Logger
	// Ready is called once, when everything is open and answers. Its error stops
	// the server; its context ends when the server is asked to stop.
	Ready func(context.Context, *host.Host) error
	// Getenv has what a service manager says; nil: there is none.
	Getenv func(string) string
	// Hangup asks to read the certificate again; nil: nobody does.
	Hangup <-chan os.Signal
	// Measure tells how much room the data has, as probe.Disk asks; nil: the disk
	// of the data directory is measured.
	Measure func() (free, total uint64, err error)
}

// Run opens what the configuration names and serves it until ctx ends. Then
// readiness turns red at once, requests are taken for as long as load balancers
// need to notice, and those in flight may finish.
func (m *Main) Run(ctx context.Context) error {
	defer m.closeListeners()
	p, err := newProcess(ctx, m)
	if err != nil {
		return err
	}
	defer p.close()
	opening, opened := context.WithCancel(ctx)
	defer opened()
	go p.notify.opening(opening)
	m.Gate.Self = append(m.Gate.Self, m.Listener.Addr().(*net.TCPAddr).AddrPort())
	t, err := openWatched(ctx, m, p)
	opened()
	if err != nil && errors.Is(ctx.Err(), context.Canceled) && domain.Damaged(err) == nil {
		p.log.Info("stopped before it was open", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer p.log.Info("stopped") // after the data is closed
	defer t.close()
	return p.serve(ctx, t)
}

func (m *Main) closeListeners() {
	for _, l := range []net.Listener{m.Listener, m.Metrics, m.Pprof} {
		if l != nil {
			l.Close()
		}
	}
}

// tenants are the organisations of this process, open, and the log they are in.
type tenants struct {
	orgs   []*organisation.Organisation
	conn   *streams.Conn
	server *streams.Server // nil on a cluster
}

// openTenants opens the log and every organisation; ctx bounds the opening alone.
func openTenants(ctx context.Context, c Config, sealer *jose.Sealer, gate jose.Gate, log *slog.Logger) (*tenants, error) {
	return openWatched(ctx, &Main{Config: c, Sealer: sealer, Gate: gate}, &process{log: log})
}

// openWatched is openTenants for a process that watches what it does.
func openWatched(ctx context.Context, m *Main, p *process) (_ *tenants, err error) {
	c, log := m.Config, p.log
	t := &tenants{}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if err := os.MkdirAll(filepath.Join(c.DataDir, "trail"), 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	if err := t.openLog(ctx, c, log); err != nil {
		return nil, err
	}
	for _, name := range c.Organisations {
		opt := organisation.Options{
			Name: domain.Name(name), BaseURL: c.BaseURL, Conn: t.conn, Replicas: c.replicas(), FewCopies: c.NATS.AllowFewReplicas,
			TrailPath: filepath.Join(c.DataDir, "trail", name+".sqlite"), SealDir: filepath.Join(c.DataDir, "seal", name), Sealer: m.Sealer, Gate: m.Gate, Log: log,
		}
		p.watch(&opt)
		o, err := organisation.Open(ctx, opt)
		if err != nil {
			return nil, err
		}
		t.orgs = append(t.orgs, o)
	}
	return t, nil
}

// replicas is how many copies of the log there are: one, when it is embedded.
func (c Config) replicas() int {
	if c.NATS.URL == "" {
		return 1
	}
	return c.NATS.Replicas
}

func (t *tenants) openLog(ctx context.Context, c Config, log *slog.Logger) (err error) {
	if c.NATS.URL != "" {
		t.conn, err = streams.Dial(ctx, c.dialOptions(log))
		return err
	}
	check := func(ctx context.Context) error { return repair.Check(ctx, repair.Data{Dir: c.DataDir}, log) }
	if t.server, err = streams.StartServer(ctx, streams.ServerOptions{Dir: c.DataDir, Log: log, Check: check}); err != nil {
		return err
	}
	t.conn, err = t.server.Connect()
	return err
}

// dialOptions are how a cluster is reached.
func (c Config) dialOptions(log *slog.Logger) streams.DialOptions {
	return streams.DialOptions{
		URL: c.NATS.URL, Credentials: c.NATS.Credentials, CredentialsFile: c.NATS.CredentialsFile,
		NkeySeed: c.NATS.NkeySeed, NkeySeedFile: c.NATS.NkeySeedFile,
		CACertFile: c.NATS.CAFile, CertFile: c.NATS.CertFile, KeyFile: c.NATS.KeyFile, TLSFirst: c.NATS.TLSFirst,
		Dir: c.DataDir, BucketReplicas: c.NATS.Replicas, Log: log,
	}
}

// failed is why the embedded log cannot be written any more and the process must
// end; it returns when that happens, or ctx ends.
func (t *tenants) failed(ctx context.Context) error {
	var gone <-chan struct{} // on a cluster never: it comes back by itself
	if t.server != nil {
		gone = t.server.Failed()
	}
	select {
	case <-gone:
		return cli.Fail("see to the disk, then start again: what was acknowledged is in the log, and nothing else was answered",
			"the log can no longer be written: %v", t.server.Err())
	case <-ctx.Done():
		return nil
	}
}

func (t *tenants) close() {
	for _, o := range t.orgs {
		o.Close()
	}
	if t.conn != nil {
		t.conn.Close()
	}
	if t.server != nil {
		t.server.Close()
	}
}
