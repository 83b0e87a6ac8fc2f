package repair

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/streams/blocks"
	"sallyport.dev/streams/seal"
)

// Depth says how much of the sealed events is hashed and held against the tree.
// Every checksum is looked at in any case.
type Depth int

// How deep to look.
const (
	// Quick hashes what takes a second or two: all of the sealed events where there
	// are no more than [QuickAll], and the last [QuickTail] otherwise.
	Quick Depth = iota
	// All hashes every sealed event.
	All
	// Thorough also reads the whole seal, and holds every commit of the log against
	// its second copy byte for byte, so that everything that differs is told.
	Thorough
)

// How many events [Quick] holds against the tree. A million events of 700 bytes
// take 2.6 s of one core, of which reading them and their checksums are 0.3 s.
const (
	QuickAll  = 500_000
	QuickTail = 100_000
)

// State is the outcome of an inspection.
type State string

// Outcomes.
const (
	Intact   State = "intact"
	Damaged  State = "damaged"
	Unsealed State = "unsealed" // nothing is wrong with it, and no checkpoint says how it was
)

// Findings are what an inspection found.
type Findings struct {
	Org   string `json:"org"`
	Store string `json:"store"`
	Seal  string `json:"seal"`
	State State  `json:"state"`
	// FirstBad is the first sequence that is not as it was, and Kind what happened to it.
	FirstBad uint64      `json:"first_bad_sequence,omitempty"`
	Kind     blocks.Kind `json:"kind,omitempty"`
	// Sealed is the last commit under the newest checkpoint, SealedEvents how many
	// events lie under it, and Compared how many of those were held against the tree.
	Sealed       uint64 `json:"sealed_sequence"`
	SealedEvents uint64 `json:"sealed_events"`
	Compared     uint64 `json:"compared_events"`
	// Configuration says what is wrong with meta.inf, and SealDamage with the seal.
	Configuration string        `json:"configuration,omitempty"`
	SealDamage    string        `json:"seal_damage,omitempty"`
	Blocks        blocks.Report `json:"blocks"`

	seal error // why the seal cannot be relied upon
}

// Options say how to inspect.
type Options struct {
	Depth Depth
	// Live says that a server has the store open: it is read up to the newest
	// checkpoint, behind which it moves.
	Live bool
}

// Inspect looks at a log and its seal, and changes nothing. Its error says that
// it could not look; what it saw is in the findings.
func Inspect(ctx context.Context, t Target, o Options) (Findings, error) {
	f := Findings{Org: t.Org, Store: t.Store.Dir, Seal: t.Seal}
	c, err := f.openSeal(t, o.Depth)
	if err != nil {
		return f, err
	}
	if c != nil {
		defer c.Close()
	}
	scan := blocks.Options{Sealed: f.Sealed, Subjects: t.subjects()}
	if o.Live {
		scan.Upto = f.Sealed
	}
	if o.Live && f.Sealed == 0 {
		return f, f.judge(t)
	}
	look := &look{ctx: ctx, f: &f, against: c}
	if o.Depth == Thorough && f.seal == nil {
		if err := look.second(t); err != nil {
			return f, err
		}
		defer look.stop()
	}
	if f.Blocks, err = t.Store.Scan(scan, look.record); err != nil {
		return f, err
	}
	f.Blocks.Damages = append(f.Blocks.Damages, look.found...)
	slices.SortStableFunc(f.Blocks.Damages, func(a, b blocks.Damage) int { return int(a.First) - int(b.First) })
	return f, f.judge(t)
}

// openSeal reads the newest checkpoint and begins the comparison with the tree:
// nil where the seal is damaged, which is noted.
func (f *Findings) openSeal(t Target, d Depth) (*seal.Comparison, error) {
	cp, found, err := seal.Newest(t.Seal)
	if err != nil {
		return nil, f.sealIs(seal.Damage(t.Seal, err, "the newest checkpoint cannot be read"))
	}
	if _, err := os.Stat(t.Mark); !found && t.Mark != "" && !errors.Is(err, fs.ErrNotExist) {
		return nil, f.sealIs(seal.Damage(t.Seal, err, "the log was sealed, and the checkpoint is gone"))
	}
	f.Sealed, f.SealedEvents = cp.Sequence, cp.Size
	tail := uint64(0)
	if found && d == Quick && cp.Size > QuickAll {
		tail = QuickTail
	}
	c, err := seal.Compare(t.Seal, t.Org, tail)
	if err != nil {
		return nil, f.sealIs(err)
	}
	return c, nil
}

// sealIs notes why the seal cannot be relied upon; what is no damage of it is returned.
func (f *Findings) sealIs(err error) error {
	if domain.Damaged(err) == nil {
		return err
	}
	f.seal, f.SealDamage = err, err.Error()
	return nil
}

// judge sums up.
func (f *Findings) judge(t Target) error {
	if f.Blocks.Damages == nil {
		f.Blocks.Damages = []blocks.Damage{} // [] for whoever reads the report
	}
	meta, err := t.Store.Meta()
	if err != nil {
		return fmt.Errorf("reading the configuration of the store: %w", err)
	}
	if meta == blocks.MetaDamaged {
		f.Configuration = "meta.inf is not what it was"
	}
	switch {
	case len(f.Blocks.Damages) > 0:
		f.State, f.FirstBad, f.Kind = Damaged, f.Blocks.Damages[0].First, f.Blocks.Damages[0].Kind
	case f.Configuration != "" || f.SealDamage != "":
		f.State = Damaged
	case f.Sealed == 0 && f.Blocks.Records > 0:
		f.State = Unsealed
	default:
		f.State = Intact
	}
	return nil
}

// Err is a *[domain.Damage] that says what is wrong and what to do, nil if nothing is.
func (f Findings) Err() error {
	switch {
	case len(f.Blocks.Damages) > 0:
		d := f.Blocks.Damages[0]
		found := d.String()
		if n := len(f.Blocks.Damages) - 1; n > 0 {
			found += fmt.Sprintf(" (and %d more)", n)
		}
		return &domain.Damage{Log: f.Org, Check: check(d.Kind), Sequence: d.First, Found: "in " + f.Store + ": " + found}
	case f.seal != nil:
		return f.seal
	case f.Configuration != "":
		return &domain.Damage{Log: f.Org, Check: "configuration", Found: "in " + f.Store + ": " + f.Configuration}
	}
	return nil
}

// check is the name by which [domain.Damage] calls it.
func check(k blocks.Kind) string {
	switch k {
	case blocks.Missing, blocks.Reordered:
		return "gap"
	case blocks.Truncated, blocks.RolledBack, blocks.TornTail:
		return "last"
	case blocks.Inserted, blocks.Modified:
		return "altered"
	}
	return "altered"
}

// look holds the records of a scan against the seal.
type look struct {
	ctx     context.Context
	f       *Findings
	against *seal.Comparison
	off     bool // it found a difference, and cannot go on behind it
	found   []blocks.Damage
	events  []domain.Envelope

	next   func() (seal.Record, error, bool) // of the second copy
	stop   func()
	copy   seal.Record
	copied bool
}

// second reads the second copy beside the log.
func (l *look) second(t Target) error {
	if _, err := seal.Verify(t.Seal, nil); err != nil {
		l.stop = func() {}
		return l.f.sealIs(err)
	}
	l.next, l.stop = iter.Pull2(seal.Records(t.Seal, 1))
	return nil
}

func (l *look) record(r blocks.Record) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	if l.next != nil {
		if err := l.copyOf(r); err != nil {
			return err
		}
	}
	if l.against == nil || l.off || l.against.Done() || r.Sequence < l.against.Next() {
		return nil
	}
	if r.Sequence > l.against.Next() {
		l.off = true // the scan tells of the gap
		return nil
	}
	return l.compare(r)
}

// compare holds the events of a record against the tree.
func (l *look) compare(r blocks.Record) error {
	parts, err := domain.SplitBatch(r.Body)
	if err != nil {
		l.differs(r, "it is no batch of events")
		return nil
	}
	l.events = l.events[:0]
	for _, p := range parts {
		l.events = append(l.events, domain.Envelope{Stored: p})
	}
	err = l.against.Commit(domain.Commit{Sequence: r.Sequence, Subject: string(r.Subject), Events: l.events})
	if d := domain.Damaged(err); d != nil {
		l.off = true
		l.differs(r, "its checksum is right, and it is not what was sealed: "+d.Found)
		return nil
	}
	l.f.Compared += uint64(len(parts))
	return err
}

// copyOf holds a record against its second copy.
func (l *look) copyOf(r blocks.Record) error {
	for !l.copied || l.copy.Sequence < r.Sequence {
		rec, err, more := l.next()
		if !more {
			l.next = nil
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the second copy of the log: %w", err)
		}
		l.copy, l.copied = rec, true
	}
	if l.copy.Sequence != r.Sequence {
		return nil
	}
	if what := differs(r, l.copy); what != "" {
		l.differs(r, "its "+what+" is not what was sealed")
	}
	return nil
}

// differs notes a record that is whole and is another one.
func (l *look) differs(r blocks.Record, detail string) {
	if n := len(l.found); n > 0 && l.found[n-1].First == r.Sequence {
		return
	}
	l.found = append(l.found, blocks.Damage{
		Kind: blocks.Modified, File: r.File, Offset: r.Offset, First: r.Sequence, Last: r.Sequence, Detail: detail,
	})
}
