package organisation_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
)

const link = "01KASE0000000000000000000A"

// stated is a state with an enrolment of that person, made at noon with the secret
// "s", and what was recorded since, a minute after another.
func stated(t *testing.T, e identity.EnrolmentWasCreated, more ...domain.Event) *control.Projection {
	t.Helper()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	e.ID, e.Hash, e.ExpiresAt = link, person.HashToken("s"), noon.Add(identity.EnrolmentLife)
	p := control.New()
	for i, event := range append([]domain.Event{e}, more...) {
		at := noon.Add(time.Duration(i) * time.Minute)
		if err := p.Apply([]domain.Commit{{Sequence: uint64(i + 1), Control: true, StoredAt: at, Events: []domain.Envelope{
			{Type: event.EventType(), Actor: "system:host", Time: at, Event: event, Position: domain.Position{Sequence: uint64(i + 1)}},
		}}}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestWhoComesOfAnEnrolment(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	key := identity.RegisterPasskey{Person: "dana", ID: "AQ", Name: "laptop", PublicKey: "pQ"}
	dana := person.WasAdded{Name: "dana", Roles: []domain.Role{domain.Auditor}}
	late := make([]domain.Event, 16) // the last of them when the link is over
	for i := range late {
		late[i] = identity.WasRefused{Code: "sign_in.unknown"}
	}
	for _, tt := range []struct {
		name  string
		made  identity.EnrolmentWasCreated
		since []domain.Event
		want  []string
		err   error
	}{
		{"a first owner", identity.EnrolmentWasCreated{}, nil, []string{"person.added", "enrolment.used", "passkey.registered"}, nil},
		{"somebody new", identity.EnrolmentWasCreated{Person: "dana"}, nil, []string{"person.added", "enrolment.used", "passkey.registered"}, nil},
		{"somebody known", identity.EnrolmentWasCreated{Person: "dana"}, []domain.Event{dana}, []string{"person.role_granted", "enrolment.used", "passkey.registered"}, nil},
		{"an owner", identity.EnrolmentWasCreated{Person: "dana"}, []domain.Event{dana, person.RoleWasGranted{Name: "dana", Role: domain.Owner}}, []string{"enrolment.used", "passkey.registered"}, nil},
		{"a first owner by the name of another", identity.EnrolmentWasCreated{}, []domain.Event{dana}, nil, person.ErrTaken},
		{"a first owner by the name of who was removed", identity.EnrolmentWasCreated{}, []domain.Event{dana, person.WasRemoved{Name: "dana"}}, nil, person.ErrTaken},
		{"somebody who was removed meanwhile", identity.EnrolmentWasCreated{Person: "dana"}, []domain.Event{dana, person.WasRemoved{Name: "dana"}}, nil, person.ErrTaken},
		{"somebody else", identity.EnrolmentWasCreated{Person: "sam"}, nil, nil, identity.ErrEnrolment},
		{"a first owner of who has one", identity.EnrolmentWasCreated{}, []domain.Event{person.WasAdded{Name: "olga", Roles: []domain.Role{domain.Owner}}}, nil, identity.ErrEnrolment},
		{"somebody with a passkey that is another's", identity.EnrolmentWasCreated{}, []domain.Event{identity.PasskeyWasRegistered{Person: "sam", ID: "AQ"}}, nil, identity.ErrPasskeyTaken},
		{"somebody by a clock that was put back", identity.EnrolmentWasCreated{}, late, nil, identity.ErrEnrolment},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stated(t, tt.made, tt.since...).Read(func(s *control.State, _ domain.Head) {
				facts, err := organisation.Enrolled(s, link, "dana", key, domain.Meta{Actor: domain.System("sign_in"), Now: noon.Add(time.Minute)})
				var got []string
				for _, f := range facts {
					got = append(got, f.Event.EventType())
				}
				if !errors.Is(err, tt.err) || err == nil && !slices.Equal(got, tt.want) {
					t.Errorf("got %v, %v, want %v, %v", got, err, tt.want, tt.err)
				}
				id, err := organisation.FindEnrolment(s, "s", noon.Add(time.Minute))
				if over := errors.Is(tt.err, identity.ErrEnrolment) && tt.made.Person == ""; over != errors.Is(err, identity.ErrEnrolment) || !over && id != link {
					t.Errorf("the secret opens %q, %v", id, err)
				}
			})
		})
	}
}
