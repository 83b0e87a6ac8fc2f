package api

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"
)

// Limits of the HTTP server.
const (
	// MaxHeader bounds the request line and all headers together, in bytes.
	MaxHeader = 16 << 10
	// MaxBody bounds the body of a /v1 request, in bytes.
	MaxBody = 1 << 20

	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	// writeTimeout bounds an answer; streams set their own for each piece.
	writeTimeout = 15 * time.Second
	idleTimeout  = 60 * time.Second
)

// Options of [New].
type Options struct {
	// Log gets internal errors, once each, and requests at level debug.
	Log *slog.Logger
	// TrustedProxies are the networks whose X-Forwarded-For is believed. Empty
	// means none: the peer's address is the client's.
	TrustedProxies []netip.Prefix
}

// New returns an echo instance that has the edge and no route: request ids,
// security headers, recovery, strict paths, HEAD answered as GET without its
// body, and errors told as problem+json (RFC 9457).
func New(o Options) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = clientAddress(o.TrustedProxies)
	e.Binder = refusingBinder{}
	said := &seldom{start: time.Now()}
	e.HTTPErrorHandler = func(err error, c echo.Context) { fail(o.Log, said, c, err) }
	e.Pre(identify, endBehindChunks, observe(o.Log), recoverPanics(o.Log), strictPaths, routeHeadAsGet)
	e.Use(keepHead)
	return e
}

// NewServer returns an HTTP server for h with every limit set. Slow clients,
// large headers and idle connections are cut off by it.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    MaxHeader - 4096, // net/http adds 4096 of its own
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// clientAddress reads the peer's address from the connection. Only if that is a
// trusted proxy does X-Forwarded-For count, from the right, as far as the
// proxies in it are trusted too; echo's defaults would trust every private network.
func clientAddress(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		p = p.Masked()
		trust = append(trust, echo.TrustIPRange(&net.IPNet{
			IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

// refusingBinder stands where echo's binder would take XML, forms and query
// parameters for a body; bodies are read by [Write] alone.
type refusingBinder struct{}

func (refusingBinder) Bind(any, echo.Context) error {
	return echo.ErrUnsupportedMediaType
}
