package connection_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
)

const (
	ourIssuer = "https://sallyport.example/orgs/acme"
	strict    = "strict"
)

var (
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

	dana   = domain.Actor{ID: "dana", Roles: []domain.Role{domain.DevOpsAdmin}}
	derek  = domain.Actor{ID: "derek", Roles: []domain.Role{domain.DevOpsAdmin}}
	sven   = domain.Actor{ID: "sven", Roles: []domain.Role{domain.SecurityAdmin}}
	sara   = domain.Actor{ID: "sara", Roles: []domain.Role{domain.SecurityAdmin}}
	both   = domain.Actor{ID: "both", Roles: []domain.Role{domain.DevOpsAdmin, domain.SecurityAdmin}}
	owner  = domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner, domain.ResourceAdmin, domain.Auditor, domain.Member}}
	nobody = domain.Actor{ID: "nobody"}
)

func equals(path, value string) claim.Condition {
	return claim.Condition{Claim: claim.Path(path), Operator: claim.Equals, Value: value}
}

// written is a specification without a weakness, as a person writes it.
func written(changes ...func(*connection.Spec)) connection.Spec {
	s := connection.Spec{
		JWKSURL:    "https://ci.example/jwks",
		Conditions: []claim.Condition{equals("iss", "https://ci.example"), equals("aud", ourIssuer), equals("sub", "job")},
	}
	for _, change := range changes {
		change(&s)
	}
	return s
}

// spec is written, completed.
func spec(t testing.TB, changes ...func(*connection.Spec)) connection.Spec {
	t.Helper()
	s, err := connection.Complete(written(changes...), ourIssuer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func described(text string) func(*connection.Spec) {
	return func(s *connection.Spec) { s.Description = text }
}

func weak(s *connection.Spec) {
	s.Conditions = []claim.Condition{{Claim: "sub", Operator: claim.StartsWith, Value: "repo:acme/app"}}
}

// happened is an event and whose doing it was.
type happened struct {
	by    domain.Actor
	event connection.Event
}

// state folds what happened to connection ci, an hour apart from 12:00 on.
func state(given ...happened) connection.State {
	var s connection.State
	for i, g := range given {
		s = connection.Evolve(s, domain.Envelope{
			Subject: "connection/ci", Actor: g.by.ID, Time: noon.Add(time.Duration(i) * time.Hour), Event: g.event,
		})
	}
	return s
}

func decide(s connection.State, by domain.Actor, c connection.Command) ([]connection.Event, error) {
	facts, err := connection.Decide(s, c, domain.Meta{Actor: by, Now: noon})
	var events []connection.Event
	for _, f := range facts {
		events = append(events, f.Event.(connection.Event))
	}
	return events, err
}

func TestCommands(t *testing.T) {
	one, two, three := spec(t), spec(t, described("two")), spec(t, described("three"))
	weakSpec := spec(t, weak)
	drafted := happened{dana, connection.WasDrafted{Spec: one}}
	activated := happened{sven, connection.WasActivated{Version: 1}}
	deactivated := happened{sven, connection.WasDeactivated{}}
	deleted := happened{sven, connection.WasDeleted{}}
	edited := func(by domain.Actor, version uint64, s connection.Spec) happened {
		return happened{by, connection.WasEdited{Version: version, Spec: s}}
	}
	pending := func(by domain.Actor, version uint64, s connection.Spec) happened {
		return happened{by, connection.WasEdited{Version: version, Spec: s, Pending: true}}
	}
	weakDraft := happened{dana, connection.WasDrafted{Spec: weakSpec}}
	invalid := domain.Invalid("request.invalid", "")

	draft := func(s connection.Spec) connection.Draft {
		return connection.Draft{Name: "ci", Spec: s, Issuer: ourIssuer}
	}
	edit := func(version uint64, s connection.Spec) connection.Edit {
		return connection.Edit{Version: version, Spec: s, Issuer: ourIssuer}
	}
	activate := func(version uint64, acknowledge ...string) connection.Activate {
		return connection.Activate{Version: version, Acknowledge: acknowledge, DualControl: strict, Issuer: ourIssuer}
	}
	byRoles := func(version uint64) connection.Activate {
		return connection.Activate{Version: version, DualControl: connection.DualControlRoles, LoosenedBy: owner.ID, Issuer: ourIssuer}
	}
	loosenedBy := func(who domain.Actor) connection.Activate {
		return connection.Activate{Version: 1, DualControl: connection.DualControlRoles, LoosenedBy: who.ID, Issuer: ourIssuer}
	}

	for _, tt := range []struct {
		name  string
		given []happened
		by    domain.Actor
		when  connection.Command
		then  []connection.Event
		err   error
	}{
		{"a devops admin drafts", nil, dana, draft(written()), []connection.Event{connection.WasDrafted{Spec: one}}, nil},
		{"a security admin drafts", nil, sven, draft(written()), []connection.Event{connection.WasDrafted{Spec: one}}, nil},
		{"an owner does not draft", nil, owner, draft(written()), nil, connection.ErrRole},
		{"a taken name is refused", []happened{drafted}, dana, draft(written()), nil, connection.ErrTaken},
		{"a deleted name is refused for good", []happened{drafted, deleted}, dana, draft(written()), nil, connection.ErrTaken},
		{"who lacks the role learns nothing of names", []happened{drafted}, owner, draft(written()), nil, connection.ErrRole},
		{"rules come before the name", []happened{drafted}, dana, draft(connection.Spec{}), nil, invalid},

		{"a draft is replaced", []happened{drafted}, dana, edit(1, written(described("two"))), []connection.Event{connection.WasEdited{Version: 2, Spec: two}}, nil},
		{"another devops admin edits the draft", []happened{drafted}, derek, edit(1, two), []connection.Event{connection.WasEdited{Version: 2, Spec: two}}, nil},
		{"an edit on another version is stale", []happened{drafted, edited(dana, 2, two)}, dana, edit(1, three), nil, connection.ErrStale},
		{"stale comes before the rules", []happened{drafted, edited(dana, 2, two)}, dana, edit(1, connection.Spec{}), nil, connection.ErrStale},
		{"an edit that breaks a rule is refused", []happened{drafted}, dana, edit(1, connection.Spec{}), nil, invalid},
		{"an edit that says the same records nothing", []happened{drafted}, dana, edit(1, written()), nil, nil},
		{"an edit that says the same as the pending version records nothing", []happened{drafted, activated, pending(sven, 2, two)}, sara, edit(2, two), nil, nil},
		{"an edit that goes back to the current version is a version", []happened{drafted, activated, pending(sven, 2, two)}, sara, edit(2, one), []connection.Event{connection.WasEdited{Version: 3, Spec: one, Pending: true}}, nil},
		{"an auditor does not edit", []happened{drafted}, owner, edit(1, two), nil, connection.ErrRole},
		{"what was never drafted is not edited", nil, dana, edit(0, two), nil, connection.ErrNotFound},
		{"what was deleted is not edited", []happened{drafted, deleted}, sven, edit(1, two), nil, connection.ErrNotFound},
		{"the role is missed before the connection", nil, owner, edit(0, two), nil, connection.ErrRole},
		{"an edit of an active connection is pending", []happened{drafted, activated}, sven, edit(1, two), []connection.Event{connection.WasEdited{Version: 2, Spec: two, Pending: true}}, nil},
		{"an edit of an inactive one is pending too", []happened{drafted, activated, deactivated}, sven, edit(1, two), []connection.Event{connection.WasEdited{Version: 2, Spec: two, Pending: true}}, nil},
		{"a devops admin does not edit what is active", []happened{drafted, activated}, dana, edit(1, two), nil, connection.ErrRole},
		{"a devops admin does not edit what was active", []happened{drafted, activated, deactivated}, dana, edit(1, two), nil, connection.ErrRole},

		{"another person activates", []happened{drafted}, sven, activate(1), []connection.Event{connection.WasActivated{Version: 1}}, nil},
		{"a devops admin does not activate", []happened{drafted}, derek, activate(1), nil, connection.ErrRole},
		{"an owner does not activate", []happened{drafted}, owner, activate(1), nil, connection.ErrRole},
		{"the drafter cannot activate, whatever their roles", []happened{{both, connection.WasDrafted{Spec: one}}}, both, activate(1), nil, connection.ErrSamePerson},
		{"who edited the draft cannot activate", []happened{drafted, edited(both, 2, two)}, both, activate(2), nil, connection.ErrSamePerson},
		{"who drafted cannot activate what another edited since", []happened{{both, connection.WasDrafted{Spec: one}}, edited(derek, 2, two)}, both, activate(2), nil, connection.ErrSamePerson},
		{"an unknown setting of dual control is strict", []happened{{both, connection.WasDrafted{Spec: one}}}, both, connection.Activate{Version: 1, Issuer: ourIssuer}, nil, connection.ErrSamePerson},
		{"under roles the drafter may activate", []happened{{both, connection.WasDrafted{Spec: one}}}, both, byRoles(1), []connection.Event{connection.WasActivated{Version: 1}}, nil},
		{"who set roles activates nothing they wrote", []happened{{both, connection.WasDrafted{Spec: one}}}, both, loosenedBy(both), nil, connection.ErrSamePerson},
		{"nor what they wrote a part of", []happened{{both, connection.WasDrafted{Spec: one}}, edited(dana, 2, two)}, both, loosenedBy(both), nil, connection.ErrSamePerson},
		{"who set roles activates what another wrote", []happened{drafted}, both, loosenedBy(both), []connection.Event{connection.WasActivated{Version: 1}}, nil},
		{"under roles the role still decides", []happened{drafted}, dana, byRoles(1), nil, connection.ErrRole},
		{"the reviewed version is not the newest", []happened{drafted, edited(dana, 2, two)}, sven, activate(1), nil, connection.ErrStale},
		{"what was never drafted is not activated", nil, sven, activate(0), nil, connection.ErrNotFound},
		{"what was deleted is not activated", []happened{drafted, deleted}, sven, activate(1), nil, connection.ErrNotFound},
		{"activating twice records once", []happened{drafted, activated}, sven, activate(1), nil, nil},
		{"what was deactivated is activated again, by the same person", []happened{drafted, activated, deactivated}, sven, activate(1), []connection.Event{connection.WasActivated{Version: 1}}, nil},
		{"even its drafter may activate it again: two people saw that version", []happened{{both, connection.WasDrafted{Spec: one}}, activated, deactivated}, both, activate(1), []connection.Event{connection.WasActivated{Version: 1}}, nil},
		{"a pending version needs another person", []happened{drafted, activated, pending(sven, 2, two)}, sven, activate(2), nil, connection.ErrSamePerson},
		{"a pending version is activated by another person", []happened{drafted, activated, pending(sven, 2, two)}, sara, activate(2), []connection.Event{connection.WasActivated{Version: 2}}, nil},
		{"who wrote one of two pending versions cannot activate the other", []happened{drafted, activated, pending(sara, 2, two), pending(sven, 3, three)}, sara, activate(3), nil, connection.ErrSamePerson},
		{"who wrote before the last activation may", []happened{{sara, connection.WasDrafted{Spec: one}}, activated, pending(sven, 2, two)}, sara, activate(2), []connection.Event{connection.WasActivated{Version: 2}}, nil},
		{"a weakness blocks", []happened{weakDraft}, sven, activate(1), nil, connection.ErrBlocked},
		{"one of two weaknesses acknowledged still blocks", []happened{weakDraft}, sven, activate(1, "prefix.open"), nil, connection.ErrBlocked},
		{"acknowledged weaknesses do not block, and are recorded", []happened{weakDraft}, sven, activate(1, "prefix.open", "audience.not_pinned", "prefix.open"),
			[]connection.Event{connection.WasActivated{Version: 1, Acknowledged: []string{"audience.not_pinned", "prefix.open"}}}, nil},
		{"what is acknowledged and not there is not recorded", []happened{drafted}, sven, activate(1, "prefix.open"), []connection.Event{connection.WasActivated{Version: 1}}, nil},
		{"an unknown code is refused", []happened{drafted}, sven, activate(1, "prefix.opened"), nil, invalid},
		{"the same person comes before the codes", []happened{{both, connection.WasDrafted{Spec: weakSpec}}}, both, activate(1, "x"), nil, connection.ErrSamePerson},
		{"an acknowledgement stays with its version", []happened{weakDraft, {sven, connection.WasActivated{Version: 1, Acknowledged: []string{"audience.not_pinned", "prefix.open"}}}, deactivated}, sara, activate(1),
			[]connection.Event{connection.WasActivated{Version: 1, Acknowledged: []string{"audience.not_pinned", "prefix.open"}}}, nil},
		{"an acknowledgement does not pass to the next version", []happened{weakDraft, {sven, connection.WasActivated{Version: 1, Acknowledged: []string{"audience.not_pinned", "prefix.open"}}},
			pending(sven, 2, spec(t, weak, described("two")))}, sara, activate(2), nil, connection.ErrBlocked},

		{"a security admin deactivates", []happened{drafted, activated}, sven, connection.Deactivate{Version: 1}, []connection.Event{connection.WasDeactivated{}}, nil},
		{"the writer may deactivate", []happened{drafted, activated, pending(sven, 2, two)}, sven, connection.Deactivate{Version: 2}, []connection.Event{connection.WasDeactivated{}}, nil},
		{"a devops admin does not deactivate", []happened{drafted, activated}, dana, connection.Deactivate{Version: 1}, nil, connection.ErrRole},
		{"deactivating on another version is stale", []happened{drafted, activated, pending(sven, 2, two)}, sven, connection.Deactivate{Version: 1}, nil, connection.ErrStale},
		{"a draft has nothing to deactivate", []happened{drafted}, sven, connection.Deactivate{Version: 1}, nil, connection.ErrNotActive},
		{"deactivating twice records once", []happened{drafted, activated, deactivated}, sven, connection.Deactivate{Version: 1}, nil, nil},
		{"revoking raises the generation", []happened{drafted, activated}, sven, connection.Deactivate{Version: 1, RevokeTokens: true}, []connection.Event{connection.WasDeactivated{RevokedTokens: true, Generation: 1}}, nil},
		{"revoking on an inactive one raises it all the same", []happened{drafted, activated, {sven, connection.WasDeactivated{RevokedTokens: true, Generation: 1}}}, sven, connection.Deactivate{Version: 1, RevokeTokens: true}, []connection.Event{connection.WasDeactivated{RevokedTokens: true, Generation: 2}}, nil},
		{"deactivating without revoking keeps the generation", []happened{drafted, activated, {sven, connection.WasDeactivated{RevokedTokens: true, Generation: 1}}, activated}, sven, connection.Deactivate{Version: 1}, []connection.Event{connection.WasDeactivated{Generation: 1}}, nil},
		{"what is not there is not deactivated", nil, sven, connection.Deactivate{}, nil, connection.ErrNotFound},
		{"what was deleted is not deactivated", []happened{drafted, deleted}, sven, connection.Deactivate{Version: 1, RevokeTokens: true}, nil, connection.ErrNotFound},

		{"a devops admin deletes a draft", []happened{drafted}, derek, connection.Delete{Version: 1}, []connection.Event{connection.WasDeleted{}}, nil},
		{"a security admin deletes a draft", []happened{drafted}, sven, connection.Delete{Version: 1}, []connection.Event{connection.WasDeleted{}}, nil},
		{"a security admin deletes what is inactive", []happened{drafted, activated, deactivated}, sven, connection.Delete{Version: 1}, []connection.Event{connection.WasDeleted{}}, nil},
		{"what is active is not deleted", []happened{drafted, activated}, sven, connection.Delete{Version: 1}, nil, connection.ErrActive},
		{"a devops admin does not delete what was active", []happened{drafted, activated, deactivated}, dana, connection.Delete{Version: 1}, nil, connection.ErrRole},
		{"a member does not delete", []happened{drafted}, nobody, connection.Delete{Version: 1}, nil, connection.ErrRole},
		{"deleting another version is stale", []happened{drafted}, dana, connection.Delete{Version: 2}, nil, connection.ErrStale},
		{"deleting twice finds nothing", []happened{drafted, deleted}, dana, connection.Delete{Version: 1}, nil, connection.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decide(state(tt.given...), tt.by, tt.when)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.then, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	s := spec(t, weak)
	weakDraft := happened{dana, connection.WasDrafted{Spec: s}}
	for _, tt := range []struct {
		name  string
		given []happened
		by    domain.Actor
		when  connection.Command
		want  []string // in the sentence
		kind  domain.Kind
	}{
		{"who drafts", nil, nobody, connection.Draft{}, []string{"devops_admin", "security_admin"}, domain.KindForbidden},
		{"who activates", []happened{weakDraft}, dana, connection.Activate{Version: 1}, []string{"security_admin", "activates"}, domain.KindForbidden},
		{"who set roles", []happened{{both, connection.WasDrafted{Spec: s}}}, both, connection.Activate{Version: 1, DualControl: "roles", LoosenedBy: both.ID}, []string{"You set dual control to roles", "another security_admin"}, domain.KindForbidden},
		{"who deactivates", []happened{weakDraft}, dana, connection.Deactivate{Version: 1}, []string{"security_admin", "deactivates"}, domain.KindForbidden},
		{"who edits later", []happened{weakDraft, {sven, connection.WasActivated{Version: 1}}}, dana, connection.Edit{Version: 1}, []string{"activated once", "security_admin"}, domain.KindForbidden},
		{"deleted names", []happened{weakDraft, {sven, connection.WasDeleted{}}}, dana, connection.Draft{Spec: s}, []string{"deleted", "never given again"}, domain.KindConflict},
		{"what blocks", []happened{weakDraft}, sven, connection.Activate{Version: 1}, []string{"audience.not_pinned", "prefix.open"}, domain.KindInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decide(state(tt.given...), tt.by, tt.when)
			var e *domain.Error
			if !errors.As(err, &e) || e.Kind != tt.kind {
				t.Fatalf("got %v, want an error of kind %d", err, tt.kind)
			}
			for _, word := range tt.want {
				if !strings.Contains(e.Message, word) {
					t.Errorf("got %q, want %q in it", e.Message, word)
				}
			}
		})
	}
	t.Run("what blocks, field by field", func(t *testing.T) {
		_, err := decide(state(weakDraft), sven, connection.Activate{Version: 1, Acknowledge: []string{"prefix.open"}})
		var e *domain.Error
		if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Code != connection.AudienceNotPinned {
			t.Errorf("got %+v, want audience.not_pinned alone", e)
		}
	})
}

func TestMayWrite(t *testing.T) {
	draft := happened{dana, connection.WasDrafted{Spec: spec(t)}}
	active := happened{sven, connection.WasActivated{Version: 1}}
	for _, tt := range []struct {
		name  string
		given []happened
		by    domain.Actor
		want  error
	}{
		{"a devops admin, a draft", []happened{draft}, derek, nil},
		{"a security admin, a draft", []happened{draft}, sven, nil},
		{"a devops admin, once activated", []happened{draft, active}, dana, connection.ErrRole},
		{"a devops admin, inactive", []happened{draft, active, {sven, connection.WasDeactivated{}}}, dana, connection.ErrRole},
		{"a security admin, once activated", []happened{draft, active}, sven, nil},
		{"an owner", []happened{draft}, owner, connection.ErrRole},
		{"nothing there", nil, dana, connection.ErrNotFound},
		{"deleted", []happened{draft, {sven, connection.WasDeleted{}}}, sven, connection.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := connection.MayWrite(state(tt.given...), tt.by); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestEvolve(t *testing.T) {
	one, two, three := spec(t), spec(t, described("two")), spec(t, described("three"))
	s := state(
		happened{dana, connection.WasDrafted{Spec: one}},
		happened{derek, connection.WasEdited{Version: 2, Spec: two}},
		happened{dana, connection.WasEdited{Version: 3, Spec: one}},
	)
	want := connection.State{Name: "ci", Status: connection.Drafted, Version: 3, Current: one, Writers: []string{"dana", "derek"},
		CreatedAt: noon, CreatedBy: "dana", UpdatedAt: noon.Add(2 * time.Hour), UpdatedBy: "dana"}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Fatalf("a draft: %s", diff)
	}
	if s.CurrentVersion() != 3 || !s.Newest().Equal(one) {
		t.Errorf("a draft's current version is its newest: got %d", s.CurrentVersion())
	}

	s = state(
		happened{dana, connection.WasDrafted{Spec: one}},
		happened{sven, connection.WasActivated{Version: 1, Acknowledged: []string{"prefix.open"}}},
		happened{sara, connection.WasEdited{Version: 2, Spec: two, Pending: true}},
		happened{sven, connection.WasEdited{Version: 3, Spec: three, Pending: true}},
	)
	want = connection.State{Name: "ci", Status: connection.Active, Version: 3, ActiveVersion: 1, EverActivated: true,
		Current: one, Pending: &three, Writers: []string{"sara", "sven"}, Acknowledged: []string{"prefix.open"},
		CreatedAt: noon, CreatedBy: "dana", UpdatedAt: noon.Add(3 * time.Hour), UpdatedBy: "sven", ActivatedAt: noon.Add(time.Hour), ActivatedBy: "sven"}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Fatalf("an active connection decides by what was activated: %s", diff)
	}
	if s.CurrentVersion() != 1 || !s.Newest().Equal(three) {
		t.Errorf("got current version %d, want 1; newest is the pending one", s.CurrentVersion())
	}

	before := s
	s = connection.Evolve(s, domain.Envelope{Actor: "both", Time: noon, Event: connection.WasActivated{Version: 3}})
	if s.Pending != nil || s.Writers != nil || s.ActiveVersion != 3 || s.Version != 3 || !s.Current.Equal(three) || s.Acknowledged != nil {
		t.Errorf("a pending version was activated: got %+v", s)
	}
	if diff := cmp.Diff(want, before); diff != "" {
		t.Errorf("the state before has changed: %s", diff)
	}

	s = connection.Evolve(s, domain.Envelope{Actor: "sven", Time: noon, Event: connection.WasDeactivated{RevokedTokens: true, Generation: 4}})
	if s.Status != connection.Inactive || s.Generation != 4 || s.Version != 3 {
		t.Errorf("deactivated: got %+v", s)
	}
	s = connection.Evolve(s, domain.Envelope{Actor: "sven", Time: noon, Event: connection.WasDeleted{}})
	if s.Status != connection.Deleted || s.Name != "ci" || s.Generation != 4 || s.Current.Conditions != nil {
		t.Errorf("deleted: got %+v", s)
	}
}

func TestEvolveSharesNoWriters(t *testing.T) {
	s := state(happened{dana, connection.WasDrafted{Spec: spec(t)}})
	s.Writers = append(make([]string, 0, 8), s.Writers...) // room that a careless append would write into
	edit := func(by string) connection.State {
		return connection.Evolve(s, domain.Envelope{Actor: by, Event: connection.WasEdited{Version: 2}})
	}
	a, b := edit("derek"), edit("sven")
	if a.Wrote("sven") || b.Wrote("derek") {
		t.Errorf("two futures of one state share their writers: %v, %v", a.Writers, b.Writers)
	}
}

func TestFactsNameTheConnectionAndTheActor(t *testing.T) {
	facts, err := connection.Decide(connection.State{}, connection.Draft{Name: "ci", Spec: written()}, domain.Meta{Actor: dana, Now: noon})
	if err != nil || len(facts) != 1 || facts[0].Subject != "connection/ci" || facts[0].Actor != "" {
		t.Errorf("a draft: got %+v, %v", facts, err)
	}
	s := state(happened{dana, connection.WasDrafted{Spec: spec(t)}}, happened{sven, connection.WasActivated{Version: 1}})
	facts, err = connection.Decide(s, connection.ObserveKeys{Version: 1, KeyIDs: []string{"a"}}, domain.Meta{Actor: sven, Now: noon})
	if err != nil || len(facts) != 1 || facts[0].Subject != "connection/ci" || facts[0].Actor != "system:keys" {
		t.Errorf("keys: got %+v, %v", facts, err)
	}
}
