package trail

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"sallyport.dev/domain"
)

// Summary is what the newest events that a query finds have in common.
type Summary struct {
	Counted int
	More    bool // there are older ones, which were not looked at
	// Moments are when the events that were counted happened, newest first.
	Moments []Moment
	// The most frequent values among them, at most so many as were asked for, most frequent first.
	Types, Connections, Workloads, Outcomes, Actors []Count
}

// Moment is when an event happened, and what came of it.
type Moment struct {
	At      time.Time
	Outcome string
}

// Count is how often a value occurs.
type Count struct {
	Value string
	Count int
}

// Summarize counts what q finds, but looks at no more than the newest most of
// it, so that a question costs the same however long the trail is; top bounds
// each list of values. After, Limit and Order of q mean nothing here.
func (t *Trail) Summarize(ctx context.Context, q Query, most, top int) (Summary, error) {
	q.After, q.Limit, q.Order = "", 0, Descending
	p, err := newPlan(q)
	if err != nil {
		return Summary{}, err
	}
	p.limit = most
	var found []row
	var more bool
	err = t.read(ctx, func(f *file) error {
		last, err := f.last(ctx)
		if err == nil {
			found, more, err = f.rows(ctx, p, domain.Position{}, pack(last))
		}
		return err
	})
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Counted: len(found), More: more}
	for _, r := range found {
		s.Moments = append(s.Moments, Moment{instant(r.time), r.outcome})
	}
	s.Types = frequent(found, top, func(r row) string { return r.typ })
	s.Connections = frequent(found, top, func(r row) string { return r.connection })
	s.Workloads = frequent(found, top, func(r row) string { return r.workload })
	s.Outcomes = frequent(found, top, func(r row) string { return r.outcome })
	s.Actors = frequent(found, top, func(r row) string { return r.actor })
	return s, nil
}

// frequent is the most frequent values of a column; of two as frequent, the one first in order.
func frequent(rows []row, top int, column func(row) string) (out []Count) {
	counts := map[string]int{}
	for _, r := range rows {
		counts[column(r)]++
	}
	delete(counts, "")
	for _, v := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, Count{v, counts[v]})
	}
	slices.SortStableFunc(out, func(a, b Count) int { return cmp.Compare(b.Count, a.Count) })
	return out[:min(top, len(out))]
}
