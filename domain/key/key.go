// Package key answers which of an organisation's signing keys sign, which are
// published, and when the next may take over. It knows public halves only: a
// private key never comes near it.
//
// Each algorithm has its own line of keys:
//
//	next --Rotate--> active --Rotate--> retired --published_until--> gone from the key set
//
// A key is published before it signs, for as long as verifiers may cache the
// key set, and stays published after it signed for as long as what it signed
// may live. So no verifier that honours Cache-Control ever meets an unknown kid.
package key

import (
	"encoding/json"
	"slices"
	"time"

	"sallyport.dev/domain"
)

const (
	// CacheTime is how long verifiers may cache the published key set, as its Cache-Control says.
	CacheTime = 5 * time.Minute
	// Skew is how far a verifier's clock may be off.
	Skew = 30 * time.Second
	// MaxTokenTTL is the longest a token we sign may live.
	MaxTokenTTL = 24 * time.Hour
	// Overlap is how long a retired key stays published: until the last token
	// it signed has expired for every verifier's clock and cache.
	Overlap = MaxTokenTTL + Skew + CacheTime
)

// Algorithm is what a key signs with, as in JWS headers.
type Algorithm string

const (
	// RS256 signs for outside audiences; Azure takes nothing else.
	RS256 Algorithm = "RS256"
	// ES256 signs what Sallyport itself reads.
	ES256 Algorithm = "ES256"
)

// Algorithms lists every algorithm in the order in which keys are published.
func Algorithms() []Algorithm { return []Algorithm{RS256, ES256} }

// Status is where a key stands in its life.
type Status string

const (
	// Next is published and does not sign yet.
	Next Status = "next"
	// Active signs; one key per algorithm.
	Active Status = "active"
	// Retired does not sign any more and is published until PublishedUntil.
	Retired Status = "retired"
)

// Key is one signing key's public half and its life so far.
type Key struct {
	KeyID          string // RFC 7638 thumbprint
	Algorithm      Algorithm
	PublicJWK      json.RawMessage // never modified after creation
	Status         Status
	CreatedAt      time.Time
	ActivatedAt    time.Time // zero while next
	RetiredAt      time.Time // zero until retired
	PublishedUntil time.Time // zero until retired
}

// published tells whether the key belongs in the key set at now.
func (k Key) published(now time.Time) bool {
	return k.Status != Retired || now.Before(k.PublishedUntil)
}

// State is every signing key of one organisation. The zero value has none. It
// is a value: [Evolve] never modifies one it was given.
type State struct {
	keys       []Key // in order of creation
	checkpoint CheckpointKey
}

// All is every key there ever was, in order of creation.
func (s State) All() []Key { return slices.Clone(s.keys) }

// Active is the key that signs with an algorithm now.
func (s State) Active(a Algorithm) (Key, bool) { return s.first(a, Active) }

// Next is the key that will sign with an algorithm after the next rotation.
func (s State) Next(a Algorithm) (Key, bool) { return s.first(a, Next) }

// Published is the key set at now: RS256 first, then ES256, and of each the
// active key, the next, and the retired ones, youngest first.
func (s State) Published(now time.Time) []Key {
	var out []Key
	for _, a := range Algorithms() {
		for _, st := range []Status{Active, Next, Retired} {
			for _, k := range slices.Backward(s.keys) {
				if k.Algorithm == a && k.Status == st && k.published(now) {
					out = append(out, k)
				}
			}
		}
	}
	return out
}

// Find is the published key of that id at now: what verifies our own tokens. A
// next key is found too; it has signed nothing, so nothing verifies against it.
func (s State) Find(kid string, now time.Time) (Key, bool) {
	i := s.index(kid)
	if i < 0 || !s.keys[i].published(now) {
		return Key{}, false
	}
	return s.keys[i], true
}

func (s State) first(a Algorithm, st Status) (Key, bool) {
	i := slices.IndexFunc(s.keys, func(k Key) bool { return k.Algorithm == a && k.Status == st })
	if i < 0 {
		return Key{}, false
	}
	return s.keys[i], true
}

func (s State) index(kid string) int {
	return slices.IndexFunc(s.keys, func(k Key) bool { return k.KeyID == kid })
}

// with is s with one key replaced by what f makes of it.
func (s State) with(i int, f func(*Key)) State {
	s.keys = slices.Clone(s.keys)
	f(&s.keys[i])
	return s
}

// Errors of commands about signing keys.
var (
	ErrRole      = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Only an owner or a security_admin rotates signing keys."}
	ErrMalformed = &domain.Error{Kind: domain.KindInvalid, Code: "signing_key.malformed", Message: "The public key is not a JWK of the algorithm."}
	ErrTaken     = &domain.Error{Kind: domain.KindConflict, Code: "signing_key.taken", Message: "There is another signing key of that id or in that place."}
	ErrNoNext    = &domain.Error{Kind: domain.KindConflict, Code: "signing_key.no_next", Message: "There is no next key to rotate to."}
	ErrTooYoung  = &domain.Error{Kind: domain.KindConflict, Code: "signing_key.too_young", Message: "The next key has not been published long enough to sign."}
)
