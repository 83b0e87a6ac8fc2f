package faults

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
)

var moments = []scenario{
	{"F03-checkpoint", "kill -9 while the log is sealed", "starts clean, old or new, never half", true, killedWhileSealing},
	{"F03-rebuild", "kill -9 while the trail is folded anew, as after an upgrade of its schema", "starts clean, goes on where it was", true, killedWhileRebuilding},
	{"F03-keys", "kill -9 while the first signing keys are made", "starts clean, signs", true, killedWhileFounding},
	{"F03-rotation", "kill -9 while the signing keys are rotated", "old or new keys, never half; old tokens verify", false, killedWhileRotating},
	{"F12", "the process runs out of memory", "as F01", false, memoryless},
	{"F33", "a damaged trail", "built again, equal to what lived", true, damagedReadModels},
}

// changing returns once something below a folder changed after the call; false after d.
func changing(dir string, d time.Duration) bool {
	was := fingerprint(dir)
	return within(d, func() bool { return fingerprint(dir) != was })
}

func fingerprint(dir string) string {
	var b strings.Builder
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			fmt.Fprintln(&b, path, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return b.String()
}

// killedWhileSealing kills a server under load as something below seal/ changes.
func killedWhileSealing(t *testing.T, long bool) string {
	rounds, met := pick(long, 1, 25), 0
	s, c := world(t, options{})
	c.proof = shared(c.proof)
	c.writes = 32
	for range rounds {
		before := c.l.answered()
		ctx, cancel := context.WithCancel(t.Context())
		worked := make(chan error, 1)
		go func() { worked <- c.work(ctx, 32) }()
		s.until("the load is answered", func() bool { return c.l.answered() > before+20 })
		if changing(filepath.Join(s.data, "seal"), patience) {
			met++
		}
		breathe(ctx, rand.N(3*time.Millisecond))
		s.kill()
		cancel()
		if err := <-worked; err != nil {
			t.Fatal(err)
		}
		s.up()
		if _, _, err := c.repeat(t.Context(), s.last()); err != nil {
			t.Fatal(err)
		}
	}
	if met == 0 {
		t.Error("nothing was sealed: this shows nothing")
	}
	return fmt.Sprintf("%d rounds, %d of them as a file below seal/ changed; %s", rounds, met, check(s, c.l))
}

// killedWhileRebuilding kills a server that folds its trail from the start,
// each time a little later, and lets it come to an end at last.
func killedWhileRebuilding(t *testing.T, long bool) string {
	rounds := pick(long, 2, 30)
	s, c := world(t, options{})
	c.proof = shared(c.proof)
	ctx, cancel := context.WithTimeout(t.Context(), pick(long, time.Second, 20*time.Second))
	defer cancel()
	if err := c.work(ctx, 32); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.repeat(t.Context(), s.last()); err != nil {
		t.Fatal(err)
	}
	end := s.last()
	s.stop()
	s.forget()
	for round := range rounds {
		if round%5 == 4 {
			s.forget()
		}
		s.start()
		s.until("it builds the trail", func() bool {
			_, err := os.Stat(filepath.Join(s.data, "trail", "default.sqlite"))
			return err == nil
		})
		breathe(t.Context(), rand.N(200*time.Millisecond))
		s.kill()
	}
	s.up()
	begun := time.Now()
	s.answers(end)
	return fmt.Sprintf("%d rounds; the trail is whole %s after the last start; %s", rounds, time.Since(begun).Round(time.Millisecond), check(s, c.l))
}

// killedWhileFounding kills servers that start for the first time.
func killedWhileFounding(t *testing.T, long bool) string {
	rounds := pick(long, 3, 50)
	s := newServer(t, options{})
	var events int
	for range rounds {
		if err := os.RemoveAll(s.data); err != nil {
			t.Fatal(err)
		}
		s.start()
		breathe(t.Context(), rand.N(80*time.Millisecond))
		s.kill()
		s.up()
		keys := s.run("keys", "list", "--config", s.path("config.yaml"))
		if n := strings.Count(keys, "active"); n != 2 {
			t.Fatalf("%d keys are active, want one of each algorithm:\n%s", n, keys)
		}
		if b, ok := s.get("/jwks", ""); !ok || strings.Count(string(b), `"kid"`) != 4 {
			t.Fatalf("the key set is not two active and two next keys: %s", b)
		}
		s.stop()
		events += newLedger().hold(t, readLog(t, s.data)).Events
	}
	return fmt.Sprintf("%d rounds: one active and one next key of each algorithm; %d events", rounds, events)
}

// killedWhileRotating kills a server while it rotates its keys, which it does
// no sooner than five minutes after the last time.
func killedWhileRotating(t *testing.T, _ bool) string {
	const rounds = 3
	s, c := world(t, options{})
	rotated := 0
	for range rounds {
		if status, err := c.exchange(t.Context()); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		breathe(t.Context(), 5*time.Minute+5*time.Second)
		before := s.last()
		done := make(chan error, 1)
		go func() {
			done <- exec.Command(filepath.Join(s.bin, "sallyportd"), "keys", "rotate", "--config", s.path("config.yaml")).Run()
		}()
		changing(filepath.Join(s.data, "nats"), patience) // the first of the new keys is stored
		breathe(t.Context(), rand.N(300*time.Millisecond))
		s.kill()
		said := <-done
		s.up()
		if before.Less(s.last()) {
			rotated++
		} else if said == nil {
			t.Error("a rotation was acknowledged and is not in the log")
		}
		keys := s.run("keys", "list", "--config", s.path("config.yaml"))
		if strings.Count(keys, " active") != 2 || strings.Count(keys, " next") != 2 {
			t.Fatalf("there is not one active and one next key of each algorithm:\n%s", keys)
		}
		if status, err := c.exchange(t.Context()); err != nil || status != http.StatusOK {
			t.Fatal("after a rotation that was killed:", status, err)
		}
	}
	return fmt.Sprintf("%d rounds, in %d of which the new keys were recorded; %s", rounds, rotated, check(s, c.l))
}

// memoryless takes the memory away that the process asks for, under load.
func memoryless(t *testing.T, _ bool) string {
	const rounds = 10
	s, c := world(t, options{})
	for range rounds {
		before := c.l.answered()
		ctx, cancel := context.WithCancel(t.Context())
		worked := make(chan error, 1)
		go func() { worked <- c.work(ctx, 64) }()
		s.until("the load is answered", func() bool { return c.l.answered() > before+20 })
		must(t, "prlimit", "--pid", fmt.Sprint(s.pid()), fmt.Sprintf("--data=%d", 8<<20))
		if _, code := s.awaitEnd(patience); code != 2 {
			t.Errorf("it ended with %d, want the 2 of a Go program without memory", code)
		}
		cancel()
		if err := <-worked; err != nil {
			t.Fatal(err)
		}
		s.up()
		if _, _, err := c.repeat(t.Context(), s.last()); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("%d rounds; %s", rounds, check(s, c.l))
}

// damagedReadModels writes noise into what is derived from the log.
func damagedReadModels(t *testing.T, long bool) string {
	rounds := pick(long, 2, 20)
	s, c := world(t, options{})
	c.proof = shared(c.proof)
	ctx, cancel := context.WithTimeout(t.Context(), pick(long, time.Second, 15*time.Second))
	defer cancel()
	if err := c.work(ctx, 32); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.repeat(t.Context(), s.last()); err != nil {
		t.Fatal(err)
	}
	lived := s.answers(s.last())
	s.stop()
	log := readLog(t, s.data)
	end := log[len(log)-1].Position()
	var longest time.Duration
	damaged := 0
	for range rounds {
		damaged += damage(t, filepath.Join(s.data, "trail"))
		begun := time.Now()
		s.up()
		equal(t, lived, s.whole(end, len(lived.trail)))
		longest = max(longest, time.Since(begun))
		s.stop()
	}
	return fmt.Sprintf("%d rounds, %d files damaged; ready, and the whole trail answered, after %s at most; %s", rounds, damaged, longest.Round(time.Millisecond), check(s, c.l))
}

// whole is what the server answers once it has noticed what is damaged: a trail
// is damaged perhaps where nothing was read yet.
func (s *server) whole(at domain.Position, size int) (a answers) {
	s.t.Helper()
	s.until("the trail is whole again", func() bool {
		a = s.answers(at)
		return len(a.trail) >= size
	})
	return a
}

// damage cuts, or writes noise into, every file of a folder, and says how many those were.
func damage(t testing.TB, dir string) (n int) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		info, err := e.Info()
		if err != nil || info.Size() == 0 {
			return nil
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if rand.IntN(2) == 0 {
			err = f.Truncate(rand.Int64N(info.Size()))
		} else {
			noise := make([]byte, min(4096, info.Size()))
			for i := range noise {
				noise[i] = byte(rand.Uint32())
			}
			_, err = f.WriteAt(noise, rand.Int64N(info.Size()-int64(len(noise))+1))
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
		return nil
	})
	return n
}
