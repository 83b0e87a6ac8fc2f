// Package identity answers how people prove who they are: the accounts at
// OpenID providers that are theirs, their passkeys, and the link that lets the first
// of them in. Sign-ins are facts of it.
// It never sees a secret: no code, no token, no cookie.
package identity

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport.dev/domain"
)

// Account is one account at an OpenID provider: iss and sub of its ID tokens,
// which together are never given to another (OpenID Connect Core 5.7).
type Account struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// State is the identities of one organisation's people. The zero value has none.
// It owns its memory as a slice does: after [Evolve] only the state it returned may be used.
type State struct {
	accounts map[Account]domain.Name
	passkeys map[string]Passkey // by id
	// Accounts that were taken from a person, and whether they may return; and by whom.
	unlinked  map[link]bool
	unlinkers map[domain.Name][]string
	proved    map[domain.Name]bool // who ever proved who they are

	enrolment   Enrolment // the newest
	invitations map[domain.Name]Invitation
	// Accounts that are to be somebody's with the first sign-in, and how often that was said of whom.
	promised map[Account]promised
	said     map[domain.Name]uint64
}

// Person is whose the account is.
func (s State) Person(a Account) (domain.Name, bool) {
	n, ok := s.accounts[a]
	return n, ok
}

// Accounts is the accounts of a person, by issuer.
func (s State) Accounts(n domain.Name) []Account {
	var out []Account
	for a, of := range s.accounts {
		if of == n {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b Account) int {
		return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Subject, b.Subject))
	})
	return out
}

// Proved tells whether somebody ever proved who they are: had an account linked, a
// passkey registered, or signed in. An address is no invitation to be them any more.
func (s State) Proved(n domain.Name) bool { return s.proved[n] }

// Clone is a copy that folding further events into s does not change.
func (s State) Clone() State {
	return State{
		maps.Clone(s.accounts), maps.Clone(s.passkeys), maps.Clone(s.unlinked), maps.Clone(s.unlinkers), maps.Clone(s.proved),
		s.enrolment, maps.Clone(s.invitations), maps.Clone(s.promised), maps.Clone(s.said),
	}
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
// already is, or why it is refused.
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) { return c.decide(s, m) }

// Evolve folds one stored event, whose Event is one of this package's, into
// the state, whose memory it takes over. It refuses what Decide can never have
// decided: the log is then not ours.
func Evolve(s State, e domain.Envelope) (State, error) {
	ev, ok := e.Event.(Event)
	if !ok {
		return s, fmt.Errorf("%s is not an event of identities", e.Type)
	}
	if s.accounts == nil {
		s = State{accounts: map[Account]domain.Name{}, passkeys: map[string]Passkey{}, proved: map[domain.Name]bool{}, invitations: map[domain.Name]Invitation{}}
	}
	return ev.evolve(s, e)
}

// Link says that an account is a person's from now on.
type Link struct {
	Person  domain.Name
	Account Account
}

// ErrLinked means that the account is somebody else's.
var ErrLinked = &domain.Error{Kind: domain.KindConflict, Code: "identity.taken",
	Message: "This account at the identity provider is another person's here: ask an owner to look."}

// errOurs refuses whoever is not Sallyport itself: only a sign-in proves anything.
var errOurs = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Who somebody is is proved by signing in, and said by nobody else."}

func (c Link) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	of, known := s.accounts[c.Account]
	mayReturn, gone := s.unlinked[link{c.Account, c.Person}]
	switch {
	case !m.Actor.IsSystem():
		return nil, errOurs
	case known && of == c.Person:
		return nil, nil
	case known:
		return nil, ErrLinked
	case gone && !mayReturn:
		return nil, ErrUnlinked
	}
	return []domain.Fact{{Subject: "person/" + c.Person.String(), Event: WasLinked(c)}}, nil
}

// WasLinked records that an account is a person's.
type WasLinked struct {
	Person  domain.Name `json:"person"`
	Account Account     `json:"account"`
}

// EventType is person.identity_linked.
func (WasLinked) EventType() string { return "person.identity_linked" }

func (e WasLinked) evolve(s State, _ domain.Envelope) (State, error) {
	if of, known := s.accounts[e.Account]; known {
		return s, fmt.Errorf("the account was linked to %q, and is %q's", e.Person, of)
	}
	s.accounts[e.Account] = e.Person
	s.proved[e.Person] = true
	delete(s.unlinked, link{e.Account, e.Person})
	return s.keepsNoPromise(e.Person), nil
}

// SignIn records that a person signed in; the caller has proof.
type SignIn struct {
	Person   domain.Name
	Method   string // oidc or passkey
	Provider string // name of the OpenID provider; "" of a passkey
	Session  string // its id, which opens nothing
	MFA      bool   // a second factor was proved
	Source   string // network
	Again    bool   // they were signed in, and proved anew who they are
}

// WasSignedIn records a sign-in.
type WasSignedIn struct {
	Person   domain.Name `json:"person"`
	Method   string      `json:"method"`
	Provider string      `json:"provider,omitempty"`
	Session  string      `json:"session"`
	MFA      bool        `json:"mfa"`
	Source   string      `json:"source"`
	Again    bool        `json:"again,omitempty"`
}

// EventType is person.signed_in.
func (WasSignedIn) EventType() string { return "person.signed_in" }

func (c SignIn) decide(_ State, m domain.Meta) ([]domain.Fact, error) {
	if !m.Actor.IsSystem() {
		return nil, errOurs
	}
	return []domain.Fact{{Subject: "person/" + c.Person.String(), Actor: c.Person.String(), Event: WasSignedIn(c)}}, nil
}

func (e WasSignedIn) evolve(s State, _ domain.Envelope) (State, error) {
	s.proved[e.Person] = true
	return s.spendsPromise(e.Person), nil
}

// SignOut records that a session ended: by whose it was, by an owner, or by
// Sallyport itself.
type SignOut struct {
	Person  domain.Name
	Session string
	At      time.Time // when it began
}

// WasSignedOut records the end of a session.
type WasSignedOut struct {
	Person  domain.Name `json:"person"`
	Session string      `json:"session"`
	Began   time.Time   `json:"began"`
}

// EventType is person.signed_out.
func (WasSignedOut) EventType() string { return "person.signed_out" }

func (c SignOut) decide(_ State, m domain.Meta) ([]domain.Fact, error) {
	if !mayEnd(m.Actor, c.Person) {
		return nil, errEnds
	}
	return []domain.Fact{{Subject: "person/" + c.Person.String(), Event: WasSignedOut{c.Person, c.Session, c.At}}}, nil
}

func (WasSignedOut) evolve(s State, _ domain.Envelope) (State, error) { return s, nil }

// mayEnd tells who may end a person's sessions.
func mayEnd(a domain.Actor, n domain.Name) bool {
	return a.ID == n.String() || a.Has(domain.Owner) || a.IsSystem()
}

var errEnds = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Only an owner ends the sessions of others."}

// EndSessions records that many sessions of a person ended at once: those that are
// not worth a [SignOut] each.
type EndSessions struct {
	Person   domain.Name
	Sessions int // how many
}

// SessionsWereEnded records the end of many sessions.
type SessionsWereEnded struct {
	Person   domain.Name `json:"person"`
	Sessions int         `json:"sessions"`
}

// EventType is person.sessions_ended.
func (SessionsWereEnded) EventType() string { return "person.sessions_ended" }

func (c EndSessions) decide(_ State, m domain.Meta) ([]domain.Fact, error) {
	if !mayEnd(m.Actor, c.Person) {
		return nil, errEnds
	}
	return []domain.Fact{{Subject: "person/" + c.Person.String(), Event: SessionsWereEnded(c)}}, nil
}

func (SessionsWereEnded) evolve(s State, _ domain.Envelope) (State, error) { return s, nil }

// Refuse records that somebody could not sign in. It is bounded by the caller.
type Refuse struct {
	Code     string // why, such as sign_in.unknown
	Provider string
	Account  Account // as its provider says; empty where that is not known
	Source   string
}

// WasRefused records a sign-in that failed.
type WasRefused struct {
	Code     string  `json:"code"`
	Provider string  `json:"provider,omitempty"`
	Account  Account `json:"account,omitzero"`
	Source   string  `json:"source"`
}

// EventType is person.sign_in_refused.
func (WasRefused) EventType() string { return "person.sign_in_refused" }

func (c Refuse) decide(_ State, m domain.Meta) ([]domain.Fact, error) {
	if !m.Actor.IsSystem() {
		return nil, errOurs
	}
	return []domain.Fact{{Subject: "sign_in", Event: WasRefused(c)}}, nil
}

func (WasRefused) evolve(s State, _ domain.Envelope) (State, error) { return s, nil }
