package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
	"sallyport.dev/projections/trail"
)

// tails counts the live tails that are open.
type tails struct {
	mu   sync.Mutex
	open map[string]int // by organisation and person
	all  int
}

// Bounds of live tails.
const (
	maxTails       = 200 // of a process
	maxTailsPerson = 8
	// tailSilence is how long a tail is silent at most, and how often it is asked
	// whether its reader may still read.
	tailSilence = 15 * time.Second
	// tailWrite is how long a browser may take to accept a piece.
	tailWrite = 15 * time.Second
)

// enter counts a tail of somebody, unless there are too many.
func (t *tails) enter(who string) (leave func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == maxTails || t.open[who] == maxTailsPerson {
		return nil, false
	}
	if t.open == nil {
		t.open = map[string]int{}
	}
	t.all++
	t.open[who]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.all--
		if t.open[who]--; t.open[who] == 0 {
			delete(t.open, who)
		}
	}, true
}

// showLive is the live tail: to a browser its page, and to that page the events
// as they happen, each a row of its table. The path is open so that a tail whose
// session is over is told so, as an event: a page in its place would be asked for
// again and again.
func showLive(p *page) error {
	streaming := strings.Contains(p.Echo.Request().Header.Get("Accept"), eventStream)
	switch {
	case streaming && p.Person.ID == "":
		return p.endTail(toldSession)
	case streaming:
		return streamAudit(p)
	case p.Person.ID == "":
		return p.signInFirst(session.ErrNone)
	}
	f, err := filterOf(p)
	v := p.auditFrame(f)
	v.Live = true
	if err != nil {
		return p.refused("audit", v, err)
	}
	p.Org.Settle(p.Context())
	last, err := p.Org.Trail().Last(p.Context()) // before the rows are read: what comes between would be missed, and is left out here
	if err != nil {
		return err
	}
	q := f.query
	q.Limit, q.Order, q.Bare = auditRows, trail.Descending, true
	found, err := p.Org.Trail().Query(p.Context(), q)
	if err != nil {
		return p.refused("audit", v, refusal(err))
	}
	for _, e := range found.Events {
		if !last.Less(e.Position) {
			v.Rows = append(v.Rows, p.eventRow(e))
		}
	}
	v.Stream = f.values("after", last.String()).Encode()
	return p.render("audit", v)
}

const eventStream = "text/event-stream"

// Why a tail ends; the page says it, and does not ask again.
const (
	toldSession = "Your session is over. Sign in again to go on."
	toldRoles   = "Your roles do not let you read the audit trail any more."
	toldMany    = "Too many live tails are open. Close one and load this page again."
	toldFilter  = "These filters cannot be read. Go back to the list and correct them."
	toldAhead   = "The trail was put back to an earlier state. Load this page again."
)

// streamAudit sends rows from behind Last-Event-ID, or the parameter after, on.
func streamAudit(p *page) error {
	f, err := filterOf(p)
	if err != nil {
		return p.endTail(toldFilter)
	}
	p.Org.Settle(p.Context())
	last, err := p.Org.Trail().Last(p.Context())
	if err != nil {
		return err
	}
	from := p.Echo.Request().Header.Get("Last-Event-ID")
	if from == "" {
		from = p.query("after")
	}
	at, err := domain.ParsePosition(from)
	switch {
	case err != nil:
		return p.endTail(toldFilter)
	case last.Less(at):
		return p.endTail(toldAhead)
	}
	q := f.query
	q.Limit = trail.MaxLimit
	q.After = trail.EncodeCursor(q, at)
	sub, err := p.Org.Trail().Subscribe(q)
	if err != nil {
		return p.endTail(toldFilter)
	}
	leave, ok := p.console.tails.enter(p.Org.Name().String() + "/" + p.Person.ID)
	if !ok {
		return p.endTail(toldMany)
	}
	defer leave()
	if err := p.send(": connected\n\n"); err != nil {
		return nil // the browser is gone
	}
	for p.sendRows(sub) == nil {
	}
	return nil
}

// sendRows sends the events that come within tailSilence, or else a comment. Its
// error ends the tail.
func (p *page) sendRows(sub *trail.Subscription) error {
	ctx, cancel := context.WithTimeout(p.Context(), tailSilence)
	defer cancel()
	go func() {
		select {
		case <-p.console.opt.Stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	events, err := sub.Next(ctx)
	if why, failed := p.mayStillRead(); failed != nil {
		return failed // the browser asks again, and who it is is asked then
	} else if why != "" {
		return errors.Join(errTailEnds, p.endTail(why))
	}
	if errors.Is(err, context.DeadlineExceeded) && p.Context().Err() == nil {
		return p.send(": still here\n\n")
	}
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, e := range events {
		var row bytes.Buffer
		if err := p.console.templates["audit"].ExecuteTemplate(&row, "row", p.eventRow(e)); err != nil {
			return fmt.Errorf("rendering event %s: %w", e.Position, err)
		}
		b.WriteString("id: " + e.Position.String() + "\n" + dataLines(row.String()) + "\n")
	}
	return p.send(b.String())
}

var errTailEnds = errors.New("the tail ends")

// mayStillRead tells why who reads may not any more; "" they may. Reading does
// not keep a session alive.
func (p *page) mayStillRead() (why string, err error) {
	cookie, err := p.Echo.Cookie(p.cookieName())
	if err != nil {
		return toldSession, nil
	}
	s, err := p.Org.Sessions().Find(p.Context(), cookie.Value)
	if err == nil {
		err = p.Org.Fresh(p.Context())
	}
	var who domain.Actor
	if err == nil {
		p.Org.Read(func(state *control.State, _ domain.Head) {
			who, err = session.Caller{Session: s}.Actor(state, p.Org.Now())
		})
	}
	switch {
	case errors.Is(err, session.ErrNone):
		return toldSession, nil
	case err == nil && !p.screen.admits(who):
		return toldRoles, nil
	}
	return "", err
}

// endTail tells the page why there is nothing more to come.
func (p *page) endTail(why string) error { return p.send("event: ended\n" + dataLines(why) + "\n") }

// dataLines is text as the data of a server-sent event.
func dataLines(text string) string {
	return "data: " + strings.NewReplacer("\r", " ", "\n", "\ndata: ").Replace(text) + "\n"
}

// send sends a piece of a stream, and gives it its own time.
func (p *page) send(piece string) error {
	w := p.Echo.Response()
	ctl := http.NewResponseController(w.Writer)
	if !w.Committed {
		w.Header().Set("Content-Type", eventStream)
		w.Header().Set("X-Accel-Buffering", "no")
		if err := ctl.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		w.WriteHeader(http.StatusOK)
	}
	if err := ctl.SetWriteDeadline(time.Now().Add(tailWrite)); err != nil {
		return err
	}
	if _, err := w.Write([]byte(piece)); err != nil {
		return err
	}
	return ctl.Flush()
}
