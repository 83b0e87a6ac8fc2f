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
	listener net.Listener
	end      *time.Timer
	own      os.FileInfo // the socket, as it was made
}

// serveAgent serves the key with its certificate at socket, until [sshAgent.Close]
// or the certificate's end. Whatever an earlier one left there is replaced.
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
	go func() {
		for {
			conn, err := a.listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = agent.ServeAgent(oneKey{keys}, conn) // its end is the client's
			}()
		}
	}()
	return a, nil
}

// listen makes the socket under another name and renames it: so the old one is
// replaced in one step, and nobody finds one that they may not have found.
func (a *sshAgent) listen() error {
	temp := fmt.Sprintf("%s.%d", a.socket, os.Getpid())
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", temp)
	if err != nil {
		return err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	a.listener = l
	a.own, err = os.Lstat(temp)
	err = errors.Join(err, os.Chmod(temp, 0o600))
	if err == nil {
		err = os.Rename(temp, a.socket)
	}
	if err != nil {
		l.Close()
		os.Remove(temp)
	}
	return err
}

// Close ends the agent and takes its socket away, if it is still its own.
func (a *sshAgent) Close() {
	a.listener.Close()
	if a.end != nil {
		a.end.Stop()
	}
	if now, err := os.Lstat(a.socket); err == nil && os.SameFile(now, a.own) {
		os.Remove(a.socket)
	}
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
