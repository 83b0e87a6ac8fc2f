package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/blocks"
	"sallyport.dev/streams/seal"
)

// state lists what of a data directory is the organisations' state, or derived
// from it; mode comes apart. Everything else in the directory stays where it is.
var state = []string{"nats", "seal", "sealed", "trail", "snapshots"}

// target is what a data directory has of one organisation, found without
// changing anything.
type target struct {
	org      domain.Name
	cp       *Checkpoint // newest; nil: none
	last     uint64      // commit of the log; 0: none
	body     []byte      // that commit's
	doubtful error       // why it cannot be told what is there
}

// look is what a backup has to remember to be compared with.
func (t target) look() Look {
	l := Look{At: t.last}
	if t.cp != nil {
		l.Size = t.cp.Size
	}
	return l
}

// inspect finds the organisations of a data directory.
func inspect(dir string) (all []target, err error) {
	logs := filepath.Join(dir, "nats", "jetstream", "$G", "streams")
	names := map[domain.Name]bool{}
	for folder, prefix := range map[string]string{filepath.Join(dir, "seal"): "", logs: streams.LogStream("")} {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("looking into the data directory: %w", err)
		}
		for _, e := range entries {
			org, found := strings.CutPrefix(e.Name(), prefix)
			if name, err := domain.ParseName(org); found && err == nil && e.IsDir() {
				names[name] = true
			}
		}
	}
	for org := range names {
		t := target{org: org}
		t.readSeal(filepath.Join(dir, "seal", org.String()))
		t.readLog(filepath.Join(logs, streams.LogStream(org)))
		if t.cp != nil || t.last > 0 || t.doubtful != nil {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b target) int { return strings.Compare(a.org.String(), b.org.String()) })
	return all, nil
}

func (t *target) readSeal(dir string) {
	cp, found, err := seal.Newest(dir)
	switch {
	case err != nil:
		t.doubtful = fmt.Errorf("its checkpoints cannot be read: %w", err)
	case found:
		verifier, err := os.ReadFile(filepath.Join(dir, verifierFile))
		if err != nil {
			t.doubtful = err
		}
		t.cp = &Checkpoint{cp.Origin, cp.Size, cp.Sequence, cp.Root[:], strings.TrimSpace(string(verifier))}
	}
}

// readLog reads the log's files: a server would cut off what is damaged.
func (t *target) readLog(dir string) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	o := blocks.Options{Subjects: streams.LogSubjects(t.org)}
	report, err := blocks.Stream{Dir: dir}.Scan(o, func(r blocks.Record) error {
		t.last, t.body = r.Sequence, append(t.body[:0], r.Body...)
		return nil
	})
	if err = errors.Join(err, report.Err()); err != nil {
		t.doubtful = fmt.Errorf("its log cannot be read whole: %w", err)
	}
}

// RefusedError tells why a backup does not take the place of what is there.
type RefusedError struct{ Reasons []string }

func (e *RefusedError) Error() string {
	return "the data directory has what the backup has not: " + strings.Join(e.Reasons, "; ")
}

// forgets tells what would be lost if a backup took the place of what is there;
// empty if the backup has all of it.
func (t target) forgets(f *File) (reasons []string) {
	say := func(format string, args ...any) {
		reasons = append(reasons, fmt.Sprintf("organisation %s: ", t.org)+fmt.Sprintf(format, args...))
	}
	part := f.Manifest.organisation(t.org)
	switch {
	case part == nil:
		say("the backup does not have it")
		return reasons
	case t.doubtful != nil:
		say("%v", t.doubtful)
	}
	log := f.logs[t.org]
	switch cp := t.cp; {
	case cp == nil:
	case part.Checkpoint != nil && part.Checkpoint.Verifier != cp.Verifier:
		say("its checkpoints are of another key than the backup's: it is another log")
	case cp.Sequence > part.Last:
		say("its newest checkpoint is at commit %d, and the backup ends at commit %d of %s", cp.Sequence, part.Last, when(part))
	case log.bears(cp) != nil:
		say("its checkpoint at commit %d is not over the log in the backup: it is another log, or branched off", cp.Sequence)
	}
	switch {
	case t.last > part.Last:
		say("its log goes to commit %d, and the backup to commit %d of %s: commits that would be forgotten: %d", t.last, part.Last, when(part), t.last-part.Last)
	case t.last > 0 && !bytes.Equal(log.body, t.body):
		say("its commit %d is not the one in the backup: it is another log, or branched off", t.last)
	}
	return reasons
}

func when(o *Organisation) string { return o.LastAt.UTC().Format("2006-01-02 15:04:05 UTC") }
