package cli

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Error is an error as a person is told it: what is wrong, in which fields,
// what to do next, and what to quote when asking for help.
type Error struct {
	Exit      int      // ExitFailed and so on; 0 is ExitFailed
	Message   string   // one sentence, without secrets
	Code      string   // the stable code of the API, "" where there is none
	Details   []string // a line each
	Next      string   // what to do next
	RequestID string   // find the event by it, "" where there is none
}

func (e *Error) Error() string { return e.Message }

// Fail is an error of exit code 1 with what to do next.
func Fail(next, format string, args ...any) *Error {
	return &Error{Exit: ExitFailed, Message: fmt.Sprintf(format, args...), Next: next}
}

func (e *Error) write(w io.Writer, program string) {
	if e.Exit == 0 {
		e.Exit = ExitFailed
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", program, safe(e.Message))
	if e.Code != "" {
		fmt.Fprintf(&b, " (%s)", Clean(e.Code))
	}
	b.WriteByte('\n')
	for _, d := range e.Details {
		fmt.Fprintf(&b, "  %s\n", safe(d))
	}
	if e.Next != "" {
		fmt.Fprintf(&b, "  next: %s\n", safe(e.Next))
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, "  request id: %s\n", Clean(e.RequestID))
	}
	io.WriteString(w, b.String())
}

// secret is what a JWT and an API token of ours look like. Neither belongs in
// an argument, but an argument that is refused is repeated in the error.
var secret = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}[A-Za-z0-9_.-]*|sallyport_[A-Za-z0-9_-]{20,}`)

func safe(s string) string { return Clean(secret.ReplaceAllString(s, "[a secret, not shown]")) }
