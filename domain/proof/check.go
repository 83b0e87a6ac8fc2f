package proof

// Result is how a check ended.
type Result string

const (
	Pass    Result = "pass"    // looked at, and right
	Fail    Result = "fail"    // looked at, and wrong
	Skipped Result = "skipped" // not looked at, because something before it failed
)

// Names of the checks, in the order of a report.
const (
	Format    = "format"
	Keys      = "keys"
	Key       = "key"
	Algorithm = "algorithm"
	Signature = "signature"
	Times     = "times"
	Condition = "condition"
	Identity  = "identity"
	Replay    = "replay"
	Audience  = "audience"
)

// Check is one thing that was looked at: what was expected, what was found,
// and one sentence for people. It holds claim values, so only who may read the
// audit trail sees it; the caller of an exchange gets the Code alone.
type Check struct {
	Check    string `json:"check"`              // one of the names above
	Claim    string `json:"claim,omitempty"`    // for condition and identity: the path
	Operator string `json:"operator,omitempty"` // for condition
	Expected string `json:"expected,omitempty"` // up to 256 bytes
	Actual   string `json:"actual,omitempty"`   // up to 256 bytes, control characters escaped
	Result   Result `json:"result"`
	Message  string `json:"message"`
	Code     string `json:"code,omitempty"` // the error_code it causes, only where Result is fail
}

// FirstFailure is the check that decides the error_code: the first that
// failed, or nil if none did. It points into cs.
func FirstFailure(cs []Check) *Check {
	for i := range cs {
		if cs[i].Result == Fail {
			return &cs[i]
		}
	}
	return nil
}

// Passed tells whether there were checks and every one of them passed. A
// skipped check is not a passed one, and neither is no check at all.
func Passed(cs []Check) bool {
	for _, c := range cs {
		if c.Result != Pass {
			return false
		}
	}
	return len(cs) > 0
}
