package access

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

// State is the checkouts and broken glasses of one organisation. The zero value
// has none. It owns its memory as a slice does: after [Evolve] only the state it
// returned may be used.
type State struct {
	checkouts map[spot]Checkout // that are not recorded as released or lapsed
	glasses   map[string]Glass  // every one there ever was, by id
	order     []string          // ids of glasses, oldest first
	latest    map[pane]string   // id of the newest glass of a subject, for a method on a resource
	open      map[string]string // id of the glass that a subject broke and nobody has reviewed
	waiting   []string          // the same ids, oldest first
}

// spot is what one subject at a time has: a server's account, or a secret.
type spot struct {
	ref     resource.Ref
	account domain.Name // "" of a secret
}

// pane is what glass is broken for.
type pane struct {
	subject  string
	ref      resource.Ref
	method   string
	username string
}

// Holder is who has the account of a server checked out at now, or with "" as
// account the secret, and until when. Who holds it is a person's name.
func (s State) Holder(ref resource.Ref, account domain.Name, now time.Time) (subject string, until time.Time, ok bool) {
	c, ok := s.checkouts[spot{ref, account}]
	if !ok || !now.Before(c.Until) {
		return "", time.Time{}, false
	}
	return c.By, c.Until, true
}

// Checkout is what [State.Holder] tells, whole.
func (s State) Checkout(ref resource.Ref, account domain.Name, now time.Time) (Checkout, bool) {
	c, ok := s.checkouts[spot{ref, account}]
	return c, ok && now.Before(c.Until)
}

// Checkouts is everything that is checked out at now, by resource and account.
func (s State) Checkouts(now time.Time) []Checkout {
	return s.checkedOut(now, func(Checkout) bool { return true })
}

// CheckoutsOf is those of [State.Checkouts] that a person has.
func (s State) CheckoutsOf(person string, now time.Time) []Checkout {
	return s.checkedOut(now, func(c Checkout) bool { return c.By == person })
}

func (s State) checkedOut(now time.Time, is func(Checkout) bool) (out []Checkout) {
	for _, c := range s.checkouts {
		if now.Before(c.Until) && is(c) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b Checkout) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Account, b.Account))
	})
	return out
}

// Broken is the glass that the subject broke for the method on the resource, as
// the user that they would be on the server, and that gives them access at now, and
// until when. It says what the log says; whether the rule still allows it is for
// [Resolve] to tell.
func (s State) Broken(subject string, ref resource.Ref, method, username string, now time.Time) (id string, until time.Time, ok bool) {
	g, ok := s.glasses[s.latest[pane{subject, ref, method, username}]]
	if !ok || now.Before(g.At) || !now.Before(g.Until) {
		return "", time.Time{}, false
	}
	return g.ID, g.Until, true
}

// Unreviewed tells whether the subject has broken glass that nobody has reviewed.
func (s State) Unreviewed(subject string) bool {
	_, ok := s.open[subject]
	return ok
}

// Glass is the broken glass of that id.
func (s State) Glass(id string) (Glass, bool) {
	g, ok := s.glasses[id]
	return g, ok
}

// Waiting is the glasses that nobody has reviewed, oldest first: one of each
// subject at most, however many were broken. What is pointed to is the next one's then.
func (s State) Waiting() iter.Seq[*Glass] { return s.each(slices.Values(s.waiting)) }

// each is the glasses of those ids: what is pointed to is the next one's then.
func (s State) each(ids iter.Seq[string]) iter.Seq[*Glass] {
	return func(yield func(*Glass) bool) {
		var g Glass
		for id := range ids {
			if g = s.glasses[id]; !yield(&g) {
				return
			}
		}
	}
}

// Newest is every glass that was broken, newest first: what is pointed to is the
// next one's then.
func (s State) Newest() iter.Seq[*Glass] {
	return s.each(func(yield func(string) bool) {
		for _, id := range slices.Backward(s.order) {
			if !yield(id) {
				return
			}
		}
	})
}

// Next is when the next checkout ends that is not recorded as ended; zero if none does.
func (s State) Next() (next time.Time) {
	for _, c := range s.checkouts {
		if next.IsZero() || c.Until.Before(next) {
			next = c.Until
		}
	}
	return next
}

// Lapse is the checkouts that have ended by m.Now and are not recorded as ended.
func (s State) Lapse(m domain.Meta) (facts []domain.Fact) {
	spots := slices.SortedFunc(maps.Keys(s.checkouts), func(a, b spot) int {
		return cmp.Or(cmp.Compare(a.ref, b.ref), cmp.Compare(a.account, b.account))
	})
	for _, at := range spots {
		if c := s.checkouts[at]; !m.Now.Before(c.Until) {
			facts = append(facts, c.lapsed())
		}
	}
	return facts
}

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
	if s.checkouts == nil {
		s.checkouts, s.glasses = map[spot]Checkout{}, map[string]Glass{}
		s.latest, s.open = map[pane]string{}, map[string]string{}
	}
	return ev.evolve(s, e)
}
