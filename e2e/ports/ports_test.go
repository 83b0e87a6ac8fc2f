package ports

import (
	"fmt"
	"net"
	"os"
	"testing"
)

func TestAPortIsOfOneTestAtATime(t *testing.T) {
	const n = 200
	seen := map[int]bool{}
	for range 2 {
		for _, p := range Take(t, n) {
			if seen[p] || p < first || p >= end {
				t.Errorf("port %d was given out before, or is out of the range", p)
			}
			seen[p] = true
		}
	}
	if len(seen) != 2*n {
		t.Errorf("%d ports, want %d", len(seen), 2*n)
	}
	var again []int
	t.Run("another", func(t *testing.T) { again = Take(t, 1) })
	if lock := claim(t, fmt.Sprintf("%s/sallyport-ports/%d", os.TempDir(), again[0])); lock == nil {
		t.Errorf("port %d is kept after the test that took it", again[0])
	} else {
		lock.Close()
	}
}

func TestAPortThatSomebodyListensOnIsNotTaken(t *testing.T) {
	port := Take(t, 1)[0]
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	if free(port) {
		t.Errorf("port %d is free for a second one", port)
	}
	l.Close()
	if !free(port) {
		t.Errorf("port %d is not free after it was let go", port)
	}
}
