package organisation_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sallyport.dev/domain"
	"sallyport.dev/domain/sshca"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/organisation/orgtest"
	authority "sallyport.dev/handlers/sshca"
	"sallyport.dev/streams"
)

// signedBy has a certificate signed and tells the fingerprint of the key that did.
func signedBy(t *testing.T, w *orgtest.World) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	from, until := authority.Window(w.Now(), time.Time{})
	text, err := w.SSH().Sign(t.Context(), authority.Certificate{
		PublicKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))), Username: "pamadmin1",
		KeyID: authority.KeyID("01KASE00000000000000000000", "carol"), From: from, Until: until,
	})
	if err != nil {
		t.Fatal(err)
	}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(parsed.(*ssh.Certificate).SignatureKey)
}

func trusted(w *orgtest.World) (ids []string) {
	for _, k := range w.TrustedSSHKeys() {
		ids = append(ids, k.ID)
	}
	return ids
}

func TestTheSSHAuthorityRotates(t *testing.T) {
	w := orgtest.New(t)
	first := trusted(w)
	if len(first) != 2 || signedBy(t, w) != first[0] {
		t.Fatalf("servers are to trust %v, and %s signs", first, signedBy(t, w))
	}
	rotate := func(a domain.Actor) error {
		_, err := w.RotateSSH(t.Context(), domain.Meta{Actor: a, Now: w.Now()})
		return err
	}
	security := domain.Actor{ID: "security", Roles: []domain.Role{domain.SecurityAdmin}}
	if err := rotate(security); !errors.Is(err, sshca.ErrTooYoung) {
		t.Fatalf("a key that servers may not know yet signs: %v", err)
	}
	w.Advance(6 * time.Minute)
	if err := rotate(domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner}}); !errors.Is(err, sshca.ErrRole) {
		t.Fatalf("an owner rotates: %v", err)
	}
	bucket, err := w.Conn.Bucket(t.Context(), organisation.KeysBucket("default"))
	if err != nil {
		t.Fatal(err)
	}
	sealed := func() (n int) {
		keys, err := bucket.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if strings.HasPrefix(k, "ssh-ca.") {
				n++
			}
		}
		return n
	}
	if n := sealed(); n != 2 {
		t.Errorf("after refused rotations %d keys are sealed, want 2", n)
	}
	if err := rotate(security); err != nil {
		t.Fatal(err)
	}
	second := trusted(w)
	if len(second) != 2 || second[0] != first[1] || signedBy(t, w) != first[1] || sealed() != 2 {
		t.Errorf("after a rotation of %v servers are to trust %v, %s signs, %d are sealed", first, second, signedBy(t, w), sealed())
	}
	if w.SSH().Load(t.Context(), first[0]) == nil {
		t.Error("the retired key opens")
	}
	w.Reopen(func() {})
	if got := trusted(w); got[0] != second[0] || got[1] != second[1] || signedBy(t, w) != second[0] {
		t.Errorf("reopened, servers are to trust %v", got)
	}
}

func TestARotationOfTheSSHAuthorityBitesOnEveryReplica(t *testing.T) {
	w := orgtest.New(t)
	other := orgtest.Join(t, w.Conn)
	old := trusted(w)[0]
	if got := trusted(other); got[0] != old || signedBy(t, other) != old {
		t.Fatalf("another replica has keys of its own: %v", got)
	}
	w.Advance(10 * time.Minute)
	other.Advance(10 * time.Minute)
	if _, err := w.RotateSSH(t.Context(), domain.Meta{Actor: domain.System("host"), Now: w.Now()}); err != nil {
		t.Fatal(err)
	}
	other.Await(w.Last())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if got := signedBy(t, other); got == old || got != trusted(w)[0] {
		t.Errorf("%s signs on another replica after %s was retired", got, old)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for other.SSH().Loaded(old) || w.SSH().Loaded(old) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("a retired key is still in memory")
		}
	}
}

func TestReplicasThatOpenAtOnceHaveOneSSHAuthority(t *testing.T) {
	server, err := streams.StartServer(t.Context(), streams.ServerOptions{Dir: t.TempDir(), Log: orgtest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	conn, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	var joined sync.WaitGroup
	all := make([]*orgtest.World, 3)
	for i := range all {
		joined.Go(func() { all[i] = orgtest.Join(t, conn) })
	}
	joined.Wait()
	w := all[0]
	for _, r := range all[1:] {
		if got := trusted(r); len(got) != 2 || got[0] != trusted(w)[0] {
			t.Errorf("a replica trusts %v, want %v", got, trusted(w))
		}
	}
	// Two rotations at once leave one line of keys, and nothing sealed but those two.
	w.Advance(10 * time.Minute)
	var rotated sync.WaitGroup
	for range 4 {
		rotated.Go(func() { _, _ = w.RotateSSH(t.Context(), domain.Meta{Actor: domain.System("host"), Now: w.Now()}) })
	}
	rotated.Wait()
	bucket, err := w.Conn.Bucket(t.Context(), organisation.KeysBucket("default"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := bucket.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sealed := 0
	for _, k := range keys {
		if strings.HasPrefix(k, "ssh-ca.") {
			sealed++
		}
	}
	if n := len(w.SSHKeys()); n != 3 || sealed != 2 || len(trusted(w)) != 2 {
		t.Errorf("there were %d keys, %d are sealed, %d trusted", n, sealed, len(trusted(w)))
	}
}
