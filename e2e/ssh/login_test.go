package ssh_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/e2e/program"
)

// want holds how a command ended.
func (r result) want(t *testing.T, code int, out, errs string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.out, out) || !strings.Contains(r.err, errs) {
		t.Errorf("want exit %d, stdout with %q, stderr with %q; got %v", code, out, errs, r)
	}
}

// empty holds a folder to having nothing of ours left.
func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestLoggingIn logs in to a real sshd by the real programs.
func TestLoggingIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)

	t.Run("a command runs there, with its input, output and exit code", func(t *testing.T) {
		cmd := h.alice(t, "ssh", "web-1", "--account", "pamadmin1", "--", "cat; id -un >&2; exit 7")
		cmd.Stdin = strings.NewReader("hello")
		run(t, cmd).want(t, 7, "hello", h.first)
		empty(t, h.home)
	})
	t.Run("the only open account is taken", func(t *testing.T) {
		run(t, h.alice(t, "ssh", "web-1", "--", "id", "-un")).want(t, 0, h.first, "")
	})
	t.Run("arguments go as ssh passes them", func(t *testing.T) {
		run(t, h.alice(t, "ssh", "web-1", "--", "echo", "-n", "$HOME", "-oProxyCommand=x")).want(t, 0, "-oProxyCommand=x", "")
	})
	t.Run("a command that looks like an option is a command", func(t *testing.T) {
		pwned := filepath.Join(t.TempDir(), "pwned")
		r := run(t, h.alice(t, "ssh", "web-1", "--", "-oProxyCommand=touch "+pwned)) // sh there takes it for its own
		if _, err := os.Stat(pwned); err == nil || r.code == 0 || r.code == denied {
			t.Errorf("it was an option of ssh: %v", r)
		}
	})
	t.Run("what is not open says what is to be met", func(t *testing.T) {
		run(t, h.alice(t, "ssh", "web-1", "--account", "pamadmin2", "--", "true")).want(t, 3, "", "--request --justification")
	})
	t.Run("of several open ones nobody chooses for a program", func(t *testing.T) {
		r := run(t, h.alice(t, "ssh", "web-2", "--", "true"))
		r.want(t, 2, "", "--method web/either/ssh:pamadmin1")
		r.want(t, 2, "", "--method web/either/ssh:pamadmin2")
	})
	t.Run("a person at a terminal is asked", func(t *testing.T) {
		t.Run("and the number counts", func(t *testing.T) {
			cmd := command(t, "script", "-qec", "sallyport ssh web-2 -- 'id -un; echo done'", "/dev/null")
			cmd.Env = append(h.environment(h.server.Tokens["alice"]), "TERM=dumb")
			cmd.Stdin = strings.NewReader("9\n1\n")
			r := run(t, cmd)
			r.want(t, 0, "1  "+h.first, "")
			r.want(t, 0, "Number (1 to 2): ", "")
			r.want(t, 0, "done", "")
		})
		if h.sshd.RealUsers() {
			t.Run("and gets a terminal where no command is given", func(t *testing.T) {
				cmd := command(t, "script", "-qec", "sallyport ssh web-1", "/dev/null")
				cmd.Env = append(h.environment(h.server.Tokens["alice"]), "TERM=dumb")
				cmd.Stdin = strings.NewReader("tty\nexit 5\n")
				run(t, cmd).want(t, 5, "/dev/pts/", "")
			})
		}
	})
	t.Run("a terminal is asked for with -t alone", func(t *testing.T) {
		run(t, h.alice(t, "ssh", "web-1", "--", "tty")).want(t, 1, "not a tty", "")
	})
	t.Run("a server that shows another host key is not spoken to", func(t *testing.T) {
		run(t, h.alice(t, "ssh", "stolen", "--", "true")).want(t, 255, "", "Host key verification failed")
		empty(t, h.home)
	})
	t.Run("who is let in by no rule is refused", func(t *testing.T) {
		run(t, h.sallyport(t, h.server.Tokens["bob"], "ssh", "web-1", "--", "true")).want(t, 3, "", "access.refused")
		run(t, h.alice(t, "ssh", "web-9", "--", "true")).want(t, 3, "", "access.refused")
	})
	t.Run("what it lists", func(t *testing.T) {
		r := run(t, h.alice(t, "servers", "list"))
		for _, line := range []string{"web-1", h.sshd.Address(), "web/open/ssh:pamadmin1", "open", "web/asked/ssh:pamadmin2"} {
			r.want(t, 0, line, "")
		}
	})
	t.Run("a signal ends it, and nothing is left", func(t *testing.T) {
		cmd := h.alice(t, "ssh", "web-1", "--", "echo up; exec cat")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cmd.StdinPipe(); err != nil { // it stays open
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 255 && cmd.ProcessState.ExitCode() != 128+int(syscall.SIGTERM) {
			t.Errorf("it ended with %v", err)
		}
		empty(t, h.home)
	})
	t.Run("a workload logs in as its own user", func(t *testing.T) {
		args := []string{"ssh", "web-1", "--role", "deployer"}
		if login := h.sshd.Login("wl_deployer"); login != "wl_deployer" {
			args = append(args, "--login", login)
		}
		run(t, h.sallyport(t, h.workload(), append(args, "--", "id -un; exit 3")...)).want(t, 3, h.sshd.Login("wl_deployer"), "")
	})
}

func TestAskingForAnAccount(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ask := []string{"ssh", "web-1", "--account", "pamadmin2", "--request", "--justification", "INC-17"}
	with := func(args ...string) []string { return append(append([]string{}, ask...), args...) }
	r := run(t, h.alice(t, with("--", "true")...))
	r.want(t, 4, "", "waits for approval")
	id := strings.TrimSpace(r.out)
	if len(id) != 26 {
		t.Fatalf("the id of the request is not alone on stdout: %v", r)
	}
	run(t, h.alice(t, with("--", "true")...)).want(t, 4, id, "")
	run(t, h.alice(t, "ssh", "web-1", "--account", "pamadmin2", "--", "true")).want(t, 4, "", id)

	cmd := h.alice(t, with("--wait", "--login", h.sshd.Login("pamadmin2"), "--", "id", "-un")...)
	var errs strings.Builder
	waiting := make(chan struct{})
	cmd.Stderr = &told{to: &errs, word: "Waiting for the approval", seen: waiting}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-waiting:
	case <-time.After(within):
		t.Fatal("it does not say that it waits")
	}
	h.as("bob", "POST", "/access/requests/"+id+"/approve", doc{"comment": "go ahead"})
	got := make([]byte, 100)
	n, _ := out.Read(got)
	if err := cmd.Wait(); err != nil || strings.TrimSpace(string(got[:n])) != h.sshd.Login("pamadmin2") {
		t.Errorf("approved, it ended with %v, %q\n%s", err, got[:n], errs.String())
	}
	// Another account of the same server is as it was, and the same one is open now.
	run(t, h.alice(t, "servers", "list")).want(t, 0, "access request until", "")
	r = run(t, h.alice(t, "ssh", "web-1", "--account", "pamadmin2", "--login", h.sshd.Login("pamadmin2"), "--", "id", "-un"))
	r.want(t, 0, h.sshd.Login("pamadmin2"), "")
}

// told is a writer that closes seen when a word was written.
type told struct {
	to   *strings.Builder
	word string
	seen chan struct{}
	done bool
}

func (w *told) Write(p []byte) (int, error) {
	w.to.Write(p)
	if !w.done && strings.Contains(w.to.String(), w.word) {
		w.done = true
		close(w.seen)
	}
	return len(p), nil
}

// TestPlainSSH has ssh and scp fetch their certificates themselves.
func TestPlainSSH(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	r := run(t, h.alice(t, "ssh-config", "web-1", "web-2"))
	if r.code != 0 {
		t.Fatal(r)
	}
	config := filepath.Join(t.TempDir(), "config")
	write(t, config, r.out)
	plain := func(t *testing.T, name string, args ...string) *exec.Cmd {
		cmd := command(t, name, append([]string{"-F", config, "-o", "BatchMode=yes"}, args...)...)
		cmd.Env = h.environment(h.server.Tokens["alice"])
		return cmd
	}
	agents := filepath.Join(h.home, ".sallyport", "ssh")
	// left waits for the proxy, which ssh does not wait for, to take its agent away.
	left := func(t *testing.T) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(within); ; <-tick.C {
			left, err := filepath.Glob(filepath.Join(agents, "*.agent*"))
			if err == nil && len(left) == 0 {
				return
			}
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("left behind: %v, %v", left, err)
			}
		}
	}

	t.Run("ssh", func(t *testing.T) {
		run(t, plain(t, "ssh", h.first+"@web-1", "id -un; exit 9")).want(t, 9, h.first, "")
		left(t)
	})
	t.Run("scp there and back", func(t *testing.T) {
		dir, from, there := t.TempDir(), filepath.Join(t.TempDir(), "from"), "/tmp/sallyport-scp-"+filepath.Base(h.home)+h.sshd.Port
		write(t, from, "the file")
		run(t, plain(t, "scp", from, h.first+"@web-1:"+there)).want(t, 0, "", "")
		t.Cleanup(func() { os.Remove(there) })
		run(t, plain(t, "scp", h.first+"@web-1:"+there, filepath.Join(dir, "back"))).want(t, 0, "", "")
		if b, err := os.ReadFile(filepath.Join(dir, "back")); err != nil || string(b) != "the file" {
			t.Errorf("got %q, %v", b, err)
		}
		left(t)
	})
	t.Run("as somebody whom no method names nothing is granted", func(t *testing.T) {
		before := h.grants()
		run(t, plain(t, "ssh", "root@web-1", "true")).want(t, 255, "", "no access method for SSH on web-1 is yours as the user that ssh was told")
		if h.grants() != before {
			t.Error("something was granted")
		}
	})
	t.Run("several at once", func(t *testing.T) {
		results := make(chan result, 6)
		for range cap(results) {
			cmd := plain(t, "ssh", h.first+"@web-1", "id -un")
			go func() { results <- run(t, cmd) }()
		}
		for range cap(results) {
			(<-results).want(t, 0, h.first, "")
		}
	})
	t.Run("what an earlier one left does not matter", func(t *testing.T) {
		socket := filepath.Join(agents, "web-1."+h.first+".agent")
		write(t, socket, "left by one that was killed")
		run(t, plain(t, "ssh", h.first+"@web-1", "id -un")).want(t, 0, h.first, "")
		left(t)
	})
	t.Run("a folder that others can enter is refused", func(t *testing.T) {
		if err := os.Chmod(agents, 0o755); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(agents, 0o700)
		run(t, plain(t, "ssh", h.first+"@web-1", "true")).want(t, 255, "", "others have rights in")
	})
	t.Run("inside sallyport ssh nothing is granted twice", func(t *testing.T) {
		before := h.grants()
		cmd := h.alice(t, "ssh", "web-1", "--", "true")
		cmd.Env = append(cmd.Env, "PATH="+shadow(t, h, config)+":"+strings.TrimPrefix(cmd.Env[0], "PATH="))
		run(t, cmd).want(t, 0, "", "")
		if n := h.grants() - before; n != 1 {
			t.Errorf("%d certificates were granted, want one", n)
		}
	})
}

// shadow is a folder with an ssh that reads that configuration, where an address
// is a name of it: so the proxy is called, though our options are there, too.
func shadow(t *testing.T, h *house, config string) string {
	t.Helper()
	dir := t.TempDir()
	real, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "config"), strings.ReplaceAll(string(text), "originalhost web-1", "originalhost "+h.sshd.Host))
	write(t, filepath.Join(dir, "ssh"), "#!/bin/sh\nexec "+real+" -F "+filepath.Join(dir, "config")+" \"$@\"\n")
	if err := os.Chmod(filepath.Join(dir, "ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNamesThatAreOptions(t *testing.T) {
	t.Parallel()
	bin := &house{t: t, home: t.TempDir()}
	for _, host := range []string{
		"-oProxyCommand=touch pwned", "--", "web-1;touch pwned", "$(touch pwned)", "web-1 -oProxyCommand=x", "root@web-1", "web-1\nroot", "../web-1", "", ".", "[::1]", "fe80::1%eth0", "WEB-1", "web-1 ", "ssh://web-1",
	} {
		for _, args := range [][]string{{"ssh", "--", host, "--", "true"}, {"ssh", "--", host}, {"ssh-config", "--", host}, {"ssh-proxy", "--agent", "/tmp/x", "--", host}} {
			cmd := command(t, filepath.Join(program.Build(t), "sallyport"), args...)
			cmd.Dir = bin.home
			cmd.Env = []string{"SALLYPORT_ADDR=http://127.0.0.1:1", "SALLYPORT_TOKEN=x", "HOME=" + bin.home, "PATH=/usr/bin:/bin"}
			if r := run(t, cmd); r.code != 2 {
				t.Errorf("%q: %v", args, r)
			}
		}
	}
	empty(t, bin.home)
}
