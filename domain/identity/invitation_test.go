package identity_test

import (
	"errors"
	"strings"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
)

func TestWhoMayBeInvitedByWhom(t *testing.T) {
	const id = "01KASE0000000000000000000A"
	hash := strings.Repeat("0f", 32)
	good := identity.Invite{ID: id, Person: "carol", Hash: hash}
	owner := domain.Actor{ID: "olga", Roles: []domain.Role{domain.Owner}}
	came := domain.Envelope{Type: "passkey.registered", Event: identity.PasskeyWasRegistered{Person: "carol", ID: "AQ", Name: "laptop"}}
	for _, tt := range []struct {
		name  string
		by    domain.Actor
		c     identity.Invite
		since []domain.Envelope
		code  string // "" it is so
	}{
		{"by an owner", owner, good, nil, ""},
		{"by a security admin", domain.Actor{ID: "sam", Roles: []domain.Role{domain.SecurityAdmin}}, good, nil, "role.missing"},
		{"by the host, which makes links for owners", domain.System("host"), good, nil, "role.missing"},
		{"of an id that is no ULID", owner, identity.Invite{ID: strings.ToLower(id), Person: "carol", Hash: hash}, nil, "enrolment.malformed"},
		{"with a secret for its hash", owner, identity.Invite{ID: id, Person: "carol", Hash: "sallyport_x"}, nil, "enrolment.malformed"},
		{"who has a passkey", owner, good, []domain.Envelope{came}, "invitation.proved"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s identity.State
			var err error
			for _, e := range tt.since {
				if s, err = identity.Evolve(s, e); err != nil {
					t.Fatal(err)
				}
			}
			facts, err := identity.Decide(s, tt.c, domain.Meta{Actor: tt.by, Now: noon})
			var told *domain.Error
			if tt.code == "" && (err != nil || len(facts) != 1) || tt.code != "" && (!errors.As(err, &told) || told.Code != tt.code) {
				t.Errorf("got %v, %v, want %q", facts, err, tt.code)
			}
		})
	}
}

func TestAnInvitationEndsWithItsDayAndWithTheFirstProof(t *testing.T) {
	const id = "01KASE0000000000000000000A"
	hash := strings.Repeat("0f", 32)
	until := noon.Add(identity.InvitationLife)
	s, err := identity.Evolve(identity.State{}, domain.Envelope{Type: "person.invited", Event: identity.WasInvited{ID: id, Person: "carol", Hash: hash, ExpiresAt: until}})
	if err != nil {
		t.Fatal(err)
	}
	if who, i, err := s.Invited(hash, until.Add(-1)); err != nil || who != "carol" || i.ID != id {
		t.Errorf("a moment before its end: %q, %+v, %v", who, i, err)
	}
	if _, _, err := s.Invited(hash, until); !errors.Is(err, identity.ErrEnrolment) {
		t.Errorf("at its end: %v", err)
	}
	if _, _, err := s.Invited(strings.Repeat("f0", 32), noon); !errors.Is(err, identity.ErrEnrolment) {
		t.Errorf("another secret: %v", err)
	}
	if s, err = identity.Evolve(s, domain.Envelope{Type: "person.signed_in", Event: identity.WasSignedIn{Person: "carol"}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Invited(hash, noon); !errors.Is(err, identity.ErrEnrolment) {
		t.Errorf("after a sign-in: %v", err)
	}
}
