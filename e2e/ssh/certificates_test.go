// Package ssh_test holds what Sallyport signs against Debian's sshd, and the
// programs against the real ssh, scp and ssh-keygen.
package ssh_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sallyport.dev/domain"
	"sallyport.dev/e2e/program"
	"sallyport.dev/e2e/sshd"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/sshca"
)

func TestMain(m *testing.M) { program.Main(m) }

const event = "01KASE00000000000000000000"

// within bounds one command of a test.
const within = 60 * time.Second

// store keeps sealed keys for one test.
type store struct{ m sync.Map }

func (s *store) Put(_ context.Context, k string, v []byte) error { s.m.Store(k, v); return nil }
func (s *store) Delete(_ context.Context, k string) error        { s.m.Delete(k); return nil }
func (s *store) Get(_ context.Context, k string) ([]byte, error) {
	v, ok := s.m.Load(k)
	if !ok {
		return nil, errors.New("no such key")
	}
	return v.([]byte), nil
}

// authority is an SSH authority with an active and a next key.
type authority struct {
	*sshca.Authority
	active, next string // fingerprints
	public       map[string]string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	kek, err := jose.NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := jose.ParseKEK(kek)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{public: map[string]string{}}
	a.Authority = sshca.New(&store{}, sealer, "default", func() (string, error) { return a.active, nil })
	a.active, a.next = a.generate(t), a.generate(t)
	return a
}

func (a *authority) generate(t *testing.T) string {
	t.Helper()
	id, public, err := a.Generate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a.public[id] = public
	return id
}

// rotate makes the next key the active one.
func (a *authority) rotate(t *testing.T) { a.active, a.next = a.next, a.generate(t) }

// trusted is what /ssh/ca.pub has.
func (a *authority) trusted() []string { return []string{a.public[a.active], a.public[a.next]} }

// client is a key on a disk, with the certificate for it.
type client struct {
	key, public string
}

func newClient(t *testing.T) *client {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{key: filepath.Join(t.TempDir(), "key"), public: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))}
	write(t, c.key, string(pem.EncodeToMemory(block)))
	return c
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// certify gives the client a certificate for pamadmin1, changed by change.
func (a *authority) certify(t *testing.T, c *client, change func(*sshca.Certificate)) {
	t.Helper()
	from, until := sshca.Window(time.Now(), time.Time{})
	cert := sshca.Certificate{PublicKey: c.public, Username: "pamadmin1", KeyID: sshca.KeyID(event, "carol"), Serial: sshca.Serial(domain.Position{Sequence: 7}), From: from, Until: until}
	if change != nil {
		change(&cert)
	}
	text, err := a.Sign(t.Context(), cert)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c.key+"-cert.pub", text+"\n")
}

// result is how a command ended.
type result struct {
	out, err string
	code     int
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\nstdout: %s\nstderr: %s", r.code, r.out, r.err)
}

// run runs a command to its end.
func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if cmd.Stdin == nil {
		cmd.Stdin = strings.NewReader("")
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v\n%s", cmd.Args[0], err, &errs)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func command(t *testing.T, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = within // a proxy outlives its ssh for as long as the machine is busy, and holds stderr
	return cmd
}

// to is ssh to a server as a user with the client's key and certificate and
// nothing of the machine's own; args come before the command.
func (c *client) to(t *testing.T, s *sshd.Server, login string, args ...string) *exec.Cmd {
	all := []string{
		"-F", "none", "-i", c.key, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "UserKnownHostsFile=" + s.KnownHosts("web-1"), "-o", "GlobalKnownHostsFile=none", "-o", "HostKeyAlias=web-1",
		"-o", "StrictHostKeyChecking=yes", "-p", s.Port, "-l", login,
	}
	return command(t, "ssh", append(append(all, s.Host), args...)...)
}

const denied = 255 // what ssh exits with where it is not let in

func (r result) mustBeDenied(t *testing.T, s *sshd.Server) {
	t.Helper()
	if r.code != denied || !strings.Contains(r.err, "Permission denied (publickey)") {
		t.Errorf("it was let in: %v\nsshd said:\n%s", r, s.Log())
	}
}

func TestACertificateOpensItsAccountAndNoOther(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := sshd.Start(t, a.trusted(), "pamadmin1", "pamadmin2")
	login := s.Login("pamadmin1")
	c := newClient(t)
	a.certify(t, c, nil)

	r := run(t, c.to(t, s, login, "id -un; exit 7"))
	if r.code != 7 || strings.TrimSpace(r.out) != login {
		t.Fatalf("got %v\n%s", r, s.Log())
	}
	if want := "ID " + event + " carol (serial 1792) CA ED25519 " + a.active; !strings.Contains(s.Log(), want) {
		t.Errorf("sshd did not log %s:\n%s", want, s.Log())
	}
	if s.RealUsers() {
		run(t, c.to(t, s, "pamadmin2", "id")).mustBeDenied(t, s)
		run(t, c.to(t, s, "root", "id")).mustBeDenied(t, s)
	}
	for name, change := range map[string]func(*sshca.Certificate){
		"another user's": func(c *sshca.Certificate) { c.Username = "nobodys" },
		"one that has ended": func(c *sshca.Certificate) {
			c.From, c.Until = sshca.Window(time.Now().Add(-10*time.Minute), time.Time{})
		},
		"one that has not begun": func(c *sshca.Certificate) {
			c.From, c.Until = sshca.Window(time.Now().Add(10*time.Minute), time.Time{})
		},
		"one for another key":                   func(c *sshca.Certificate) { c.PublicKey = newClient(t).public },
		"one for who comes from elsewhere":      func(c *sshca.Certificate) { c.SourceAddress = "192.0.2.7" },
		"one for who comes from ::1":            func(c *sshca.Certificate) { c.SourceAddress = "::1" },
		"one of another authority's":            nil,
		"one that the key after next signed":    nil,
		"no certificate, but the key by itself": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t)
			by := a
			switch name {
			case "one of another authority's", "one that the key after next signed":
				by = newAuthority(t)
			}
			if !strings.HasPrefix(name, "no certificate") {
				by.certify(t, c, change)
			}
			run(t, c.to(t, s, login, "id")).mustBeDenied(t, s)
		})
	}
	t.Run("one for this very server alone", func(t *testing.T) {
		c := newClient(t)
		a.certify(t, c, func(c *sshca.Certificate) { c.Server = "web-1" })
		run(t, c.to(t, s, login, "id")).mustBeDenied(t, s)
		own := sshd.Start(t, a.trusted(), "pamadmin1")
		own.Principals("web-1/pamadmin1")
		if r := run(t, c.to(t, own, login, "id -un")); r.code != 0 {
			t.Errorf("the server itself refuses it: %v\n%s", r, own.Log())
		}
		a.certify(t, c, nil)
		run(t, c.to(t, own, login, "id")).mustBeDenied(t, own)
	})
	t.Run("one for this very address", func(t *testing.T) {
		t.Parallel()
		for _, address := range []string{"127.0.0.1", "::ffff:127.0.0.1"} {
			c := newClient(t)
			a.certify(t, c, func(c *sshca.Certificate) { c.SourceAddress = address })
			if r := run(t, c.to(t, s, login, "id -un")); r.code != 0 {
				t.Errorf("%s is refused: %v", address, r)
			}
		}
	})
}

func TestARotationInSteps(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := sshd.Start(t, a.trusted(), "pamadmin1")
	login := s.Login("pamadmin1")
	old, fresh := newClient(t), newClient(t)
	a.certify(t, old, nil)
	a.rotate(t)
	a.certify(t, fresh, nil)
	if r := run(t, fresh.to(t, s, login, "true")); r.code != 0 {
		t.Errorf("a server that has not fetched the list since refuses what the new key signs: %v", r)
	}
	if r := run(t, old.to(t, s, login, "true")); r.code != 0 {
		t.Errorf("a server that has not fetched the list since refuses what the old key signed: %v", r)
	}
	s.Trust(a.trusted()...)
	run(t, old.to(t, s, login, "true")).mustBeDenied(t, s)
	if r := run(t, fresh.to(t, s, login, "true")); r.code != 0 {
		t.Errorf("a server that fetched the list refuses what the new key signs: %v", r)
	}
}

func TestACertificateForwardsNothing(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := sshd.Start(t, a.trusted(), "pamadmin1")
	login := s.Login("pamadmin1")
	c := newClient(t)
	a.certify(t, c, nil)
	if r := run(t, c.to(t, s, login, "-W", s.Address())); r.code == 0 || !strings.Contains(r.err, "administratively prohibited") {
		t.Errorf("a connection was forwarded: %v", r)
	}
	if r := run(t, c.to(t, s, login, "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9", "true")); r.code == 0 {
		t.Errorf("a listener was opened: %v", r)
	}
	agent, _ := net.Listen("unix", filepath.Join(t.TempDir(), "agent"))
	defer agent.Close()
	cmd := c.to(t, s, login, "-o", "ForwardAgent=yes", "-o", "IdentityAgent="+agent.Addr().String(), `echo "agent=$SSH_AUTH_SOCK"`)
	if r := run(t, cmd); r.code != 0 || strings.TrimSpace(r.out) != "agent=" {
		t.Errorf("an agent was forwarded: %v", r)
	}
	if r := run(t, c.to(t, s, login, "-tt", "tty")); r.code == 0 || !strings.Contains(r.err, "PTY allocation request failed") {
		t.Errorf("a terminal was given: %v", r)
	}
	if !s.RealUsers() {
		return // only root may hand a terminal to the group that owns terminals
	}
	a.certify(t, c, func(c *sshca.Certificate) { c.PTY = true })
	if r := run(t, c.to(t, s, login, "-tt", "tty")); r.code != 0 || !strings.Contains(r.out, "/dev/") {
		t.Errorf("no terminal was given: %v", r)
	}
}

func TestAKeyIDCannotForgeALineOfSSHD(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := sshd.Start(t, a.trusted(), "pamadmin1")
	c := newClient(t)
	a.certify(t, c, func(c *sshca.Certificate) {
		c.KeyID = sshca.KeyID(event, "x (serial 0) CA ED25519 SHA256:forged\nAccepted publickey for root")
	})
	if r := run(t, c.to(t, s, s.Login("pamadmin1"), "true")); r.code != 0 {
		t.Fatalf("got %v", r)
	}
	if strings.Contains(s.Log(), "for root") || strings.Contains(s.Log(), "serial 0") {
		t.Errorf("sshd logged what it was told:\n%s", s.Log())
	}
}

func TestACertificateIsRevokedByARevocationList(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	s := sshd.Start(t, a.trusted(), "pamadmin1")
	login := s.Login("pamadmin1")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ca.pub"), a.public[a.active]+"\n")
	for name, line := range map[string]string{"its serial": "serial: 1792\n", "its key id": "id: " + event + " carol\n"} {
		c, other := newClient(t), newClient(t)
		a.certify(t, c, nil)
		a.certify(t, other, func(c *sshca.Certificate) { c.Serial, c.KeyID = 9, sshca.KeyID(event, "dave") })
		write(t, filepath.Join(dir, "spec"), line)
		krl := filepath.Join(dir, "krl")
		if r := run(t, command(t, "ssh-keygen", "-k", "-f", krl, "-s", filepath.Join(dir, "ca.pub"), filepath.Join(dir, "spec"))); r.code != 0 {
			t.Fatal(r)
		}
		b, err := os.ReadFile(krl)
		if err != nil {
			t.Fatal(err)
		}
		s.Revoke(b)
		if r := run(t, c.to(t, s, login, "true")); r.code != denied {
			t.Errorf("revoked by %s it was let in: %v", name, r)
		}
		if r := run(t, other.to(t, s, login, "true")); r.code != 0 {
			t.Errorf("revoked by %s another one is refused: %v", name, r)
		}
	}
}
