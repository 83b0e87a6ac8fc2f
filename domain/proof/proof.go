package proof

import (
	"time"

	"sallyport.dev/domain/claim"
)

// Proof is a JWT as the edge read it. A zero field is a header or claim that
// was absent, or could not be read; the checks beside it tell which. Nothing
// here is trustworthy unless the checks of signature and times passed.
type Proof struct {
	Algorithm string // header alg
	KeyID     string // header kid
	Type      string // header typ
	Issuer    string // iss, if it is a string
	Subject   string // sub, if it is a string
	ID        string // jti; many providers send none

	IssuedAt  time.Time
	NotBefore time.Time
	ExpiresAt time.Time

	// Digest is base64url, unpadded, of the SHA-256 of the signing input (RFC
	// 7515 section 5.1). It names the proof where it has no jti, and in the
	// log: never the token's text, since ECDSA signatures have twins.
	Digest string

	Claims claim.Set // the whole payload

	KeysAt    time.Time // when the key set was fetched; zero for uploaded keys
	KeysStale bool      // the key set was older than its lifetime, and its source did not answer
}
