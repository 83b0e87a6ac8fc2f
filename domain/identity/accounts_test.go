package identity_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
)

var (
	noon    = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	system  = domain.System("sign_in")
	owner   = domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner}}
	carol   = domain.Actor{ID: "carol", Roles: []domain.Role{domain.Member}}
	auditor = domain.Actor{ID: "auditor", Roles: []domain.Role{domain.Auditor}}
	account = identity.Account{Issuer: "https://login.example.com", Subject: "00u1"}
)

// linked is a state in which the account is carol's.
func linked(t *testing.T) identity.State {
	t.Helper()
	s, err := identity.Evolve(identity.State{}, domain.Envelope{Event: identity.WasLinked{Person: "carol", Account: account}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhoSaysWhoSomebodyIs(t *testing.T) {
	other := identity.Account{Issuer: "https://other.example.com", Subject: account.Subject}
	role := &domain.Error{Code: "role.missing"}
	for _, tt := range []struct {
		name string
		by   domain.Actor
		when identity.Command
		want int // facts
		err  error
	}{
		{"a sign-in links a new account", system, identity.Link{Person: "dana", Account: identity.Account{Issuer: account.Issuer, Subject: "00u2"}}, 1, nil},
		{"another of the same person", system, identity.Link{Person: "carol", Account: identity.Account{Issuer: account.Issuer, Subject: "00u2"}}, 1, nil},
		{"the same once", system, identity.Link{Person: "carol", Account: account}, 0, nil},
		{"the same subject of another issuer is another account", system, identity.Link{Person: "dana", Account: other}, 1, nil},
		{"an account is nobody else's", system, identity.Link{Person: "dana", Account: account}, 0, identity.ErrLinked},
		{"nobody links by saying so", owner, identity.Link{Person: "dana", Account: other}, 0, role},
		{"not their own either", carol, identity.Link{Person: "carol", Account: other}, 0, role},
		{"a sign-in is recorded", system, identity.SignIn{Person: "carol", Method: "oidc"}, 1, nil},
		{"and not by people", owner, identity.SignIn{Person: "carol", Method: "oidc"}, 0, role},
		{"a refusal is recorded", system, identity.Refuse{Code: "sign_in.unknown"}, 1, nil},
		{"and not by people", carol, identity.Refuse{Code: "sign_in.unknown"}, 0, role},
		{"people sign out", carol, identity.SignOut{Person: "carol"}, 1, nil},
		{"an owner signs them out", owner, identity.SignOut{Person: "carol"}, 1, nil},
		{"so does Sallyport", system, identity.SignOut{Person: "carol"}, 1, nil},
		{"nobody else does", auditor, identity.SignOut{Person: "carol"}, 0, role},
	} {
		facts, err := identity.Decide(linked(t), tt.when, domain.Meta{Actor: tt.by, Now: noon})
		if len(facts) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %v, %v, want %d facts, %v", tt.name, facts, err, tt.want, tt.err)
		}
	}
}

func TestASignInIsWhoSignedIn(t *testing.T) {
	facts, err := identity.Decide(identity.State{}, identity.SignIn{Person: "carol", Method: "oidc", Session: "0123456789abcdef"}, domain.Meta{Actor: system, Now: noon})
	if err != nil || facts[0].Actor != "carol" || facts[0].Subject != "person/carol" {
		t.Errorf("got %+v, %v", facts, err)
	}
}

func TestAccountsAreKnownByIssuerAndSubject(t *testing.T) {
	s := linked(t)
	if who, ok := s.Person(account); !ok || who != "carol" {
		t.Errorf("it is %q's, %v", who, ok)
	}
	if _, ok := s.Person(identity.Account{Subject: account.Subject}); ok {
		t.Error("a subject without its issuer is somebody")
	}
	if got := s.Accounts("carol"); !slices.Equal(got, []identity.Account{account}) || s.Accounts("dana") != nil {
		t.Errorf("carol has %v, dana %v", got, s.Accounts("dana"))
	}
	was := s.Clone()
	if _, err := identity.Evolve(s, domain.Envelope{Event: identity.WasLinked{Person: "dana", Account: identity.Account{Issuer: "i", Subject: "s"}}}); err != nil {
		t.Fatal(err)
	}
	if len(was.Accounts("dana")) > 0 {
		t.Error("a clone changed with what it was made of")
	}
}

func TestALogThatLinksAnAccountTwiceIsNotOurs(t *testing.T) {
	if _, err := identity.Evolve(linked(t), domain.Envelope{Event: identity.WasLinked{Person: "dana", Account: account}}); err == nil {
		t.Error("an account was given to another")
	}
	if _, err := identity.Evolve(linked(t), domain.Envelope{Type: "x"}); err == nil {
		t.Error("an event of another noun was folded")
	}
}
