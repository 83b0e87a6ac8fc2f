package claim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTextBytes bounds a claim value as shown to people and kept in the log.
const maxTextBytes = 256

// Hidden tells whether a character changes text without being seen, or stands
// for text that was lost: control characters, format characters (zero-width,
// bidirectional overrides, byte order mark), line and paragraph separators, the
// replacement character, as which Go also reads bytes that are no UTF-8.
func Hidden(r rune) bool {
	return r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// Text is a short text of a claim value for people: a string as it is, anything
// else as its JSON. It is at most 256 bytes, and characters that cannot be seen
// are written as Go escapes. It is never compared with anything.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return show(v)
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return show(v.String())
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprintf("a value of type %T", v)
	}
	return show(strings.TrimSuffix(b.String(), "\n"))
}

// show is s with what cannot be seen escaped, cut at 256 bytes.
func show(s string) string {
	if len(s) <= maxTextBytes-len("…") && visible(s) {
		return s // nearly always
	}
	var b strings.Builder
	for i, r := range s {
		piece := string(r)
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], piece) {
			piece = fmt.Sprintf(`\x%02x`, s[i]) // a byte that is no UTF-8
		} else if Hidden(r) || !unicode.IsGraphic(r) {
			piece = strings.Trim(strconv.QuoteToASCII(piece), `"`)
		}
		if b.Len()+len(piece) > maxTextBytes-len("…") {
			return b.String() + "…"
		}
		b.WriteString(piece)
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
