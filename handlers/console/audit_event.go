package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/domain/token"
	"sallyport.dev/projections/trail"
)

// Bounds of an event's page: what is longer is in the export.
const (
	maxFields     = 150
	maxFieldText  = 300      // bytes of one value
	maxEventJSON  = 16 << 10 // bytes; it is in the page twice
	maxNeighbours = 25
)

// eventView is one event.
type eventView struct {
	eventRow
	Actor, Subject, ID, RequestID, Connection, Workload string

	Fields     []dataField
	Cut        bool            // there are more fields
	JSON       json.RawMessage // nil: it is too long for a page
	Text       string          // the same as it is copied
	Neighbours []eventRow      // the other events of its commit
	More       bool            // more than those

	WhyURL string // of a denial: every condition; "" of anything else

	RequestURL, ActorURL, ConnectionURL, WorkloadURL, ExportURL string
}

// dataField is one value of an event's data.
type dataField struct{ Name, Value string }

// Shown is the event as JSON, as it is shown: who is copied it gets it as it is.
func (v eventView) Shown() string { return visible(v.Text) }

func showEvent(p *page) error {
	at, err := domain.ParsePosition(p.param("position"))
	if err != nil || at.Sequence == 0 {
		return errNothing
	}
	p.Org.Settle(p.Context())
	found, err := p.eventsFrom(at, 1)
	if err != nil {
		return err
	}
	if len(found) == 0 || found[0].Position != at {
		return errNothing
	}
	e := found[0]
	v := eventView{
		eventRow: p.eventRow(e), Actor: visible(e.Actor), Subject: visible(e.Subject), ID: e.ID, RequestID: visible(e.RequestID), Connection: visible(e.Connection), Workload: visible(e.Workload),
		RequestURL: p.at("/audit", url.Values{"request_id": {e.RequestID}}), ActorURL: p.at("/audit", url.Values{"actor": {e.Actor}}),
		ConnectionURL: p.at("/audit", url.Values{"connection": {e.Connection}}), WorkloadURL: p.workloadURL(e.Connection, e.Workload),
		ExportURL: p.at("/audit/export/events.ndjson", url.Values{"request_id": {e.RequestID}}),
	}
	if e.Type == (token.WasDenied{}).EventType() {
		v.WhyURL = p.url("/denials/" + at.String())
	}
	if err := v.read(e); err != nil {
		return err
	}
	if v.Neighbours, v.More, err = p.neighbours(at); err != nil {
		return err
	}
	return p.render("event", v)
}

// eventsFrom is at most limit events from a position on.
func (p *page) eventsFrom(at domain.Position, limit int) ([]trail.Entry, error) {
	before := domain.Position{Sequence: at.Sequence - 1, Index: math.MaxUint16}
	if at.Index > 0 {
		before = domain.Position{Sequence: at.Sequence, Index: at.Index - 1}
	}
	q := trail.Query{Limit: limit}
	q.After = trail.EncodeCursor(q, before)
	found, err := p.Org.Trail().Query(p.Context(), q)
	return found.Events, err
}

// neighbours are the other events of the commit of one, as many as a page shows.
func (p *page) neighbours(at domain.Position) (rows []eventRow, more bool, err error) {
	events, err := p.eventsFrom(domain.Position{Sequence: at.Sequence}, maxNeighbours+2)
	events = slices.DeleteFunc(events, func(e trail.Entry) bool { return e.Position.Sequence != at.Sequence || e.Position == at })
	more = len(events) > maxNeighbours
	return p.eventRows(events[:min(maxNeighbours, len(events))]), more, err
}

// read fills in what the event itself says.
func (v *eventView) read(e trail.Entry) error {
	var told struct{ Data json.RawMessage }
	if err := json.Unmarshal(e.JSON, &told); err != nil {
		return fmt.Errorf("reading event %s: %w", e.Position, err)
	}
	if len(told.Data) > 0 {
		d := json.NewDecoder(bytes.NewReader(told.Data))
		d.UseNumber()
		if err := v.fields(d, ""); err != nil {
			return fmt.Errorf("reading the data of event %s: %w", e.Position, err)
		}
	}
	text, err := indented(e.JSON)
	if err == nil && len(text) <= maxEventJSON {
		v.JSON, v.Text = e.JSON, text
	}
	return err
}

// fields adds the value that d is at, each leaf with its path, in the order of the event.
func (v *eventView) fields(d *json.Decoder, path string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		v.add(path, fmt.Sprint(token))
		return nil
	}
	n := 0
	for ; d.More(); n++ {
		name := fmt.Sprint(n)
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name = fmt.Sprint(key)
		}
		if err := v.fields(d, strings.TrimPrefix(path+"."+name, ".")); err != nil {
			return err
		}
	}
	if n == 0 && path != "" {
		v.add(path, "none")
	}
	_, err = d.Token() // its end
	return err
}

func (v *eventView) add(name, value string) {
	if len(v.Fields) == maxFields {
		v.Cut = true
		return
	}
	if value == "<nil>" {
		value = "none"
	}
	if len(value) > maxFieldText {
		value = strings.ToValidUTF8(value[:maxFieldText], "") + "…"
	}
	v.Fields = append(v.Fields, dataField{visible(name), visible(value)})
}
