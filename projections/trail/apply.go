package trail

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"path"

	"github.com/klauspost/compress/s2"

	"sallyport.dev/domain"
)

const (
	// maxSequence and maxIndex bound what fits a row's key.
	maxSequence = 1<<47 - 1
	maxIndex    = 1<<16 - 1
	// maxKey is above every row's key.
	maxKey = math.MaxInt64
	// transactionEvents is about how many events one transaction writes.
	transactionEvents = 16384
	// slotNanoseconds is the minute of a slot.
	slotNanoseconds = 60 * 1e9
)

// pack is a position as a row's key.
func pack(p domain.Position) int64 { return int64(p.Sequence)<<16 | int64(p.Index) }

func unpack(pos int64) domain.Position {
	return domain.Position{Sequence: uint64(pos) >> 16, Index: int(pos & maxIndex)}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is a checksum of everything in the row, so that a bit that flipped on
// disk is found when the row is read, and neither shown nor filtered by.
func (r row) sum() int64 {
	texts := [...]string{r.typ, r.actor, r.subject, r.connection, r.workload, r.outcome, r.requestID, r.id, r.summary}
	size := 2 * 8
	for _, s := range texts {
		size += binary.MaxVarintLen32 + len(s)
	}
	h := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, size), uint64(r.pos)), uint64(r.time))
	for _, s := range texts {
		h = append(binary.AppendUvarint(h, uint64(len(s))), s...)
	}
	return int64(crc32.Checksum(h, castagnoli))
}

// body is the events of one commit, a JSON array of their stored bytes, compressed.
type body struct {
	sequence int64
	events   []byte
}

// sum is to a body what [row.sum] is to a row.
func (b body) sum() int64 {
	h := crc32.Checksum(binary.BigEndian.AppendUint64(nil, uint64(b.sequence)), castagnoli)
	return int64(crc32.Update(h, castagnoli, b.events))
}

// Apply adds commits to the trail, in order; those at or below Applied are
// there already and are passed over. Rows and checkpoint are written together,
// in transactions of whole commits: after an error, or a kill at any instant,
// Applied tells exactly what is in the file.
//
// A gap and an event that the catalogue does not know are errors. [ErrSetAside]
// asks to follow the log again from Applied.
func (t *Trail) Apply(commits []domain.Commit) error {
	t.applying.Lock()
	defer t.applying.Unlock()
	for len(commits) > 0 {
		n, err := t.skip(commits)
		if err != nil {
			return err
		}
		commits = commits[n:]
		batch := commits[:batchLength(commits)]
		commits = commits[len(batch):]
		if err := t.write(batch); err != nil {
			return err
		}
	}
	return nil
}

// skip is how many commits the trail has already; what follows has to be the next.
func (t *Trail) skip(commits []domain.Commit) (int, error) {
	t.state.Lock()
	defer t.state.Unlock()
	n := 0
	for n < len(commits) && commits[n].Sequence <= t.applied {
		n++
	}
	next := t.applied
	for _, c := range commits[n:] {
		switch next++; {
		case c.Sequence == next:
		case t.setAside:
			return 0, ErrSetAside
		default:
			return 0, fmt.Errorf("applying commit %d to the audit trail: %d is next, there is a gap", c.Sequence, next)
		}
	}
	return n, nil
}

// batchLength is how many commits go into one transaction: at least one.
func batchLength(commits []domain.Commit) int {
	events := 0
	for i, c := range commits {
		if events += len(c.Events); i > 0 && events > transactionEvents {
			return i
		}
	}
	return len(commits)
}

func (t *Trail) write(batch []domain.Commit) error {
	if len(batch) == 0 {
		return nil
	}
	rows, bodies, err := t.rows(batch)
	if err != nil {
		return err
	}
	last := batch[len(batch)-1].Sequence
	replaced, err := t.use(func(f *file) error {
		if t.Applied() != batch[0].Sequence-1 {
			return ErrSetAside // a reader found the corruption meanwhile; this file is another
		}
		if err := f.add(rows, bodies, last); err != nil {
			return err
		}
		t.advance(last, false) // before the file could be replaced
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("writing commits up to %d to the audit trail: %w", last, err)
	case replaced:
		return ErrSetAside
	}
	return nil
}

// add writes rows, bodies and checkpoint in one transaction.
func (f *file) add(rows []row, bodies []body, applied uint64) error {
	ctx := context.Background() // a transaction takes milliseconds and is not given up halfway
	tx, err := f.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing once committed
	addEvent, addBody, addWords := tx.Stmt(f.addEvent), tx.Stmt(f.addBody), tx.Stmt(f.addWords)
	for _, b := range bodies {
		if _, err := addBody.Exec(b.sequence, b.events, b.sum()); err != nil {
			return err
		}
	}
	slots := map[int64][2]int64{}
	for _, r := range rows {
		if _, err := addEvent.Exec(r.pos, r.time, r.typ, r.actor, r.subject, r.connection, r.workload, r.outcome,
			r.requestID, r.id, r.summary, r.sum()); err != nil {
			return err
		}
		if _, err := addWords.Exec(r.pos, r.words); err != nil {
			return err
		}
		s := slotOf(r.time)
		if _, ok := slots[s]; !ok {
			slots[s] = [2]int64{r.pos, r.pos}
		}
		slots[s] = [2]int64{slots[s][0], r.pos}
	}
	if err := addSlots(tx.Stmt(f.addSlot), slots); err != nil {
		return err
	}
	if err := countActivity(tx.Stmt(f.addActivity), tx.Stmt(f.dropActivity), rows); err != nil {
		return err
	}
	if err := f.buckets.count(tx, rows); err != nil {
		return err
	}
	if _, err := tx.Stmt(f.setApplied).Exec(int64(applied)); err != nil {
		return err
	}
	return tx.Commit()
}

func addSlots(add *sql.Stmt, slots map[int64][2]int64) error {
	for slot, span := range slots {
		if _, err := add.Exec(slot, span[0], span[1]); err != nil {
			return err
		}
	}
	return nil
}

// slotOf is the minute that a time is in; it only ever grows with it.
func slotOf(nanoseconds int64) int64 { return nanoseconds / slotNanoseconds }

// row is an event as the file has it; words and counts only on its way in.
type row struct {
	pos, time                                    int64
	typ, actor, subject                          string
	connection, workload, outcome, requestID, id string
	summary                                      string
	words                                        string
	issued, denied                               int64
}

func (t *Trail) rows(commits []domain.Commit) (rows []row, bodies []body, err error) {
	seen := map[string]struct{}{}
	for _, c := range commits {
		if len(c.Events) == 0 || len(c.Events) > maxIndex || c.Sequence > maxSequence {
			return nil, nil, fmt.Errorf("applying commit %d to the audit trail: %d events are out of range", c.Sequence, len(c.Events))
		}
		for i, e := range c.Events {
			clear(seen)
			r, err := t.row(domain.Position{Sequence: c.Sequence, Index: i}, e, seen)
			if err != nil {
				return nil, nil, fmt.Errorf("applying event %d.%d to the audit trail: %w", c.Sequence, i, err)
			}
			rows = append(rows, r)
		}
		stored, err := storedEvents(c)
		if err != nil {
			return nil, nil, fmt.Errorf("applying commit %d to the audit trail: %w", c.Sequence, err)
		}
		bodies = append(bodies, body{int64(c.Sequence), s2.Encode(nil, stored)})
	}
	return rows, bodies, nil
}

// storedEvents is a JSON array of a commit's events, byte for byte as stored.
func storedEvents(c domain.Commit) ([]byte, error) {
	if c.Body != nil {
		return c.Body, nil
	}
	array := []byte{'['}
	for i, e := range c.Events { // not from a log
		stored := e.Stored
		if stored == nil {
			var err error
			if stored, err = e.MarshalJSON(); err != nil {
				return nil, err
			}
		}
		if i > 0 {
			array = append(array, ',')
		}
		array = append(array, stored...)
	}
	return append(array, ']'), nil
}

func (t *Trail) row(p domain.Position, e domain.Envelope, seen map[string]struct{}) (row, error) {
	typ, ok := t.cat.Lookup(e.Type)
	if !ok || e.Event == nil {
		return row{}, fmt.Errorf("the type %q cannot be read", e.Type)
	}
	r := row{
		pos: pack(p), time: nanoseconds(e.Time), typ: e.Type, actor: e.Actor, subject: e.Subject,
		outcome: typ.Outcome(e), requestID: e.RequestID, id: e.ID, summary: typ.Summary(e),
	}
	r.connection, r.workload = typ.Workload(e)
	r.words = document(r, e, seen)
	r.issued, r.denied = exchanged(e.Event)
	return r, nil
}

// document is what the index holds of an event: marks for filters, words for q.
func document(r row, e domain.Envelope, seen map[string]struct{}) string {
	b := make([]byte, 0, 1024)
	add := func(kind byte, value string) {
		if value != "" {
			b = append(append(b, ' '), mark(kind, value)...)
		}
	}
	add(markType, r.typ)
	for i := range r.typ {
		if r.typ[i] == '.' {
			add(markFamily, r.typ[:i])
		}
	}
	add(markActor, r.actor)
	add(markConnection, r.connection)
	add(markOutcome, r.outcome)
	add(markRequest, r.requestID)
	if r.workload != "" {
		add(markWorkload, r.workload)
		add(markURI, workload{path.Base(e.Source), r.connection, r.workload}.String())
	}
	for _, s := range []string{r.summary, r.typ, r.subject, readable(r.actor)} {
		b = appendOnce(b, s, seen)
	}
	return string(appendValues(b, e.Data, seen))
}
