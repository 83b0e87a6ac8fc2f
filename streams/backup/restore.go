package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
)

// RestoreOptions say what takes the place of what.
type RestoreOptions struct {
	File string
	Dir  string // the data directory
	// Wanted are the organisations as they are configured: those of the backup
	// have to be among them, with the same issuer.
	Wanted []Source
	// Conn is the cluster that the logs go to; nil: they go into Dir.
	Conn     *streams.Conn
	Replicas int // copies on the cluster
	// AllowRollback lets a backup take the place of something that it does not
	// have, which is kept aside.
	AllowRollback bool
	// Try opens a restored data directory, to see that it opens. With an error, nothing
	// takes the place of anything (on a cluster: the logs are there already). nil: it is not tried.
	Try func(ctx context.Context, dir string) error
	// Unseal tells whether an organisation's sealed keys open, which it gets by name.
	// With an error, nothing is made on a cluster. nil: nobody asks.
	Unseal   func(org domain.Name, sealed map[string][]byte) error
	Now      time.Time
	Log      *slog.Logger                         // nil: slog.Default
	Progress func(step string, done, total int64) // nil: nobody waits
}

// Restored is what took the place of what.
type Restored struct {
	Manifest Manifest
	Aside    string // folder that has what was there before; empty: there was nothing
}

// Restore puts a backup back. All of it is checked before anything is touched,
// and what was there before is kept in a folder aside. A backup that lacks
// something that is there is a [RefusedError], unless that is allowed. Embedded, the new
// state is built apart and takes its place at the end: until then nothing is
// changed, and broken off in between, the directory is one that no server opens.
//
// The data directory must not be in use. On a cluster the organisations' logs
// must not be there, and no replica may run.
func Restore(ctx context.Context, o RestoreOptions) (_ Restored, err error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	lock, err := streams.LockDir(o.Dir)
	if err != nil {
		return Restored{}, err
	}
	defer lock.Close()
	r := &restore{RestoreOptions: o}
	if err := r.stage(); err != nil {
		return Restored{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.staging)) }()
	if err := r.check(); err != nil {
		return Restored{}, err
	}
	if o.Conn != nil {
		err = r.intoCluster(ctx)
	} else {
		err = r.intoDir(ctx)
	}
	return Restored{Manifest: r.file.Manifest, Aside: r.aside}, err
}

// restore is one under way.
type restore struct {
	RestoreOptions
	staging string // the new state, until it takes its place
	aside   string // the old one
	file    *File
	made    bool // a stream, or perhaps one: it is too late to leave all as it was
}

// stagingPattern is how folders are named in which a new state is built.
const stagingPattern = "restoring-*"

// stage makes the folder, and removes those of restores that were broken off.
func (r *restore) stage() error {
	old, err := filepath.Glob(filepath.Join(r.Dir, stagingPattern))
	for _, dir := range old {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err == nil {
		r.staging, err = os.MkdirTemp(r.Dir, stagingPattern)
	}
	if err != nil {
		return fmt.Errorf("making room beside the data: %w", err)
	}
	return nil
}

// check reads the backup whole and compares it with what is there and wanted.
func (r *restore) check() error {
	targets, err := inspect(r.Dir)
	if err != nil {
		return err
	}
	look := map[domain.Name]Look{}
	for _, t := range targets {
		look[t.org] = t.look()
	}
	tell := func(done, total int64) { r.Progress("checking the backup", done, total) }
	r.file, err = Open(r.RestoreOptions.File, OpenOptions{Dir: filepath.Join(r.staging, "seal"), Look: look, Progress: tell})
	if err != nil {
		return err
	}
	if err := r.configured(); err != nil {
		return err
	}
	var reasons []string
	for _, t := range targets {
		reasons = append(reasons, t.forgets(r.file)...)
	}
	if reasons != nil && !r.AllowRollback {
		return &RefusedError{reasons}
	}
	return nil
}

// configured tells whether these are the organisations that the configuration names.
func (r *restore) configured() error {
	for _, o := range r.file.Manifest.Organisations {
		i := slices.IndexFunc(r.Wanted, func(s Source) bool { return s.Name == o.Name })
		switch {
		case i < 0:
			return fmt.Errorf("the backup is of organisation %s, which the configuration does not name under organisations", o.Name)
		case r.Wanted[i].Issuer != o.Issuer:
			return fmt.Errorf("the backup is of the issuer %s, and with this base_url the issuer of %s is %s: an issuer never changes",
				o.Issuer, o.Name, r.Wanted[i].Issuer)
		}
	}
	if len(r.file.Manifest.Organisations) == 0 {
		return errors.New("the backup is of no organisation")
	}
	return nil
}

// intoDir builds the new state in the staging folder, opens it once and puts it in place.
func (r *restore) intoDir(ctx context.Context) error {
	s, err := streams.StartStaging(ctx, streams.ServerOptions{Dir: r.staging, Log: r.Log})
	if err != nil {
		return err
	}
	c, err := s.Connect()
	if err == nil {
		err = r.streams(ctx, c, 1)
		c.Close()
	}
	s.Close()
	if err != nil {
		return err
	}
	if err := r.try(ctx, r.staging); err != nil {
		return err
	}
	r.Progress("syncing", 0, 0)
	if err := streams.SyncTree(r.staging); err != nil {
		return err
	}
	mode, err := r.mark()
	if err != nil {
		return err
	}
	if err := r.swap(mode); err != nil {
		return err
	}
	return streams.MarkStandalone(r.Dir)
}

// intoCluster puts the logs last: where a log is, all else is. Nothing is moved
// until they are there and open, and without a stream made the directory is again what it was.
func (r *restore) intoCluster(ctx context.Context) error {
	for _, o := range r.file.Manifest.Organisations {
		log, found, err := r.Conn.StreamState(ctx, streams.LogStream(o.Name))
		if err != nil || found {
			return errors.Join(err, inTheWay(o.Name, log, found))
		}
	}
	if err := r.unseal(); err != nil {
		return err
	}
	mode, err := r.mark()
	if err != nil {
		return err
	}
	if err := r.streams(ctx, r.Conn, r.Replicas); err != nil {
		if !r.made {
			err = errors.Join(err, streams.MarkBack(r.Dir, mode))
		}
		return err
	}
	if err := r.try(ctx, r.staging); err != nil {
		return err
	}
	if err := streams.SyncTree(r.staging); err != nil {
		return err
	}
	if err := r.swap(mode); err != nil {
		return err
	}
	return streams.Unmark(r.Dir)
}

// unseal asks whether the keys in the backup open.
func (r *restore) unseal() error {
	if r.Unseal == nil {
		return nil
	}
	for _, o := range r.file.Manifest.Organisations {
		sealed := map[string][]byte{}
		for _, s := range o.Streams {
			bucket, is := strings.CutPrefix(s.Name, "KV_")
			if !is {
				continue
			}
			for m, err := range r.file.Records(o.Name, s.Name) {
				if err != nil {
					return err
				}
				if len(m.Body) > 0 { // else it was deleted
					sealed[strings.TrimPrefix(m.Subject, "$KV."+bucket+".")] = m.Body
				}
			}
		}
		if err := r.Unseal(o.Name, sealed); err != nil {
			return err
		}
	}
	return nil
}

func inTheWay(org domain.Name, log streams.StreamState, found bool) error {
	if !found {
		return nil
	}
	return fmt.Errorf("the cluster has a log of organisation %s, up to commit %d: a log there is never replaced; "+
		"whoever administers NATS has to delete the stream %s (and the buckets), after a backup", org, log.Last, streams.LogStream(org))
}

func (r *restore) try(ctx context.Context, dir string) error {
	if r.Try == nil {
		return nil
	}
	r.Progress("opening what was restored", 0, 0)
	if err := r.Try(ctx, dir); err != nil {
		return fmt.Errorf("opening what was restored: %w", err)
	}
	return nil
}

// streams makes every stream and reads it back.
func (r *restore) streams(ctx context.Context, c *streams.Conn, replicas int) error {
	for _, o := range r.file.Manifest.Organisations {
		for _, s := range o.Streams {
			if err := r.stream(ctx, c, replicas, o.Name, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *restore) stream(ctx context.Context, c *streams.Conn, replicas int, org domain.Name, s Stream) error {
	records := r.telling("restoring "+s.Name, s, r.file.Records(org, s.Name))
	err := c.Restore(ctx, s.Config, replicas, s.State, records)
	switch {
	case err == nil:
		r.made = true
	case !errors.Is(err, streams.ErrStreamExists):
		_, found, lost := c.StreamState(context.WithoutCancel(ctx), s.Name)
		r.made = r.made || found || lost != nil
		return err
	}
	// A bucket that is there may be one of a restore that was broken off.
	there, err := digestOf(ctx, c, s, r.telling)
	if err != nil {
		return err
	}
	if there != r.file.digests[streamKey(org, s.Name)] {
		return fmt.Errorf("the stream %s is there, and is not the one in the backup", s.Name)
	}
	return nil
}

// telling tells, as records pass, how far it is.
func (r *restore) telling(step string, s Stream, records iter.Seq2[streams.Record, error]) iter.Seq2[streams.Record, error] {
	return func(yield func(streams.Record, error) bool) {
		for m, err := range records {
			r.Progress(step, int64(m.Sequence), int64(s.State.Last))
			if !yield(m, err) {
				return
			}
		}
	}
}

type telling func(string, Stream, iter.Seq2[streams.Record, error]) iter.Seq2[streams.Record, error]

// digestOf is the SHA-256 of a stream as it is on a server.
func digestOf(ctx context.Context, c *streams.Conn, s Stream, tell telling) (out [32]byte, err error) {
	snap, err := c.Snapshot(ctx, s.Name)
	if err != nil {
		return out, err
	}
	defer snap.Close()
	sum, line := sha256.New(), []byte(nil)
	for m, err := range tell("reading back "+s.Name, s, snap.Records()) {
		if err == nil {
			line, err = appendRecord(line[:0], m)
		}
		if err != nil {
			return out, fmt.Errorf("reading back stream %s: %w", s.Name, err)
		}
		sum.Write(line)
	}
	if snap.State.Last != s.State.Last || snap.State.Messages != s.State.Messages {
		return out, nil // of nothing
	}
	return [32]byte(sum.Sum(nil)), nil
}

// mark keeps every server out of the directory until it is marked again, and
// tells how it was marked.
func (r *restore) mark() (mode []byte, err error) {
	mode, err = os.ReadFile(filepath.Join(r.Dir, "mode"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading how the log was written: %w", err)
	}
	return mode, streams.MarkRestoring(r.Dir)
}

// swap moves the old state aside and the new one into its place.
func (r *restore) swap(mode []byte) error {
	if err := r.setAside(mode); err != nil {
		return fmt.Errorf("keeping what was there aside: %w", err)
	}
	for _, name := range state {
		err := os.Rename(filepath.Join(r.staging, name), filepath.Join(r.Dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("putting the restored data in place: %w", err)
		}
	}
	return nil
}

// setAside moves what is there into a folder of its own, if there is anything.
func (r *restore) setAside(mode []byte) error {
	aside := filepath.Join(r.Dir, "before-restore-"+r.Now.UTC().Format("20060102T150405.000Z"))
	for _, name := range state {
		from := filepath.Join(r.Dir, name)
		if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if r.aside == "" {
			if err := os.Mkdir(aside, 0o700); err != nil {
				return err
			}
			r.aside = aside
		}
		if err := os.Rename(from, filepath.Join(aside, name)); err != nil {
			return err
		}
	}
	if r.aside == "" || mode == nil {
		return nil
	}
	if err := os.WriteFile(filepath.Join(aside, "mode"), mode, 0o600); err != nil {
		return err
	}
	return streams.SyncTree(aside)
}
