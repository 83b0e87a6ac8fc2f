package trail_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/projections/trail"
)

// histogram fails unless q can be counted.
func histogram(t testing.TB, tr *trail.Trail, q trail.Query, most int) trail.Histogram {
	t.Helper()
	h, ok, err := tr.Histogram(t.Context(), q, most)
	if err != nil || !ok {
		t.Fatalf("%+v is not counted: %v", q, err)
	}
	return h
}

func TestEventsAreCountedByTimeTypeAndOutcome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trail.db")
	tr := open(t, path)
	apply(t, tr,
		commit(1, at(issued("ci", "a"), noon.Add(-2*time.Hour)), at(denied("ci", "a", "b"), noon.Add(-2*time.Hour+time.Second))),
		commit(2, at(issued("ci", "a"), noon.Add(59*time.Minute)), at(added("dana", "olga"), noon.Add(10*time.Minute)), at(issued("ci", "b"), noon)),
	)
	for name, tc := range map[string]struct {
		q    trail.Query
		most int
		want trail.Histogram
	}{
		"by the hour":        {trail.Query{Since: noon.Add(-2 * time.Hour), Until: noon.Add(time.Hour)}, 3, trail.Histogram{First: noon.Add(-2 * time.Hour), Step: time.Hour, Good: []int{1, 0, 3}, Bad: []int{1, 0, 0}}},
		"of a family":        {trail.Query{Type: "token.*", Since: noon.Add(-2 * time.Hour), Until: noon.Add(time.Hour)}, 3, trail.Histogram{First: noon.Add(-2 * time.Hour), Step: time.Hour, Good: []int{1, 0, 2}, Bad: []int{1, 0, 0}}},
		"of an outcome":      {trail.Query{Outcome: trail.Denied, Since: noon.Add(-2 * time.Hour), Until: noon.Add(time.Hour)}, 3, trail.Histogram{First: noon.Add(-2 * time.Hour), Step: time.Hour, Good: []int{0, 0, 0}, Bad: []int{1, 0, 0}}},
		"by ten minutes":     {trail.Query{Since: noon.Add(time.Minute), Until: noon.Add(time.Hour)}, 10, trail.Histogram{First: noon, Step: 10 * time.Minute, Good: []int{1, 1, 0, 0, 0, 1}, Bad: make([]int, 6)}},
		"by the day":         {trail.Query{Since: noon.Add(-12 * time.Hour), Until: noon.Add(36 * time.Hour)}, 3, trail.Histogram{First: noon.Add(-12 * time.Hour), Step: 24 * time.Hour, Good: []int{4, 0}, Bad: []int{1, 0}}},
		"what is to come":    {trail.Query{Since: noon.Add(240 * time.Hour), Until: noon.Add(242 * time.Hour)}, 2, trail.Histogram{First: noon.Add(240 * time.Hour), Step: time.Hour, Good: []int{0, 0}, Bad: []int{0, 0}}},
		"minutes of an hour": {trail.Query{Since: noon, Until: noon.Add(2 * time.Minute)}, 60, trail.Histogram{First: noon, Step: time.Minute, Good: []int{1, 0}, Bad: []int{0, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := histogram(t, tr, tc.q, tc.most)
			if diff := cmp.Diff(tc.want, h); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWhatIsNotCountedIsSaidToBe(t *testing.T) {
	tr := begin(t)
	day := trail.Query{Since: noon.Add(-23 * time.Hour), Until: noon.Add(time.Hour)}
	if _, ok, err := tr.Histogram(t.Context(), day, 60); ok || err != nil {
		t.Errorf("an empty trail is counted: %v", err)
	}
	apply(t, tr, commit(1, at(issued("ci", "a"), noon.Add(-10*24*time.Hour))), commit(2, issued("ci", "a")))
	for name, change := range map[string]func(*trail.Query){
		"words": func(q *trail.Query) { q.Q = "ci" }, "a connection": func(q *trail.Query) { q.Connection = "ci" }, "an actor": func(q *trail.Query) { q.Actor = "olga" },
		"a workload": func(q *trail.Query) { q.Workload = "a" }, "a request": func(q *trail.Query) { q.RequestID = "r" },
		"no beginning": func(q *trail.Query) { q.Since = time.Time{} }, "no end": func(q *trail.Query) { q.Until = time.Time{} },
		"an end before the beginning": func(q *trail.Query) { q.Until = q.Since.Add(-time.Hour) },
		"minutes of long ago":         func(q *trail.Query) { q.Since = noon.Add(-10 * 24 * time.Hour); q.Until = q.Since.Add(time.Hour) },
		"one part alone":              func(q *trail.Query) { q.Since = noon; q.Until = noon.Add(time.Minute) },
	} {
		q := day
		change(&q)
		if _, ok, err := tr.Histogram(t.Context(), q, 60); ok || err != nil {
			t.Errorf("%s: counted %v, %v", name, ok, err)
		}
	}
	if _, _, err := tr.Histogram(t.Context(), trail.Query{Type: "No Type", Since: day.Since, Until: day.Until}, 60); err == nil {
		t.Error("a type that is none is counted")
	}
}

// Minutes are kept for three days, hours for forty.
func TestCountsOfLongAgoAreForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trail.db")
	tr := open(t, path)
	old := trail.Query{Since: noon.Add(-3*24*time.Hour - time.Hour), Until: noon.Add(-3*24*time.Hour + time.Hour)}
	apply(t, tr, commit(1, at(issued("ci", "a"), old.Since)))
	if h := histogram(t, tr, old, 120); h.Step != time.Minute || h.Good[0] != 1 {
		t.Errorf("got %+v", h)
	}
	apply(t, tr, commit(2, at(issued("ci", "a"), noon.Add(-2*time.Hour))), commit(3, at(issued("ci", "a"), noon)))
	for range 2 { // it is in the file
		if h := histogram(t, tr, old, 120); h.Step != time.Hour || h.Good[0] != 1 {
			t.Errorf("got %+v", h)
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		tr = open(t, path)
	}
	rows := func() (n int) {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRow(`SELECT count(*) FROM bucket WHERE span = 0`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for n := range uint64(50) { // two days a commit
		apply(t, tr, commit(4+n, at(issued("ci", "a"), noon.Add(time.Duration(n)*48*time.Hour))))
	}
	if n := rows(); n > 3 {
		t.Errorf("%d minutes are kept of three days", n)
	}
}

func TestAClockThatWasAheadForgetsNothing(t *testing.T) {
	tr := begin(t)
	apply(t, tr, commit(1, issued("ci", "a")))
	apply(t, tr, commit(2, at(issued("ci", "a"), noon.Add(100*365*24*time.Hour))))
	apply(t, tr, commit(3, issued("ci", "a")))
	if h := histogram(t, tr, trail.Query{Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}, 2); h.Good[1] != 2 {
		t.Errorf("got %+v", h)
	}
}

func TestWhatHappenedBefore1970IsCounted(t *testing.T) {
	tr := begin(t)
	early := time.Date(1969, 12, 31, 23, 59, 30, 0, time.UTC)
	apply(t, tr, commit(1, at(issued("ci", "a"), early)))
	want := trail.Histogram{First: early.Add(-30 * time.Second), Step: time.Minute, Good: []int{1, 0}, Bad: []int{0, 0}}
	if diff := cmp.Diff(want, histogram(t, tr, trail.Query{Since: early, Until: early.Add(time.Minute)}, 60)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
