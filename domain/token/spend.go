package token

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/proof"
)

// SpendKey names a single-use proof: by connection, issuer and jti, or where
// there is no jti by the digest of what was signed. Never by the token's text:
// an ECDSA signature has a twin that verifies as well. Every part is preceded
// by its length, so no two proofs share a key. It is empty if nothing names the proof.
func SpendKey(conn domain.Name, p proof.Proof) string {
	kind, id := "jti", p.ID
	if id == "" {
		kind, id = "digest", p.Digest
	}
	if id == "" {
		return ""
	}
	h := sha256.New()
	for _, part := range []string{"sallyport spend v1", kind, conn.String(), p.Issuer, id} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// SpentUntil is how long a spent proof must be remembered: until no clock of
// ours, off by Skew either way, would still take it.
func SpentUntil(p proof.Proof) time.Time {
	return whole(p.ExpiresAt).Add(2*Skew + time.Second)
}
