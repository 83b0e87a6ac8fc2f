package repair

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/blocks"
	"sallyport.dev/streams/seal"
)

// Done is what a repair did.
type Done struct {
	Commits uint64   `json:"commits"` // in the log now
	Kept    []string `json:"kept"`    // where what was replaced is now
}

// stampLayout is the time in the name of what is kept.
const stampLayout = "20060102T150405.000Z"

// names of the folders of a data directory that a repair uses.
const (
	workFolder = "repair" // new stores, until they take their place
	keptFolder = "kept"   // what they replaced
)

// Do repairs the log as planned. The caller holds the lock of the data directory
// ([sallyport.dev/streams.LockDir]) and has called [Finish]. The new store is
// written beside the old one and held against the newest checkpoint before it
// takes its place. What is broken off before that has changed nothing, and what is broken
// off then is finished by the next [Finish]. Read models are set aside with the old
// store: they may have seen commits that are lost.
func (p Plan) Do(ctx context.Context, d Data, now time.Time) (Done, error) {
	r := &repairer{plan: p, data: d, now: now, stamp: now.UTC().Format(stampLayout)}
	if err := os.MkdirAll(d.kept(), 0o700); err != nil {
		return r.done, fmt.Errorf("making a folder for what is replaced: %w", err)
	}
	if p.Needed {
		if err := r.store(ctx); err != nil {
			return r.done, fmt.Errorf("repairing the log of %s: %w", p.Target.Org, err)
		}
	} else if p.Configuration {
		r.done.Commits = p.Findings.Blocks.Last
		if err := setMetaAside(p.Target.Store, d.kept(), r.stamp, &r.done); err != nil {
			return r.done, err
		}
		if err := writeMeta(p.Target, p.Target.Store.Dir, now); err != nil {
			return r.done, err
		}
	}
	if p.Reseal {
		r.done.Commits = p.Findings.Blocks.Last
		// The mark goes last: until then the log stays closed.
		if err := r.aside(p.Target.Seal, "seal-"+p.Target.Org); err != nil {
			return r.done, err
		}
		if err := r.aside(p.Target.Mark, "sealed-"+p.Target.Org); err != nil {
			return r.done, err
		}
	}
	return r.done, errors.Join(blocks.SyncDir(d.kept()), blocks.SyncDir(d.Dir))
}

func (d Data) kept() string { return filepath.Join(d.Dir, keptFolder) }

// repairer is one repair under way.
type repairer struct {
	plan  Plan
	data  Data
	now   time.Time
	stamp string
	done  Done
}

// work is where the new store of a log lies: first as unfinished, then, once it was
// checked, under its name.
func (d Data) work(t Target) (unfinished, finished string) {
	finished = filepath.Join(d.Dir, workFolder, t.Store.Name())
	return finished + ".new", finished
}

// Finish finishes a repair of that log that was broken off. If the new store
// was whole and the old one moved away, the new one takes its place; what else
// lies there is kept, since it may be the old one.
func Finish(d Data, t Target, now time.Time) error {
	unfinished, finished := d.work(t)
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("removing a half-written store: %w", err)
	}
	if _, err := os.Stat(finished); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	to := t.Store.Dir
	if _, err := os.Stat(to); err == nil {
		to = filepath.Join(d.kept(), now.UTC().Format(stampLayout)+"-"+t.Store.Name())
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.Rename(finished, to)); err != nil {
		return fmt.Errorf("finishing a repair that was broken off: %w", err)
	}
	return blocks.SyncDir(filepath.Dir(to))
}

// store writes the new store, checks it, and puts it in the place of the old one.
func (r *repairer) store(ctx context.Context) error {
	t := r.plan.Target
	unfinished, finished := r.data.work(t)
	if err := os.MkdirAll(filepath.Dir(unfinished), 0o700); err != nil {
		return fmt.Errorf("making the work folder: %w", err)
	}
	if err := r.write(ctx, unfinished); err != nil {
		return err
	}
	if err := copyMeta(t, unfinished, r.now); err != nil {
		return err
	}
	if err := os.Rename(unfinished, finished); err != nil {
		return fmt.Errorf("naming the new store: %w", err)
	}
	f, err := Inspect(ctx, Target{Org: t.Org, Seal: t.Seal, Store: blocks.Stream{Dir: finished}}, Options{Depth: Thorough})
	if err = errors.Join(err, f.Err()); err == nil && f.Blocks.Last != max(r.plan.FromSeal, r.plan.FromStore) {
		err = fmt.Errorf("it ends with commit %d, and the plan was %d", f.Blocks.Last, max(r.plan.FromSeal, r.plan.FromStore))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("the new store is not what it should be, and the old one is as it was: %w", err), os.RemoveAll(finished))
	}
	if err := r.readModelsAside(); err != nil {
		return err
	}
	if err := r.aside(t.Store.Dir, t.Store.Name()); err != nil {
		return err
	}
	return Finish(r.data, t, time.Time{})
}

// write writes the sealed commits and then those that survive.
func (r *repairer) write(ctx context.Context, to string) error {
	t := r.plan.Target
	s, err := salvage(ctx, t, r.plan.FromSeal)
	if err != nil {
		return err
	}
	w, err := blocks.NewWriter(to, t.Store.Name())
	if err != nil {
		return err
	}
	if r.plan.FromSeal > 0 {
		for rec, err := range seal.Records(t.Seal, 1) {
			if err = errors.Join(err, ctx.Err()); err != nil {
				return fmt.Errorf("reading the sealed commits: %w", err)
			}
			if rec.Sequence > r.plan.FromSeal {
				break
			}
			if err := w.Append(stored(rec)); err != nil {
				return err
			}
			r.done.Commits = rec.Sequence
		}
	}
	for seq := r.plan.FromSeal + 1; seq <= r.plan.FromStore; seq++ {
		if err := w.Append(s.records[seq]); err != nil {
			return err
		}
		r.done.Commits = seq
	}
	return w.Close()
}

// copyMeta takes the configuration over, if it is whole, and otherwise makes it.
func copyMeta(t Target, to string, now time.Time) error {
	state, err := t.Store.Meta()
	if err != nil {
		return err
	}
	if state != blocks.MetaWhole {
		return writeMeta(t, to, now)
	}
	config, err := os.ReadFile(filepath.Join(t.Store.Dir, "meta.inf"))
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	return blocks.WriteMeta(to, t.Store.Name(), config)
}

// writeMeta writes the configuration that a log must have.
func writeMeta(t Target, to string, now time.Time) error {
	config, err := streams.StoredConfig(domain.Name(t.Org), now)
	if err != nil {
		return err
	}
	return blocks.WriteMeta(to, t.Store.Name(), config)
}

// setMetaAside moves a damaged configuration away.
func setMetaAside(s blocks.Stream, kept, stamp string, done *Done) error {
	for _, name := range []string{"meta.inf", "meta.sum"} {
		to := filepath.Join(kept, stamp+"-"+s.Name()+"-"+name)
		err := os.Rename(filepath.Join(s.Dir, name), to)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("setting the configuration aside: %w", err)
		}
		done.Kept = append(done.Kept, to)
	}
	return blocks.SyncDir(s.Dir)
}

// readModelsAside moves away what was folded from the log; it is folded again.
func (r *repairer) readModelsAside() error {
	org := r.plan.Target.Org
	for _, suffix := range []string{".sqlite", ".sqlite-wal", ".sqlite-shm"} {
		if err := r.aside(filepath.Join(r.data.Dir, "trail", org+suffix), "trail-"+org+suffix); err != nil {
			return err
		}
	}
	return r.aside(filepath.Join(r.data.Dir, "snapshots", org), "snapshots-"+org)
}

// aside moves a file or folder to those that are kept; one that is not there is none.
func (r *repairer) aside(path, name string) error {
	to := filepath.Join(r.data.kept(), r.stamp+"-"+name)
	err := os.Rename(path, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("setting %s aside: %w", path, err)
	}
	r.done.Kept = append(r.done.Kept, to)
	return blocks.SyncDir(filepath.Dir(path))
}
