package repair

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/streams/blocks"
	"sallyport.dev/streams/seal"
)

// Plan says what a repair of one log would do. It is made without changing anything.
type Plan struct {
	Target   Target   `json:"-"`
	Findings Findings `json:"findings"`
	// Needed: the store is damaged and a new one is to be written. Otherwise only what
	// Configuration or Reseal says is done.
	Needed bool `json:"new_store"`
	// FromSeal is the last commit that comes from the sealed segments, beginning at 1,
	// and FromStore the last one that survives behind them in the damaged store; 0: none.
	FromSeal  uint64 `json:"from_seal_to_sequence"`
	FromStore uint64 `json:"from_store_to_sequence"`
	// Lost says what is known or feared to be lost behind the newest checkpoint; empty: nothing is.
	Lost string `json:"lost,omitempty"`
	// Configuration: meta.inf is damaged and set aside, and made anew.
	Configuration bool `json:"configuration_set_aside"`
	// Reseal: the seal is set aside, for the server to seal the whole log again.
	Reseal bool `json:"reseal"`
}

// Nothing tells whether there is nothing to do.
func (p Plan) Nothing() bool { return !p.Needed && !p.Configuration && !p.Reseal }

// NewPlan inspects a log, all of its sealed events hashed, and plans its repair. reseal
// asks for the seal to be made again from the log, which is granted only where the
// log is whole by itself. A *[domain.Damage] says that nothing here can repair it.
func NewPlan(ctx context.Context, t Target, reseal bool) (Plan, error) {
	p := Plan{Target: t}
	var err error
	if p.Findings, err = Inspect(ctx, t, Options{Depth: All}); err != nil {
		return p, err
	}
	p.Configuration = p.Findings.Configuration != ""
	p.Needed = len(p.Findings.Blocks.Damages) > 0
	if reseal {
		return p, p.reseal()
	}
	if !p.Needed {
		return p, p.sealAlone()
	}
	if p.Findings.seal != nil {
		return p, fmt.Errorf("both the log and its seal are damaged, and a new store cannot be made of them: "+
			"restore a backup with `sallyportd restore`: %w", p.Findings.seal)
	}
	// What is written is read twice: nothing is begun that the seal cannot finish.
	if _, err := seal.Verify(t.Seal, nil); err != nil {
		if domain.Damaged(err) == nil {
			return p, fmt.Errorf("reading the second copy of the log: %w", err)
		}
		return p, fmt.Errorf("both the log and its seal are damaged, and a new store cannot be made of them: "+
			"restore a backup with `sallyportd restore`: %w", err)
	}
	p.FromSeal = p.Findings.Sealed
	tail, err := salvage(ctx, t, p.FromSeal)
	if err != nil {
		return p, err
	}
	p.FromStore = tail.end
	p.Lost = p.lost(tail)
	return p, nil
}

// lastSealed is the last commit that is sealed; none is found where nothing is.
func lastSealed(t Target, sequence uint64) (last seal.Record, found bool, err error) {
	if sequence == 0 {
		return last, false, nil
	}
	for rec, err := range seal.Records(t.Seal, sequence) {
		return rec, err == nil, err
	}
	return last, false, nil
}

// sealAlone is the damage of a seal whose log is whole by itself, nil if there is none.
func (p *Plan) sealAlone() error {
	if p.Findings.seal == nil {
		return nil
	}
	return &domain.Damage{
		Log: p.Target.Org, Check: "seal", Found: "its seal is damaged, and the log is whole by itself", Err: p.Findings.seal,
		Repair: "restore the data directory from a backup with `sallyportd restore`; or, if nobody can have changed the log, " +
			"have it sealed again with `sallyportd log repair --reseal --org " + p.Target.Org + "`",
	}
}

// reseal allows the seal to be made again.
func (p *Plan) reseal() error {
	for _, d := range p.Findings.Blocks.Damages {
		return &domain.Damage{Log: p.Target.Org, Check: check(d.Kind), Sequence: d.First,
			Found:  "it cannot be sealed again: " + d.String(),
			Repair: "run `sallyportd log repair` without --reseal, or restore a backup with `sallyportd restore`"}
	}
	if p.Findings.Blocks.Records == 0 {
		return &domain.Damage{Log: p.Target.Org, Check: "missing", Found: "it cannot be sealed again: there is nothing in " + p.Findings.Store}
	}
	p.Reseal = true
	return nil
}

// tail is what survives of a log behind a sequence.
type tail struct {
	end     uint64                   // last sequence of those that follow one another; 0: none
	highest uint64                   // sequence seen, behind or not
	records map[uint64]blocks.Record // those that follow one another
	// foreign: the store has another commit where the last sealed one is. What follows
	// that is another log's, and is not taken.
	foreign bool
}

// salvage collects whatever whole records follow one another behind a sequence.
// They are few: a checkpoint is made every 1,000 events or 10 s.
func salvage(ctx context.Context, t Target, after uint64) (tail, error) {
	s := tail{records: map[uint64]blocks.Record{}}
	last, isSealed, err := lastSealed(t, after)
	if err != nil {
		return s, err
	}
	twice := map[uint64]bool{}
	err = t.Store.Salvage(t.subjects(), func(r blocks.Record) error {
		s.highest = max(s.highest, r.Sequence)
		if isSealed && r.Sequence == after && differs(r, last) != "" {
			s.foreign = true
		}
		if r.Sequence <= after {
			return ctx.Err()
		}
		r.Subject, r.Header, r.Body = slices.Clone(r.Subject), slices.Clone(r.Header), slices.Clone(r.Body)
		if have, there := s.records[r.Sequence]; there && string(have.Body) != string(r.Body) {
			twice[r.Sequence] = true // nobody can tell which one it was
		}
		s.records[r.Sequence] = r
		return ctx.Err()
	})
	if err != nil {
		return s, fmt.Errorf("looking for what survives: %w", err)
	}
	next := after + 1
	for ; !s.foreign; next++ {
		if _, there := s.records[next]; !there || twice[next] {
			break
		}
		s.end = next
	}
	maps.DeleteFunc(s.records, func(seq uint64, _ blocks.Record) bool { return seq >= next })
	return s, nil
}

// lost says what is gone behind the newest checkpoint. A log that was whole there
// has lost nothing; of one that ends early nobody knows how far it went.
func (p *Plan) lost(s tail) string {
	end := max(s.end, p.FromSeal)
	known := max(s.highest, p.Findings.Blocks.Known)
	switch {
	case s.foreign:
		return fmt.Sprintf("whatever was recorded behind commit %d, which no checkpoint covers: what the store has there is another log's", end)
	case known > end:
		return fmt.Sprintf("commits %d to %d, which no checkpoint covers and of which not all are whole", end+1, known)
	case s.highest < p.FromSeal:
		return fmt.Sprintf("whatever was recorded behind commit %d, if anything was: the store ends before it, and no checkpoint covers it", end)
	}
	for _, d := range p.Findings.Blocks.Damages {
		// Blocks at another place were read there.
		if d.Kind != blocks.Reordered && (d.Last == 0 || d.Last > end) {
			return fmt.Sprintf("whatever was recorded behind commit %d, which no checkpoint covers", end)
		}
	}
	return ""
}
