package trail

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"sallyport.dev/domain"
)

// Query answers one page. An error is a [domain.Error] that names the fields,
// [ErrCursor] or [ErrCursorFilter], or ctx's.
func (t *Trail) Query(ctx context.Context, q Query) (Page, error) {
	p, err := newPlan(q)
	if err != nil {
		return Page{}, err
	}
	found, err := t.find(ctx, p, p.after, maxKey)
	if err != nil {
		return Page{}, err
	}
	return Page{
		Events: found.events, HasMore: found.more, Last: found.last,
		Next: EncodeCursor(q, found.next(p)),
	}, nil
}

// All yields everything that q asks for, from After to the newest event as of
// the call, whatever q.Limit says; it holds one page at a time. The trail is
// only ever added to, so that this is one state of it without keeping a
// transaction open for as long as a client cares to read. It ends at the first
// error, which it yields.
func (t *Trail) All(ctx context.Context, q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		p, err := newPlan(q)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		p.limit = MaxLimit
		after, upTo := p.after, int64(maxKey)
		for {
			found, err := t.find(ctx, p, after, upTo)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range found.events {
				if !yield(e, nil) {
					return
				}
			}
			if !found.more {
				return
			}
			after = found.next(p)
			upTo = min(upTo, pack(found.last))
		}
	}
}

// Last is the newest position in the trail; the zero position if it is empty.
func (t *Trail) Last(ctx context.Context) (last domain.Position, err error) {
	err = t.read(ctx, func(f *file) error {
		last, err = f.last(ctx)
		return err
	})
	return last, err
}

// result is what find found.
type result struct {
	events []Entry
	more   bool            // at least one more matches behind them
	last   domain.Position // newest in the trail when they were looked for
	after  domain.Position // where the search began
}

// next is where the search goes on: behind the last event found. Ascending,
// with nothing more to find, that is behind everything that was looked at; a
// search that began ahead of the trail stays there.
func (r result) next(p *plan) domain.Position {
	switch {
	case !p.desc && !r.more && r.after.Less(r.last):
		return r.last
	case len(r.events) > 0:
		return r.events[len(r.events)-1].Position
	}
	return r.after
}

// find looks for at most p.limit events behind after and not above key upTo.
func (t *Trail) find(ctx context.Context, p *plan, after domain.Position, upTo int64) (result, error) {
	r := result{after: after}
	err := t.read(ctx, func(f *file) (err error) {
		if r.last, err = f.last(ctx); err != nil {
			return err
		}
		r.events, r.more, err = f.find(ctx, p, after, min(upTo, pack(r.last)))
		return err
	})
	return r, err
}

// read runs fn on the file and says what is wrong in the reader's words.
func (t *Trail) read(ctx context.Context, fn func(*file) error) error {
	replaced, err := t.use(fn)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("reading the audit trail: %w", err)
	case replaced:
		return errRebuilding
	}
	return nil
}

func (f *file) last(ctx context.Context) (domain.Position, error) {
	var pos int64
	err := f.reader.QueryRowContext(ctx, `SELECT coalesce(max(pos), 0) FROM event`).Scan(&pos)
	return unpack(pos), err
}

// find is one page, and whether there is more. The rows it sees are fixed by
// upTo, since events are never changed: no transaction is needed.
func (f *file) find(ctx context.Context, p *plan, after domain.Position, upTo int64) ([]Entry, bool, error) {
	from, to := pack(after)+1, upTo
	if p.desc {
		from, to = 0, upTo
		if after != (domain.Position{}) {
			to = min(upTo, pack(after)-1)
		}
	}
	if p.bounded {
		first, last, err := f.span(ctx, p.since, p.until)
		if err != nil {
			return nil, false, err
		}
		from, to = max(from, first), min(to, last)
	}
	if from > to {
		return nil, false, nil
	}
	sqlText, args := p.sql(from, to)
	rows, err := f.reader.QueryContext(ctx, sqlText, args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	var found []Entry
	for rows.Next() {
		r, err := scan(rows)
		switch {
		case err != nil:
			return nil, false, err
		case !p.accepts(r):
			continue
		case len(found) == p.limit:
			return found, true, nil
		}
		e, err := r.entry()
		if err != nil {
			return nil, false, err
		}
		found = append(found, e)
	}
	return found, false, rows.Err()
}

// accepts holds every filter but the times and the words against the row.
func (p *plan) accepts(r row) bool {
	return !slices.ContainsFunc(p.holds, func(holds func(row) bool) bool { return !holds(r) })
}

// span is the first and the last key of any event that may lie between two times.
func (f *file) span(ctx context.Context, since, until int64) (first, last int64, err error) {
	err = f.reader.QueryRowContext(ctx,
		`SELECT coalesce(min(first), 1), coalesce(max(last), 0) FROM slot WHERE slot BETWEEN ? AND ?`,
		slotOf(since), slotOf(until)).Scan(&first, &last)
	return first, last, err
}

// sql is the statement that yields what may match, lazily and in order. Values
// are only ever arguments; what is written into the text is ours.
func (p *plan) sql(from, to int64) (string, []any) {
	const columns = "SELECT e.pos, e.time, e.type, e.actor, e.subject, e.connection, e.workload, e.outcome, e.request_id, e.id, e.summary, e.body, e.sum FROM "
	tables, key, args := "event e WHERE ", "e.pos", []any{}
	if len(p.match) > 0 {
		// CROSS JOIN keeps this order: words yields the keys sorted, so that the first page is found without the rest
		tables, key = "words CROSS JOIN event e ON e.pos = words.rowid WHERE words MATCH ? AND ", "words.rowid"
		args = append(args, strings.Join(p.match, " AND "))
	}
	text := columns + tables + key + " BETWEEN ? AND ?"
	args = append(args, from, to)
	if p.bounded {
		text += " AND e.time >= ? AND e.time < ?"
		args = append(args, p.since, p.until)
	}
	text += " ORDER BY " + key
	if p.desc {
		text += " DESC"
	}
	return text, args
}

// scan reads a row and holds it against its sum.
func scan(rows *sql.Rows) (r row, err error) {
	var sum int64
	if err := rows.Scan(&r.pos, &r.time, &r.typ, &r.actor, &r.subject, &r.connection, &r.workload, &r.outcome,
		&r.requestID, &r.id, &r.summary, &r.body, &sum); err != nil {
		return row{}, err
	}
	if r.sum() != sum || len(r.body) < 2 {
		return row{}, fmt.Errorf("%w: event %s is not what was written", errCorrupt, unpack(r.pos))
	}
	return r, nil
}

// entry is the row as it is shown.
func (r row) entry() (Entry, error) {
	shown, err := shown(r.body, unpack(r.pos), r.summary)
	return Entry{Position: unpack(r.pos), ID: r.id, Type: r.typ, Summary: r.summary, JSON: shown}, err
}

// shown is the stored CloudEvent, byte for byte, with two members appended.
func shown(body []byte, p domain.Position, summary string) (json.RawMessage, error) {
	s, err := json.Marshal(summary)
	if err != nil {
		return nil, fmt.Errorf("writing a summary: %w", err)
	}
	out := make([]byte, 0, len(body)+len(s)+48)
	out = append(out, body[:len(body)-1]...)
	out = append(out, `,"position":"`...)
	out = append(out, p.String()...)
	out = append(out, `","summary":`...)
	out = append(out, s...)
	return append(out, '}'), nil
}
