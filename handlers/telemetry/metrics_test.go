package telemetry_test

import (
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/telemetry"
)

// What counting costs an exchange: its outcome, and its share of a commit.
func BenchmarkOneExchange(b *testing.B) {
	o := telemetry.NewMetrics("v1").Org("default")
	facts := []domain.Fact{{Event: token.WasIssued{}}}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			o.Exchanged("ci", "", 3*time.Millisecond)
			o.Stored(facts, time.Millisecond)
		}
	})
}
