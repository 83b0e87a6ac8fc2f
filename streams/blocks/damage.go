package blocks

import (
	"fmt"
	"strings"
)

// Kind says what happened to a stretch of a stream, as far as its files tell.
type Kind string

// What can have happened to a stretch of a log.
const (
	Modified   Kind = "modified"    // there, and its checksum or its content is not what it was
	Missing    Kind = "missing"     // not there, and what follows is
	Inserted   Kind = "inserted"    // there, and it never was: a second copy, a deletion, bytes that are no record
	Reordered  Kind = "reordered"   // there, at another place
	Truncated  Kind = "truncated"   // the log ends within a record, before the end that is known
	RolledBack Kind = "rolled back" // the log ends after a whole record, before the end that is known
	TornTail   Kind = "torn tail"   // a last record that was never acknowledged: left by a stop without warning, no damage
)

// Damage is one stretch of a stream that is not as it was written.
type Damage struct {
	Kind Kind `json:"kind"`
	// File is the name of the block, empty where no file is at fault.
	File string `json:"file,omitempty"`
	// Offset is where it begins, in bytes from the start of the block's records:
	// of the file itself unless that is compressed.
	Offset int64 `json:"offset"`
	// First and Last are the sequences that it touches. Last is 0 where nothing says
	// where it ends: it goes on to the end of the log, however far that was.
	First uint64 `json:"first_sequence"`
	Last  uint64 `json:"last_sequence,omitempty"`
	// Detail is a clause for people.
	Detail string `json:"detail"`
}

func (d Damage) String() string {
	var b strings.Builder
	b.WriteString(string(d.Kind))
	switch {
	case d.Last == 0:
		fmt.Fprintf(&b, " from sequence %d on", d.First)
	case d.Last == d.First:
		fmt.Fprintf(&b, " at sequence %d", d.First)
	default:
		fmt.Fprintf(&b, " at sequences %d to %d", d.First, d.Last)
	}
	if d.File != "" {
		fmt.Fprintf(&b, ", %s at byte %d", d.File, d.Offset)
	}
	if d.Detail != "" {
		b.WriteString(": " + d.Detail)
	}
	return b.String()
}

// Report is what a scan found.
type Report struct {
	Blocks     int    `json:"blocks"`
	Compressed int    `json:"compressed_blocks"`
	Bytes      int64  `json:"bytes"`   // of the files
	Records    uint64 `json:"records"` // whole, at their place
	// First and Last are the sequences of the first and the last whole record; 0: there is none.
	First uint64 `json:"first_sequence"`
	Last  uint64 `json:"last_sequence"`
	// Known is the last sequence of index.db, which the server wrote when it last stopped
	// or had time; 0 where that file is not there or not whole.
	Known uint64 `json:"index_last_sequence,omitempty"`
	// Damages are in the order of the log; none: every record is whole and at its place.
	Damages []Damage `json:"damages"`
	// Torn is what a stop without warning left of an unacknowledged record.
	Torn *Damage `json:"torn_tail,omitempty"`
}

// Err tells the first damage, nil if there is none.
func (r Report) Err() error {
	switch len(r.Damages) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("the log is damaged: %s", r.Damages[0])
	}
	return fmt.Errorf("the log is damaged in %d places, first: %s", len(r.Damages), r.Damages[0])
}
