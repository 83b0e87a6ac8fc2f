package person_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
)

func TestWhoLogsInBearsWhatTheyBear(t *testing.T) {
	s, proved := given(t), noon.Add(-time.Minute)
	c := person.LogIn{ID: id2, Person: "devops", Lent: roles(domain.Auditor), Hash: hash2, MFAAt: proved}
	facts, err := person.Decide(s, c, domain.Meta{Actor: devops, Now: noon})
	if err != nil || len(facts) != 1 {
		t.Fatalf("got %v, %v", facts, err)
	}
	e, _ := facts[0].Event.(person.TokenWasCreated)
	if !slices.Equal(e.Roles, roles(domain.DevOpsAdmin, domain.SecurityAdmin, domain.Auditor)) || !e.ExpiresAt.Equal(noon.Add(8*time.Hour)) {
		t.Errorf("got %+v", e)
	}
	s, err = person.Evolve(s, domain.Envelope{Type: e.EventType(), Time: noon, Actor: "devops", Event: e})
	if err != nil {
		t.Fatal(err)
	}
	if tok, known := s.TokenOf(hash2); !known || !tok.MFAAt.Equal(proved) {
		t.Errorf("the token is %+v, %t", tok, known)
	}
	a, err := s.Authenticate(hash2, noon, nil) // no group lends the role any more
	if err != nil || !slices.Equal(a.Roles, roles(domain.DevOpsAdmin, domain.SecurityAdmin)) {
		t.Errorf("the token speaks for %+v, %v", a, err)
	}
}

func TestNobodyLogsInAsSomebodyElse(t *testing.T) {
	for _, tt := range []struct {
		name string
		by   domain.Actor
		c    person.LogIn
		want error
	}{
		{"an owner", owner, person.LogIn{ID: id2, Person: "devops", Hash: hash2}, person.ErrRole},
		{"the host", host, person.LogIn{ID: id2, Person: "devops", Hash: hash2}, person.ErrRole},
		{"a stranger", domain.Actor{ID: "mallory"}, person.LogIn{ID: id2, Person: "mallory", Hash: hash2}, person.ErrNotFound},
		{"an id that is none", devops, person.LogIn{ID: "1", Person: "devops", Hash: hash2}, person.ErrTokenForm},
		{"a hash that is none", devops, person.LogIn{ID: id2, Person: "devops", Hash: "x"}, person.ErrTokenForm},
		{"the hash of another token", devops, person.LogIn{ID: id2, Person: "devops", Hash: hash1}, person.ErrTokenTaken},
	} {
		if _, err := person.Decide(given(t), tt.c, domain.Meta{Actor: tt.by, Now: noon}); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}
