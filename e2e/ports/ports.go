// Package ports gives tests TCP ports for programs that must be told theirs
// before they start, because others are told the same: a cluster's peers, a
// configuration file, a public address.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Ports are taken from here: above what services of the machine have, and below
// what systems give to outgoing connections (32768 and up on Linux). A port from
// the system's own range, asked for with :0 and let go again, may be the local
// end of somebody's connection by the time the program listens.
const first, end = 10000, 32768

// Take takes n ports of the loopback that nobody listens on. They belong to the
// test until it ends, also towards other test processes, while programs come and
// go on them: a file in the folder for temporary files is locked for each.
func Take(t testing.TB, n int) (taken []int) {
	t.Helper()
	dir := filepath.Join(os.TempDir(), "sallyport-ports")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	start := rand.IntN(end - first)
	for i := 0; i < end-first && len(taken) < n; i++ {
		port := first + (start+i)%(end-first)
		if lock := claim(t, filepath.Join(dir, strconv.Itoa(port))); lock == nil {
			continue
		} else if !free(port) {
			lock.Close()
		} else {
			t.Cleanup(func() { lock.Close() })
			taken = append(taken, port)
		}
	}
	if len(taken) < n {
		t.Fatalf("found %d free ports from %d to %d, want %d", len(taken), first, end-1, n)
	}
	return taken
}

// Address takes a port and returns it as an address, "127.0.0.1:PORT".
func Address(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", Take(t, 1)[0])
}

// claim locks a file until it is closed; it returns nil if another holds it.
func claim(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		f.Close()
		return nil
	}
	return f
}

// free tells whether a program could listen there, on one address and on all.
func free(port int) bool {
	for _, host := range []string{"127.0.0.1", ""} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
