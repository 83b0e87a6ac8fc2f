// Package program builds the real programs and runs them, for tests that must
// see what people and machines see: processes, files and sockets.
package program

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// ready bounds how long a server may take until it answers; a cold machine
// under the race detector needs seconds.
const ready = 60 * time.Second

var built struct {
	sync.Mutex
	dir string
	err error
}

// Main runs the tests of a package and removes what [Build] built for them:
// func TestMain(m *testing.M) { program.Main(m) }.
func Main(m *testing.M) {
	code := m.Run()
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		os.RemoveAll(built.dir) // what stays behind is in the folder for temporary files
	}
	os.Exit(code)
}

// Build builds sallyportd and sallyport as people get them and returns their
// folder. They are built once for each test process, whose TestMain calls [Main].
func Build(t testing.TB) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir == "" && built.err == nil {
		built.dir, built.err = build()
	}
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

func build() (string, error) {
	dir, err := os.MkdirTemp("", "sallyport-bin-*")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", dir+string(filepath.Separator), "sallyport.dev/cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return dir, nil
}

// Credentials is what sallyportd dev writes for its clients once it is ready.
type Credentials struct {
	BaseURL  string            `json:"base_url"`
	Org      string            `json:"org"`
	Issuer   string            `json:"issuer"`
	Tokens   map[string]string `json:"tokens"` // API tokens of people, by name
	Provider struct {
		Issuer  string `json:"issuer"`
		JWKSURL string `json:"jwks_url"`
		MintURL string `json:"mint_url"`
	} `json:"provider"`
}

// Server is a running sallyportd dev.
type Server struct {
	Credentials
	Dir  string // working folder of the process; its data is below
	File string // where the credentials are
	log  *output
}

// Dev starts sallyportd dev on free ports with data of its own and waits until
// it is ready. It is stopped when the test ends, and what it said is shown if
// the test failed.
func Dev(t testing.TB, args ...string) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{Dir: dir, File: filepath.Join(dir, "dev.json"), log: &output{}}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, filepath.Join(Build(t), "sallyportd"),
		append([]string{"dev", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--credentials", s.File}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, s.log, s.log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			fmt.Fprintf(s.log, "sallyportd ended by itself: %v\n", err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		if t.Failed() {
			t.Logf("sallyportd said:\n%s", s.log)
		}
	})
	if err := s.await(ended); err != nil {
		t.Fatal(err)
	}
	return s
}

// Said is everything the process has said so far, on both of its outputs.
func (s *Server) Said() string { return s.log.String() }

// await returns once the credentials are there, which are written whole when
// the server answers.
func (s *Server) await(ended <-chan struct{}) error {
	deadline := time.After(ready)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := os.ReadFile(s.File)
		switch {
		case err == nil:
			return json.Unmarshal(b, &s.Credentials)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		select {
		case <-ended:
			return errors.New("sallyportd ended before it was ready")
		case <-deadline:
			return fmt.Errorf("sallyportd was not ready within %s", ready)
		case <-tick.C:
		}
	}
}

// output is what a process says; it may be read while the process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

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
