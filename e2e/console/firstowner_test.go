package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"sallyport.dev/e2e/program"
)

// link is how the first start prints where the first owner comes from.
var link = regexp.MustCompile(`(?m)^  (http\S+/enrol#sallyport_[\w-]{43})$`)

// TestFirstOwner runs owner.mjs, against a server that knows of nobody.
func TestFirstOwner(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real browser; go test without -short")
	}
	dir, base := t.TempDir(), "http://"+freeAddress(t) // passkeys are of a host's name
	config := fmt.Sprintf(`listen: %s
base_url: %s
data_dir: data
key_encryption_key_file: kek.json
organisations: [default]
shutdown: {wait: 0s}
`, base[len("http://"):], base)
	if err := os.WriteFile(filepath.Join(dir, "c.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	world, err := json.Marshal(map[string]any{
		"base_url": base, "link": serve(t, dir), "programs": program.Build(t), "config": "c.yaml", "dir": dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", "--test-reporter=spec", "owner.mjs")
	cmd.Env = append(os.Environ(), "SALLYPORT_CONSOLE="+string(world))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// freeAddress is one of localhost that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return "localhost:" + port
}

// serve starts sallyportd in a folder with its c.yaml, and is the link that it
// prints. What it logs is looked through for the link's secret when it has ended.
func serve(t *testing.T, dir string) string {
	t.Helper()
	sallyportd := filepath.Join(program.Build(t), "sallyportd")
	made := exec.Command(sallyportd, "keys", "kek", "--out", "kek.json")
	made.Dir = dir
	if out, err := made.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var logged bytes.Buffer
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, sallyportd, "serve", "--config", "c.yaml")
	cmd.Dir, cmd.Stderr = dir, &logged
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	prints, err := os.Create(filepath.Join(dir, "printed.txt"))
	if err == nil {
		cmd.Stdout = prints
		err = cmd.Start()
	}
	if err != nil {
		stop()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }() // stopped by us, or else the test waits for what it prints
	t.Cleanup(func() {
		stop()
		<-ended
		prints.Close()
		if bytes.Contains(logged.Bytes(), []byte("sallyport_")) {
			t.Error("a secret is in the server's log")
		}
		if t.Failed() {
			t.Logf("sallyportd said:\n%s", logged.Bytes())
		}
	})
	return printed(t, prints.Name(), ended)
}

// printed waits until a link stands in what the server prints.
func printed(t *testing.T, file string, ended <-chan struct{}) string {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		said, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if m := link.FindSubmatch(said); m != nil {
			return string(m[1])
		}
		select {
		case <-ended:
			t.Fatalf("sallyportd ended before it printed a link: %s", said)
		case <-deadline:
			t.Fatalf("no link was printed within a minute: %s", said)
		case <-tick.C:
		}
	}
}
