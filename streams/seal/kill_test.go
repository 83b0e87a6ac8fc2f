package seal_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"sallyport.dev/streams/seal"
)

// sealingIn names the folder in which this binary, run by [TestAKillLeavesOldOrNew],
// seals for as long as it lives.
const sealingIn = "SALLYPORT_TEST_SEALING_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(sealingIn); dir != "" {
		sealForEver(dir)
		return
	}
	os.Exit(m.Run())
}

// sealForEver seals, in small segments, and says after each checkpoint how far it covers.
func sealForEver(dir string) {
	o := options(dir)
	o.SegmentBytes = 3000
	l, err := seal.Open(o)
	if err != nil {
		println("opening:", err.Error())
		os.Exit(1)
	}
	for seq := l.Applied() + 1; ; seq += 7 {
		err := l.Apply(commits(seq, seq+6))
		if err == nil {
			err = l.Checkpoint()
		}
		if err != nil {
			println("sealing:", err.Error())
			os.Exit(1)
		}
		os.Stdout.WriteString(strconv.FormatUint(seq+6, 10) + "\n")
	}
}

// However often it is killed, and wherever: each time it opens, it has at least
// what it said, and the folder is whole.
func TestAKillLeavesOldOrNew(t *testing.T) {
	t.Parallel()
	dir, rounds, said := t.TempDir()+"/default", 12, uint64(0)
	if n, err := strconv.Atoi(os.Getenv("SALLYPORT_TEST_ROUNDS")); err == nil {
		rounds = n
	}
	for round := range rounds {
		said = max(said, killed(t, dir, time.Duration(round*617%9000)*time.Microsecond))
		l, err := seal.Open(options(dir))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if l.Applied() < said {
			t.Fatalf("round %d: it covers %d, and said %d", round, l.Applied(), said)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if report, err := seal.Verify(dir, nil); err != nil || report.Commits != l.Applied() {
			t.Fatalf("round %d: %+v, %v", round, report, err)
		}
	}
	if said == 0 {
		t.Error("nothing was ever sealed, so nothing is shown")
	}
}

// killed lets the child make a checkpoint or two, kills it a moment later, and tells what it said last.
func killed(t *testing.T, dir string, after time.Duration) (said uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), sealingIn+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if said, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			time.AfterFunc(after, func() { _ = child.Process.Kill() })
		}
	}
	_ = child.Wait() // it was killed
	return said
}
