package group_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
)

var (
	noon     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	owner    = domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner}}
	security = domain.Actor{ID: "security", Roles: []domain.Role{domain.SecurityAdmin}}
	resource = domain.Actor{ID: "resource", Roles: []domain.Role{domain.ResourceAdmin}}
	alice    = domain.Actor{ID: "alice", Roles: []domain.Role{domain.Member}}
	clock    = domain.System("clock")
)

func fold(t testing.TB, s group.State, by string, at time.Time, es ...domain.Event) group.State {
	t.Helper()
	for _, e := range es {
		var err error
		if s, err = group.Evolve(s, domain.Envelope{Type: e.EventType(), Time: at, Actor: by, Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// given is a plain group, one that lends roles, and who is in them.
func given(t testing.TB, more ...domain.Event) group.State {
	t.Helper()
	return fold(t, group.State{}, "owner", noon.Add(-time.Hour), append([]domain.Event{
		group.WasCreated{Name: "plain", Spec: group.Spec{Description: "All"}},
		group.WasCreated{Name: "admins", Spec: group.Spec{Roles: []domain.Role{domain.SecurityAdmin, domain.ResourceAdmin}}},
		group.WasCreated{Name: "old"}, group.WasDeleted{Name: "old"},
		group.MemberWasAdded{Group: "plain", Person: "carol", Source: group.Local},
		group.MemberWasAdded{Group: "plain", Person: "owner", Source: group.Local},
		group.MemberWasAdded{Group: "admins", Person: "dana", Until: noon.Add(time.Hour), Source: group.Local},
		group.MemberWasAdded{Group: "admins", Person: "erin", Until: noon, Source: group.Local},
		group.MemberWasAdded{Group: "admins", Person: "owner2", Source: group.Local},
	}, more...)...)
}

func TestCommands(t *testing.T) {
	roles := func(rs ...domain.Role) group.Spec { return group.Spec{Roles: rs} }
	text := func(s string) group.Spec { return group.Spec{Description: s} }
	add := func(g, p domain.Name, more ...func(*group.AddMember)) group.AddMember {
		c := group.AddMember{Group: g, Person: p}
		for _, f := range more {
			f(&c)
		}
		return c
	}
	until := func(t time.Time) func(*group.AddMember) { return func(c *group.AddMember) { c.Until = t } }
	named := func(c *group.AddMember) { c.Named = true }
	approved := func(c *group.AddMember) { c.Approved = "01REQUEST" }
	provider := func(c *group.AddMember) { c.Source = group.Provider }
	owner2 := domain.Actor{ID: "owner2", Roles: []domain.Role{domain.Owner}}
	invalid := domain.Invalid("request.invalid", "")
	for _, tt := range []struct {
		name string
		by   domain.Actor
		when group.Command
		want string // of the facts that follow
		err  error
	}{
		{"a security admin makes a plain group", security, group.Create{Name: "new", Spec: text("x")}, "group.created", nil},
		{"but none that lends roles", security, group.Create{Name: "new", Spec: roles(domain.Auditor)}, "", group.ErrRole},
		{"an owner does", owner, group.Create{Name: "new", Spec: roles(domain.Auditor)}, "group.created", nil},
		{"Sallyport itself does", clock, group.Create{Name: "new", Spec: roles(domain.Auditor)}, "group.created", nil},
		{"a resource admin makes none", resource, group.Create{Name: "new"}, "", group.ErrRole},
		{"nor does a member", alice, group.Create{Name: "new"}, "", group.ErrRole},
		{"a group is given a name once", security, group.Create{Name: "plain"}, "", group.ErrTaken},
		{"and never again", security, group.Create{Name: "old"}, "", group.ErrTaken},
		{"a group lends known roles", owner, group.Create{Name: "new", Spec: roles("root")}, "", invalid},
		{"and not the one that everybody has", owner, group.Create{Name: "new", Spec: roles(domain.Member)}, "", invalid},
		{"a description is bounded", security, group.Create{Name: "new", Spec: text(strings.Repeat("ä", 1001))}, "", invalid},
		{"and has nothing invisible", security, group.Create{Name: "new", Spec: text("a\u202eb")}, "", invalid},

		{"a security admin edits a plain group", security, group.Edit{Name: "plain", Version: 1, Spec: text("y")}, "group.edited", nil},
		{"the same again is nothing", security, group.Edit{Name: "plain", Version: 1, Spec: text("All")}, "", nil},
		{"an edit of another version", security, group.Edit{Name: "plain", Version: 2, Spec: text("y")}, "", group.ErrStale},
		{"an edit of nothing", security, group.Edit{Name: "none", Version: 1}, "", group.ErrNotFound},
		{"nobody who may nothing learns what there is", alice, group.Edit{Name: "none", Version: 1}, "", group.ErrRole},
		{"a security admin lends no role", security, group.Edit{Name: "plain", Version: 1, Spec: roles(domain.SecurityAdmin)}, "", group.ErrRole},
		{"nor takes away one that is lent", security, group.Edit{Name: "admins", Version: 1}, "", group.ErrRole},
		{"nor says more of such a group", security, group.Edit{Name: "admins", Version: 1, Spec: group.Spec{Description: "x", Roles: roles(domain.SecurityAdmin, domain.ResourceAdmin).Roles}}, "", group.ErrRole},
		{"an owner does not lend a role to a group they are in", owner, group.Edit{Name: "plain", Version: 1, Spec: roles(domain.SecurityAdmin)}, "", group.ErrSelf},
		{"another owner does", owner2, group.Edit{Name: "plain", Version: 1, Spec: roles(domain.SecurityAdmin)}, "group.edited", nil},
		{"an owner does not lend a further role to a group they are in", owner2, group.Edit{Name: "admins", Version: 1, Spec: roles(domain.SecurityAdmin, domain.ResourceAdmin, domain.DevOpsAdmin)}, "", group.ErrSelf},
		{"and may take one away", owner2, group.Edit{Name: "admins", Version: 1, Spec: roles(domain.ResourceAdmin)}, "group.edited", nil},
		{"roles in another order are the same", owner, group.Edit{Name: "admins", Version: 1, Spec: roles(domain.ResourceAdmin, domain.SecurityAdmin, domain.ResourceAdmin)}, "", nil},

		{"a security admin deletes a plain group", security, group.Delete{Name: "plain", Version: 1}, "group.deleted", nil},
		{"not one that is named", security, group.Delete{Name: "plain", Version: 1, Named: true}, "", group.ErrRole},
		{"an owner deletes one that is named", owner, group.Delete{Name: "plain", Version: 1, Named: true}, "group.deleted", nil},
		{"not one that lends roles", security, group.Delete{Name: "admins", Version: 1}, "", group.ErrRole},
		{"a deletion of another version", owner, group.Delete{Name: "plain", Version: 2}, "", group.ErrStale},
		{"a deletion of what was deleted", owner, group.Delete{Name: "old", Version: 1}, "", group.ErrNotFound},

		{"a security admin adds to a plain group", security, add("plain", "alice"), "group.member_added", nil},
		{"not to one that is named", security, add("plain", "alice", named), "", group.ErrRole},
		{"an owner adds to one that is named", owner, add("plain", "alice", named), "group.member_added", nil},
		{"not to one that lends roles", security, add("admins", "alice"), "", group.ErrRole},
		{"an owner does", owner, add("admins", "alice"), "group.member_added", nil},
		{"an owner does not add themself to one that lends roles", owner, add("admins", "owner"), "", group.ErrSelf},
		{"nor to a plain one", domain.Actor{ID: "third", Roles: owner.Roles}, add("plain", "third"), "", group.ErrSelf},
		{"a security admin does not add themself", security, add("plain", "security"), "", group.ErrSelf},
		{"nor prolongs what they have", domain.Actor{ID: "dana", Roles: owner.Roles}, add("admins", "dana", until(noon.Add(2*time.Hour))), "", group.ErrSelf},
		{"a member adds nobody", alice, add("plain", "bob"), "", group.ErrRole},
		{"nobody is added to what is not there", owner, add("none", "alice"), "", group.ErrNotFound},
		{"nobody is added to what was deleted", owner, add("old", "alice"), "", group.ErrNotFound},
		{"who is in for good is in already", security, add("plain", "carol"), "", nil},
		{"an end can be given", security, add("plain", "carol", until(noon.Add(time.Hour))), "group.member_added", nil},
		{"the same end is nothing", owner, add("admins", "dana", until(noon.Add(time.Hour).In(time.FixedZone("", 3600)))), "", nil},
		{"an end can be taken away", owner, add("admins", "dana"), "group.member_added", nil},
		{"who has lapsed is added anew", owner, add("admins", "erin"), "group.member_removed group.member_added", nil},
		{"until now is no time", owner, add("plain", "alice", until(noon)), "", invalid},
		{"until the past is none", owner, add("plain", "alice", until(noon.Add(-1))), "", invalid},
		{"until the next moment is", owner, add("plain", "alice", until(noon.Add(1))), "group.member_added", nil},
		{"a year is", owner, add("plain", "alice", until(noon.Add(group.MaxTerm))), "group.member_added", nil},
		{"more than a year is not", owner, add("plain", "alice", until(noon.Add(group.MaxTerm+1))), "", invalid},
		{"the year 9999 is not", owner, add("plain", "alice", until(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))), "", invalid},

		{"an approval adds, whatever the role of who gave it", alice, add("admins", "bob", approved, named, until(noon.Add(time.Hour))), "group.member_added", nil},
		{"but not who gave it", alice, add("plain", "alice", approved, until(noon.Add(time.Hour))), "", group.ErrSelf},
		{"an approval shortens nothing", alice, add("plain", "carol", approved, until(noon.Add(time.Hour))), "", nil},
		{"nor what ends later", alice, add("admins", "dana", approved, until(noon.Add(time.Minute))), "", nil},
		{"it prolongs what ends earlier", alice, add("admins", "dana", approved, until(noon.Add(2*time.Hour))), "group.member_added", nil},
		{"it prolongs it for good", alice, add("admins", "dana", approved), "group.member_added", nil},
		{"it adds anew who has lapsed", alice, add("admins", "erin", approved, until(noon.Add(time.Hour))), "group.member_removed group.member_added", nil},
		{"it adds nobody to what is gone", alice, add("old", "bob", approved), "", group.ErrNotFound},
		{"it adds until no time that is past", alice, add("plain", "bob", approved, until(noon)), "", invalid},
		{"only Sallyport says what the identity provider says", owner, add("plain", "alice", provider), "", group.ErrRole},
		{"and it does", domain.System("sign-in"), add("plain", "alice", provider), "group.member_added", nil},

		{"a security admin removes from a plain group", security, group.RemoveMember{Group: "plain", Person: "carol"}, "group.member_removed", nil},
		{"not from one that is named", security, group.RemoveMember{Group: "plain", Person: "carol", Named: true}, "", group.ErrRole},
		{"not from one that lends roles", security, group.RemoveMember{Group: "admins", Person: "dana"}, "", group.ErrRole},
		{"an owner does", owner, group.RemoveMember{Group: "admins", Person: "dana"}, "group.member_removed", nil},
		{"an owner leaves a plain group", owner, group.RemoveMember{Group: "plain", Person: "owner"}, "group.member_removed", nil},
		{"not one that is named", owner, group.RemoveMember{Group: "plain", Person: "owner", Named: true}, "", group.ErrSelf},
		{"nor one that lends roles", owner2, group.RemoveMember{Group: "admins", Person: "owner2"}, "", group.ErrSelf},
		{"who is not in is out already", owner, group.RemoveMember{Group: "plain", Person: "mallory"}, "", nil},
		{"so is who has lapsed", owner, group.RemoveMember{Group: "admins", Person: "erin"}, "", nil},
		{"nobody is removed from nothing", owner, group.RemoveMember{Group: "none", Person: "carol"}, "", group.ErrNotFound},
		{"a member removes nobody", alice, group.RemoveMember{Group: "plain", Person: "alice"}, "", group.ErrRole},

		{"who is removed is in no group", owner, group.RemovePerson{Person: "owner"}, "group.member_removed", nil},
		{"by an owner", security, group.RemovePerson{Person: "carol"}, "", group.ErrRole},
		{"who is in none leaves none", owner, group.RemovePerson{Person: "mallory"}, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := given(t)
			facts, err := group.Decide(s, tt.when, domain.Meta{Actor: tt.by, Now: noon})
			var got []string
			for _, f := range facts {
				got = append(got, f.Event.EventType())
				if !strings.HasPrefix(f.Subject, "group/") {
					t.Errorf("its subject is %s", f.Subject)
				}
				s = fold(t, s, tt.by.ID, noon, f.Event) // what is decided folds
			}
			if !errors.Is(err, tt.err) || strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
			if again, err := group.Decide(s, tt.when, domain.Meta{Actor: tt.by, Now: noon}); tt.err == nil && len(facts) > 0 && err == nil && len(again) > 0 {
				t.Errorf("once done it is done again: %v", again)
			}
		})
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for pointer, c := range map[string]group.Command{
		"/roles/1":     group.Create{Name: "new", Spec: group.Spec{Roles: []domain.Role{domain.Auditor, "root"}}},
		"/description": group.Create{Name: "new", Spec: group.Spec{Description: "\x00"}},
		"/until":       group.AddMember{Group: "plain", Person: "alice", Until: noon},
	} {
		_, err := group.Decide(given(t), c, domain.Meta{Actor: owner, Now: noon})
		var e *domain.Error
		if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Pointer != pointer {
			t.Errorf("%s: got %v", pointer, err)
		}
	}
}

// T127: a membership until noon holds to the last moment before noon, and from
// noon on no more, whether or not anybody recorded that.
func TestAMembershipEndsAtItsMomentWhetherOrNotThatIsRecorded(t *testing.T) {
	s := given(t)
	for at, in := range map[time.Time]bool{noon.Add(-1): true, noon: false, noon.Add(time.Millisecond): false} {
		roles, groups := s.Roles("erin", at), s.Of("erin", at)
		if s.Has("admins", "erin", at) != in || slices.Contains(roles, domain.SecurityAdmin) != in || slices.Contains(groups, "admins") != in {
			t.Errorf("at %s: roles %v, groups %v", at, roles, groups)
		}
	}
	if next := s.Next(); !next.Equal(noon) {
		t.Errorf("the next one ends at %s", next)
	}
	if early := s.Lapse(domain.Meta{Actor: clock, Now: noon.Add(-1)}); len(early) > 0 {
		t.Errorf("before its time %v lapses", early)
	}
	if on := s.Lapse(domain.Meta{Actor: clock, Now: noon}); len(on) != 1 {
		t.Errorf("at its time %v lapses", on)
	}
	facts := s.Lapse(domain.Meta{Actor: clock, Now: noon.Add(30 * time.Minute)}) // late
	want := []domain.Fact{{Subject: "group/admins", Event: group.MemberWasRemoved{Group: "admins", Person: "erin", Reason: group.Lapsed, Until: noon}}}
	if diff := cmp.Diff(want, facts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s = fold(t, s, clock.ID, noon.Add(30*time.Minute), facts[0].Event)
	if s.Next() != noon.Add(time.Hour) || len(s.Lapse(domain.Meta{Now: noon.Add(30 * time.Minute)})) > 0 {
		t.Error("what was recorded as lapsed lapses again")
	}
	if _, known := s.Member("admins", "erin", noon.Add(-time.Minute)); known {
		t.Error("what was recorded as lapsed is still there")
	}
}

// A late clock may find more that lapsed than one commit should hold.
func TestALongAbsentClockRecordsInBoundedSteps(t *testing.T) {
	s := given(t)
	for i := range 450 {
		s = fold(t, s, "owner", noon.Add(-time.Hour), group.MemberWasAdded{Group: "plain", Person: domain.Name(fmt.Sprintf("p%03d", i)), Until: noon, Source: group.Local})
	}
	steps := 0
	for late := noon.Add(time.Minute); !s.Next().After(late); steps++ {
		facts := s.Lapse(domain.Meta{Actor: clock, Now: late})
		if len(facts) == 0 || len(facts) > 200 {
			t.Fatalf("%d facts in one step", len(facts))
		}
		for _, f := range facts {
			s = fold(t, s, clock.ID, late, f.Event)
		}
	}
	if steps != 3 {
		t.Errorf("it took %d steps", steps)
	}
}

func TestAnEndInAnotherZoneIsStoredAsUTC(t *testing.T) {
	until := noon.Add(time.Hour).In(time.FixedZone("far", -11*3600))
	facts, err := group.Decide(given(t), group.AddMember{Group: "plain", Person: "alice", Until: until}, domain.Meta{Actor: owner, Now: noon})
	if err != nil || facts[0].Event.(group.MemberWasAdded).Until != noon.Add(time.Hour) {
		t.Errorf("got %v, %v", facts, err)
	}
}

func TestADeletedGroupLetsNobodyIn(t *testing.T) {
	s := given(t, group.WasDeleted{Name: "admins"})
	if s.Has("admins", "dana", noon) || len(s.Roles("dana", noon)) > 0 || len(s.Of("dana", noon)) > 0 || !s.Next().IsZero() {
		t.Error("a deleted group has members")
	}
	if _, there := s.Group("admins"); there || len(s.Groups()) != 1 {
		t.Error("a deleted group is there")
	}
}

func TestAGroupLendsWhatItSaysNow(t *testing.T) {
	s := given(t, group.MemberWasAdded{Group: "plain", Person: "owner2", Source: group.Local})
	lent := func(want ...domain.Role) {
		t.Helper()
		if got := s.Roles("owner2", noon); !slices.Equal(got, want) {
			t.Errorf("owner2 is lent %v, want %v", got, want)
		}
	}
	lent(domain.SecurityAdmin, domain.ResourceAdmin)
	s = fold(t, s, "owner", noon, group.WasEdited{Name: "plain", Version: 2, Spec: group.Spec{Roles: []domain.Role{domain.DevOpsAdmin}}})
	lent(domain.DevOpsAdmin, domain.SecurityAdmin, domain.ResourceAdmin)
	s = fold(t, s, "owner", noon, group.WasEdited{Name: "admins", Version: 2})
	lent(domain.DevOpsAdmin)
	s = fold(t, s, "owner", noon, group.WasDeleted{Name: "plain"})
	lent()
}

func TestWhoIsInAGroupIsToldByName(t *testing.T) {
	s := given(t, group.MemberWasAdded{Group: "plain", Person: "alice", Source: group.Local}, group.MemberWasAdded{Group: "plain", Person: "dana", Until: noon, Source: group.Local},
		group.MemberWasRemoved{Group: "plain", Person: "carol", Reason: group.Removed}, group.WasCreated{Name: "another"})
	if got := s.People("plain", noon); !slices.Equal(got, []domain.Name{"alice", "owner"}) || s.Count("plain", noon) != 2 {
		t.Errorf("%v are in it, %d", got, s.Count("plain", noon))
	}
	var names []domain.Name
	for g := range s.Each() {
		names = append(names, g.Name)
	}
	if !slices.Equal(names, []domain.Name{"admins", "another", "plain"}) {
		t.Errorf("the groups are %v", names)
	}
}

func TestGroupsAndPeopleAreBounded(t *testing.T) {
	s := given(t)
	for i := range group.MaxGroups {
		n := domain.Name(fmt.Sprintf("g%03d", i))
		s = fold(t, s, "owner", noon, group.WasCreated{Name: n}, group.MemberWasAdded{Group: n, Person: "alice", Source: group.Local})
	}
	m := domain.Meta{Actor: owner, Now: noon}
	if _, err := group.Decide(s, group.AddMember{Group: "plain", Person: "alice"}, m); !errors.Is(err, group.ErrFull) {
		t.Errorf("a group too many: %v", err)
	}
	if facts, err := group.Decide(s, group.AddMember{Group: "g000", Person: "alice", Until: noon.Add(1)}, m); err != nil || len(facts) != 1 {
		t.Errorf("an end for one of the many: %v, %v", facts, err)
	}
	if facts, err := group.Decide(s, group.RemovePerson{Person: "alice"}, m); err != nil || len(facts) != group.MaxGroups {
		t.Errorf("removing the person: %d, %v", len(facts), err)
	}
}

func TestWhatIsReadMayBeKept(t *testing.T) {
	s := given(t)
	kept, _ := s.Group("plain")
	before := fmt.Sprint(kept)
	fold(t, s, "owner", noon, group.WasEdited{Name: "plain", Version: 2, Spec: group.Spec{Description: "later"}},
		group.MemberWasRemoved{Group: "plain", Person: "carol", Reason: group.Removed}, group.MemberWasAdded{Group: "plain", Person: "zoe", Source: group.Local})
	if fmt.Sprint(kept) != before {
		t.Errorf("it was %s and is %v", before, kept)
	}
}

func TestAnImpossibleEventDoesNotFold(t *testing.T) {
	for _, e := range []domain.Event{
		group.WasCreated{Name: "plain"}, group.WasCreated{Name: "old"}, group.WasEdited{Name: "none", Version: 2}, group.WasEdited{Name: "plain", Version: 3},
		group.WasEdited{Name: "old", Version: 2}, group.WasDeleted{Name: "none"}, group.WasDeleted{Name: "old"},
		group.MemberWasAdded{Group: "none", Person: "carol"}, group.MemberWasAdded{Group: "old", Person: "carol"},
		group.MemberWasRemoved{Group: "plain", Person: "mallory", Reason: group.Removed}, group.MemberWasRemoved{Group: "admins", Person: "dana", Reason: group.Lapsed, Until: noon}, nil,
	} {
		if _, err := group.Evolve(given(t), domain.Envelope{Event: e}); err == nil {
			t.Errorf("%#v folded", e)
		}
	}
}

// In no sequence of commands does anybody who only ever acts for themself get
// into a group, keep a role past its time, or get one from a security admin.
func TestNobodyGetsInByThemself(t *testing.T) {
	people := []domain.Name{"owner", "owner2", "security", "alice"}
	names := []domain.Name{"plain", "admins", "third"}
	rapid.Check(t, func(t *rapid.T) {
		var s group.State
		now := noon
		allowed := map[string]time.Time{} // group/person, until; zero is for good
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
			by := rapid.SampledFrom([]domain.Actor{owner, {ID: "owner2", Roles: owner.Roles}, security, alice}).Draw(t, "by")
			g, p := rapid.SampledFrom(names).Draw(t, "group"), rapid.SampledFrom(people).Draw(t, "person")
			was, _ := s.Group(g)
			named := rapid.Bool().Draw(t, "named")
			var spec group.Spec
			if rapid.Bool().Draw(t, "lends") {
				spec.Roles = []domain.Role{domain.SecurityAdmin}
			}
			var until time.Time
			if rapid.Bool().Draw(t, "timed") {
				until = now.Add(time.Duration(rapid.IntRange(-10, 120).Draw(t, "for")) * time.Minute)
			}
			c := rapid.SampledFrom([]group.Command{
				group.Create{Name: g, Spec: spec}, group.Edit{Name: g, Version: was.Version, Spec: spec}, group.Delete{Name: g, Version: was.Version, Named: named},
				group.AddMember{Group: g, Person: p, Until: until, Named: named}, group.AddMember{Group: g, Person: p, Until: until, Named: named},
				group.RemoveMember{Group: g, Person: p, Named: named},
			}).Draw(t, "command")
			before := s.Roles(domain.Name(by.ID), now)
			facts, _ := group.Decide(s, c, domain.Meta{Actor: by, Now: now}) // nothing follows from what is refused
			if rapid.Bool().Draw(t, "clock") {
				facts = s.Lapse(domain.Meta{Actor: clock, Now: now})
			}
			for _, f := range facts {
				var err error
				if s, err = group.Evolve(s, domain.Envelope{Event: f.Event, Time: now, Actor: by.ID}); err != nil {
					t.Fatal(err)
				}
				switch e := f.Event.(type) {
				case group.MemberWasAdded:
					allowed[e.Group.String()+"/"+e.Person.String()] = e.Until
					if by.ID == e.Person.String() || by.ID == "alice" || by.ID == "security" && (named || len(was.Roles) > 0) {
						t.Fatalf("%s added %s to %+v", by.ID, e.Person, was)
					}
				case group.MemberWasRemoved:
					delete(allowed, e.Group.String()+"/"+e.Person.String())
				case group.WasDeleted:
					for k := range allowed {
						if strings.HasPrefix(k, e.Name.String()+"/") {
							delete(allowed, k)
						}
					}
				}
			}
			for _, r := range s.Roles(domain.Name(by.ID), now) {
				if !slices.Contains(before, r) {
					t.Fatalf("%s got %s by %#v", by.ID, r, c)
				}
			}
			for _, g := range names {
				for _, p := range people {
					until, in := allowed[g.String()+"/"+p.String()]
					if in = in && (until.IsZero() || now.Before(until)); s.Has(g, p, now) != in || slices.Contains(s.Of(p, now), g) != in {
						t.Fatalf("%s in %s: %v, want %v", p, g, s.Has(g, p, now), in)
					}
				}
			}
		}
	})
}
