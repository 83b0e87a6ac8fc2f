package trail_test

import (
	"errors"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/projections/trail"
)

// FuzzQuery asks what strangers may ask: it is answered or refused, and never breaks.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"acme/app", `"`, `a" OR "b`, "NEAR(a)", "§t1", "workload://a/b/%zz", "\xff", "a\x00b", "é", "*", "a* b*", "-a ^b {c}:d", "token.*,x"} {
		f.Add(s, s, "asc", s)
	}
	tr := begin(f)
	apply(f, tr, history(5)...)
	f.Fuzz(func(t *testing.T, q, filter, order, after string) {
		for _, query := range []trail.Query{
			{Q: q, Order: order}, {Q: q, Type: filter}, {Workload: filter, Actor: q}, {Connection: q, RequestID: filter, Outcome: order}, {Q: q, After: after},
		} {
			p, err := tr.Query(t.Context(), query)
			if err != nil {
				if !errors.As(err, new(*domain.Error)) {
					t.Fatalf("%+v: %v", query, err)
				}
				continue
			}
			if p.Last.Sequence != 5 {
				t.Fatalf("%+v: the trail ends at %s", query, p.Last)
			}
			query.After = p.Next
			if _, err := tr.Query(t.Context(), query); err != nil {
				t.Fatalf("%+v: its own cursor: %v", query, err)
			}
		}
	})
}

// FuzzCursor holds that there is one text for one place.
func FuzzCursor(f *testing.F) {
	f.Add(trail.EncodeCursor(trail.Query{}, domain.Position{Sequence: 7, Index: 1}))
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := trail.DecodeCursor(trail.Query{}, s)
		if err == nil && trail.EncodeCursor(trail.Query{}, p) != s {
			t.Errorf("%q is %v, which is %q", s, p, trail.EncodeCursor(trail.Query{}, p))
		}
	})
}
