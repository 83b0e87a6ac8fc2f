package token

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport.dev/domain"
	"sallyport.dev/domain/proof"
)

// Proof is what the log keeps of a proof: enough to find it at its provider,
// never its text. Its strings are cut at 256 bytes; Digest always names it whole.
type Proof struct {
	Digest      string    `json:"digest,omitempty"` // base64url SHA-256 of the signing input
	ID          string    `json:"id,omitempty"`     // jti
	Issuer      string    `json:"issuer,omitempty"`
	KeyID       string    `json:"key_id,omitempty"`
	Algorithm   string    `json:"algorithm,omitempty"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
	SkewSeconds int       `json:"skew_seconds"` // clocks may differ by this much
	KeysStale   bool      `json:"keys_stale,omitempty"`
}

// WasIssued records that a workload got a token. It is written before the
// token leaves, fenced on the trust it was decided on.
type WasIssued struct {
	Connection domain.Name `json:"connection"`
	Version    uint64      `json:"version"` // of the connection, that admitted the proof
	Generation uint64      `json:"generation"`
	Identity   string      `json:"identity"`
	Grant      string      `json:"grant,omitempty"`
	ID         string      `json:"jti"` // of our token
	Audience   string      `json:"audience"`
	Algorithm  string      `json:"algorithm"`
	IssuedAt   time.Time   `json:"issued_at"` // whole seconds, as in the token
	ExpiresAt  time.Time   `json:"expires_at"`
	RoleHint   string      `json:"role_hint,omitempty"`
	Source     string      `json:"source,omitempty"`
	Proof      Proof       `json:"proof"`
	Spent      string      `json:"spent,omitempty"` // spend key of a single-use proof
	SpentUntil time.Time   `json:"spent_until,omitzero"`
}

// EventType is token.issued.
func (WasIssued) EventType() string { return "token.issued" }

// WasDenied records that a workload got no token, and everything that was looked at.
type WasDenied struct {
	Connection domain.Name   `json:"connection"`
	Version    uint64        `json:"version"`
	Code       string        `json:"code"`               // as the caller was told
	Identity   string        `json:"identity,omitempty"` // only of a verified proof
	Grant      string        `json:"grant,omitempty"`
	Audience   string        `json:"audience,omitempty"`
	Checks     []proof.Check `json:"checks,omitempty"` // none: nothing was verified
	Source     string        `json:"source,omitempty"`
	Proof      Proof         `json:"proof"`
}

// EventType is token.denied.
func (WasDenied) EventType() string { return "token.denied" }

// DenialsWereSuppressed counts denials that came faster than they are worth recording.
type DenialsWereSuppressed struct {
	Connection domain.Name       `json:"connection"`
	Source     string            `json:"source,omitempty"` // empty: many
	Count      uint64            `json:"count"`
	From       time.Time         `json:"from"`
	Until      time.Time         `json:"until"`
	Codes      map[string]uint64 `json:"codes,omitempty"` // error_code to how often
}

// EventType is token.denials_suppressed.
func (DenialsWereSuppressed) EventType() string { return "token.denials_suppressed" }

// record is what the log keeps of a proof.
func record(p proof.Proof) Proof {
	return Proof{
		Digest: text(p.Digest), ID: text(p.ID), Issuer: text(p.Issuer),
		KeyID: text(p.KeyID), Algorithm: text(p.Algorithm),
		ExpiresAt: whole(p.ExpiresAt), SkewSeconds: SkewSeconds, KeysStale: p.KeysStale,
	}
}

// whole is t in whole seconds UTC, so that its JSON is the same wherever it was read.
func whole(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// maxText bounds a stranger's text in an event, in bytes of its JSON, so that
// no choice of bytes makes an event too large to record.
const maxText = 256

// bounded is the denial as the log may keep it. The identity stays whole: it
// is that of a verified proof, and connections bound it.
func (e WasDenied) bounded() *WasDenied {
	var checks []proof.Check
	for _, c := range e.Checks {
		c.Claim, c.Expected, c.Actual = text(c.Claim), text(c.Expected), text(c.Actual)
		c.Message = text(c.Message)
		checks = append(checks, c)
	}
	e.Checks, e.Audience = proof.Bounded(checks), text(e.Audience)
	return &e
}

// text is s up to maxText bytes of JSON, control characters and what is not
// UTF-8 escaped: what a stranger wrote must not move a reader's cursor.
func text(s string) string {
	if len(s) <= maxText-len("…") && plainText(s) {
		return s // nearly always
	}
	var b strings.Builder
	cost := len("…")
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+n]
		if r == utf8.RuneError && n == 1 || !strconv.IsPrint(r) {
			q := strconv.QuoteToASCII(piece)
			piece = q[1 : len(q)-1]
		}
		if cost += jsonCost(piece); cost > maxText {
			return b.String() + "…"
		}
		b.WriteString(piece)
		i += n
	}
	return b.String()
}

// plainText tells whether a text is one byte of JSON for each of its own.
func plainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// jsonCost is how many bytes encoding/json writes for printable text.
func jsonCost(s string) (n int) {
	for i := range len(s) {
		switch s[i] {
		case '<', '>', '&':
			n += 6
		case '"', '\\':
			n += 2
		default:
			n++
		}
	}
	return n
}
