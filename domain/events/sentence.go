package events

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport.dev/domain"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/token"
)

// maxSentence bounds a summary, in bytes.
const maxSentence = 512

// bounded is a sentence for people: what strangers wrote in it is escaped
// where it would move the cursor or hide, and cut where it goes on and on.
func bounded(s string) string {
	if len(s) <= maxSentence-len("…") && visible(s) {
		return s // nearly always
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+n]
		if r == utf8.RuneError && n == 1 || !strconv.IsPrint(r) {
			q := strconv.QuoteToASCII(piece)
			piece = q[1 : len(q)-1]
		}
		if b.Len()+len(piece) > maxSentence-len("…") {
			return b.String() + "…"
		}
		b.WriteString(piece)
		i += n
	}
	return b.String()
}

// visible tells whether a text is printable ASCII alone.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// short keeps one stranger's text from using up the whole sentence.
func short(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// reason says which check failed first, how many others did, and of a
// condition what was expected and found. Without a failed check the code has to do.
func reason(checks []proof.Check, code string) string {
	f := proof.FirstFailure(checks)
	switch {
	case code == token.CodeDraft:
		return "the proof satisfies it, and it is a draft"
	case f == nil && code == token.CodeInactive:
		return "it is inactive"
	case f == nil:
		return code
	}
	s := f.Message
	if f.Check == proof.Condition {
		s = fmt.Sprintf("condition %s", short(f.Claim))
		if f.Operator != "" {
			s += " " + f.Operator
		}
		if f.Expected != "" {
			s += " " + short(f.Expected)
		}
		if f.Actual != "" {
			s += " was " + short(f.Actual)
		} else {
			s += " failed"
		}
	}
	if s == "" {
		s = f.Check + " failed"
	}
	more := -1
	for _, c := range checks {
		if c.Result == proof.Fail {
			more++
		}
	}
	if more > 0 {
		s += fmt.Sprintf(" (and %d more)", more)
	}
	return s
}

// listed is a list for people, shortened after a few.
func listed(ss []string, none string) string {
	const few = 5
	switch {
	case len(ss) == 0:
		return none
	case len(ss) > few:
		return fmt.Sprintf("%s and %d more", strings.Join(ss[:few], ", "), len(ss)-few)
	}
	return strings.Join(ss, ", ")
}

func roles(rs []domain.Role) string {
	var ss []string
	for _, r := range rs {
		ss = append(ss, string(r))
	}
	return listed(ss, "nothing")
}
