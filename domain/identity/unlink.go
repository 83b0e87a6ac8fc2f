package identity

import (
	"cmp"
	"fmt"
	"slices"

	"sallyport.dev/domain"
)

// link is an account as one person's. What was unlinked is remembered for the
// pair: the account may be somebody else's, and was never another person's by it.
type link struct {
	account Account
	person  domain.Name
}

// Unlinked is an account that was a person's.
type Unlinked struct {
	Account
	MayReturn bool // a sign-in links it again, as it does one that nobody has seen
}

// Unlinked is the accounts that were taken from a person, by issuer.
func (s State) Unlinked(n domain.Name) []Unlinked {
	var out []Unlinked
	for l, mayReturn := range s.unlinked {
		if l.person == n {
			out = append(out, Unlinked{l.account, mayReturn})
		}
	}
	slices.SortFunc(out, func(a, b Unlinked) int {
		return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Subject, b.Subject))
	})
	return out
}

// MayReturn tells whether that account was the person's, and may be again.
func (s State) MayReturn(a Account, n domain.Name) bool { return s.unlinked[link{a, n}] }

// ShutOut tells whether that account was taken from somebody for good. It is made
// nobody's by itself then: whom it is to be, an owner invites.
func (s State) ShutOut(a Account) bool {
	for l, mayReturn := range s.unlinked {
		if l.account == a && !mayReturn {
			return true
		}
	}
	return false
}

// UnlinkedBy tells whether that actor ever took an account, or a passkey, from the
// person. What they write of the person, such as an address, then lets nobody in as them: who
// could do both could be anybody.
func (s State) UnlinkedBy(actor string, n domain.Name) bool {
	return slices.Contains(s.unlinkers[n], actor)
}

// Errors of unlinking.
var (
	ErrAccountNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "identity.not_found",
		Message: "This account is not that person's, and never was: compare issuer and subject with what the person's page says."}
	ErrUnlinked = &domain.Error{Kind: domain.KindForbidden, Code: "identity.unlinked",
		Message: "An owner has taken this account at the identity provider from its person here: sign in another way, or ask an owner to let it return."}
	errUnlinkRole = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Only an owner takes an account at an identity provider from its person."}
)

// Unlink says that an account is a person's no more. It makes it nobody else's:
// only a sign-in links.
type Unlink struct {
	Person  domain.Name
	Account Account
	// MayReturn lets the next sign-in with it link it anew. Otherwise it is never again
	// this person's, until an owner unlinks it once more and lets it return.
	MayReturn bool
}

func (c Unlink) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	of, known := s.accounts[c.Account]
	mayReturn, gone := s.unlinked[link{c.Account, c.Person}]
	switch {
	case !m.Actor.Has(domain.Owner):
		return nil, errUnlinkRole
	case gone && mayReturn == c.MayReturn:
		return nil, nil // already so
	case !gone && (!known || of != c.Person):
		return nil, ErrAccountNotFound
	}
	return []domain.Fact{{Subject: "person/" + c.Person.String(), Event: WasUnlinked(c)}}, nil
}

// WasUnlinked records that an account is a person's no more.
type WasUnlinked struct {
	Person    domain.Name `json:"person"`
	Account   Account     `json:"account"`
	MayReturn bool        `json:"may_return"`
}

// EventType is person.identity_unlinked.
func (WasUnlinked) EventType() string { return "person.identity_unlinked" }

func (e WasUnlinked) evolve(s State, env domain.Envelope) (State, error) {
	at := link{e.Account, e.Person}
	if _, gone := s.unlinked[at]; !gone {
		if of, known := s.accounts[e.Account]; !known || of != e.Person {
			return s, fmt.Errorf("an account was unlinked from %q, and is %q's", e.Person, of)
		}
		delete(s.accounts, e.Account)
	}
	if s.unlinked == nil {
		s.unlinked = map[link]bool{}
	}
	s.unlinked[at] = e.MayReturn
	return s.tookFrom(e.Person, env.Actor), nil
}

// tookFrom remembers who took from somebody what they sign in with.
func (s State) tookFrom(n domain.Name, actor string) State {
	if s.unlinkers == nil {
		s.unlinkers = map[domain.Name][]string{}
	}
	if !s.UnlinkedBy(actor, n) {
		s.unlinkers[n] = append(slices.Clip(s.unlinkers[n]), actor)
	}
	return s
}
