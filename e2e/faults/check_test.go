package faults

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/domain"
)

// honest is a small log and the record of a client that saw all of it.
func honest() (*ledger, []domain.Commit) {
	key := domain.Idempotency{Key: "caller key-1", Request: "r"}
	log := []domain.Commit{
		{Sequence: 1, Events: []domain.Envelope{
			{ID: "a", Type: "connection.drafted", Subject: "connection/ci", Idempotency: &key, Position: domain.Position{Sequence: 1}},
		}},
		{Sequence: 2, Events: []domain.Envelope{
			{ID: "b", Type: "token.issued", Data: json.RawMessage(`{"jti":"one"}`), Position: domain.Position{Sequence: 2}},
			{ID: "c", Type: "token.issued", Data: json.RawMessage(`{"jti":"two"}`), Position: domain.Position{Sequence: 2, Index: 1}},
		}},
	}
	l := newLedger()
	l.tokens["one"] = true
	l.written = []write{{Key: "key-1", Name: "ci", At: domain.Position{Sequence: 1}}}
	return l, log
}

func TestTheCheckFindsWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(l *ledger, log []domain.Commit) []domain.Commit
		want  string // in the error; empty: none
	}{
		{"nothing", func(_ *ledger, log []domain.Commit) []domain.Commit { return log }, ""},
		{"an acknowledged token is lost", func(l *ledger, log []domain.Commit) []domain.Commit {
			l.tokens["three"] = true
			return log
		}, "three was answered and has no event"},
		{"the end of the log is lost", func(_ *ledger, log []domain.Commit) []domain.Commit { return log[:1] }, "has no event"},
		{"the log has a gap", func(_ *ledger, log []domain.Commit) []domain.Commit {
			log[1].Sequence = 3
			return log
		}, "there is a gap"},
		{"a token is issued twice", func(_ *ledger, log []domain.Commit) []domain.Commit {
			log[1].Events[1].Data = log[1].Events[0].Data
			return log
		}, "one is in the log twice"},
		{"an event is there twice", func(_ *ledger, log []domain.Commit) []domain.Commit {
			log[1].Events[1].ID = "a"
			return log
		}, "a is in the log twice"},
		{"a write is done twice", func(_ *ledger, log []domain.Commit) []domain.Commit {
			again := log[0].Events[0]
			again.ID, again.Position = "d", domain.Position{Sequence: 3}
			return append(log, domain.Commit{Sequence: 3, Events: []domain.Envelope{again}})
		}, "has two commits"},
		{"a write stands elsewhere", func(l *ledger, log []domain.Commit) []domain.Commit {
			l.written[0].At.Sequence = 2
			return log
		}, "was acknowledged at 2.0"},
		{"a write is of another name", func(l *ledger, log []domain.Commit) []domain.Commit {
			l.written[0].Name = "other"
			return log
		}, "was acknowledged at 1.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, log := honest()
			_, err := l.compare(tt.spoil(l, log))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// row is one of the page's table, which begins with its scenario.
var row = regexp.MustCompile(`(?m)^\| ((?:F\d\d|SOAK)[\w-]*) \|.*\| (yes|no) \|$`)

// The page has a row for every scenario, and none of anything else; and says
// which of them every test run has.
func TestThePageNamesTheScenarios(t *testing.T) {
	b, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, s := range scenarios() {
		want = append(want, s.id+map[bool]string{true: " yes", false: " no"}[s.short])
	}
	for _, m := range row.FindAllStringSubmatch(string(b), -1) {
		got = append(got, m[1]+" "+m[2])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the page has the rows\n%v\nand the scenarios are\n%v", got, want)
	}
}

// What grows is told from what only varies.
func TestTheSoakFindsGrowth(t *testing.T) {
	for _, tt := range []struct {
		name   string
		of     series
		points func(i int) float64
		grows  bool
	}{
		{"level", series{slack: 4}, func(int) float64 { return 100 }, false},
		{"up and down", series{slack: 4}, func(i int) float64 { return 100 + float64(i%10) }, false},
		{"a leak of a tenth", series{slack: 4}, func(i int) float64 { return 100 + float64(i)/6 }, true},
		{"one within the slack", series{slack: 4}, func(i int) float64 { return 10 + float64(i)/60 }, false},
		{"growth in the first third alone", series{slack: 4}, func(i int) float64 { return 100 + float64(min(i, 33)) }, false},
		{"less at the end", series{slack: 4}, func(i int) float64 { return 200 - float64(i)/6 }, false},
		{"resident memory within what the collector may use", series{name: resident}, func(i int) float64 { return 100 + float64(i) }, false},
		{"resident memory beyond that", series{name: resident}, func(i int) float64 { return 300 + float64(i) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range 100 {
				tt.of.points = append(tt.of.points, tt.points(i))
			}
			if first, last, got := tt.of.grew(); got != tt.grows {
				t.Errorf("from %.1f to %.1f is growth: %v, want %v", first, last, got, tt.grows)
			}
		})
	}
}

// Go's heap is told from what else is resident.
func TestTheSoakTellsTheHeapFromTheRest(t *testing.T) {
	const smaps = `00400000-015ca000 r-xp 00000000 fe:00 10707286                           /usr/bin/sallyportd
Size:              18216 kB
Rss:                  10 kB
VmFlags: rd ex mr mw me sd
02939000-0498e000 rw-p 00000000 00:00 0
Rss:                   4 kB
c000000000-c004000000 rw-p 00000000 00:00 0
Rss:              100000 kB
21df49800000-21df55400000 rw-p 00000000 00:00 0                          [anon: Go: heap]
Rss:              200000 kB
7f51e64c0000-7f51e6ca0000 rw-p 00000000 00:00 0
Rss:                 300 kB
7ffe5f249000-7ffe5f26a000 rw-p 00000000 00:00 0                          [stack]
Rss:                  20 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Rss:                   0 kB
`
	if kib, err := beside(strings.NewReader(smaps)); err != nil || kib != 334 {
		t.Errorf("%v KiB beside the heap (%v), want 334", kib, err)
	}
}
