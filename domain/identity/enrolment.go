package identity

import (
	"fmt"
	"regexp"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
)

// EnrolmentLife is how long the link of an enrolment opens something.
const EnrolmentLife = 15 * time.Minute

// Enrolment makes whoever has its secret an owner, with a passkey, once, before they
// have any other proof of who they are. There is one at a time: a newer one ends it.
//
//	none ──created──▶ open ──used──▶ over
//	                    └──expired, or another created──▶ over
type Enrolment struct {
	ID        string      // ULID; "" there never was one
	Person    domain.Name // who they will be; "" they choose a name that nobody has, or ever had
	Hash      string      // SHA-256 of the secret, lower-case hex
	CreatedAt time.Time
	ExpiresAt time.Time
	Used      bool
}

// Open tells whether it can be used at now.
func (e Enrolment) Open(now time.Time) bool {
	return e.ID != "" && !e.Used && now.Before(e.ExpiresAt)
}

// Enrolment is the newest enrolment; no other opens anything.
func (s State) Enrolment() Enrolment { return s.enrolment }

// Errors of enrolments.
var (
	// ErrEnrolment is the same answer whatever the reason: who guesses learns nothing.
	ErrEnrolment = &domain.Error{Kind: domain.KindForbidden, Code: "enrolment.invalid",
		Message: "This link opens nothing: it was used, is too old, or a newer one took its place. An owner makes another; on the server's host, sallyportd recover prints one for an owner."}
	ErrEnrolmentForm = &domain.Error{Kind: domain.KindInvalid, Code: "enrolment.malformed", Message: "An enrolment's id is a ULID, its hash a SHA-256 in lower-case hex."}
	errEnrolmentRole = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Enrolments are made on the server's host, with sallyportd recover."}
)

// EnrolmentOf is the enrolment whose secret has that hash (SHA-256, lower-case hex),
// if it is open at now, or [ErrEnrolment]. Comparing hashes needs no constant time:
// who could choose the hash's bits would know the secret.
func (s State) EnrolmentOf(hash string, now time.Time) (Enrolment, error) {
	if e := s.enrolment; e.Open(now) && e.Hash == hash {
		return e, nil
	}
	return Enrolment{}, ErrEnrolment
}

var enrolmentHash = regexp.MustCompile(`\A[0-9a-f]{64}\z`)

// checkLink refuses an id or a hash that is none.
func checkLink(id, hash string) error {
	if parsed, err := ulid.ParseStrict(id); err != nil || parsed.String() != id || !enrolmentHash.MatchString(hash) {
		return ErrEnrolmentForm
	}
	return nil
}

// CreateEnrolment makes an enrolment that is open for [EnrolmentLife], in place of
// any other. No person may: who could let others in would be two people.
type CreateEnrolment struct {
	ID     string
	Person domain.Name
	Hash   string
}

func (c CreateEnrolment) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if !m.Actor.IsSystem() {
		return nil, errEnrolmentRole
	}
	if err := checkLink(c.ID, c.Hash); err != nil {
		return nil, err
	}
	switch {
	case s.enrolment.ID == c.ID && s.enrolment.Hash == c.Hash:
		return nil, nil // already so
	case s.enrolment.ID == c.ID || s.enrolment.Hash == c.Hash:
		return nil, ErrEnrolmentForm.With("There is another enrolment of that id or hash.")
	}
	return []domain.Fact{{Subject: "enrolment/" + c.ID, Event: EnrolmentWasCreated{
		ID: c.ID, Person: c.Person, Hash: c.Hash, ExpiresAt: m.Now.Add(EnrolmentLife).UTC(),
	}}}, nil
}

// EnrolmentWasCreated records that a link was made that makes somebody an owner, once.
type EnrolmentWasCreated struct {
	ID        string      `json:"id"`
	Person    domain.Name `json:"person,omitempty"`
	Hash      string      `json:"hash"`
	ExpiresAt time.Time   `json:"expires_at"`
}

// EventType is enrolment.created.
func (EnrolmentWasCreated) EventType() string { return "enrolment.created" }

func (e EnrolmentWasCreated) evolve(s State, env domain.Envelope) (State, error) {
	if e.ID == s.enrolment.ID {
		return s, fmt.Errorf("enrolment %q was created twice", e.ID)
	}
	s.enrolment = Enrolment{ID: e.ID, Person: e.Person, Hash: e.Hash, CreatedAt: env.Time, ExpiresAt: e.ExpiresAt}
	return s, nil
}

// UseEnrolment says that somebody has used an enrolment; the caller has proof that
// they know its secret, and sees to it that the person is there, and an owner: of an
// enrolment that names nobody, that their name was nobody's.
type UseEnrolment struct {
	ID     string
	Person domain.Name // who they are from now on
}

func (c UseEnrolment) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	e := s.enrolment
	switch {
	case !m.Actor.IsSystem():
		return nil, errEnrolmentRole
	case e.ID != c.ID || !e.Open(m.Now), e.Person != "" && e.Person != c.Person:
		return nil, ErrEnrolment
	}
	return []domain.Fact{{Subject: "enrolment/" + c.ID, Actor: c.Person.String(), Event: EnrolmentWasUsed(c)}}, nil
}

// EnrolmentWasUsed records that an enrolment let somebody in, and opens nothing any more.
type EnrolmentWasUsed struct {
	ID     string      `json:"id"`
	Person domain.Name `json:"person"`
}

// EventType is enrolment.used.
func (EnrolmentWasUsed) EventType() string { return "enrolment.used" }

func (e EnrolmentWasUsed) evolve(s State, _ domain.Envelope) (State, error) {
	if s.enrolment.ID != e.ID || s.enrolment.Used {
		return s, fmt.Errorf("enrolment %q was used, and is not the newest or was used before", e.ID)
	}
	s.enrolment.Used = true
	return s, nil
}
