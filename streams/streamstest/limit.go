package streamstest

import (
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// limitedProcess is set in a process that one test has for itself.
const limitedProcess = "SALLYPORT_TEST_LIMITED"

// Alone runs the calling test in a process of its own, and is true there; where
// it is false the test has nothing more to do. A limit of file sizes is the whole
// process's, the records of `go test` among them.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(limitedProcess) != "" {
		return true
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), limitedProcess+"=1")
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return false
}

// NoFileBeyond makes every write of this process behind size, in bytes, fail, as
// on a full disk, until the func returned is called. Only a test that is [Alone] may ask for it.
func NoFileBeyond(t *testing.T, size int64) (lift func()) {
	t.Helper()
	if os.Getenv(limitedProcess) == "" {
		t.Fatal("only a test in a process of its own may limit it")
	}
	signal.Ignore(syscall.SIGXFSZ) // the write fails instead
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	set := func(l syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	set(syscall.Rlimit{Cur: uint64(size), Max: was.Max})
	lift = func() { set(was) }
	t.Cleanup(lift)
	return lift
}
