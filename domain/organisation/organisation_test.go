package organisation_test

import (
	"errors"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/organisation"
)

const issuer = "https://sallyport.example/orgs/default"

var (
	noon  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	host  = domain.System("host")
	owner = domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner}}
	admin = domain.Actor{ID: "security", Roles: []domain.Role{domain.SecurityAdmin, domain.DevOpsAdmin}}
)

func fold(t testing.TB, es ...domain.Event) organisation.State {
	t.Helper()
	var s organisation.State
	for _, e := range es {
		var err error
		if s, err = organisation.Evolve(s, domain.Envelope{Time: noon, Actor: "owner", Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestCommands(t *testing.T) {
	created := organisation.WasCreated{Name: "default", Issuer: issuer, DualControl: organisation.Strict}
	begun := []domain.Event{created}
	relaxed := organisation.DualControlWasChanged{From: organisation.Strict, To: organisation.Roles}
	for _, tt := range []struct {
		name  string
		given []domain.Event
		by    domain.Actor
		when  organisation.Command
		want  domain.Event
		err   error
	}{
		{"the host creates it, with dual control strict", nil, host, organisation.Create{"default", issuer}, created, nil},
		{"no person creates it", nil, owner, organisation.Create{"default", issuer}, nil, organisation.ErrRole},
		{"creating it again is nothing", begun, host, organisation.Create{"default", issuer}, nil, nil},
		{"a log is of one organisation", begun, host, organisation.Create{"other", issuer}, nil, organisation.ErrTaken},
		{"an issuer never changes", begun, host, organisation.Create{"default", issuer + "2"}, nil, organisation.ErrTaken},
		{"an issuer has no trailing slash", nil, host, organisation.Create{"default", issuer + "/"}, nil, organisation.ErrInvalid},
		{"an issuer has no query", nil, host, organisation.Create{"default", issuer + "?a=b"}, nil, organisation.ErrInvalid},
		{"an issuer is absolute", nil, host, organisation.Create{"default", "/orgs/default"}, nil, organisation.ErrInvalid},

		{"an owner relaxes dual control", begun, owner, organisation.SetDualControl{1, organisation.Roles}, relaxed, nil},
		{"who would gain from it does not", begun, admin, organisation.SetDualControl{1, organisation.Roles}, nil, organisation.ErrRole},
		{"neither does the host: it is nobody's word", begun, host, organisation.SetDualControl{1, organisation.Roles}, nil, organisation.ErrRole},
		{"what is already so is nothing", begun, owner, organisation.SetDualControl{1, organisation.Strict}, nil, nil},
		{"an old version is stale", append(begun[:1:1], relaxed), owner, organisation.SetDualControl{1, organisation.Strict}, nil, organisation.ErrStale},
		{"no version is stale", begun, owner, organisation.SetDualControl{0, organisation.Roles}, nil, organisation.ErrStale},
		{"a third way is refused", begun, owner, organisation.SetDualControl{1, "off"}, nil, organisation.ErrInvalid},
		{"what is not there is not set", nil, owner, organisation.SetDualControl{0, organisation.Roles}, nil, organisation.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs, err := organisation.Decide(fold(t, tt.given...), tt.when, domain.Meta{Actor: tt.by, Now: noon})
			var got domain.Event
			if len(fs) == 1 {
				got = fs[0].Event
				if fs[0].Subject != "organisation/default" {
					t.Errorf("it is about %q", fs[0].Subject)
				}
			}
			if !errors.Is(err, tt.err) || got != tt.want || len(fs) > 1 {
				t.Errorf("got %v, %v, want %v, %v", fs, err, tt.want, tt.err)
			}
		})
	}
}

func TestASettingCountsTheVersion(t *testing.T) {
	s := fold(t, organisation.WasCreated{Name: "default", Issuer: issuer, DualControl: organisation.Strict},
		organisation.DualControlWasChanged{From: organisation.Strict, To: organisation.Roles})
	if s.Version != 2 || s.DualControl != organisation.Roles || s.UpdatedBy != "owner" {
		t.Errorf("got %+v", s)
	}
}

func TestAnImpossibleEventDoesNotFold(t *testing.T) {
	begun := fold(t, organisation.WasCreated{Name: "default", Issuer: issuer, DualControl: organisation.Strict})
	for _, e := range []domain.Event{
		organisation.WasCreated{Name: "default"}, organisation.DualControlWasChanged{From: organisation.Roles, To: organisation.Strict}, nil,
	} {
		if _, err := organisation.Evolve(begun, domain.Envelope{Event: e}); err == nil {
			t.Errorf("%#v folded", e)
		}
	}
}
