package domain

import (
	"errors"
	"fmt"
	"strings"
)

// Damage is an error that says that a log is not what it was: something of what
// was recorded is missing, altered or replaced, or the store may lose it. Nobody
// writes to such a log, or issues on the strength of it, until it is repaired.
// It is never returned for a log that merely cannot be reached.
type Damage struct {
	Log string // which log: the organisation's name
	// Check is what found it: configuration, first, last, count, gap, unreadable,
	// altered, root, fork, seal or missing.
	Check    string
	Sequence uint64 // the commit it was found at; 0: no single one
	Found    string // what there is, and what there should be
	Repair   string // the command to run, or what else to do; empty: [RepairLog]
	Err      error  // what it was found by, if that was an error
}

// RepairLog is how a damaged log is repaired.
const RepairLog = "stop the server, run `sallyportd log verify` to see all of the damage and `sallyportd log repair` to mend it; docs/runbook-damaged-log.md tells how"

// Error says which log, what was found where, and how to repair it.
func (d *Damage) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the log of %s is damaged (check %s", d.Log, d.Check)
	if d.Sequence > 0 {
		fmt.Fprintf(&b, ", commit %d", d.Sequence)
	}
	fmt.Fprintf(&b, "): %s", d.Found)
	if d.Err != nil {
		fmt.Fprintf(&b, ": %v", d.Err)
	}
	repair := d.Repair
	if repair == "" {
		repair = RepairLog
	}
	return b.String() + "; to repair: " + repair
}

// Unwrap is what it was found by.
func (d *Damage) Unwrap() error { return d.Err }

// Damaged finds the Damage in an error, nil if there is none.
func Damaged(err error) *Damage {
	d, _ := errors.AsType[*Damage](err)
	return d
}
