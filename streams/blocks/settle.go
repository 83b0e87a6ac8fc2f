package blocks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Settle makes a stream fit to be opened after a stop without warning, and tells
// whether it had to. It is called before a server opens the stream, and after a
// scan found it whole.
//
// The server compresses a block once it has begun the next one. If it then stops
// before that has a record, it takes the compressed one for its last block at the next start, and
// writes plain records behind the compressed ones, at the place that they would have
// in the plain block: what lies there is lost at the start after that (nats-server
// 2.15.2). So a compressed last block is put back as it was, plain.
//
// A checksum of the configuration that is lost ([MetaSumLost]) is written again, too.
func (s Stream) Settle() (bool, error) {
	meta, err := s.settleMeta()
	if err != nil {
		return false, fmt.Errorf("settling the configuration of %s: %w", s.Name(), err)
	}
	last, err := s.settleLast()
	return meta || last, err
}

// settleLast makes the last block plain.
func (s Stream) settleLast() (bool, error) {
	all, err := files(s.blocks())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for len(all) > 0 {
		last := all[len(all)-1]
		var r reader
		b, err := r.read(last)
		switch {
		case err != nil:
			return false, err
		case b.stored == 0:
			all = all[:len(all)-1] // the server removes it
			continue
		case !b.compressed:
			return false, nil
		case b.broken != nil:
			return false, fmt.Errorf("decompressing %s: %w", last.path, b.broken)
		}
		// A name that neither the server nor a scan takes for a block.
		whole := last.path + ".plain"
		if err := WriteFile(whole, b.records); err != nil {
			return false, err
		}
		if err := os.Rename(whole, last.path); err != nil {
			return false, fmt.Errorf("putting the plain block in place: %w", err)
		}
		return true, SyncDir(s.blocks())
	}
	return false, nil
}
