package cli

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestRowsAlignByCharacters(t *testing.T) {
	var b strings.Builder
	rows := Rows{{"NAME", "VALUE"}, {"é", "x"}, {"long name", "\x1b[31my\n"}}
	if err := rows.Write(&b, nil); err != nil {
		t.Fatal(err)
	}
	const want = "NAME       VALUE\né          x\nlong name  \\u001b[31my\\u000a\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestErrorsHoldNoSecret(t *testing.T) {
	var b strings.Builder
	e := &Error{
		Message: "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln is no command",
		Details: []string{"got sallyport_OXL8-Q4y0PsbyqZ3Xa01I63LV7kARVGfFULdwr3Fqzk"}, Next: "repeat",
	}
	e.write(&b, "sallyport")
	if strings.Contains(b.String(), "eyJ") || strings.Contains(b.String(), "OXL8") || e.Exit != ExitFailed {
		t.Errorf("got %s", b.String())
	}
}

func TestSecretFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := WriteNewSecret(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := WriteNewSecret(path, []byte("two")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file was replaced: %v", err)
	}
	if err := WriteSecret(path, []byte("three")); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	info, statErr := os.Stat(path)
	if err := errors.Join(err, statErr); err != nil || string(b) != "three" || info.Mode().Perm() != 0o600 {
		t.Errorf("got %q, %v, %v", b, info, err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestUsageErrorsExitWith2(t *testing.T) {
	for _, args := range [][]string{{}, {"nope"}, {"do"}, {"do", "a", "b"}, {"do", "--nope"}, {"group"}, {"group", "nope"}, {"do", "a", "-o", "xml"}} {
		var errs bytes.Buffer
		var f Format
		c := &cobra.Command{Use: "prog"}
		FormatFlag(c, &f)
		group := &cobra.Command{Use: "group"}
		group.AddCommand(&cobra.Command{Use: "inner", RunE: func(*cobra.Command, []string) error { return nil }})
		c.AddCommand(group, &cobra.Command{Use: "do", Args: Args("NAME"), RunE: func(*cobra.Command, []string) error { return nil }})
		s := IO{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &errs, Getenv: func(string) string { return "" }}
		if code := Run(t.Context(), c, s, args); code != ExitUsage || !strings.Contains(errs.String(), "next: see `prog") {
			t.Errorf("%q: exit %d: %s", args, code, errs.String())
		}
	}
}

func TestAnUnknownCommandSuggestsSimilarOnes(t *testing.T) {
	var out, errs bytes.Buffer
	c := &cobra.Command{Use: "prog"}
	c.AddCommand(&cobra.Command{Use: "audit", RunE: func(*cobra.Command, []string) error { return nil }})
	s := IO{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: func(string) string { return "" }}
	if code := Run(t.Context(), c, s, []string{"adit"}); code != ExitUsage || !strings.Contains(errs.String(), "did you mean `prog audit`?") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	if code := Run(t.Context(), c, s, []string{"--version"}); code != ExitOK || out.String() != "prog "+BuildVersion()+"\n" {
		t.Errorf("--version: exit %d: %q", code, out.String())
	}
}

func TestAFolderThatCannotBeWrittenIsKnownBefore(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "none", "token"), dir} {
		if _, err := NewSecretFile(path); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	f, err := NewSecretFile(filepath.Join(dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	f.Discard()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestColourIsForTerminals(t *testing.T) {
	none := func(string) string { return "" }
	if Colour(&bytes.Buffer{}, none) {
		t.Error("a buffer is coloured")
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Colour(f, none) {
		t.Error("a file is coloured")
	}
}
