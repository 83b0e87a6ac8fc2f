package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/e2e/program"
)

// process is a program that a test starts, stops, kills and starts again.
type process struct {
	t    testing.TB
	name string
	ns   string // network namespace; empty: the machine's own
	argv []string
	log  string // file that takes all it says, over all its lives

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
}

// start starts the program; it is killed when the test ends, however that ends.
func (p *process) start() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	argv := p.argv
	if p.ns != "" {
		argv = append([]string{"ip", "netns", "exec", p.ns}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "SALLYPORT_") })
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("starting %s: %v", p.name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() {
		_ = cmd.Wait() // most are killed; what they said is in the log
		close(ended)
	}()
}

// signal sends a signal to the program.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("sending %s to %s: %v", s, p.name, err)
	}
}

// wait returns when the program has ended.
func (p *process) wait() {
	p.t.Helper()
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	select {
	case <-ended:
	case <-time.After(within):
		p.t.Errorf("%s did not end within %s", p.name, within)
	}
}

// kill ends the program with no time for anything.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.wait()
}

// pause stops the program for so long, and lets it go on as if nothing were.
func (p *process) pause(d time.Duration) {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	time.Sleep(d)
	p.signal(syscall.SIGCONT)
}

// end kills the program if it still runs; for cleaning up.
func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Kill() // it may be ending just now
		<-p.ended
	}
}

// running tells whether the program has not ended.
func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// said is the end of what the program said.
func (p *process) said() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s said:\n%s", p.name, b[max(0, len(b)-4000):])
}

// last is the last line of it.
func (p *process) last() string {
	said := strings.TrimSpace(p.said())
	return said[strings.LastIndexByte(said, '\n')+1:]
}

var buildNATS sync.Once

// natsServer builds the NATS server of the version in go.mod, once, beside our
// own programs, and returns its path.
func natsServer(t testing.TB) string {
	t.Helper()
	path := filepath.Join(program.Build(t), "nats-server")
	buildNATS.Do(func() {
		cmd := exec.Command("go", "build", "-trimpath", "-o", path, "github.com/nats-io/nats-server/v2")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building the NATS server: %v\n%s", err, out)
		}
	})
	return path
}
