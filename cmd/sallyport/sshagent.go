package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"sallyport.dev/cmd/internal/cli"
)

// sshKey is a key made for one certificate. Its private half is in memory alone.
type sshKey struct {
	private ed25519.PrivateKey
	public  string // authorized_keys form
	wire    []byte
}

func newSSHKey() (*sshKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return &sshKey{private, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))), k.Marshal()}, nil
}

// certificate reads what the server signed, and makes sure that it is a user
// certificate for this key.
func (k *sshKey) certificate(text string) (*ssh.Certificate, error) {
	wrong := cli.Fail("check that SALLYPORT_ADDR names a Sallyport server", "the server's answer holds no certificate for the key that was sent")
	parsed, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil || len(rest) > 0 {
		return nil, wrong
	}
	c, ok := parsed.(*ssh.Certificate)
	if !ok || c.CertType != ssh.UserCert || string(c.Key.Marshal()) != string(k.wire) {
		return nil, wrong
	}
	return c, nil
}

// errKeeps is what the agent answers to whoever wants it to hold anything else.
var errKeeps = errors.New("this agent holds one certificate and takes no other")

// oneKey is an agent that shows one key with its certificate and signs with it,
// until that ends, and does nothing else.
type oneKey struct{ agent.Agent }

// Add refuses: see [errKeeps]. So do the others.
func (oneKey) Add(agent.AddedKey) error { return errKeeps }

// Remove refuses.
func (oneKey) Remove(ssh.PublicKey) error { return errKeeps }

// RemoveAll refuses.
func (oneKey) RemoveAll() error { return errKeeps }

// Lock refuses.
func (oneKey) Lock([]byte) error { return errKeeps }

// Unlock refuses.
func (oneKey) Unlock([]byte) error { return errKeeps }

// sshAgent serves one key at a socket that its owner alone can reach.
type sshAgent struct {
	socket   string
	listener *net.UnixListener
	end      *time.Timer
	clients  sync.WaitGroup // who is served, and the loop that lets them in
	closed   sync.Once
	leave    func() // what is done before it closes; nil is nothing
}

// serveAgent serves the key with its certificate at socket, until [sshAgent.Close]
// or the certificate's end. Whatever was left there is replaced. The socket's
// folder is nobody else's.
func serveAgent(socket string, k *sshKey, c *ssh.Certificate) (*sshAgent, error) {
	lives := time.Until(time.Unix(int64(min(c.ValidBefore, 1<<40)), 0)) //nolint:gosec // bounded
	if lives < time.Second {
		return nil, cli.Fail("compare this machine's clock with the server's", "the certificate has ended already, by this machine's clock")
	}
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: k.private, Certificate: c, LifetimeSecs: uint32(lives / time.Second)}); err != nil { //nolint:gosec // minutes
		return nil, fmt.Errorf("putting the key into the agent: %w", err)
	}
	a := &sshAgent{socket: socket}
	if err := a.listen(); err != nil {
		return nil, cli.Fail("check that its folder is yours alone and may be written to", "the agent cannot listen at %s: %v", socket, err)
	}
	a.end = time.AfterFunc(lives, a.Close)
	a.clients.Go(func() {
		for {
			conn, err := a.listener.Accept()
			if err != nil {
				return
			}
			a.clients.Go(func() {
				defer conn.Close()
				_ = agent.ServeAgent(oneKey{keys}, conn) // its end is the client's
			})
		}
	})
	return a, nil
}

func (a *sshAgent) listen() error {
	if err := os.Remove(a.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: a.socket, Net: "unix"})
	if err != nil {
		return err
	}
	a.listener = l
	return os.Chmod(a.socket, 0o600)
}

// Close ends the agent and takes its socket away.
func (a *sshAgent) Close() {
	a.closed.Do(func() {
		if a.end != nil {
			a.end.Stop()
		}
		if a.leave != nil {
			a.leave()
		}
		a.listener.Close() // removes the socket
	})
}

// shareAgent serves the key at path, for ssh that a configuration has look there.
// Several may run at once: each has a socket of its own, path is a link to one of
// them, and who leaves hands it to one that stays. So an ssh may be shown another
// one's certificate, which is for the same account, and never none.
func shareAgent(path string, k *sshKey, c *ssh.Certificate) (*sshAgent, error) {
	return shareAgentAs(path, os.Getpid(), k, c)
}

// shareAgentAs is shareAgent with a number that no other agent of path has.
func shareAgentAs(path string, n int, k *sshKey, c *ssh.Certificate) (*sshAgent, error) {
	a, err := serveAgent(fmt.Sprintf("%s.%d", path, n), k, c)
	if err != nil {
		return nil, err
	}
	if err := locked(path, func() error { return point(path, a.socket) }); err != nil {
		a.Close()
		return nil, cli.Fail("check that its folder is yours alone and may be written to", "the agent cannot be found at %s: %v", path, err)
	}
	a.leave = func() {
		_ = locked(path, func() error { return a.handOver(path) }) // ssh finds a dead one then, and is refused
		a.drain()
	}
	return a, nil
}

// handOver has path lead to another agent that lives, or takes it away.
func (a *sshAgent) handOver(path string) error {
	if now, err := os.Readlink(path); err != nil || now != a.socket {
		return err // another one's already
	}
	others, err := filepath.Glob(quoteGlob(path) + ".[0-9]*")
	if err != nil {
		return err
	}
	for _, other := range others {
		if other == a.socket {
			continue
		}
		if conn, err := net.Dial("unix", other); err == nil {
			conn.Close()
			return point(path, other)
		}
		os.Remove(other) // of one that was killed
	}
	return os.Remove(path)
}

// quoteGlob is a path in which nothing is a pattern.
func quoteGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// drainTime bounds how long an agent that leaves still serves who found it before.
const drainTime = 5 * time.Second

// drain lets in who is at the door already, and serves them to their end.
func (a *sshAgent) drain() {
	_ = a.listener.SetDeadline(time.Now().Add(100 * time.Millisecond))
	done := make(chan struct{})
	go func() {
		a.clients.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drainTime):
	}
}

// point has path lead to socket, in one step.
func point(path, socket string) error {
	temp := fmt.Sprintf("%s.new-%d", path, os.Getpid())
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(socket, temp); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// locked does what only one process may do at a time in the folder of path.
func locked(path string, do func() error) error {
	lock, err := os.OpenFile(filepath.Join(filepath.Dir(path), ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return do()
}

// privateFolder makes the folder of an agent, unless it is there, and makes sure
// that nobody else can reach into it: it is no link, it is ours, and nobody else has any right.
func privateFolder(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", dir)
	case !ok || int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to somebody else", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others have rights in %s: chmod 700 it", dir)
	}
	return nil
}
