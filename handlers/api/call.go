package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/projections/control"
)

// Headers of /v1.
const (
	HeaderPosition       = "Sallyport-Position"
	HeaderMinPosition    = "Sallyport-Min-Position"
	HeaderIdempotencyKey = "Idempotency-Key"
)

// Call is one request of a person who is known and bears a role of the route,
// or of a workload, where the route lets workloads in. It belongs to one goroutine.
type Call struct {
	// Echo is for answers that are streams; everything else is below.
	Echo echo.Context
	// Meta is who asks, when, and in which request; of a write with an
	// Idempotency-Key also that, from the moment its body is read.
	Meta domain.Meta

	tenant    Tenant
	bearer    string        // never told to anybody; "" of a caller in the context
	hash      string        // of the bearer token
	caller    Caller        // nil of a workload
	claims    claim.Set     // of the bearer token, where it is a workload's
	roles     []domain.Role // of the route
	workloads bool          // may use the route
	proved    bool          // the route asks for a login that is not old
	secret    bool          // the body has a value of a secret
	query     map[string]string
	fields    []domain.FieldError // what is wrong with headers and query; told with the body's
	body      []byte
	read      bool // body was

	done      *domain.Position // of the same write, done before
	version   uint64           // in If-Match
	unmatched bool             // If-Match was noted as malformed
}

// Context ends when the client is gone or the server stops waiting for it.
func (c *Call) Context() context.Context { return c.Echo.Request().Context() }

// HeadOnly tells whether the client asked for the headers alone.
func (c *Call) HeadOnly() bool { return c.Echo.Request().Method == http.MethodHead }

// Param is a parameter of the path, "" if it has none of that name.
func (c *Call) Param(name string) string { return c.Echo.Param(name) }

// Query is a parameter of the query that the route lists; ok tells whether it is given.
func (c *Call) Query(name string) (value string, ok bool) {
	value, ok = c.query[name]
	return value, ok
}

// Refuse notes something wrong with the request outside its body. It is told,
// with all the rest, when the request's fields are. The pointer of a query
// parameter is "/" and its name; what is wrong with a header has none.
func (c *Call) Refuse(pointer, code, format string, args ...any) {
	c.fields = append(c.fields, domain.FieldError{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// Refused is the error of everything that was noted so far, or nil.
func (c *Call) Refused() error { return domain.ErrFields(c.fields) }

// parseQuery reads the query: only parameters that the route lists, each once.
func (c *Call) parseQuery(known []string) {
	q, err := url.ParseQuery(c.Echo.Request().URL.RawQuery)
	if err != nil {
		c.Refuse("", "query.malformed", "the query is not name=value pairs, percent-encoded and joined by &")
		return
	}
	c.query = make(map[string]string, len(q))
	for _, name := range slices.Sorted(maps.Keys(q)) {
		switch {
		case len(c.fields) == domain.MaxFields:
			return
		case !slices.Contains(known, name):
			c.Refuse(member("", name), "query.unknown", "there is no query parameter %.*q here", maxNamed, name)
		case len(q[name]) > 1:
			c.Refuse(member("", name), "query.repeated", "the query parameter %q may be given once", name)
		default:
			c.query[name] = q[name][0]
		}
	}
}

// WaitForMinPosition waits until what the caller wants to see is folded here:
// five seconds at most, then 503. A position that is none is noted.
func (c *Call) WaitForMinPosition() error {
	header, param := c.Echo.Request().Header.Values(HeaderMinPosition), c.query["min_position"]
	if param != "" {
		header = append(slices.Clone(header), param)
	}
	var last domain.Position
	for _, s := range header {
		p, err := domain.ParsePosition(s)
		if err != nil {
			c.Refuse("/min_position", "position.invalid", "%s and min_position are a position, sequence.index, such as 12.0", HeaderMinPosition)
			return nil
		}
		if last.Less(p) {
			last = p
		}
	}
	if last == (domain.Position{}) {
		return nil
	}
	return c.tenant.WaitFor(c.Context(), last)
}

// ETag is the strong entity tag of a version.
func ETag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

var etagForm = regexp.MustCompile(`\A"([1-9][0-9]{0,18})"\z`)

// Match compares If-Match with the version that is: 428 where there is no
// If-Match, 412 where it names another version. It takes one ETag exactly as we
// gave it. What else RFC 9110 allows there, a star, a list, a weak tag, would
// say "whatever it is", which is what the header is asked for to exclude: it is
// noted and told as 422.
func (c *Call) Match(current uint64) error {
	all := c.Echo.Request().Header.Values("If-Match")
	if len(all) == 0 {
		return errIfMatch
	}
	m := etagForm.FindStringSubmatch(all[0])
	if m == nil || len(all) > 1 {
		if !c.unmatched { // it may be asked again on newer state
			c.Refuse("", "if_match.invalid", `If-Match is one version in quotes, as in the ETag of your last read, such as "3"`)
		}
		c.unmatched = true
		return nil
	}
	c.version, _ = strconv.ParseUint(m[1], 10, 64)
	if c.version != current {
		return &domain.Error{Kind: domain.KindStale, Code: "version.stale",
			Message: fmt.Sprintf("It is at version %d now, and If-Match names %d. Read it again and repeat.", current, c.version)}
	}
	return nil
}

// Version is the version in If-Match, once [Call.Match] has agreed to it.
func (c *Call) Version() uint64 { return c.version }

// readBody reads the body once: 415 if it is not said to be JSON, 413 if it is
// larger than [MaxBody]. Nothing at all may be sent without saying what it is.
func (c *Call) readBody() error {
	r := c.Echo.Request()
	if c.read || r.Method == http.MethodDelete {
		return nil
	}
	none := r.ContentLength == 0 && len(r.Header.Values("Content-Type")) == 0
	if !none && !jsonBody(r) {
		return errMediaType
	}
	b, err := ReadBody(c.Echo, MaxBody)
	c.body, c.read = b, err == nil
	return err
}

// keyForm is what an Idempotency-Key may be: 1 to 255 printable ASCII characters.
var keyForm = regexp.MustCompile(`\A[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?\z`)

// repeats tells whether this very request was done before, under its
// Idempotency-Key. It is asked before anything that the first time may have
// changed: the write then is answered from the state as it is. Another request
// under the same key is refused.
func (c *Call) repeats() (bool, error) {
	keys := c.Echo.Request().Header.Values(HeaderIdempotencyKey)
	if len(keys) == 0 {
		return false, nil
	}
	if len(keys) > 1 || !keyForm.MatchString(keys[0]) {
		c.Refuse("", "idempotency.invalid", "%s is one text of 1 to 255 printable ASCII characters", HeaderIdempotencyKey)
		return false, nil
	}
	key := digest(c.Meta.Actor.ID, keys[0])
	var was control.Remembered
	var known bool
	c.tenant.Read(func(s *control.State, _ domain.Head) { was, known = s.Idempotent(key, c.Meta.Now) })
	c.Meta.Idempotency = &domain.Idempotency{Key: key}
	if !known {
		return false, nil
	}
	if err := c.readBody(); err != nil {
		return false, err
	}
	c.Meta.Idempotency.Request = c.requestHash()
	if c.Meta.Idempotency.Request != was.Request {
		return false, errMismatch
	}
	c.done = &was.Position
	return true, nil
}

// repeated asks again what [Call.repeats] tells, once the request was refused: a
// refusal is given on state as new as the leader's, in which this very
// request may turn out to be what the refusal is about, done on another replica.
func (c *Call) repeated() bool {
	if c.Meta.Idempotency == nil {
		return false
	}
	again, err := c.repeats()
	return err == nil && again
}

// Done is the position of this very write, if it was done before under its
// Idempotency-Key.
func (c *Call) Done() (domain.Position, bool) {
	if c.done == nil {
		return domain.Position{}, false
	}
	return *c.done, true
}

var errMismatch = domain.Invalid("idempotency.mismatch",
	"This Idempotency-Key was used for another request within 24 hours: use a new key.")

// forget clears a body that has a value of a secret, once it was dealt with.
func (c *Call) forget() {
	if c.secret {
		clear(c.body)
	}
}

// requestHash tells requests apart: what is done, to what, to which version of
// it, and with what.
func (c *Call) requestHash() string {
	r := c.Echo.Request()
	hash := digest(r.Method, r.URL.Path, r.Header.Get("If-Match"), string(c.body))
	if c.secret {
		return c.tenant.KeyedHash(hash)
	}
	return hash
}

// digest is the SHA-256 of the parts, each with its length, in hex.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// decode reads the body into in, a pointer to a struct, and tells everything
// that is wrong with the request's headers, query and fields together. rules
// has what the type of in cannot say; it is nil where that is nothing.
func decode[In any](c *Call, in *In, rules func(*In) []domain.FieldError) error {
	if err := c.readBody(); err != nil {
		return err
	}
	if c.Meta.Idempotency != nil {
		c.Meta.Idempotency.Request = c.requestHash()
	}
	body := bytes.TrimSpace(c.body)
	if len(c.body) == 0 {
		body = []byte("{}")
	}
	unknown, fatal, err := check(body, in)
	if err != nil {
		return err
	}
	c.fields = append(c.fields, unknown...)
	if len(fatal) > 0 {
		c.fields = append(c.fields, fatal...)
		return c.Refused()
	}
	if err := json.Unmarshal(body, in); err != nil {
		return &refusal{http.StatusBadRequest, "json.malformed", "The body is not JSON that can be read."}
	}
	if rules != nil {
		c.fields = append(c.fields, rules(in)...)
	}
	return c.Refused()
}

// Answer is what a handler answers.
type Answer struct {
	Status   int              // zero is 200
	Body     any              // nil is none
	Version  uint64           // told as ETag unless zero
	Position *domain.Position // told as Sallyport-Position; every write has one
}

func (a Answer) write(c echo.Context) error {
	h := c.Response().Header()
	if a.Version > 0 {
		h.Set("ETag", ETag(a.Version))
	}
	if a.Position != nil {
		h.Set(HeaderPosition, a.Position.String())
	}
	if a.Body == nil {
		return c.NoContent(a.Status)
	}
	return writeJSON(c, max(a.Status, http.StatusOK), echo.MIMEApplicationJSON, a.Body)
}
