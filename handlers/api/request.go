package api

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/limit"
)

// HeaderRequestID carries the id of the request, in answers alone: what a
// client sends under that name is ignored.
const HeaderRequestID = "X-Request-Id"

// RequestID is the id of the request: a ULID of ours, also in the answer's
// header and in every event that the request caused.
func RequestID(c echo.Context) string {
	return c.Response().Header().Get(HeaderRequestID)
}

// identify gives the request its id and the answer the headers that every
// answer has; a handler may relax them.
func identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set(HeaderRequestID, requestID(c.Request().Context()))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		return next(c)
	}
}

type requestIDKey struct{}

// WithRequestID has a request with that context, which we make ourselves, bear
// the id of the request that it is made for.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// requestID is the one that the context names, or else a new one.
func requestID(ctx context.Context) string {
	if id, given := ctx.Value(requestIDKey{}).(string); given {
		return id
	}
	return ulid.Make().String()
}

// endBehindChunks closes the connection behind a request in chunks. It may also
// have had a Content-Length, by which a proxy would see the next request begin
// elsewhere, and net/http drops that without a word (RFC 9112 section 6.1).
func endBehindChunks(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if len(c.Request().TransferEncoding) > 0 {
			c.Response().Header().Set("Connection", "close")
		}
		return next(c)
	}
}

// observe logs each request at level debug: its route and never its path,
// query or headers, which may hold what a client should not have sent.
func observe(log *slog.Logger) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			begun := time.Now()
			if err := next(c); err != nil {
				c.Error(err) // here, so that the status is known below
			}
			log.LogAttrs(c.Request().Context(), slog.LevelDebug, "answered",
				slog.String("method", method(c.Request())), slog.String("route", c.Path()), slog.Int("status", c.Response().Status),
				slog.Duration("took", time.Since(begun)), slog.String("source", limit.Source(c.RealIP())),
				slog.String("request_id", RequestID(c)), slog.String("event", event(c)))
			return nil
		}
	}
}

// method is the request's, or "other": a stranger makes up any text.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// eventNoted is where echo's context has the position of what a request recorded.
const eventNoted = "sallyport.event"

// NoteEvent has the line about a request name the event that it caused; the zero
// position names none.
func NoteEvent(c echo.Context, at domain.Position) {
	if at != (domain.Position{}) {
		c.Set(eventNoted, at)
	}
}

// event is what a line about a request says of the event that it caused.
func event(c echo.Context) string {
	if at, ok := c.Get(eventNoted).(domain.Position); ok {
		return at.String()
	}
	if m := c.Request().Method; m != http.MethodGet && m != http.MethodHead {
		return c.Response().Header().Get(HeaderPosition) // of the write
	}
	return ""
}

// recoverPanics turns a panic into an error of ours, logged once with its stack.
func recoverPanics(log *slog.Logger) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) (err error) {
			defer func() {
				switch p := recover(); p {
				case nil:
				case http.ErrAbortHandler:
					panic(p) // how a handler asks net/http to cut the connection
				default:
					log.ErrorContext(c.Request().Context(), "a handler panicked", "panic", p, "route", c.Path(), "request_id", RequestID(c), "stack", string(debug.Stack()))
					err = errLogged
				}
			}()
			return next(c)
		}
	}
}

// strictPaths lets only paths through that can be read in one way. No route of
// ours needs a percent sign, a semicolon, a backslash, or an empty or dot
// segment, so a path that has one asks for something by a trick.
func strictPaths(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		path := u.EscapedPath()
		if strings.ContainsAny(path, "%;\\") || u.RawPath != "" || !strings.HasPrefix(path, "/") {
			return echo.ErrNotFound
		}
		segments := strings.Split(path[1:], "/")
		dots := func(s string) bool { return s == "." || s == ".." }
		// An empty segment at the end is a trailing slash, which a route may have.
		if slices.ContainsFunc(segments, dots) || slices.Contains(segments[:len(segments)-1], "") {
			return echo.ErrNotFound
		}
		return next(c)
	}
}

// routeHeadAsGet has HEAD find the route of GET. The request has its own method
// again (see [keepHead]) before anything is answered: by it net/http knows to
// leave the body out. Echo routes by the request it was given, so that one is
// changed and not a copy.
func routeHeadAsGet(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.Method != http.MethodHead {
			return next(c)
		}
		c.Set(wasHead, true)
		r.Method = http.MethodGet
		defer func() { r.Method = http.MethodHead }() // also if there was no way to keepHead
		return next(c)
	}
}

// wasHead marks, in echo's context, a request that is HEAD and was routed as GET.
const wasHead = "sallyport.head"

// keepHead stands right behind the router.
func keepHead(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Get(wasHead) != nil {
			c.Request().Method = http.MethodHead
		}
		c.Request().Pattern = c.Path() // for those around us that name requests by their route
		return next(c)
	}
}

// How much one client's network may ask by default, and how many are
// remembered; for [limit.New].
const (
	DefaultRate  = 100 // requests a second
	DefaultBurst = 200
	DefaultKeys  = 100_000
)

// ErrRate is answered to those who ask too often.
var ErrRate = &domain.Error{Kind: domain.KindTooMany, Code: "rate.limited",
	Message: "Too many requests: wait a second and try again."}

// LimitBySource refuses, with 429 and Retry-After, what comes too often from
// one client's network.
func LimitBySource(l *limit.Limiter, now func() time.Time) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !l.Allow(limit.Source(c.RealIP()), now()) {
				return ErrRate
			}
			return next(c)
		}
	}
}
