package trail

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"
)

// How many events there were is counted as they are folded, by minute, hour and
// day, with their type and outcome: a chart of a day cannot look at a million of
// them. A count that flips on disk draws a wrong bar, and nothing more.
const (
	addBucket  = `INSERT INTO bucket VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET events = events + excluded.events`
	dropBucket = `DELETE FROM bucket WHERE span = ? AND slot < ?`
)

// spans are the lengths of time that events are counted by, and for how many of
// them before the newest the counts are kept. Further apart, a chart is by the longer.
var spans = []struct {
	length time.Duration
	kept   int64
}{{time.Minute, 3 * 24 * 60}, {time.Hour, 40 * 24}, {24 * time.Hour, 4000}}

// steps are the lengths of time that a chart has bars of.
var steps = []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 28 * 24 * time.Hour}

// bucket is a row of the table of that name but for its count.
type bucket struct {
	span         int // of spans
	slot         int64
	typ, outcome string
}

// buckets counts what is written; newest is the slot of each span that was written
// last. One Apply at a time uses it.
type buckets struct {
	add, drop *sql.Stmt
	newest    [3]int64
}

// count adds rows to their buckets, and forgets those that are long over.
func (b *buckets) count(tx *sql.Tx, rows []row) error {
	counts := map[bucket]int64{}
	var newest [3]int64
	for _, r := range rows {
		for i, s := range spans {
			newest[i] = floor(r.time, int64(s.length))
			counts[bucket{i, newest[i], r.typ, r.outcome}]++
		}
	}
	add := tx.Stmt(b.add)
	for k, n := range counts {
		if _, err := add.Exec(k.span, k.slot, k.typ, k.outcome, n); err != nil {
			return err
		}
	}
	for i, s := range spans {
		// A leap may be a clock that is far ahead for a moment: then nothing is dropped yet.
		if by := newest[i] - b.newest[i]; by <= 0 || by > s.kept {
			continue
		}
		if _, err := tx.Stmt(b.drop).Exec(i, newest[i]-s.kept); err != nil {
			return err
		}
	}
	b.newest = newest // should this not be committed, the next minute drops what this one did not
	return nil
}

// floor is how many whole lengths there are before a time, also before 1970.
func floor(nanoseconds, length int64) int64 {
	n := nanoseconds / length
	if nanoseconds%length < 0 {
		n--
	}
	return n
}

// Histogram is how many events there were in each part of a time, oldest first.
type Histogram struct {
	First time.Time     // when the first part begins
	Step  time.Duration // how long each is
	// Good succeeded; Bad was denied, or failed.
	Good, Bad []int
}

// Histogram counts the events that q finds between Since and Until, all of them,
// in at most so many parts, of which the first and the last are counted whole.
// Only filters by type and outcome are counted as events are folded: ok is false
// where q has others, has no Since or Until, or asks for what is long over in
// parts so short that they are not kept.
func (t *Trail) Histogram(ctx context.Context, q Query, most int) (h Histogram, ok bool, err error) {
	p, err := newPlan(Query{Type: q.Type, Outcome: q.Outcome, Since: q.Since, Until: q.Until})
	if err != nil {
		return h, false, err
	}
	if q.Q+q.Connection+q.Workload+q.Actor+q.RequestID != "" || q.Since.IsZero() || !q.Since.Before(q.Until) {
		return h, false, nil
	}
	err = t.read(ctx, func(f *file) error {
		h, ok, err = f.histogram(ctx, p, most)
		return err
	})
	return h, ok, err
}

func (f *file) histogram(ctx context.Context, p *plan, most int) (h Histogram, ok bool, err error) {
	var newest int64
	if err := f.reader.QueryRowContext(ctx, `SELECT time FROM event WHERE pos = (SELECT max(pos) FROM event)`).Scan(&newest); err != nil {
		if errors.Is(err, sql.ErrNoRows) { // nothing has happened yet
			err = nil
		}
		return h, false, err
	}
	span, step, ok := chosen(p.since, p.until, newest, most)
	if !ok {
		return h, false, nil
	}
	length := int64(spans[span].length)
	first := floor(p.since, int64(step)) * int64(step)
	parts := floor(p.until-1, int64(step)) - floor(p.since, int64(step)) + 1
	h = Histogram{First: time.Unix(0, first).UTC(), Step: step, Good: make([]int, parts), Bad: make([]int, parts)}
	rows, err := f.reader.QueryContext(ctx, `SELECT slot, type, outcome, events FROM bucket WHERE span = ? AND slot >= ? AND slot < ?`,
		span, first/length, first/length+parts*int64(step)/length)
	if err != nil {
		return h, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		var slot, events int64
		if err := rows.Scan(&slot, &r.typ, &r.outcome, &events); err != nil {
			return h, false, err
		}
		if !p.counts(r) {
			continue
		}
		list := h.Good
		if r.outcome != Success {
			list = h.Bad
		}
		list[(slot*length-first)/int64(step)] += int(min(events, math.MaxInt32))
	}
	return h, true, rows.Err()
}

// counts tells whether a row has the type and the outcome that are asked for.
func (p *plan) counts(r row) bool {
	for _, holds := range p.holds {
		if !holds(r) {
			return false
		}
	}
	return true
}

// chosen is the shortest step by which a time has at most so many parts, and the
// span that it is counted by; not ok where that is not kept any more, or where
// there would be one part alone.
func chosen(since, until, newest int64, most int) (span int, step time.Duration, ok bool) {
	for _, step := range steps {
		parts := floor(until-1, int64(step)) - floor(since, int64(step)) + 1
		span := len(spans) - 1
		for spans[span].length > step {
			span--
		}
		s := spans[span]
		if parts <= int64(most) && floor(since, int64(s.length)) >= floor(newest, int64(s.length))-s.kept {
			return span, step, parts > 1
		}
	}
	return 0, 0, false
}
