package backup_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"sallyport.dev/streams/backup"
)

// member is a file of a backup.
type member struct {
	name    string
	content []byte
}

func members(t testing.TB, file string) (all []member) {
	t.Helper()
	b, err := os.ReadFile(file)
	ok(t, err)
	z := must(zstd.NewReader(bytes.NewReader(b)))(t)
	defer z.Close()
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if err == io.EOF {
			return all
		}
		ok(t, err)
		all = append(all, member{h.Name, must(io.ReadAll(in))(t)})
	}
}

// pack makes a backup of files; with whole digests if they are to be made to fit.
func pack(t testing.TB, all []member, fit bool) string {
	t.Helper()
	if fit {
		last := &all[len(all)-1]
		var m map[string]any
		ok(t, json.Unmarshal(last.content, &m))
		var files []map[string]any
		for _, f := range all[:len(all)-1] {
			sum := sha256.Sum256(f.content)
			files = append(files, map[string]any{"name": f.name, "size": len(f.content), "sha256": hex.EncodeToString(sum[:])})
		}
		m["files"] = files
		last.content = must(json.Marshal(m))(t)
	}
	var b bytes.Buffer
	z := must(zstd.NewWriter(&b))(t)
	w := tar.NewWriter(z)
	for _, f := range all {
		ok(t, w.WriteHeader(&tar.Header{Name: f.name, Size: int64(len(f.content)), Mode: 0o600}))
		must(w.Write(f.content))(t)
	}
	ok(t, errors.Join(w.Close(), z.Close()))
	return file(t, b.Bytes())
}

// change alters the first file whose name has that in it.
func change(t testing.TB, all []member, name string, f func([]byte) []byte) []member {
	t.Helper()
	for i := range all {
		if strings.Contains(all[i].name, name) {
			all[i].content = f(bytes.Clone(all[i].content))
			return all
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

func replace(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
}

// Whoever alters a backup and makes its digests fit is found by the checkpoint;
// whoever does not, by the digests. Nothing of it is restored.
func TestABackupThatIsNotWholeIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.seal(t)
	s.commit(t, 20)
	s.unseal(t)
	ok(t, s.keys(t).Put(t.Context(), "one", []byte("sealed")))
	whole := s.backup(t)
	const log = "ORG_default/00"
	for _, test := range []struct {
		name string
		file func(t *testing.T, all []member) string
		want string
	}{
		{"a byte of a commit", func(t *testing.T, all []member) string {
			return pack(t, change(t, all, log, replace(`"tess"`, `"mess"`)), false)
		}, "is not as it was written"},
		{"a byte of a commit, with fitting digests", func(t *testing.T, all []member) string {
			return pack(t, change(t, all, log, replace(`"tess"`, `"mess"`)), true)
		}, "not the log that was sealed"},
		{"a commit left out, with fitting digests", func(t *testing.T, all []member) string {
			return pack(t, change(t, all, log, func(b []byte) []byte { return b[bytes.Index(b, []byte(`{"sequence":2,`)):] }), true)
		}, "gap"},
		{"the end of the log left out, with fitting digests", func(t *testing.T, all []member) string {
			return pack(t, change(t, all, log, func(b []byte) []byte { return b[:bytes.Index(b, []byte(`{"sequence":15,`))] }), true)
		}, "not whole"},
		{"a key left out, with fitting digests", func(t *testing.T, all []member) string {
			return pack(t, change(t, all, "KV_KEYS_default/00", func([]byte) []byte { return nil }), true)
		}, "KV_KEYS_default is not whole"},
		{"another checkpoint", func(t *testing.T, all []member) string {
			return pack(t, change(t, all, "seal/checkpoint", replace("sequence 20", "sequence 19")), true)
		}, "signature"},
		{"a sealed segment", func(t *testing.T, all []member) string {
			return pack(t, change(t, all, "seal/segments", replace(`"tess"`, `"mess"`)), true)
		}, "sealed segments"},
		{"no manifest", func(t *testing.T, all []member) string { return pack(t, all[:len(all)-1], false) }, "ends without a manifest"},
		{"a file more", func(t *testing.T, all []member) string {
			return pack(t, slices.Insert(all, 1, member{"orgs/default/seal/more", nil}), false)
		}, "manifest lists"},
		{"a file behind the manifest", func(t *testing.T, all []member) string {
			return pack(t, append(all, member{"orgs/default/seal/more", nil}), false)
		}, "something after its manifest"},
		{"a file outside", func(t *testing.T, all []member) string {
			return pack(t, slices.Insert(all, 1, member{"orgs/default/seal/../../../outside", []byte("x")}), true)
		}, "no file of a backup"},
		{"a file of somebody else", func(t *testing.T, all []member) string {
			return pack(t, slices.Insert(all, 1, member{"etc/passwd", []byte("x")}), true)
		}, "no file of a backup"},
		{"a message of more bytes than can be counted", func(t *testing.T, all []member) string {
			return pack(t, change(t, all, log, replace(`"header":`, `"header":9223372036854775`)), true)
		}, "says that it has"},
		{"a header and a body that together are less than nothing", func(t *testing.T, all []member) string {
			return pack(t, change(t, all, log, func(b []byte) []byte {
				return regexp.MustCompile(`"header":\d+,"body":\d+`).ReplaceAll(b, []byte(`"header":9223372036854775807,"body":9223372036854775807`))
			}), true)
		}, "says that it has"},
		{"a stream under another name", func(t *testing.T, all []member) string {
			return pack(t, change(t, all, "manifest.json", replace(`"name": "KV_KEYS_default"`, `"name": "KV_KEYS_other"`)), true)
		}, "none of default"},
		{"a window of memory that no backup needs", func(t *testing.T, _ []member) string {
			var b bytes.Buffer
			z := must(zstd.NewWriter(&b, zstd.WithWindowSize(64<<20)))(t)
			must(io.CopyN(z, rand.NewChaCha8([32]byte{}), 65<<20))(t)
			ok(t, z.Close())
			return file(t, b.Bytes())
		}, "window size"},
		{"another tar", func(t *testing.T, _ []member) string { return pack(t, []member{{"readme", []byte("hello")}}, false) }, "no backup of Sallyport"},
		{"no file of ours", func(t *testing.T, _ []member) string { return file(t, []byte("hello")) }, "without a manifest"},
		{"an empty file", func(t *testing.T, _ []member) string { return file(t, nil) }, "without a manifest"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, err := backup.Restore(t.Context(), restoreOptions(t, test.file(t, members(t, whole)), dir))
			if !errors.Is(err, backup.ErrDamaged) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("err = %v, want it to say %q", err, test.want)
			}
			nothingBut(t, dir, "lock")
		})
	}
	t.Run("a newer form", func(t *testing.T) {
		all := change(t, members(t, whole), "sallyport-backup.json", replace(`"format": 1`, `"format": 2`))
		_, err := backup.Open(pack(t, all, true), backup.OpenOptions{Dir: t.TempDir()})
		if err == nil || errors.Is(err, backup.ErrDamaged) || !strings.Contains(err.Error(), "newer form (2, written by version v0.0.1") {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("as it was", func(t *testing.T) {
		_, err := backup.Open(pack(t, members(t, whole), true), backup.OpenOptions{Dir: t.TempDir()})
		ok(t, err)
	})
}

func nothingBut(t *testing.T, dir, name string) {
	t.Helper()
	for path := range tree(t, dir) {
		if filepath.Base(path) != name {
			t.Errorf("%s was left behind", path)
		}
	}
}

// Wherever the file is cut, and whichever bit is turned, it is refused.
func TestNoCutAndNoBitGoesUnnoticed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.seal(t)
	s.commit(t, 20)
	s.unseal(t)
	whole, err := os.ReadFile(s.backup(t))
	ok(t, err)
	want := members(t, file(t, whole)) // a bit of how it is compressed may change nothing
	random := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		b := bytes.Clone(whole)
		if at := random.IntN(len(b)); random.IntN(3) == 0 {
			b = b[:at]
		} else {
			b[at] ^= 1 << random.IntN(8)
		}
		name := file(t, b)
		if _, err := backup.Open(name, backup.OpenOptions{Dir: t.TempDir()}); err == nil && !slices.EqualFunc(members(t, name), want, sameMember) {
			t.Errorf("a backup of %d bytes instead of %d, or with a bit turned, passes", len(b), len(whole))
		}
	}
}

func sameMember(a, b member) bool { return a.name == b.name && bytes.Equal(a.content, b.content) }

func TestABackupOfAnotherOrganisationIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.commit(t, 1)
	name := s.backup(t)
	for _, test := range []struct {
		name string
		then func(*backup.RestoreOptions)
		want string
	}{
		{"an organisation that is not configured", func(o *backup.RestoreOptions) { o.Wanted[0].Name = "other" }, "does not name under organisations"},
		{"another issuer", func(o *backup.RestoreOptions) { o.Wanted[0].Issuer = "https://elsewhere.example/orgs/default" }, "an issuer never changes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := restoreOptions(t, name, t.TempDir())
			test.then(&o)
			if _, err := backup.Restore(t.Context(), o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("err = %v, want it to say %q", err, test.want)
			}
			nothingBut(t, o.Dir, "lock")
		})
	}
}
