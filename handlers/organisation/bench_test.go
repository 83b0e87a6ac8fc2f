package organisation_test

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/token"
	"sallyport.dev/projections/control"
)

// BenchmarkReadBack is what it costs to read sealed events back and to hold them
// against the seal, by how many there are in a commit: what the last 100,000
// cost at start, and each of the rest afterwards. cpu-µs/event is the CPU time of
// the process, with the server that gives the commits.
func BenchmarkReadBack(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d callers", callers), func(b *testing.B) {
			s := sealedSite(b)
			const n = 4096
			var writing sync.WaitGroup
			for range callers {
				writing.Go(func() {
					for range n / callers {
						s.suppress(b)
					}
				})
			}
			writing.Wait()
			s.intervals = never
			s.awaitSealed()
			start, events := cpu(b), 0
			for b.Loop() {
				got, err := s.ReadBack(b.Context())
				if err != nil || got < n {
					b.Fatalf("%d events were compared: %v", got, err)
				}
				events += got
			}
			b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/1e3/float64(events), "cpu-µs/event")
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// suppress records one event of some 600 bytes, with what else waits.
func (s *site) suppress(t testing.TB) {
	m := domain.Meta{Actor: domain.System("exchange"), Now: s.Now()}
	_, err := s.Record(s.t.Context(), m, func(*control.State) ([]domain.Fact, string, error) {
		return []domain.Fact{{Subject: "connection/ci", Event: token.DenialsWereSuppressed{
			Connection: "ci", Count: 7, Source: "192.0.2.1", From: m.Now, Until: m.Now, Codes: map[string]uint64{"proof.expired": 7},
		}}}, "", nil
	})
	if err != nil {
		t.Error(err)
	}
}

// cpu is the CPU time that this process has used.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
