package backup

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport.dev/streams/seal"
)

// Files of a seal folder that are looked at by name.
const (
	checkpointFile = "checkpoint"
	verifierFile   = "verifier"
	historyFile    = "history"
)

// sealFile is one file to copy: its first size bytes.
type sealFile struct {
	io.Reader
	size  int64
	close func() error
	err   error // why there is none
}

func (f sealFile) Close() {
	if f.close != nil {
		f.close() // it was read only
	}
}

// sealFiles yields the files of a seal folder that is written to meanwhile: the
// newest checkpoint as of the call, and what it covers, which is on disk
// before it is. What a file has more than that is dropped when the folder is
// opened, as after a crash. Only the history must not go on behind the checkpoint: it
// is taken as it was before.
func sealFiles(dir string) (*Checkpoint, iter.Seq2[string, sealFile], error) {
	none := func(func(string, sealFile) bool) {}
	var history int64
	if info, err := os.Stat(filepath.Join(dir, historyFile)); err == nil {
		history = info.Size()
	}
	text, err := os.ReadFile(filepath.Join(dir, checkpointFile))
	if dir == "" || errors.Is(err, fs.ErrNotExist) {
		return nil, none, nil // nothing is proven, so there is nothing to keep
	}
	if err != nil {
		return nil, none, err
	}
	verifier, err := os.ReadFile(filepath.Join(dir, verifierFile))
	if err != nil {
		return nil, none, err
	}
	cp, err := readCheckpoint(text, verifier)
	if err != nil {
		return nil, none, err
	}
	return cp, func(yield func(string, sealFile) bool) {
		if !yield(checkpointFile, inMemory(text)) || !yield(verifierFile, inMemory(verifier)) {
			return
		}
		others(dir, func(name string, f sealFile) bool {
			if name == historyFile {
				f.size = history
			}
			return yield(name, f)
		})
	}, nil
}

func inMemory(b []byte) sealFile { return sealFile{Reader: bytes.NewReader(b), size: int64(len(b))} }

// others yields every other file. A segment that is being compressed vanishes
// under its plain name: then the folder is listed again.
func others(dir string, yield func(string, sealFile) bool) {
	done := map[string]bool{checkpointFile: true, verifierFile: true}
	for again := true; again; {
		again = false
		names, err := sealNames(dir)
		if err != nil {
			yield("", sealFile{err: err})
			return
		}
		for _, name := range names {
			if plain := strings.TrimSuffix(name, ".zst"); !done[plain] {
				f, err := openSealFile(filepath.Join(dir, name))
				if errors.Is(err, fs.ErrNotExist) {
					again = true
					continue
				}
				done[plain] = true
				if err != nil {
					f.err = err
				}
				if !yield(name, f) || err != nil {
					return
				}
			}
		}
	}
}

func openSealFile(path string) (sealFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return sealFile{}, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return sealFile{}, err
	}
	return sealFile{Reader: f, size: info.Size(), close: f.Close}, nil
}

// sealNames lists the files, sorted; one that is not finished yet is none.
func sealNames(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && p != dir:
			return nil // vanished since it was listed
		case err != nil:
			return err
		case d.Type().IsRegular() && !strings.HasSuffix(d.Name(), ".new"):
			name, err := filepath.Rel(dir, p)
			names = append(names, name)
			return err
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

func sealSize(dir string) (total int64, err error) {
	if _, err := os.Stat(dir); dir == "" || errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	names, err := sealNames(dir)
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			total += info.Size()
		}
	}
	return total, err
}

// readCheckpoint checks a checkpoint's signature with the verifier beside it.
func readCheckpoint(text, verifier []byte) (*Checkpoint, error) {
	cp, err := seal.ParseCheckpoint(text, string(verifier))
	if err != nil {
		return nil, err
	}
	return &Checkpoint{cp.Origin, cp.Size, cp.Sequence, cp.Root[:], strings.TrimSpace(string(verifier))}, nil
}
