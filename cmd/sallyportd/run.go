package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	sallyport "sallyport.dev"
	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/handlers/admin"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/issuer"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/probe"
	"sallyport.dev/streams"
)

// drainTime bounds how long requests in flight may take once we are asked to stop.
const drainTime = 10 * time.Second

// Main is one server process, as told to be; [Main.Run] opens and serves it.
type Main struct {
	Config Config
	// Listener is served; Run closes it.
	Listener net.Listener
	Sealer   *jose.Sealer
	Gate     jose.Gate
	Log      *slog.Logger
	// Ready is called once, when everything is open and answers. Its error stops
	// the server; its context ends when the server is asked to stop.
	Ready func(context.Context, *host.Host) error
}

// Run opens what the configuration names and serves it until ctx ends; then it
// lets requests in flight finish, for ten seconds at most.
func (m *Main) Run(ctx context.Context) error {
	defer m.Listener.Close()
	m.Gate.Self = append(m.Gate.Self, m.Listener.Addr().(*net.TCPAddr).AddrPort())
	tenants, err := openTenants(ctx, m.Config, m.Sealer, m.Gate, m.Log)
	if err != nil {
		return err
	}
	defer m.Log.Info("stopped") // after the data is closed
	defer tenants.close()
	return m.serve(ctx, tenants)
}

func (m *Main) serve(ctx context.Context, t *tenants) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopping := make(chan struct{})
	handler, closeHandlers, err := m.handler(t, stopping)
	if err != nil {
		return err
	}
	defer closeHandlers()
	h := host.New(t.orgs...)
	socket, err := host.Listen(m.Config.DataDir)
	if err != nil {
		return err
	}
	server := api.NewServer(handler, m.Log)
	var running sync.WaitGroup
	defer running.Wait() // nobody uses what is closed after this
	running.Go(func() { cancel(h.Serve(ctx, socket)) })
	running.Go(func() { cancel(m.listen(server)) })
	running.Go(func() { cancel(t.failed(ctx)) })
	if m.Ready != nil {
		running.Go(func() {
			if err := m.Ready(ctx, h); err != nil {
				cancel(err)
			}
		})
	}
	m.Log.Info("serving", "address", m.Listener.Addr().String(), "base_url", m.Config.BaseURL, "version", cli.BuildVersion())
	<-ctx.Done()
	if err = context.Cause(ctx); errors.Is(err, context.Canceled) {
		err = nil // asked to stop
	}
	m.Log.Info("stopping")
	close(stopping)
	return errors.Join(err, drain(server))
}

// listen serves until the server is shut down.
func (m *Main) listen(server *http.Server) error {
	var err error
	if m.Config.TLS.CertFile == "" {
		err = server.Serve(m.Listener)
	} else {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		err = server.ServeTLS(m.Listener, m.Config.TLS.CertFile, m.Config.TLS.KeyFile)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving %s: %w", m.Listener.Addr(), err)
}

func drain(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were still in flight after %s: %w", drainTime, err), server.Close())
	}
	return nil
}

// handler is every route of every organisation. The func returned writes what
// the handlers only counted so far.
func (m *Main) handler(t *tenants, stopping <-chan struct{}) (http.Handler, func(), error) {
	proxies, err := prefixes(m.Config.TrustedProxies)
	if err != nil {
		return nil, nil, err
	}
	e := api.New(api.Options{Log: m.Log, TrustedProxies: proxies})
	sources := perAddress(m.Config.RateLimits)
	if sources != nil {
		sources.Share(t.conn.Replicas)
	}
	var exchanges []*exchange.Exchange
	var ready []probe.Readiness
	for _, o := range t.orgs {
		g := e.Group("/orgs/" + o.Name().String())
		x := exchange.New(o, exchange.Options{Sources: sources})
		x.Mount(g)
		issuer.New(o).Mount(e, g)
		admin.Mount(g, o, admin.Options{Limiter: sources, Stopping: stopping})
		exchanges, ready = append(exchanges, x), append(ready, o)
	}
	probe.New(probe.Options{OpenAPI: sallyport.OpenAPI, Catalogue: events.New(), Log: m.Log, Ready: ready}).Mount(e)
	return e, func() {
		for _, x := range exchanges {
			x.Close()
		}
	}, nil
}

// addressesRemembered bounds the client networks that are told apart.
const addressesRemembered = 50_000

// perAddress bounds how often one network may ask; nil bounds nothing.
func perAddress(c RateLimitsConfig) *limit.Limiter {
	if c.PerAddress == 0 {
		return nil
	}
	return limit.New(float64(c.PerAddress), 2*c.PerAddress, addressesRemembered)
}

// tenants are the organisations of this process, open, and the log they are in.
type tenants struct {
	orgs   []*organisation.Organisation
	conn   *streams.Conn
	server *streams.Server // nil on a cluster
}

// openTenants opens the log and every organisation; ctx bounds the opening alone.
func openTenants(ctx context.Context, c Config, sealer *jose.Sealer, gate jose.Gate, log *slog.Logger) (_ *tenants, err error) {
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
		o, err := organisation.Open(ctx, organisation.Options{
			Name: domain.Name(name), BaseURL: c.BaseURL, Conn: t.conn, Replicas: c.replicas(), FewCopies: c.NATS.AllowFewReplicas,
			TrailPath: filepath.Join(c.DataDir, "trail", name+".sqlite"), SealDir: filepath.Join(c.DataDir, "seal", name), Sealer: sealer, Gate: gate, Log: log,
		})
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
		t.conn, err = streams.Dial(ctx, streams.DialOptions{
			URL: c.NATS.URL, Credentials: c.NATS.Credentials, CredentialsFile: c.NATS.CredentialsFile,
			NkeySeed: c.NATS.NkeySeed, NkeySeedFile: c.NATS.NkeySeedFile,
			CACertFile: c.NATS.CAFile, CertFile: c.NATS.CertFile, KeyFile: c.NATS.KeyFile, TLSFirst: c.NATS.TLSFirst,
			Dir: c.DataDir, BucketReplicas: c.NATS.Replicas, Log: log,
		})
		return err
	}
	if t.server, err = streams.StartServer(ctx, streams.ServerOptions{Dir: c.DataDir, Log: log}); err != nil {
		return err
	}
	t.conn, err = t.server.Connect()
	return err
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
