package proof

import (
	"encoding/json"
	"unicode/utf8"
)

const (
	maxChecks = 40       // twenty conditions and everything else
	maxBytes  = 32 << 10 // as JSON; an event is at most 48 KiB
)

// Bounded is the report as the log may keep it: at most 40 checks, each text
// at most 256 bytes, all together at most 32 KiB as JSON, where a character may
// take six bytes. The texts of a report that is larger are cut shorter, all
// alike: a stranger writes the claims, and must not decide whether there is an
// event. The result is never nil and shares nothing with cs.
func Bounded(cs []Check) []Check {
	for most := 256; ; most /= 2 {
		out := make([]Check, 0, min(len(cs), maxChecks))
		for _, c := range cs[:min(len(cs), maxChecks)] {
			for _, text := range []*string{&c.Claim, &c.Expected, &c.Actual, &c.Message} {
				*text = cut(*text, most)
			}
			out = append(out, c)
		}
		b, err := json.Marshal(out)
		if err == nil && len(b) <= maxBytes || most < 16 {
			return out
		}
	}
}

// cut is s, or its beginning and an ellipsis, within most bytes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := most - len("…")
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
