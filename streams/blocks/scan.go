package blocks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Stream is the folder of one stream, streams/<name>, read only.
type Stream struct {
	Dir string
}

// Name is the stream's name, which is that of its folder.
func (s Stream) Name() string { return filepath.Base(s.Dir) }

func (s Stream) blocks() string { return filepath.Join(s.Dir, "msgs") }

// Options says what a scan expects.
type Options struct {
	// Sealed is the last sequence that is known from elsewhere to have been stored:
	// the log must reach it, and what is torn must lie behind it. 0: nothing is known.
	Sealed uint64
	// Upto ends the scan after that sequence; 0: at the end. It is for a stream that
	// a server is writing to.
	Upto uint64
	// Subjects are those that a record may have; none: any. No checksum tells where the
	// subject of a record without a header ends, so a log's are to be given.
	Subjects []string
	// Bucket says that messages may have been replaced and deleted, as in a bucket of keys.
	// Otherwise every sequence from 1 on must be there once, in order.
	Bucket bool
}

// errDone ends a scan at its bound.
var errDone = errors.New("the scan is done")

// Scan reads the whole stream in order and hands every whole record at its place to
// each, whose error ends the scan and is returned; each may be nil. What is wrong with the stream is in
// the report and not in the error: that is for folders that cannot be read at all.
func (s Stream) Scan(o Options, each func(Record) error) (Report, error) {
	w := &walk{stream: s.Name(), o: o, each: each, next: 1}
	if _, err := os.Stat(filepath.Join(s.Dir, "meta.key")); err == nil {
		return w.report, fmt.Errorf("%s is encrypted by its server, and cannot be checked without it", s.Dir)
	}
	all, err := files(s.blocks())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return w.report, err
	}
	w.report.Known = indexLast(s.blocks(), w.stream)
	w.foreign(s.Dir)
	w.files = all
	err = eachBlock(all, w.block)
	if err != nil && !errors.Is(err, errDone) {
		return w.report, err
	}
	if err == nil {
		w.end()
	}
	return w.report, nil
}

// walk is a scan under way.
type walk struct {
	stream string
	o      Options
	each   func(Record) error
	files  []file
	report Report
	next   uint64 // the sequence that comes next
	// seen is how many whole records there were, size of how many bytes.
	seen, size int64
	// stretch is where bytes were no record; how far it goes is not known before
	// the next record is found.
	stretch *stretch
}

type stretch struct {
	Damage
	bytes    int  // of it, up to where a record was found again, or the block ended
	swapped  bool // the block is another's
	tail     bool // it goes to the end of its block
	last     bool // and that is the last block
	zeroes   bool
	squeezed bool // compressed
}

func (w *walk) damage(d Damage) { w.report.Damages = append(w.report.Damages, d) }

// foreign tells of folders in which the server keeps a half-done purge: it would
// put them in place of the log, and a log is never purged.
func (w *walk) foreign(dir string) {
	for _, name := range []string{"__new_msgs__", "__msgs__"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil && !w.o.Bucket {
			w.damage(Damage{Kind: Inserted, First: 1, Detail: "the folder " + name + " is there: the server would put it in place of the log"})
		}
	}
}

// block walks through one block.
func (w *walk) block(b block) error {
	w.report.Blocks++
	w.report.Bytes += b.stored
	if b.compressed {
		w.report.Compressed++
	}
	sum := blockSum(w.stream, b.index)
	for at := 0; at < len(b.records); {
		r, bad := w.parse(b.records[at:], sum)
		if bad == nil {
			if err := w.record(b, at, r); err != nil {
				return err
			}
			at += r.size
			continue
		}
		at = w.fault(b, at, sum, bad)
	}
	if b.broken != nil && (w.stretch == nil || w.stretch.File != b.name()) {
		w.begin(b, len(b.records), Modified, "it does not decompress: "+b.broken.Error())
	}
	if w.stretch != nil && w.stretch.File == b.name() {
		w.stretch.last = b.index == w.lastIndex()
		w.stretch.squeezed = b.compressed
	}
	return nil
}

func (w *walk) lastIndex() int { return w.files[len(w.files)-1].index }

// begin begins a stretch, unless one goes on.
func (w *walk) begin(b block, at int, k Kind, detail string) {
	if w.stretch == nil {
		w.stretch = &stretch{Damage: Damage{Kind: k, File: b.name(), Offset: int64(at), First: w.next, Detail: detail}}
	}
	w.stretch.tail = true
}

// fault notes bytes that are no record and returns where the next record begins.
func (w *walk) fault(b block, at int, sum *sum, bad *fault) int {
	if at == 0 {
		if other := w.owner(b); other != 0 {
			w.begin(b, at, Reordered, fmt.Sprintf("it is the content of block %d", other))
			w.stretch.swapped = true
			return len(b.records)
		}
	}
	kind := Modified
	if bad.short {
		kind = Truncated
	}
	p := w.resume(b.records, at, sum, bad)
	detail := bad.text
	if b.broken != nil && p == len(b.records) {
		kind, detail = Modified, "it does not decompress: "+b.broken.Error()
	}
	w.begin(b, at, kind, detail)
	w.stretch.bytes += p - at
	w.stretch.zeroes = isZero(b.records[at:min(at+smallest, p)])
	w.stretch.tail = p == len(b.records)
	return p
}

// owner is the number of the block to which the content of b belongs, 0 if to none.
func (w *walk) owner(b block) int {
	for _, f := range w.files {
		if f.index != b.index {
			if _, bad := parse(b.records, blockSum(w.stream, f.index)); bad == nil {
				return f.index
			}
		}
	}
	return 0
}

// resume finds the next record behind a fault, or the end of the block.
func (w *walk) resume(records []byte, at int, sum *sum, bad *fault) int {
	if bad.size > 0 {
		if p := at + bad.size; p < len(records) {
			if _, bad := w.parse(records[p:], sum); bad == nil {
				return p
			}
		}
	}
	for p := at + 1; p+smallest <= len(records); p++ {
		if !w.plausible(records[p:]) {
			continue
		}
		if _, bad := w.parse(records[p:], sum); bad == nil {
			return p
		}
	}
	return len(records)
}

// parse reads the record at the start of b, which must be one of this stream's.
func (w *walk) parse(b []byte, s *sum) (raw, *fault) {
	r, bad := parse(b, s)
	if bad != nil || len(w.o.Subjects) == 0 || r.sequence >= tombstoneBit {
		return r, bad
	}
	for _, known := range w.o.Subjects {
		if string(r.subject) == known {
			return r, nil
		}
	}
	return raw{}, &fault{text: "its subject is none of this log's", size: r.size}
}

// plausible tells whether a record of this stream could begin there, without its checksum.
func (w *walk) plausible(b []byte) bool {
	const ahead = 1 << 24 // more records than a few blocks hold
	sequence := binary.LittleEndian.Uint64(b[4:]) &^ (erasedBit | tombstoneBit)
	size := binary.LittleEndian.Uint32(b) &^ headerBit
	return sequence < w.next+ahead && size >= smallest && int64(size) <= int64(len(b))
}

// record takes a whole record.
func (w *walk) record(b block, at int, r raw) error {
	w.seen, w.size = w.seen+1, w.size+int64(r.size)
	plain := r.sequence &^ (erasedBit | tombstoneBit)
	switch {
	case w.o.Bucket:
		w.settle(max(plain, w.next))
	case r.sequence&tombstoneBit != 0:
		w.damage(Damage{Inserted, b.name(), int64(at), plain, plain, "a deletion of what was stored there"})
		return nil
	case r.sequence&erasedBit != 0 || r.sequence == 0:
		w.settle(plain)
		w.damage(Damage{Missing, b.name(), int64(at), plain, plain, "it was erased"})
		w.next = max(w.next, plain+1)
		return nil
	case plain < w.next:
		w.again(b, at, plain)
		return nil
	default:
		w.gap(b, at, plain)
	}
	w.next = max(w.next, plain+1)
	if r.sequence != plain || plain == 0 {
		return nil // deleted, in a bucket
	}
	return w.hand(b, at, r)
}

// hand hands a record over.
func (w *walk) hand(b block, at int, r raw) error {
	w.report.Records++
	w.report.Last = r.sequence
	if w.report.First == 0 {
		w.report.First = r.sequence
	}
	if w.each != nil {
		if err := w.each(Record{
			Sequence: r.sequence, Stored: time.Unix(0, r.nanos).UTC(), Subject: r.subject, Header: r.header, Body: r.body,
			File: b.name(), Offset: int64(at),
		}); err != nil {
			return err
		}
	}
	if r.sequence == w.o.Upto {
		return errDone
	}
	return nil
}

// gap notes what is not there between the last record and one of that sequence.
func (w *walk) gap(b block, at int, sequence uint64) {
	if w.stretch != nil {
		w.settle(sequence)
		return
	}
	if sequence == w.next {
		return
	}
	detail := ""
	if at == 0 {
		if n := w.absent(b); n > 0 {
			detail = fmt.Sprintf("there is no %d.blk", n)
		}
	}
	w.damage(Damage{Missing, b.name(), int64(at), w.next, sequence - 1, detail})
}

// absent is the number of the block that should come before b and is not there.
func (w *walk) absent(b block) int {
	for _, f := range w.files {
		if f.index == b.index-1 {
			return 0
		}
	}
	return b.index - 1
}

// again notes a record whose place was already passed.
func (w *walk) again(b block, at int, sequence uint64) {
	for i := range w.report.Damages {
		d := &w.report.Damages[i]
		if d.Kind != Inserted && d.First <= sequence && sequence <= d.Last {
			if d.Kind == Missing {
				d.Kind, d.Detail = Reordered, fmt.Sprintf("%d is in %s at byte %d", sequence, b.name(), at)
			}
			return
		}
	}
	w.damage(Damage{Inserted, b.name(), int64(at), sequence, sequence, "a second copy"})
}

// settle ends the stretch at a record of that sequence.
func (w *walk) settle(sequence uint64) {
	s := w.stretch
	if s == nil {
		return
	}
	w.stretch = nil
	s.Last = sequence - 1
	if s.Last < s.First { // nothing is missing
		s.Kind, s.Last, s.Detail = Inserted, s.First, fmt.Sprintf("%d bytes before it are no record", s.bytes)
		if w.o.Bucket {
			s.Kind, s.Detail = Modified, "bytes before it are no record"
		}
	}
	lost := int(s.Last - s.First + 1)
	switch {
	case s.swapped || s.Kind == Inserted:
	case s.zeroes:
		s.Kind, s.Detail = Modified, "there are zeroes in its place"
	case s.tail:
	case s.Kind == Truncated: // its length was wrong
		s.Kind, s.Detail = Modified, "its length is wrong"
	case lost > 1 && s.bytes < lost*w.usual()/2: // most of it was cut out
		s.Kind, s.Detail = Missing, fmt.Sprintf("of their bytes, %d are left", s.bytes)
	}
	w.damage(s.Damage)
}

// usual is how long a record usually is, by those seen whole.
func (w *walk) usual() int { return int(w.size / max(w.seen, 1)) }

// end judges the end of the stream.
func (w *walk) end() {
	known := max(w.o.Sealed, w.report.Known)
	if w.o.Bucket {
		known = w.report.Known
	}
	s := w.stretch
	switch {
	case s != nil && s.tail && s.last && !s.squeezed && !s.swapped && w.next > known:
		s.Kind = TornTail
		w.report.Torn = &s.Damage
	case s != nil:
		if s.zeroes {
			s.Detail = "there are zeroes in its place"
		}
		if known >= s.First {
			s.Last = known
		}
		w.damage(s.Damage)
	case w.next <= known:
		w.damage(w.short(known))
	}
}

// short is the damage of a stream that ends after a whole record before it should.
func (w *walk) short(known uint64) Damage {
	d := Damage{Kind: RolledBack, First: w.next, Last: known}
	switch {
	case len(w.files) == 0:
		d.Kind, d.Detail = Missing, "there are no blocks"
	case known == w.o.Sealed:
		d.Detail = fmt.Sprintf("the log ends at %d, and the newest checkpoint is at %d", w.next-1, known)
	default:
		d.Detail = fmt.Sprintf("the log ends at %d, and it went to %d when it was last closed", w.next-1, known)
	}
	return d
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return len(b) > 0
}
