package admin

import (
	"bufio"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
)

const ndjson = "application/x-ndjson"

// Parameters of the audit trail; an empty one is an absent one.
var (
	filterParameters = []string{"type", "actor", "connection", "workload", "outcome", "request_id", "since", "until", "q"}
	pageParameters   = append([]string{"after", "limit", "order"}, filterParameters...)
)

// query reads the filters of a call, and notes those that cannot be read.
func (h *Admin) query(c *api.Call) trail.Query {
	text := func(name string) string {
		v, _ := c.Query(name)
		return v
	}
	q := trail.Query{
		After: text("after"), Order: text("order"), Type: text("type"), Actor: text("actor"), Connection: text("connection"),
		Workload: text("workload"), Outcome: text("outcome"), RequestID: text("request_id"), Q: text("q"),
	}
	if says := h.org.NoSuchType(q.Type); says != "" {
		c.Refuse("/type", "type.unknown", "%s", says)
	}
	q.Since, q.Until = instant(c, "since"), instant(c, "until")
	if s := text("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > trail.MaxLimit || strconv.Itoa(n) != s {
			c.Refuse("/limit", "limit.range", "limit is a whole number from 1 to %d", trail.MaxLimit)
		}
		q.Limit = n
	}
	return q
}

func instant(c *api.Call, name string) time.Time {
	s, _ := c.Query(name)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		c.Refuse("/"+name, "time.invalid", "%s is a time as in RFC 3339, such as 2026-11-22T12:00:00Z; write the + of an offset as %%2B", name)
	}
	return t
}

// audit answers a page of events, or all of them as one JSON text a line to
// who accepts that.
func (h *Admin) audit(c *api.Call) error {
	c.Echo.Response().Header().Set("Vary", "Accept")
	if strings.Contains(c.Echo.Request().Header.Get("Accept"), ndjson) {
		return h.auditLines(c)
	}
	return api.Read(func(c *api.Call) (api.Answer, error) {
		q := h.query(c)
		if err := c.Refused(); err != nil {
			return api.Answer{}, err
		}
		h.org.Settle(c.Context())
		page, err := h.org.Trail().Query(c.Context(), q)
		return api.Answer{Body: page}, err
	})(c)
}

// flushAfter is how many lines are written before what is there is sent.
const flushAfter = 200

func (h *Admin) auditLines(c *api.Call) error {
	if err := c.WaitForMinPosition(); err != nil {
		return err
	}
	q := h.query(c)
	if err := c.Refused(); err != nil {
		return err
	}
	h.org.Settle(c.Context())
	w, lines := newPieces(c, ndjson), 0
	for e, err := range h.org.Trail().All(c.Context(), q) {
		if err != nil && !w.begun {
			return err
		}
		if err == nil {
			err = w.write(e.JSON, []byte("\n"))
		}
		if lines++; err == nil && lines%flushAfter == 0 {
			err = w.flush()
		}
		if err != nil {
			return w.abort(err)
		}
	}
	if err := w.flush(); err != nil {
		return w.abort(err)
	}
	return nil
}

// pieceTimeout is how long a client may take to accept a piece of a stream.
const pieceTimeout = 15 * time.Second

// pieces writes an answer that is longer than the server would wait for. A
// client that does not take a piece in time is cut off.
type pieces struct {
	res   *echo.Response
	ctl   *http.ResponseController
	buf   *bufio.Writer
	typ   string
	begun bool // the status is sent, and no error can be told any more
}

func newPieces(c *api.Call, mediaType string) *pieces {
	res := c.Echo.Response()
	p := &pieces{res: res, ctl: http.NewResponseController(res.Writer), buf: bufio.NewWriter(res.Writer), typ: mediaType}
	// The server's limits are for requests and answers of a known length.
	p.ctl.SetReadDeadline(time.Time{})
	return p
}

func (p *pieces) begin() error {
	if p.begun {
		return nil
	}
	p.begun = true
	p.res.Header().Set(echo.HeaderContentType, p.typ)
	err := p.ctl.SetWriteDeadline(time.Now().Add(pieceTimeout))
	p.res.WriteHeader(http.StatusOK)
	return err
}

func (p *pieces) write(parts ...[]byte) error {
	err := p.begin()
	for _, b := range parts {
		if err == nil {
			_, err = p.buf.Write(b)
		}
	}
	return err
}

// flush sends what was written and gives the next piece its own time.
func (p *pieces) flush() error {
	err := errors.Join(p.begin(), p.ctl.SetWriteDeadline(time.Now().Add(pieceTimeout)), p.buf.Flush())
	if err != nil {
		return err
	}
	return p.ctl.Flush()
}

// abort ends an answer so that its client can tell that something is missing.
func (p *pieces) abort(err error) error {
	if !p.begun {
		return err
	}
	panic(http.ErrAbortHandler) // cuts the connection without a last chunk
}

// testedAt answers a test that was done before from its event. What the token
// would have said is not in it, and is not shown again.
func (h *Admin) testedAt(c *api.Call, at domain.Position) (api.Answer, error) {
	q := trail.Query{Type: connection.WasTested{}.EventType(), Limit: 1}
	q.After = trail.EncodeCursor(q, before(at))
	h.org.Settle(c.Context())
	page, err := h.org.Trail().Query(c.Context(), q)
	if err != nil {
		return api.Answer{}, err
	}
	if len(page.Events) == 0 || page.Events[0].Position != at {
		return api.Answer{}, errors.New("the event of a test that was done before is not in the trail")
	}
	report, err := h.reportOf(page.Events[0], domain.Name(c.Param("name")))
	return api.Answer{Body: report, Position: &at}, err
}

func (h *Admin) reportOf(e trail.Entry, name domain.Name) (organisation.Report, error) {
	env, err := domain.ParseEvent(e.JSON)
	if err != nil {
		return organisation.Report{}, err
	}
	ev, err := h.org.Catalogue().Decode(env.Type, env.Data)
	if err != nil {
		return organisation.Report{}, err
	}
	tested, ok := ev.(connection.WasTested)
	if !ok {
		return organisation.Report{}, errors.New("the event of a test is of another type")
	}
	r := organisation.Report{Verdict: tested.Verdict, Checks: orEmpty(tested.Checks), Identity: tested.Identity}
	h.org.Read(func(s *control.State, _ domain.Head) {
		r.Warnings = orEmpty(connection.Warnings(s.Connection(name).Newest(), h.org.Issuer()))
	})
	return r, nil
}

// before is a position that stands before p, and after everything before p.
func before(p domain.Position) domain.Position {
	if p.Index > 0 {
		return domain.Position{Sequence: p.Sequence, Index: p.Index - 1}
	}
	return domain.Position{Sequence: p.Sequence - 1, Index: 1<<16 - 1}
}
