package trail

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
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
		if len(found) == p.limit {
			return found, true, nil
		}
		e, err := scan(rows.Scan)
		if err != nil {
			return nil, false, err
		}
		found = append(found, e)
	}
	return found, false, rows.Err()
}

// span is the first and the last key of any event that may lie between two times.
func (f *file) span(ctx context.Context, since, until int64) (first, last int64, err error) {
	err = f.reader.QueryRowContext(ctx,
		`SELECT coalesce(min(first), 1), coalesce(max(last), 0) FROM slot WHERE slot BETWEEN ? AND ?`,
		slotOf(since), slotOf(until)).Scan(&first, &last)
	return first, last, err
}

// sql is the statement of one page and one row more. Values are only ever
// arguments; what is written into the text is ours.
func (p *plan) sql(from, to int64) (string, []any) {
	var b strings.Builder
	var args []any
	key := "e.pos"
	b.WriteString("SELECT e.pos, e.id, e.type, e.summary, e.body, e.sum FROM ")
	if len(p.match) == 0 {
		b.WriteString("event e WHERE ")
	} else {
		// CROSS JOIN keeps this order: words yields the keys sorted, so that the first page is found without the rest
		key = "w.rowid"
		b.WriteString("words w CROSS JOIN event e ON e.pos = w.rowid WHERE words MATCH ? AND ")
		args = append(args, strings.Join(p.match, " AND "))
	}
	b.WriteString(key + " >= ? AND " + key + " <= ?")
	args = append(args, from, to)
	for _, w := range p.where {
		b.WriteString(" AND " + w)
	}
	args = append(args, p.args...)
	b.WriteString(" ORDER BY " + key)
	if p.desc {
		b.WriteString(" DESC")
	}
	b.WriteString(" LIMIT ?")
	return b.String(), append(args, p.limit+1)
}

// scan reads a row and holds it against its sum.
func scan(into func(...any) error) (Entry, error) {
	var (
		pos  int64
		e    Entry
		body []byte
		sum  uint32
	)
	if err := into(&pos, &e.ID, &e.Type, &e.Summary, &body, &sum); err != nil {
		return Entry{}, fmt.Errorf("%w: reading a row: %w", errCorrupt, err)
	}
	e.Position = unpack(pos)
	if bodySum(e.Summary, body) != sum || len(body) < 2 {
		return Entry{}, fmt.Errorf("%w: event %s is not what was written", errCorrupt, e.Position)
	}
	var err error
	e.JSON, err = shown(body, e.Position, e.Summary)
	return e, err
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
