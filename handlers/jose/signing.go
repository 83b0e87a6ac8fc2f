package jose

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"sallyport.dev/domain"
)

// Store keeps sealed keys by name. Put returns once the key is durable; Get's
// error for a key that is not there is handed on; deleting one is no error.
type Store interface {
	Put(ctx context.Context, key string, val []byte) error
	Get(ctx context.Context, key string) ([]byte, error)
	Delete(ctx context.Context, key string) error
}

// Keyring is the signing keys of one organisation. A private key is sealed
// before it is stored and never leaves the Keyring, nor does it print.
// Safe for concurrent use.
type Keyring struct {
	store  Store
	sealer *Sealer
	org    domain.Name

	mu   sync.RWMutex
	keys map[string]signingKey // by kid; guarded by mu
}

type signingKey struct {
	alg     string
	private crypto.Signer
}

// NewKeyring opens no key yet: [Keyring.Load] does.
func NewKeyring(store Store, sealer *Sealer, org domain.Name) *Keyring {
	return &Keyring{store: store, sealer: sealer, org: org, keys: map[string]signingKey{}}
}

func (k *Keyring) String() string       { return "signing keys of " + k.org.String() }
func (k *Keyring) GoString() string     { return k.String() }
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }

// sealedKey is what is sealed: it says itself what the key signs.
type sealedKey struct {
	Algorithm string `json:"alg"`
	PKCS8     []byte `json:"pkcs8"`
}

// Generate makes a key for RS256 (2048 bits) or ES256 and answers with its
// kid, the RFC 7638 thumbprint, and its public JWK, once the private half is
// sealed and stored. The key signs from then on; that it exists is the
// caller's to record.
func (k *Keyring) Generate(ctx context.Context, alg string) (kid string, public json.RawMessage, err error) {
	if alg != "RS256" && alg != "ES256" {
		return "", nil, fmt.Errorf("making a signing key: %q is neither RS256 nor ES256", alg)
	}
	private, err := generate(alg)
	if err != nil {
		return "", nil, fmt.Errorf("making a signing key: %w", err)
	}
	key, err := newKey(private.Public(), alg)
	if err != nil {
		return "", nil, err
	}
	if err := k.put(ctx, key.ID, alg, private); err != nil {
		return "", nil, fmt.Errorf("storing signing key %s: %w", key.ID, err)
	}
	k.remember(key.ID, signingKey{alg, private})
	return key.ID, key.JWK(), nil
}

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case "RS256":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("%q is not RS256, ES256 or EdDSA", alg)
}

func (k *Keyring) put(ctx context.Context, kid, alg string, private crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(sealedKey{alg, der})
	if err != nil {
		return err
	}
	sealed, err := k.sealer.Seal(plain, k.owner(kid))
	if err != nil {
		return err
	}
	return k.store.Put(ctx, storeName(kid), sealed)
}

// owner is the associated data: a sealed key is worth nothing under another
// organisation or another kid.
func (k *Keyring) owner(kid string) string { return k.org.String() + "/" + kid }

// storeName is where a sealed key lies. A kid of ours is base64url.
func storeName(kid string) string { return "signing-key." + kid }

func (k *Keyring) remember(kid string, s signingKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[kid] = s
}

func (k *Keyring) get(kid string) (signingKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	s, ok := k.keys[kid]
	return s, ok
}

// Loaded tells whether Sign knows the key.
func (k *Keyring) Loaded(kid string) bool {
	_, ok := k.get(kid)
	return ok
}

// Load opens a sealed key, so that Sign knows it. Once it is known, nothing is read again.
func (k *Keyring) Load(ctx context.Context, kid string) error {
	if k.Loaded(kid) {
		return nil
	}
	sealed, err := k.store.Get(ctx, storeName(kid))
	if err != nil {
		return fmt.Errorf("reading signing key %s: %w", kid, err)
	}
	s, err := k.open(kid, sealed)
	if err != nil {
		return fmt.Errorf("opening signing key %s: %w", kid, err)
	}
	k.remember(kid, s)
	return nil
}

// Unseal tells whether the key-encryption key opens one of the sealed keys of an
// organisation, given by their names in the [Store], or there are none. One that
// was retired may not open: its key-encryption key may be gone.
func (s *Sealer) Unseal(org domain.Name, stored map[string][]byte) (err error) {
	k := NewKeyring(nil, s, org)
	for name, sealed := range stored {
		if kid, is := strings.CutPrefix(name, storeName("")); is {
			if _, err = k.open(kid, sealed); err == nil {
				return nil
			}
		}
	}
	return err
}

// Forget drops an opened key from memory: another process has destroyed it, or will.
func (k *Keyring) Forget(kid string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, kid)
}

// Destroy deletes a sealed key and forgets it: nothing is signed with it again,
// here or after a restart.
func (k *Keyring) Destroy(ctx context.Context, kid string) error {
	k.Forget(kid)
	if err := k.store.Delete(ctx, storeName(kid)); err != nil {
		return fmt.Errorf("destroying signing key %s: %w", kid, err)
	}
	return nil
}

// open unseals a key and makes sure that it is the one it is stored as.
func (k *Keyring) open(kid string, sealed []byte) (signingKey, error) {
	plain, err := k.sealer.Open(sealed, k.owner(kid))
	if err != nil {
		return signingKey{}, err
	}
	var s sealedKey
	if err := json.Unmarshal(plain, &s); err != nil {
		return signingKey{}, errors.New("what was sealed is not a key")
	}
	private, err := parsePKCS8(s.PKCS8)
	if err != nil {
		return signingKey{}, err
	}
	key, err := newKey(private.Public(), s.Algorithm)
	if err != nil {
		return signingKey{}, err
	}
	if key.ID != kid {
		return signingKey{}, errors.New("it is another key than its name says")
	}
	return signingKey{s.Algorithm, private}, nil
}

func parsePKCS8(der []byte) (crypto.Signer, error) {
	v, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("it is not a private key in PKCS #8") // the parser's own words may quote it
	}
	private, ok := v.(crypto.Signer)
	if !ok {
		return nil, errors.New("it is a private key that does not sign")
	}
	return private, nil
}

// Sign signs claims, anything that encodes as a JSON object or a
// [json.RawMessage] that encoding/json made, as a compact
// JWS under a key that was generated or loaded. alg must be the key's. The
// caller must have recorded the token before it asks, and must not hand it
// out if this fails.
func (k *Keyring) Sign(kid, alg, typ string, claims any) (string, error) {
	s, ok := k.get(kid)
	switch {
	case !ok:
		return "", fmt.Errorf("signing with key %s: it is not loaded", kid)
	case s.alg != alg:
		return "", fmt.Errorf("signing with key %s: it signs %s, not %s", kid, s.alg, alg)
	}
	return sign(s.private, kid, alg, typ, claims)
}

// sign builds the JWS by hand: the names of claims come from strangers, and
// encoding/json is what escapes them.
func sign(private crypto.Signer, kid, alg, typ string, claims any) (string, error) {
	header, err := encode(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      string `json:"typ"`
	}{alg, kid, typ})
	if err != nil {
		return "", fmt.Errorf("writing a header: %w", err)
	}
	body, done := claims.(json.RawMessage) // written already, by encoding/json
	if !done {
		if body, err = encode(claims); err != nil {
			return "", fmt.Errorf("writing claims: %w", err)
		}
	}
	if len(body) == 0 || body[0] != '{' {
		return "", errors.New("writing claims: they are not an object")
	}
	input := b64(header) + "." + b64(body)
	sig, err := algorithms[alg].sign(input, private)
	if err != nil {
		return "", err
	}
	return input + "." + b64(sig), nil
}

// encode is json.Marshal without the escapes that HTML would need.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
