package access

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

// State is the checkouts and broken glasses of one organisation. The zero value
// has none. It owns its memory as a slice does: after [Evolve] only the state it
// returned may be used.
type State struct {
}

// Holder is who has the account of a server checked out at now, or with "" as
// account the secret, and until when. Who holds it is a person's name.
func (s State) Holder(ref resource.Ref, account domain.Name, now time.Time) (subject string, until time.Time, ok bool) {
	return "", time.Time{}, false
}

// Broken is the glass that the subject broke for the method on the resource and
// that gives them access at now, and until when. It says what the log says;
// whether the rule still allows it is for [Resolve] to tell.
func (s State) Broken(subject string, ref resource.Ref, method string, now time.Time) (id string, until time.Time, ok bool) {
	return "", time.Time{}, false
}

// Unreviewed tells whether the subject has broken glass that nobody has reviewed.
func (s State) Unreviewed(subject string) bool { return false }

// Next is when the next checkout ends that is not recorded as ended; zero if none does.
func (s State) Next() time.Time { return time.Time{} }

// Lapse is the checkouts that have ended by m.Now and are not recorded as ended.
func (s State) Lapse(m domain.Meta) []domain.Fact { return nil }

// Command asks for a change. The set is closed: each has its rule.
type Command interface {
	decide(s State, m domain.Meta) ([]domain.Fact, error)
}

// Event is a fact of this noun. The set is closed: each has its effect.
type Event interface {
	domain.Event
	evolve(s State, e domain.Envelope) (State, error)
}

// Decide tells which facts follow from a command, none if what it asks for
// already is, or why it is refused (a *domain.Error, found in the order role,
// existence, version, content, conflict).
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) { return c.decide(s, m) }

// Evolve folds one stored event, whose Event is one of this package's, into
// the state, whose memory it takes over. It refuses what Decide can never have
// decided: the log is then not ours.
func Evolve(s State, e domain.Envelope) (State, error) {
	ev, ok := e.Event.(Event)
	if !ok {
		return s, fmt.Errorf("%s is not an event of checkouts", e.Type)
	}
	return ev.evolve(s, e)
}
