package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
)

var (
	noon     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	security = domain.Actor{ID: "security", Roles: []domain.Role{domain.SecurityAdmin}}
)

// spec is a policy that breaks no rule.
func spec() policy.Spec {
	return policy.Spec{
		Principals: policy.Principals{Groups: []domain.Name{"ops"}, Roles: []domain.Name{"backup"}},
		Rules: []policy.Rule{{
			Name: "web", Resource: policy.Selector{Server: "web-1"},
			Privileges: []policy.Privilege{{Type: policy.SSH, Accounts: []domain.Name{"root"}}},
		}},
	}
}

// described is spec in other words.
func described(text string) policy.Spec {
	s := spec()
	s.Description = text
	return s
}

// run gives commands in turn, folds what they lead to, and tells the types of
// the facts and the last refusal.
func run(t *testing.T, s policy.State, by domain.Actor, commands ...policy.Command) (_ policy.State, types []string, err error) {
	t.Helper()
	for _, c := range commands {
		var facts []domain.Fact
		facts, err = policy.Decide(s, c, domain.Meta{Actor: by, Now: noon})
		for _, f := range facts {
			types = append(types, f.Event.EventType())
			var folding error
			if s, folding = policy.Evolve(s, envelope(f.Subject, f.Event)); folding != nil {
				t.Fatalf("what %T led to cannot be folded: %v", c, folding)
			}
		}
	}
	return s, types, err
}

func envelope(subject string, e domain.Event) domain.Envelope {
	return domain.Envelope{Type: e.EventType(), Subject: subject, Event: e, Time: noon, Actor: "security"}
}

func TestTheLifeOfAPolicy(t *testing.T) {
	draft, publish := policy.Draft{Name: "p", Spec: spec()}, policy.Publish{Name: "p", Version: 1}
	edit := policy.Edit{Name: "p", Version: 1, Spec: described("new")}
	for _, tt := range []struct {
		name      string
		commands  []policy.Command
		types     []string
		err       error
		decides   string // description of what is published, "-" where nothing is
		published uint64
	}{
		{"a draft decides nothing", []policy.Command{draft}, []string{"policy.drafted"}, nil, "-", 0},
		{"published it decides", []policy.Command{draft, publish}, []string{"policy.drafted", "policy.published"}, nil, "", 1},
		{"published twice is once", []policy.Command{draft, publish, publish}, []string{"policy.drafted", "policy.published"}, nil, "", 1},
		{"an edit of a published one has no effect", []policy.Command{draft, publish, edit}, []string{"policy.drafted", "policy.published", "policy.edited"}, nil, "", 1},
		{"until it is published, too", []policy.Command{draft, publish, edit, policy.Publish{Name: "p", Version: 2}},
			[]string{"policy.drafted", "policy.published", "policy.edited", "policy.published"}, nil, "new", 2},
		{"the same again is no edit", []policy.Command{draft, policy.Edit{Name: "p", Version: 1, Spec: spec()}}, []string{"policy.drafted"}, nil, "-", 0},
		{"a version that is not there any more is not published", []policy.Command{draft, edit, publish}, []string{"policy.drafted", "policy.edited"}, policy.ErrStale, "-", 0},
		{"nor edited", []policy.Command{draft, edit, edit}, []string{"policy.drafted", "policy.edited"}, policy.ErrStale, "-", 0},
		{"nor unpublished", []policy.Command{draft, publish, edit, policy.Unpublish{Name: "p", Version: 1}}, []string{"policy.drafted", "policy.published", "policy.edited"}, policy.ErrStale, "", 1},
		{"unpublished it decides nothing, pending edits or not", []policy.Command{draft, publish, edit, policy.Unpublish{Name: "p", Version: 2}},
			[]string{"policy.drafted", "policy.published", "policy.edited", "policy.unpublished"}, nil, "-", 0},
		{"and twice is once", []policy.Command{draft, publish, policy.Unpublish{Name: "p", Version: 1}, policy.Unpublish{Name: "p", Version: 1}},
			[]string{"policy.drafted", "policy.published", "policy.unpublished"}, nil, "-", 0},
		{"deleted it decides nothing, published or not", []policy.Command{draft, publish, policy.Remove{Name: "p", Version: 1}},
			[]string{"policy.drafted", "policy.published", "policy.deleted"}, nil, "-", 0},
		{"and is not there", []policy.Command{draft, policy.Remove{Name: "p", Version: 1}, publish}, []string{"policy.drafted", "policy.deleted"}, policy.ErrNotFound, "-", 0},
		{"its name is never given again", []policy.Command{draft, policy.Remove{Name: "p", Version: 1}, draft}, []string{"policy.drafted", "policy.deleted"}, policy.ErrTaken, "-", 0},
		{"a name is given once", []policy.Command{draft, draft}, []string{"policy.drafted"}, policy.ErrTaken, "-", 0},
		{"another's name is not found", []policy.Command{draft, policy.Publish{Name: "q", Version: 1}}, []string{"policy.drafted"}, policy.ErrNotFound, "-", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, types, err := run(t, policy.State{}, security, tt.commands...)
			if diff := cmp.Diff(tt.types, types); diff != "" || !errors.Is(err, tt.err) {
				t.Errorf("refused with %v, want %v; recorded (-want +got):\n%s", err, tt.err, diff)
			}
			decides, version := "-", uint64(0)
			for _, p := range s.Published() {
				decides, version = p.Published.Description, p.PublishedVersion
			}
			if decides != tt.decides || version != tt.published {
				t.Errorf("version %d decides, %q; want %d, %q", version, decides, tt.published, tt.decides)
			}
		})
	}
}

func TestOnlyASecurityAdminWritesPolicies(t *testing.T) {
	s, _, _ := run(t, policy.State{}, security, policy.Draft{Name: "p", Spec: spec()})
	for _, r := range domain.Roles() {
		for _, c := range []policy.Command{
			policy.Draft{Name: "q"}, policy.Edit{Name: "p", Version: 1, Spec: described("x")}, policy.Publish{Name: "p", Version: 1},
			policy.Unpublish{Name: "p", Version: 9}, policy.Remove{Name: "nowhere"},
		} {
			_, err := policy.Decide(s, c, domain.Meta{Actor: domain.Actor{ID: "x", Roles: []domain.Role{r}}})
			if errors.Is(err, policy.ErrRole) != (r != domain.SecurityAdmin) {
				t.Errorf("%s and %T: %v", r, c, err)
			}
		}
	}
}

func TestThereAreAtMostAThousand(t *testing.T) {
	var s policy.State
	for i := range policy.MaxPolicies {
		s, _ = policy.Evolve(s, envelope(fmt.Sprintf("policy/p%d", i), policy.WasDrafted{Spec: spec()}))
	}
	s, _, err := run(t, s, security, policy.Draft{Name: "more", Spec: spec()})
	if !errors.Is(err, policy.ErrTooMany) || len(s.Policies()) != policy.MaxPolicies {
		t.Errorf("there are %d, and one more is answered %v", len(s.Policies()), err)
	}
}

func TestAGroupIsNamedByWhatIsWrittenAndByWhatDecides(t *testing.T) {
	s, _, _ := run(t, policy.State{}, security, policy.Draft{Name: "p", Spec: spec()}, policy.Publish{Name: "p", Version: 1})
	other := spec()
	other.Principals.Groups = []domain.Name{"dba"}
	s, _, _ = run(t, s, security, policy.Edit{Name: "p", Version: 1, Spec: other})
	if !s.Names("ops") || !s.Names("dba") || s.Names("backup") {
		t.Errorf("ops %v, dba %v; a role of no group %v", s.Names("ops"), s.Names("dba"), s.Names("backup"))
	}
	s, _, _ = run(t, s, security, policy.Publish{Name: "p", Version: 2})
	if s.Names("ops") {
		t.Error("nothing names it any more")
	}
	s, _, _ = run(t, s, security, policy.Draft{Name: "another", Spec: other}, policy.Remove{Name: "p", Version: 2})
	if !s.Names("dba") {
		t.Error("the draft still names it")
	}
	if s, _, _ = run(t, s, security, policy.Remove{Name: "another", Version: 1}); s.Names("dba") {
		t.Error("what is deleted names nothing")
	}
}

// What decides is listed by name, and what was read stays as it was read.
func TestWhatDecidesIsListedByName(t *testing.T) {
	var s policy.State
	for _, n := range []domain.Name{"m", "a", "z", "b"} {
		s, _, _ = run(t, s, security, policy.Draft{Name: n, Spec: spec()}, policy.Publish{Name: n, Version: 1})
	}
	before := s.Published()
	s, _, _ = run(t, s, security, policy.Remove{Name: "a", Version: 1}, policy.Edit{Name: "b", Version: 1, Spec: described("x")},
		policy.Publish{Name: "b", Version: 2}, policy.Unpublish{Name: "m", Version: 1})
	list := func(all []policy.Policy) (out string) {
		for _, p := range all {
			out += fmt.Sprintf("%s%d ", p.Name, p.PublishedVersion)
		}
		return strings.TrimSpace(out)
	}
	if got := list(before) + " | " + list(s.Published()); got != "a1 b1 m1 z1 | b2 z1" {
		t.Errorf("got %s", got)
	}
}

// A log that tells what nobody can have decided is not ours.
func TestWhatCannotHaveBeenIsRefused(t *testing.T) {
	s, _, _ := run(t, policy.State{}, security, policy.Draft{Name: "p", Spec: spec()}, policy.Draft{Name: "gone", Spec: spec()}, policy.Remove{Name: "gone", Version: 1})
	for _, tt := range []struct {
		name, subject string
		event         domain.Event
	}{
		{"drafted twice", "policy/p", policy.WasDrafted{Spec: spec()}},
		{"drafted after its end", "policy/gone", policy.WasDrafted{Spec: spec()}},
		{"published before it was drafted", "policy/q", policy.WasPublished{Version: 1}},
		{"published in another version", "policy/p", policy.WasPublished{Version: 2}},
		{"edited past a version", "policy/p", policy.WasEdited{Version: 3, Spec: spec()}},
		{"unpublished without being published", "policy/p", policy.WasUnpublished{Version: 1}},
		{"deleted twice", "policy/gone", policy.WasDeleted{}},
		{"a subject that is no policy", "server/p", policy.WasDeleted{}},
		{"a subject that is no name", "policy/P", policy.WasDrafted{Spec: spec()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := policy.Evolve(s, envelope(tt.subject, tt.event)); err == nil {
				t.Error("it was folded")
			}
		})
	}
}
