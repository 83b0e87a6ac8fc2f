package repair_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams/blocks"
	"sallyport.dev/streams/repair"
)

// BenchmarkInspect tells what the check before a start costs, and a thorough
// verification, with a million events in full commits.
func BenchmarkInspect(b *testing.B) {
	d := million(b)
	for _, bb := range []struct {
		name  string
		depth repair.Depth
	}{{"quick", repair.Quick}, {"all", repair.All}, {"thorough", repair.Thorough}} {
		b.Run(bb.name, func(b *testing.B) {
			before := cpu(b)
			for b.Loop() {
				f, err := repair.Inspect(b.Context(), d.Target("default"), repair.Options{Depth: bb.depth})
				if err != nil || f.State != repair.Intact {
					b.Fatalf("%+v, %v", f, err)
				}
				b.ReportMetric(float64(f.Compared), "compared")
			}
			b.ReportMetric((cpu(b)-before).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}

// million makes a log of a million events of 700 bytes in commits of 64, and seals it.
func million(b *testing.B) repair.Data {
	b.Helper()
	d := repair.Data{Dir: b.TempDir()}
	t := d.Target("default")
	ok(b, os.MkdirAll(filepath.Dir(t.Store.Dir), 0o700))
	w, err := blocks.NewWriter(t.Store.Dir, t.Store.Name())
	ok(b, err)
	var all []domain.Commit
	for seq := uint64(1); seq <= 1_000_000/64; seq++ {
		c := domain.Commit{Sequence: seq, Subject: "org.default.activity", StoredAt: meta.Now}
		var parts []string
		for i := range 64 {
			e := fmt.Sprintf(`{"specversion":"1.0","id":"%020d","type":"token.issued","data":{"claims":"`, seq*64+uint64(i))
			parts = append(parts, e+strings.Repeat("x", 698-len(e))+`"}}`)
		}
		c.Body = []byte("[" + strings.Join(parts, ",") + "]")
		split, err := domain.SplitBatch(c.Body)
		ok(b, err)
		for _, s := range split {
			c.Events = append(c.Events, domain.Envelope{Stored: s})
		}
		ok(b, w.Append(blocks.Record{Sequence: seq, Subject: []byte(c.Subject), Stored: c.StoredAt, Body: c.Body}))
		all = append(all, c)
	}
	ok(b, w.Close())
	sealUpTo(b, d, all, uint64(len(all)))
	return d
}

// cpu is the processor time this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
