package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"sallyport.dev/cmd/internal/cli"
)

// signer is a key that plays the authority.
func signer(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// certify is a certificate for a key, in authorized_keys form, changed by change.
func certify(t *testing.T, k *sshKey, change func(*ssh.Certificate)) string {
	t.Helper()
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.public))
	if err != nil {
		t.Fatal(err)
	}
	c := &ssh.Certificate{
		Key: public, CertType: ssh.UserCert, ValidPrincipals: []string{"pamadmin1"},
		ValidAfter: uint64(time.Now().Add(-time.Minute).Unix()), ValidBefore: uint64(time.Now().Add(time.Minute).Unix()),
	}
	if change != nil {
		change(c)
	}
	if err := c.SignCert(rand.Reader, signer(t)); err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(c))
}

func newTestKey(t *testing.T) *sshKey {
	t.Helper()
	k, err := newSSHKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNothingThatTheServerAnswersBecomesAnOption(t *testing.T) {
	k := newTestKey(t)
	hostKey := newTestKey(t).public
	answer := func(change func(map[string]any)) json.RawMessage {
		doc := map[string]any{"certificate": certify(t, k, nil), "username": "pamadmin1", "address": "192.0.2.7", "port": 22, "host_keys": []string{hostKey + " a comment"}}
		change(doc)
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, address := range []string{"192.0.2.7", "2001:db8::7", "web-1.internal.example.com", "web_1", "localhost"} {
		l, err := readLogin(answer(func(d map[string]any) { d["address"] = address }), "web-1", k)
		if err != nil || l.address != address || len(l.hostKeys) != 1 || l.hostKeys[0] != hostKey {
			t.Errorf("%s: %+v, %v", address, l, err)
			continue
		}
		args := l.arguments("pamadmin1", false, []string{"-x"})
		if i := slices.Index(args, "--"); i < 0 || args[i+1] != address || args[i+2] != "-x" {
			t.Errorf("ssh is called with %q", args)
		}
	}
	member := func(name string, value any) func(map[string]any) {
		return func(d map[string]any) { d[name] = value }
	}
	for name, change := range map[string]func(map[string]any){
		"an address that is an option":        member("address", "-oProxyCommand=touch pwned"),
		"an address with a user":              member("address", "root@192.0.2.7"),
		"an address that is a URL":            member("address", "ssh://192.0.2.7"),
		"an address of two words":             member("address", "web-1 -oProxyCommand=x"),
		"an address with a command":           member("address", "$(touch pwned)"),
		"an address of two lines":             member("address", "web-1\n"),
		"an address with a zone":              member("address", "fe80::1%$(id)"),
		"an address in brackets":              member("address", "[2001:db8::7]"),
		"no address":                          member("address", ""),
		"no port":                             member("port", 0),
		"a port that is none":                 member("port", 65536),
		"a user that is an option":            member("username", "-oProxyCommand=x"),
		"a user with a command":               member("username", "a;id"),
		"a user whom the certificate has not": member("username", "root"),
		"a user of the certificate's who is a command": func(d map[string]any) {
			d["username"] = "a;id"
			d["certificate"] = certify(t, k, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"a;id"} })
		},
		"a host key of two lines":         member("host_keys", []string{hostKey + "\n* " + hostKey}),
		"a host key with options":         member("host_keys", []string{`no-pty ` + hostKey}),
		"a host key that is none":         member("host_keys", []string{"@cert-authority * " + hostKey}),
		"no certificate":                  member("certificate", ""),
		"a key in place of a certificate": member("certificate", hostKey),
		"a certificate for another key":   member("certificate", certify(t, newTestKey(t), nil)),
		"two certificates":                member("certificate", certify(t, k, nil)+certify(t, k, nil)),
		"a certificate for a host":        member("certificate", certify(t, k, func(c *ssh.Certificate) { c.CertType = ssh.HostCert })),
		"a certificate for two users":     member("certificate", certify(t, k, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"pamadmin1", "root"} })),
		"a certificate for every user":    member("certificate", certify(t, k, func(c *ssh.Certificate) { c.ValidPrincipals = nil })),
	} {
		t.Run(name, func(t *testing.T) {
			if l, err := readLogin(answer(change), "web-1", k); err == nil {
				t.Errorf("it was taken: %+v", l)
			}
		})
	}
}

func TestAnAgentIsItsOwners(t *testing.T) {
	dir := t.TempDir()
	safe := filepath.Join(dir, "new", "ssh")
	if err := privateFolder(safe); err != nil {
		t.Fatal(err)
	}
	if err := privateFolder(safe); err != nil {
		t.Errorf("a folder that is there already: %v", err)
	}
	open, link, file := filepath.Join(dir, "open"), filepath.Join(dir, "link"), filepath.Join(dir, "file")
	err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o750), os.Symlink(safe, link), os.WriteFile(file, nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, unsafe := range []string{open, link, file} {
		if err := privateFolder(unsafe); err == nil {
			t.Errorf("%s is taken for a private folder", unsafe)
		}
	}
	made, err := agentFolder()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(made)
	if err := privateFolder(made); err != nil {
		t.Errorf("the folder of an agent is not private: %v", err)
	}
}

func TestAnAgentHasOneKeyAndTakesNoOther(t *testing.T) {
	k, socket := newTestKey(t), filepath.Join(t.TempDir(), "agent")
	victim := filepath.Join(t.TempDir(), "victim")
	if err := errors.Join(os.WriteFile(victim, []byte("mine"), 0o600), os.Symlink(victim, socket)); err != nil {
		t.Fatal(err)
	}
	c, err := k.certificate(certify(t, k, nil))
	if err != nil {
		t.Fatal(err)
	}
	a, err := serveAgent(socket, k, c)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "mine" {
		t.Errorf("what a link led to is %q now, %v", b, err)
	}
	info, err := os.Lstat(socket)
	if err != nil || info.Mode().Type() != os.ModeSocket || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := agent.NewClient(conn)
	keys, err := client.List()
	if err != nil || len(keys) != 1 || keys[0].Format != ssh.CertAlgoED25519v01 {
		t.Fatalf("it shows %v, %v", keys, err)
	}
	if _, err := client.Sign(c, []byte("data")); err != nil {
		t.Errorf("it does not sign: %v", err)
	}
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	for name, err := range map[string]error{
		"add": client.Add(agent.AddedKey{PrivateKey: other}), "remove": client.Remove(c), "remove all": client.RemoveAll(),
		"lock": client.Lock([]byte("x")), "unlock": client.Unlock([]byte("x")),
	} {
		if err == nil {
			t.Errorf("it lets a client %s", name)
		}
	}
	a.Close()
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("closed, its socket is still there: %v", err)
	}
}

// TestWhoSharesASocketFindsAnAgent has agents come and go at one path while
// clients ask there: each is served, whoever leaves meanwhile.
func TestWhoSharesASocketFindsAnAgent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent")
	serve := func(n int) *sshAgent {
		k := newTestKey(t)
		c, err := k.certificate(certify(t, k, nil))
		if err != nil {
			t.Fatal(err)
		}
		a, err := shareAgentAs(path, n, k, c)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	write := func(file string) { // of one that was killed
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path + ".1")
	write(path)
	stays := serve(2)
	stop, asked := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				asked <- nil
				return
			default:
			}
			conn, err := net.Dial("unix", path)
			if err == nil {
				var keys []*agent.Key
				if keys, err = agent.NewClient(conn).List(); err == nil && len(keys) != 1 {
					err = fmt.Errorf("it shows %d keys", len(keys))
				}
				conn.Close()
			}
			if err != nil {
				asked <- err
				return
			}
		}
	}()
	for n := range 5 {
		guest := serve(10 + n)
		guest.Close()
	}
	close(stop)
	if err := <-asked; err != nil {
		t.Errorf("a client found no agent: %v", err)
	}
	stays.Close()
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAnAgentEndsWithItsCertificate(t *testing.T) {
	k, socket := newTestKey(t), filepath.Join(t.TempDir(), "agent")
	ends := func(in time.Duration) *ssh.Certificate {
		c, err := k.certificate(certify(t, k, func(c *ssh.Certificate) { c.ValidBefore = uint64(time.Now().Add(in).Unix()) }))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if _, err := serveAgent(socket, k, ends(-time.Minute)); err == nil {
		t.Error("one that has ended is served")
	}
	a, err := serveAgent(socket, k, ends(3*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		if _, err := os.Lstat(socket); errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the agent outlives its certificate")
		}
	}
}

// methods for choosing among: two open ones, one that somebody has to approve,
// and one that reveals a password.
func someMethods(open ...bool) (all []sshMethod) {
	for i, o := range open {
		n := fmt.Sprintf("pamadmin%d", i+1)
		m := sshMethod{ID: "web/rule/ssh:" + n, Kind: "ssh", Account: n, Username: fmt.Sprintf("user%d", i+1), Open: o}
		if !o {
			m.Conditions = []sshCondition{{Type: "access_request", Description: "prod-access has to be approved"}}
		}
		all = append(all, m)
	}
	return append(all, sshMethod{ID: "web/rule/reveal_password:pamadmin1", Kind: "reveal_password", Account: "pamadmin1", Open: true})
}

func TestWhichMethodIsChosen(t *testing.T) {
	for name, tt := range map[string]struct {
		open  []bool
		flags sshFlags
		want  string // account, or what the error says
		exit  int
	}{
		"the only one":                         {[]bool{true}, sshFlags{}, "pamadmin1", 0},
		"the only one, though it is not open":  {[]bool{false}, sshFlags{}, "pamadmin1", 0},
		"the only open one":                    {[]bool{false, true, false}, sshFlags{}, "pamadmin2", 0},
		"the account that is named":            {[]bool{true, true}, sshFlags{account: "pamadmin2"}, "pamadmin2", 0},
		"one that is not open, if it is named": {[]bool{true, false}, sshFlags{account: "pamadmin2"}, "pamadmin2", 0},
		"the method that is named":             {[]bool{true, true}, sshFlags{method: "web/rule/ssh:pamadmin1"}, "pamadmin1", 0},
		"the user that is named":               {[]bool{true, true}, sshFlags{user: "user2"}, "pamadmin2", 0},
		"of two open ones none":                {[]bool{true, true, false}, sshFlags{}, "2 access methods", cli.ExitUsage},
		"of two that are not open none":        {[]bool{false, false}, sshFlags{}, "2 access methods", cli.ExitUsage},
		"an account by its user":               {[]bool{true, true}, sshFlags{account: "user2"}, "pamadmin2", 0},
		"a user by the account":                {[]bool{true, true}, sshFlags{user: "pamadmin2"}, "the account pamadmin2 of web-1 is the user user2 there", cli.ExitDenied},
		"an account that is not there":         {[]bool{true}, sshFlags{account: "root"}, "with that --account", cli.ExitDenied},
		"a method that reveals a password":     {[]bool{true}, sshFlags{method: "web/rule/reveal_password:pamadmin1"}, "with that --method", cli.ExitDenied},
		"a user who is nobody":                 {[]bool{true}, sshFlags{user: "-"}, "as the user that ssh was told", cli.ExitDenied},
		"where there is none":                  {nil, sshFlags{}, "no access method for SSH", cli.ExitDenied},
	} {
		t.Run(name, func(t *testing.T) {
			a := &app{IO: cli.IO{In: strings.NewReader("1\n"), Err: &bytes.Buffer{}}}
			c := &cobra.Command{}
			c.SetContext(t.Context())
			m, err := a.choose(c, &tt.flags, "web-1", someMethods(tt.open...))
			var told *cli.Error
			if tt.exit == 0 && (err != nil || m.Account != tt.want) {
				t.Errorf("got %+v, %v", m, err)
			}
			if tt.exit != 0 && (!errors.As(err, &told) || told.Exit != tt.exit || !strings.Contains(told.Message, tt.want)) {
				t.Errorf("got %+v, %v", m, err)
			}
		})
	}
}

func TestAskingForANumber(t *testing.T) {
	for in, want := range map[string]int{"2\n": 2, "x\n0\n3\n-1\n1\n": 1, "": 0, "2": 2, "\n\n": 0} {
		a := &app{IO: cli.IO{In: strings.NewReader(in), Err: &bytes.Buffer{}}}
		if got := a.number(2); got != want {
			t.Errorf("%q is %d, want %d", in, got, want)
		}
	}
	rest := strings.NewReader("1\nfor the shell")
	(&app{IO: cli.IO{In: rest, Err: &bytes.Buffer{}}}).number(2)
	if rest.Len() != len("for the shell") {
		t.Errorf("%d bytes are left of what is for ssh", rest.Len())
	}
}

func TestShellWords(t *testing.T) {
	for want, words := range map[string][]string{
		"/usr/bin/sallyport ssh-proxy --user pamadmin1 web-1": {"/usr/bin/sallyport", "ssh-proxy", "--user", "pamadmin1", "web-1"},
		`'/home/o'\''brien/my files/x' '' '$(id)' a%%b`:       {"/home/o'brien/my files/x", "", "$(id)", "a%b"},
	} {
		if got := shellWords(words); got != want {
			t.Errorf("%q is %s, want %s", words, got, want)
		}
	}
}

func TestAConfigurationHasNothingOfWhatAServerMayNotBeCalled(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"resources":[
			{"name":"web-1","address":"192.0.2.7","port":22,"host_keys":["ssh-ed25519 AAAA"],"methods":[{"kind":"ssh","username":"pamadmin1"},{"kind":"reveal_password","username":"x"}]},
			{"name":"web-2","methods":[{"kind":"ssh","username":"a"},{"kind":"ssh","username":"b"}]},
			{"name":"web-6","methods":[{"kind":"ssh","username":"a","account":"b"},{"kind":"ssh","username":"b","account":"dba","open":true}]},
			{"name":"web-3\n    ProxyCommand touch pwned","methods":[{"kind":"ssh","username":"a"}]},
			{"name":"web-4","methods":[{"kind":"ssh","username":"a\n    ProxyCommand touch pwned"}]},
			{"name":"web-5","methods":[{"kind":"reveal_password","username":"a"}]},
			{"name":"*","methods":[{"kind":"ssh","username":"a"}]}]}`)
	}))
	defer s.Close()
	code, out, errs := run(t, map[string]string{"SALLYPORT_ADDR": s.URL, "SALLYPORT_TOKEN": "x"}, "ssh-config", "--dir", "/home/me/.sallyport/ssh")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{
		"Host web-1\n    User pamadmin1\n", "Match originalhost web-1 user pamadmin1\n", " --user pamadmin1 --agent /home/me/.sallyport/ssh/web-1.pamadmin1.agent web-1\n",
		`IdentityAgent "/home/me/.sallyport/ssh/web-1.pamadmin1.agent"`, "StrictHostKeyChecking yes", "Host web-2\n    HostKeyAlias", "Match originalhost web-2 user b\n",
		"Host web-6\n    User b\n", "Match originalhost web-6 user dba\n", " --user dba --agent ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
	for _, never := range []string{"pwned", "web-3", "web-4", "web-5", "Host *", "user x"} {
		if strings.Contains(out, never) {
			t.Errorf("it has %q:\n%s", never, out)
		}
	}
}

func TestAChildEndsAsItEnds(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -TERM $$": 143} {
		var out bytes.Buffer
		a := &app{IO: cli.IO{In: strings.NewReader("in"), Out: &out, Err: &out}}
		err := a.runChild(exec.Command("sh", "-c", script))
		var exit cli.Exit
		if want == 0 && err != nil || want != 0 && (!errors.As(err, &exit) || int(exit) != want) {
			t.Errorf("%s: %v, want %d", script, err, want)
		}
	}
}
