package connection

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/provider"
)

// Duration is a span as people write it: 15 minutes.
type Duration struct {
	Amount int    `json:"amount"`
	Unit   string `json:"unit"` // seconds, minutes or hours
}

// Value is the span; 0 if the unit is unknown.
func (d Duration) Value() time.Duration {
	switch d.Unit {
	case "seconds":
		return time.Duration(d.Amount) * time.Second
	case "minutes":
		return time.Duration(d.Amount) * time.Minute
	case "hours":
		return time.Duration(d.Amount) * time.Hour
	}
	return 0
}

func (d Duration) String() string {
	unit := d.Unit
	if d.Amount == 1 {
		unit = strings.TrimSuffix(unit, "s")
	}
	return fmt.Sprintf("%d %s", d.Amount, unit)
}

// Spec is what people write of a connection, one version of it. What
// [Complete] returned keeps every rule; one that did not come from there or
// from the log is only text.
type Spec struct {
	Description string            `json:"description,omitempty"` // up to 1000 characters
	Provider    provider.Kind     `json:"provider"`
	Settings    provider.Settings `json:"settings,omitempty"`

	// Exactly one key source is set.
	JWKSURL   string          `json:"jwks_url,omitempty"`   // of a key set
	IssuerURL string          `json:"issuer_url,omitempty"` // whose discovery document names the key set; proofs must carry it as iss
	JWKS      json.RawMessage `json:"jwks,omitempty"`       // uploaded, public members only

	CACertificate string `json:"ca_certificate,omitempty"` // PEM, for the key source; "" is the system's roots

	Conditions    []claim.Condition `json:"conditions"`              // 1..20, all must hold
	IdentityClaim claim.Path        `json:"identity_claim"`          // default sub
	IdentityPath  string            `json:"identity_path,omitempty"` // put before the identity with a slash

	Audiences      []string  `json:"audiences,omitempty"`       // beside ourselves, what tokens may be asked for; 0..10
	AudienceClaims []string  `json:"audience_claims,omitempty"` // claim paths that tokens for those carry
	TokenTTL       Duration  `json:"token_ttl"`                 // 1s..24h, default 15 minutes
	Algorithms     []string  `json:"algorithms"`                // default RS256 and ES256
	SingleUse      bool      `json:"single_use,omitempty"`      // a proof makes one token
	ProofMaxAge    *Duration `json:"proof_max_age,omitempty"`   // since iat, 1s..24h; nil is as long as the proof lives
	TTLWithinProof bool      `json:"ttl_within_proof,omitempty"`
}

// Equal tells whether two specifications say the same.
func (s Spec) Equal(t Spec) bool {
	a, errA := json.Marshal(s)
	b, errB := json.Marshal(t)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

func (s Spec) sameKeySource(t Spec) bool {
	return s.JWKSURL == t.JWKSURL && s.IssuerURL == t.IssuerURL && bytes.Equal(s.JWKS, t.JWKS) && s.CACertificate == t.CACertificate
}
