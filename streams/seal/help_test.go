package seal_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams/seal"
)

const origin = "sallyport.example/orgs/default"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// key is the same in every run, so that checkpoints are.
func key() crypto.Signer {
	seed := sha256.Sum256([]byte("the key of the tests"))
	return ed25519.NewKeyFromSeed(seed[:])
}

func options(dir string) seal.Options {
	return seal.Options{
		Dir: dir, Origin: origin, Signer: key(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Now: func() time.Time { return noon },
	}
}

// commit is what the log gives as commit number seq: a pure function of seq.
func commit(seq uint64) domain.Commit {
	subject, events := "org.default.activity", int(seq%5)+1
	if seq%3 == 0 {
		subject = "org.default.control"
	}
	var stored []string
	for i := range events {
		stored = append(stored, fmt.Sprintf(`{"id":"%d.%d","data":{"text":"a, b] \"c\" [d"}}`, seq, i))
	}
	return made(seq, subject, stored...)
}

// made is a commit as it comes from the log, cut from its own bytes.
func made(seq uint64, subject string, stored ...string) domain.Commit {
	body := "["
	for i, s := range stored {
		if i > 0 {
			body += ","
		}
		body += s
	}
	c := domain.Commit{
		Sequence: seq, Subject: subject, Control: subject == "org.default.control", Body: []byte(body + "]"),
		Header:   map[string][]string{"Nats-Msg-Id": {fmt.Sprint("commit ", seq)}},
		StoredAt: noon.Add(time.Duration(seq) * time.Millisecond),
	}
	elements, err := domain.SplitBatch(c.Body)
	if err != nil {
		panic(err)
	}
	for i, e := range elements {
		c.Events = append(c.Events, domain.Envelope{Stored: e, Position: domain.Position{Sequence: seq, Index: i}})
	}
	return c
}

// commits are those from one sequence to another, both included.
func commits(from, to uint64) (cs []domain.Commit) {
	for seq := from; seq <= to; seq++ {
		cs = append(cs, commit(seq))
	}
	return cs
}

// eventsIn is how many events there are in the commits up to that one.
func eventsIn(seq uint64) (n uint64) {
	for _, c := range commits(1, seq) {
		n += uint64(len(c.Events))
	}
	return n
}

func opened(t testing.TB, o seal.Options) *seal.Log {
	t.Helper()
	l, err := seal.Open(o)
	if err != nil {
		t.Fatalf("opening the seal: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func apply(t testing.TB, l *seal.Log, cs []domain.Commit) {
	t.Helper()
	if err := l.Apply(cs); err != nil {
		t.Fatalf("sealing: %v", err)
	}
}

// sealed makes a folder in which that many commits are sealed, in small segments.
func sealed(t testing.TB, n uint64) (dir string) {
	t.Helper()
	dir = t.TempDir() + "/default"
	o := options(dir)
	o.SegmentBytes = 4096
	l := opened(t, o)
	for seq := uint64(1); seq <= n; seq += 10 {
		apply(t, l, commits(seq, min(seq+9, n)))
		if err := l.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func newest(t testing.TB, dir string) seal.Checkpoint {
	t.Helper()
	cp, found, err := seal.Newest(dir)
	if err != nil || !found {
		t.Fatalf("the newest checkpoint: found %v, %v", found, err)
	}
	return cp
}

// cpu is the CPU time that this process has used.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
