package streams_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// killRounds is how often the process is killed; STREAMS_KILL_ROUNDS says otherwise.
const killRounds = 25

// Whatever was acknowledged before the process was killed with no warning is
// there afterwards, once, whole and in order.
func TestKilledWhileCommitting(t *testing.T) {
	rounds := killRounds
	if testing.Short() {
		rounds = 3
	}
	if s := os.Getenv("STREAMS_KILL_ROUNDS"); s != "" {
		rounds = must[int](t)(strconv.Atoi(s))
	}
	dir := t.TempDir()
	acked := map[string]domain.Position{}
	for round := range rounds {
		for name, at := range killOnce(t, dir, round) {
			acked[name] = at
		}
		checkAcked(t, dir, acked)
	}
	t.Logf("%d rounds, %d acknowledged events, all there", rounds, len(acked))
	if len(acked) < rounds {
		t.Errorf("only %d events were acknowledged in %d rounds: the test shows nothing", len(acked), rounds)
	}
}

// killOnce runs a process that commits and kills it after a while, at a moment
// of chance counted from its first acknowledgement.
func killOnce(t *testing.T, dir string, round int) map[string]domain.Position {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"=commit", childDir+"="+dir, "STREAMS_TEST_ROUND="+strconv.Itoa(round))
	cmd.Stderr = t.Output()
	out := must[io.ReadCloser](t)(cmd.StdoutPipe())
	ok(t, cmd.Start())
	acked := map[string]domain.Position{}
	var kill sync.Once
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		kill.Do(func() {
			time.AfterFunc(rand.N(150*time.Millisecond), func() { cmd.Process.Signal(syscall.SIGKILL) })
		})
		name, pos, found := strings.Cut(lines.Text(), " ")
		at, err := domain.ParsePosition(pos)
		if !found || err != nil {
			break // the line was cut off by the kill
		}
		acked[name] = at
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the process was not killed: %v", err)
	}
	return acked
}

func checkAcked(t *testing.T, dir string, acked map[string]domain.Position) {
	t.Helper()
	s := must[*streams.Server](t)(streams.StartServer(withTimeout(t), streams.ServerOptions{Dir: dir, Log: streamstest.Log(t)}))
	defer s.Close()
	c := must[*streams.Conn](t)(s.Connect())
	defer c.Close()
	j := must[*streams.Journal](t)(streams.Open(withTimeout(t), c, streamstest.Options(t, toys{})))
	there := map[string]domain.Position{}
	for _, c := range streamstest.All(t, j) {
		for _, e := range c.Events {
			if e, isToken := e.Event.(wasIssued); isToken {
				if at, twice := there[e.Name]; twice {
					t.Fatalf("%s is in the log twice: %s and %s", e.Name, at, c.Position())
				}
				there[e.Name] = c.Events[0].Position
			}
		}
	}
	for name, at := range acked {
		if there[name].Sequence != at.Sequence {
			t.Fatalf("%s was acknowledged at %s and is at %s of %d events", name, at, there[name], len(there))
		}
	}
}

// childCommit commits from eight callers, and now and then to control, printing
// each acknowledgement, until it is killed.
func childCommit(dir string) error {
	ctx := context.Background()
	s, err := streams.StartServer(ctx, streams.ServerOptions{Dir: dir})
	if err != nil {
		return err
	}
	c, err := s.Connect()
	if err != nil {
		return err
	}
	j, err := streams.Open(ctx, c, streams.Options{Org: streamstest.Org, Source: streamstest.Source, Codec: toys{}})
	if err != nil {
		return err
	}
	state := newToy()
	if _, err := j.Follow(ctx, state); err != nil {
		return err
	}
	at, err := j.LastControl(ctx)
	if err != nil {
		return err
	}
	committer := streams.NewCommitter(j, state, streams.CommitterOptions{})
	if err := errors.Join(state.Wait(ctx, at), switchOn(ctx, j, state)); err != nil {
		return err
	}
	var out sync.Mutex
	failed := make(chan error)
	for i := range 8 {
		go func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("%s-%d-%d", os.Getenv("STREAMS_TEST_ROUND"), i, n)
				at, err := committer.Record(ctx, meta, issue(name, ""))
				if err == nil && n%16 == 15 && i == 0 {
					err = switchOn(ctx, j, state)
				}
				if err != nil {
					failed <- err
					return
				}
				out.Lock()
				fmt.Println(name, at)
				out.Unlock()
			}
		}()
	}
	return <-failed
}

func switchOn(ctx context.Context, j *streams.Journal, s *toy) error {
	for {
		at, err := j.Commit(ctx, s.at().Control, meta, switched(true))
		if !errors.Is(err, streams.ErrConflict) {
			return errors.Join(err, s.Wait(ctx, at.Sequence))
		}
		last, err := j.LastControl(ctx)
		if err := errors.Join(err, s.Wait(ctx, last)); err != nil {
			return err
		}
	}
}
