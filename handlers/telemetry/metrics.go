package telemetry

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation"
)

// Metrics are those of one process, in a registry of their own. They are safe for
// concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	exchanges *prometheus.CounterVec
	took      *prometheus.HistogramVec
	appended  *prometheus.CounterVec
	appending *prometheus.HistogramVec
	fetches   *prometheus.CounterVec
	lapsed    *prometheus.HistogramVec
	limits    *limits
}

// NewMetrics makes the metrics of a process of that version, all at zero.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		exchanges: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_token_exchanges_total",
			Help: "Token requests, by what became of them. The connection is empty where none was found, the reason where a token was issued."},
			[]string{"org", "connection", "outcome", "reason"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sallyport_token_exchange_duration_seconds",
			Help: "Time from reading a token request to its answer.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)},
			[]string{"org"}),
		appended: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_events_appended_total",
			Help: "Events that this process recorded, by type."}, []string{"org", "type"}),
		appending: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sallyport_event_append_duration_seconds",
			Help: "Time until a commit of this process was acknowledged as durable.", Buckets: prometheus.ExponentialBuckets(0.0002, 2, 16)},
			[]string{"org"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sallyport_jwks_fetches_total",
			Help: "Fetches of providers' keys, by whether they brought any."}, []string{"outcome"}),
		lapsed: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sallyport_deadline_recording_delay_seconds",
			Help:    "Time from a deadline (of a membership, a request, a checkout) until the log said that it passed. Nothing holds for longer because of it.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10)}, []string{"org"}),
		limits: &limits{},
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sallyport_build_info", Help: "1, with the version of this process and of Go.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	for _, outcome := range []string{fetched, notFetched} {
		m.fetches.WithLabelValues(outcome)
	}
	m.registry.MustRegister(m.exchanges, m.took, m.appended, m.appending, m.fetches, m.lapsed, m.limits, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers with the metrics as they are.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second, EnableOpenMetrics: true})
}

// Outcomes of an exchange.
const (
	issued  = "issued"
	denied  = "denied"  // by the connection or the proof
	limited = "limited" // asked too often
	failed  = "failed"  // not now: the log or the provider's keys
)

// outcome is what a reason comes to.
func outcome(reason string) string {
	switch reason {
	case "":
		return issued
	case "rate.limited":
		return limited
	case "log.unavailable", "keys.unavailable":
		return failed
	}
	return denied
}

// Org counts for one organisation. Its methods are what the packages that do the
// work are given to tell.
type Org struct {
	exchanges *prometheus.CounterVec
	took      prometheus.Observer
	appended  *prometheus.CounterVec
	appending prometheus.Observer
	lapsed    prometheus.Observer
}

// Org counts for the organisation of that name.
func (m *Metrics) Org(name domain.Name) *Org {
	l := prometheus.Labels{"org": name.String()}
	return &Org{
		exchanges: m.exchanges.MustCurryWith(l), took: m.took.With(l),
		appended: m.appended.MustCurryWith(l), appending: m.appending.With(l), lapsed: m.lapsed.With(l),
	}
}

// Exchanged is told what became of a token request, as exchange.Meter says.
func (o *Org) Exchanged(connection domain.Name, reason string, took time.Duration) {
	o.exchanges.WithLabelValues(connection.String(), outcome(reason), reason).Inc()
	o.took.Observe(took.Seconds())
}

// Stored is told of a durable commit, as streams.Options says.
func (o *Org) Stored(facts []domain.Fact, took time.Duration) {
	o.appending.Observe(took.Seconds())
	for _, f := range facts {
		o.appended.WithLabelValues(f.Event.EventType()).Inc()
	}
}

// Lapsed is told how long after a deadline this process recorded that it passed,
// as clock.Options says.
func (o *Org) Lapsed(late time.Duration) { o.lapsed.Observe(late.Seconds()) }

// Outcomes of a fetch of keys.
const (
	fetched    = "ok"
	notFetched = "failed"
)

// Fetched is told of a fetch of providers' keys, as jose.SourcesOptions says.
func (m *Metrics) Fetched(err error) {
	outcome := fetched
	if err != nil {
		outcome = notFetched
	}
	m.fetches.WithLabelValues(outcome).Inc()
}

// Limit has what was refused because of a limit counted: denied tells how much
// that was so far. org is empty for a limit of the whole process.
func (m *Metrics) Limit(org domain.Name, limit string, denied func() uint64) {
	m.limits.add(org, limit, denied)
}

// Disk has the share of the data directory's disk that is free read at every scrape.
func (m *Metrics) Disk(free func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sallyport_disk_free_ratio",
		Help: "Share of the disk of the data directory that is free, 0 to 1."}, free))
}

// Watch has the figures of an open organisation read at every scrape.
func (m *Metrics) Watch(o Watched) { m.registry.MustRegister(newVitals(o)) }

// Watched is an open organisation.
type Watched interface {
	Name() domain.Name
	Vitals(context.Context) organisation.Vitals
	Now() time.Time
}
