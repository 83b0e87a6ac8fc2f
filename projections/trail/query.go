package trail

import (
	"encoding/json"
	"time"

	"sallyport.dev/domain"
)

// DefaultLimit and MaxLimit bound a page of events.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// The two orders of [Query.Order].
const (
	// Ascending is oldest first: a poller that keeps [Page.Next] sees every event once, those to come included.
	Ascending = "asc"
	// Descending is newest first, for people; it ends at the oldest event.
	Descending = "desc"
)

// The outcomes of [Query.Outcome].
const (
	Success = "success"
	Denied  = "denied"
	Failed  = "failed"
)

// Query says which events, from where, in which order and how many. The zero
// value is the oldest [DefaultLimit] events. All filters that are set must hold.
type Query struct {
	// After is the opaque Next of an earlier page; empty starts at the oldest
	// event, or the newest where Order is descending. A cursor belongs to the
	// filters and the order it was given for; Limit may change.
	After string
	// Bare leaves [Entry.JSON] out, for which each event is unpacked from its commit.
	// It is no filter: a cursor does not depend on it.
	Bare bool
	// Limit is 1 to [MaxLimit] events a page; zero is [DefaultLimit].
	Limit int
	// Order is [Ascending], which is also the zero value, or [Descending].
	Order string
	// Type is an exact event type ("token.issued"), a family ("connection.*"),
	// or several of them separated by commas, of which one must hold.
	Type string
	// Actor is who did it, exactly: "devops", "system:keys" or a workload:// URI.
	Actor string
	// Connection is the name of a connection.
	Connection string
	// Workload is a plain identity as its provider names it, or the whole workload:// URI.
	Workload string
	// Outcome is [Success], [Denied] or [Failed].
	Outcome string
	// RequestID is the request as its caller saw it.
	RequestID string
	// Since and Until bound the event's time: Since is included, Until is not. Zero is unbounded.
	Since, Until time.Time
	// Q is words that must all occur in the event's summary, type, actor,
	// subject or values, whatever their case; the last word may be the
	// beginning of one. Nothing in it is syntax.
	Q string
}

// Entry is one event of the trail.
type Entry struct {
	Position domain.Position
	ID       string // ULID
	Type     string
	Summary  string // one sentence for people
	Time     time.Time
	// Actor is who did it; Subject what it is about; Connection, Workload and
	// RequestID are "" where it has none.
	Actor, Subject, Connection, Workload, Outcome, RequestID string
	// JSON is the CloudEvent as stored, members "position" and "summary" appended; nil
	// where the query was Bare.
	JSON json.RawMessage
}

// MarshalJSON is e.JSON: the CloudEvent with its position and summary.
func (e Entry) MarshalJSON() ([]byte, error) { return e.JSON, nil }

// Page is an answer to a [Query].
type Page struct {
	Events []Entry
	// Next is the After that continues this query. It is never empty, so that a
	// poller keeps one string; ascending, it neither misses nor repeats an event
	// however many arrive meanwhile.
	Next string
	// HasMore tells that Next already has at least one more event.
	HasMore bool
	// Last is the newest position in the trail, whatever the filters.
	Last domain.Position
}

// MarshalJSON writes the page as GET /v1/audit answers it.
func (p Page) MarshalJSON() ([]byte, error) {
	events := p.Events
	if events == nil {
		events = []Entry{}
	}
	return json.Marshal(struct {
		Events  []Entry `json:"events"`
		Next    string  `json:"next"`
		HasMore bool    `json:"has_more"`
		Last    string  `json:"last_position"`
	}{events, p.Next, p.HasMore, p.Last.String()})
}
