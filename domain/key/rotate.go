package key

import (
	"encoding/json"
	"fmt"
	"time"

	"sallyport.dev/domain"
)

// Rotate makes the next key of an algorithm the one that signs, retires the one
// that did, and publishes a new next key, all in one commit.
type Rotate struct {
	Algorithm Algorithm
	KeyID     string // of the new next key, its RFC 7638 thumbprint
	PublicJWK json.RawMessage
}

func (c Rotate) decide(s State, m domain.Meta) ([]Event, error) {
	pub, err := publicJWK(c.PublicJWK, c.Algorithm, c.KeyID)
	if err != nil {
		return nil, err
	}
	if i := s.index(c.KeyID); i >= 0 {
		if s.keys[i].Algorithm == c.Algorithm {
			return nil, nil // this rotation already happened
		}
		return nil, ErrTaken
	}
	next, ok := s.Next(c.Algorithm)
	if !ok {
		return nil, ErrNoNext.With("There is no next %s key to rotate to.", c.Algorithm)
	}
	// A verifier that fetched the key set just before next was published does
	// not know it until its cache runs out.
	if ripe := next.CreatedAt.Add(CacheTime); m.Now.Before(ripe) {
		return nil, ErrTooYoung.With("The next %s key was published at %s; verifiers may not know it yet. Rotate again from %s on.",
			c.Algorithm, next.CreatedAt.UTC().Format(time.RFC3339), ripe.Add(time.Second-1).UTC().Format(time.RFC3339))
	}
	var es []Event
	if active, ok := s.Active(c.Algorithm); ok {
		es = append(es, WasRetired{KeyID: active.KeyID, PublishedUntil: m.Now.UTC().Add(Overlap)})
	}
	return append(es,
		WasActivated{KeyID: next.KeyID},
		WasCreated{KeyID: c.KeyID, Algorithm: c.Algorithm, PublicJWK: pub, Status: Next},
	), nil
}

// WasActivated records that a key began to sign.
type WasActivated struct {
	KeyID string `json:"kid"`
}

// EventType is signing_key.activated.
func (WasActivated) EventType() string { return "signing_key.activated" }

func (e WasActivated) subject() string { return "signing_key/" + e.KeyID }

func (e WasActivated) evolve(s State, env domain.Envelope) (State, error) {
	i := s.index(e.KeyID)
	if i < 0 || s.keys[i].Status != Next {
		return s, fmt.Errorf("signing key %q was activated and was not next", e.KeyID)
	}
	if a, ok := s.Active(s.keys[i].Algorithm); ok {
		return s, fmt.Errorf("signing key %q was activated beside %q", e.KeyID, a.KeyID)
	}
	return s.with(i, func(k *Key) { k.Status, k.ActivatedAt = Active, env.Time }), nil
}

// WasRetired records that a key signs no more. It stays published until
// PublishedUntil, so that what it signed can be verified.
type WasRetired struct {
	KeyID          string    `json:"kid"`
	PublishedUntil time.Time `json:"published_until"`
}

// EventType is signing_key.retired.
func (WasRetired) EventType() string { return "signing_key.retired" }

func (e WasRetired) subject() string { return "signing_key/" + e.KeyID }

func (e WasRetired) evolve(s State, env domain.Envelope) (State, error) {
	i := s.index(e.KeyID)
	if i < 0 || s.keys[i].Status != Active {
		return s, fmt.Errorf("signing key %q was retired and was not active", e.KeyID)
	}
	return s.with(i, func(k *Key) {
		k.Status, k.RetiredAt, k.PublishedUntil = Retired, env.Time, e.PublishedUntil
	}), nil
}
