package jose

import (
	"crypto"
	"encoding/json"
	"errors"
)

// Key is one public key of a key set, parsed once.
type Key struct {
	ID        string
	Algorithm string // alg the set names; "" where it names none
	Type      string // kty: RSA, EC or OKP
	Public    crypto.PublicKey
}

// KeySet is a provider's public keys (RFC 7517 section 5). It is never changed.
type KeySet struct {
	keys   []Key
	public json.RawMessage
}

// ParseKeySet reads a key set document, at most 256 KiB and 100 keys.
func ParseKeySet(doc []byte) (*KeySet, error) {
	return nil, errors.New("reading a key set: refused")
}

// Public is the set as {"keys":[...]}, public members alone, written by us.
func (s *KeySet) Public() json.RawMessage { return s.public }

// KeyIDs are the kids of the usable keys, sorted.
func (s *KeySet) KeyIDs() []string { return nil }

// Find is the key of that kid.
func (s *KeySet) Find(kid string) (Key, bool) { return Key{}, false }
