package identity_test

import (
	"errors"
	"slices"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
)

func TestAnAccountThatWasTakenIsNeverItsPersonsByItself(t *testing.T) {
	back := identity.Link{Person: "carol", Account: account}
	unlink := func(mayReturn bool) identity.Unlink {
		return identity.Unlink{Person: "carol", Account: account, MayReturn: mayReturn}
	}
	decide := func(s identity.State, by domain.Actor, c identity.Command) error {
		_, err := identity.Decide(s, c, domain.Meta{Actor: by, Now: at})
		return err
	}
	s, _ := done(t, linked(t), owner, unlink(false))
	if _, known := s.Person(account); known || len(s.Accounts("carol")) > 0 {
		t.Error("the account is still somebody's")
	}
	if err := decide(s, system, back); !errors.Is(err, identity.ErrUnlinked) {
		t.Errorf("a sign-in brings it back: %v", err)
	}
	if facts, err := identity.Decide(s, unlink(false), domain.Meta{Actor: owner, Now: at}); len(facts) > 0 || err != nil {
		t.Errorf("unlinking it twice: %v, %v", facts, err)
	}
	others, _ := done(t, s.Clone(), system, identity.Link{Person: "dana", Account: account})
	if of, _ := others.Person(account); of != "dana" {
		t.Error("it cannot be the person's whose it is")
	}
	if err := decide(others, owner, identity.Unlink{Person: "carol", Account: account, MayReturn: true}); err != nil {
		t.Errorf("letting it return: %v", err)
	}
	again, _ := done(t, s.Clone(), owner, unlink(true))
	if !again.MayReturn(account, "carol") || s.MayReturn(account, "carol") {
		t.Error("it may not return once an owner said so, or already before")
	}
	again, _ = done(t, again, system, back)
	if of, _ := again.Person(account); of != "carol" || len(again.Unlinked("carol")) > 0 {
		t.Errorf("it did not return: %q, %v", of, again.Unlinked("carol"))
	}
	if want := []identity.Unlinked{{Account: account}}; !slices.Equal(s.Unlinked("carol"), want) || s.Unlinked("dana") != nil {
		t.Errorf("carol had %v, dana %v", s.Unlinked("carol"), s.Unlinked("dana"))
	}
}

func TestWhoTakesAnAccountAndFromWhom(t *testing.T) {
	for name, tt := range map[string]struct {
		by   domain.Actor
		c    identity.Unlink
		want string
	}{
		"an owner":                  {owner, identity.Unlink{Person: "carol", Account: account}, ""},
		"an auditor":                {auditor, identity.Unlink{Person: "carol", Account: account}, "role.missing"},
		"whose it is":               {carol, identity.Unlink{Person: "carol", Account: account}, "role.missing"},
		"a sign-in":                 {system, identity.Unlink{Person: "carol", Account: account}, "role.missing"},
		"from another":              {owner, identity.Unlink{Person: "dana", Account: account}, "identity.not_found"},
		"another":                   {owner, identity.Unlink{Person: "carol", Account: identity.Account{Issuer: account.Issuer}}, "identity.not_found"},
		"one that never was theirs": {owner, identity.Unlink{Person: "dana", Account: account, MayReturn: true}, "identity.not_found"},
	} {
		_, err := identity.Decide(linked(t), tt.c, domain.Meta{Actor: tt.by, Now: at})
		var told *domain.Error
		if errors.As(err, &told); (told == nil) != (tt.want == "") || told != nil && told.Code != tt.want {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestItIsKnownWhoTookAnAccount(t *testing.T) {
	s, _ := done(t, linked(t), owner, identity.Unlink{Person: "carol", Account: account})
	before := s.Clone()
	s, _ = done(t, s, domain.Actor{ID: "olga", Roles: []domain.Role{domain.Owner}}, identity.Unlink{Person: "carol", Account: account, MayReturn: true})
	if !s.UnlinkedBy("owner", "carol") || !s.UnlinkedBy("olga", "carol") || s.UnlinkedBy("owner", "dana") || s.UnlinkedBy("carol", "carol") || before.UnlinkedBy("olga", "carol") {
		t.Error("not exactly those who took it are known")
	}
}

func TestALogThatTakesWhatNobodyHadIsNotOurs(t *testing.T) {
	for _, e := range []identity.WasUnlinked{{Person: "dana", Account: account}, {Person: "carol", Account: identity.Account{Issuer: "i"}}} {
		if _, err := identity.Evolve(linked(t), domain.Envelope{Event: e}); err == nil {
			t.Errorf("%+v was folded", e)
		}
	}
}
