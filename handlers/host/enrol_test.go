package host_test

import (
	"errors"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/host"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

func TestTheHostMakesALinkForAPerson(t *testing.T) {
	both(t, func(t *testing.T, w *orgtest.World, o operations) {
		from := w.Last()
		e, err := o.Recover(t.Context(), "default", host.RecoveryRequest{Person: "dana"})
		if err != nil || e.Secret == "" || e.Person != "dana" || !e.ExpiresAt.Equal(w.Now().Add(identity.EnrolmentLife)) && e.ExpiresAt.Sub(w.Now()) > identity.EnrolmentLife {
			t.Fatalf("got %+v, %v", e, err)
		}
		if types := w.Types(from); len(types) != 1 || types[0] != "enrolment.created" {
			t.Errorf("recorded are %v: nobody is added, and nothing granted, before it is used", types)
		}
		if made := w.Events()[len(w.Events())-1]; made.Actor != "system:host" {
			t.Errorf("%s made it", made.Actor)
		}
		w.Read(func(s *control.State, _ domain.Head) {
			if found, err := organisation.FindEnrolment(s, e.Secret, w.Now()); err != nil || found != e.ID {
				t.Errorf("the secret opens %q, %v", found, err)
			}
		})
		for request, want := range map[host.RecoveryRequest]error{
			{Person: "host"}: person.ErrReserved, {Person: "a b"}: &domain.Error{Code: "name.invalid"},
		} {
			if _, err := o.Recover(t.Context(), "default", request); !errors.Is(err, want) {
				t.Errorf("%+v: %v", request, err)
			}
		}
		if _, err := o.Recover(t.Context(), "other", host.RecoveryRequest{Person: "dana"}); !errors.Is(err, host.ErrNoOrganisation) {
			t.Errorf("an organisation that is not there: %v", err)
		}
	})
}

func TestWhoIsOwnerThroughAGroupIsOneAsLongAsTheyAre(t *testing.T) {
	w := orgtest.New(t)
	h := host.New(w.Organisation)
	w.Token("dana", domain.Member)
	m := domain.Meta{Actor: domain.Actor{ID: "gone", Roles: []domain.Role{domain.Owner}}, Now: w.Now()}
	for _, c := range []group.Command{
		group.Create{Name: "owners", Spec: group.Spec{Roles: []domain.Role{domain.Owner}}},
		group.AddMember{Group: "owners", Person: "dana", Until: w.Now().Add(time.Hour)},
	} {
		if owned, err := h.Owned("default"); err != nil || owned {
			t.Errorf("nobody is in the group, and there is an owner: %v, %v", owned, err)
		}
		if _, err := w.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) { return group.Decide(s.Groups(), c, m) }); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := h.EnrolFirst(t.Context(), "default"); err != nil || e != (host.Enrolment{}) {
		t.Errorf("there is an owner, and a link: %+v, %v", e, err)
	}
	w.Advance(2 * time.Hour)
	if e, err := h.EnrolFirst(t.Context(), "default"); err != nil || e.Secret == "" {
		t.Errorf("nobody is owner any more, and there is no link: %+v, %v", e, err)
	}
	if _, err := h.EnrolFirst(t.Context(), "other"); !errors.Is(err, host.ErrNoOrganisation) {
		t.Errorf("an organisation that is not there: %v", err)
	}
}
