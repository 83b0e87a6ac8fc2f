package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"sallyport.dev/domain"
	"sallyport.dev/e2e/ports"
	"sallyport.dev/e2e/program"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// operated is a data directory of `sallyportd serve` and its configuration.
type operated struct {
	t                    *testing.T
	bin, dir, addr, file string
	cmd                  *exec.Cmd
	said                 bytes.Buffer
}

// operate makes the configuration, with more lines at its end.
func operate(t *testing.T, more string) *operated {
	t.Helper()
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	o := &operated{t: t, bin: program.Build(t), dir: t.TempDir(), addr: ports.Address(t)}
	o.file = filepath.Join(o.dir, "config.yaml")
	o.run(0, "keys", "kek", "--out", filepath.Join(o.dir, "kek.json"))
	o.configure(more)
	return o
}

func (o *operated) configure(more string) {
	o.t.Helper()
	text := fmt.Sprintf("listen: %s\nbase_url: http://%[1]s\ndata_dir: %s\nkey_encryption_key_file: %s\norganisations: [acme]\nlog: {level: warn, format: text}\n%s",
		o.addr, filepath.Join(o.dir, "data"), filepath.Join(o.dir, "kek.json"), more)
	if err := os.WriteFile(o.file, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// run runs sallyportd and wants that exit code; it returns stdout and stderr.
func (o *operated) run(code int, args ...string) (out, said string) {
	o.t.Helper()
	cmd := exec.Command(filepath.Join(o.bin, "sallyportd"), args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = o.dir, &stdout, &stderr
	_ = cmd.Run() // judged by its exit code
	if got := cmd.ProcessState.ExitCode(); got != code {
		o.t.Fatalf("sallyportd %s exited with %d, want %d:\n%s", strings.Join(args, " "), got, code, &stderr)
	}
	return stdout.String(), stderr.String()
}

// serve starts the server and returns when it is ready.
func (o *operated) serve() {
	o.t.Helper()
	o.said.Reset()
	o.cmd = exec.Command(filepath.Join(o.bin, "sallyportd"), "serve", "--config", o.file)
	o.cmd.Dir, o.cmd.Stdout, o.cmd.Stderr = o.dir, &o.said, &o.said
	if err := o.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	started := o.cmd
	o.t.Cleanup(func() { started.Process.Kill() }) // fails where it was stopped
	o.await("it is ready", func() bool { return o.status("/readyz") == http.StatusOK })
}

func (o *operated) stop() {
	o.t.Helper()
	if err := o.cmd.Process.Signal(os.Interrupt); err != nil {
		o.t.Fatal(err)
	}
	if err := o.cmd.Wait(); err != nil {
		o.t.Fatalf("the server stopped with %v:\n%s", err, &o.said)
	}
}

func (o *operated) status(path string) int {
	client := &http.Client{Timeout: 5 * time.Second}
	res, err := client.Get("http://" + o.addr + path)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

func (o *operated) await(what string, f func() bool) {
	o.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !f(); <-tick.C {
		if time.Now().After(deadline) {
			o.cmd.Process.Kill()
			o.cmd.Wait() // killed
			o.t.Fatalf("%s: not within %s; it said:\n%s", what, patience, &o.said)
		}
	}
}

// A standalone log moves into a cluster by a backup and a restore, from the same
// data directory, with everything that was in it; a backup of the cluster goes back.
func TestAStandaloneLogMovesIntoAClusterAndBack(t *testing.T) {
	t.Parallel()
	o := operate(t, "")
	o.run(0, "token", "create", "--config", o.file, "--person", "dana", "--role", "owner")
	keys, _ := o.run(0, "keys", "list", "--config", o.file, "-o", "json")
	o.run(0, "backup", "--config", o.file, "--out", "standalone.tar.zst")

	cluster := streamstest.StartCluster(t)
	o.configure(fmt.Sprintf("nats: {url: %q}\n", cluster.Nodes[0].URL))
	_, said := o.run(1, "serve", "--config", o.file)
	if !strings.Contains(said, "sallyportd restore") {
		t.Errorf("a standalone log is refused without saying how to move it: %s", said)
	}
	if err := os.Rename(filepath.Join(o.dir, "kek.json"), filepath.Join(o.dir, "right.json")); err != nil {
		t.Fatal(err)
	}
	o.run(0, "keys", "kek", "--out", filepath.Join(o.dir, "kek.json"))
	_, said = o.run(1, "restore", "--config", o.file, "--from", "standalone.tar.zst")
	if !strings.Contains(said, "another key-encryption key sealed them") {
		t.Errorf("the wrong key-encryption key is refused with %s", said)
	}
	if err := os.Rename(filepath.Join(o.dir, "right.json"), filepath.Join(o.dir, "kek.json")); err != nil {
		t.Fatal(err)
	}
	o.run(0, "restore", "--config", o.file, "--from", "standalone.tar.zst")
	o.serve()
	if got, _ := o.run(0, "keys", "list", "--config", o.file, "-o", "json"); got != keys {
		t.Errorf("the keys are %s, want %s", got, keys)
	}
	o.run(0, "token", "create", "--config", o.file, "--person", "zoe", "--role", "auditor")
	o.run(0, "backup", "--config", o.file, "--out", "cluster.tar.zst")
	o.stop()
	_, said = o.run(1, "restore", "--config", o.file, "--from", "standalone.tar.zst", "--allow-rollback")
	if !strings.Contains(said, "the cluster has a log of organisation acme") {
		t.Errorf("a log in a cluster is replaced: %s", said)
	}

	o.configure("")
	o.run(0, "restore", "--config", o.file, "--from", "cluster.tar.zst")
	if got, _ := o.run(0, "keys", "list", "--config", o.file, "-o", "json"); got != keys {
		t.Errorf("the keys are %s, want %s", got, keys)
	}
	if people, _ := o.run(0, "token", "list", "--config", o.file); !strings.Contains(people, "zoe") {
		t.Errorf("what was recorded in the cluster is not there: %s", people)
	}
}

// newerEvent is an event as a newer version writes it.
func newerEvent(typ string) []byte {
	b, err := domain.Envelope{
		ID: "01JD8Z3Y6T9V4K2M7Q5R1S0X8W", Type: typ, Source: "https://sallyport.example/orgs/acme", Subject: "connection/ci",
		Time: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Actor: "dana", CommitID: "01JD8Z3Y6T9V4K2M7Q5R1S0X8V", Data: json.RawMessage(`{}`),
	}.MarshalJSON()
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, "[%s]", b)
}

// newer are types that only a newer version knows.
var newer = []struct{ name, subject, typ string }{
	{"a new type", "org.acme.control", "connection.frozen"},
	{"a new meaning of a type", "org.acme.activity", "token.issued.v2"},
}

// publish writes a commit past the server, and tells at which sequence.
func publish(t *testing.T, url, subject string, body []byte) uint64 {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	ack, err := js.Publish(subject, body)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// An older program does not start on a log with an event that it cannot know:
// it says which, where, and that a newer version wrote it.
func TestAnOlderProgramDoesNotStartOnANewerLog(t *testing.T) {
	for _, x := range newer {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			o := operate(t, "")
			o.run(0, "token", "create", "--config", o.file, "--person", "dana", "--role", "owner")
			s, err := streams.StartServer(t.Context(), streams.ServerOptions{Dir: filepath.Join(o.dir, "data"), Listen: "127.0.0.1:0", Log: streamstest.Log(t)})
			if err != nil {
				t.Fatal(err)
			}
			at := publish(t, s.ClientURL(), x.subject, newerEvent(x.typ))
			s.Close()
			for _, command := range [][]string{{"serve"}, {"token", "list"}} {
				_, said := o.run(1, append(command, "--config", o.file)...)
				for _, part := range []string{x.typ, fmt.Sprintf("%d.0", at), "a newer version of Sallyport wrote it", "next: run the version that wrote it"} {
					if !strings.Contains(said, part) {
						t.Errorf("sallyportd %s does not say %q: %s", command[0], part, said)
					}
				}
			}
		})
	}
}

// While it runs, such an event stops the replica: unready, and nothing is served
// on the strength of a log that it does not understand.
func TestANewerEventStopsAnOlderReplica(t *testing.T) {
	t.Parallel()
	cluster := streamstest.StartCluster(t)
	o := operate(t, fmt.Sprintf("nats: {url: %q}\n", cluster.Nodes[0].URL))
	token, _ := o.run(0, "token", "create", "--config", o.file, "--person", "dana", "--role", "owner")
	o.serve()
	whoami := func() int {
		req, err := http.NewRequest(http.MethodGet, "http://"+o.addr+"/orgs/acme/v1/whoami", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
		res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
		if err != nil {
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := whoami(); got != http.StatusOK {
		t.Fatalf("before it, whoami answers %d", got)
	}
	publish(t, cluster.Nodes[1].URL, newer[1].subject, newerEvent(newer[1].typ))
	o.await("it is unready", func() bool { return o.status("/readyz") == http.StatusServiceUnavailable })
	if got := whoami(); got != http.StatusServiceUnavailable {
		t.Errorf("whoami answers %d, want 503", got)
	}
	if o.status("/livez") != http.StatusOK {
		t.Error("it does not live")
	}
	o.stop()
	if !strings.Contains(o.said.String(), newer[1].typ) || !strings.Contains(o.said.String(), "a newer version of Sallyport wrote it") {
		t.Errorf("it does not say why:\n%s", &o.said)
	}
}
