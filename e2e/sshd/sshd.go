// Package sshd runs Debian's own sshd for tests, with a configuration and host
// key of its own, for users that need not be there before.
//
// As root each user that a test names is a real one: [Start] adds it with useradd
// and the last test that uses it takes it away. Then the certificate's principal
// is the user who logs in, which is what sshd wants where nothing is configured.
//
// As anybody else sshd can let in nobody but the one who runs the tests. Then an
// AuthorizedPrincipalsFile lets every user that a test names, and that one, in as that one.
// A test that logs in as [Server.Login] of a user works both ways.
package sshd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is a running sshd. It is stopped when the test ends.
type Server struct {
	Host     string   // 127.0.0.1
	Port     string   // it listens on
	HostKeys []string // authorized_keys form, as a server's host_keys

	t      testing.TB
	dir    string
	binary string
	own    string // user who runs the tests, "" for root
	listed bool   // Principals has said who is let in
	log    output
}

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort(s.Host, s.Port) }

// Start runs an sshd on the loopback interface that trusts those keys (lines of
// authorized_keys form) to sign certificates, and nothing else. Each of users may
// log in with a certificate whose principal it is. Forwarding and terminals are
// allowed by it: what is refused, the certificate refuses.
func Start(t testing.TB, trusted []string, users ...string) *Server {
	t.Helper()
	s := &Server{t: t, Host: "127.0.0.1", dir: t.TempDir(), binary: binary(t)}
	if os.Getuid() == 0 {
		addUsers(t, users)
	} else {
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		s.own = me.Username
	}
	s.Trust(trusted...)
	s.write("revoked", "")
	s.hostKey()
	s.write("config", s.config(users))
	s.listen()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("sshd said:\n%s", s.Log())
		}
	})
	return s
}

// Login is who to log in as on the server with a certificate for that user.
func (s *Server) Login(user string) string {
	if s.own != "" {
		return s.own
	}
	return user
}

// RealUsers tells whether each user is one of their own (tests run as root), so
// that one is refused with the certificate of another.
func (s *Server) RealUsers() bool { return s.own == "" }

// Trust replaces the keys that are trusted; sshd reads them at each login.
func (s *Server) Trust(keys ...string) { s.write("trusted", strings.Join(keys, "\n")+"\n") }

// Principals lets certificates with one of those principals in as whomever they log
// in as, in place of who was let in before; sshd reads them at each login.
func (s *Server) Principals(principals ...string) {
	s.listed = true
	s.write("config", s.config(principals))
}

// Revoke puts a key revocation list in place, as ssh-keygen -k makes it.
func (s *Server) Revoke(krl []byte) { s.write("revoked", string(krl)) }

// Log is what sshd has said so far.
func (s *Server) Log() string { return s.log.String() }

// KnownHosts is a file in which the server is known under that name, and nothing else is.
func (s *Server) KnownHosts(name string) string {
	return s.write("known_hosts", name+" "+strings.Join(s.HostKeys, "\n"+name+" ")+"\n")
}

func (s *Server) config(users []string) string {
	c := `HostKey ` + filepath.Join(s.dir, "host") + `
TrustedUserCAKeys ` + filepath.Join(s.dir, "trusted") + `
RevokedKeys ` + filepath.Join(s.dir, "revoked") + `
AuthorizedKeysFile none
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
AllowTcpForwarding yes
AllowAgentForwarding yes
AllowStreamLocalForwarding yes
X11Forwarding yes
PermitTTY yes
PermitUserRC yes
Subsystem sftp internal-sftp
LogLevel VERBOSE
`
	switch {
	case s.listed && s.own == "": // which reads a file as the user who logs in, who may not read ours
		c += "AuthorizedPrincipalsCommandUser nobody\nAuthorizedPrincipalsCommand /bin/echo -e " + strings.Join(users, `\n`) + "\n"
	case s.own != "":
		c += "AuthorizedPrincipalsFile " + s.write("principals", strings.Join(append(users, s.own), "\n")+"\n") + "\n"
	}
	return c
}

func (s *Server) write(name, text string) string {
	s.t.Helper()
	file := filepath.Join(s.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func (s *Server) hostKey() {
	s.t.Helper()
	file := filepath.Join(s.dir, "host")
	run(s.t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file)
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		s.t.Fatal(err)
	}
	s.HostKeys = []string{strings.TrimSpace(string(public))}
}

// listen accepts connections and hands each to an sshd of its own (sshd -i): so
// no port can be taken by another between choosing and using it.
func (s *Server) listen() {
	s.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(s.Host, "0"))
	if err != nil {
		s.t.Fatal(err)
	}
	_, s.Port, _ = net.SplitHostPort(l.Addr().String())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.serve(c.(*net.TCPConn)) })
		}
	})
	s.t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
}

// serve runs an sshd on one connection. It ends with the connection, or the test.
func (s *Server) serve(c *net.TCPConn) {
	f, err := c.File()
	c.Close() // f is the connection now
	if err != nil {
		return
	}
	defer f.Close()
	cmd := exec.CommandContext(s.t.Context(), s.binary, "-i", "-e", "-f", filepath.Join(s.dir, "config"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f, f, &s.log
	cmd.WaitDelay = 10 * time.Second // what it leaves behind may hold stderr open
	if err := cmd.Run(); err != nil && s.t.Context().Err() == nil {
		fmt.Fprintf(&s.log, "sshd -i ended: %v\n", err)
	}
}

// binary is where sshd is; it insists on being called by its whole path.
func binary(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"sshd", "/usr/sbin/sshd"} {
		if p, err := exec.LookPath(name); err == nil {
			if os.Getuid() == 0 {
				if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where it locks itself in, as its unit makes it
					t.Fatal(err)
				}
			}
			return p
		}
	}
	t.Fatal("sshd is missing; scripts/setup installs it")
	return ""
}

// comment marks the users that tests have made, so that nobody else's is taken away.
const comment = "sallyport test"

// addUsers adds those users that are not there, until the last test that
// shares them, in whatever process, is over.
func addUsers(t testing.TB, users []string) {
	t.Helper()
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "sallyport-test-users.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	hold := func(how int) error { return syscall.Flock(int(lock.Fd()), how) }
	if err := hold(syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer lock.Close()
		if hold(syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			return // another test has them, too, and will take them away
		}
		removeUsers(t)
	})
	for _, name := range users {
		addUser(t, name)
	}
}

// removeUsers takes away every user that tests have made: another test may have
// left its own, since this one was running.
func removeUsers(t testing.TB) {
	t.Helper()
	all, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(all)) {
		if field := strings.Split(line, ":"); len(field) > 4 && field[4] == comment {
			if out, err := exec.Command("userdel", "--force", field[0]).CombinedOutput(); err != nil {
				t.Errorf("removing user %s: %v\n%s", field[0], err, out)
			}
		}
	}
}

func addUser(t testing.TB, name string) {
	t.Helper()
	const taken = 9 // exit code of useradd
	cmd := exec.Command("useradd", "--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", "--password", "*", "--comment", comment, name)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == taken {
		return
	}
	if err != nil {
		t.Fatalf("adding user %s: %v\n%s", name, err, out)
	}
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// output is what a process says; it may be read while the process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

var _ io.Writer = (*output)(nil)

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
