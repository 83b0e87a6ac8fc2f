package jose

import (
	"encoding/json"
	"errors"
	"log/slog"
)

// HostKey is a key pair of a host, or of a demo provider, that signs proofs.
// Its private half never shows in a log.
type HostKey struct {
	KeyID     string
	Algorithm string
}

// LogValue hides the private key.
func (k *HostKey) LogValue() slog.Value { return slog.StringValue("host key " + k.KeyID) }

// NewHostKey makes a key pair for RS256, ES256 or EdDSA.
func NewHostKey(alg string) (*HostKey, error) { return nil, errors.New("making a host key: refused") }

// ParseHostKey reads a private key: PEM, PKCS #8.
func ParseHostKey(pem []byte) (*HostKey, error) {
	return nil, errors.New("reading a host key: refused")
}

// PrivatePEM is the private key as PEM (PKCS #8). It is a secret.
func (k *HostKey) PrivatePEM() []byte { return nil }

// PublicJWKS is the key set to upload as a connection's jwks.
func (k *HostKey) PublicJWKS() json.RawMessage { return nil }

// Sign signs claims as a proof (typ JWT).
func (k *HostKey) Sign(claims any) (string, error) { return "", errors.New("signing: refused") }

// SignProof signs claims with a private key in PEM. An empty kid means the key's thumbprint.
func SignProof(private []byte, kid string, claims any) (string, error) {
	return "", errors.New("signing a proof: refused")
}
