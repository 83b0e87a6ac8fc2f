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

var (
	noon   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	host   = domain.System("host")
	owner  = domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner}}
	devops = domain.Actor{ID: "devops", Roles: []domain.Role{domain.DevOpsAdmin}}
)

const (
	id1 = "01KASE0000000000000000000A"
	id2 = "01KASE0000000000000000000B"
	id3 = "01KASE0000000000000000000C"
)

var (
	hash1 = strings.Repeat("a1", 32)
	hash2 = strings.Repeat("b2", 32)
	hash3 = strings.Repeat("c3", 32)
)

// given is people and one token of devops, folded from facts.
func given(t testing.TB, more ...domain.Event) person.State {
	t.Helper()
	var s person.State
	for _, e := range append([]domain.Event{
		person.WasAdded{Name: "owner", Roles: []domain.Role{domain.Owner}},
		person.WasAdded{Name: "devops", Roles: []domain.Role{domain.DevOpsAdmin, domain.SecurityAdmin}},
		person.TokenWasCreated{ID: id1, Person: "devops", Roles: []domain.Role{domain.DevOpsAdmin, domain.SecurityAdmin}, Hash: hash1, ExpiresAt: noon.Add(time.Hour)},
	}, more...) {
		var err error
		if s, err = person.Evolve(s, domain.Envelope{Type: e.EventType(), Time: noon, Actor: "system:host", Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func roles(rs ...domain.Role) []domain.Role { return rs }

func TestCommands(t *testing.T) {
	token := func(change func(*person.CreateToken)) person.CreateToken {
		c := person.CreateToken{ID: id2, Person: "devops", Roles: roles(domain.DevOpsAdmin), Hash: hash2, ExpiresAt: noon.Add(time.Hour)}
		change(&c)
		return c
	}
	same := func(*person.CreateToken) {}
	for _, tt := range []struct {
		name string
		by   domain.Actor
		when person.Command
		want string // subject and type of what follows
		err  error
	}{
		{"an owner adds a person", owner, person.Add{Name: "carol", Roles: roles(domain.Auditor)}, "person/carol person.added", nil},
		{"the host adds the first person", host, person.Add{Name: "carol", Roles: roles(domain.Owner)}, "person/carol person.added", nil},
		{"nobody else adds people", devops, person.Add{Name: "carol", Roles: roles(domain.Member)}, "", person.ErrRole},
		{"adding the same person again is nothing, in whatever order", owner, person.Add{Name: "devops", Roles: roles(domain.SecurityAdmin, domain.DevOpsAdmin)}, "", nil},
		{"a name with other roles is taken", owner, person.Add{Name: "devops", Roles: roles(domain.Owner)}, "", person.ErrTaken},
		{"a person has a role", owner, person.Add{Name: "carol", Roles: nil}, "", person.ErrNoRole},
		{"a role has to exist", owner, person.Add{Name: "carol", Roles: roles("root")}, "", person.ErrUnknownRole},
		{"nobody is called system", owner, person.Add{Name: "system", Roles: roles(domain.Member)}, "", person.ErrReserved},
		{"nobody is called host", owner, person.Add{Name: "host", Roles: roles(domain.Member)}, "", person.ErrReserved},
		{"nobody is called anonymous", host, person.Add{Name: "anonymous", Roles: roles(domain.Member)}, "", person.ErrReserved},

		{"an owner grants a role", owner, person.GrantRole{"devops", domain.Auditor}, "person/devops person.role_granted", nil},
		{"a role that is borne is granted as nothing", owner, person.GrantRole{"devops", domain.DevOpsAdmin}, "", nil},
		{"nobody grants themselves a role", devops, person.GrantRole{"devops", domain.Owner}, "", person.ErrRole},
		{"a stranger is granted nothing", owner, person.GrantRole{"mallory", domain.Owner}, "", person.ErrNotFound},
		{"an unknown role is not granted", owner, person.GrantRole{"devops", "root"}, "", person.ErrUnknownRole},

		{"an owner revokes a role", owner, person.RevokeRole{"devops", domain.SecurityAdmin}, "person/devops person.role_revoked", nil},
		{"a role that is not borne is revoked as nothing", owner, person.RevokeRole{"devops", domain.Auditor}, "", nil},
		{"the last owner stays", owner, person.RevokeRole{"owner", domain.Owner}, "", person.ErrLastOwner},
		{"nobody else revokes roles", devops, person.RevokeRole{"owner", domain.Owner}, "", person.ErrRole},
		{"a stranger loses nothing", owner, person.RevokeRole{"mallory", domain.Owner}, "", person.ErrNotFound},

		{"the host makes a token", host, token(same), "api_token/" + id2 + " api_token.created", nil},
		{"no owner makes a token: they would be two people", owner, token(same), "", person.ErrRole},
		{"nobody makes a token for themselves", devops, token(same), "", person.ErrRole},
		{"a token is somebody's", host, token(func(c *person.CreateToken) { c.Person = "mallory" }), "", person.ErrNotFound},
		{"a token has no role that its person lacks", host, token(func(c *person.CreateToken) { c.Roles = roles(domain.DevOpsAdmin, domain.Owner) }), "", person.ErrTokenRoles},
		{"a token has a role", host, token(func(c *person.CreateToken) { c.Roles = nil }), "", person.ErrTokenRoles},
		{"a token's role has to exist", host, token(func(c *person.CreateToken) { c.Roles = roles("root") }), "", person.ErrUnknownRole},
		{"a token lives a minute", host, token(func(c *person.CreateToken) { c.ExpiresAt = noon.Add(time.Minute) }), "api_token/" + id2 + " api_token.created", nil},
		{"a token does not live less", host, token(func(c *person.CreateToken) { c.ExpiresAt = noon.Add(time.Minute - 1) }), "", person.ErrTokenTTL},
		{"a token lives 90 days", host, token(func(c *person.CreateToken) { c.ExpiresAt = noon.Add(person.MaxTokenTTL) }), "api_token/" + id2 + " api_token.created", nil},
		{"a token does not live longer", host, token(func(c *person.CreateToken) { c.ExpiresAt = noon.Add(person.MaxTokenTTL + 1) }), "", person.ErrTokenTTL},
		{"an id in lower case is no ULID", host, token(func(c *person.CreateToken) { c.ID = strings.ToLower(id2) }), "", person.ErrTokenForm},
		{"an id past the largest ULID is none", host, token(func(c *person.CreateToken) { c.ID = "8" + id2[1:] }), "", person.ErrTokenForm},
		{"a token itself is no hash", host, token(func(c *person.CreateToken) { c.Hash = "sp_secret" }), "", person.ErrTokenForm},
		{"an id is given once", host, token(func(c *person.CreateToken) { c.ID = id1 }), "", person.ErrTokenTaken},
		{"a hash is recorded once", host, token(func(c *person.CreateToken) { c.Hash = hash1 }), "", person.ErrTokenTaken},
		{"the same token again is nothing", host, person.CreateToken{ID: id1, Person: "devops",
			Roles: roles(domain.SecurityAdmin, domain.DevOpsAdmin), Hash: hash1, ExpiresAt: noon.Add(time.Hour)}, "", nil},

		{"an owner revokes a token", owner, person.RevokeToken{id1}, "api_token/" + id1 + " api_token.revoked", nil},
		{"whose token it is revokes it", devops, person.RevokeToken{id1}, "api_token/" + id1 + " api_token.revoked", nil},
		{"somebody else does not", domain.Actor{ID: "alice", Roles: roles(domain.SecurityAdmin)}, person.RevokeToken{id1}, "", person.ErrRole},
		{"an unknown token is not revoked", owner, person.RevokeToken{id2}, "", person.ErrTokenNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs, err := person.Decide(given(t), tt.when, domain.Meta{Actor: tt.by, Now: noon})
			var got []string
			for _, f := range fs {
				got = append(got, f.Subject+" "+f.Event.EventType())
				given(t, f.Event) // what is decided folds
			}
			if !errors.Is(err, tt.err) || strings.Join(got, ", ") != tt.want {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestARevokedTokenIsRevokedAgainAsNothing(t *testing.T) {
	s := given(t, person.TokenWasRevoked{ID: id1, Person: "devops"})
	if fs, err := person.Decide(s, person.RevokeToken{id1}, domain.Meta{Actor: owner, Now: noon}); err != nil || fs != nil {
		t.Errorf("got %v, %v, want nothing", fs, err)
	}
}

func TestAPersonKeepsTheLastRole(t *testing.T) {
	s := given(t, person.RoleWasRevoked{"devops", domain.SecurityAdmin})
	_, err := person.Decide(s, person.RevokeRole{"devops", domain.DevOpsAdmin}, domain.Meta{Actor: owner, Now: noon})
	if !errors.Is(err, person.ErrNoRole) {
		t.Errorf("got %v, want %v", err, person.ErrNoRole)
	}
}

func TestAuthenticate(t *testing.T) {
	both := roles(domain.DevOpsAdmin, domain.SecurityAdmin)
	for _, tt := range []struct {
		name  string
		given []domain.Event
		hash  string
		at    time.Time
		want  []domain.Role
		err   error
	}{
		{"a token speaks for its person with its roles", nil, hash1, noon, both, nil},
		{"to its last moment", nil, hash1, noon.Add(time.Hour - 1), both, nil},
		{"not at its expiry", nil, hash1, noon.Add(time.Hour), nil, person.ErrTokenExpired},
		{"not once it was revoked", []domain.Event{person.TokenWasRevoked{ID: id1}}, hash1, noon, nil, person.ErrTokenRevoked},
		{"not with a role its person has lost", []domain.Event{person.RoleWasRevoked{"devops", domain.SecurityAdmin}}, hash1, noon, roles(domain.DevOpsAdmin), nil},
		{"not with a role its person got later", []domain.Event{person.RoleWasGranted{"devops", domain.Owner}}, hash1, noon, both, nil},
		{"an unknown hash is nobody", nil, hash2, noon, nil, person.ErrTokenUnknown},
		{"no hash is nobody", nil, "", noon, nil, person.ErrTokenUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := given(t, tt.given...).Authenticate(tt.hash, tt.at, nil)
			if !errors.Is(err, tt.err) || !slices.Equal(a.Roles, tt.want) || (err == nil) != (a.ID == "devops") {
				t.Errorf("got %+v, %v, want roles %v, %v", a, err, tt.want, tt.err)
			}
		})
	}
	if _, err := (person.State{}).Authenticate(hash1, noon, nil); !errors.Is(err, person.ErrTokenUnknown) {
		t.Errorf("before anybody is known got %v, want %v", err, person.ErrTokenUnknown)
	}
}

func TestACloneStaysWhenTheStateGoesOn(t *testing.T) {
	s := given(t)
	kept := s.Clone()
	if _, err := person.Evolve(s, domain.Envelope{Event: person.TokenWasRevoked{ID: id1}, Time: noon}); err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Authenticate(hash1, noon, nil); err != nil {
		t.Errorf("the clone knows of a later revocation: %v", err)
	}
}

func TestPeopleAreToldByNameAndAsTheyAre(t *testing.T) {
	names := func(s person.State) (out []domain.Name) {
		for p := range s.Each() {
			out = append(out, p.Name)
		}
		return out
	}
	s := given(t)
	kept, before := s.Clone(), names(s)
	for _, e := range []domain.Event{person.WasRemoved{Name: before[0]}, person.WasAdded{Name: "zoe"}, person.WasAdded{Name: "adam"}, person.WasRemoved{Name: "zoe"}} {
		var err error
		if s, err = person.Evolve(s, domain.Envelope{Event: e, Time: noon}); err != nil {
			t.Fatal(err)
		}
	}
	if want := append([]domain.Name{"adam"}, before[1:]...); !slices.Equal(names(s), want) || s.Count() != len(want) {
		t.Errorf("there are %v, %d; want %v", names(s), s.Count(), want)
	}
	if !slices.Equal(names(kept), before) {
		t.Errorf("a copy of %v has %v", before, names(kept))
	}
}

func TestAnImpossibleEventDoesNotFold(t *testing.T) {
	for _, e := range []domain.Event{
		person.WasAdded{Name: "devops"}, person.RoleWasGranted{"mallory", domain.Owner}, person.RoleWasGranted{"devops", domain.DevOpsAdmin},
		person.RoleWasGranted{"devops", "root"}, person.RoleWasRevoked{"mallory", domain.Owner}, person.RoleWasRevoked{"devops", domain.Owner},
		person.TokenWasCreated{ID: id1, Person: "devops", Hash: hash2}, person.TokenWasCreated{ID: id2, Person: "devops", Hash: hash1},
		person.TokenWasCreated{ID: id2, Person: "mallory", Hash: hash2}, person.TokenWasRevoked{ID: id2}, nil,
	} {
		if _, err := person.Evolve(given(t), domain.Envelope{Event: e}); err == nil {
			t.Errorf("%#v folded", e)
		}
	}
}
