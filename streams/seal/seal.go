package seal

import (
	"crypto"
	"errors"
	"iter"
	"log/slog"
	"strconv"
	"time"

	"sallyport.dev/domain"
)

// Leaf is the RFC 6962 leaf of one event: "<subject> <sequence>.<index> <count>\n"
// followed by the exact stored bytes. Subject is the message's, count how many
// events its commit has.
func Leaf(subject string, at domain.Position, count int, stored []byte) []byte {
	b := make([]byte, 0, len(subject)+48+len(stored))
	b = append(b, subject...)
	b = append(b, ' ')
	b = strconv.AppendUint(b, at.Sequence, 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(at.Index), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(count), 10)
	b = append(b, '\n')
	return append(b, stored...)
}

// Checkpoint is what was sealed when: Size events, up to and with the whole
// commit Sequence, whose tree has Root.
type Checkpoint struct {
	Origin   string // whose log: <host of base_url>/orgs/<org>
	Size     uint64 // events
	Root     [32]byte
	Sequence uint64    // last commit sealed
	Time     time.Time // when its file was written here; not signed
}

// Record is a commit as it was sealed: enough to store the very message again.
// Subject and the events in Body are held by the tree; Header and StoredAt by a
// checksum alone.
type Record struct {
	Sequence uint64
	Subject  string
	Header   map[string][]string
	StoredAt time.Time
	Body     []byte
}

// Report is what [Verify] found whole.
type Report struct {
	Checkpoint Checkpoint
	Segments   int
	Commits    uint64
	Events     uint64
}

// Options say where a log is sealed and how.
type Options struct {
	Dir    string        // DATA/seal/<org>; made where it is missing
	Origin string        // <host of base_url>/orgs/<org>
	Signer crypto.Signer // Ed25519
	Log    *slog.Logger  // nil: slog.Default
	Every  int           // events between two checkpoints; 0: 1,000
	Within time.Duration // longest that an event waits for its checkpoint; 0: 10 s
	Now    func() time.Time
}

// Log seals one log. It is a reader of it (Applied, Apply); one goroutine feeds it.
type Log struct{}

var errNotMade = errors.New("there is no seal")

// Open opens the folder, or makes it. It is refused where the folder's newest
// checkpoint is not borne out by its files.
func Open(o Options) (*Log, error) { return nil, errNotMade }

// Applied is the sequence of the newest checkpoint: where the log is read on from.
func (l *Log) Applied() uint64 { return 0 }

// Apply seals commits; a checkpoint follows when it is due.
func (l *Log) Apply([]domain.Commit) error { return errNotMade }

// Close seals what is left and closes the folder.
func (l *Log) Close() error { return nil }

// Lag is how many events were applied and are in no checkpoint yet, and since when the first of them waits.
func (l *Log) Lag() (events uint64, since time.Time) { return 0, time.Time{} }

// Err is why nothing more is sealed; nil while it goes on.
func (l *Log) Err() error { return errNotMade }

// Newest reads the newest checkpoint of a folder and checks its signature with
// the folder's verifier. It reads alone; a folder without one is not an error.
func Newest(dir string) (cp Checkpoint, found bool, err error) { return Checkpoint{}, false, nil }

// Records yields the sealed commits from a sequence on, in order, up to the
// newest checkpoint, each after it was held against the tree.
func Records(dir string, from uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) { yield(Record{}, errNotMade) }
}

// Verify checks a folder by itself: the signature, every hash of the tree, every
// record of the segments. progress, if not nil, is told the events done of all.
func Verify(dir string, progress func(done, total uint64)) (Report, error) {
	return Report{}, errNotMade
}
