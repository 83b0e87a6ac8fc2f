package trail_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain/token"
	"sallyport.dev/projections/trail"
)

func at(h happened, t time.Time) happened { h.at = t; return h }

func activity(t testing.TB, tr *trail.Trail, now time.Time, hours int, connections ...string) map[string]trail.Activity {
	t.Helper()
	a, err := tr.Activity(t.Context(), connections, now, hours)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestActivityCountsByHourAndKnowsTheLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trail.db")
	tr := open(t, path)
	longAgo, before, late := noon.Add(-9*24*time.Hour), noon.Add(-2*time.Hour), noon.Add(59*time.Minute)
	many := happened{event: token.DenialsWereSuppressed{Connection: "ci", Count: 40}, subject: "connection/ci", actor: "system:exchange"}
	apply(t, tr,
		commit(1, at(denied("old", "a", "b"), longAgo), at(issued("ci", "a"), longAgo)),
		commit(2, at(issued("ci", "a"), before), at(issued("ci", "b"), before), at(denied("ci", "a", "b"), before), at(added("dana", "olga"), before)),
		commit(3, at(issued("ci", "a"), late), at(many, noon), at(issued("other", "a"), late)),
	)
	want := map[string]trail.Activity{
		"ci":  {LastIssued: late, LastDenied: noon, Issued: []int{2, 0, 1}, Denied: []int{1, 0, 40}},
		"old": {LastDenied: longAgo, Issued: []int{0, 0, 0}, Denied: []int{0, 0, 0}},

		trail.Everything: {LastIssued: late, LastDenied: noon, Issued: []int{2, 0, 2}, Denied: []int{1, 0, 40}},
	}
	for range 2 {
		if diff := cmp.Diff(want, activity(t, tr, noon.Add(time.Minute), 3, "ci", "old", "never", trail.Everything)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		tr = open(t, path) // it is in the file
	}
	if a := activity(t, tr, longAgo, 1, "ci"); a["ci"].Issued[0] != 0 {
		t.Errorf("an hour of nine days ago is kept: %+v", a)
	}
}

// BenchmarkActivity is what a page of a hundred connections asks.
func BenchmarkActivity(b *testing.B) {
	tr := open(b, filepath.Join(b.TempDir(), "trail.db"))
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("ci-%d", i))
		var hs []happened
		for h := range 48 {
			hs = append(hs, at(issued(names[i], "a"), noon.Add(-time.Duration(h)*time.Hour)))
		}
		apply(b, tr, commit(uint64(i+1), hs...))
	}
	for b.Loop() {
		activity(b, tr, noon, 24, names...)
	}
}
