package blocks

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
)

// Meta is the state of a stream's stored configuration.
type Meta int

// A server passes over a stream whose configuration it cannot read as if it
// were not there. It then makes it anew, over the blocks that are there.
const (
	MetaWhole   Meta = iota
	MetaAbsent       // there is none
	MetaSumLost      // meta.inf can be read, and meta.sum is gone or garbled: [Stream.Settle] writes it again
	MetaDamaged      // meta.inf is not what it was
)

// Meta tells the state of meta.inf and meta.sum.
func (s Stream) Meta() (Meta, error) {
	content, err := os.ReadFile(s.metaFile("meta.inf"))
	if errors.Is(err, fs.ErrNotExist) {
		return MetaAbsent, nil
	}
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(s.metaFile("meta.sum"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if string(text) == hex.EncodeToString(streamSum(s.Name(), content)) {
		return MetaWhole, nil
	}
	var config struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(content, &config) != nil || config.Name != s.Name() || !s.garbled(text, content) {
		return MetaDamaged, nil
	}
	return MetaSumLost, nil
}

// garbled tells whether the checksum itself was hit: it is no checksum, or a
// few bits from the right one. A change of the content changes half of them.
func (s Stream) garbled(text, content []byte) bool {
	const few = 8
	sum, err := hex.DecodeString(string(text))
	if err != nil || len(sum) != checksumSize {
		return true
	}
	le := binary.LittleEndian
	return bits.OnesCount64(le.Uint64(sum)^le.Uint64(streamSum(s.Name(), content))) <= few
}

func (s Stream) metaFile(name string) string { return filepath.Join(s.Dir, name) }

// settleMeta writes a lost checksum again.
func (s Stream) settleMeta() (bool, error) {
	state, err := s.Meta()
	if err != nil || state != MetaSumLost {
		return false, err
	}
	content, err := os.ReadFile(s.metaFile("meta.inf"))
	if err != nil {
		return false, err
	}
	return true, WriteMeta(s.Dir, s.Name(), content)
}

// WriteMeta writes the configuration of the stream of that name, and its
// checksum, into a folder.
func WriteMeta(dir, stream string, config []byte) error {
	sum := hex.EncodeToString(streamSum(stream, config))
	for _, f := range []struct {
		name    string
		content []byte
	}{{"meta.inf", config}, {"meta.sum", []byte(sum)}} {
		if err := WriteFile(filepath.Join(dir, f.name), f.content); err != nil {
			return err
		}
	}
	return SyncDir(dir)
}
