package trail_test

import (
	"bufio"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/events"
	"sallyport.dev/projections/trail"
)

const killMe = "SALLYPORT_TRAIL_TEST_FILE"

// TestMain lets the test binary be the process that gets killed.
func TestMain(m *testing.M) {
	if path := os.Getenv(killMe); path != "" {
		applyUntilKilled(path)
	}
	flag.Parse()
	if !given("rapid.checks") { // each opens a file ten times; `make long` asks for more
		flag.Set("rapid.checks", "15")
	}
	os.Exit(m.Run())
}

// given tells whether a flag is on the command line.
func given(name string) (yes bool) {
	flag.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

// size is how many events a commit of the endless log has; the same every time.
func size(seq uint64) int { return 1 + int(seq*seq%7) }

func endless(from uint64, n int) []domain.Commit {
	var cs []domain.Commit
	for seq := from; seq < from+uint64(n); seq++ {
		var hs []happened
		for i := range size(seq) {
			hs = append(hs, issued("github", "run-"+strconv.FormatUint(seq, 10)+"-"+strconv.Itoa(i)))
		}
		cs = append(cs, commit(seq, hs...))
	}
	return cs
}

// applyUntilKilled continues the log from where the file is, in calls of
// various length, and prints Applied after each.
func applyUntilKilled(path string) {
	tr, err := trail.Open(noContext, path, events.New(), quiet)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for {
		next := tr.Applied() + 1
		if err := tr.Apply(endless(next, 1+int(next%40))); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(tr.Applied())
	}
}

// Killed at any instant, the file holds what was said to be applied, every
// event of it once, and goes on from there.
func TestKilledAtAnyInstantNothingIsLostOrDouble(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trail.db")
	rounds := 5
	if os.Getenv("SALLYPORT_LONG") != "" { // make long
		rounds = 12
	}
	said := uint64(0)
	for round := range rounds {
		said = max(said, runAndKill(t, path, 1+round*3%17))
		checkKilled(t, path, said)
	}
	if said == 0 {
		t.Fatal("nothing was applied")
	}
}

// runAndKill starts a process that applies, kills it in the midst of what
// follows its n-th answer, and returns what it had said last.
func runAndKill(t *testing.T, path string, n int) (said uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killMe+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := 0; lines.Scan(); i++ {
		if said, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Errorf("the process said %q", lines.Text())
		}
		if i == n {
			time.Sleep(time.Duration(n*617%4000) * time.Microsecond) // waits for nothing: it spreads the kills over a transaction
			cmd.Process.Kill()
		}
	}
	cmd.Wait() // it was killed
	return said
}

func checkKilled(t *testing.T, path string, said uint64) {
	t.Helper()
	tr, err := trail.Open(t.Context(), path, events.New(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	applied := tr.Applied()
	if applied < said {
		t.Fatalf("the file is at %d, applied was said of %d", applied, said)
	}
	if _, err := os.Stat(path + ".corrupt"); err == nil {
		t.Fatal("the file was set aside as corrupt")
	}
	var want, all, found []string
	for _, c := range endless(1, int(applied)) {
		for _, e := range c.Events {
			want = append(want, e.Position.String()+e.ID)
		}
	}
	for q, into := range map[trail.Query]*[]string{{}: &all, {Q: "run", Type: "token.*"}: &found} {
		for e, err := range tr.All(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			*into = append(*into, e.Position.String()+e.ID)
		}
		if strings.Join(*into, " ") != strings.Join(want, " ") {
			t.Fatalf("at %d, %+v finds %d events, want %d", applied, q, len(*into), len(want))
		}
	}
}
