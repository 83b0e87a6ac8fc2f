package resource_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
)

var (
	noon  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	admin = domain.Actor{ID: "resource", Roles: []domain.Role{domain.ResourceAdmin}}
	alice = domain.Actor{ID: "alice"}
	every = domain.Actor{ID: "all", Roles: []domain.Role{domain.Owner, domain.DevOpsAdmin, domain.SecurityAdmin, domain.Auditor, domain.Member}}
)

const path = "payments/db/password"

// then is the state after further commands, each of which must be accepted.
func then(t testing.TB, s resource.State, cs ...resource.Command) resource.State {
	t.Helper()
	for _, c := range cs {
		m := domain.Meta{Actor: admin, Now: noon}
		facts, err := resource.Decide(s, c, m)
		if err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		s = fold(t, s, facts)
	}
	return s
}

func fold(t testing.TB, s resource.State, facts []domain.Fact) resource.State {
	t.Helper()
	for _, f := range facts {
		var err error
		if s, err = resource.Evolve(s, domain.Envelope{Type: f.Event.EventType(), Subject: f.Subject, Time: noon, Actor: admin.ID, Event: f.Event}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func server(accounts ...resource.Account) resource.ServerSpec {
	return resource.ServerSpec{Project: "payments", Address: "db-1.example", Accounts: accounts}
}

var (
	personal = resource.Account{Name: "me", Kind: resource.Personal}
	dba      = resource.Account{Name: "dba", Kind: resource.Vaulted, Username: "postgres"}
	about    = resource.SecretSpec{Project: "payments"}
)

func version(n int) resource.AddVersion {
	return resource.AddVersion{Ref: resource.SecretRef(path), Number: n, ID: fmt.Sprintf("id-%d", n), Hash: "h"}
}

func password(n int) resource.AddVersion {
	return resource.AddVersion{Ref: "server/db-1", Account: "dba", Number: n, ID: fmt.Sprintf("pw-%d", n), Hash: "h"}
}

func begun(t testing.TB) resource.State {
	t.Helper()
	return then(t, resource.State{}, resource.CreateProject{Name: "payments"}, resource.CreateServer{Name: "db-1", Spec: server(personal, dba)},
		resource.CreateSecret{Path: path, Spec: about}, version(1), version(2), password(1))
}

func TestCommands(t *testing.T) {
	const ref = resource.Ref("secret/" + path)
	allowed := func(c resource.AddVersion) resource.AddVersion { c.Allowed = true; return c }
	for _, tt := range []struct {
		name string
		by   domain.Actor
		when resource.Command
		want []string // types of the events
		err  error
	}{
		{"a resource_admin makes a project", admin, resource.CreateProject{Name: "shop"}, []string{"project.created"}, nil},
		{"nobody else does, whatever they are", every, resource.CreateProject{Name: "shop"}, nil, resource.ErrRole},
		{"a project is made once", admin, resource.CreateProject{Name: "payments"}, nil, resource.ErrProjectTaken},
		{"what is already so is nothing", admin, resource.EditProject{Name: "payments", Version: 1}, nil, nil},
		{"a project is edited", admin, resource.EditProject{Name: "payments", Version: 1, Spec: resource.ProjectSpec{Description: "new"}}, []string{"project.edited"}, nil},
		{"an edit of another version is stale", admin, resource.EditProject{Name: "payments", Version: 2}, nil, resource.ErrStale},
		{"an edit is by role first", alice, resource.EditProject{Name: "nothing", Version: 2}, nil, resource.ErrRole},
		{"what is not there is not edited", admin, resource.EditProject{Name: "shop"}, nil, resource.ErrProjectNotFound},
		{"a project with resources stays", admin, resource.DeleteProject{Name: "payments", Version: 1}, nil, resource.ErrProjectNotEmpty},
		{"what is not there is not deleted", admin, resource.DeleteProject{Name: "shop"}, nil, resource.ErrProjectNotFound},

		{"a server is made", admin, resource.CreateServer{Name: "db-2", Spec: server()}, []string{"server.created"}, nil},
		{"not by a member", alice, resource.CreateServer{Name: "db-2", Spec: server()}, nil, resource.ErrRole},
		{"a server is made once", admin, resource.CreateServer{Name: "db-1", Spec: server()}, nil, resource.ErrServerTaken},
		{"a server is edited", admin, resource.EditServer{Name: "db-1", Version: 1, Spec: server(dba)}, []string{"server.edited"}, nil},
		{"a server that says so already is not", admin, resource.EditServer{Name: "db-1", Version: 1, Spec: server(personal, dba)}, nil, nil},
		{"an account that has a password stays", admin, resource.EditServer{Name: "db-1", Version: 1, Spec: server(personal)}, nil, resource.ErrAccountInUse},
		{"and stays vaulted", admin, resource.EditServer{Name: "db-1", Version: 1, Spec: server(resource.Account{Name: "dba", Kind: resource.Personal})}, nil, resource.ErrAccountInUse},
		{"a server is deleted, its passwords with it", admin, resource.DeleteServer{Name: "db-1", Version: 1}, []string{"server.deleted"}, nil},
		{"of another version it is not", admin, resource.DeleteServer{Name: "db-1", Version: 2}, nil, resource.ErrStale},
		{"nor what is not there", admin, resource.DeleteServer{Name: "db-2"}, nil, resource.ErrServerNotFound},
		{"a password is put", admin, password(2), []string{"secret.version_added"}, nil},
		{"not by whom a policy would let", alice, allowed(password(2)), nil, resource.ErrRole},
		{"not of a personal account", admin, resource.AddVersion{Ref: "server/db-1", Account: "me", Number: 1, ID: "x"}, nil, resource.ErrAccountNotFound},
		{"not of the server itself", admin, resource.AddVersion{Ref: "server/db-1", Number: 1, ID: "x"}, nil, resource.ErrAccountNotFound},
		{"not of a server that is not there", admin, resource.AddVersion{Ref: "server/db-9", Account: "dba", Number: 1, ID: "x"}, nil, resource.ErrServerNotFound},

		{"a secret is made", admin, resource.CreateSecret{Path: "payments/other", Spec: about}, []string{"secret.created"}, nil},
		{"with its first value", admin, resource.CreateSecret{Path: "payments/other", Spec: about, ID: "id-9", Hash: "h"}, []string{"secret.created", "secret.version_added"}, nil},
		{"under an id that is used, it is not", admin, resource.CreateSecret{Path: "payments/other", Spec: about, ID: "id-1"}, nil, resource.ErrNumber},
		{"by whom a policy lets", alice, resource.CreateSecret{Path: "payments/other", Spec: about, Allowed: true}, []string{"secret.created"}, nil},
		{"and by no other", every, resource.CreateSecret{Path: "payments/other", Spec: about}, nil, resource.ErrRole},
		{"by whom a policy lets, without saying who owns it", alice, resource.CreateSecret{Path: "payments/other", Spec: resource.SecretSpec{Project: "payments", Owner: resource.Owner{Group: "security"}}, Allowed: true}, nil, resource.ErrOwner},
		{"a path is given once", admin, resource.CreateSecret{Path: path, Spec: about}, nil, resource.ErrSecretTaken},
		{"a path below a secret is another", admin, resource.CreateSecret{Path: path + "/old", Spec: about}, []string{"secret.created"}, nil},
		{"a secret is edited", admin, resource.EditSecret{Path: path, Version: 1, Spec: resource.SecretSpec{Project: "payments", Description: "new"}}, []string{"secret.edited"}, nil},
		{"what is said of it already is nothing", admin, resource.EditSecret{Path: path, Version: 1, Spec: about}, nil, nil},
		{"an edit of another version is stale, of a secret too", admin, resource.EditSecret{Path: path, Version: 3, Spec: about}, nil, resource.ErrStale},
		{"values do not count its version", admin, resource.EditSecret{Path: path, Version: 2, Spec: about}, nil, resource.ErrStale},
		{"a member does not edit it", alice, resource.EditSecret{Path: path, Version: 1, Spec: about}, nil, resource.ErrRole},
		{"the next version is put", admin, version(3), []string{"secret.version_added"}, nil},
		{"by whom a policy lets, too", alice, allowed(version(3)), []string{"secret.version_added"}, nil},
		{"and by no other", every, version(3), nil, resource.ErrRole},
		{"a number is not left out", admin, resource.AddVersion{Ref: ref, Number: 4, ID: "x"}, nil, resource.ErrNumber},
		{"nor given twice", admin, resource.AddVersion{Ref: ref, Number: 2, ID: "x"}, nil, resource.ErrNumber},
		{"nor an id", admin, resource.AddVersion{Ref: ref, Number: 3, ID: "id-1"}, nil, resource.ErrNumber},
		{"a secret has no accounts", admin, resource.AddVersion{Ref: ref, Account: "dba", Number: 1, ID: "x"}, nil, resource.ErrAccountNotFound},
		{"what is not there has no versions", admin, resource.AddVersion{Ref: "secret/none", Number: 1, ID: "x"}, nil, resource.ErrSecretNotFound},
		{"a version is destroyed", admin, resource.DestroyVersion{Ref: ref, Number: 1}, []string{"secret.version_destroyed"}, nil},
		{"by whom a policy lets, too, and by no other", alice, resource.DestroyVersion{Ref: ref, Number: 1, Allowed: true}, []string{"secret.version_destroyed"}, nil},
		{"which a member is not", alice, resource.DestroyVersion{Ref: ref, Number: 1}, nil, resource.ErrRole},
		{"a version that never was is not", admin, resource.DestroyVersion{Ref: ref, Number: 3}, nil, resource.ErrVersionNotFound},
		{"nor the zeroth", admin, resource.DestroyVersion{Ref: ref}, nil, resource.ErrVersionNotFound},
		{"a password is destroyed", admin, resource.DestroyVersion{Ref: "server/db-1", Account: "dba", Number: 1}, []string{"secret.version_destroyed"}, nil},
		{"a secret is deleted", admin, resource.DeleteSecret{Path: path}, []string{"secret.deleted"}, nil},
		{"by whom a policy lets, too ", alice, resource.DeleteSecret{Path: path, Allowed: true}, []string{"secret.deleted"}, nil},
		{"and not by anybody", every, resource.DeleteSecret{Path: path}, nil, resource.ErrRole},
		{"what is not there is not", admin, resource.DeleteSecret{Path: "payments/other"}, nil, resource.ErrSecretNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := begun(t)
			facts, err := resource.Decide(s, tt.when, domain.Meta{Actor: tt.by, Now: noon})
			var got []string
			for _, f := range facts {
				got = append(got, f.Event.EventType())
			}
			if !errors.Is(err, tt.err) || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %v, %v, want %v, %v", got, err, tt.want, tt.err)
			}
			fold(t, s, facts)
		})
	}
}

func TestANameIsNeverGivenAgain(t *testing.T) {
	s := then(t, begun(t), resource.DeleteServer{Name: "db-1", Version: 1}, resource.DeleteSecret{Path: path}, resource.DeleteProject{Name: "payments", Version: 1},
		resource.CreateProject{Name: "shop"})
	for _, tt := range []struct {
		c    resource.Command
		want error
	}{
		{resource.CreateProject{Name: "payments"}, resource.ErrProjectTaken},
		{resource.CreateServer{Name: "db-1", Spec: resource.ServerSpec{Project: "shop", Address: "db-1"}}, resource.ErrServerTaken},
		{resource.CreateSecret{Path: path, Spec: resource.SecretSpec{Project: "shop"}}, resource.ErrSecretTaken},
	} {
		if _, err := resource.Decide(s, tt.c, domain.Meta{Actor: admin, Now: noon}); !errors.Is(err, tt.want) {
			t.Errorf("%T: %v, want %v", tt.c, err, tt.want)
		}
	}
	if len(s.Destroyed()) != 3 || s.Standing("id-1") || s.Standing("pw-1") {
		t.Errorf("destroyed are %v, want all three", s.Destroyed())
	}
}

func TestAProjectHoldsWhatSaysItIsInIt(t *testing.T) {
	s := then(t, begun(t), resource.CreateProject{Name: "shop"})
	if s.In("payments") != 2 || s.In("shop") != 0 {
		t.Errorf("%d and %d are in the projects", s.In("payments"), s.In("shop"))
	}
	moved := server(personal, dba)
	moved.Project = "shop"
	s = then(t, s, resource.EditServer{Name: "db-1", Version: 1, Spec: moved}, version(3))
	if s.In("payments") != 1 || s.In("shop") != 1 {
		t.Errorf("once one is moved, %d and %d are", s.In("payments"), s.In("shop"))
	}
	if s = then(t, s, resource.DeleteServer{Name: "db-1", Version: 2}); s.In("shop") != 0 {
		t.Error("what is deleted is in it")
	}
	var refs []resource.Ref
	for r := range s.Behind("") {
		refs = append(refs, r.Ref)
	}
	if !slices.Equal(refs, []resource.Ref{resource.SecretRef(path)}) {
		t.Errorf("there are %v", refs)
	}
}

func TestADestroyedVersionIsFoundByNobody(t *testing.T) {
	s := then(t, begun(t), resource.DestroyVersion{Ref: resource.SecretRef(path), Number: 2})
	r, _ := s.Resource(resource.SecretRef(path))
	for _, tt := range []struct {
		number, want int
		err          error
	}{
		{0, 1, nil}, // the newest that stands
		{1, 1, nil},
		{2, 0, resource.ErrDestroyed},
		{3, 0, resource.ErrVersionNotFound},
		{-1, 0, resource.ErrVersionNotFound},
	} {
		if v, err := r.Find("", tt.number); v.Number != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("version %d: %d, %v, want %d, %v", tt.number, v.Number, err, tt.want, tt.err)
		}
	}
	if _, err := r.Find("dba", 0); err != nil {
		t.Errorf("a secret has no accounts, so the account says nothing: %v", err)
	}
	if r.Next("") != 3 {
		t.Errorf("the next is %d, want 3: a number is never given again", r.Next(""))
	}
	s = then(t, s, resource.DestroyVersion{Ref: r.Ref, Number: 1})
	r, _ = s.Resource(r.Ref)
	if _, err := r.Find("", 0); !errors.Is(err, resource.ErrDestroyed) {
		t.Errorf("where all are destroyed: %v", err)
	}
	db, _ := s.Resource("server/db-1")
	if v, err := db.Find("dba", 0); err != nil || v.ID != "pw-1" {
		t.Errorf("the password is %+v, %v", v, err)
	}
	if _, err := db.Find("me", 0); !errors.Is(err, resource.ErrVersionNotFound) {
		t.Errorf("of an account without one: %v", err)
	}
}

// What was read of a resource stays as it was read, whatever is folded later: it
// is answered outside of the lock.
func TestWhatWasReadStays(t *testing.T) {
	s := begun(t)
	before, _ := s.Resource(resource.SecretRef(path))
	db, _ := s.Resource("server/db-1")
	passwords := maps.Clone(db.Passwords)
	then(t, s, resource.DestroyVersion{Ref: before.Ref, Number: 1}, version(3), password(2), resource.DestroyVersion{Ref: "server/db-1", Account: "dba", Number: 1})
	if len(before.Versions) != 2 || !before.Versions[0].DestroyedAt.IsZero() {
		t.Errorf("the secret that was read is now %+v", before.Versions)
	}
	if !reflect.DeepEqual(db.Passwords, passwords) {
		t.Errorf("the server that was read is now %+v", db.Passwords)
	}
}

func TestAHundredVersionsStand(t *testing.T) {
	s := begun(t)
	for n := 3; n <= resource.MaxVersions; n++ {
		s = then(t, s, version(n))
	}
	if _, err := resource.Decide(s, version(101), domain.Meta{Actor: admin, Now: noon}); !errors.Is(err, resource.ErrTooManyVersions) {
		t.Errorf("the 101st: %v", err)
	}
	// Each that is destroyed makes room, for ever, and what is kept of them is bounded.
	for n := 101; n <= 500; n++ {
		s = then(t, s, resource.DestroyVersion{Ref: resource.SecretRef(path), Number: n - 100}, version(n))
	}
	r, _ := s.Resource(resource.SecretRef(path))
	if len(r.Versions) != 200 || r.Next("") != 501 || len(r.IDs()) != 100 {
		t.Errorf("it keeps %d versions, %d of which stand, and the next is %d", len(r.Versions), len(r.IDs()), r.Next(""))
	}
	if _, err := r.Find("", 7); !errors.Is(err, resource.ErrDestroyed) {
		t.Errorf("one that is not kept any more: %v, want %v", err, resource.ErrDestroyed)
	}
}

func TestThereAreOnlySoMany(t *testing.T) {
	s := then(t, resource.State{}, resource.CreateProject{Name: "p-0"})
	for i := 1; i < resource.MaxProjects; i++ {
		s = then(t, s, resource.CreateProject{Name: domain.Name(fmt.Sprintf("p-%d", i))})
	}
	for i := range resource.MaxResources {
		s = then(t, s, resource.CreateSecret{Path: fmt.Sprintf("s/%d", i), Spec: resource.SecretSpec{Project: "p-0"}})
	}
	for _, c := range []resource.Command{
		resource.CreateProject{Name: "another"}, resource.CreateSecret{Path: "another", Spec: resource.SecretSpec{Project: "p-0"}},
		resource.CreateServer{Name: "another", Spec: resource.ServerSpec{Project: "p-0", Address: "a.example"}},
	} {
		if _, err := resource.Decide(s, c, domain.Meta{Actor: admin, Now: noon}); !errors.Is(err, resource.ErrTooMany) {
			t.Errorf("%T: %v, want %v", c, err, resource.ErrTooMany)
		}
	}
	s = then(t, s, resource.DeleteSecret{Path: "s/1"}, resource.CreateSecret{Path: "another", Spec: resource.SecretSpec{Project: "p-0"}})
	for i := range resource.MaxValues {
		put := resource.VersionWasAdded{Path: fmt.Sprintf("s/%d", 1000+i/20), Version: i%20 + 1, ID: fmt.Sprint(i)}
		s = fold(t, s, []domain.Fact{{Event: put}})
	}
	for i, c := range []resource.Command{
		resource.AddVersion{Ref: "secret/another", Number: 1, ID: "x"},
		resource.CreateSecret{Path: "yet/another", Spec: resource.SecretSpec{Project: "p-0"}, ID: "y"},
	} {
		s = then(t, s, resource.DeleteSecret{Path: fmt.Sprintf("s/%d", i+2)}) // it has no values
		if _, err := resource.Decide(s, c, domain.Meta{Actor: admin, Now: noon}); !errors.Is(err, resource.ErrTooMany) {
			t.Errorf("%T: %v, want %v", c, err, resource.ErrTooMany)
		}
		s = then(t, s, resource.DestroyVersion{Ref: "secret/s/1000", Number: i + 1}, c)
	}
}

func TestPaths(t *testing.T) {
	for text, want := range map[string]bool{
		"a": true, "payments/db/password": true, ".env": true, "a/b/c/d/e/f/g/h": true, "a.b_c-d/0": true, "...": true,
		strings.Repeat("a", 255): true,
		"":                       false, "/": false, "/a": false, "a/": false, "a//b": false, "a/../b": false, "..": false, ".": false, "./a": false, "a/.": false,
		"A": false, "a/B": false, "a b": false, "a\n": false, "a\x00": false, "ä": false, "a%2fb": false, `a\b`: false, "a/b/c/d/e/f/g/h/i": false,
		strings.Repeat("a", 256): false, "a:b": false, "*": false, "a,b": false,
	} {
		got, err := resource.ParsePath(text)
		if (err == nil) != want || want && got != text {
			t.Errorf("%q: %q, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]bool{
		"secret/a/b": true, "server/web-1": true, "secret/server/x": true, "secret/": false, "server/": false, "server/Web": false, "server/a/b": false,
		"secret": false, "": false, "Secret/a": false, "secret//a": false, "project/a": false,
	} {
		if got, err := resource.ParseRef(text); (err == nil) != want || want && string(got) != text {
			t.Errorf("%q: %q, %v, want %v", text, got, err, want)
		}
	}
}

// refused is the pointers of the fields that a spec is refused for.
func refused(t *testing.T, c resource.Command) (pointers []string) {
	t.Helper()
	_, err := resource.Decide(begun(t), c, domain.Meta{Actor: admin, Now: noon})
	var known *domain.Error
	if errors.As(err, &known) {
		for _, f := range known.Fields {
			pointers = append(pointers, f.Pointer)
		}
	} else if err != nil {
		t.Errorf("%v names no field", err)
	}
	return pointers
}

func TestRulesNameTheField(t *testing.T) {
	spec := func(change func(*resource.ServerSpec)) resource.Command {
		s := server(dba)
		change(&s)
		return resource.CreateServer{Name: "db-2", Spec: s}
	}
	address := func(text string) resource.Command { return spec(func(s *resource.ServerSpec) { s.Address = text }) }
	account := func(a resource.Account) resource.Command {
		return spec(func(s *resource.ServerSpec) { s.Accounts = []resource.Account{a} })
	}
	hostKey := func(line string) resource.Command {
		return spec(func(s *resource.ServerSpec) { s.HostKeys = []string{line} })
	}
	labels := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("k%d", i)] = "v"
		}
		return m
	}
	const key = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, tt := range []struct {
		name string
		when resource.Command
		want string // the pointer, "" none
	}{
		{"an IPv4 address", address("192.0.2.7"), ""},
		{"an IPv6 address", address("2001:db8::7"), ""},
		{"a host name", address("DB-1.Internal.example"), ""},
		{"no address", address(""), "/address"},
		{"an address with a port", address("db-1.example:22"), "/address"},
		{"an IPv6 address in brackets", address("[2001:db8::7]"), "/address"},
		{"an address with a zone", address("fe80::1%eth0"), "/address"},
		{"an address with a user", address("root@db-1"), "/address"},
		{"an option of ssh", address("-oProxyCommand=id"), "/address"},
		{"an address with a blank", address("db-1 db-2"), "/address"},
		{"an address in another notation", address("0x7f.1"), "/address"},
		{"an address as a number", address("2130706433"), "/address"},
		{"an address that is too long", address(strings.Repeat("a.", 127)), "/address"},
		{"port 0 is 22", spec(func(s *resource.ServerSpec) { s.Port = 0 }), ""},
		{"port 65536", spec(func(s *resource.ServerSpec) { s.Port = 65536 }), "/port"},
		{"port -1", spec(func(s *resource.ServerSpec) { s.Port = -1 }), "/port"},
		{"an unknown project", spec(func(s *resource.ServerSpec) { s.Project = "shop" }), "/project"},
		{"fifty labels", spec(func(s *resource.ServerSpec) { s.Labels = labels(50) }), ""},
		{"fifty-one labels", spec(func(s *resource.ServerSpec) { s.Labels = labels(51) }), "/labels"},
		{"a label with an odd key", spec(func(s *resource.ServerSpec) { s.Labels = map[string]string{"a~/b": "x"} }), "/labels/a~0~1b"},
		{"a label with an odd value", spec(func(s *resource.ServerSpec) { s.Labels = map[string]string{"env": "a\nb"} }), "/labels/env"},
		{"an account of no kind", account(resource.Account{Name: "a"}), "/accounts/0/kind"},
		{"a personal account with a username", account(resource.Account{Name: "a", Kind: resource.Personal, Username: "root"}), "/accounts/0/username"},
		{"a vaulted account without one", account(resource.Account{Name: "a", Kind: resource.Vaulted}), "/accounts/0/username"},
		{"an account with an option for a username", account(resource.Account{Name: "a", Kind: resource.Vaulted, Username: "-oX"}), "/accounts/0/username"},
		{"an account that is a workload's user", account(resource.Account{Name: "a", Kind: resource.Vaulted, Username: "wl_deployer"}), "/accounts/0/username"},
		{"an account with an odd name", account(resource.Account{Name: "A", Kind: resource.Personal}), "/accounts/0/name"},
		{"an account twice", spec(func(s *resource.ServerSpec) { s.Accounts = []resource.Account{dba, dba} }), "/accounts/1/name"},
		{"fifty-one accounts", spec(func(s *resource.ServerSpec) { s.Accounts = make([]resource.Account, 51) }), "/accounts"},
		{"two owners", spec(func(s *resource.ServerSpec) { s.Owner = resource.Owner{Person: "a", Group: "b"} }), "/owner"},
		{"an owner with an odd name", spec(func(s *resource.ServerSpec) { s.Owner = resource.Owner{Group: "B"} }), "/owner/group"},
		{"a host key", hostKey("ssh-ed25519 " + key), ""},
		{"a host key of another type than it says", hostKey("ssh-rsa " + key), "/host_keys/0"},
		{"a host key with a comment", hostKey("ssh-ed25519 " + key + " root@db-1"), "/host_keys/0"},
		{"a host key with options", hostKey(`@cert-authority * ssh-ed25519 ` + key), "/host_keys/0"},
		{"a second line in a host key", hostKey("ssh-ed25519 " + key + "\nssh-ed25519 " + key), "/host_keys/0"},
		{"DSA", hostKey("ssh-dss AAAAB3NzaC1kc3MAAAAA"), "/host_keys/0"},
		{"eleven host keys", spec(func(s *resource.ServerSpec) { s.HostKeys = make([]string, 11) }), "/host_keys"},
		{"a description of 1001 characters", spec(func(s *resource.ServerSpec) { s.Description = strings.Repeat("é", 1001) }), "/description"},
		{"a description that reorders what is around it", spec(func(s *resource.ServerSpec) { s.Description = "a\u202eb" }), "/description"},
		{"a checkout of 899 seconds", resource.CreateProject{Name: "shop", Spec: resource.ProjectSpec{Checkout: resource.Checkout{MaxSeconds: 899}}}, "/checkout/max_seconds"},
		{"a checkout of 604801 seconds", resource.CreateProject{Name: "shop", Spec: resource.ProjectSpec{Checkout: resource.Checkout{MaxSeconds: 604801}}}, "/checkout/max_seconds"},
		{"a checkout of a week", resource.CreateProject{Name: "shop", Spec: resource.ProjectSpec{Checkout: resource.Checkout{MaxSeconds: 604800}}}, ""},
		{"a secret in no project", resource.CreateSecret{Path: "a", Spec: resource.SecretSpec{}}, "/project"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := refused(t, tt.when)
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("it is refused for %v, want %v", got, want)
			}
		})
	}
}

func TestAnImpossibleEventDoesNotFold(t *testing.T) {
	for _, e := range []domain.Event{
		resource.ProjectWasCreated{Name: "payments"}, resource.ProjectWasEdited{Name: "payments", Version: 3}, resource.ProjectWasEdited{Name: "shop", Version: 1},
		resource.ProjectWasDeleted{Name: "payments"}, resource.ProjectWasDeleted{Name: "shop"},
		resource.ServerWasCreated{Name: "db-1", ServerSpec: server()}, resource.ServerWasCreated{Name: "db-2"},
		resource.ServerWasEdited{Name: "db-1", Version: 1, ServerSpec: server()}, resource.ServerWasEdited{Name: "db-2", Version: 1, ServerSpec: server()},
		resource.ServerWasDeleted{Name: "db-2"},
		resource.SecretWasCreated{Path: path, SecretSpec: about}, resource.SecretWasCreated{Path: "other"},
		resource.SecretWasEdited{Path: path, Version: 3, SecretSpec: about}, resource.SecretWasDeleted{Path: "other"},
		resource.VersionWasAdded{Path: path, Version: 2, ID: "x"}, resource.VersionWasAdded{Path: "other", Version: 1, ID: "x"}, resource.VersionWasAdded{Path: path, Version: 3, ID: "id-1"},
		resource.VersionWasDestroyed{Path: path, Version: 2, ID: "id-1"}, resource.VersionWasDestroyed{Path: "other", Version: 1, ID: "id-1"}, resource.VersionWasDestroyed{Server: "db-1", Account: "me", Version: 1, ID: "pw-1"},
		nil,
	} {
		if _, err := resource.Evolve(begun(t), domain.Envelope{Event: e}); err == nil {
			t.Errorf("%#v folded", e)
		}
	}
}
