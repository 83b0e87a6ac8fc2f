package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// heapTarget is how large the heap may grow before garbage is collected, where
// what lives in it takes less than half: a server of ten thousand connections
// so stays under 300 MB.
const heapTarget = 160 << 20

// tuneCollector lets garbage grow to four times what lives, up to [heapTarget],
// and beyond that to as much again as lives: what a token leaves behind is dead
// at once, so collecting it seldom gives 10 to 25 % more tokens, while a start
// over a long log, with all that it reads, stays small. GOGC and GOMEMLIMIT,
// where they are set, say otherwise.
func tuneCollector() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(1 << 30)
	}
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(garbage(0))
	go func() { // for as long as the process lives
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for now := garbage(0); ; time.Sleep(time.Second) {
			metrics.Read(live)
			if want := garbage(live[0].Value.Uint64()); max(want, now)-min(want, now) > 10 {
				now = want
				debug.SetGCPercent(now)
			}
		}
	}()
}

// garbage is how much of it there may be, in percent of what lives: 100 to 400.
func garbage(live uint64) int {
	const most, least = 400, 100
	if live*(most+100)/100 <= heapTarget {
		return most
	}
	if live*(least+100)/100 >= heapTarget {
		return least
	}
	return int((heapTarget - live) * 100 / live)
}
