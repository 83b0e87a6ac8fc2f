// Package faults runs the real server and harms it: it is killed, frozen,
// starved of disk and flooded, its key sources fail. A client of its own keeps
// a record of every answer, and after each harm everything is held against the
// log: every answer has its event, every event one effect, and read models
// that are built again equal those that lived.
//
// `go test` runs the scenarios that are short and need nothing of the machine;
// `make faults` runs all of them and prints the rows of docs/reliability.md.
package faults

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/e2e/ports"
	"sallyport.dev/e2e/program"
)

// patience bounds every wait for a server that is to come back.
const patience = 60 * time.Second

// server is a `sallyportd serve` in a folder of its own.
type server struct {
	t      testing.TB
	bin    string // folder of the programs
	home   string // configuration and keys
	data   string
	url    string
	issuer string
	tokens map[string]string // API tokens of people, by name
	before []string          // a command put in front of the program, such as strace
	// profiles is where the process tells of its heap and goroutines, for the soak.
	profiles string

	cmd   *exec.Cmd
	ended chan struct{}
	exit  error
	said  *said
}

// options change what a server is.
type options struct {
	data   string // where its data is; empty: below its folder
	config string // further lines of its configuration
	wait   string // between red and the end of listening, when it is stopped; empty: a moment
}

// newServer prepares a server and its people; it does not run yet.
func newServer(t testing.TB, o options) *server {
	t.Helper()
	s := &server{t: t, bin: binaries(t), home: t.TempDir(), data: o.data, tokens: map[string]string{}, said: &said{}}
	if s.data == "" {
		s.data = filepath.Join(s.home, "data")
	}
	addr := ports.Address(t)
	s.url, s.issuer = "http://"+addr, "http://"+addr+"/orgs/default"
	s.run("keys", "kek", "--out", s.path("kek.json"))
	config := fmt.Sprintf("listen: %s\nbase_url: %s\ndata_dir: %s\nkey_encryption_key_file: %s\n"+
		"trusted_proxies: [127.0.0.0/8]\nlog: {level: info, format: text}\n"+
		"rate_limits: {per_connection: 0}\nshutdown: {wait: %s}\n%s",
		addr, s.url, s.data, s.path("kek.json"), cmp.Or(o.wait, "100ms"), o.config)
	if err := os.WriteFile(s.path("config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for person, role := range map[string]string{"dana": "devops_admin", "sam": "security_admin", "audrey": "auditor"} {
		out := s.run("token", "create", "--config", s.path("config.yaml"), "--person", person, "--role", role, "--ttl", "48h")
		s.tokens[person] = strings.TrimSpace(out)
	}
	t.Cleanup(func() {
		s.signal(syscall.SIGCONT)
		s.kill()
		if t.Failed() {
			t.Logf("the server said:\n%s", s.said.tail(16<<10))
		}
	})
	return s
}

// binaries is the folder of the programs: SALLYPORT_BIN, or built now.
func binaries(t testing.TB) string {
	if dir := os.Getenv("SALLYPORT_BIN"); dir != "" {
		return dir
	}
	return program.Build(t)
}

func (s *server) path(name string) string { return filepath.Join(s.home, name) }

// run runs a command of sallyportd to its end and returns what it printed.
func (s *server) run(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, "sallyportd"), args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("sallyportd %s: %v\n%s", strings.Join(args, " "), err, said.String())
	}
	return out.String()
}

// start starts the process; it may not answer yet.
func (s *server) start() {
	s.t.Helper()
	line := append(append([]string{}, s.before...), filepath.Join(s.bin, "sallyportd"), "serve", "--config", s.path("config.yaml"))
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = s.said, s.said
	for _, v := range os.Environ() { // what is told to the tests is not meant for the server
		if !strings.HasPrefix(v, "SALLYPORT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	s.cmd, s.ended = cmd, ended
	go func() {
		s.exit = cmd.Wait()
		close(ended)
	}()
}

// up starts the server and returns how long it took until it was ready.
func (s *server) up() time.Duration {
	s.t.Helper()
	begun := time.Now()
	s.start()
	s.awaitReady()
	return time.Since(begun)
}

// awaitReady returns once /readyz says so.
func (s *server) awaitReady() {
	s.t.Helper()
	s.until("the server is ready", func() bool {
		select {
		case <-s.ended:
			s.t.Fatalf("the server ended before it was ready: %v\n%s", s.exit, s.said.tail(8<<10))
		default:
		}
		return s.ready() == http.StatusOK
	})
}

// probing asks without keeping a connection, so that a server that was killed is not mistaken for one that is slow.
var probing = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ready is the status of /readyz, 0 if there is no answer.
func (s *server) ready() int {
	res, err := probing.Get(s.url + "/readyz")
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// until asks again and again, and fails the test after a minute.
func (s *server) until(what string, is func() bool) {
	s.t.Helper()
	if !within(patience, is) {
		s.t.Fatalf("not within %s: %s\n%s", patience, what, s.said.tail(8<<10))
	}
}

// within asks again and again for at most d.
func within(d time.Duration, is func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(d); !is(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// pid is the server's own process, whatever was put in front of it; 0 if there is none.
func (s *server) pid() int {
	if s.cmd == nil {
		return 0
	}
	if len(s.before) == 0 {
		return s.cmd.Process.Pid
	}
	b, _ := os.ReadFile(filepath.Join(s.data, "lock"))
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// signal sends a signal to the server, if it runs.
func (s *server) signal(sig syscall.Signal) {
	if s.running() && s.pid() > 0 {
		_ = syscall.Kill(s.pid(), sig)
	}
}

func (s *server) running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// kill ends the server, and what was put in front of it, with no warning.
func (s *server) kill() {
	if !s.running() {
		return
	}
	s.signal(syscall.SIGKILL)
	if len(s.before) > 0 { // strace ends with what it traces
		select {
		case <-s.ended:
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		}
	}
	<-s.ended
}

// stop asks the server to stop, which must be in good order.
func (s *server) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	s.awaitStop()
}

// awaitStop waits for a server that was asked to stop.
func (s *server) awaitStop() {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatalf("the server did not stop within %s", patience)
	}
	if s.exit != nil {
		s.t.Fatalf("the server was asked to stop and ended with %v\n%s", s.exit, s.said.tail(8<<10))
	}
}

// awaitEnd returns how long the server took to end by itself, and its exit code.
func (s *server) awaitEnd(d time.Duration) (time.Duration, int) {
	s.t.Helper()
	begun := time.Now()
	select {
	case <-s.ended:
	case <-time.After(d):
		s.t.Fatalf("the server did not end by itself within %s\n%s", d, s.said.tail(8<<10))
	}
	var exit *exec.ExitError
	if errors.As(s.exit, &exit) {
		return time.Since(begun), exit.ExitCode()
	}
	return time.Since(begun), 0
}

// said is what a process says, the newest megabyte; it may be read while the process writes.
type said struct {
	mu sync.Mutex
	b  []byte
}

func (o *said) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.b = append(o.b, p...); len(o.b) > 2<<20 {
		o.b = append([]byte(nil), o.b[len(o.b)-1<<20:]...)
	}
	return len(p), nil
}

func (o *said) String() string { return o.tail(2 << 20) }

func (o *said) tail(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.b[max(0, len(o.b)-n):])
}

// person does one request of a person and decodes the answer, which must have the status.
func (s *server) person(who, method, path string, headers map[string]string, body any, status int) map[string]any {
	s.t.Helper()
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		send = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.issuer+path, send)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.tokens[who])
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	res, err := probing.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != status {
		s.t.Fatalf("%s %s answered %d, want %d: %s", method, path, res.StatusCode, status, b)
	}
	var doc map[string]any
	_ = json.Unmarshal(b, &doc)
	return doc
}

// trust drafts a connection as one person and activates it as another.
func (s *server) trust(name string, spec map[string]any) {
	s.t.Helper()
	spec["name"] = name
	draft := s.person("dana", http.MethodPost, "/v1/connections", nil, spec, http.StatusCreated)
	codes := []string{}
	if all, ok := draft["warnings"].([]any); ok {
		for _, x := range all {
			if x := x.(map[string]any); x["blocks"] == true {
				codes = append(codes, x["code"].(string))
			}
		}
	}
	s.person("sam", http.MethodPost, "/v1/connections/"+name+"/activate", map[string]string{"If-Match": `"1"`},
		map[string]any{"acknowledge": codes}, http.StatusOK)
}
