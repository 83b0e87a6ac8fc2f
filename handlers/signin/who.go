package signin

import (
	"errors"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/projections/control"
)

// Errors of who proved who they are, and is nobody here.
var (
	ErrUnknown = &domain.Error{Kind: domain.KindForbidden, Code: "sign_in.unknown",
		Message: "The identity provider knows you, and nobody here does: ask an owner of the organisation to add you, with the address that the provider has of you, or with your account there, which the audit trail now names."}
	ErrTaken = &domain.Error{Kind: domain.KindConflict, Code: "sign_in.taken",
		Message: "Your name or address at the identity provider is somebody else's here: ask an owner of the organisation to look."}
	ErrOther = &domain.Error{Kind: domain.KindForbidden, Code: "sign_in.other_person",
		Message: "You came back as somebody else than who is signed in here: sign out first, or prove who you are with your own account."}
)

// ErrPasskey is told to who would sign in with a passkey alone, and has an account.
var ErrPasskey = &domain.Error{Kind: domain.KindForbidden, Code: "sign_in.provider",
	Message: "You have an account at your organisation's identity provider: sign in there. With the passkey you then show anew that it is you."}

// Actor is in whose name sign-ins are recorded.
func Actor() domain.Actor { return domain.System("sign_in") }

// Decide tells whom a proof is of, and what follows from it: an account that is
// linked at the first sign-in, a person who is made, groups that are theirs now.
//
// The account decides. An address links one only to who was added with it, and an owner's
// word that it is theirs only to whom it names: nobody who ever proved who they are.
func (p *Provider) Decide(s *control.State, proof Proof, m domain.Meta) (domain.Name, []domain.Fact, error) {
	who, facts, err := p.whose(s, proof, m)
	if err != nil {
		return "", nil, err
	}
	if p.GroupsClaim == "" {
		return who, facts, nil
	}
	groups, err := group.Decide(s.Groups(), group.SetProviderGroups{Person: who, Groups: p.ours(s, proof)}, m)
	return who, append(facts, groups...), err
}

func (p *Provider) whose(s *control.State, proof Proof, m domain.Meta) (domain.Name, []domain.Fact, error) {
	if of, linked := s.Identities().Person(proof.Account); linked {
		if _, known := s.Person(of); !known {
			return "", nil, ErrUnknown // they were removed, and their account with them
		}
		return of, nil, nil
	}
	who, err := p.invited(s, proof)
	if err != nil {
		return "", nil, err
	}
	var facts []domain.Fact
	if who == "" {
		switch {
		case s.Identities().ShutOut(proof.Account):
			return "", nil, identity.ErrUnlinked
		case !p.Create:
			return "", nil, ErrUnknown
		}
		if who, facts, err = p.create(s, proof, m); err != nil {
			return "", nil, err
		}
	}
	link, err := identity.Decide(s.Identities(), identity.Link{Person: who, Account: proof.Account}, m)
	return who, append(facts, link...), err
}

// invited is whom a proof names who has no account yet; "" nobody. With which account
// somebody is to come first decides before any address.
func (p *Provider) invited(s *control.State, proof Proof) (domain.Name, error) {
	if n, said := s.Identities().InvitedAs(proof.Account); said {
		if _, known := s.Person(n); known {
			return n, nil
		}
	}
	if p.TrustNames {
		if n, err := domain.ParseName(proof.Username); err == nil {
			if _, known := s.Person(n); known {
				return n, nil
			}
		}
	}
	// Only ASCII may be compared without regard to case: elsewhere two letters may be one.
	if proof.Email == "" || person.CheckEmail(proof.Email) != nil {
		return "", nil
	}
	var found []person.Person
	for _, one := range s.People().People() {
		if strings.EqualFold(one.Email, proof.Email) {
			found = append(found, one)
		}
	}
	switch {
	case len(found) == 0:
		return "", nil
	case len(found) > 1 || len(s.Identities().Accounts(found[0].Name)) > 0:
		return "", ErrTaken
	}
	return found[0].Name, mayBecome(s.Identities(), found[0], proof.Account)
}

// mayBecome refuses an account that would be somebody's by an address which is no
// invitation: one that was written later, or of who is to come with another account.
func mayBecome(s identity.State, p person.Person, a identity.Account) error {
	if _, other := s.InvitedAccount(p.Name); other {
		return errOtherAccount
	}
	switch err := s.MayBecome(p.Name, a, p.EmailBy, p.Email == p.Invited); {
	case errors.Is(err, identity.ErrSameHand):
		return errSameHand
	case err != nil:
		return errNotInvited
	}
	return nil
}

// errOtherAccount is told to who would be somebody by an address, whose account is named.
var errOtherAccount = ErrTaken.With("Your address at the identity provider is written here on somebody who is to sign in first with another account: sign in with that, or ask an owner to name yours.")

// errNotInvited is told to who would be somebody by an address that was no invitation.
var errNotInvited = ErrTaken.With("Your address at the identity provider is written here on somebody who was not added with it, or who has proved already who they are: sign in as they do, or ask an owner to add you under another name.")

// errSameHand is told to who would be somebody by what one owner alone has said.
var errSameHand = identity.ErrUnlinked.With("Your address was written here by the owner who took an account or a passkey from your name, and one owner alone does not say whose account it is: have another owner write it, or sign in with a passkey.")

// create makes a member of whom nobody knows yet.
func (p *Provider) create(s *control.State, proof Proof, m domain.Meta) (domain.Name, []domain.Fact, error) {
	n, ok := nameFrom(proof.Name)
	if !ok {
		return "", nil, ErrUnknown.With("The identity provider gives you no name that can be one here: ask an owner of the organisation to add you.")
	}
	if _, known := s.Person(n); known || s.NamesPerson(n) {
		return "", nil, ErrTaken // and never merged, nor what others have named already
	}
	email := proof.Email
	if person.CheckEmail(email) != nil {
		email = ""
	}
	facts, err := person.Decide(s.People(), person.Add{Name: n, Roles: []domain.Role{domain.Member}, Email: email}, m)
	if err != nil {
		return "", nil, ErrTaken // a name of somebody who was removed, or one of ours
	}
	return n, facts, nil
}

// nameFrom makes a name of what a provider calls somebody: Carol.Diaz@example.com
// is carol-diaz. ok is false where nothing is left of it.
func nameFrom(claim string) (domain.Name, bool) {
	local, _, _ := strings.Cut(claim, "@")
	var b strings.Builder
	for _, r := range strings.ToLower(local) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	n, err := domain.ParseName(strings.Trim(s[:min(len(s), 63)], "-"))
	return n, err == nil
}

// ours is which of our groups the provider's are; one that is not there is not made.
func (p *Provider) ours(s *control.State, proof Proof) (out []domain.Name) {
	for _, theirs := range proof.Groups {
		n, mapped := p.Groups[theirs]
		if _, there := s.Groups().Find(n); mapped && there {
			out = append(out, n)
		}
	}
	return out
}
