package connection

import (
	"sallyport.dev/domain"
	"sallyport.dev/domain/proof"
)

// Verdicts of a test.
const (
	VerdictPass = "pass"
	VerdictFail = "fail"
)

// WasTested records that somebody held a proof against the newest version, and
// what came of it. The proof itself is not in it. It is activity: it changes nothing.
type WasTested struct {
	Version  uint64        `json:"version"`
	Verdict  string        `json:"verdict"` // pass or fail
	Checks   []proof.Check `json:"checks"`  // within the bounds of proof.Bounded
	Identity string        `json:"identity,omitempty"`
}

// Tested is the event of a test, within its bounds.
func Tested(version uint64, passed bool, checks []proof.Check, identity string) WasTested {
	e := WasTested{Version: version, Verdict: VerdictFail, Identity: identity, Checks: proof.Bounded(checks)}
	if passed {
		e.Verdict = VerdictPass
	}
	return e
}

func (WasTested) EventType() string { return "connection.tested" }

func (WasTested) evolve(s State, _ domain.Envelope) State { return s }
