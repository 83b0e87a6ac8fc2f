package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// TracesOptions say where traces go.
type TracesOptions struct {
	// Endpoint is the base URL of a collector of OTLP over HTTP; /v1/traces is
	// added unless it has a path.
	Endpoint string
	// Ratio is the share of requests that is traced, 0 to 1.
	Ratio   float64
	Version string // of this process
	Log     *slog.Logger
}

// Traces sends what requests did to a collector. A collector that is slow or gone
// costs nothing but its traces. Safe for concurrent use.
type Traces struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// NewTraces prepares sending; the collector need not be there yet. The caller
// closes it.
func NewTraces(ctx context.Context, o TracesOptions) (*Traces, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the collector: %w", err)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	to, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithTimeout(10*time.Second))
	if err != nil {
		return nil, fmt.Errorf("preparing to send traces: %w", err)
	}
	p := sdk.NewTracerProvider(
		sdk.WithBatcher(&exporter{SpanExporter: to, log: o.Log}),
		sdk.WithSampler(sdk.TraceIDRatioBased(o.Ratio)), // strangers do not decide what is traced
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "sallyportd"), attribute.String("service.version", o.Version))),
	)
	return &Traces{p, p.Tracer("sallyport.dev")}, nil
}

// Close sends what waits, as long as ctx allows.
func (t *Traces) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("sending the last traces: %w", err)
	}
	return nil
}

// Wrap traces what h answers, but for probes. A trace begins here: one that a
// stranger names is only linked to.
func (t *Traces) Wrap(h http.Handler) http.Handler {
	return otelhttp.NewHandler(h, "request",
		otelhttp.WithTracerProvider(t.provider),
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }),
		otelhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/livez" && r.URL.Path != "/readyz" }),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return spanName(r) }))
}

// spanName is the route that answers, and never the path that was asked.
func spanName(r *http.Request) string {
	method := r.Method
	if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, method) {
		method = "HTTP"
	}
	return strings.TrimSpace(method + " " + r.Pattern)
}

// Step begins a step of a request, as exchange.Tracer says.
func (t *Traces) Step(ctx context.Context, name string) (context.Context, func(failed bool)) {
	ctx, span := t.tracer.Start(ctx, name)
	return ctx, func(failed bool) {
		if failed {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// exporter leaves out of traces whatever a stranger may have written, and tells a
// collector that does not answer once a minute at most.
type exporter struct {
	sdk.SpanExporter
	log  *slog.Logger
	told atomic.Int64 // when, Unix seconds
}

func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	clean := make([]sdk.ReadOnlySpan, len(spans))
	for i, s := range spans {
		clean[i] = cleanSpan{s}
	}
	if err := e.SpanExporter.ExportSpans(ctx, clean); err != nil {
		if now, last := time.Now().Unix(), e.told.Load(); now-last >= 60 && e.told.CompareAndSwap(last, now) {
			e.log.Warn("traces were not taken, and are lost", "error", err, "count", len(spans))
		}
	}
	return nil
}

// known lists the attributes whose values are ours, or a number.
var known = []attribute.Key{
	"http.request.method", "http.response.status_code", "http.route", "network.protocol.version", "url.scheme",
	"http.request.body.size", "http.response.body.size", "error.type",
}

type cleanSpan struct{ sdk.ReadOnlySpan }

func (s cleanSpan) Attributes() []attribute.KeyValue {
	var kept []attribute.KeyValue
	for _, a := range s.ReadOnlySpan.Attributes() {
		if slices.Contains(known, a.Key) {
			kept = append(kept, a)
		}
	}
	return kept
}

// LogTraces has every line that is about a traced request name its trace.
func LogTraces(h slog.Handler) slog.Handler { return logTraces{h} }

type logTraces struct{ slog.Handler }

func (l logTraces) Handle(ctx context.Context, r slog.Record) error {
	if s := trace.SpanContextFromContext(ctx); s.IsValid() {
		r.AddAttrs(slog.String("trace_id", s.TraceID().String()))
	}
	return l.Handler.Handle(ctx, r)
}

func (l logTraces) WithAttrs(a []slog.Attr) slog.Handler { return logTraces{l.Handler.WithAttrs(a)} }
func (l logTraces) WithGroup(name string) slog.Handler   { return logTraces{l.Handler.WithGroup(name)} }
