package person_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
)

// staff is given with carol, whom dana manages, and a second owner.
func staff(t testing.TB, more ...domain.Event) person.State {
	t.Helper()
	return given(t, append([]domain.Event{
		person.WasAdded{Name: "dana", Roles: roles(domain.Member)},
		person.WasAdded{Name: "carol", Roles: roles(domain.Member), Email: "carol@example.com", Manager: "dana"},
		person.WasAdded{Name: "owner2", Roles: roles(domain.Owner)},
		person.WasAdded{Name: "gone", Roles: roles(domain.Owner)}, person.WasRemoved{Name: "gone"},
	}, more...)...)
}

func TestEditsAndRemovals(t *testing.T) {
	invalid := domain.Invalid("request.invalid", "")
	edit := func(change func(*person.Edit)) person.Edit {
		c := person.Edit{Name: "carol", Version: 1, Roles: roles(domain.Member), Email: "carol@example.com", Manager: "dana"}
		change(&c)
		return c
	}
	lone := []domain.Event{person.WasRemoved{Name: "owner2"}}
	for _, tt := range []struct {
		name  string
		given []domain.Event
		by    domain.Actor
		when  person.Command
		want  string // types of what follows
		err   error
	}{
		{"an address and a manager can be given at once", nil, owner, person.Add{Name: "erin", Roles: roles(domain.Member), Email: "e@x.org", Manager: "carol"}, "person.added", nil},
		{"the same person with another address is taken", nil, owner, person.Add{Name: "carol", Roles: roles(domain.Member), Email: "x@x.org", Manager: "dana"}, "", person.ErrTaken},
		{"the same person again is nothing", nil, owner, person.Add{Name: "carol", Roles: roles(domain.Member), Email: "carol@example.com", Manager: "dana"}, "", nil},
		{"the name of who was removed is never given again", nil, owner, person.Add{Name: "gone", Roles: roles(domain.Member)}, "", person.ErrTaken},
		{"not by the host either", nil, host, person.Add{Name: "gone", Roles: roles(domain.Owner)}, "", person.ErrTaken},
		{"a manager is somebody", nil, owner, person.Add{Name: "erin", Roles: roles(domain.Member), Manager: "mallory"}, "", invalid},
		{"nobody is their own manager", nil, owner, person.Add{Name: "erin", Roles: roles(domain.Member), Manager: "erin"}, "", invalid},
		{"an address is one", nil, owner, person.Add{Name: "erin", Roles: roles(domain.Member), Email: "a@b\r\nBcc: x"}, "", invalid},

		{"nothing new is nothing", nil, owner, edit(func(*person.Edit) {}), "", nil},
		{"an edit of another version", nil, owner, edit(func(c *person.Edit) { c.Version = 2 }), "", person.ErrStale},
		{"an edit by nobody who may", nil, devops, edit(func(c *person.Edit) { c.Version = 2 }), "", person.ErrRole},
		{"an edit of nobody", nil, owner, edit(func(c *person.Edit) { c.Name = "mallory" }), "", person.ErrNotFound},
		{"an edit of who was removed", nil, owner, edit(func(c *person.Edit) { c.Name = "gone" }), "", person.ErrNotFound},
		{"an address alone", nil, owner, edit(func(c *person.Edit) { c.Email = "" }), "person.edited", nil},
		{"a manager alone", nil, owner, edit(func(c *person.Edit) { c.Manager = "owner" }), "person.edited", nil},
		{"no manager", nil, owner, edit(func(c *person.Edit) { c.Manager = "" }), "person.edited", nil},
		{"themself as manager", nil, owner, edit(func(c *person.Edit) { c.Manager = "carol" }), "", invalid},
		{"a manager who is not there", nil, owner, edit(func(c *person.Edit) { c.Manager = "gone" }), "", invalid},
		{"a manager who was removed since may stay", []domain.Event{person.WasRemoved{Name: "dana"}}, owner, edit(func(c *person.Edit) { c.Email = "" }), "person.edited", nil},
		{"roles are granted before others are revoked", nil, owner, edit(func(c *person.Edit) { c.Roles = roles(domain.Auditor, domain.DevOpsAdmin) }),
			"person.role_granted person.role_granted person.role_revoked", nil},
		{"all at once", nil, owner, edit(func(c *person.Edit) { c.Roles, c.Email = roles(domain.Member, domain.Owner), "" }), "person.role_granted person.edited", nil},
		{"a person keeps a role", nil, owner, edit(func(c *person.Edit) { c.Roles = nil }), "", person.ErrNoRole},
		{"a role has to exist", nil, owner, edit(func(c *person.Edit) { c.Roles = roles("root") }), "", person.ErrUnknownRole},

		{"an owner gives themself no role", nil, owner, person.Edit{Name: "owner", Version: 1, Roles: roles(domain.Owner, domain.SecurityAdmin)}, "", person.ErrSelf},
		{"nor by granting it", nil, owner, person.GrantRole{Name: "owner", Role: domain.SecurityAdmin}, "", person.ErrSelf},
		{"nor swaps one for another", nil, owner, person.Edit{Name: "owner", Version: 1, Roles: roles(domain.SecurityAdmin)}, "", person.ErrSelf},
		{"nor chooses their own manager", nil, owner, person.Edit{Name: "owner", Version: 1, Roles: roles(domain.Owner), Manager: "carol"}, "", person.ErrSelf},
		{"another owner gives them one", nil, domain.Actor{ID: "owner2", Roles: owner.Roles}, person.Edit{Name: "owner", Version: 1, Roles: roles(domain.Owner, domain.SecurityAdmin)}, "person.role_granted", nil},
		{"an owner changes their own address", nil, owner, person.Edit{Name: "owner", Version: 1, Roles: roles(domain.Owner), Email: "o@x.org"}, "person.edited", nil},
		{"who has two roles gives one back", []domain.Event{person.RoleWasGranted{Name: "owner", Role: domain.Auditor}}, owner, person.Edit{Name: "owner", Version: 2, Roles: roles(domain.Auditor)}, "person.role_revoked", nil},
		{"the last owner stays one", lone, domain.Actor{ID: "by-group", Roles: owner.Roles}, person.Edit{Name: "owner", Version: 1, Roles: roles(domain.Member)}, "", person.ErrLastOwner},
		{"the last owner is not removed", lone, domain.Actor{ID: "by-group", Roles: owner.Roles}, person.Remove{Name: "owner", Version: 1}, "", person.ErrLastOwner},
		{"nor by the host", lone, host, person.Remove{Name: "owner", Version: 1}, "", person.ErrLastOwner},

		{"an owner removes a person", nil, owner, person.Remove{Name: "carol", Version: 1}, "person.removed", nil},
		{"an owner removes another", nil, owner, person.Remove{Name: "owner2", Version: 1}, "person.removed", nil},
		{"nobody else removes people", nil, devops, person.Remove{Name: "carol", Version: 1}, "", person.ErrRole},
		{"nor themself", nil, devops, person.Remove{Name: "devops", Version: 1}, "", person.ErrRole},
		{"a removal of another version", nil, owner, person.Remove{Name: "carol", Version: 2}, "", person.ErrStale},
		{"a removal of nobody", nil, owner, person.Remove{Name: "mallory", Version: 1}, "", person.ErrNotFound},
		{"a removal of who was removed", nil, owner, person.Remove{Name: "gone", Version: 1}, "", person.ErrNotFound},

		{"a token takes a role that a group lends", nil, host, person.CreateToken{ID: id2, Person: "carol", Roles: roles(domain.Auditor), Lent: roles(domain.Auditor), Hash: hash2, ExpiresAt: noon.Add(time.Hour)}, "api_token.created", nil},
		{"and no other", nil, host, person.CreateToken{ID: id2, Person: "carol", Roles: roles(domain.Owner), Lent: roles(domain.Auditor), Hash: hash2, ExpiresAt: noon.Add(time.Hour)}, "", person.ErrTokenRoles},
		{"no token is made for who was removed", nil, host, person.CreateToken{ID: id2, Person: "gone", Roles: roles(domain.Owner), Lent: roles(domain.Owner), Hash: hash2, ExpiresAt: noon.Add(time.Hour)}, "", person.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts, err := person.Decide(staff(t, tt.given...), tt.when, domain.Meta{Actor: tt.by, Now: noon})
			var got []string
			var events []domain.Event
			for _, f := range facts {
				got, events = append(got, f.Event.EventType()), append(events, f.Event)
			}
			if !errors.Is(err, tt.err) || strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
			staff(t, append(tt.given, events...)...) // what is decided folds
		})
	}
}

func TestAVersionCountsWhatHappened(t *testing.T) {
	s := staff(t, person.RoleWasGranted{Name: "carol", Role: domain.Auditor}, person.WasEdited{Name: "carol"}, person.RoleWasRevoked{Name: "carol", Role: domain.Member})
	if p, ok := s.Person("carol"); !ok || p.Version != 4 || p.Email != "" || p.Manager != "" || !slices.Equal(p.Roles, roles(domain.Auditor)) {
		t.Errorf("carol is %+v", p)
	}
}

func TestATokenBearsWhatGroupsLendAndNoMore(t *testing.T) {
	s := staff(t, person.RoleWasRevoked{Name: "devops", Role: domain.SecurityAdmin})
	lend := func(rs ...domain.Role) func(domain.Name) []domain.Role {
		return func(n domain.Name) []domain.Role {
			if n != "devops" {
				t.Errorf("asked what groups lend %s", n)
			}
			return rs
		}
	}
	for _, tt := range []struct {
		lent, want []domain.Role
	}{
		{nil, roles(domain.DevOpsAdmin)},
		{roles(domain.SecurityAdmin), roles(domain.DevOpsAdmin, domain.SecurityAdmin)},
		{roles(domain.Owner), roles(domain.DevOpsAdmin)}, // the token does not have it
	} {
		if a, err := s.Authenticate(hash1, noon, lend(tt.lent...)); err != nil || !slices.Equal(a.Roles, tt.want) {
			t.Errorf("lent %v: got %v, %v, want %v", tt.lent, a.Roles, err, tt.want)
		}
	}
}

func TestATokenOfWhoWasRemovedSpeaksForNobody(t *testing.T) {
	all := func(domain.Name) []domain.Role { return domain.Roles() }
	s := staff(t, person.WasRemoved{Name: "devops"})
	a, err := s.Authenticate(hash1, noon, all)
	if !errors.Is(err, person.ErrTokenRevoked) || a.ID != "" || len(a.Roles) > 0 {
		t.Errorf("got %+v, %v", a, err)
	}
	if token, _ := s.Token(id1); token.RevokedAt != noon || token.RevokedBy != "system:host" {
		t.Errorf("it is listed as %+v", token)
	}
}

func TestAddresses(t *testing.T) {
	for _, s := range []string{"", "carol@example.com", "c+x@sub.example.com", "o'neil@x.org", "a@localhost", strings.Repeat("a", 64) + "@" + strings.Repeat("b", 189)} {
		if err := person.CheckEmail(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"carol", "@x", "a@", "a b@x", "a@x y", "a@x\n", "a@x\r\nX: y", "<a@x>", "a@x>", "a,b@x", "a@b,c@d", `"a"@x`, "ä@x", "a@ä", "a@x.", "a@-x", "a@@x", strings.Repeat("a", 64) + "@" + strings.Repeat("b", 190)} {
		if person.CheckEmail(s) == nil {
			t.Errorf("%q is taken for an address", s)
		}
	}
}

func TestNoImpossibleEventAboutWhoIsGoneFolds(t *testing.T) {
	for _, e := range []domain.Event{
		person.WasAdded{Name: "gone"}, person.WasEdited{Name: "gone"}, person.WasEdited{Name: "mallory"}, person.WasRemoved{Name: "gone"}, person.WasRemoved{Name: "mallory"},
		person.RoleWasGranted{Name: "gone", Role: domain.Owner}, person.TokenWasCreated{ID: id2, Person: "gone", Hash: hash2},
	} {
		if _, err := person.Evolve(staff(t), domain.Envelope{Event: e}); err == nil {
			t.Errorf("%#v folded", e)
		}
	}
}
