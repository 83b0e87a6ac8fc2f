// Package notification remembers of which facts people are to be told, and how
// far telling them has come. What is told is not here, nor whom: both are found
// when it is told, on the state as it then is.
//
// Each notice goes its way once for every channel that is configured:
//
//	observed --Begin--> begun --Finish--> sent or failed
//	                      |
//	                      +--15 minutes without an outcome--> begun a second and last time
//
// Only whose Begin was committed tells people. So a notice is told at least
// once while somebody serves, and seldom twice: if who told it stopped before
// the outcome was recorded.
package notification

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
)

// Channel is a way to reach people.
type Channel string

const (
	// Webhook is one address that is told of every notice.
	Webhook Channel = "webhook"
	// Email is a message to each person.
	Email Channel = "email"
)

const (
	// MaxKept is how many notices are kept at most; the oldest are forgotten first.
	MaxKept = 10_000
	// KeptFor is how long a notice is kept: what is older is not told any more.
	KeptFor = time.Hour
	// AgainAfter is how long after it was begun a notice without an outcome may be begun again.
	AgainAfter = 15 * time.Minute
	// maxBegun is how often a notice is begun in one channel.
	maxBegun = 2
)

// Notice is one fact of which people are to be told. What it says beyond its
// subject is there where the state tells no more of it by then.
type Notice struct {
	ID      string // of the event
	Type    string // of the event, such as request.raised
	Subject string // of the event, such as request/01K...
	Actor   string // whom the event names
	At      time.Time
	Step    int // of a request, that waits for approvals; counted from 1
	// Of a membership or a checkout that ended:
	Person   domain.Name // whose it was
	Until    time.Time
	Group    domain.Name
	Resource string
	Account  domain.Name
}

// progress is how far a notice has come in one channel.
type progress struct {
	begun int
	at    time.Time // when it was begun the last time
	done  bool
}

// kept is a notice and how far it has come in each channel.
type kept struct {
	Notice
	by map[Channel]progress
}

// free tells whether it may be begun at now.
func (k *kept) free(c Channel, now time.Time) bool {
	p := k.by[c]
	switch {
	case p.done || p.begun == maxBegun || !now.Before(k.At.Add(KeptFor)):
		return false
	case p.begun == 0:
		return true
	}
	return !now.Before(p.at.Add(AgainAfter))
}

// State is the notices of one organisation. The zero value keeps none, and
// never will: see [Keeping]. It owns its memory as a slice does: after [Evolve]
// or [State.Observe] only the state they returned may be used.
type State struct {
	notices map[string]*kept // by ID; nil: none are kept
	order   []string         // IDs as they came, oldest first
}

// Keeping is the state that has none and keeps what it observes.
func Keeping() State { return State{notices: map[string]*kept{}} }

// Pending is up to limit notices that may be begun in the channel at now,
// oldest first, but for those that skip tells.
func (s State) Pending(c Channel, now time.Time, limit int, skip func(id string) bool) (out []Notice) {
	for _, id := range s.order {
		if len(out) == limit {
			break
		}
		if k := s.notices[id]; k.free(c, now) && !skip(id) {
			out = append(out, k.Notice)
		}
	}
	return out
}

// Has tells whether the notice of that id is kept.
func (s State) Has(id string) bool { return s.notices[id] != nil }

// Len is how many notices are kept.
func (s State) Len() int { return len(s.order) }

// Observe takes in an event of any noun: if people are to be told of it, it is kept.
func (s State) Observe(e domain.Envelope) State {
	if s.notices == nil {
		return s
	}
	if n, ok := noticed(e); ok && s.notices[n.ID] == nil {
		s.notices[n.ID] = &kept{Notice: n, by: map[Channel]progress{}}
		s.order = append(s.order, n.ID)
	}
	for len(s.order) > 0 && (len(s.order) > MaxKept || !e.Time.Before(s.notices[s.order[0]].At.Add(KeptFor))) {
		delete(s.notices, s.order[0])
		s.order = s.order[1:]
	}
	return s
}

// Command asks for a change. The set is closed: each has its rule.
type Command interface {
	decide(s State, m domain.Meta) ([]domain.Fact, error)
}

// Event is a fact of this noun. The set is closed: each has its effect.
type Event interface {
	domain.Event
	evolve(s State, e domain.Envelope) State
}

// Decide tells which facts follow from a command, none if somebody else was
// quicker or the notice was forgotten. No command is refused.
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) { return c.decide(s, m) }

// Evolve folds one stored event, whose Event is one of this package's, into
// the state, whose memory it takes over. One about a notice that is not kept
// changes nothing: what is kept is this process's own affair.
func Evolve(s State, e domain.Envelope) (State, error) {
	ev, ok := e.Event.(Event)
	if !ok {
		return s, fmt.Errorf("%s is not an event of notifications", e.Type)
	}
	return ev.evolve(s, e), nil
}
