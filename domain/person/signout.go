package person

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"sallyport.dev/domain"
)

// signedOut is where in the log somebody was signed out everywhere, and which
// session went on.
type signedOut struct {
	at   domain.Position
	kept string
}

// SignedOut tells whether a session of the person's, whose beginning stands there
// in the log, was ended by signing out everywhere. No clock has a part in it.
func (s State) SignedOut(n domain.Name, session string, began domain.Position) bool {
	out, ever := s.signedOut[n]
	return ever && !out.at.Less(began) && (out.kept == "" || out.kept != session)
}

// LetIn tells whether the token is of a program that its person let in themself
// ([LogIn]). Others were made on the host.
func (t Token) LetIn() bool { return t.CreatedBy == t.Person.String() }

// LetIn is the tokens that hold at now of programs that the person let in, by age.
func (s State) LetIn(n domain.Name, now time.Time) (out []Token) {
	for _, t := range s.tokens {
		if t.Person == n && t.LetIn() && t.Holds(now) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b Token) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// SignOutEverywhere ends whatever somebody is signed in by at that moment: every
// session, and every program that they let in. The person says so, or an owner.
// What was made on the host goes on.
type SignOutEverywhere struct {
	Person domain.Name
	Kept   string          // id of the session that goes on, which only the person says; "" none does
	Began  domain.Position // of it: one that was ended is not kept
}

// ErrEnded means that the session that was to go on was ended meanwhile.
var ErrEnded = &domain.Error{Kind: domain.KindUnknownUser, Code: "session.none", Message: "You are not signed in, or no longer: sign in again."}

func (c SignOutEverywhere) decide(s State, m domain.Meta) ([]Event, error) {
	self := m.Actor.ID == c.Person.String()
	_, known := s.people[c.Person]
	switch {
	case !self && !m.Actor.Has(domain.Owner):
		return nil, ErrRole.With("Only an owner signs out somebody else.")
	case !self && c.Kept != "":
		return nil, ErrRole.With("Only whose it is has a session go on.")
	case !known:
		return nil, ErrNotFound
	case c.Kept != "" && s.SignedOut(c.Person, c.Kept, c.Began):
		return nil, ErrEnded
	}
	return []Event{WasSignedOutEverywhere{c.Person, c.Kept}}, nil
}

// WasSignedOutEverywhere records that what began before it opens nothing any more:
// the person's sessions but one that was kept, and the tokens of programs they let in.
type WasSignedOutEverywhere struct {
	Person domain.Name `json:"person"`
	Kept   string      `json:"kept,omitempty"`
}

// EventType is person.signed_out_everywhere.
func (WasSignedOutEverywhere) EventType() string { return "person.signed_out_everywhere" }

func (e WasSignedOutEverywhere) subject() string { return "person/" + e.Person.String() }

func (e WasSignedOutEverywhere) evolve(s State, env domain.Envelope) (State, error) {
	if _, known := s.people[e.Person]; !known {
		return s, fmt.Errorf("person %q was signed out everywhere, who is unknown", e.Person)
	}
	if s.signedOut == nil {
		s.signedOut = map[domain.Name]signedOut{}
	}
	s.signedOut[e.Person] = signedOut{env.Position, e.Kept}
	for id, t := range s.tokens {
		if t.Person == e.Person && t.RevokedAt.IsZero() && t.LetIn() {
			t.RevokedAt, t.RevokedBy = env.Time, env.Actor
			s.tokens[id] = t
		}
	}
	return s, nil
}
