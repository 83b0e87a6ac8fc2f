package organisation_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/handlers/vault"
	"sallyport.dev/projections/control"
)

const (
	secretPath = "payments/db/password"
	secretRef  = resource.Ref("secret/" + secretPath)
	telltale   = "a telltale value, 5be1d4"
)

// byRole is the permission of who has none by policy.
func byRole(*control.State) (bool, error) { return false, nil }

func byPolicy(*control.State) (bool, error) { return true, nil }

// keeper is a world with a project, and somebody who manages what is in it.
type keeper struct {
	*orgtest.World
	t *testing.T
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	t.Parallel()
	k := &keeper{orgtest.New(t), t}
	k.do(resource.CreateProject{Name: "payments"})
	return k
}

func (k *keeper) meta() domain.Meta { return k.Meta("resource", domain.ResourceAdmin) }

func (k *keeper) do(c resource.Command) {
	k.t.Helper()
	m := k.meta()
	if _, err := k.Execute(k.t.Context(), m, func(s *control.State) ([]domain.Fact, error) {
		return resource.Decide(s.Resources(), c, m)
	}); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keeper) create(value string) {
	k.t.Helper()
	if _, err := k.CreateSecret(k.t.Context(), k.meta(), secretPath, resource.SecretSpec{Project: "payments"}, []byte(value), byRole); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keeper) put(value string) {
	k.t.Helper()
	if _, err := k.PutVersion(k.t.Context(), k.meta(), secretRef, "", []byte(value), byRole); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keeper) secret() (r resource.Resource) {
	k.Read(func(s *control.State, _ domain.Head) { r, _ = s.Resources().Resource(secretRef) })
	return r
}

// version is the id of a version, and whose it is.
func (k *keeper) version(number int) (string, vault.Owner) {
	k.t.Helper()
	for _, v := range k.secret().Versions {
		if v.Number == number {
			return v.ID, vault.Owner{Ref: secretRef, Version: number}
		}
	}
	k.t.Fatalf("there is no version %d", number)
	return "", vault.Owner{}
}

func (k *keeper) reveals(number int, want string) {
	k.t.Helper()
	id, o := k.version(number)
	if got, err := k.Reveal(k.t.Context(), id, o); err != nil || string(got) != want {
		k.t.Errorf("version %d reveals %q, %v, want %q", number, got, err, want)
	}
}

func (k *keeper) kept() int {
	k.t.Helper()
	ids, err := k.Vault().IDs(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	return len(ids)
}

func TestAValueIsPutRevealedAndDestroyed(t *testing.T) {
	k := newKeeper(t)
	k.create("first")
	k.put(telltale)
	k.Reopen(func() {})
	if standing, lost, err := k.LostValues(t.Context()); standing != 2 || lost != 0 || err != nil {
		t.Errorf("of %d values %d are lost, %v, want none of two", standing, lost, err)
	}
	k.reveals(1, "first")
	k.reveals(2, telltale)
	id, o := k.version(1)
	if _, err := k.DestroyVersion(t.Context(), k.meta(), secretRef, "", 1, byRole); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Reveal(t.Context(), id, o); !errors.Is(err, resource.ErrDestroyed) {
		t.Errorf("what is destroyed reveals %v, want %v", err, resource.ErrDestroyed)
	}
	if n := k.kept(); n != 1 {
		t.Errorf("the vault has %d values, want 1", n)
	}
	k.reveals(2, telltale)
	if _, err := k.DeleteSecret(t.Context(), k.meta(), secretPath, byRole); err != nil {
		t.Fatal(err)
	}
	if n := k.kept(); n != 0 {
		t.Errorf("the vault has %d values of a secret that is gone", n)
	}
	if _, err := k.CreateSecret(t.Context(), k.meta(), secretPath, resource.SecretSpec{Project: "payments"}, []byte("again"), byRole); !errors.Is(err, resource.ErrSecretTaken) {
		t.Errorf("the path of a deleted secret: %v, want %v", err, resource.ErrSecretTaken)
	}
	if n := k.kept(); n != 0 {
		t.Errorf("what was refused left %d values in the vault", n)
	}
}

// The log has who put what and when, and a hash that nobody can try values against.
func TestTheLogHasNoValue(t *testing.T) {
	k := newKeeper(t)
	k.create(telltale)
	m := k.meta()
	m.Idempotency = &domain.Idempotency{Key: "k", Request: k.KeyedHash(telltale)}
	if _, err := k.PutVersion(t.Context(), m, secretRef, "", []byte(telltale), byRole); err != nil {
		t.Fatal(err)
	}
	hashes := map[string]bool{}
	for _, e := range k.Events() {
		if strings.Contains(string(e.Stored), "telltale") || strings.Contains(string(e.Stored), "5be1d4") {
			t.Errorf("%s has the value: %s", e.Type, e.Stored)
		}
		if added, is := e.Event.(resource.VersionWasAdded); is {
			hashes[added.Hash] = true
		}
	}
	if len(hashes) != 2 {
		t.Errorf("two versions of one value have the hashes %v, want two", hashes)
	}
}

func TestWhoMayNotPutsNothing(t *testing.T) {
	k := newKeeper(t)
	k.create("first")
	refused := errors.New("refused by a policy")
	for _, tt := range []struct {
		name string
		by   domain.Meta
		may  organisation.Permission
		want error
	}{
		{"a member", k.Meta("alice"), byRole, resource.ErrRole},
		{"every other admin", k.Meta("devops", domain.Owner, domain.DevOpsAdmin, domain.SecurityAdmin, domain.Auditor), byRole, resource.ErrRole},
		{"whom a policy refuses, whatever their role", k.meta(), func(*control.State) (bool, error) { return false, refused }, refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, create := k.CreateSecret(t.Context(), tt.by, "payments/other", resource.SecretSpec{Project: "payments"}, []byte("x"), tt.may)
			_, put := k.PutVersion(t.Context(), tt.by, secretRef, "", []byte("x"), tt.may)
			_, destroy := k.DestroyVersion(t.Context(), tt.by, secretRef, "", 1, tt.may)
			_, deleted := k.DeleteSecret(t.Context(), tt.by, secretPath, tt.may)
			for what, err := range map[string]error{"create": create, "put": put, "destroy": destroy, "delete": deleted} {
				if !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", what, err, tt.want)
				}
			}
		})
	}
	if n := k.kept(); n != 1 {
		t.Errorf("the vault has %d values, want the first alone", n)
	}
	if _, err := k.PutVersion(t.Context(), k.Meta("workload://default/ci/job"), secretRef, "", []byte("second"), byPolicy); err != nil {
		t.Errorf("whom a policy lets: %v", err)
	}
	k.reveals(2, "second")
}

// Whoever puts at once gets versions of their own, each with its value.
func TestManyWhoPutAtOnceGetAVersionEach(t *testing.T) {
	k := newKeeper(t)
	k.create("0")
	other := orgtest.Join(t, k.Conn)
	var wg sync.WaitGroup
	for i := range 12 {
		o := k.Organisation
		if i%2 == 1 {
			o = other.Organisation
		}
		wg.Go(func() {
			if _, err := o.PutVersion(t.Context(), k.meta(), secretRef, "", fmt.Appendf(nil, "value %d", i), byRole); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := k.Fresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, v := range k.secret().Versions {
		got, err := k.Reveal(t.Context(), v.ID, vault.Owner{Ref: secretRef, Version: v.Number})
		if err != nil || seen[string(got)] {
			t.Errorf("version %d reveals %q, %v", v.Number, got, err)
		}
		seen[string(got)] = true
	}
	if len(seen) != 13 || k.kept() != 13 {
		t.Errorf("there are %d values, and the vault has %d, want 13", len(seen), k.kept())
	}
}

// A write that is repeated under its Idempotency-Key puts nothing again.
func TestARepeatedPutIsDoneOnce(t *testing.T) {
	k := newKeeper(t)
	k.create("first")
	m := k.meta()
	m.Idempotency = &domain.Idempotency{Key: "once", Request: "same"}
	for range 3 {
		if _, err := k.PutVersion(t.Context(), m, secretRef, "", []byte("second"), byRole); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(k.secret().Versions); n != 2 || k.kept() != 2 {
		t.Errorf("there are %d versions, and %d values, want 2", n, k.kept())
	}
}

// Whatever a crash leaves behind between the log and the vault is put right at
// the start: what is destroyed, and what was never recorded.
func TestASweepPutsRightWhatACrashLeft(t *testing.T) {
	k := newKeeper(t)
	k.create("first")
	k.put("second")
	m := k.meta()
	// Recorded, and not done.
	if _, err := k.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) {
		return resource.Decide(s.Resources(), resource.DestroyVersion{Ref: secretRef, Number: 1}, m)
	}); err != nil {
		t.Fatal(err)
	}
	// Done, and not recorded: one long ago, one just now.
	orphan := vault.Owner{Ref: "secret/payments/orphan", Version: 1}
	const old = "01HASE0000000000000000000A"
	young := k.secret().Versions[1].ID[:10] + "ZZZZZZZZZZZZZZZZ"
	for _, id := range []string{old, young} {
		if err := k.Vault().Put(t.Context(), id, orphan, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if n := k.kept(); n != 4 {
		t.Fatalf("the vault has %d values, want 4", n)
	}
	k.Reopen(func() {})
	if err := k.SweepVault(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := k.kept(); n != 2 { // the second version, and what may still be recorded
		t.Errorf("the vault has %d values, want 2", n)
	}
	k.reveals(2, "second")
	k.Advance(4 * time.Hour)
	if err := k.SweepVault(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := k.kept(); n != 1 {
		t.Errorf("the vault has %d values, want 1: nobody records the other any more", n)
	}
	k.reveals(2, "second")
}

// A vault that lost what the log says it has says so; it is not taken for
// one that was destroyed, nor for a secret that is not there.
func TestALostValueIsToldAsLost(t *testing.T) {
	k := newKeeper(t)
	k.create("first")
	id, o := k.version(1)
	bucket, err := k.Conn.Bucket(t.Context(), organisation.SecretsBucket("default"))
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Delete(t.Context(), id+".key"); err != nil {
		t.Fatal(err)
	}
	var known *domain.Error
	if _, err := k.Reveal(t.Context(), id, o); !errors.Is(err, vault.ErrLost) || !errors.As(err, &known) || known.Code != "secret.lost" {
		t.Errorf("it says %v, want %v", err, vault.ErrLost)
	}
	if standing, lost, err := k.LostValues(t.Context()); standing != 1 || lost != 1 || err != nil {
		t.Errorf("of %d values %d are lost, %v, want the one", standing, lost, err)
	}
	k.put("second") // the way out
	k.reveals(2, "second")
}

// The password of an account goes with its server.
func TestAServersPasswordsGoWithIt(t *testing.T) {
	k := newKeeper(t)
	spec := resource.ServerSpec{Project: "payments", Address: "db-1.example", Accounts: []resource.Account{{Name: "dba", Kind: resource.Vaulted, Username: "postgres"}}}
	k.do(resource.CreateServer{Name: "db-1", Spec: spec})
	ref := resource.ServerRef("db-1")
	if _, err := k.PutVersion(t.Context(), k.meta(), ref, "dba", []byte(telltale), byRole); err != nil {
		t.Fatal(err)
	}
	if _, err := k.PutVersion(t.Context(), k.Meta("alice"), ref, "dba", []byte("mine"), byPolicy); !errors.Is(err, resource.ErrRole) {
		t.Errorf("a policy lets somebody put a password: %v", err)
	}
	var ids []string
	k.Read(func(s *control.State, _ domain.Head) {
		r, _ := s.Resources().Resource(ref)
		ids = r.IDs()
	})
	if len(ids) != 1 {
		t.Fatalf("it has the values %v, want one", ids)
	}
	k.DestroyGone(ids) // of what stands, nothing is destroyed
	if got, err := k.Reveal(t.Context(), ids[0], vault.Owner{Ref: ref, Account: "dba", Version: 1}); err != nil || string(got) != telltale {
		t.Errorf("it reveals %q, %v", got, err)
	}
	k.do(resource.DeleteServer{Name: "db-1", Version: 1})
	k.DestroyGone(ids)
	if n := k.kept(); n != 0 {
		t.Errorf("the vault has %d values of a server that is gone", n)
	}
}
