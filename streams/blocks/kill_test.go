package blocks_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/streams/blocks"
)

// The test binary is also the process that is killed.
const (
	childDir    = "BLOCKS_TEST_DIR"
	childRounds = "BLOCKS_KILL_ROUNDS"
)

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, childPublish(dir))
	os.Exit(1)
}

// childPublish stores large messages, each in one write of many pages, and
// prints the sequence of each that is acknowledged, until it is killed.
func childPublish(dir string) error {
	ns, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir, SyncAlways: true})
	if err != nil {
		return err
	}
	go ns.Start()
	if !ns.ReadyForConnections(within) {
		return errors.New("the server takes no connections")
	}
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		ack, err := js.PublishMsgAsync(&nats.Msg{Subject: "org.default.activity", Data: body(i, 600_000)})
		if err != nil {
			return err
		}
		select {
		case a := <-ack.Ok():
			fmt.Println(a.Sequence)
		case err := <-ack.Err():
			return err
		}
	}
}

// A process that is killed leaves every acknowledged record whole, and of
// the one after them a beginning at most, at the end of the last block.
func TestScanAfterAKill(t *testing.T) {
	rounds := 8
	if s := os.Getenv(childRounds); s != "" {
		rounds = must[int](t)(strconv.Atoi(s))
	}
	dir := t.TempDir()
	js, stop := serve(t, dir)
	must[jetstream.Stream](t)(js.CreateStream(t.Context(), logConfig(jetstream.S2Compression)))
	stop()
	s := blocks.Stream{Dir: filepath.Join(dir, "jetstream", "$G", "streams", logName)}
	var acked uint64
	torn, unacked, settled := 0, 0, 0
	for round := range rounds {
		acked = max(acked, killOnce(t, dir))
		r := must[blocks.Report](t)(s.Scan(blocks.Options{Sealed: acked}, nil))
		if r.Damages != nil || r.Records != r.Last {
			t.Fatalf("round %d: %d was acknowledged, and the log is %+v", round, acked, r)
		}
		if r.Torn != nil {
			torn++
		}
		if r.Last > acked {
			unacked++
		}
		if must[bool](t)(s.Settle()) {
			settled++
		}
	}
	t.Logf("%d rounds, %d records acknowledged: %d torn tails, %d records stored and not acknowledged, %d compressed last blocks",
		rounds, acked, torn, unacked, settled)
	if acked < uint64(rounds) {
		t.Error("hardly anything was acknowledged: the test shows nothing")
	}
}

// killOnce runs a process that stores and kills it at a moment of chance; it
// returns the last sequence acknowledged.
func killOnce(t *testing.T, dir string) (acked uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = t.Output()
	out := must[io.ReadCloser](t)(cmd.StdoutPipe())
	ok(t, cmd.Start())
	var kill sync.Once
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		kill.Do(func() {
			time.AfterFunc(rand.N(120*time.Millisecond), func() { cmd.Process.Signal(syscall.SIGKILL) })
		})
		n, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			break // the line was cut off by the kill
		}
		acked = n
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the process was not killed: %v", err)
	}
	return acked
}
