package seal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/streams/seal"
)

// root is the tree of RFC 6962 section 2.1, written from its text.
func root(leaves [][]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	left, right := root(leaves[:k]), root(leaves[k:])
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

func leaves(to uint64) (out [][]byte) {
	for _, c := range commits(1, to) {
		for i, e := range c.Events {
			out = append(out, fmt.Appendf(nil, "%s %d.%d %d\n%s", c.Subject, c.Sequence, i, len(c.Events), e.Stored))
		}
	}
	return out
}

func TestALeafIsItsSubjectPositionCountAndBytes(t *testing.T) {
	got := seal.Leaf("org.default.control", domain.Position{Sequence: 12, Index: 3}, 5, []byte(`{"a":1}`))
	if want := "org.default.control 12.3 5\n{\"a\":1}"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheTreeGrowsAsRFC6962Says(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		dir += "/default"
		o := options(dir)
		o.SegmentBytes = int64(rapid.IntRange(200, 5000).Draw(rt, "segment"))
		var last uint64
		for range rapid.IntRange(1, 3).Draw(rt, "openings") {
			l, err := seal.Open(o)
			if err != nil {
				rt.Fatal(err)
			}
			if l.Applied() != last {
				rt.Fatalf("it goes on behind %d, and %d were sealed", l.Applied(), last)
			}
			for range rapid.IntRange(1, 3).Draw(rt, "batches") {
				n := uint64(rapid.IntRange(1, 20).Draw(rt, "commits"))
				if err := l.Apply(commits(last+1, last+n)); err != nil {
					rt.Fatal(err)
				}
				last += n
				if rapid.Bool().Draw(rt, "checkpoint") {
					if err := l.Checkpoint(); err != nil {
						rt.Fatal(err)
					}
				}
			}
			if err := l.Close(); err != nil {
				rt.Fatal(err)
			}
		}
		cp, _, err := seal.Newest(dir)
		if err != nil {
			rt.Fatal(err)
		}
		want := seal.Checkpoint{Origin: origin, Size: eventsIn(last), Root: root(leaves(last)), Sequence: last}
		if diff := cmp.Diff(want, cp, cmpopts.IgnoreFields(seal.Checkpoint{}, "Time")); diff != "" {
			rt.Fatalf("the newest checkpoint (-want +got):\n%s", diff)
		}
		report, err := seal.Verify(dir, nil)
		if err != nil || report.Events != cp.Size || report.Commits != last {
			rt.Fatalf("the folder is not whole: %+v, %v", report, err)
		}
	})
}

func TestRecordsAreTheCommitsAsTheyWere(t *testing.T) {
	dir := sealed(t, 200)
	entries, err := os.ReadDir(filepath.Join(dir, "segments"))
	if err != nil || len(entries) < 3 {
		t.Fatalf("there are %d segments, too few to show anything (%v)", len(entries), err)
	}
	for _, from := range []uint64{0, 1, 2, 77, 199, 200, 201} {
		seq := max(from, 1)
		for r, err := range seal.Records(dir, from) {
			if err != nil {
				t.Fatalf("reading from %d: %v", from, err)
			}
			c := commit(seq)
			want := seal.Record{Sequence: seq, Subject: c.Subject, Header: c.Header, StoredAt: c.StoredAt, Body: c.Body}
			if diff := cmp.Diff(want, r); diff != "" {
				t.Fatalf("commit %d (-want +got):\n%s", seq, diff)
			}
			seq++
		}
		if seq != 201 {
			t.Errorf("reading from %d ended before commit %d", from, seq)
		}
	}
}

var updateGolden = flag.Bool("add-golden", false, "write the golden checkpoint, if there is none")

func TestACheckpointIsANoteOfTheSameBytesForEver(t *testing.T) {
	dir := sealed(t, 30)
	got, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/checkpoint.golden"
	want, err := os.ReadFile(golden)
	if errors.Is(err, os.ErrNotExist) && *updateGolden {
		want, err = got, os.WriteFile(golden, got, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestANoteWithAnotherSignatureBesideOursIsRead(t *testing.T) {
	dir := sealed(t, 10)
	name := filepath.Join(dir, "checkpoint")
	msg, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	witness := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 68))
	if err := os.WriteFile(name, append(msg, "— witness.example "+witness+"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if cp := newest(t, dir); cp.Sequence != 10 {
		t.Errorf("it covers %d", cp.Sequence)
	}
}

// Whatever is changed in a folder, and wherever, it is noticed: by who verifies
// it, and what only a running sealer relies on, by opening it.
func TestAnAlteredFolderIsNoticed(t *testing.T) {
	whole := sealed(t, 120)
	files := map[string]int{}
	err := filepath.WalkDir(whole, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(whole, p)
		files[rel] = len(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for file, size := range files {
		for _, where := range []int{0, size / 2, size - 1, random.IntN(size), random.IntN(size)} {
			t.Run(fmt.Sprintf("%s at %d", file, where), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "default")
				if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				b, err := os.ReadFile(filepath.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				b[where] ^= 0x20
				if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
					t.Fatal(err)
				}
				noticed(t, dir)
			})
		}
	}
}

func noticed(t *testing.T, dir string) {
	t.Helper()
	_, err := seal.Verify(dir, nil)
	if err != nil {
		return
	}
	l, err := seal.Open(options(dir))
	if err == nil {
		l.Close()
		// A line of the history that was spoilt at its end is cut off and written again.
		if n := history(t, dir); n < 11 {
			t.Fatalf("nobody noticed; the history has %d checkpoints", n)
		}
		if _, err := seal.Verify(dir, nil); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := domain.Damaged(err); d == nil || d.Check != "seal" || !strings.Contains(err.Error(), "to repair: ") {
		t.Errorf("the error does not say what to do: %v", err)
	}
}

func history(t testing.TB, dir string) (n int) {
	t.Helper()
	for _, err := range seal.History(dir) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestWhatIsMissingIsNoticed(t *testing.T) {
	whole := sealed(t, 120)
	entries, err := os.ReadDir(filepath.Join(whole, "segments"))
	if err != nil {
		t.Fatal(err)
	}
	missing := []string{"verifier", "tree"}
	for _, e := range entries {
		missing = append(missing, filepath.Join("segments", e.Name()))
	}
	for _, file := range missing {
		t.Run(file, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "default")
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			if _, err := seal.Verify(dir, nil); domain.Damaged(err) == nil {
				t.Errorf("verifying it: %v", err)
			}
		})
	}
}

func TestACheckpointNeverGoesBack(t *testing.T) {
	dir := sealed(t, 40)
	name := filepath.Join(dir, "checkpoint")
	older, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	l := opened(t, options(dir))
	apply(t, l, commits(41, 60))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, older, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(options(dir)); domain.Damaged(err) == nil || !strings.Contains(err.Error(), "went back") {
		t.Errorf("opening it: %v", err)
	}
}

func TestTwoCheckpointsOfOneSizeAndTwoRootsAreAFork(t *testing.T) {
	dir, other := sealed(t, 20), t.TempDir()+"/default"
	l := opened(t, options(other))
	forked := commits(1, 20)
	forked[7] = made(8, "org.default.activity", `{"id":"8.0"}`, `{"id":"8.1"}`, `{"id":"8.2"}`, `{"id":"another"}`)
	apply(t, l, forked)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	a, b := newest(t, dir), newest(t, other)
	if a.Size != b.Size {
		t.Fatalf("they have %d and %d events", a.Size, b.Size)
	}
	if err := seal.Consistent(a, b); err == nil || !strings.Contains(err.Error(), "forked") {
		t.Errorf("they are consistent: %v", err)
	}
	// The files of one fork under the checkpoint of the other.
	if err := os.Rename(filepath.Join(other, "checkpoint"), filepath.Join(dir, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(options(dir)); domain.Damaged(err) == nil {
		t.Errorf("opening the fork: %v", err)
	}
}

// Who can write the folder and not sign makes files that are sound among
// themselves: the checkpoint, which stays, does not bear them out.
func TestForgedFilesUnderATrueCheckpointAreNoticed(t *testing.T) {
	for _, x := range []struct {
		name   string
		forged []string
	}{
		{"the tree and the segments", []string{"tree", "segments"}},
		{"the tree", []string{"tree"}},
		{"the segments", []string{"segments"}},
		{"the tree, the segments and the history", []string{"tree", "segments", "history"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir, other := sealed(t, 20), t.TempDir()+"/default"
			o := options(other)
			o.SegmentBytes = 4096
			l := opened(t, o)
			forged := commits(1, 20)
			forged[7] = made(8, forged[7].Subject, `{"id":"8.0"}`, `{"id":"8.1"}`, `{"id":"8.2"}`, `{"id":"forged"}`)
			for i := 0; i < 20; i += 10 {
				apply(t, l, forged[i:i+10])
				if err := l.Checkpoint(); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			for _, file := range x.forged {
				if err := errors.Join(os.RemoveAll(filepath.Join(dir, file)), os.Rename(filepath.Join(other, file), filepath.Join(dir, file))); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := seal.Verify(dir, nil); domain.Damaged(err) == nil {
				t.Errorf("verifying it: %v", err)
			}
			var read error
			for r, err := range seal.Records(dir, 1) {
				if err == nil && strings.Contains(string(r.Body), "forged") {
					t.Error("a forged commit was given out")
				}
				read = errors.Join(read, err)
			}
			if domain.Damaged(read) == nil {
				t.Errorf("reading it: %v", read)
			}
			if x.forged[0] == "tree" {
				if err := os.Remove(filepath.Join(dir, "history")); err != nil { // which would tell it, too
					t.Fatal(err)
				}
				if _, err := seal.Open(options(dir)); domain.Damaged(err) == nil {
					t.Errorf("opening it: %v", err)
				}
				if _, err := seal.Compare(dir, "default", 0); domain.Damaged(err) == nil {
					t.Errorf("comparing with it: %v", err)
				}
			}
		})
	}
}

func TestEveryHashOfTheTreeCounts(t *testing.T) {
	dir := sealed(t, 20)
	name := filepath.Join(dir, "tree")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(b); at += 32 {
		b[at+5] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Reread(dir, nil); domain.Damaged(err) == nil {
			t.Errorf("hash %d is altered: %v", at/32, err)
		}
		b[at+5] ^= 1
	}
}

func TestARecordThatIsTornOrAlteredIsNotRead(t *testing.T) {
	whole := sealed(t, 10)
	entries, err := os.ReadDir(filepath.Join(whole, "segments"))
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v", entries, err)
	}
	// A header is held by the checksum alone.
	name := filepath.Join(whole, "segments", entries[0].Name())
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	altered := bytes.Replace(b, []byte("commit 7"), []byte("commit 8"), 1)
	if bytes.Equal(b, altered) {
		t.Fatal("there is nothing to alter")
	}
	if err := os.WriteFile(name, altered, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Verify(whole, nil); domain.Damaged(err) == nil || domain.Damaged(err).Sequence != 7 {
		t.Errorf("verifying it: %v", err)
	}
}

func TestAnotherKeysFolderIsRefused(t *testing.T) {
	dir := sealed(t, 20)
	o := options(dir)
	o.Origin = "sallyport.example/orgs/other"
	if _, err := seal.Open(o); domain.Damaged(err) == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("opening it: %v", err)
	}
}

func TestACheckpointComesByCountAndByTime(t *testing.T) {
	t.Run("by count", func(t *testing.T) {
		o := options(t.TempDir() + "/default")
		o.Every, o.Within = 50, time.Hour
		l := opened(t, o)
		apply(t, l, commits(1, 30))
		await(t, func() bool { return l.Newest().Sequence == 30 })
		apply(t, l, commits(31, 32))
		if n, since := l.Lag(); n != eventsIn(32)-eventsIn(30) || since.IsZero() {
			t.Errorf("it lags by %d since %v", n, since)
		}
	})
	t.Run("by time", func(t *testing.T) {
		o := options(t.TempDir() + "/default")
		o.Within = 20 * time.Millisecond
		l := opened(t, o)
		apply(t, l, commits(1, 1))
		await(t, func() bool { return l.Newest().Sequence == 1 })
		if n, _ := l.Lag(); n != 0 {
			t.Errorf("it lags by %d", n)
		}
	})
}

func await(t testing.TB, reached func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	for !reached() {
		select {
		case <-time.After(time.Millisecond):
		case <-late:
			t.Fatal("it was not reached within a minute")
		}
	}
}

func TestOnlyTheNextCommitIsTaken(t *testing.T) {
	l := opened(t, options(t.TempDir()+"/default"))
	apply(t, l, commits(1, 3))
	if err := l.Apply(commits(5, 5)); err == nil {
		t.Error("a gap was sealed")
	}
	if l.Err() == nil {
		t.Error("it goes on behind a gap")
	}
	select {
	case <-l.Failed():
	default:
		t.Error("nobody is told")
	}
}

// A folder is compared from wherever a comparison begins; one event that
// differs, one that is missing and one too many are each told by their place.
func TestALogIsComparedWithWhatWasSealed(t *testing.T) {
	dir := sealed(t, 300)
	for _, tail := range []uint64{0, 1, 100, 5000} {
		c, err := seal.Compare(dir, "default", tail)
		if err != nil {
			t.Fatal(err)
		}
		if tail > 0 && tail < 500 && c.Next() == 1 {
			t.Errorf("the last %d of %d events are compared from the first commit on", tail, eventsIn(300))
		}
		if eventsIn(c.Next()-1)+min(tail, eventsIn(300)) > eventsIn(300) {
			t.Errorf("of the last %d events, those before commit %d are left out", tail, c.Next())
		}
		for !c.Done() {
			if err := c.Commit(commit(c.Next())); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
	}
	c := commit(290)
	other := append([]domain.Commit(nil), c, c, c, c)
	other[0].Subject = "org.default.other"
	other[1] = made(290, c.Subject, `{}`)
	other[2] = made(290, c.Subject, string(c.Events[0].Stored), `{}`)
	other[3].Sequence = 291
	for i, altered := range other {
		from, err := seal.Compare(dir, "default", 100)
		if err != nil {
			t.Fatal(err)
		}
		for from.Next() < 290 {
			if err := from.Commit(commit(from.Next())); err != nil {
				t.Fatal(err)
			}
		}
		if d := domain.Damaged(from.Commit(altered)); d == nil || d.Sequence != 290 {
			t.Errorf("change %d: %v", i, d)
		}
		from.Close()
	}
}

func TestTheLastCommitSealedIsFoundByOneRead(t *testing.T) {
	dir := sealed(t, 33)
	if err := seal.HoldsLast(dir, "default", commit(33)); err != nil {
		t.Error(err)
	}
	for _, c := range []domain.Commit{commit(32), commit(34), made(33, "org.default.control", `{}`)} {
		if err := seal.HoldsLast(dir, "default", c); domain.Damaged(err) == nil {
			t.Errorf("commit %d with %d events holds: %v", c.Sequence, len(c.Events), err)
		}
	}
}

func TestAFolderIsReadWhileItIsWritten(t *testing.T) {
	dir := t.TempDir() + "/default"
	o := options(dir)
	o.SegmentBytes = 1000
	l := opened(t, o)
	apply(t, l, commits(1, 20))
	if err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	seq := uint64(1)
	for r, err := range seal.Records(dir, 1) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Sequence != seq {
			t.Fatalf("%d came for %d", r.Sequence, seq)
		}
		apply(t, l, commits(20+seq, 20+seq))
		if err := l.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		seq++
	}
	if seq != 21 {
		t.Errorf("it ended before %d", seq)
	}
}

// A second implementation, in another language and with nothing of ours, reads
// the same folder and comes to the same root.
func TestTheFolderIsReadByTheSecondImplementation(t *testing.T) {
	dir := sealed(t, 150)
	check := func() (string, error) {
		out, err := exec.CommandContext(t.Context(), "python3", "testdata/verify.py", dir).CombinedOutput()
		return string(out), err
	}
	out, err := check()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cp := newest(t, dir)
	if want := fmt.Sprintf("%s: %d events, %d commits, root %s\n", origin, cp.Size, cp.Sequence, tlog.Hash(cp.Root)); out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	name := filepath.Join(dir, "verifier")
	if err := os.WriteFile(name, []byte(strings.Replace(origin, "default", "other", 1)+"+00000000+AQAB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := check(); err == nil {
		t.Errorf("under another key it says %q", out)
	}
}
