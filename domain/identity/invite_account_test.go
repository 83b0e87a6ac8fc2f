package identity_test

import (
	"errors"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
)

var (
	olga    = domain.Actor{ID: "olga", Roles: []domain.Role{domain.Owner}}
	another = identity.Account{Issuer: account.Issuer, Subject: "00u2"}
)

// act is one thing that somebody did.
type act struct {
	by domain.Actor
	do identity.Command
}

func after(t *testing.T, all ...act) (s identity.State) {
	t.Helper()
	for _, one := range all {
		s, _ = done(t, s, one.by, one.do)
	}
	return s
}

func TestAnOwnerSaysWithWhichAccountSomebodyComes(t *testing.T) {
	invites := func(who domain.Name, a identity.Account) identity.InviteAccount {
		return identity.InviteAccount{Person: who, Account: a}
	}
	links := func(who domain.Name, a identity.Account) act {
		return act{system, identity.Link{Person: who, Account: a}}
	}
	with := func(subject string) identity.Account {
		return identity.Account{Issuer: account.Issuer, Subject: subject}
	}
	key := act{holder, laptop()}
	phone := laptop()
	phone.ID = "phone"
	away := func(by domain.Actor) act { return act{by, identity.Unlink{Person: "carol", Account: account}} }
	for _, tt := range []struct {
		name  string
		given []act
		by    domain.Actor
		when  identity.InviteAccount
		want  string // the event
		err   error
		told  string // code of err
	}{
		{name: "who proved nothing yet", by: owner, when: invites("carol", account), want: "person.identity_invited"},
		{name: "the same twice", given: []act{{owner, invites("carol", account)}}, by: owner, when: invites("carol", account)},
		{name: "another in its place", given: []act{{owner, invites("carol", account)}}, by: olga, when: invites("carol", another), want: "person.identity_invited"},
		{name: "taken back", given: []act{{owner, invites("carol", account)}}, by: olga, when: invites("carol", identity.Account{}), want: "person.identity_uninvited"},
		{name: "nothing taken back", by: owner, when: invites("carol", identity.Account{})},
		{name: "nobody but an owner says so", by: auditor, when: invites("carol", account), told: "role.missing"},
		{name: "not the person", by: carol, when: invites("carol", account), told: "role.missing"},
		{name: "nor a sign-in", by: system, when: invites("carol", account), told: "role.missing"},
		{name: "nor takes it back", given: []act{{owner, invites("carol", account)}}, by: auditor, when: invites("carol", identity.Account{}), told: "role.missing"},
		{name: "an account that is theirs", given: []act{links("carol", account)}, by: owner, when: invites("carol", account)},
		{name: "an account that is another's", given: []act{links("dana", account)}, by: owner, when: invites("carol", account), err: identity.ErrLinked},
		{name: "an account with which another is to come", given: []act{{owner, invites("dana", account)}}, by: owner, when: invites("carol", account), err: identity.ErrLinked},
		{name: "one with which another was to come", given: []act{{owner, invites("dana", account)}, {owner, invites("dana", another)}}, by: owner, when: invites("carol", account), want: "person.identity_invited"},
		{name: "one with which another came to be otherwise", given: []act{{owner, invites("carol", account)}, key}, by: owner, when: invites("dana", account), want: "person.identity_invited"},
		{name: "who has an account", given: []act{links("carol", another)}, by: owner, when: invites("carol", account), err: identity.ErrProved},
		{name: "who has a passkey", given: []act{key}, by: owner, when: invites("carol", account), err: identity.ErrProved},
		{name: "the same, once they came in another way", given: []act{{owner, invites("carol", account)}, key}, by: owner, when: invites("carol", account)},
		{name: "the same, by who took a passkey from them since", given: []act{{owner, invites("carol", account)}, key, {holder, phone}, {owner, identity.RemovePasskey{Person: "carol", ID: laptop().ID}}}, by: owner, when: invites("carol", account)},
		{name: "the same, by who took all they had", given: []act{{owner, invites("carol", account)}, key, {owner, identity.RemovePasskey{Person: "carol", ID: laptop().ID}}}, by: owner, when: invites("carol", account), err: identity.ErrSameHand},
		{name: "another, once they did", given: []act{{owner, invites("carol", account)}, key}, by: owner, when: invites("carol", another), err: identity.ErrProved},
		{name: "who signed in ever", given: []act{{system, identity.SignIn{Person: "carol"}}}, by: owner, when: invites("carol", account), err: identity.ErrProved},
		{name: "an account that was taken from them", given: []act{links("carol", account), away(owner)}, by: olga, when: invites("carol", account), err: identity.ErrUnlinked},
		{name: "that may return", given: []act{links("carol", account), away(owner), {owner, identity.Unlink{Person: "carol", Account: account, MayReturn: true}}}, by: owner, when: invites("carol", account), want: "person.identity_invited"},
		{name: "another, by who took theirs", given: []act{links("carol", account), away(owner)}, by: owner, when: invites("carol", another), err: identity.ErrSameHand},
		{name: "another, by another owner", given: []act{links("carol", account), away(owner)}, by: olga, when: invites("carol", another), want: "person.identity_invited"},
		{name: "another, of who has a passkey still", given: []act{links("carol", account), key, away(owner)}, by: olga, when: invites("carol", another), err: identity.ErrProved},
		{name: "a subject with a space around it", by: owner, when: invites("carol", with("00u1 ")), told: "request.invalid"},
		{name: "one that is empty", by: owner, when: invites("carol", with("")), told: "request.invalid"},
		{name: "one that is too long", by: owner, when: invites("carol", with(strings.Repeat("s", 256))), told: "request.invalid"},
		{name: "one of 255", by: owner, when: invites("carol", with(strings.Repeat("s", 255))), want: "person.identity_invited"},
		{name: "one with a line break", by: owner, when: invites("carol", with("00u1\n")), told: "request.invalid"},
		{name: "one beyond ASCII", by: owner, when: invites("carol", with("00u\u0131")), told: "request.invalid"},
	} {
		facts, err := identity.Decide(after(t, tt.given...), tt.when, domain.Meta{Actor: tt.by, Now: at})
		var got string
		if len(facts) == 1 {
			got = facts[0].Event.EventType()
		}
		var told *domain.Error
		if errors.As(err, &told) && tt.told != "" && told.Code == tt.told {
			err = nil
		}
		if got != tt.want || !errors.Is(err, tt.err) || len(facts) > 1 || tt.told != "" && told == nil {
			t.Errorf("%s: got %q, %v", tt.name, got, err)
		}
	}
}

func TestAnAccountThatIsToBeSomebodysIsSoUntilTheirFirstProof(t *testing.T) {
	s := after(t, act{owner, identity.InviteAccount{Person: "carol", Account: account}})
	before := s.Clone()
	if who, is := s.InvitedAs(account); !is || who != "carol" || s.Proved("carol") || len(s.Accounts("carol")) > 0 {
		t.Errorf("it is to be %q's, %t", who, is)
	}
	for name, then := range map[string]act{
		"a sign-in with it":        {system, identity.Link{Person: "carol", Account: account}},
		"a passkey":                {holder, laptop()},
		"another account":          {owner, identity.InviteAccount{Person: "carol", Account: another}},
		"that it was taken back":   {owner, identity.InviteAccount{Person: "carol"}},
		"that they came otherwise": {system, identity.SignIn{Person: "carol"}},
	} {
		over, _ := done(t, s.Clone(), then.by, then.do)
		if who, is := over.InvitedAs(account); is {
			t.Errorf("after %s it still is to be %q's", name, who)
		}
		if a, is := over.InvitedAccount("carol"); is && a != another {
			t.Errorf("after %s carol is to come with %v", name, a)
		}
	}
	if _, is := before.InvitedAs(account); !is {
		t.Error("a clone was changed")
	}
	if s.Invitations("carol") != 1 || before.Invitations("dana") != 0 {
		t.Error("how often it was said is not known")
	}
}

// What an owner said of somebody unknown does not come back when they lose what they
// proved with later.
func TestAWordIsSpentByAnyProof(t *testing.T) {
	s := after(t, act{system, identity.Link{Person: "carol", Account: account}},
		act{olga, identity.Unlink{Person: "carol", Account: account}}, act{owner, identity.InviteAccount{Person: "carol", Account: another}})
	s, _ = done(t, s, holder, laptop())
	s, _ = done(t, s, holder, identity.RemovePasskey{Person: "carol", ID: laptop().ID})
	if who, is := s.InvitedAs(another); is {
		t.Errorf("it is to be %q's again", who)
	}
	if facts, err := identity.Decide(s, identity.InviteAccount{Person: "carol", Account: another}, domain.Meta{Actor: owner, Now: at}); err != nil || len(facts) != 1 {
		t.Errorf("an owner says so anew: %v, %v", facts, err)
	}
}

// Who said whose an account is, and takes from that person what they sign in with
// before it is used, makes nobody them by it.
func TestAWordCountsNoMoreOnceItsOwnerTookSomething(t *testing.T) {
	s := after(t, act{system, identity.Link{Person: "carol", Account: account}},
		act{olga, identity.Unlink{Person: "carol", Account: account}}, act{owner, identity.InviteAccount{Person: "carol", Account: another}})
	if who, is := s.InvitedAs(another); !is || who != "carol" {
		t.Fatalf("it is to be %q's, %t", who, is)
	}
	s, _ = done(t, s, owner, identity.Unlink{Person: "carol", Account: account, MayReturn: true})
	if _, is := s.InvitedAs(another); is {
		t.Error("one owner alone says whose the account is")
	}
}

func TestALogThatInvitesWhoCannotBeIsNotOurs(t *testing.T) {
	for _, e := range []domain.Event{
		identity.AccountWasInvited{Person: "dana", Account: account}, identity.AccountWasUninvited{Person: "dana", Account: another}, identity.AccountWasUninvited{},
	} {
		if _, err := identity.Evolve(linked(t), domain.Envelope{Event: e}); err == nil {
			t.Errorf("%+v was folded", e)
		}
	}
}
