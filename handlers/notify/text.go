package notify

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// visible is text in which nothing moves the cursor, breaks the line or hides:
// whatever is not printable is written as an escape.
func visible(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+n]
		if r == utf8.RuneError && n == 1 || !strconv.IsPrint(r) {
			q := strconv.QuoteToASCII(piece)
			piece = q[1 : len(q)-1]
		}
		b.WriteString(piece)
		i += n
	}
	return b.String()
}

// shortened is text of at most limit bytes, cut between characters.
func shortened(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	cut := limit - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
