package trail_test

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/projections/trail"
)

// What a summary counts is what counting the newest events one by one gives.
func TestASummaryIsAPlainCount(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var commits []domain.Commit
		var all []domain.Envelope
		for seq := range rapid.IntRange(0, 15).Draw(rt, "commits") {
			c := commit(uint64(seq+1), rapid.SliceOfN(rapid.Custom(anEvent), 1, 4).Draw(rt, "events")...)
			commits, all = append(commits, c), append(all, c.Events...)
		}
		tr := fill(rt, t, filepath.Join(t.TempDir(), "trail.db"), commits)
		defer func() { tr.Close() }()
		most, q := rapid.IntRange(1, 8).Draw(rt, "most"), trail.Query{}
		if rapid.Bool().Draw(rt, "filtered") { // most filters find little
			q = aQuery(rt)
		}
		slices.Reverse(all)
		all = slices.DeleteFunc(all, func(e domain.Envelope) bool { return !holds(q, e) })
		want := trail.Summary{Counted: min(most, len(all)), More: len(all) > most}
		types, connections, workloads, outcomes, actors := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
		for _, e := range all[:want.Counted] {
			typ, _ := events.New().Lookup(e.Type)
			conn, who := typ.Workload(e)
			types[e.Type]++
			connections[conn]++
			workloads[who]++
			outcomes[typ.Outcome(e)]++
			actors[e.Actor]++
			want.Moments = append(want.Moments, trail.Moment{At: e.Time, Outcome: typ.Outcome(e)})
		}
		got, err := tr.Summarize(t.Context(), q, most, 1000)
		if err != nil {
			rt.Fatal(err)
		}
		for i, c := range []map[string]int{types, connections, workloads, outcomes, actors} {
			delete(c, "")
			list := [][]trail.Count{got.Types, got.Connections, got.Workloads, got.Outcomes, got.Actors}[i]
			if !slices.IsSortedFunc(list, func(a, b trail.Count) int { return b.Count - a.Count }) {
				rt.Fatalf("not the most frequent first: %v", list)
			}
			of := map[string]int{}
			for _, c := range list {
				of[c.Value] = c.Count
			}
			if !maps.Equal(c, of) {
				rt.Fatalf("%+v: list %d is %v, want %v", q, i, of, c)
			}
		}
		got.Types, got.Connections, got.Workloads, got.Outcomes, got.Actors = nil, nil, nil, nil, nil
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("%+v (-want +got):\n%s", q, diff)
		}
	})
}

func TestASummaryNamesTheMostFrequentOnly(t *testing.T) {
	tr := morning(t)
	s, err := tr.Summarize(t.Context(), trail.Query{Limit: -1, After: "no cursor", Order: "none"}, 100, 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]trail.Count{{Value: "person.added", Count: 2}, {Value: "token.issued", Count: 2}}, s.Types); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
