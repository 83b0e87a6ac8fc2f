package seal

import (
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
