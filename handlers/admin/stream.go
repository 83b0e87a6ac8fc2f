package admin

import (
	"bytes"
	"context"
	"errors"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/trail"
)

// heartbeat is how long a stream is silent at most, and how often it is asked
// whether its reader may still read.
const heartbeat = 15 * time.Second

var errStreams = &domain.Error{Kind: domain.KindTooMany, Code: "streams.limited",
	Message: "Too many streams are open: close one, or ask again later."}

// stream sends events as they happen, as server-sent events: behind
// Last-Event-ID where there is one; else from since on; else from now on.
func (h *Admin) stream(c *api.Call) error {
	if err := c.WaitForMinPosition(); err != nil {
		return err
	}
	q, err := h.streamQuery(c)
	if err != nil {
		return err
	}
	sub, err := h.org.Trail().Subscribe(q)
	if err != nil {
		return err
	}
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		return errStreams
	}
	w := newPieces(c, "text/event-stream")
	// A first line at once, so that the client knows that it is connected.
	if err := errors.Join(w.write([]byte(": connected\n\n")), w.flush()); err != nil || c.HeadOnly() {
		return nil
	}
	for h.sendNext(c, sub, w) == nil {
	}
	return nil
}

// streamQuery is where a stream begins, and what it holds.
func (h *Admin) streamQuery(c *api.Call) (trail.Query, error) {
	q := h.query(c)
	h.org.Settle(c.Context()) // what was answered before is not news
	last, err := h.org.Trail().Last(c.Context())
	if err != nil {
		return q, err
	}
	at := domain.Position{}
	switch id := c.Echo.Request().Header.Get("Last-Event-ID"); {
	case id != "":
		if at, err = domain.ParsePosition(id); err != nil {
			c.Refuse("", "position.invalid", "Last-Event-ID is the position of an event, such as 12.0")
		} else if last.Less(at) {
			// A log that was put back to an older state: waiting would be for ever, in silence.
			c.Refuse("", "position.ahead", "Last-Event-ID is %s, and the last event there is stands at %s", at, last)
		}
	case q.Since.IsZero():
		at = last
	}
	if err := c.Refused(); err != nil {
		return q, err
	}
	q.After = trail.EncodeCursor(q, at)
	return q, nil
}

// errStreamEnd ends a stream in which there is nothing to be told any more.
var errStreamEnd = errors.New("the stream ends")

// sendNext sends the events that come within a heartbeat, or else a comment. It
// ends the stream when its reader may not read any more, is gone, or the server stops.
func (h *Admin) sendNext(c *api.Call, sub *trail.Subscription, w *pieces) error {
	ctx, cancel := context.WithTimeout(c.Context(), heartbeat)
	defer cancel()
	go func() {
		select {
		case <-h.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	found, err := sub.Next(ctx)
	if !c.StillHolds(readers) {
		return errStreamEnd
	}
	if errors.Is(err, context.DeadlineExceeded) && c.Context().Err() == nil {
		return errors.Join(w.write([]byte(": still here\n\n")), w.flush())
	}
	if err != nil {
		return err
	}
	for _, e := range found {
		if err := w.write(event(e)); err != nil {
			return err
		}
	}
	return w.flush()
}

// event is one server-sent event; a line end inside the data begins another data line.
func event(e trail.Entry) []byte {
	data := bytes.ReplaceAll(e.JSON, []byte("\n"), []byte("\ndata: "))
	return bytes.Join([][]byte{[]byte("id: " + e.Position.String() + "\ndata: "), data, []byte("\n\n")}, nil)
}
