package backup

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
)

// Format is the form of backups that this version writes; it reads every older one, too.
const Format = 1

// Names in the tar.
const (
	labelName    = "sallyport-backup.json"
	manifestName = "manifest.json"
)

// Label is what a backup says first.
type Label struct {
	Format    int       `json:"format"`
	Version   string    `json:"version"` // of the program that made it
	CreatedAt time.Time `json:"created_at"`
}

// Manifest is what a backup holds.
type Manifest struct {
	Label
	Mode          string         `json:"mode"` // standalone or cluster: where it was taken
	Organisations []Organisation `json:"organisations"`
	Files         []FileInfo     `json:"files"` // in their order, all but the manifest
}

// Organisation is one organisation's part of a backup.
type Organisation struct {
	Name    domain.Name `json:"name"`
	Issuer  string      `json:"issuer"`
	Last    uint64      `json:"last_sequence"` // of its log: commits 1 to this one are in the backup
	LastAt  time.Time   `json:"last_time"`     // when that commit was stored; zero if there is none
	Events  uint64      `json:"events"`        // in those commits
	Streams []Stream    `json:"streams"`       // buckets, and last the log
	// Checkpoint is the newest one in the backup; nil where nothing was sealed yet.
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
}

// Stream is one stream of a backup.
type Stream struct {
	Name   string              `json:"name"`
	Config json.RawMessage     `json:"config"` // as the server had it
	State  streams.StreamState `json:"state"`
}

// of tells whether it is the organisation's log or one of its buckets, by its
// name and by the name in its configuration, which is the one that is restored.
func (s Stream) of(org domain.Name) bool {
	var config struct {
		Name string `json:"name"`
	}
	bucket := strings.HasPrefix(s.Name, "KV_") && strings.HasSuffix(s.Name, "_"+org.String())
	return (bucket || s.Name == streams.LogStream(org)) && json.Unmarshal(s.Config, &config) == nil && config.Name == s.Name
}

// Checkpoint is what the seal folder in the backup proves.
type Checkpoint struct {
	Origin   string `json:"origin"`
	Size     uint64 `json:"size"`     // events
	Sequence uint64 `json:"sequence"` // last commit sealed
	Root     []byte `json:"root"`
	Verifier string `json:"verifier"` // public key of the checkpoints, as a note verifier
}

// sizes is at which sizes the tree is compared.
func (c *Checkpoint) sizes() []uint64 {
	if c == nil {
		return nil
	}
	return []uint64{c.Size}
}

// FileInfo is one file of a backup.
type FileInfo struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hex
}

// organisation is the organisation of that name, nil if it is not in the backup.
func (m *Manifest) organisation(name domain.Name) *Organisation {
	for i := range m.Organisations {
		if m.Organisations[i].Name == name {
			return &m.Organisations[i]
		}
	}
	return nil
}

// readable tells why this version cannot read a backup of that form.
func (l Label) readable() error {
	switch {
	case l.Format <= 0:
		return fmt.Errorf("this is no backup of Sallyport")
	case l.Format > Format:
		return fmt.Errorf("this backup is of a newer form (%d, written by version %s, and this version reads up to %d): use that version or a newer one",
			l.Format, l.Version, Format)
	}
	return nil
}
