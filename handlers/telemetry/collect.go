package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport.dev/domain"
)

// limits reads how often each limit refused.
type limits struct {
	mu  sync.Mutex
	all []limit
}

type limit struct {
	org, name string
	denied    func() uint64
}

var limitedDesc = prometheus.NewDesc("sallyport_rate_limited_total",
	"Requests refused because of a limit. The organisation is empty for a limit of the whole process.", []string{"org", "limit"}, nil)

func (l *limits) add(org domain.Name, name string, denied func() uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, limit{org.String(), name, denied})
}

func (l *limits) Describe(ch chan<- *prometheus.Desc) { ch <- limitedDesc }

func (l *limits) Collect(ch chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.all {
		ch <- prometheus.MustNewConstMetric(limitedDesc, prometheus.CounterValue, float64(x.denied()), x.org, x.name)
	}
}

// collectWithin bounds the wait for an organisation's figures: a log that is out of
// reach must not make the scrape fail that would tell of it.
const collectWithin = time.Second

// vitals reads an organisation's figures at every scrape, so that what is gone,
// such as a deleted connection, is gone from them.
type vitals struct {
	of                                              Watched
	age, lag, last, expiry, replicas                *prometheus.Desc
	sealerLag, checkpoint, checkpointAge, logHalted *prometheus.Desc
}

func newVitals(o Watched) *vitals {
	l := prometheus.Labels{"org": o.Name().String()}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, l)
	}
	return &vitals{
		of:  o,
		age: desc("sallyport_jwks_age_seconds", "Age of the keys that serve an active connection.", "connection"),
		lag: desc("sallyport_projection_lag_events", "Commits of the log that a read model has not folded yet.", "projection"),
		last: desc("sallyport_projection_last_sequence", "Last commit that a read model has folded.",
			"projection"),
		expiry: desc("sallyport_signing_key_expiry_timestamp_seconds",
			"When a key that signs is 90 days old and should be rotated, in seconds since 1970.", "kid"),
		replicas:      desc("sallyport_replicas", "Processes that serve the organisation, as far as this one knows."),
		sealerLag:     desc("sallyport_sealer_lag_events", "Events of the log that no checkpoint covers yet."),
		checkpoint:    desc("sallyport_checkpoint_sequence", "Last commit that the newest checkpoint covers."),
		checkpointAge: desc("sallyport_checkpoint_age_seconds", "Age of the newest checkpoint."),
		logHalted:     desc("sallyport_log_halted", "1 if writing and issuing stopped because the log is not what it was, else 0."),
	}
}

// Describe promises nothing: each series is there while there is something to tell.
func (v *vitals) Describe(chan<- *prometheus.Desc) {}

func (v *vitals) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectWithin)
	defer cancel()
	x, now := v.of.Vitals(ctx), v.of.Now()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for name, at := range x.Fetched {
		gauge(v.age, now.Sub(at).Seconds(), name.String())
	}
	for name, at := range x.Folded {
		gauge(v.last, float64(at), name)
		gauge(v.lag, float64(x.Last-min(at, x.Last)), name)
	}
	for kid, at := range x.Rotate {
		gauge(v.expiry, float64(at.Unix()), kid)
	}
	gauge(v.replicas, float64(x.Replicas))
	gauge(v.logHalted, truth(x.Halted))
	if s := x.Sealed; s != nil {
		gauge(v.sealerLag, float64(s.Lag))
		gauge(v.checkpoint, float64(s.Checkpoint.Sequence))
		if !s.Checkpoint.Time.IsZero() { // there is one
			gauge(v.checkpointAge, now.Sub(s.Checkpoint.Time).Seconds())
		}
	}
	for name, denied := range x.Limited {
		ch <- prometheus.MustNewConstMetric(limitedDesc, prometheus.CounterValue, float64(denied), v.of.Name().String(), name)
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
