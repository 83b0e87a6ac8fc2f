package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
)

// problem is an error as told to the client: RFC 9457 and our code, request id
// and fields.
type problem struct {
	Type      string              `json:"type"`
	Title     string              `json:"title"`
	Status    int                 `json:"status"`
	Detail    string              `json:"detail"`
	Instance  string              `json:"instance"`
	Code      string              `json:"code"`
	RequestID string              `json:"request_id"`
	Errors    []domain.FieldError `json:"errors,omitempty"`
	Error     string              `json:"error,omitempty"`    // of who polls
	Interval  int                 `json:"interval,omitempty"` // of who polls, in seconds
}

// Waiting is an error as one who polls for an approval is told of it: with what
// RFC 8628 section 3.5 calls it, and how seldom to ask.
type Waiting struct {
	Err      domain.Error
	OAuth    string // such as authorization_pending
	Interval time.Duration
}

func (w *Waiting) Error() string { return w.Err.Message }

// problemTypes is where each code is explained.
const problemTypes = "https://sallyport.dev/problems/"

// refusal is an error of HTTP itself, for which the domain has no kind.
type refusal struct {
	status int
	code   string
	detail string
}

func (r *refusal) Error() string { return r.detail }

// Errors of HTTP itself.
var (
	errUnauthenticated = &domain.Error{Kind: domain.KindUnknownUser, Code: "auth.required",
		Message: "This needs a valid API token, or where workloads may ask a workload's own, in the header Authorization: Bearer."}
	errPeopleOnly = &domain.Error{Kind: domain.KindForbidden, Code: "workload.not_allowed",
		Message: "This is for people: a workload's token opens only what access is asked for with. Use a person's API token."}
	errNoRoute = &domain.Error{Kind: domain.KindNotFound, Code: "route.not_found", Message: "There is nothing at this path."}
	errMethod  = &refusal{http.StatusMethodNotAllowed, "method.not_allowed", "The path exists, but not for this method: see the Allow header."}
	errIfMatch = &refusal{http.StatusPreconditionRequired, "version.required",
		"Say which version you saw: If-Match with the ETag of your last read, in quotes."}
	errMediaType = &refusal{http.StatusUnsupportedMediaType, "content_type.unsupported",
		"The body must be application/json in UTF-8, not encoded otherwise."}
	errTooLarge = &refusal{http.StatusRequestEntityTooLarge, "body.too_large", "The body is larger than 1 MiB."}
	errInternal = &refusal{http.StatusInternalServerError, "internal", "Something went wrong on our side. Quote the request id when you ask about it."}

	// errLogged is an internal error that is in the log already.
	errLogged = errors.New("told before")
)

// statusOf maps what a caller can do about an error to the status that says so.
func statusOf(k domain.Kind) int {
	switch k {
	case domain.KindInvalid:
		return http.StatusUnprocessableEntity
	case domain.KindMalformed:
		return http.StatusBadRequest
	case domain.KindUnknownUser:
		return http.StatusUnauthorized
	case domain.KindForbidden:
		return http.StatusForbidden
	case domain.KindNotFound:
		return http.StatusNotFound
	case domain.KindConflict:
		return http.StatusConflict
	case domain.KindStale:
		return http.StatusPreconditionFailed
	case domain.KindTooMany:
		return http.StatusTooManyRequests
	case domain.KindUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// fail answers err as problem+json. An error that is not the caller's is logged
// here and nowhere else; the caller gets the request id to quote.
func fail(log *slog.Logger, said *seldom, c echo.Context, err error) {
	p := explain(err)
	p.Type, p.Title = problemTypes+p.Code, http.StatusText(p.Status)
	p.Instance, p.RequestID = c.Request().URL.Path, RequestID(c)
	logFailure(log, said, c, p, err)
	if c.Response().Committed {
		return // a stream that broke off: its client sees the end
	}
	h := c.Response().Header()
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="sallyport"`)
	case http.StatusMethodNotAllowed:
		h.Set("Allow", allowed(h.Get("Allow")))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	case http.StatusRequestEntityTooLarge:
		h.Set("Connection", "close") // what is left of the body is not read
	}
	if err := writeJSON(c, p.Status, "application/problem+json", p); err != nil {
		log.Debug("the client did not take the answer", "error", err, "request_id", p.RequestID)
	}
}

// explain finds out what to tell the caller.
func explain(err error) problem {
	var known *domain.Error
	var ours *refusal
	var theirs *echo.HTTPError
	var large *http.MaxBytesError
	var waiting *Waiting
	switch {
	case errors.As(err, &waiting):
		p := explain(&waiting.Err)
		p.Error, p.Interval = waiting.OAuth, int(waiting.Interval/time.Second)
		return p
	case errors.As(err, &known):
		return problem{Status: statusOf(known.Kind), Code: known.Code, Detail: known.Message, Errors: known.Fields}
	case errors.As(err, &ours):
		return problem{Status: ours.status, Code: ours.code, Detail: ours.detail}
	case errors.As(err, &large):
		return explain(errTooLarge)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem{Status: http.StatusServiceUnavailable, Code: "request.timeout", Detail: "This took too long and was given up. Try again."}
	case errors.As(err, &theirs):
		return explainEcho(theirs)
	}
	return explain(errInternal)
}

// Explain is the status of an error and what its caller may know of it, for those
// who do not answer with JSON. A status of 500 is ours: whoever answers logs it.
func Explain(err error) (status int, told domain.Error) {
	p := explain(err)
	return p.Status, domain.Error{Code: p.Code, Message: p.Detail, Fields: p.Errors}
}

// explainEcho translates what echo's router answers by itself.
func explainEcho(e *echo.HTTPError) problem {
	switch e.Code {
	case http.StatusNotFound:
		return explain(errNoRoute)
	case http.StatusMethodNotAllowed:
		return explain(errMethod)
	case http.StatusUnsupportedMediaType:
		return explain(errMediaType)
	}
	return explain(errInternal)
}

func logFailure(log *slog.Logger, said *seldom, c echo.Context, p problem, err error) {
	ctx := c.Request().Context()
	switch {
	case errors.Is(err, errLogged), errors.Is(ctx.Err(), context.Canceled):
	case p.Status == http.StatusInternalServerError:
		log.ErrorContext(ctx, "a request failed", "error", err, "method", method(c.Request()), "route", c.Path(), "request_id", p.RequestID)
	case p.Status == http.StatusServiceUnavailable && said.again():
		log.WarnContext(ctx, "a request could not be served now", "error", err, "method", method(c.Request()), "route", c.Path(), "request_id", p.RequestID)
	}
}

// seldom is true once a second at most: while nothing is served, anybody can ask
// again and again without being known, and must not fill the log by it.
type seldom struct {
	start time.Time
	last  atomic.Int64 // by start, a second more; 0: never
}

func (s *seldom) again() bool {
	last, now := s.last.Load(), time.Since(s.start)+time.Second
	return now-time.Duration(last) >= time.Second && s.last.CompareAndSwap(last, int64(now))
}

// allowed is the Allow header: whatever answers GET answers HEAD, and echo's
// own OPTIONS is not among what we promise.
func allowed(methods string) string {
	var all []string
	for m := range strings.SplitSeq(methods, ",") {
		switch m = strings.TrimSpace(m); m {
		case "", http.MethodOptions, http.MethodHead:
		case http.MethodGet:
			all = append(all, http.MethodGet, http.MethodHead)
		default:
			all = append(all, m)
		}
	}
	return strings.Join(all, ", ")
}
