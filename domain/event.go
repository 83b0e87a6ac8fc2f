package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MaxEventBytes bounds one event as stored, attributes and all.
const MaxEventBytes = 48 << 10

// Event is a fact in the past tense. Its type is an explicit name that never
// changes meaning; a new meaning is a new type ("connection.activated.v2").
type Event interface{ EventType() string }

// Fact is an event that was decided and is not stored yet.
type Fact struct {
	Subject string // what it is about, such as connection/gitlab-ci
	Event   Event
	// Actor is whom the event names instead of the caller; empty is the caller.
	Actor string
	// ID is the ULID that the event is to have: for what has to name it before it
	// is recorded, such as a certificate. Empty: one is made.
	ID string
}

// Position is where an event stands in the log: the sequence of its commit in
// the stream and its index in the commit. The zero value stands before every event.
type Position struct {
	Sequence uint64
	Index    int
}

// String is the form of positions on the wire: "sequence.index".
func (p Position) String() string {
	return strconv.FormatUint(p.Sequence, 10) + "." + strconv.Itoa(p.Index)
}

// Less tells whether p stands before q.
func (p Position) Less(q Position) bool {
	return p.Sequence < q.Sequence || p.Sequence == q.Sequence && p.Index < q.Index
}

// ParsePosition reads [Position.String] back, in its canonical form only.
func ParsePosition(s string) (Position, error) {
	seq, idx, ok := strings.Cut(s, ".")
	n, err1 := strconv.ParseUint(seq, 10, 64)
	i, err2 := strconv.Atoi(idx)
	p := Position{n, i}
	if !ok || err1 != nil || err2 != nil || i < 0 || p.String() != s {
		return Position{}, Invalid("position.invalid", "a position is sequence.index, such as 12.0")
	}
	return p, nil
}

// Envelope is a stored event: its CloudEvents attributes, its data as stored
// and decoded, and its position, which is not in the bytes.
type Envelope struct {
	ID          string // ULID
	Type        string
	Source      string // the organisation's issuer
	Subject     string
	Time        time.Time
	Actor       string
	RequestID   string
	CommitID    string
	Idempotency *Idempotency
	Data        json.RawMessage
	Event       Event
	Position    Position
	// Stored is the CloudEvent byte for byte as it stands in the log; nil for an
	// event that did not come from there.
	Stored json.RawMessage
}

// cloudEvent is the CloudEvents 1.0 JSON form of an Envelope.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Type            string          `json:"type"`
	Source          string          `json:"source"`
	Subject         string          `json:"subject"`
	Time            time.Time       `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Actor           string          `json:"actor"`
	RequestID       string          `json:"requestid,omitempty"`
	CommitID        string          `json:"commitid"`
	IdempotencyKey  string          `json:"idempotencykey,omitempty"`
	RequestHash     string          `json:"requesthash,omitempty"`
	Data            json.RawMessage `json:"data"`
}

// MarshalJSON writes the CloudEvents 1.0 JSON form, without the position.
func (e Envelope) MarshalJSON() ([]byte, error) {
	c := cloudEvent{
		SpecVersion: "1.0", ID: e.ID, Type: e.Type, Source: e.Source, Subject: e.Subject, Time: e.Time.UTC(),
		DataContentType: "application/json", Actor: e.Actor, RequestID: e.RequestID, CommitID: e.CommitID, Data: e.Data,
	}
	if e.Idempotency != nil {
		c.IdempotencyKey, c.RequestHash = e.Idempotency.Key, e.Idempotency.Request
	}
	return json.Marshal(c)
}

// ParseBatch reads a commit's body, a CloudEvents 1.0 JSON batch, back. Each
// envelope keeps its own bytes; Event stays nil, since only a catalogue of types
// can decode Data.
func ParseBatch(body []byte) ([]Envelope, error) {
	elements, err := SplitBatch(body)
	if err != nil {
		return nil, err
	}
	envelopes := make([]Envelope, len(elements))
	for i, element := range elements {
		if envelopes[i], err = ParseEvent(element); err != nil {
			return nil, fmt.Errorf("reading event %d of the batch: %w", i, err)
		}
	}
	return envelopes, nil
}

// SplitBatch cuts a commit's body into its events, byte for byte as they are
// stored, without looking into them: a wrong cut yields an element that is not
// JSON, and who needs to know parses each ([ParseBatch]). encoding/json would
// go over every byte twice more to find the ends.
func SplitBatch(array []byte) (elements [][]byte, err error) {
	b := bytes.TrimSpace(array)
	if len(b) < 2 || b[0] != '[' || b[len(b)-1] != ']' {
		return nil, errors.New("reading a batch: it is not a JSON array")
	}
	b = b[1 : len(b)-1]
	start, depth, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 0:
			elements, start = append(elements, b[start:i]), i+1
		}
	}
	if start == 0 && len(bytes.TrimSpace(b)) == 0 {
		return nil, nil
	}
	return append(elements, b[start:]), nil
}

// ParseEvent reads one CloudEvent of ours; members that it does not know are ignored.
func ParseEvent(b []byte) (Envelope, error) {
	if e, ok := parsePlain(b); ok {
		return e, nil
	}
	var c cloudEvent
	if err := json.Unmarshal(b, &c); err != nil {
		return Envelope{}, err
	}
	switch {
	case c.SpecVersion != "1.0":
		return Envelope{}, fmt.Errorf("specversion %q is not 1.0", c.SpecVersion)
	case c.ID == "" || c.Type == "" || c.Source == "" || c.Actor == "" || c.CommitID == "" || c.Time.IsZero() || c.Data == nil:
		return Envelope{}, errors.New("id, type, source, actor, commitid, time and data are required")
	}
	e := Envelope{
		ID: c.ID, Type: c.Type, Source: c.Source, Subject: c.Subject, Time: c.Time, Actor: c.Actor,
		RequestID: c.RequestID, CommitID: c.CommitID, Data: c.Data, Stored: b,
	}
	if c.IdempotencyKey != "" {
		e.Idempotency = &Idempotency{Key: c.IdempotencyKey, Request: c.RequestHash}
	}
	return e, nil
}

// Commit is one message of the log: one or more events that were stored
// together, all or none.
type Commit struct {
	ID       string // ULID, also the Nats-Msg-Id
	Sequence uint64 // in the stream; contiguous
	Control  bool   // on the control subject; otherwise on activity
	Events   []Envelope

	// The message as the log has it: what a second copy of the log needs to store
	// it again. Nobody changes them.
	Subject  string              // org.<org>.control or org.<org>.activity
	Header   map[string][]string // names as they were sent
	StoredAt time.Time           // by the clock of the server that led the log
	Body     []byte              // the batch, byte for byte; each event's Stored is a part of it
}

// Position is the position of the commit's last event.
func (c Commit) Position() Position { return Position{c.Sequence, len(c.Events) - 1} }

// Head is how far a state was folded.
type Head struct {
	Control uint64 // sequence of the last control commit folded
	Stream  uint64 // sequence of the last commit of either subject folded
}
