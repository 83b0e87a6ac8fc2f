package jose

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
)

// HostKey is a key pair that signs proofs: a host's without a provider, or the
// demo provider's. It prints as its kid and nothing else. Safe for concurrent use.
type HostKey struct {
	KeyID     string // at first the RFC 7638 thumbprint
	Algorithm string // RS256, ES256, ES384, ES512 or EdDSA

	key     Key
	private crypto.Signer
}

func (k *HostKey) String() string       { return "host key " + k.KeyID }
func (k *HostKey) GoString() string     { return k.String() }
func (k *HostKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// NewHostKey makes a key pair for RS256, ES256 or EdDSA.
func NewHostKey(alg string) (*HostKey, error) {
	private, err := generate(alg)
	if err != nil {
		return nil, fmt.Errorf("making a host key: %w", err)
	}
	return newHostKey(private)
}

func newHostKey(private crypto.Signer) (*HostKey, error) {
	key, err := newKey(private.Public(), algorithmOf(private.Public()))
	if err != nil {
		return nil, err
	}
	return &HostKey{KeyID: key.ID, Algorithm: key.Algorithm, key: key, private: private}, nil
}

// ParseHostKey reads a private key from PEM (PKCS #8). The error never shows it.
func ParseHostKey(text []byte) (*HostKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("reading a host key: it is not a PEM block PRIVATE KEY (PKCS #8)")
	}
	private, err := parsePKCS8(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading a host key: %w", err)
	}
	return newHostKey(private)
}

// PrivatePEM is the private key as PEM (PKCS #8). It is a secret: whoever
// writes it to a file does so with mode 0600.
func (k *HostKey) PrivatePEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("writing a host key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// PublicJWK is the public half under the key's kid.
func (k *HostKey) PublicJWK() json.RawMessage {
	public := k.key
	public.ID = k.KeyID
	return public.JWK()
}

// PublicJWKS is the key set to upload as a connection's jwks.
func (k *HostKey) PublicJWKS() json.RawMessage { return JWKS(k.PublicJWK()) }

// Sign signs claims, anything that encodes as a JSON object, as a proof (typ JWT).
func (k *HostKey) Sign(claims any) (string, error) {
	return sign(k.private, k.KeyID, k.Algorithm, "JWT", claims)
}
