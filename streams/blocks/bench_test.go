package blocks_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/streams/blocks"
)

// BenchmarkScan tells how many records a second of processor time are read and
// checked: 700-byte events one by one, and full commits of 64 of them.
func BenchmarkScan(b *testing.B) {
	for _, bb := range []struct {
		name    string
		n, size int
		c       jetstream.StoreCompression
	}{
		{"events", 100_000, 700, jetstream.NoCompression},
		{"commits", 3_000, 45_000, jetstream.NoCompression},
		{"compressed events", 100_000, 700, jetstream.S2Compression},
		{"compressed commits", 3_000, 45_000, jetstream.S2Compression},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s, _ := newLog(b, bb.n, bb.size, logConfig(bb.c))
			before := cpu(b)
			var records uint64
			var bytes int64
			for b.Loop() {
				r, err := s.Scan(blocks.Options{Sealed: uint64(bb.n)}, nil)
				if err != nil || r.Damages != nil {
					b.Fatalf("%+v, %v", r, err)
				}
				records, bytes = records+r.Records, bytes+int64(bb.n*bb.size)
			}
			spent := (cpu(b) - before).Seconds()
			b.ReportMetric(float64(records)/spent, "records/cpu-s")
			b.ReportMetric(float64(bytes)/spent/1e6, "MB/cpu-s")
		})
	}
}

// cpu is the processor time this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
