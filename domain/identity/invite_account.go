package identity

import (
	"fmt"
	"maps"
	"strings"

	"sallyport.dev/domain"
)

// Bounds of an account, in bytes; what is longer no provider says (OpenID Connect
// Core 2 has a subject of 255 ASCII characters at most).
const (
	MaxIssuer  = 2048
	MaxSubject = 255
)

// CheckAccount names what of an account cannot be in an ID token, each with its
// pointer below that of the account.
func CheckAccount(a Account) (broken []domain.FieldError) {
	if !ascii(a.Issuer, MaxIssuer) {
		broken = append(broken, domain.FieldError{Pointer: "/issuer", Code: "account.invalid", Detail: "iss of the provider's tokens: an https address, exactly as its discovery document says"})
	}
	if !ascii(a.Subject, MaxSubject) || strings.TrimSpace(a.Subject) != a.Subject {
		broken = append(broken, domain.FieldError{Pointer: "/subject", Code: "account.invalid", Detail: "sub of the account at the provider: 1 to 255 ASCII characters, without spaces around them"})
	}
	return broken
}

// ascii tells whether s is 1 to so many bytes of printable ASCII.
func ascii(s string, most int) bool {
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// promised is whose an account is to be, by whose word.
type promised struct {
	person domain.Name
	by     string
	spent  bool // they have proved who they are since, in whichever way
}

// ErrSameHand means that what says whose an account is was written by who took from
// that person what they signed in with: who could do both could be anybody.
var ErrSameHand = ErrUnlinked.With("This owner took an account or a passkey from that person, and one owner alone does not say whose account it is: have another owner write it.")

// MayBecome tells why an account that the actor by says to be a person's is not made
// theirs by a sign-in with it: who adds somebody chooses who that is, once. Whoever has
// proved who they are stays that ([ErrProved]), but where one owner took everything
// that they sign in with, and it is another who says so ([ErrSameHand]). first is
// false of a word that was said after the person was added and does not invite.
func (s State) MayBecome(n domain.Name, a Account, by string, first bool) error {
	switch {
	case len(s.Accounts(n)) > 0:
		return ErrProved
	case s.MayReturn(a, n):
		return nil // it was theirs
	case s.UnlinkedBy(by, n):
		return ErrSameHand
	case len(s.Unlinked(n)) > 0 && len(s.Passkeys(n)) == 0:
		return nil // they have nothing left to sign in with
	case s.proved[n] || !first:
		return ErrProved
	}
	return nil
}

// InvitedAs is whose an account becomes with the first sign-in: an owner said so, and
// it still may be.
func (s State) InvitedAs(a Account) (domain.Name, bool) {
	p, said := s.promised[a]
	return p.person, said && !p.spent && s.MayBecome(p.person, a, p.by, true) == nil
}

// InvitedAccount is the account with which a person is to sign in first; no other is
// linked to them by their address.
func (s State) InvitedAccount(n domain.Name) (Account, bool) {
	for a, p := range s.promised {
		if p.person == n {
			_, open := s.InvitedAs(a)
			return a, open
		}
	}
	return Account{}, false
}

// Invitations is how often it was said, or taken back, which account a person is to
// sign in with. It only ever grows.
func (s State) Invitations(n domain.Name) uint64 { return s.said[n] }

// InviteAccount says with which account a person, who has to be there, signs in first;
// it takes the place of what was said before. The zero account takes it back.
type InviteAccount struct {
	Person  domain.Name
	Account Account
}

func (c InviteAccount) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	subject := "person/" + c.Person.String()
	was, open := s.InvitedAccount(c.Person)
	switch of, linked := s.accounts[c.Account]; {
	case !m.Actor.Has(domain.Owner):
		return nil, errInviter
	case c.Account == Account{} && was == Account{}:
		return nil, nil
	case c.Account == Account{}:
		return []domain.Fact{{Subject: subject, Event: AccountWasUninvited{c.Person, was}}}, nil
	case len(CheckAccount(c.Account)) > 0:
		return nil, domain.ErrFields(CheckAccount(c.Account))
	case linked && of == c.Person, open && was == c.Account:
		return nil, nil // already so
	case was == c.Account && s.promised[was].spent && (len(s.Passkeys(c.Person)) > 0 || len(s.Accounts(c.Person)) > 0):
		return nil, nil // it was so, and they came in another way
	case linked:
		return nil, ErrLinked
	}
	if other, taken := s.InvitedAs(c.Account); taken && other != c.Person {
		return nil, ErrLinked.With("With this account another person here is to sign in first: take it back there, or name another account.")
	}
	if mayReturn, gone := s.unlinked[link{c.Account, c.Person}]; gone && !mayReturn {
		return nil, ErrUnlinked.With("An owner has taken this account from this person: let it return first.")
	}
	if err := s.MayBecome(c.Person, c.Account, m.Actor.ID, true); err != nil {
		return nil, err
	}
	return []domain.Fact{{Subject: subject, Event: AccountWasInvited(c)}}, nil
}

// AccountWasInvited records that whoever first signs in with an account is a person.
type AccountWasInvited struct {
	Person  domain.Name `json:"person"`
	Account Account     `json:"account"`
}

// EventType is person.identity_invited.
func (AccountWasInvited) EventType() string { return "person.identity_invited" }

func (e AccountWasInvited) evolve(s State, env domain.Envelope) (State, error) {
	if of, linked := s.accounts[e.Account]; linked {
		return s, fmt.Errorf("%q was invited with an account that is %q's", e.Person, of)
	}
	s = s.keepsNoPromise(e.Person)
	s.promised[e.Account] = promised{person: e.Person, by: env.Actor}
	s.said[e.Person]++
	return s, nil
}

// AccountWasUninvited records that a sign-in with an account makes nobody a person any
// more.
type AccountWasUninvited struct {
	Person  domain.Name `json:"person"`
	Account Account     `json:"account"`
}

// EventType is person.identity_uninvited.
func (AccountWasUninvited) EventType() string { return "person.identity_uninvited" }

func (e AccountWasUninvited) evolve(s State, _ domain.Envelope) (State, error) {
	if p, said := s.promised[e.Account]; !said || p.person != e.Person {
		return s, fmt.Errorf("%q was invited no more with an account that was not theirs to be", e.Person)
	}
	s = s.keepsNoPromise(e.Person)
	s.said[e.Person]++
	return s, nil
}

// spendsPromise makes of a person's account no invitation any more: what an owner said
// of somebody unknown holds for nobody who has proved who they are, whatever they lose
// later.
func (s State) spendsPromise(n domain.Name) State {
	for a, p := range s.promised {
		if p.person == n {
			p.spent = true
			s.promised[a] = p
		}
	}
	return s
}

// keepsNoPromise forgets with which account a person was to sign in first.
func (s State) keepsNoPromise(n domain.Name) State {
	if s.promised == nil {
		s.promised, s.said = map[Account]promised{}, map[domain.Name]uint64{}
	}
	maps.DeleteFunc(s.promised, func(_ Account, p promised) bool { return p.person == n })
	return s
}
