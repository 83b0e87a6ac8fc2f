package seal

import (
	"errors"
	"io/fs"
	"syscall"
)

// UnreadableError says that a file of a folder could not be read at all: of another
// owner, on a failing disk, a folder in its place. That is no [domain.Damage], since
// nobody knows what is in the file.
type UnreadableError struct{ Err *fs.PathError }

// Error names the file.
func (e *UnreadableError) Error() string {
	return "the seal cannot be read, which does not say that it is damaged: " + e.Err.Error()
}

// Unwrap is what the operating system said.
func (e *UnreadableError) Unwrap() error { return e.Err }

// unreadable finds what the operating system said of a file that is there, nil if it
// said nothing. A file that is gone is not unreadable, and neither is one that is short.
func unreadable(err error) error {
	path, is := errors.AsType[*fs.PathError](err)
	if !is || errors.Is(path, fs.ErrNotExist) {
		return nil
	}
	if _, is := errors.AsType[syscall.Errno](path); !is {
		return nil
	}
	return &UnreadableError{path}
}
