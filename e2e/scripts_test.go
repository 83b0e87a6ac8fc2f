package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sallyport.dev/e2e/ports"
	"sallyport.dev/e2e/program"
	"sallyport.dev/e2e/sshd"
)

func TestMain(m *testing.M) { program.Main(m) }

// patience bounds every wait of a script for a program.
const patience = time.Minute

// TestScripts runs the real programs as people and jobs do; each file of
// scripts is one story.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	bin := program.Build(t)
	testscript.Run(t, testscript.Params{
		Dir: "scripts",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"ready":    ready,
			"answers":  answers,
			"prints":   prints,
			"mint":     mint,
			"freeport": func(ts *testscript.TestScript, neg bool, names []string) { freePort(t, ts, neg, names) },
			"expand":   expand,
			"setenv":   setenv,
			"mode":     mode,
			"sshd":     func(ts *testscript.TestScript, neg bool, users []string) { startSSHD(t, ts, neg, users) },
		},
	})
}

// exits CODE PROGRAM ARGS... wants exactly that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s %s exited with %d, want %s", args[1], strings.Join(args[2:], " "), got, args[0])
	}
}

// until calls f until it says that it is done.
func until(ts *testscript.TestScript, what string, f func() bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !f(); <-tick.C {
		if time.Now().After(deadline) {
			ts.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// ready FILE waits for the credentials of a dev server and sets ISSUER,
// JWKS_URL, MINT_URL, SALLYPORT_ADDR, and each person's token by their name in
// capitals.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready FILE")
	}
	var c program.Credentials
	until(ts, "the credentials in "+args[0], func() bool {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if errors.Is(err, os.ErrNotExist) {
			return false
		}
		ts.Check(err)
		ts.Check(json.Unmarshal(b, &c))
		return true
	})
	ts.Setenv("SALLYPORT_ADDR", c.BaseURL)
	ts.Setenv("ISSUER", c.Issuer)
	ts.Setenv("JWKS_URL", c.Provider.JWKSURL)
	ts.Setenv("MINT_URL", c.Provider.MintURL)
	for person, token := range c.Tokens {
		ts.Setenv(strings.ToUpper(person), token)
	}
}

// answers STATUS URL waits until the URL answers so.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: answers STATUS URL")
	}
	client := &http.Client{Timeout: 5 * time.Second}
	until(ts, args[1]+" answers "+args[0], func() bool {
		res, err := client.Get(args[1])
		if err != nil {
			return false
		}
		res.Body.Close()
		return strconv.Itoa(res.StatusCode) == args[0]
	})
}

// prints FILE TEXT waits until a program has written the text to the file.
func prints(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: prints FILE TEXT")
	}
	until(ts, args[0]+" has "+args[1], func() bool {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && strings.Contains(string(b), args[1])
	})
}

// mint FILE PATH [CLAIMS] has the demo provider sign claims and keeps the token.
func mint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: mint FILE PATH [CLAIMS]")
	}
	body := "{}"
	if len(args) == 3 {
		body = args[2]
	}
	client := &http.Client{Timeout: 10 * time.Second}
	res, err := client.Post(ts.Getenv("MINT_URL")+args[1], "application/json", strings.NewReader(body))
	ts.Check(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	ts.Check(err)
	var minted struct{ Token string }
	if err := json.Unmarshal(b, &minted); err != nil || minted.Token == "" {
		ts.Fatalf("minting: %s: %s", res.Status, b)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(minted.Token+"\n"), 0o600))
}

// freeport VARIABLE sets it to a port that nobody listens on.
func freePort(t *testing.T, ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport VARIABLE")
	}
	ts.Setenv(args[0], strconv.Itoa(ports.Take(t, 1)[0]))
}

// expand FILE puts the environment in place of $VARIABLES in a file.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// startSSHD is sshd USERS...: it runs a real sshd that trusts the SSH authority of the
// server whose credentials were read, until all scripts are over. It sets SSHD_PORT,
// SSHD_HOST_KEY, and for each user AS_<USER>: who a certificate for them logs in as.
func startSSHD(t *testing.T, ts *testscript.TestScript, neg bool, users []string) {
	if neg || len(users) == 0 {
		ts.Fatalf("usage: sshd USERS...")
	}
	client := &http.Client{Timeout: 10 * time.Second}
	res, err := client.Get(ts.Getenv("ISSUER") + "/ssh/ca.pub")
	ts.Check(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	ts.Check(err)
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("the keys of the SSH authority: %s: %s", res.Status, b)
	}
	server := sshd.Start(t, strings.Split(strings.TrimSpace(string(b)), "\n"), users...)
	ts.Setenv("SSHD_PORT", server.Port)
	ts.Setenv("SSHD_HOST_KEY", server.HostKeys[0])
	for _, user := range users {
		ts.Setenv("AS_"+strings.ToUpper(user), server.Login(user))
	}
}

// setenv VARIABLE FILE sets it to what a file (or stdout) holds, without the
// line break.
func setenv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: setenv VARIABLE FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// mode OCTAL FILE wants that mode.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", filepath.Base(args[1]), got, args[0])
	}
}
