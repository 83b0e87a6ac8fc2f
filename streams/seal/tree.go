package seal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is the file of the tree's hashes, in the order of [tlog.StoredHashIndex],
// and those that are not written to it yet.
type tree struct {
	f       *os.File
	written int64       // hashes in the file
	pending []tlog.Hash // behind them
	leaves  int64
}

const hashBytes = tlog.HashSize

// openTree opens the file as it was with that many leaves, and cuts off what lies behind.
func openTree(name string, leaves int64) (*tree, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	t := &tree{f: f, written: tlog.StoredHashCount(leaves), leaves: leaves}
	info, err := f.Stat()
	if err == nil && info.Size() < t.written*hashBytes {
		err = fmt.Errorf("it has %d bytes, and %d events make %d", info.Size(), leaves, t.written*hashBytes)
	}
	if err == nil {
		err = f.Truncate(t.written * hashBytes)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

// ReadHashes makes a [tlog.HashReader] of it.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x >= t.written {
			out[i] = t.pending[x-t.written]
		} else if _, err := t.f.ReadAt(out[i][:], x*hashBytes); err != nil {
			return nil, fmt.Errorf("reading the tree: %w", err)
		}
	}
	return out, nil
}

// add appends a leaf.
func (t *tree) add(leaf []byte) error {
	hashes, err := tlog.StoredHashes(t.leaves, leaf, t)
	if err != nil {
		return err
	}
	t.pending = append(t.pending, hashes...)
	t.leaves++
	return nil
}

// sync writes what is pending, durably.
func (t *tree) sync() error {
	b := make([]byte, 0, len(t.pending)*hashBytes)
	for _, h := range t.pending {
		b = append(b, h[:]...)
	}
	if _, err := t.f.WriteAt(b, t.written*hashBytes); err != nil {
		return err
	}
	if err := t.f.Sync(); err != nil {
		return err
	}
	t.written += int64(len(t.pending))
	t.pending = t.pending[:0]
	return nil
}

func (t *tree) root() (tlog.Hash, error) { return tlog.TreeHash(t.leaves, t) }

// edge is the right edge of a growing tree: for each complete subtree, of which
// none is as large as the one before, its hash.
type edge struct {
	leaves uint64
	peaks  []tlog.Hash // largest first
}

// add takes in a leaf; each is told of the interior hashes that it completes.
func (e *edge) add(leaf tlog.Hash, each func(tlog.Hash) error) error {
	h := leaf
	for n := e.leaves; n&1 == 1; n >>= 1 {
		last := len(e.peaks) - 1
		h = tlog.NodeHash(e.peaks[last], h)
		e.peaks = e.peaks[:last]
		if err := each(h); err != nil {
			return err
		}
	}
	e.peaks = append(e.peaks, h)
	e.leaves++
	return nil
}

// root is the RFC 6962 hash of the tree.
func (e *edge) root() tlog.Hash {
	if len(e.peaks) == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	h := e.peaks[len(e.peaks)-1]
	for i := len(e.peaks) - 2; i >= 0; i-- {
		h = tlog.NodeHash(e.peaks[i], h)
	}
	return h
}

// errTree is a tree file that does not lead to the checkpoint's root.
var errTree = errors.New("the hashes of the tree do not lead to the root of the newest checkpoint")

// proven reads the hashes of the leaves from one on, after it has shown that all
// the hashes from there on lead to the root of cp. It reads what a running
// sealer has written and cp covers, and nothing else.
type proven struct {
	f    *os.File
	r    *bufio.Reader
	next uint64 // leaf
}

// openProven checks the file name against cp from leaf on. The hashes of what
// lies before it are taken as they are: a root that comes out right proves them.
func openProven(name string, cp Checkpoint, leaf uint64) (*proven, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	p := &proven{f: f}
	e, err := p.edgeAt(leaf)
	if err == nil {
		err = p.prove(e, cp)
	}
	if err == nil {
		err = p.seek(leaf)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

// edgeAt reads the right edge of the tree as it was with that many leaves.
func (p *proven) edgeAt(leaves uint64) (*edge, error) {
	e := &edge{leaves: leaves}
	var done uint64
	for level := bits.Len64(leaves) - 1; level >= 0; level-- {
		if leaves&(1<<level) == 0 {
			continue
		}
		var h tlog.Hash
		if _, err := p.f.ReadAt(h[:], tlog.StoredHashIndex(level, int64(done>>level))*hashBytes); err != nil {
			return nil, cutShort(err)
		}
		e.peaks = append(e.peaks, h)
		done += 1 << level
	}
	return e, nil
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file of the tree ends before the newest checkpoint does")
	}
	return err
}

func (p *proven) prove(e *edge, cp Checkpoint) error {
	if err := p.seek(e.leaves); err != nil {
		return err
	}
	for e.leaves < cp.Size {
		leaf, err := p.hash()
		if err != nil {
			return err
		}
		if err := e.add(leaf, func(want tlog.Hash) error {
			got, err := p.hash()
			if err == nil && got != want {
				err = errTree
			}
			return err
		}); err != nil {
			return err
		}
	}
	if e.root() != tlog.Hash(cp.Root) {
		return errTree
	}
	return nil
}

func (p *proven) seek(leaf uint64) error {
	p.next = leaf
	if _, err := p.f.Seek(tlog.StoredHashIndex(0, int64(leaf))*hashBytes, io.SeekStart); err != nil {
		return err
	}
	p.r = bufio.NewReaderSize(p.f, 1<<16)
	return nil
}

func (p *proven) hash() (h tlog.Hash, err error) {
	_, err = io.ReadFull(p.r, h[:])
	return h, cutShort(err)
}

// leaf is the hash of the next leaf.
func (p *proven) leaf() (tlog.Hash, error) {
	h, err := p.hash()
	p.next++
	if err == nil {
		_, _ = p.r.Discard(bits.TrailingZeros64(p.next) * hashBytes) // the interior hashes that it completed
	}
	return h, err
}

func (p *proven) close() { p.f.Close() }

// openTreeToRead opens the tree of a folder; nothing is written to it.
func openTreeToRead(dir string) (*tree, error) {
	f, err := os.Open(filepath.Join(dir, treeFile))
	if err != nil {
		return nil, err
	}
	return &tree{f: f, written: math.MaxInt64}, nil
}
