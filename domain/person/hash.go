package person

import (
	"crypto/sha256"
	"encoding/hex"
)

// HashToken is what the log knows of an API token: its SHA-256 in lower-case
// hex. The token is 256 random bits, so there is nothing to guess and nothing
// to salt or slow down.
func HashToken(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:])
}
