package streams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// restoringMode is what the mode file says while a backup takes the place of
// what was there: nothing opens such a directory, and least of all finds it empty
// and begins a new log in it.
const restoringMode = "restoring\n"

func restoringError(dir string) error {
	return fmt.Errorf("a restore into the data directory %s was broken off: run `sallyportd restore` again", dir)
}

// LockDir takes a data directory for this process, as a server does, until it is
// closed; the directory is made where it is missing. A directory that is in use
// is an [InUseError].
func LockDir(dir string) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	return lockDir(dir)
}

// MarkRestoring keeps every server out of a data directory, until it is marked again.
func MarkRestoring(dir string) error { return remark(dir, restoringMode) }

// MarkStandalone marks a data directory as one whose log was written by one server.
func MarkStandalone(dir string) error { return remark(dir, standalone) }

// MarkBack marks a data directory again as it was before [MarkRestoring]; nil: it was not marked.
func MarkBack(dir string, mode []byte) error {
	if mode == nil {
		return Unmark(dir)
	}
	return remark(dir, string(mode))
}

func remark(dir, mode string) error {
	if err := writeDurably(filepath.Join(dir, modeFile), mode); err != nil {
		return err
	}
	return syncFile(dir)
}

// Unmark leaves a data directory without a log of its own, as that of a process on a cluster is.
func Unmark(dir string) error {
	if err := os.Remove(filepath.Join(dir, modeFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing how the log was written: %w", err)
	}
	return syncFile(dir)
}

// StartStaging is [StartServer] for a log that is being put back and that
// nobody has acknowledged anything from: messages are not synced one by one. After
// Close, [SyncTree] has to put them on disk.
func StartStaging(ctx context.Context, o ServerOptions) (*Server, error) {
	o.lazy = true
	return StartServer(ctx, o)
}

// SyncTree puts a folder with all that is in it on disk.
func SyncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		return syncFile(path)
	})
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("putting %s on disk: %w", path, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("putting %s on disk: %w", path, err)
	}
	return nil
}
