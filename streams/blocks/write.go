package blocks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// blockBytes is where the server begins a new block.
const blockBytes = 8 << 20

// Writer writes the blocks of a stream into a new folder, plain: a server that
// compresses does so with what it writes itself, and reads both. The index is left
// to the server, which makes it when it opens the stream.
type Writer struct {
	stream string
	dir    string
	index  int
	buf    []byte
	sum    *sum
	next   uint64
}

// NewWriter begins a stream's folder, which must not be there; the stream has
// the name of the folder it will finally be in.
func NewWriter(dir, stream string) (*Writer, error) {
	msgs := filepath.Join(dir, "msgs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the new store: %w", err)
	}
	if err := os.Mkdir(msgs, 0o700); err != nil {
		return nil, fmt.Errorf("making the new store: %w", err)
	}
	w := &Writer{stream: stream, dir: dir, next: 1}
	w.begin()
	return w, nil
}

func (w *Writer) begin() {
	w.index++
	w.buf, w.sum = w.buf[:0], blockSum(w.stream, w.index)
}

// Append adds the next record: its sequence is one more than the last one's,
// beginning at 1. File and Offset of it are ignored.
func (w *Writer) Append(r Record) error {
	if r.Sequence != w.next {
		return fmt.Errorf("record %d was to be written as %d", r.Sequence, w.next)
	}
	w.next++
	size := smallest + len(r.Subject) + 4 + len(r.Header) + len(r.Body)
	if len(w.buf) > 0 && len(w.buf)+size > blockBytes {
		if err := w.flush(); err != nil {
			return err
		}
		w.begin()
	}
	var err error
	w.buf, err = appendRecord(w.buf, w.sum, r)
	return err
}

// Close writes the last block, and returns once all is on disk.
func (w *Writer) Close() error {
	if len(w.buf) > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return errors.Join(SyncDir(filepath.Join(w.dir, "msgs")), SyncDir(w.dir))
}

func (w *Writer) flush() error {
	return WriteFile(filepath.Join(w.dir, "msgs", strconv.Itoa(w.index)+".blk"), w.buf)
}

// WriteFile writes a file and returns once its content is on disk; its name is
// when [SyncDir] returns.
func WriteFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// SyncDir returns once the names in a folder are on disk.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("syncing a folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", path, err)
	}
	return nil
}
