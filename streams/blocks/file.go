package blocks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/s2"
)

// biggest is the largest block that is read: eight times what the server writes,
// since a block may end with one large record.
const biggest = 64 << 20

// file is one block of a stream.
type file struct {
	index int // its number
	path  string
}

func (f file) name() string { return filepath.Base(f.path) }

// files lists the blocks of a folder by number. What the server was writing to
// put in place of a block (*.tmp) is none.
func files(dir string) ([]file, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing the blocks: %w", err)
	}
	var all []file
	for _, e := range entries {
		number, isBlock := strings.CutSuffix(e.Name(), ".blk")
		n, err := strconv.Atoi(number)
		if !isBlock || err != nil || n < 1 {
			continue
		}
		all = append(all, file{n, filepath.Join(dir, e.Name())})
	}
	slices.SortFunc(all, func(a, b file) int { return a.index - b.index })
	return all, nil
}

// reader reads blocks one after the other with the same memory.
type reader struct {
	stored, plain []byte
	s2            *s2.Reader
}

// block is what a file holds, until the reader reads the next.
type block struct {
	file
	stored     int64 // bytes of the file
	records    []byte
	compressed bool
	// broken: compressed, and not to be decompressed past records.
	broken error
}

func (r *reader) read(f file) (block, error) {
	b := block{file: f}
	in, err := os.Open(f.path)
	if err != nil {
		return b, fmt.Errorf("reading a block: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return b, fmt.Errorf("reading a block: %w", err)
	}
	if info.Size() > biggest {
		return b, fmt.Errorf("reading a block: %s has %d bytes, and a block has at most %d", f.path, info.Size(), biggest)
	}
	r.stored = slices.Grow(r.stored[:0], int(info.Size()))[:info.Size()]
	n, err := io.ReadFull(in, r.stored)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return b, fmt.Errorf("reading a block: %w", err)
	}
	b.stored, b.records = int64(n), r.stored[:n]
	r.decompress(&b)
	return b, nil
}

// decompress replaces the content of a compressed block by what it stands for,
// as far as that can be had.
func (r *reader) decompress(b *block) {
	const s2Algorithm = 1
	in := b.records
	if len(in) < 5 || !bytes.HasPrefix(in, []byte("cmp")) || in[3] != s2Algorithm {
		return
	}
	size, n := binary.Uvarint(in[4:])
	if n <= 0 || len(in) < 4+n+checksumSize || size > biggest {
		b.compressed, b.records, b.broken = true, nil, errors.New("its compression header is damaged")
		return
	}
	b.compressed = true
	body, last := in[4+n:len(in)-checksumSize], in[len(in)-checksumSize:]
	if r.s2 == nil {
		r.s2 = s2.NewReader(nil)
	}
	r.s2.Reset(bytes.NewReader(body))
	r.plain = slices.Grow(r.plain[:0], int(size)+1)
	for {
		m, err := r.s2.Read(r.plain[len(r.plain):cap(r.plain)])
		r.plain = r.plain[:len(r.plain)+m]
		if err != nil {
			if !errors.Is(err, io.EOF) {
				b.broken = err
			}
			break
		}
		if len(r.plain) > int(size) {
			b.broken = errors.New("it holds more than its header says")
			break
		}
	}
	if b.broken == nil {
		r.plain = append(r.plain, last...)
		if len(r.plain) != int(size) {
			b.broken = fmt.Errorf("it holds %d bytes, and its header says %d", len(r.plain), size)
		}
	}
	b.records = r.plain
}

// indexLast is the last sequence that index.db knows, 0 where that file is not
// there or not whole: it is rebuilt from the blocks, so that is no damage.
func indexLast(dir string, stream string) uint64 {
	b, err := os.ReadFile(filepath.Join(dir, "index.db"))
	if err != nil || len(b) < 32 {
		return 0
	}
	content, sum := b[:len(b)-checksumSize], b[len(b)-checksumSize:]
	if !bytes.Equal(streamSum(stream, content), sum) {
		return 0
	}
	content = content[2:] // magic and version
	// Messages, bytes, first sequence and its time come before the last sequence; a
	// signed number is as long as an unsigned one.
	for range 4 {
		_, n := binary.Uvarint(content)
		if n <= 0 {
			return 0
		}
		content = content[n:]
	}
	last, n := binary.Uvarint(content)
	if n <= 0 {
		return 0
	}
	return last
}

// streamSum is the checksum of a stream's own files, meta.inf and index.db.
func streamSum(stream string, content []byte) []byte {
	s := newSum(stream)
	return s.of(content)
}
