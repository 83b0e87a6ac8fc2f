package trail

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/klauspost/compress/s2"

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

// find is one page, and whether there is more.
func (f *file) find(ctx context.Context, p *plan, after domain.Position, upTo int64) ([]Entry, bool, error) {
	found, more, err := f.rows(ctx, p, after, upTo)
	if err != nil {
		return nil, false, err
	}
	if p.bare {
		return bareEntries(found), more, nil
	}
	entries, err := f.entries(ctx, found)
	return entries, more, err
}

// rows is the rows of one page. Those it sees are fixed by upTo, since events are
// never changed: no transaction is needed.
func (f *file) rows(ctx context.Context, p *plan, after domain.Position, upTo int64) ([]row, bool, error) {
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
	return p.take(rows)
}

// take is the rows of one page, and whether there are more; it closes rows.
func (p *plan) take(rows *sql.Rows) (found []row, more bool, err error) {
	defer rows.Close()
	found = make([]row, 0, p.limit)
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
		found = append(found, r)
	}
	return found, false, rows.Err()
}

// entries is the rows as they are shown. Those of one commit lie together.
func (f *file) entries(ctx context.Context, rows []row) ([]Entry, error) {
	out := bareEntries(rows)
	var sequence uint64
	var events [][]byte
	var room []byte
	for i, r := range rows {
		p := out[i].Position
		if p.Sequence != sequence {
			var err error
			if events, room, err = f.events(ctx, p.Sequence, room); err != nil {
				return nil, err
			}
			sequence = p.Sequence
		}
		if p.Index >= len(events) || len(events[p.Index]) < 2 {
			return nil, fmt.Errorf("%w: commit %d has no event %d", errCorrupt, p.Sequence, p.Index)
		}
		shown, err := shown(events[p.Index], p, r.summary)
		if err != nil {
			return nil, err
		}
		out[i].JSON = shown
	}
	return out, nil
}

// bareEntries is the rows without what is in their commits.
func bareEntries(rows []row) []Entry {
	out := make([]Entry, 0, len(rows))
	for _, r := range rows {
		out = append(out, Entry{
			Position: unpack(r.pos), ID: r.id, Type: r.typ, Summary: r.summary, Time: instant(r.time), Actor: r.actor, Subject: r.subject,
			Connection: r.connection, Workload: r.workload, Outcome: r.outcome, RequestID: r.requestID,
		})
	}
	return out
}

// events is the stored bytes of each event of a commit. They are unpacked into
// room, if it is large enough, which is given back for the next commit.
func (f *file) events(ctx context.Context, sequence uint64, room []byte) (events [][]byte, _ []byte, err error) {
	b := body{sequence: int64(sequence)}
	var sum int64
	err = f.body.QueryRowContext(ctx, b.sequence).Scan(&b.events, &sum)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && b.sum() != sum:
		return nil, nil, fmt.Errorf("%w: commit %d is not what was written", errCorrupt, sequence)
	case err != nil:
		return nil, nil, err
	}
	array, err := s2.Decode(room[:cap(room)], b.events)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: commit %d: %w", errCorrupt, sequence, err)
	}
	if events, err = domain.SplitBatch(array); err != nil {
		return nil, nil, fmt.Errorf("%w: commit %d: %w", errCorrupt, sequence, err)
	}
	return events, array, nil
}

// accepts holds every filter but the words against the row, whose sum is known
// to be right by then: a time or a name that flipped on disk hides nothing.
func (p *plan) accepts(r row) bool {
	return (!p.bounded || p.since <= r.time && r.time < p.until) && !slices.ContainsFunc(p.holds, func(holds func(row) bool) bool { return !holds(r) })
}

// span is the first and the last key of any event that may lie between two times.
// until is not included, so that a whole hour does not begin another minute.
func (f *file) span(ctx context.Context, since, until int64) (first, last int64, err error) {
	var wrong int
	err = f.reader.QueryRowContext(ctx,
		`SELECT coalesce(min(first), 1), coalesce(max(last), 0), count(*) FILTER (WHERE sum != `+slotSum+`) FROM slot WHERE slot BETWEEN ? AND ?`,
		slotOf(since), slotOf(max(until, math.MinInt64+1)-1)).Scan(&first, &last, &wrong)
	if err == nil && wrong > 0 {
		err = fmt.Errorf("%w: a time in it is not what was written", errCorrupt)
	}
	return first, last, err
}

// sql is the statement that yields what may match, lazily and in order. Values
// are only ever arguments; what is written into the text is ours.
func (p *plan) sql(from, to int64) (string, []any) {
	const columns = "SELECT e.pos, e.time, e.type, e.actor, e.subject, e.connection, e.workload, e.outcome, e.request_id, e.id, e.summary, e.sum FROM "
	tables, key, args := "event e WHERE ", "e.pos", []any{}
	if len(p.match) > 0 {
		// CROSS JOIN keeps this order: words yields the keys sorted, so that the first page is found without the rest
		tables, key = "words CROSS JOIN event e ON e.pos = words.rowid WHERE words MATCH ? AND ", "words.rowid"
		args = append(args, strings.Join(p.match, " AND "))
	}
	text := columns + tables + key + " BETWEEN ? AND ?"
	args = append(args, from, to)
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
		&r.requestID, &r.id, &r.summary, &sum); err != nil {
		return row{}, err
	}
	if r.sum() != sum {
		return row{}, fmt.Errorf("%w: event %s is not what was written", errCorrupt, unpack(r.pos))
	}
	return r, nil
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
