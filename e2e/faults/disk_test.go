package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/e2e/ports"
)

var disks = []scenario{
	{"F06", "power loss: the image of the disk is copied at random moments", "0 acknowledged lost", false, powerLoss},
	{"F07", "every sync fails from some moment on (EIO)", "no answer of success after it, ends with an error within 10 s, does not start until the disk takes writes", false, syncFails},
	{"F09", "disk full, then freed", "503, reads go on, nothing damaged, goes on without a restart", false, diskFull},
	{"F11", "slow disk: a sync takes 200 ms, then 2 s", "the queue is bounded, nothing is lost, goes on at once after it", false, slowDisk},
}

// must runs a program that the long scenarios need and wants it to succeed.
func must(t testing.TB, program string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%s is missing: it comes with the Debian packages strace, util-linux, mount and e2fsprogs", program)
	}
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\n(this needs root and loop devices)", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// mount mounts what args say at a folder of the test's, until it ends.
func mount(t testing.TB, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, "mount", append(args, dir)...)
	t.Cleanup(func() { must(t, "umount", "-l", dir) })
	return dir
}

// syncing has every sync of a server of ours fail or wait, as strace says, from the outside.
func syncing(how string) []string {
	return []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:" + how}
}

// attach lays strace over a server that runs and returns what takes it off again.
func (s *server) attach(how string) (off func()) {
	s.t.Helper()
	line := append(syncing(how), "-p", fmt.Sprint(s.pid()))
	cmd := exec.Command(line[0], line[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("strace, of the Debian package of that name: %v", err)
	}
	s.until("strace is attached", func() bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid()))
		return strings.Contains(string(b), fmt.Sprintf("TracerPid:\t%d\n", cmd.Process.Pid))
	})
	return func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
	}
}

// syncFails lets the disk refuse to sync from a random moment on.
func syncFails(t *testing.T, _ bool) string {
	const rounds = 10
	s, c := world(t, options{})
	c.http = newClient(64, 10*time.Second)
	var longest time.Duration
	for range rounds {
		before := c.l.answered()
		ctx, cancel := context.WithCancel(t.Context())
		worked := make(chan error, 1)
		go func() { worked <- c.work(ctx, 8) }()
		s.until("the load is answered", func() bool { return c.l.answered() > before+20 })
		off := s.attach(fmt.Sprintf("error=EIO:when=%d+", 1+rand.IntN(50)))
		took, code := s.awaitEnd(20 * time.Second)
		off()
		cancel()
		if err := <-worked; err != nil {
			t.Fatal(err)
		}
		if code != 1 {
			t.Fatalf("the server ended with %d, want 1\n%s", code, s.said.tail(4<<10))
		}
		if !strings.Contains(s.said.tail(4<<10), "the log can no longer be written") {
			t.Fatalf("the server does not say why it ended:\n%s", s.said.tail(4<<10))
		}
		longest = max(longest, took)
		s.before = syncing("error=EIO")
		s.start()
		if _, code := s.awaitEnd(20 * time.Second); code != 1 {
			t.Fatalf("with a disk that takes no writes the server ended with %d, want 1\n%s", code, s.said.tail(4<<10))
		}
		s.before = nil
		s.up()
		if _, _, err := c.repeat(t.Context(), s.last()); err != nil {
			t.Fatal(err)
		}
	}
	if longest > 10*time.Second {
		t.Errorf("it took %s to end", longest)
	}
	return fmt.Sprintf("%d rounds: ended with 1 within %s, refused to start while the disk failed; %s", rounds, longest.Round(time.Millisecond), check(s, c.l))
}

// diskFull fills the file system that the data is on, and frees it.
func diskFull(t *testing.T, _ bool) string {
	const rounds = 5
	dir := mount(t, "-t", "tmpfs", "-o", "size=192m,mode=700", "tmpfs")
	s, c := world(t, options{data: filepath.Join(dir, "data")})
	c.http = newClient(64, 10*time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	worked := make(chan error, 1)
	go func() { worked <- c.work(ctx, 8) }()
	var red, back time.Duration
	for range rounds {
		before := c.l.answered()
		s.until("the load is answered", func() bool { return c.l.answered() > before+200 })
		ballast := filepath.Join(dir, "ballast")
		fill(t, ballast)
		begun := time.Now()
		s.until("it is not ready", func() bool { return s.ready() == http.StatusServiceUnavailable })
		red = max(red, time.Since(begun))
		if _, ok := s.get("/v1/audit?limit=10&order=desc", ""); !ok {
			t.Error("the trail is not answered while the disk is full")
		}
		breathe(ctx, time.Second)
		at := c.l.answered()
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		begun = time.Now()
		s.until("it goes on", func() bool { return c.l.answered() > at+8 && s.ready() == http.StatusOK })
		back = max(back, time.Since(begun))
	}
	cancel()
	if err := <-worked; err != nil {
		t.Fatal(err)
	}
	if !s.running() {
		t.Fatal("the server ended")
	}
	if _, _, err := c.repeat(t.Context(), s.last()); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d rounds: unready after %s, writes again %s after room was made, without a restart; %s; %s",
		rounds, red.Round(time.Millisecond), back.Round(time.Millisecond), c.l.statuses(), check(s, c.l))
}

// fill takes all the room there is.
func fill(t testing.TB, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 4096; size /= 2 {
		b := make([]byte, size)
		for {
			if _, err := f.Write(b); err != nil {
				break
			}
		}
	}
}

// slowDisk lets every sync wait.
func slowDisk(t *testing.T, _ bool) string {
	s, c := world(t, options{})
	c.http = newClient(300, patience)
	var said []string
	for _, slow := range []time.Duration{200 * time.Millisecond, 2 * time.Second} {
		off := s.attach(fmt.Sprintf("delay_enter=%d", slow.Microseconds()))
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		if err := c.work(ctx, 256); err != nil {
			t.Fatal(err)
		}
		cancel()
		p50, p99, n := c.l.quantiles()
		off()
		begun := time.Now()
		s.until("it goes on", func() bool {
			status, err := c.exchange(t.Context())
			return err == nil && status == http.StatusOK
		})
		said = append(said, fmt.Sprintf("%s: %d tokens, p50 %s, p99 %s, the next %s after it", slow, n,
			p50.Round(time.Millisecond), p99.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond)))
	}
	if _, _, err := c.repeat(t.Context(), s.last()); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("256 callers; %s; %s; %s", strings.Join(said, "; "), c.l.statuses(), check(s, c.l))
}

// powerLoss copies the image under a file system while the server is frozen at
// a random moment of its load: what was not synced is not in it, as if the
// power had gone. The copy is checked and started on.
func powerLoss(t *testing.T, _ bool) string {
	const rounds = 50
	image := filepath.Join(t.TempDir(), "disk")
	makeDisk(t, image)
	dir := mount(t, "-o", "loop", image)
	s, c := world(t, options{data: filepath.Join(dir, "data")})
	c.http = newClient(64, 10*time.Second)
	checks := 0
	var got checked
	for range rounds {
		before := c.l.answered()
		ctx, cancel := context.WithCancel(t.Context())
		worked := make(chan error, 1)
		go func() { worked <- c.work(ctx, 16) }()
		s.until("the load is answered", func() bool { return c.l.answered() > before+20 })
		breathe(ctx, rand.N(200*time.Millisecond))
		s.signal(syscall.SIGSTOP)
		cancel() // what was answered until now is in the record
		if err := <-worked; err != nil {
			t.Fatal(err)
		}
		got = c.l.lightning(t, s, image)
		checks++
		s.signal(syscall.SIGCONT)
		s.awaitReady()
	}
	if _, _, err := c.repeat(t.Context(), s.last()); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d images, each with all that was acknowledged: at the last %s; live: %s", checks, got, check(s, c.l))
}

func makeDisk(t testing.TB, image string) {
	t.Helper()
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(512 << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	must(t, "mkfs.ext4", "-q", "-F", image)
}

// lightning starts on a copy of the image as it is and holds the record against what is there.
func (l *ledger) lightning(t *testing.T, s *server, image string) (got checked) {
	copied := filepath.Join(t.TempDir(), "copy")
	must(t, "cp", "--sparse=always", image, copied)
	t.Run("image", func(t *testing.T) { // it is unmounted behind it
		must(t, "e2fsck", "-p", "-E", "journal_only", copied)
		dir := mount(t, "-o", "loop", copied)
		after := *s
		after.t, after.data, after.home, after.cmd, after.said = t, filepath.Join(dir, "data"), t.TempDir(), nil, &said{}
		after.move(s)
		after.up()
		after.stop()
		got = l.hold(t, readLog(t, after.data))
	})
	if err := os.Remove(copied); err != nil {
		t.Fatal(err)
	}
	return got
}

// move writes the configuration of another server for a copy of its data, at an address of its own.
func (s *server) move(from *server) {
	s.t.Helper()
	b, err := os.ReadFile(from.path("config.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	addr := ports.Address(s.t)
	config := strings.NewReplacer("listen: "+strings.TrimPrefix(from.url, "http://"), "listen: "+addr, "data_dir: "+from.data, "data_dir: "+s.data).Replace(string(b))
	if err := os.WriteFile(s.path("config.yaml"), []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.url = "http://" + addr
}
