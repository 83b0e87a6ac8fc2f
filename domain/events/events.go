// Package events is the catalogue: every type of event there is, by its
// explicit name, with how to read it, what it says to people, and its JSON
// Schema. It is the only package that knows all nouns.
//
// A released name or field never changes its meaning; a new meaning is a new
// name ("connection.activated.v2"), and the old one is read through an upcaster
// ([Catalogue.Upcast]) for ever. What the catalogue does not know stops a
// reader ([ErrUnknown]); it is never skipped.
package events

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"sallyport.dev/domain"
)

// ErrUnknown is a type that this version does not know. It is a [domain.ErrNewer].
var ErrUnknown = fmt.Errorf("unknown event type: %w", domain.ErrNewer)

// Outcomes of an event, as the audit trail filters by them.
const (
	Success = "success"
	Denied  = "denied"
	Failed  = "failed"
)

// Type is one type of event. The functions take envelopes whose Event was
// decoded by the catalogue.
type Type struct {
	Name    string
	Control bool // changes what is true; otherwise it says what was done with it
	// Summary is one sentence for people, bounded and without control characters.
	Summary func(domain.Envelope) string
	// Outcome is Success, Denied or Failed.
	Outcome func(domain.Envelope) string
	// Workload is the connection and the plain identity that the event is
	// about, each empty if there is none.
	Workload func(domain.Envelope) (connection, workload string)
}

// definition is a type and how its data is read.
type definition struct {
	Type
	decode func(json.RawMessage) (domain.Event, error)
	now    string                                         // type that an old one is read as
	upcast func(json.RawMessage) (json.RawMessage, error) // nil for a type of today
}

// Catalogue is every type of event. It is safe for concurrent use once no
// more upcasters are added.
type Catalogue struct {
	types map[string]definition
}

// New is the catalogue of this version.
func New() *Catalogue {
	c := &Catalogue{types: map[string]definition{}}
	for _, d := range definitions() {
		c.types[d.Name] = d
	}
	return c
}

// Encode is an event's data as it is stored.
func (c *Catalogue) Encode(e domain.Event) (json.RawMessage, error) {
	if d, ok := c.types[e.EventType()]; !ok || d.upcast != nil {
		return nil, fmt.Errorf("encoding %q: %w", e.EventType(), ErrUnknown)
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", e.EventType(), err)
	}
	return b, nil
}

// Decode reads an event's data back. It is strict: a field it does not know, or
// anything after the data, is an error, since it would be lost without a word.
func (c *Catalogue) Decode(typ string, data json.RawMessage) (domain.Event, error) {
	d, ok := c.types[typ]
	if !ok {
		return nil, fmt.Errorf("decoding %q: %w", typ, ErrUnknown)
	}
	if d.upcast != nil {
		data, err := d.upcast(data)
		if err != nil {
			return nil, fmt.Errorf("reading %s as %s: %w", typ, d.now, err)
		}
		return c.Decode(d.now, data)
	}
	e, err := d.decode(data)
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w", typ, err)
	}
	return e, nil
}

// Upcast teaches the catalogue to read a type that is not written any more: f
// makes of its data that of newType, which may be an old type itself. The old
// name stays in the log and in the trail; its schema stays where it is. Call it
// in definitions' neighbourhood only, before the catalogue is used: it panics
// on a name that is taken, or a newType that is not there.
func (c *Catalogue) Upcast(oldType, newType string, f func(json.RawMessage) (json.RawMessage, error)) {
	d, ok := c.types[newType]
	if _, taken := c.types[oldType]; taken || !ok {
		panic(fmt.Sprintf("upcasting %s to %s: the first has to be new, the second known", oldType, newType))
	}
	d.Name, d.now, d.upcast = oldType, newType, f
	c.types[oldType] = d
}

// Lookup is the type of that name.
func (c *Catalogue) Lookup(typ string) (Type, bool) {
	d, ok := c.types[typ]
	return d.Type, ok
}

// Types lists every name, sorted.
func (c *Catalogue) Types() []string { return slices.Sorted(maps.Keys(c.types)) }

//go:embed schemas/*.json
var schemas embed.FS

// Schema is the JSON Schema (2020-12) of the data of a type.
func (c *Catalogue) Schema(typ string) ([]byte, bool) {
	if _, ok := c.types[typ]; !ok {
		return nil, false
	}
	b, err := schemas.ReadFile("schemas/" + typ + ".json")
	return b, err == nil
}

// plain is an event that is so frequent that it has a quicker way to be read,
// where it is in the form in which it is usually written.
type plain interface {
	Plain(data json.RawMessage) (e domain.Event, ok bool)
}

// strict decodes data into an E and refuses whatever E has no place for: a
// member that only a newer version knows ([domain.ErrNewer]), or what is no E.
func strict[E domain.Event](data json.RawMessage) (domain.Event, error) {
	var e E
	if quick, ok := any(e).(plain); ok {
		if event, ok := quick.Plain(data); ok {
			return event, nil
		}
	}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, errors.New("the data is not an object")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		if json.Unmarshal(data, new(E)) == nil { // but for members that E does not have, it is one
			return nil, fmt.Errorf("%w: %w", err, domain.ErrNewer)
		}
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is something after the data")
	}
	return e, nil
}
