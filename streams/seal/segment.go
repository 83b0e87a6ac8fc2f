package seal

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A segment is a file of commits as they were stored. Its first line is
//
//	sallyport segment 1 <origin> <sequence> <leaf>
//
// with the sequence of its first commit and the number of that commit's first
// leaf. Then come records, each of four bytes length, four bytes CRC-32 (IEEE)
// of what follows, both little-endian, and that many bytes: a JSON object on a
// line of its own, with sequence, subject, stored_at and header, and the body.
type segment struct {
	path       string // of the open file; compressed, the same and .zst
	sequence   uint64 // of its first commit
	leaf       uint64 // of its first event
	compressed bool
}

const (
	segmentMagic = "sallyport segment 1"
	openSuffix   = ".seg"
	fullSuffix   = ".seg.zst"
	// maxRecord bounds what is read as one record: a commit is at most half a
	// MiB, its headers a few hundred bytes.
	maxRecord = 2 << 20
)

// file is the file that the segment lies in.
func (s segment) file() string {
	if s.compressed {
		return strings.TrimSuffix(s.path, openSuffix) + fullSuffix
	}
	return s.path
}

func (s segment) header(origin string) string {
	return fmt.Sprintf("%s %s %d %d\n", segmentMagic, origin, s.sequence, s.leaf)
}

func segmentAt(dir string, sequence, leaf uint64) segment {
	return segment{path: filepath.Join(dir, segmentsDir, fmt.Sprintf("%020d-%020d%s", sequence, leaf, openSuffix)), sequence: sequence, leaf: leaf}
}

// segments lists a folder's segments in order. Of one that is there both
// compressed and not, since a crash came between, it lists the compressed one.
func segments(dir string) ([]segment, error) {
	names, err := segmentNames(dir)
	if err != nil {
		return nil, fmt.Errorf("listing the segments: %w", cmp.Or(unreadable(err), err))
	}
	var out []segment
	for _, name := range names {
		stem, full := strings.CutSuffix(name, fullSuffix)
		if !full {
			var open bool
			if stem, open = strings.CutSuffix(name, openSuffix); !open {
				continue // what a crash left of compressing one
			}
		}
		seq, leaf, _ := strings.Cut(stem, "-")
		sequence, err1 := strconv.ParseUint(seq, 10, 64)
		first, err2 := strconv.ParseUint(leaf, 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("listing the segments: the name %s is none of ours", name)
		}
		s := segmentAt(dir, sequence, first)
		s.compressed = full
		if n := len(out); n > 0 && out[n-1].path == s.path { // .seg sorts before .seg.zst
			out[n-1] = s
			continue
		}
		out = append(out, s)
	}
	return out, nil
}

// segmentNames lists the files, sorted. A sealer that renames one meanwhile can
// make a listing miss both its names, so it is made until it comes out the same twice.
func segmentNames(dir string) (names []string, err error) {
	for range 10 {
		entries, err := os.ReadDir(filepath.Join(dir, segmentsDir))
		if err != nil {
			return nil, err
		}
		again := make([]string, 0, len(entries))
		for _, e := range entries {
			again = append(again, e.Name())
		}
		if names != nil && slices.Equal(names, again) {
			break
		}
		names = again
	}
	return names, nil
}

// recordHead is the first line of a record.
type recordHead struct {
	Sequence uint64              `json:"sequence"`
	Subject  string              `json:"subject"`
	StoredAt time.Time           `json:"stored_at"`
	Header   map[string][]string `json:"header,omitempty"`
}

// appendRecord appends the stored form of a record.
func appendRecord(b []byte, r Record) ([]byte, error) {
	head, err := json.Marshal(recordHead{r.Sequence, r.Subject, r.StoredAt, r.Header})
	if err != nil {
		return b, fmt.Errorf("writing commit %d: %w", r.Sequence, err)
	}
	length := len(head) + 1 + len(r.Body)
	if length > maxRecord {
		return b, fmt.Errorf("writing commit %d: it has %d bytes, and a record at most %d", r.Sequence, length, maxRecord)
	}
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(length))
	b = append(b, 0, 0, 0, 0)
	b = append(append(append(b, head...), '\n'), r.Body...)
	binary.LittleEndian.PutUint32(b[at+4:], crc32.ChecksumIEEE(b[at+8:]))
	return b, nil
}

// segmentReader reads the records of one segment.
type segmentReader struct {
	f    *os.File
	z    *zstd.Decoder // nil if the segment is not compressed
	r    *bufio.Reader
	read int64 // bytes of what is not compressed, up to the end of the last whole record
	last uint64
}

// openSegment opens a segment and checks its first line. A running sealer may
// compress it meanwhile.
func openSegment(s segment, origin string) (*segmentReader, error) {
	f, err := os.Open(s.file())
	if errors.Is(err, os.ErrNotExist) && !s.compressed {
		s.compressed = true
		f, err = os.Open(s.file())
	}
	if err != nil {
		return nil, err
	}
	r := &segmentReader{f: f, last: s.sequence - 1}
	var from io.Reader = f
	if s.compressed {
		if r.z, err = zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20)); err != nil {
			f.Close()
			return nil, err
		}
		from = r.z
	}
	r.r = bufio.NewReaderSize(from, 1<<16)
	line, err := r.r.ReadString('\n')
	if err := unreadable(err); err != nil {
		r.close()
		return nil, err
	}
	if want := s.header(origin); err != nil || line != want {
		r.close()
		return nil, fmt.Errorf("segment %s begins with %q and not with %q", filepath.Base(s.file()), line, want)
	}
	r.read = int64(len(line))
	return r, nil
}

// next reads one record; io.EOF after the last. errTorn is a record that was
// not written to its end.
func (r *segmentReader) next() (Record, error) {
	var frame [8]byte
	if _, err := io.ReadFull(r.r, frame[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return Record{}, errTorn
		}
		return Record{}, err
	}
	length, sum := binary.LittleEndian.Uint32(frame[:4]), binary.LittleEndian.Uint32(frame[4:])
	if length > maxRecord {
		return Record{}, errTorn
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r.r, payload); err != nil {
		return Record{}, cmp.Or(unreadable(err), errTorn)
	}
	if crc32.ChecksumIEEE(payload) != sum {
		return Record{}, errTorn
	}
	rec, err := parseRecord(payload)
	if err != nil {
		return Record{}, err
	}
	if rec.Sequence != r.last+1 {
		return Record{}, fmt.Errorf("commit %d comes after %d", rec.Sequence, r.last)
	}
	r.last = rec.Sequence
	r.read += int64(len(frame) + len(payload))
	return rec, nil
}

var errTorn = errors.New("a record is torn or altered")

func parseRecord(payload []byte) (Record, error) {
	at := slices.Index(payload, '\n')
	if at < 0 {
		return Record{}, errTorn
	}
	var h recordHead
	if err := json.Unmarshal(payload[:at], &h); err != nil {
		return Record{}, fmt.Errorf("reading the head of a record: %w", err)
	}
	return Record{Sequence: h.Sequence, Subject: h.Subject, StoredAt: h.StoredAt, Header: h.Header, Body: payload[at+1:]}, nil
}

func (r *segmentReader) close() {
	if r.z != nil {
		r.z.Close()
	}
	r.f.Close()
}

// segmentWriter appends to the open segment.
type segmentWriter struct {
	segment
	f    *os.File
	w    *bufio.Writer
	size int64
	buf  []byte
}

// createSegment begins a segment.
func createSegment(dir, origin string, sequence, leaf uint64) (*segmentWriter, error) {
	s := segmentAt(dir, sequence, leaf)
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("beginning a segment: %w", err)
	}
	w := &segmentWriter{segment: s, f: f, w: bufio.NewWriterSize(f, 1<<16)}
	n, err := w.w.WriteString(s.header(origin))
	w.size = int64(n)
	if err := errors.Join(err, w.w.Flush(), syncDir(filepath.Dir(s.path))); err != nil {
		f.Close()
		return nil, fmt.Errorf("beginning a segment: %w", err)
	}
	return w, nil
}

// resumeSegment goes on behind the first size bytes of an open segment, and cuts off the rest.
func resumeSegment(s segment, size int64) (*segmentWriter, error) {
	f, err := os.OpenFile(s.path, os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(size)
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &segmentWriter{segment: s, f: f, w: bufio.NewWriterSize(f, 1<<16), size: size}, nil
}

func (w *segmentWriter) append(r Record) error {
	var err error
	if w.buf, err = appendRecord(w.buf[:0], r); err != nil {
		return err
	}
	n, err := w.w.Write(w.buf)
	w.size += int64(n)
	return err
}

func (w *segmentWriter) sync() error {
	if err := w.w.Flush(); err != nil {
		return err
	}
	return w.f.Sync()
}

// finish compresses a full segment whose every commit a checkpoint covers. The
// plain file goes when the compressed one is on disk.
func (w *segmentWriter) finish() error {
	if err := w.f.Close(); err != nil {
		return err
	}
	if err := compressFile(w.path, strings.TrimSuffix(w.path, openSuffix)+fullSuffix); err != nil {
		return fmt.Errorf("compressing segment %s: %w", filepath.Base(w.path), err)
	}
	if err := os.Remove(w.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(w.path))
}

func compressFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	z, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return err
	}
	_, err = io.Copy(z, in)
	if err := errors.Join(err, z.Close(), out.Sync()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func (w *segmentWriter) close() error { return w.f.Close() }
