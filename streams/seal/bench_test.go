package seal_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams/seal"
)

// BenchmarkSeal is the cost of sealing one event of 700 bytes, in commits of
// 1 and 64 events, checkpoints and compression included. cpu-µs/event is the
// process's CPU time: the wall clock also has the disk in it.
func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d in a commit", size), func(b *testing.B) {
			o := options(b.TempDir() + "/default")
			l := opened(b, o)
			var batch []domain.Commit
			for seq := range uint64(64) {
				batch = append(batch, big(seq, size))
			}
			seq, events := uint64(0), 0
			start := cpu(b)
			for b.Loop() {
				for i := range batch { // the same bytes again, at other places
					seq++
					batch[i].Sequence = seq
					events += size
				}
				apply(b, l, batch)
			}
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/1e3/float64(events), "cpu-µs/event")
		})
	}
}

// text is as much as an event of a token has, and as unlike the next one.
var text = strings.Repeat(`"claim":"project_path:my-group/app",`, 15)

func big(seq uint64, events int) domain.Commit {
	var stored []string
	for i := range events {
		stored = append(stored, fmt.Sprintf(`{"id":"%026d","jti":"%x",%s"end":1}`, seq*64+uint64(i), seq*0x9E3779B97F4A7C15, text))
	}
	return made(seq, "org.default.activity", stored...)
}

// BenchmarkCompare is what it costs to hold one event of a log against the seal.
func BenchmarkCompare(b *testing.B) {
	dir := b.TempDir() + "/default"
	l := opened(b, options(dir))
	const n = 20_000
	var cs []domain.Commit
	for seq := uint64(1); seq <= n; seq++ {
		cs = append(cs, big(seq, 1))
	}
	apply(b, l, cs)
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	var spent time.Duration
	rounds := 0
	for b.Loop() {
		start := cpu(b)
		c, err := seal.Compare(dir, "default", 0)
		if err != nil {
			b.Fatal(err)
		}
		for _, commit := range cs {
			if err := c.Commit(commit); err != nil {
				b.Fatal(err)
			}
		}
		c.Close()
		spent += cpu(b) - start
		rounds++
	}
	b.ReportMetric(float64(spent.Nanoseconds())/1e3/float64(rounds)/n, "cpu-µs/event")
}
