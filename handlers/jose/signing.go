package jose

import (
	"context"
	"encoding/json"
	"errors"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
)

// Store keeps sealed keys. Get's error for a key that is not there is passed on.
type Store interface {
	Put(ctx context.Context, key string, val []byte) error
	Get(ctx context.Context, key string) ([]byte, error)
}

// Keyring is one organisation's signing keys. Private keys are sealed in the
// store and never leave the Keyring. Safe for concurrent use.
type Keyring struct {
	store  Store
	sealer *Sealer
	org    domain.Name
}

// NewKeyring opens the organisation's keys in a store.
func NewKeyring(store Store, sealer *Sealer, org domain.Name) *Keyring {
	return &Keyring{store: store, sealer: sealer, org: org}
}

// Generate makes a key for RS256 or ES256 and seals it into the store before
// it answers with its kid (the RFC 7638 thumbprint) and its public JWK.
func (k *Keyring) Generate(ctx context.Context, alg string) (kid string, public json.RawMessage, err error) {
	return "", nil, errors.New("making a signing key: refused")
}

// Load opens a sealed key, so that Sign knows it. Loading twice is once.
func (k *Keyring) Load(ctx context.Context, kid string) error {
	return errors.New("opening a signing key: refused")
}

// Loaded tells whether Sign knows the key.
func (k *Keyring) Loaded(kid string) bool { return false }

// Sign signs claims as a compact JWS. The caller must have recorded the token before.
func (k *Keyring) Sign(kid, alg, typ string, claims any) (string, error) {
	return "", errors.New("signing: refused")
}

// VerifyOwn reads a token that we signed (typ at+jwt): its form and its
// signature. find answers with the public JWK of one of the organisation's
// own keys. Times are the caller's to check.
func VerifyOwn(compact string, find func(kid string) (public json.RawMessage, ok bool)) (claim.Set, error) {
	return nil, errors.New("reading a token: refused")
}

// JWKS is the key set document of public JWKs, in the order given.
func JWKS(public ...json.RawMessage) json.RawMessage { return nil }
