package streams_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// BenchmarkCommitter measures durable events a second and how long one caller
// waits, at several numbers of callers, beside the floor: the same bytes in the same
// portions appended to a file in the same folder with an fsync each, which is as
// little as can be done for the same promise.
func BenchmarkCommitter(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			f := streamstest.New(b, toys{})
			measure(b, follow(b, f.Journal), callers)
			b.StopTimer()
			floor(b, f.Dir, portions(b, f))
		})
	}
}

// BenchmarkCommitterSpending is the same where every event spends a key.
func BenchmarkCommitterSpending(b *testing.B) {
	f := streamstest.New(b, toys{})
	w := follow(b, f.Journal)
	var n atomic.Int64
	benchmark(b, w, 64, func() streams.Decision[*toy] { return issue("token", fmt.Sprint(n.Add(1))) })
}

// BenchmarkCommitterThreeReplicas is three processes against three servers on this one disk.
func BenchmarkCommitterThreeReplicas(b *testing.B) {
	for _, callers := range []int{16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			c := streamstest.NewCluster(b, toys{})
			var ws []*world
			for _, n := range c.Nodes {
				ws = append(ws, follow(b, n.Journal))
			}
			at := ws[0].turn(b, true)
			for _, w := range ws {
				ok(b, w.state.Wait(context.Background(), at))
			}
			load(b, callers, func(i int) *world { return ws[i%3] }, plain)
		})
	}
}

// BenchmarkFold is reading full frames back: server, decoding, one reader.
func BenchmarkFold(b *testing.B) {
	f := streamstest.New(b, toys{})
	w := follow(b, f.Journal)
	w.turn(b, true)
	each(b, 64, func(int) error {
		for range 300 {
			if _, err := w.committer.Record(context.Background(), meta, plain()); err != nil {
				return err
			}
		}
		return nil
	})
	b.ResetTimer()
	events := 0
	for b.Loop() {
		for _, c := range streamstest.All(b, f.Journal) {
			events += len(c.Events)
		}
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}

func plain() streams.Decision[*toy] { return issue("token-0123456789abcdef0123456789abcdef", "") }

func measure(b *testing.B, w *world, callers int) { benchmark(b, w, callers, plain) }

func benchmark(b *testing.B, w *world, callers int, d func() streams.Decision[*toy]) {
	w.turn(b, true)
	load(b, callers, func(int) *world { return w }, d)
}

// load has the callers record b.N decisions between them and reports the rate and the waits.
func load(b *testing.B, callers int, at func(i int) *world, d func() streams.Decision[*toy]) {
	b.ReportAllocs()
	waits := make([][]time.Duration, callers)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				begin := time.Now()
				if _, err := at(i).committer.Record(context.Background(), meta, d()); err != nil {
					b.Error(err)
					return
				}
				waits[i] = append(waits[i], time.Since(begin))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(waits...)
	slices.Sort(all)
	if len(all) == 0 {
		return
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

// portions is how many bytes, and how many events, each activity commit has.
func portions(b *testing.B, f *streamstest.Fixture) (out []domain.Position) {
	for _, c := range streamstest.All(b, f.Journal)[1:] {
		size := 0
		for _, e := range c.Events {
			j, err := e.MarshalJSON()
			ok(b, err)
			size += len(j) + 1
		}
		out = append(out, domain.Position{Sequence: uint64(size), Index: len(c.Events)})
	}
	return out
}

// floor appends the same portions with an fsync each, at most two seconds long.
func floor(b *testing.B, dir string, portions []domain.Position) {
	file := must[*os.File](b)(os.Create(filepath.Join(dir, "floor")))
	defer file.Close()
	events, all, begin := 0, 0, time.Now()
	for _, p := range portions {
		all += p.Index
	}
	for _, p := range portions {
		must[int](b)(file.Write(make([]byte, p.Sequence)))
		ok(b, file.Sync())
		events += p.Index
		if time.Since(begin) > 2*time.Second {
			break
		}
	}
	b.ReportMetric(float64(events)/time.Since(begin).Seconds(), "floor-events/s")
	b.ReportMetric(float64(all)/float64(max(len(portions), 1)), "events/commit")
}
