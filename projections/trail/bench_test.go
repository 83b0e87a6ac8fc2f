package trail_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/token"
	"sallyport.dev/projections/trail"
)

// busy is the n-th commit of a busy log: 64 tokens issued to some of 10,000
// workloads, one in fifty denied.
func busy(n uint64) domain.Commit {
	var hs []happened
	for i := range 64 {
		k := n*64 + uint64(i)
		conn := "ci-" + strconv.FormatUint(k%20, 10)
		identity := fmt.Sprintf("repo:acme/app-%d:ref:refs/heads/branch-%d", k*7%200, k*13%50)
		h := denied(conn, identity, "repo:acme/app:ref:refs/heads/main")
		if k%50 > 0 {
			h = issued(conn, identity)
			e := h.event.(token.WasIssued)
			e.ID, e.Source, e.Grant = fmt.Sprintf("%022x", k*2654435761), "192.0.2.0/24", "token-exchange"
			e.Proof = token.Proof{
				Digest: fmt.Sprintf("%043x", k*40503), ID: fmt.Sprintf("%036x", k), Issuer: "https://token.actions.githubusercontent.com",
				KeyID: "cc413527-173f-5a05-976e-9c52b1d7b431", Algorithm: "RS256", ExpiresAt: noon, SkewSeconds: 30,
			}
			h.event = e
		}
		h.request = fmt.Sprintf("01KAR%021d", k)
		h.at = noon.Add(time.Duration(k) * 10 * time.Millisecond)
		hs = append(hs, h)
	}
	return commit(n, hs...)
}

// BenchmarkFold is an event folded into the trail while it catches up: commits
// of 64 events, 64 commits at a time.
func BenchmarkFold(b *testing.B) {
	path := filepath.Join(b.TempDir(), "trail.db")
	tr := open(b, path)
	b.ReportAllocs()
	for n, seq := 0, uint64(1); n < b.N; {
		b.StopTimer()
		var batch []domain.Commit
		for ; len(batch) < 64 && n < b.N; seq++ {
			batch = append(batch, busy(seq))
			n += 64
		}
		b.StartTimer()
		apply(b, tr, batch...)
	}
	report(b, path)
}

// BenchmarkLive is an event folded into the trail as it arrives: commits of one event.
func BenchmarkLive(b *testing.B) {
	path := filepath.Join(b.TempDir(), "trail.db")
	tr := open(b, path)
	b.ReportAllocs()
	for seq := uint64(1); seq <= uint64(b.N); seq++ {
		b.StopTimer()
		c := busy(seq)
		c.Events = c.Events[:1]
		b.StartTimer()
		apply(b, tr, c)
	}
	report(b, path)
}

func report(b *testing.B, path string) {
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/float64(b.N), "file-B/event")
}

// consolePage is what a page of the console's audit trail asks: fifty events, and
// what the newest five hundred have in common.
func consolePage(b *testing.B, tr *trail.Trail, q trail.Query) {
	var took []time.Duration
	q.Order = trail.Descending
	for b.Loop() {
		begun := time.Now()
		query(b, tr, q)
		if _, err := tr.Summarize(b.Context(), q, 500, 8); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*95/100])/1e6, "p95-ms")
	b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
}

// BenchmarkQuery is a first page of a trail of SALLYPORT_BENCH_EVENTS events,
// 100,000 where it is unset.
func BenchmarkQuery(b *testing.B) {
	events, err := strconv.Atoi(os.Getenv("SALLYPORT_BENCH_EVENTS"))
	if err != nil {
		events = 100_000
	}
	path := filepath.Join(b.TempDir(), "trail.db")
	tr := open(b, path)
	seq := uint64(1)
	for int(seq)*64 <= events {
		var batch []domain.Commit
		for ; len(batch) < 64 && int(seq)*64 <= events; seq++ {
			batch = append(batch, busy(seq))
		}
		apply(b, tr, batch...)
	}
	identity := "repo:acme/app-7:ref:refs/heads/branch-13"
	half := noon.Add(time.Duration(events/2) * 10 * time.Millisecond)
	for name, q := range map[string]trail.Query{
		"everything": {}, "outcome": {Outcome: trail.Denied}, "workload": {Workload: identity}, "actor": {Actor: uri("ci-1", identity)},
		"request": {RequestID: fmt.Sprintf("01KAR%021d", events/2)}, "family": {Type: "token.*", Connection: "ci-7"}, "nothing": {Type: "person.*", Outcome: trail.Denied},
		"since": {Since: half}, "since-until-workload": {Since: half, Until: half.Add(time.Hour), Workload: identity},
		"words": {Q: "refused acme/app-17"}, "prefix": {Q: "bran"}, "two-letters": {Q: "re"},
	} {
		for _, order := range []string{trail.Ascending, trail.Descending} {
			q.Order = order
			b.Run(name+"/"+order, func(b *testing.B) {
				for b.Loop() {
					query(b, tr, q)
				}
			})
		}
	}
	for name, q := range map[string]trail.Query{
		"everything": {}, "type": {Type: "token.denied"}, "connection": {Connection: "ci-7"}, "actor": {Actor: uri("ci-1", identity)}, "workload": {Workload: identity},
		"request": {RequestID: fmt.Sprintf("01KAR%021d", events/2)}, "hour": {Since: half.Truncate(time.Hour), Until: half.Truncate(time.Hour).Add(time.Hour)}, "words": {Q: "refused acme/app-17"},
	} {
		b.Run("console/"+name, func(b *testing.B) { consolePage(b, tr, q) })
	}
	b.Run("reopen", func(b *testing.B) {
		for b.Loop() {
			if err := tr.Close(); err != nil {
				b.Fatal(err)
			}
			tr = open(b, path)
		}
	})
}
