package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"path/filepath"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
)

// Source is an organisation to back up.
type Source struct {
	Name    domain.Name
	Issuer  string
	Conn    *streams.Conn
	SealDir string // DATA/seal/<org>; empty, or not there: nothing was sealed
}

// Options say what goes into a backup.
type Options struct {
	Sources []Source
	Version string    // of this program
	Now     time.Time // when the backup begins
}

// chunkBytes is how much of a stream one file of a backup holds, about.
const chunkBytes = 4 << 20

// momentWithin bounds how long a moment is looked for in which nobody writes to
// a bucket; pauseBetween is the first pause.
const (
	momentWithin = 30 * time.Second
	pauseBetween = 10 * time.Millisecond
)

// EstimateSize is about how many bytes [Write] will write, for those who wait.
func EstimateSize(ctx context.Context, o Options) (total int64, err error) {
	for _, s := range o.Sources {
		names, err := s.streams(ctx)
		if err != nil {
			return 0, err
		}
		for _, name := range names {
			state, _, err := s.Conn.StreamState(ctx, name)
			if err != nil {
				return 0, err
			}
			total += int64(state.Bytes)
		}
		n, err := sealSize(s.SealDir)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// streams lists the buckets' streams and, last, the log's.
func (s Source) streams(ctx context.Context) ([]string, error) {
	names, err := s.Conn.BucketStreams(ctx, s.Name)
	return append(names, streams.LogStream(s.Name)), err
}

// Write writes a backup, not compressed. It is whole only if Write returns no
// error: its last file says what must be there. Everything that was acknowledged
// before the call is in it. A log that is not what its checkpoint says is an error.
func Write(ctx context.Context, w io.Writer, o Options) error {
	a := &writer{tar: tar.NewWriter(w), now: o.Now.UTC().Truncate(time.Second)}
	m := Manifest{Label: Label{Format: Format, Version: o.Version, CreatedAt: a.now}, Mode: "standalone"}
	if err := a.putJSON(labelName, m.Label); err != nil {
		return err
	}
	for _, s := range o.Sources {
		if s.Conn.Clustered() {
			m.Mode = "cluster"
		}
		part, err := a.organisation(ctx, s)
		if err != nil {
			return fmt.Errorf("backing up organisation %s: %w", s.Name, err)
		}
		m.Organisations = append(m.Organisations, part)
	}
	m.Files = a.files
	return errors.Join(a.putJSON(manifestName, m), a.tar.Close())
}

// writer puts files into the tar and keeps account of them.
type writer struct {
	tar   *tar.Writer
	now   time.Time
	files []FileInfo
}

func (a *writer) put(name string, size int64, content io.Reader) error {
	h := &tar.Header{Name: name, Size: size, Mode: 0o600, ModTime: a.now, Format: tar.FormatPAX}
	if err := a.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(a.tar, sum), io.LimitReader(content, size)); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	a.files = append(a.files, FileInfo{name, size, hex.EncodeToString(sum.Sum(nil))})
	return a.tar.Flush() // fails if content was shorter than size
}

func (a *writer) putBytes(name string, b []byte) error {
	return a.put(name, int64(len(b)), bytes.NewReader(b))
}

func (a *writer) putJSON(name string, doc any) error {
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	return a.putBytes(name, append(b, '\n'))
}

func orgFolder(org domain.Name) string { return path.Join("orgs", org.String()) }

func streamFolder(org domain.Name, stream string) string {
	return path.Join(orgFolder(org), "streams", stream)
}

// organisation writes one organisation's part, in the order that the package says why.
func (a *writer) organisation(ctx context.Context, s Source) (Organisation, error) {
	out := Organisation{Name: s.Name, Issuer: s.Issuer}
	var err error
	if out.Checkpoint, err = a.seal(s); err != nil {
		return out, err
	}
	buckets, log, err := s.moment(ctx)
	if err != nil {
		return out, err
	}
	defer log.Close()
	for _, b := range buckets {
		out.Streams = append(out.Streams, b.Stream)
		if err := a.stream(s.Name, b.Stream, b.records()); err != nil {
			return out, err
		}
	}
	stream := Stream{streams.LogStream(s.Name), log.Config, log.State}
	out.Streams = append(out.Streams, stream)
	seen := newLogCheck(s.Name, out.Checkpoint.sizes()...)
	if err := a.stream(s.Name, stream, seen.watch(log.Records())); err != nil {
		return out, err
	}
	out.Last, out.LastAt, out.Events = seen.last, seen.lastAt, seen.tree.size
	if err := seen.whole(log.State); err != nil {
		return out, err
	}
	return out, seen.bears(out.Checkpoint)
}

// bucket is a bucket's stream, in memory: keys and secrets are small.
type bucket struct {
	Stream
	all []streams.Record
}

func (b bucket) records() iter.Seq2[streams.Record, error] {
	return func(yield func(streams.Record, error) bool) {
		for _, r := range b.all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// moment copies the buckets and fixes the moment of the log's copy so that
// nobody wrote to a bucket between the two.
func (s Source) moment(ctx context.Context) (buckets []bucket, log *streams.Snapshot, err error) {
	for start, wait := time.Now(), pauseBetween; time.Since(start) < momentWithin; wait = min(2*wait, time.Second) {
		buckets, err = s.copyBuckets(ctx)
		if err == nil {
			log, err = s.Conn.Snapshot(ctx, streams.LogStream(s.Name))
		}
		if err == nil {
			err = s.unchanged(ctx, buckets)
		}
		if err == nil {
			return buckets, log, nil
		}
		if log != nil {
			log.Close()
		}
		if !errors.Is(err, streams.ErrIncomplete) {
			return nil, nil, err
		}
		if err := pause(ctx, wait); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, errors.New("the keys or secrets were changed all the while; try again when nobody rotates or puts any")
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s Source) copyBuckets(ctx context.Context) (buckets []bucket, err error) {
	names, err := s.Conn.BucketStreams(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		b, err := copyBucket(ctx, s.Conn, name)
		if err != nil {
			return nil, err
		}
		buckets = append(buckets, b)
	}
	return buckets, nil
}

func copyBucket(ctx context.Context, c *streams.Conn, name string) (bucket, error) {
	snap, err := c.Snapshot(ctx, name)
	if err != nil {
		return bucket{}, err
	}
	defer snap.Close()
	b := bucket{Stream: Stream{name, snap.Config, snap.State}}
	for r, err := range snap.Records() {
		if err != nil {
			return bucket{}, fmt.Errorf("copying stream %s: %w", name, err)
		}
		b.all = append(b.all, r)
	}
	return b, nil
}

// unchanged wants the buckets to be those that were copied, and as they were;
// [streams.ErrIncomplete] if one is not.
func (s Source) unchanged(ctx context.Context, copied []bucket) error {
	names, err := s.Conn.BucketStreams(ctx, s.Name)
	if err == nil && len(names) != len(copied) {
		err = streams.ErrIncomplete
	}
	if err != nil {
		return err
	}
	for _, b := range copied {
		now, found, err := s.Conn.StreamState(ctx, b.Name)
		if err == nil && (!found || now != b.State) {
			err = streams.ErrIncomplete
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stream writes a stream's messages, some to a file.
func (a *writer) stream(org domain.Name, s Stream, records iter.Seq2[streams.Record, error]) error {
	folder := streamFolder(org, s.Name)
	if err := a.putJSON(path.Join(folder, "stream.json"), s); err != nil {
		return err
	}
	var chunk []byte
	var first uint64
	flush := func() error {
		if len(chunk) == 0 {
			return nil
		}
		defer func() { chunk = chunk[:0] }()
		return a.putBytes(path.Join(folder, fmt.Sprintf("%020d", first)), chunk)
	}
	for r, err := range records {
		if err != nil {
			return fmt.Errorf("copying stream %s: %w", s.Name, err)
		}
		if len(chunk) == 0 {
			first = r.Sequence
		}
		if chunk, err = appendRecord(chunk, r); err != nil {
			return err
		}
		if len(chunk) >= chunkBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// seal writes the seal folder; what it returns is in it.
func (a *writer) seal(s Source) (*Checkpoint, error) {
	dir := s.SealDir
	cp, files, err := sealFiles(dir)
	if err != nil {
		return nil, fmt.Errorf("copying the checkpoints: %w", err)
	}
	for name, f := range files {
		if f.err != nil {
			return nil, fmt.Errorf("copying the checkpoints: %w", f.err)
		}
		err := a.put(path.Join(orgFolder(s.Name), "seal", filepath.ToSlash(name)), f.size, f)
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return cp, nil
}
