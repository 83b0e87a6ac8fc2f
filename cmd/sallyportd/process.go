package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	sallyport "sallyport.dev"
	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/domain/events"
	"sallyport.dev/handlers/access"
	"sallyport.dev/handlers/admin"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/console"
	"sallyport.dev/handlers/device"
	"sallyport.dev/handlers/exchange"
	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/issuer"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/probe"
	"sallyport.dev/handlers/telemetry"
)

// process is what a server has beside its organisations: who watches it, and how
// it stops.
type process struct {
	m       *Main
	log     *slog.Logger
	notify  *notifier
	cert    *certificate       // nil: no TLS
	metrics *telemetry.Metrics // nil: nobody counts
	traces  *telemetry.Traces  // nil: none are made
	disk    *probe.Disk
	stop    stopping
}

// newProcess makes what watches a server. The caller closes it.
func newProcess(ctx context.Context, m *Main) (p *process, err error) {
	p = &process{m: m, log: m.Log, notify: &notifier{log: m.Log}}
	if m.Getenv != nil {
		p.notify = newNotifier(m.Getenv, os.Getpid(), m.Log)
	}
	if m.Config.TLS.CertFile != "" {
		if p.cert, err = openCertificate(m.Config.TLS, m.Log); err != nil {
			return nil, err
		}
	}
	if to := m.Config.Tracing; to.Endpoint != "" {
		p.log = slog.New(telemetry.LogTraces(m.Log.Handler()))
		p.traces, err = telemetry.NewTraces(ctx, telemetry.TracesOptions{
			Endpoint: to.Endpoint, Ratio: to.SampleRatio, Version: cli.BuildVersion(), Log: m.Log,
		})
		if err != nil {
			return nil, err
		}
	}
	p.disk = &probe.Disk{Measure: m.Measure, Log: m.Log}
	if m.Measure == nil {
		p.disk.Measure = measure(m.Config.DataDir)
	}
	if m.Metrics != nil {
		p.metrics = telemetry.NewMetrics(cli.BuildVersion())
		p.metrics.Disk(func() float64 { return 1 - p.disk.Used() })
	}
	return p, nil
}

func (p *process) close() {
	if p.traces == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.traces.Close(ctx); err != nil {
		p.log.Warn("the last traces were not sent", "error", err)
	}
}

// watch has an organisation that will be opened tell those who watch.
func (p *process) watch(o *organisation.Options) {
	if p.disk != nil {
		p.disk.Look()
		o.Room = p.disk.Room
	}
	if p.metrics != nil {
		o.Stored, o.Fetched = p.metrics.Org(o.Name).Stored, p.metrics.Fetched
	}
	o.Notices = p.m != nil && p.m.Notify != nil
}

// serve serves until ctx ends, or something fails, and then stops in order.
func (p *process) serve(ctx context.Context, t *tenants) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late, end := context.WithCancel(context.Background()) // of what serves until the last request is answered
	defer end()
	p.stop.streams = make(chan struct{})
	clock := p.clock(t)
	handler, closeHandlers, err := p.handler(t, clock)
	if err != nil {
		return err
	}
	defer closeHandlers()
	h := host.New(t.orgs...)
	socket, err := host.Listen(p.m.Config.DataDir)
	if err != nil {
		return err
	}
	server := api.NewServer(handler, p.log)
	var running sync.WaitGroup
	defer running.Wait() // nobody uses what is closed after this
	defer end()
	running.Go(func() { cancel(h.Serve(late, socket)) })
	running.Go(func() { cancel(p.listen(server)) })
	running.Go(func() { cancel(t.failed(ctx)) })
	running.Go(func() { p.disk.Run(late) })
	running.Go(func() { clock.Run(late) })
	running.Go(func() { p.notify.watch(late, alive(t, handler)) })
	p.background(late, &running, t)
	p.serveApart(late, &running, cancel)
	if p.cert != nil {
		running.Go(func() { p.cert.follow(late, p.m.Hangup, p.notify) })
	}
	if p.m.Ready != nil {
		running.Go(func() {
			if err := p.m.Ready(ctx, h); err != nil {
				cancel(err)
			}
		})
	}
	p.log.Info("serving", "address", p.m.Listener.Addr().String(), "base_url", p.m.Config.BaseURL, "version", cli.BuildVersion())
	p.notify.ready()
	<-ctx.Done()
	return p.shutDown(context.Cause(ctx), server)
}

// shutDown answers what was accepted and accepts no more. First nobody new should
// come, and load balancers need a moment to see that.
func (p *process) shutDown(cause error, server *http.Server) error {
	if errors.Is(cause, context.Canceled) {
		cause = nil // asked to stop
	}
	p.notify.stopping()
	p.log.Info("stopping")
	p.stop.asked.Store(true)
	if wait := time.Duration(p.m.Config.Shutdown.Wait); cause == nil && wait > 0 {
		time.Sleep(wait)
	}
	close(p.stop.streams)
	return errors.Join(cause, drain(server, time.Duration(p.m.Config.Shutdown.Drain)))
}

// drain lets requests in flight finish; d of zero is ten seconds.
func drain(server *http.Server, d time.Duration) error {
	if d == 0 {
		d = drainTime
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were still in flight after %s: %w", d, err), server.Close())
	}
	return nil
}

// listen serves the public until the server is shut down.
func (p *process) listen(server *http.Server) error {
	proxies, err := prefixes(p.m.Config.TrustedProxies)
	if err != nil {
		return err
	}
	l := newCrowd(p.m.Listener, proxies)
	if p.cert == nil {
		err = server.Serve(l)
	} else {
		server.TLSConfig = p.cert.config()
		err = server.ServeTLS(l, "", "")
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving %s: %w", p.m.Listener.Addr(), err)
}

// serveApart serves, until ctx ends, what is not for the public.
func (p *process) serveApart(ctx context.Context, running *sync.WaitGroup, failed func(error)) {
	one := func(l net.Listener, what string, h http.Handler) {
		if l == nil {
			return
		}
		server := api.NewServer(h, p.log)
		context.AfterFunc(ctx, func() { server.Close() })
		p.log.Info("serving "+what, "address", l.Addr().String())
		running.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed(fmt.Errorf("serving %s at %s: %w", what, l.Addr(), err))
			}
		})
	}
	if p.metrics != nil {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", p.metrics.Handler())
		one(p.m.Metrics, "metrics", mux)
	}
	one(p.m.Pprof, "profiles", telemetry.Profiles())
}

// handler is every route of every organisation. The func returned writes what
// the handlers only counted so far.
func (p *process) handler(t *tenants, clock *probe.Clock) (http.Handler, func(), error) {
	c := p.m.Config
	proxies, err := prefixes(c.TrustedProxies)
	if err != nil {
		return nil, nil, err
	}
	e := api.New(api.Options{Log: p.log, TrustedProxies: proxies})
	sources := limiter(c.RateLimits.PerAddress, addressesRemembered, t.conn.Replicas)
	providers, err := p.m.providers()
	if err != nil {
		return nil, nil, err
	}
	var exchanges []*exchange.Exchange
	ready := []probe.Readiness{p.disk, clock, &p.stop}
	for _, o := range t.orgs {
		g := e.Group("/orgs/" + o.Name().String())
		connections := limiter(c.RateLimits.PerConnection, connectionsRemembered, o.Replicas)
		waiting := device.New(o, sources)
		waiting.Mount(g)
		options := p.exchangeOptions(o, sources, connections)
		options.Grants = map[string]exchange.Grant{device.Grant: waiting.Token}
		x := exchange.New(o, options)
		x.Mount(g)
		issuer.New(o, sources).Mount(e, g)
		doors := access.New(o, access.Options{})
		if p.metrics != nil {
			p.metrics.Limit(o.Name(), "subject", doors.Denied)
		}
		admin.Mount(g, o, admin.Options{Limiter: sources, Stopping: p.stop.streams, SignIn: providers, More: doors.Routes()})
		exchanges, ready = append(exchanges, x), append(ready, o)
	}
	if p.metrics != nil {
		p.metrics.Limit("", "address", sources.Denied)
	}
	probe.New(probe.Options{OpenAPI: sallyport.OpenAPI, Catalogue: events.New(), Log: p.log, Ready: ready}).Mount(e)
	pages, err := console.New(console.Options{
		SignIn: providers, Orgs: t.orgs, API: e, BaseURL: c.BaseURL, Log: p.log, Limiter: sources, Stopping: p.stop.streams,
		Checks: []console.Readiness{p.disk, clock},
	})
	if err != nil {
		return nil, nil, err
	}
	pages.Mount(e)
	handler := http.Handler(e)
	if p.traces != nil {
		handler = p.traces.Wrap(handler)
	}
	return p.stop.wrap(handler), func() {
		for _, x := range exchanges {
			x.Close()
		}
	}, nil
}

// exchangeOptions has the exchanges of an organisation tell those who watch.
func (p *process) exchangeOptions(o *organisation.Organisation, sources, connections *limit.Limiter) exchange.Options {
	opt := exchange.Options{Sources: sources, Connections: connections}
	if p.metrics != nil {
		p.metrics.Watch(o)
		p.metrics.Limit(o.Name(), "connection", connections.Denied)
		opt.Meter = p.metrics.Org(o.Name())
	}
	if p.traces != nil {
		opt.Tracer = p.traces
	}
	return opt
}

// How many client networks, and connections of an organisation, are told apart.
const (
	addressesRemembered   = 50_000
	connectionsRemembered = 20_000
)

// limiter allows each key so many uses a second, of all replicas together; nil,
// for no uses at all in the configuration, bounds nothing.
func limiter(perSecond, keys int, replicas func() int) *limit.Limiter {
	if perSecond == 0 {
		return nil
	}
	l := limit.New(float64(perSecond), 2*perSecond, keys)
	l.Share(replicas)
	return l
}
