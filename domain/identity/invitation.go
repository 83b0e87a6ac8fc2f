package identity

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
)

// InvitationLife is how long the link of an invitation opens something.
const InvitationLife = 24 * time.Hour

// Invitation lets a person who never proved who they are register their first passkey.
// It gives nobody a role, and is over with the first proof, whichever that is.
type Invitation struct {
	ID        string // ULID; "" there never was one
	Hash      string // SHA-256 of the secret, lower-case hex
	ExpiresAt time.Time
}

// Errors of invitations.
var (
	ErrProved = &domain.Error{Kind: domain.KindConflict, Code: "invitation.proved",
		Message: "This person has proved who they are already, and signs in as they did then. Nobody else makes a way in for them."}
	errInviter = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Only an owner invites somebody."}
)

// Invitation is the newest of a person that is open at now; ok is false where none is.
func (s State) Invitation(n domain.Name, now time.Time) (i Invitation, ok bool) {
	i = s.invitations[n]
	return i, i.ID != "" && now.Before(i.ExpiresAt) && !s.proved[n]
}

// Invited is whose invitation has a secret of that hash, if it is open at now, or
// [ErrEnrolment], the same whatever the reason.
func (s State) Invited(hash string, now time.Time) (domain.Name, Invitation, error) {
	for n, i := range s.invitations {
		if _, open := s.Invitation(n, now); open && i.Hash == hash {
			return n, i, nil
		}
	}
	return "", Invitation{}, ErrEnrolment
}

// Invite makes an invitation that is open for [InvitationLife], in place of an older
// one of the person, who has to be there.
type Invite struct {
	ID     string
	Person domain.Name
	Hash   string
}

func (c Invite) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if !m.Actor.Has(domain.Owner) {
		return nil, errInviter
	}
	if err := checkLink(c.ID, c.Hash); err != nil {
		return nil, err
	}
	if s.proved[c.Person] {
		return nil, ErrProved
	}
	return []domain.Fact{{Subject: "person/" + c.Person.String(), Event: WasInvited{
		ID: c.ID, Person: c.Person, Hash: c.Hash, ExpiresAt: m.Now.Add(InvitationLife).UTC(),
	}}}, nil
}

// WasInvited records that a link was made by which a person registers a passkey.
type WasInvited struct {
	ID        string      `json:"id"`
	Person    domain.Name `json:"person"`
	Hash      string      `json:"hash"`
	ExpiresAt time.Time   `json:"expires_at"`
}

// EventType is person.invited.
func (WasInvited) EventType() string { return "person.invited" }

func (e WasInvited) evolve(s State, _ domain.Envelope) (State, error) {
	if s.proved[e.Person] {
		return s, fmt.Errorf("%q was invited, and has proved who they are", e.Person)
	}
	s.invitations[e.Person] = Invitation{ID: e.ID, Hash: e.Hash, ExpiresAt: e.ExpiresAt}
	return s, nil
}
