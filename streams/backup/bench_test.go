package backup_test

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/streams"
	"sallyport.dev/streams/backup"
	"sallyport.dev/streams/streamstest"
)

// Commits of the benchmark: each full, of events as a token leaves one.
const (
	benchCommits = 1000
	benchEvents  = 64
)

// BenchmarkBackup copies, checks and puts back a log of 64,000 token events; the
// CPU is that of a million, the server's share included.
func BenchmarkBackup(b *testing.B) {
	s := must(streams.StartStaging(b.Context(), streams.ServerOptions{Dir: b.TempDir(), Log: streamstest.Log(b)}))(b)
	defer s.Close()
	c := must(s.Connect())(b)
	defer c.Close()
	config := []byte(`{"name": "ORG_default", "subjects": ["org.default.control", "org.default.activity"], "storage": "file", "num_replicas": 1,
		"retention": "limits", "discard": "new", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": -1, "compression": "s2"}`)
	ok(b, c.Restore(b.Context(), config, 1, streams.StreamState{Messages: benchCommits, First: 1, Last: benchCommits}, fullCommits()))
	o := backup.Options{Sources: []backup.Source{{Name: org, Issuer: issuer, Conn: c}}, Version: "v0.0.1", Now: noon}
	var whole bytes.Buffer
	ok(b, write(&whole, b.Context(), o))
	name := file(b, whole.Bytes())

	b.Run("write", func(b *testing.B) {
		perMillion(b, func() {
			z := must(backup.Compress(io.Discard))(b)
			ok(b, backup.Write(b.Context(), z, o))
			ok(b, z.Close())
		})
		b.ReportMetric(float64(whole.Len())/benchCommits/benchEvents, "B/event")
	})
	b.Run("verify", func(b *testing.B) {
		perMillion(b, func() { must(backup.Open(name, backup.OpenOptions{Dir: b.TempDir()}))(b) })
	})
	b.Run("restore", func(b *testing.B) {
		perMillion(b, func() { must(backup.Restore(b.Context(), restoreOptions(b, name, b.TempDir())))(b) })
	})
}

// perMillion reports the CPU seconds that a million events take.
func perMillion(b *testing.B, f func()) {
	before := cpuTime()
	for b.Loop() {
		f()
	}
	took := (cpuTime() - before).Seconds() / float64(b.N)
	b.ReportMetric(took*1e6/benchCommits/benchEvents, "cpu-s/Mevent")
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// fullCommits are commits whose events differ as tokens do.
func fullCommits() iter.Seq2[streams.Record, error] {
	return func(yield func(streams.Record, error) bool) {
		for i := uint64(1); i <= benchCommits; i++ {
			var events []string
			for k := range uint64(benchEvents) {
				id := (i*benchEvents + k) * 0x9E3779B97F4A7C15 // spread, as ids are
				events = append(events, fmt.Sprintf(`{"specversion":"1.0","id":"%026X","type":"token.issued","source":"%s","subject":"connection/gitlab-ci",`+
					`"time":"2026-11-22T12:00:00.%03dZ","datacontenttype":"application/json","actor":"workload:project_path:my-group/my-project:ref:main",`+
					`"requestid":"%026X","commitid":"%026X","data":{"jti":"%026X","connection":"gitlab-ci","identity":"project_path:my-group/my-project:ref:main",`+
					`"audience":"https://vault.example.com","expires_at":"2026-11-22T12:15:00.%03dZ","claims":{"ref":"main","pipeline_id":"%d"}}}`,
					id, issuer, i%1000, id+1, i, id+2, i%1000, id%100000))
			}
			r := streams.Record{
				Sequence: i, Subject: "org.default.activity", Time: noon.Add(time.Duration(i) * time.Millisecond),
				Header: fmt.Appendf(nil, "NATS/1.0\r\nNats-Msg-Id: %026X\r\n\r\n", i), Body: []byte("[" + strings.Join(events, ",") + "]"),
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}
