package identity_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
)

var (
	at     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	holder = domain.Actor{ID: "carol", Roles: []domain.Role{domain.Member}}
	door   = domain.System("sign_in")
)

func laptop() identity.RegisterPasskey {
	return identity.RegisterPasskey{Person: "carol", ID: "AQ", Name: "laptop", PublicKey: "pQ", Counter: 3}
}

// done is the state once the command was decided by somebody.
func done(t *testing.T, s identity.State, by domain.Actor, c identity.Command) (identity.State, domain.Event) {
	t.Helper()
	facts, err := identity.Decide(s, c, domain.Meta{Actor: by, Now: at})
	if err != nil || len(facts) != 1 {
		t.Fatalf("%+v: %v, %v", c, facts, err)
	}
	s, err = identity.Evolve(s, domain.Envelope{Type: facts[0].Event.EventType(), Actor: by.ID, Time: at, Event: facts[0].Event})
	if err != nil {
		t.Fatal(err)
	}
	return s, facts[0].Event
}

func TestAPasskeyIsItsPersonsUntilTheyRemoveIt(t *testing.T) {
	s, _ := done(t, identity.State{}, holder, laptop())
	before := s.Clone()
	if k, ok := s.Passkey("AQ"); !ok || k.Person != "carol" || len(s.Passkeys("carol")) != 1 {
		t.Errorf("got %+v", k)
	}
	s, _ = done(t, s, holder, identity.RemovePasskey{Person: "carol", ID: "AQ"})
	if len(s.Passkeys("carol")) != 0 || len(before.Passkeys("carol")) != 1 {
		t.Error("it is not removed, or from the clone too")
	}
}

func TestAnOwnerRemovesThePasskeyOfALostLaptop(t *testing.T) {
	s, _ := done(t, identity.State{}, holder, laptop())
	s, e := done(t, s, domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner}}, identity.RemovePasskey{Person: "carol", ID: "AQ"})
	if removed, _ := e.(identity.PasskeyWasRemoved); removed.Person != "carol" || len(s.Passkeys("carol")) > 0 {
		t.Errorf("recorded %+v, and carol has %v", e, s.Passkeys("carol"))
	}
}

func TestWhatNoPasskeyIsAndWhoMayNot(t *testing.T) {
	s, _ := done(t, identity.State{}, holder, laptop())
	change := func(f func(*identity.RegisterPasskey)) identity.RegisterPasskey {
		c := laptop()
		c.ID = "Ag"
		f(&c)
		return c
	}
	full := s
	for i := range identity.MaxPasskeys - 1 {
		full, _ = done(t, full.Clone(), holder, change(func(c *identity.RegisterPasskey) { c.ID = fmt.Sprintf("B%d", i) }))
	}
	for _, tt := range []struct {
		name string
		s    identity.State
		by   domain.Actor
		c    identity.Command
		want string
	}{
		{"for somebody else", s, domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner}}, laptop(), "role.missing"},
		{"twice", s, holder, laptop(), "passkey.taken"},
		{"no id", s, holder, change(func(c *identity.RegisterPasskey) { c.ID = "a=" }), "passkey.malformed"},
		{"no key", s, holder, change(func(c *identity.RegisterPasskey) { c.PublicKey = "" }), "passkey.malformed"},
		{"no name", s, holder, change(func(c *identity.RegisterPasskey) { c.Name = " " }), "passkey.name"},
		{"a long name", s, holder, change(func(c *identity.RegisterPasskey) { c.Name = strings.Repeat("x", 61) }), "passkey.name"},
		{"a name that turns the text around", s, holder, change(func(c *identity.RegisterPasskey) { c.Name = "a\u202eb" }), "passkey.name"},
		{"one too many", full, holder, change(func(*identity.RegisterPasskey) {}), "passkey.too_many"},
		{"remove somebody else's", s, domain.Actor{ID: "dana", Roles: []domain.Role{domain.SecurityAdmin}}, identity.RemovePasskey{Person: "carol", ID: "AQ"}, "passkey.not_found"},
		{"remove one by another's name", s, domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner}}, identity.RemovePasskey{Person: "owner", ID: "AQ"}, "passkey.not_found"},
		{"use one that is not there", s, door, identity.UsePasskey{ID: "Ag"}, "passkey.not_found"},
		{"say oneself that one used it", s, holder, identity.UsePasskey{ID: "AQ"}, "role.missing"},
	} {
		_, err := identity.Decide(tt.s, tt.c, domain.Meta{Actor: tt.by, Now: at})
		var told *domain.Error
		if !errors.As(err, &told) || told.Code != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestACounterThatGoesBackIsNoted(t *testing.T) {
	for _, tt := range []struct {
		was, is uint32
		back    bool
	}{{3, 4, false}, {3, 3, true}, {3, 2, true}, {3, 0, true}, {0, 0, false}, {0, 1, false}} {
		c := laptop()
		c.Counter = tt.was
		s, _ := done(t, identity.State{}, holder, c)
		s, e := done(t, s, door, identity.UsePasskey{ID: "AQ", Counter: tt.is})
		if used, _ := e.(identity.PasskeyWasUsed); used.Back != tt.back {
			t.Errorf("from %d to %d: %+v", tt.was, tt.is, used)
		}
		if k, _ := s.Passkey("AQ"); k.Counter != max(tt.was, tt.is) || k.UsedAt.IsZero() {
			t.Errorf("from %d to %d: %+v", tt.was, tt.is, k)
		}
	}
}
