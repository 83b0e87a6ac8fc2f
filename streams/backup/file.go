package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/seal"
)

// Compress makes of [Write]'s output a backup file. The caller must Close it.
func Compress(w io.Writer) (io.WriteCloser, error) {
	return zstd.NewWriter(w, zstd.WithEncoderCRC(true))
}

// ErrDamaged is in every error about a backup that is not what its manifest
// says, or has none: truncated, altered, or none of ours.
var ErrDamaged = errors.New("the backup is damaged, or not whole; nothing was restored from it: use another one")

// maxManifest bounds what a backup says about itself, in bytes, and maxWindow
// the memory that a frame may ask for, of which ours ask for 8 MiB.
const (
	maxManifest = 64 << 20
	maxWindow   = 32 << 20
)

// File is a backup that was found whole.
type File struct {
	Manifest Manifest
	path     string
	seals    map[domain.Name]string // folders that the seals were put into
	logs     map[domain.Name]*logCheck
	digests  map[string][32]byte // of each stream's messages
}

// OpenOptions say how a backup is looked at.
type OpenOptions struct {
	// Dir is a folder that the seal folders are put into as <Dir>/<org>. Required.
	Dir string
	// Look says what of each log is to be remembered.
	Look map[domain.Name]Look
	// Progress, if not nil, is told how many bytes of all were read.
	Progress func(done, total int64)
}

// Look is a place of a log that somebody wants to compare.
type Look struct {
	Size uint64 // of the tree: its root there; 0: none
	At   uint64 // sequence of a commit: its bytes; 0: none
}

// Open reads a backup from beginning to end and checks all of it: every file's
// digest, the signature of the checkpoints, that each log is contiguous and is the
// one that was sealed, and the sealed segments. Nothing else is changed than
// Dir. An error is [ErrDamaged] unless the file cannot be read, or is of a newer form.
func Open(file string, o OpenOptions) (*File, error) {
	f := &File{path: file, seals: map[domain.Name]string{}, logs: map[domain.Name]*logCheck{}, digests: map[string][32]byte{}}
	in, err := f.read(o.Progress)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	v := &verifying{f: f, in: in, dir: o.Dir, look: o.Look, ends: map[string]*streamCheck{}}
	if err := v.all(); err != nil {
		return nil, v.explain(err)
	}
	return f, nil
}

// tarFile is a backup that is being read.
type tarFile struct {
	*tar.Reader
	zst  *zstd.Decoder
	file *os.File
}

func (t *tarFile) Close() {
	t.zst.Close()
	t.file.Close() // it was read only
}

func (f *File) read(progress func(done, total int64)) (*tarFile, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("opening the backup: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("opening the backup %s: %w", f.path, err)
	}
	zst, err := zstd.NewReader(&counting{file, 0, info.Size(), progress}, zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("opening the backup %s: %w", f.path, err)
	}
	return &tarFile{tar.NewReader(zst), zst, file}, nil
}

type counting struct {
	io.Reader
	done, total int64
	tell        func(done, total int64)
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.done += int64(n)
	if c.tell != nil {
		c.tell(c.done, c.total)
	}
	return n, err
}

// verifying is one reading of a backup.
type verifying struct {
	f    *File
	in   *tarFile
	dir  string
	look map[domain.Name]Look

	label Label
	files []FileInfo
	ends  map[string]*streamCheck // by organisation and stream
}

// streamCheck is what was seen of one stream.
type streamCheck struct {
	Stream
	count, last uint64
	sum         hash.Hash
}

// streamKey names a stream of an organisation.
func streamKey(org domain.Name, stream string) string { return org.String() + "/" + stream }

// newerForm is kept as it is: the file is not damaged.
type newerForm struct{ error }

func (v *verifying) explain(err error) error {
	if newer, ok := errors.AsType[newerForm](err); ok {
		return newer.error
	}
	var disk *os.PathError
	if errors.As(err, &disk) {
		return fmt.Errorf("reading the backup %s: %w", v.f.path, err)
	}
	return fmt.Errorf("%w (%s: %w)", ErrDamaged, v.f.path, err)
}

func (v *verifying) all() error {
	for {
		h, err := v.in.Next()
		if err != nil {
			return fmt.Errorf("it ends without a manifest: %w", noEOF(err))
		}
		if h.Name == manifestName {
			return v.manifest()
		}
		if err := v.file(h); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// file reads one file, whatever it is, and keeps account of it.
func (v *verifying) file(h *tar.Header) error {
	if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) || path.Clean(h.Name) != h.Name {
		return errors.New("no file of a backup")
	}
	sum := sha256.New()
	content := io.TeeReader(v.in, sum)
	if err := v.content(h, content); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	v.files = append(v.files, FileInfo{h.Name, h.Size, hex.EncodeToString(sum.Sum(nil))})
	return nil
}

func (v *verifying) content(h *tar.Header, r io.Reader) error {
	if len(v.files) == 0 {
		if h.Name != labelName {
			return errors.New("it is no backup of Sallyport")
		}
		if err := decode(r, &v.label); err != nil {
			return err
		}
		if err := v.label.readable(); err != nil {
			return newerForm{err}
		}
		return nil
	}
	parts := strings.SplitN(h.Name, "/", 5)
	if len(parts) < 4 || parts[0] != "orgs" {
		return errors.New("no file of a backup")
	}
	org, err := domain.ParseName(parts[1])
	switch {
	case err != nil:
		return err
	case parts[2] == "seal":
		return v.seal(org, strings.Join(parts[3:], "/"), r)
	case parts[2] != "streams" || len(parts) != 5:
		return errors.New("no file of a backup")
	case parts[4] == "stream.json":
		s := &streamCheck{sum: sha256.New()}
		v.ends[streamKey(org, parts[3])] = s
		return decode(r, &s.Stream)
	}
	return v.messages(org, parts[3], r)
}

func decode(r io.Reader, out any) error {
	b, err := io.ReadAll(io.LimitReader(r, maxManifest))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// seal puts a file of a seal folder where it can be looked at.
func (v *verifying) seal(org domain.Name, name string, r io.Reader) error {
	folder := filepath.Join(v.dir, org.String())
	v.f.seals[org] = folder
	to := filepath.Join(folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// messages checks a part of a stream.
func (v *verifying) messages(org domain.Name, name string, r io.Reader) error {
	s := v.ends[streamKey(org, name)]
	if s == nil || s.Name != name {
		return errors.New("messages of a stream that was not announced")
	}
	check, err := v.log(org, name)
	if err != nil {
		return err
	}
	var line []byte
	for in := bufio.NewReaderSize(r, chunkBytes/8); ; s.count++ {
		m, err := readRecord(in)
		if err == io.EOF {
			return nil
		}
		if err == nil && m.Sequence <= s.last {
			err = fmt.Errorf("message %d follows message %d", m.Sequence, s.last)
		}
		if err == nil && check != nil {
			err = check.see(m)
		}
		if err == nil {
			line, err = appendRecord(line[:0], m)
		}
		if err != nil {
			return err
		}
		s.sum.Write(line)
		s.last = m.Sequence
	}
}

// log is the check of the organisation's log, nil for another stream.
func (v *verifying) log(org domain.Name, stream string) (*logCheck, error) {
	if stream != streams.LogStream(org) || v.f.logs[org] != nil {
		return v.f.logs[org], nil
	}
	cp, err := v.checkpoint(org)
	if err != nil {
		return nil, err
	}
	c := newLogCheck(org, append(cp.sizes(), v.look[org].Size)...)
	c.after = v.look[org].At
	v.f.logs[org] = c
	return c, nil
}

// checkpoint is the newest in the backup, whose signature is checked.
func (v *verifying) checkpoint(org domain.Name) (*Checkpoint, error) {
	folder := v.f.seals[org]
	if folder == "" {
		return nil, nil
	}
	text, err1 := os.ReadFile(filepath.Join(folder, checkpointFile))
	verifier, err2 := os.ReadFile(filepath.Join(folder, verifierFile))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return readCheckpoint(text, verifier)
}

// manifest holds everything that was read against what must be there.
func (v *verifying) manifest() error {
	var m Manifest
	if err := decode(v.in, &m); err != nil {
		return fmt.Errorf("%s: %w", manifestName, err)
	}
	if m.Label != v.label {
		return errors.New("its manifest is of another backup")
	}
	if !slices.Equal(m.Files, v.files) {
		return fmt.Errorf("it has not the files that its manifest lists: %s", differs(m.Files, v.files))
	}
	for i := range m.Organisations {
		if err := v.organisation(&m.Organisations[i]); err != nil {
			return err
		}
	}
	v.f.Manifest = m
	if _, err := v.in.Next(); err != io.EOF {
		return fmt.Errorf("there is something after its manifest: %w", err)
	}
	_, err := io.Copy(io.Discard, v.in.zst) // to the checksum at its end
	return err
}

// differs names the first file that is not as listed.
func differs(want, got []FileInfo) string {
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return got[i].Name + " is not as it was written"
		}
	}
	return fmt.Sprintf("%d of %d", len(got), len(want))
}

// organisation checks what the manifest says of one organisation.
func (v *verifying) organisation(o *Organisation) error {
	for _, s := range o.Streams {
		if !s.of(o.Name) {
			return fmt.Errorf("the stream %s is none of %s, or its configuration is another stream's", s.Name, o.Name)
		}
		seen := v.ends[streamKey(o.Name, s.Name)]
		if seen == nil || seen.count != s.State.Messages || seen.State != s.State || s.State.Last < seen.last {
			return fmt.Errorf("the stream %s is not whole", s.Name)
		}
		v.f.digests[streamKey(o.Name, s.Name)] = [32]byte(seen.sum.Sum(nil))
	}
	cp, err := v.checkpoint(o.Name)
	if err != nil {
		return err
	}
	if (cp == nil) != (o.Checkpoint == nil) || cp != nil && (cp.Size != o.Checkpoint.Size || !bytes.Equal(cp.Root, o.Checkpoint.Root)) {
		return fmt.Errorf("its checkpoint of %s is not the one in its manifest", o.Name)
	}
	if v.f.logs[o.Name] == nil {
		v.f.logs[o.Name] = newLogCheck(o.Name) // a log without a commit
	}
	log := v.f.logs[o.Name]
	if log.last != o.Last || log.tree.size != o.Events {
		return fmt.Errorf("the log of %s has %d commits, its manifest says %d", o.Name, log.last, o.Last)
	}
	if err := log.bears(cp); err != nil {
		return err
	}
	return v.sealed(o.Name)
}

// sealed checks the sealed segments by themselves.
func (v *verifying) sealed(org domain.Name) error {
	if v.f.seals[org] == "" {
		return nil
	}
	if _, err := seal.Verify(v.f.seals[org], nil); err != nil {
		return fmt.Errorf("the sealed segments of %s: %w", org, err)
	}
	return nil
}

// Records yields the messages of one stream of the backup, in order.
func (f *File) Records(org domain.Name, stream string) iter.Seq2[streams.Record, error] {
	return func(yield func(streams.Record, error) bool) {
		in, err := f.read(nil)
		if err != nil {
			yield(streams.Record{}, err)
			return
		}
		defer in.Close()
		folder := streamFolder(org, stream)
		for {
			h, err := in.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(streams.Record{}, err)
				return
			}
			if path.Dir(h.Name) == folder && path.Base(h.Name) != "stream.json" && !pass(in, yield) {
				return
			}
		}
	}
}

// pass yields the messages of one file; it tells whether there may be more.
func pass(r io.Reader, yield func(streams.Record, error) bool) bool {
	for in := bufio.NewReaderSize(r, chunkBytes/8); ; {
		m, err := readRecord(in)
		if err == io.EOF {
			return true
		}
		if !yield(m, err) || err != nil {
			return false
		}
	}
}
