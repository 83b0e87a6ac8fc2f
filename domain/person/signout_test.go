package person_test

import (
	"errors"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
)

// letIn is people of whom devops let two programs in, and was signed out between.
func letIn(t testing.TB, kept string) person.State {
	t.Helper()
	s := given(t)
	for i, e := range []domain.Event{
		person.TokenWasCreated{ID: id2, Person: "devops", Roles: roles(domain.DevOpsAdmin), Hash: hash2, ExpiresAt: noon.Add(person.LoginTTL), Source: "192.0.2.7"},
		person.WasSignedOutEverywhere{Person: "devops", Kept: kept},
		person.TokenWasCreated{ID: id3, Person: "devops", Roles: roles(domain.DevOpsAdmin), Hash: hash3, ExpiresAt: noon.Add(person.LoginTTL)},
	} {
		var err error
		if s, err = person.Evolve(s, domain.Envelope{Time: noon, Actor: "devops", Event: e, Position: domain.Position{Sequence: uint64(10 + i)}}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestSigningOutEverywhereEndsWhatBeganBefore(t *testing.T) {
	at := func(sequence uint64) domain.Position { return domain.Position{Sequence: sequence} }
	s := letIn(t, "kept")
	for _, tt := range []struct {
		name    string
		who     domain.Name
		session string
		began   domain.Position
		want    bool
	}{
		{"a session that began before", "devops", "a", at(10), true},
		{"a session whose beginning is not known", "devops", "a", domain.Position{}, true},
		{"a session that began with it", "devops", "a", at(11), true},
		{"a session that began after", "devops", "a", at(12), false},
		{"the one that is kept", "devops", "kept", at(10), false},
		{"one of somebody else", "owner", "a", at(10), false},
	} {
		if got := s.SignedOut(tt.who, tt.session, tt.began); got != tt.want {
			t.Errorf("%s: signed out is %t", tt.name, got)
		}
	}
	if !letIn(t, "").SignedOut("devops", "", at(10)) {
		t.Error("where none is kept, one without an id is")
	}
}

func TestSigningOutEverywhereEndsProgramsThatWereLetIn(t *testing.T) {
	s := letIn(t, "kept")
	for _, tt := range []struct {
		name, hash string
		want       error
	}{
		{"one that was made on the host", hash1, nil},
		{"one that they let in before", hash2, person.ErrTokenRevoked},
		{"one that they let in after", hash3, nil},
	} {
		if _, err := s.Authenticate(tt.hash, noon, nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if made, _ := s.Token(id2); made.Source != "192.0.2.7" || made.RevokedBy != "devops" {
		t.Errorf("got %+v", made)
	}
}

// Whose session was ended while they asked for it to go on keep nothing.
func TestWhatWasEndedIsNotKept(t *testing.T) {
	s, m := letIn(t, "kept"), domain.Meta{Actor: devops, Now: noon}
	before, after := domain.Position{Sequence: 10}, domain.Position{Sequence: 12}
	for _, tt := range []struct {
		name string
		c    person.SignOutEverywhere
		want error
	}{
		{"one that was ended", person.SignOutEverywhere{Person: "devops", Kept: "a", Began: before}, person.ErrEnded},
		{"one that began since", person.SignOutEverywhere{Person: "devops", Kept: "a", Began: after}, nil},
		{"the one that was kept before", person.SignOutEverywhere{Person: "devops", Kept: "kept", Began: before}, nil},
	} {
		if _, err := person.Decide(s, tt.c, m); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestWhoSignsOutWhom(t *testing.T) {
	for _, tt := range []struct {
		name string
		by   domain.Actor
		c    person.SignOutEverywhere
		want error
	}{
		{"themself", devops, person.SignOutEverywhere{Person: "devops"}, nil},
		{"themself, but here", devops, person.SignOutEverywhere{Person: "devops", Kept: "here"}, nil},
		{"an owner", owner, person.SignOutEverywhere{Person: "devops"}, nil},
		{"an owner who keeps a session of another", owner, person.SignOutEverywhere{Person: "devops", Kept: "theirs"}, person.ErrRole},
		{"somebody else", devops, person.SignOutEverywhere{Person: "owner"}, person.ErrRole},
		{"an owner, nobody", owner, person.SignOutEverywhere{Person: "nobody"}, person.ErrNotFound},
	} {
		facts, err := person.Decide(given(t), tt.c, domain.Meta{Actor: tt.by, Now: noon})
		if !errors.Is(err, tt.want) || (err == nil) != (len(facts) == 1) {
			t.Errorf("%s: %v, %v, want %v", tt.name, facts, err, tt.want)
		}
	}
}
