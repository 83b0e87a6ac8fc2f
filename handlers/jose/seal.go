package jose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Sealer seals private keys under a key-encryption key: authenticated
// encryption, bound to whose key it is, with the id of the key-encryption key
// in the sealed text, so that it can be replaced while old texts still open.
// It prints as nothing of itself. Safe for concurrent use.
type Sealer struct{ aead tink.AEAD }

func (*Sealer) String() string         { return "key-encryption key" }
func (s *Sealer) GoString() string     { return s.String() }
func (s *Sealer) LogValue() slog.Value { return slog.StringValue(s.String()) }

// NewKEK makes a key-encryption key (AES-256-GCM): a tink keyset as JSON. It
// is a secret in plain text: the caller keeps it where only the server reads it.
func NewKEK() ([]byte, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("making a key-encryption key: %w", err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&b)); err != nil {
		return nil, fmt.Errorf("making a key-encryption key: %w", err)
	}
	return b.Bytes(), nil
}

// ParseKEK reads what [NewKEK] makes, or any other tink AEAD keyset as JSON,
// plain or in base64. The error never shows the key.
func ParseKEK(b []byte) (*Sealer, error) {
	bad := errors.New("reading the key-encryption key: it is not a tink AEAD keyset as JSON, plain or in base64")
	text := strings.TrimSpace(string(b))
	if !strings.HasPrefix(text, "{") {
		plain, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, bad
		}
		text = string(plain)
	}
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(strings.NewReader(text)))
	if err != nil {
		return nil, bad
	}
	a, err := aead.New(h)
	if err != nil {
		return nil, bad
	}
	return &Sealer{a}, nil
}

// ErrSealed means that a sealed secret does not open.
var ErrSealed = errors.New("another key-encryption key sealed it, it is somebody else's, or it was changed")

// Seal encrypts a secret that belongs to owner. Only the same owner opens it.
func (s *Sealer) Seal(secret []byte, owner string) ([]byte, error) {
	b, err := s.aead.Encrypt(secret, []byte(owner))
	if err != nil {
		return nil, fmt.Errorf("sealing a secret of %s: %w", owner, err)
	}
	return b, nil
}

// Open decrypts what [Sealer.Seal] made for the same owner.
func (s *Sealer) Open(sealed []byte, owner string) ([]byte, error) {
	b, err := s.aead.Decrypt(sealed, []byte(owner))
	if err != nil {
		return nil, fmt.Errorf("opening a secret of %s: %w", owner, ErrSealed)
	}
	return b, nil
}
