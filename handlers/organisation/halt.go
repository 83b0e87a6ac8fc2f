package organisation

import (
	"fmt"
	"sync/atomic"

	"sallyport.dev/domain"
)

// errHalted is what callers hear from a log that is not trusted any more.
var errHalted = &domain.Error{Kind: domain.KindUnavailable, Code: "log.unavailable",
	Message: "The log failed a check, and nothing is written or issued until its operator has seen to it."}

// halt is why nothing is written or issued any more; nil while all is well.
type halt struct{ reason atomic.Pointer[error] }

// Halt stops writing and issuing, for good: the log is not what it was, and what
// is decided on it may be wrong. It tells the operator why, once. Only a new
// start, which checks the log again, takes it back.
func (o *Organisation) Halt(reason error) {
	if reason == nil || !o.halt.reason.CompareAndSwap(nil, &reason) {
		return
	}
	attrs := []any{"error", reason}
	if d := domain.Damaged(reason); d != nil {
		attrs = []any{"check", d.Check, "commit", d.Sequence, "error", reason}
	}
	o.log.Error("the log failed a check: nothing is written or issued any more until this server is started again", attrs...)
}

// Halted is the reason given to [Organisation.Halt]; nil while all is well.
func (o *Organisation) Halted() error {
	if reason := o.halt.reason.Load(); reason != nil {
		return *reason
	}
	return nil
}

// trusted is nil while the log may be written and opened from, and otherwise what to answer.
func (o *Organisation) trusted() error {
	if reason := o.Halted(); reason != nil {
		return fmt.Errorf("%w: %w", errHalted, reason)
	}
	return nil
}
