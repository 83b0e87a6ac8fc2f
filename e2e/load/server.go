package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience bounds every wait for the server.
const patience = 2 * time.Minute

// server is a `sallyportd serve` with a data directory of its own.
type server struct {
	bin, dir string // dir holds configuration and data
	url      string
	pprof    string // address of its profiles
	jwksPort int    // of the providers
	said     bytes.Buffer

	cmd  *exec.Cmd
	done chan struct{}
	exit error
}

func (s *server) issuer() string { return s.url + "/orgs/" + org.String() }
func (s *server) config() string { return filepath.Join(s.dir, "config.yaml") }

// prepare writes the configuration, and the key-encryption key where there is none.
func (s *server) prepare(ctx context.Context) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	kek := filepath.Join(s.dir, "kek.json")
	if _, err := os.Stat(kek); err != nil {
		if _, err := s.command(ctx, "keys", "kek", "--out", kek); err != nil {
			return err
		}
	}
	config := fmt.Sprintf(`listen: %s
base_url: %s
data_dir: %s
key_encryption_key_file: %s
jwks: {private_cidrs: ["127.0.0.0/8"], ports: [%d]}
rate_limits: {per_address: 0, per_connection: 0}
pprof: {listen: "%s"}
log: {level: info, format: json}
`, strings.TrimPrefix(s.url, "http://"), s.url, s.dir, kek, max(s.jwksPort, 443), s.pprof)
	return os.WriteFile(s.config(), []byte(config), 0o600)
}

// command runs a command of sallyportd to its end and returns what it printed.
func (s *server) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.bin, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("sallyportd %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// start starts the process and returns how long it took until it was ready.
func (s *server) start(ctx context.Context) (time.Duration, error) {
	s.said.Reset()
	s.cmd = exec.CommandContext(ctx, s.bin, "serve", "--config", s.config())
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan struct{})
	s.done = done
	go func() {
		s.exit = s.cmd.Wait()
		close(done)
	}()
	client := &http.Client{Timeout: 5 * time.Second}
	for time.Since(begun) < patience {
		select {
		case <-done:
			return 0, fmt.Errorf("the server ended: %w\n%s", s.exit, s.said.String())
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
		answer, err := client.Get(s.url + "/readyz")
		if err != nil {
			continue
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return time.Since(begun), nil
		}
	}
	return 0, errors.New("the server is not ready: " + s.said.String())
}

// end sends a signal and waits for the process.
func (s *server) end(sig syscall.Signal) {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.cmd.Process.Signal(sig)
	<-s.done
}

// cpu is what the process has spent so far, user and system.
func (s *server) cpu() (time.Duration, error) { return processCPU(s.cmd.Process.Pid) }

// processCPU reads utime and stime of /proc/PID/stat: fields 14 and 15, in
// hundredths of a second on Linux.
func processCPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

var memory = regexp.MustCompile(`(?m)^(VmRSS|VmHWM):\s+(\d+) kB$`)

// resident is the process's memory now and at its highest, in bytes.
func (s *server) resident() (now, highest int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for _, m := range memory.FindAllSubmatch(b, -1) {
		n, _ := strconv.ParseInt(string(m[2]), 10, 64)
		if string(m[1]) == "VmRSS" {
			now = n << 10
		} else {
			highest = n << 10
		}
	}
	return now, highest, nil
}

// token makes an API token of a person.
func (s *server) token(ctx context.Context, person, role string) (string, error) {
	return s.command(ctx, "token", "create", "--config", s.config(), "--person", person, "--role", role, "--ttl", "24h")
}

// call makes a request of the organisation's API and decodes the answer into out.
func (s *server) call(ctx context.Context, client *http.Client, method, path, token, etag string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, s.issuer()+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	if etag != "" {
		r.Header.Set("If-Match", etag)
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, b)
	}
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// applied is the sequence of the last commit in the audit trail.
func (s *server) applied(ctx context.Context, auditor string) (uint64, error) {
	var page struct {
		Last string `json:"last_position"`
	}
	if err := s.call(ctx, http.DefaultClient, "GET", "/v1/audit?limit=1", auditor, "", nil, &page); err != nil {
		return 0, err
	}
	seq, _, _ := strings.Cut(page.Last, ".")
	return strconv.ParseUint(seq, 10, 64)
}

// freeAddress is an address of the loopback that nobody has.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
