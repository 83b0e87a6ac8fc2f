package limit_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"sallyport.dev/handlers/limit"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestAKeyIsAllowedItsBurstAndThenItsRate(t *testing.T) {
	l := limit.New(1, 3, 10)
	for i := range 3 {
		if !l.Allow("a", noon) {
			t.Fatalf("use %d of a burst of 3 was refused", i+1)
		}
	}
	if l.Allow("a", noon) {
		t.Fatal("a fourth use at once was allowed")
	}
	if !l.Allow("b", noon) {
		t.Fatal("one key used up another's allowance")
	}
	if !l.Allow("a", noon.Add(time.Second)) {
		t.Fatal("a second later the key was still refused")
	}
}

func TestAKeyInUseOutlivesAFloodOfOthers(t *testing.T) {
	l := limit.New(0, 1, 100)
	l.Allow("victim", noon)
	for i := range 10_000 {
		l.Allow(fmt.Sprint("flood", i), noon)
		if i%50 == 0 && l.Allow("victim", noon) {
			t.Fatalf("after %d other keys the spent bucket was forgotten", i)
		}
	}
}

func TestSourceIsAnIPv4AddressOrAnIPv6Network(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7":                 "192.0.2.7",
		"::ffff:192.0.2.7":          "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":      "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1":      "2001:db8:1:2::/64",
		"fe80::1%eth0":              "fe80::/64",
		"not an address, but bytes": "unknown",
	} {
		if got := limit.Source(addr); got != want {
			t.Errorf("Source(%q) = %q, want %q", addr, got, want)
		}
	}
}

// A million sources take as much memory as the size says, and not more.
func TestAFloodOfKeysTakesBoundedMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const size = 10_000
	l := limit.New(100, 200, size)
	before := heap()
	for i := range 1_000_000 {
		l.Allow(fmt.Sprint("2001:db8::", i), noon)
	}
	if used := int64(heap()) - int64(before); used > 2*size*400 {
		t.Errorf("%d keys of two generations of %d take %d KiB", 1_000_000, size, used>>10)
	}
	runtime.KeepAlive(l)
}

func TestReplicasTogetherAllowWhatOneWould(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5} {
		var replicas []*limit.Limiter
		for range n {
			l := limit.New(10, 60, 10)
			l.Share(func() int { return n })
			replicas = append(replicas, l)
		}
		allowed := 0
		for tick := range 100 * 10 { // ten seconds
			for _, l := range replicas {
				for range 5 {
					if l.Allow("a", noon.Add(time.Duration(tick)*10*time.Millisecond)) {
						allowed++
					}
				}
			}
		}
		if want := 60 + 10*10; allowed > want || allowed < want-2*n {
			t.Errorf("%d replicas allowed %d uses in ten seconds, want about %d", n, allowed, want)
		}
	}
}

func TestAShareFollowsTheNumberOfReplicas(t *testing.T) {
	n := 3
	l := limit.New(0, 6, 10)
	l.Share(func() int { return n })
	if !l.Allow("a", noon) {
		t.Fatal("the first of two uses was refused")
	}
	n = 1
	for i := range 3 {
		if !l.Allow("a", noon) {
			t.Fatalf("alone, use %d of the three that are left was refused", i+1)
		}
	}
	if l.Allow("a", noon) {
		t.Fatal("more was allowed than the burst")
	}
}

func TestABurstIsNotDividedToNothing(t *testing.T) {
	l := limit.New(1, 2, 10)
	l.Share(func() int { return 100 })
	if !l.Allow("a", noon) {
		t.Error("the only use there can be was refused")
	}
}
