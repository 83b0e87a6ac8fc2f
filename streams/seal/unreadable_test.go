package seal_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/streams/seal"
)

// What cannot be read is not called damaged, and what is gone or short is.
func TestOnlyWhatWasReadOrIsGoneIsDamage(t *testing.T) {
	path := func(err error) error {
		return fmt.Errorf("reading: %w", &fs.PathError{Op: "open", Path: "seal/default/checkpoint", Err: err})
	}
	for _, tt := range []struct {
		err    error
		damage bool
	}{
		{nil, true},
		{errors.New("the signature is wrong"), true},
		{io.ErrUnexpectedEOF, true},
		{path(syscall.ENOENT), true},
		{path(errors.New("negative offset")), true},
		{path(syscall.EACCES), false},
		{path(syscall.EPERM), false},
		{path(syscall.EIO), false},
		{path(syscall.ELOOP), false},
		{path(syscall.EMFILE), false},
	} {
		err := seal.Damage("seal/default", tt.err, "it cannot be read")
		_, unreadable := errors.AsType[*seal.UnreadableError](err)
		if damage := domain.Damaged(err) != nil; damage != tt.damage || unreadable == tt.damage {
			t.Errorf("%v is told as %v", tt.err, err)
		}
		if unreadable && (!strings.Contains(err.Error(), "seal/default/checkpoint") || strings.Contains(err.Error(), "reseal")) {
			t.Errorf("%v is told as %q", tt.err, err)
		}
	}
}

// A file that is there and is not readable is told by its name, by whoever reads the folder.
func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	segment := func(dir string) string {
		all, err := filepath.Glob(filepath.Join(dir, "segments", "*"))
		if err != nil || len(all) == 0 {
			t.Fatalf("there are segments %v (%v)", all, err)
		}
		return all[len(all)-1] // which is the one that is opened
	}
	for _, name := range []string{"checkpoint", "verifier", "tree", "history", "segment"} {
		t.Run(name, func(t *testing.T) {
			dir := sealed(t, 30)
			file := filepath.Join(dir, name)
			if name == "segment" {
				file = segment(dir)
			}
			if err := errors.Join(os.Remove(file), os.Symlink(filepath.Base(file), file)); err != nil { // a loop
				t.Fatal(err)
			}
			_, verified := seal.Verify(dir, nil)
			_, opened := seal.Open(options(dir))
			for what, err := range map[string]error{"verifying": verified, "opening": opened} {
				_, unreadable := errors.AsType[*seal.UnreadableError](err)
				if !unreadable || domain.Damaged(err) != nil || !strings.Contains(err.Error(), file) {
					t.Errorf("%s it says %v", what, err)
				}
			}
		})
	}
}
