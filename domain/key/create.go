package key

import (
	"encoding/json"
	"fmt"
	"slices"

	"sallyport.dev/domain"
)

// Command asks for a change of the signing keys.
type Command interface {
	decide(s State, m domain.Meta) ([]Event, error)
}

// Event is a fact about signing keys.
type Event interface {
	domain.Event
	subject() string // what the event is about
	evolve(s State, e domain.Envelope) (State, error)
}

// Decide tells which facts follow from a command, none if what it asks for
// already is, or why it is refused.
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) {
	if !mayManage(m.Actor) {
		return nil, ErrRole
	}
	es, err := c.decide(s, m)
	if err != nil {
		return nil, err
	}
	var fs []domain.Fact
	for _, e := range es {
		fs = append(fs, domain.Fact{Subject: e.subject(), Event: e})
	}
	return fs, nil
}

// Evolve folds one stored event, whose Event is a key.Event, into the state.
// It refuses what Decide can never have decided: the log is then not ours.
func Evolve(s State, e domain.Envelope) (State, error) {
	ev, ok := e.Event.(Event)
	if !ok {
		return s, fmt.Errorf("%s is not an event of signing keys", e.Type)
	}
	return ev.evolve(s, e)
}

func mayManage(a domain.Actor) bool {
	return a.Has(domain.Owner) || a.Has(domain.SecurityAdmin) || a.IsSystem()
}

// Create gives an organisation a key that has no predecessor: the active and
// the next one of each algorithm when the organisation is made. Every later
// key comes by [Rotate].
type Create struct {
	Algorithm Algorithm
	KeyID     string // RFC 7638 thumbprint of PublicJWK
	PublicJWK json.RawMessage
	Status    Status // Active or Next
}

func (c Create) decide(s State, m domain.Meta) ([]Event, error) {
	pub, err := publicJWK(c.PublicJWK, c.Algorithm, c.KeyID)
	if err != nil {
		return nil, err
	}
	e := WasCreated{KeyID: c.KeyID, Algorithm: c.Algorithm, PublicJWK: pub, Status: c.Status}
	if i := s.index(c.KeyID); i >= 0 {
		if s.keys[i].Algorithm == c.Algorithm && s.keys[i].Status == c.Status {
			return nil, nil // already so
		}
		return nil, ErrTaken
	}
	if _, err := e.evolve(s, domain.Envelope{Time: m.Now}); err != nil {
		return nil, ErrTaken.With("There is a %s key for %s already.", c.Status, c.Algorithm)
	}
	return []Event{e}, nil
}

// WasCreated records that a key pair was made and its public half published.
type WasCreated struct {
	KeyID     string          `json:"kid"`
	Algorithm Algorithm       `json:"algorithm"`
	PublicJWK json.RawMessage `json:"public_jwk"`
	Status    Status          `json:"state"` // Next, or Active for the first of its algorithm
}

// EventType is signing_key.created.
func (WasCreated) EventType() string { return "signing_key.created" }

func (e WasCreated) subject() string { return "signing_key/" + e.KeyID }

func (e WasCreated) evolve(s State, env domain.Envelope) (State, error) {
	k := Key{KeyID: e.KeyID, Algorithm: e.Algorithm, PublicJWK: e.PublicJWK, Status: e.Status, CreatedAt: env.Time}
	_, taken := s.first(e.Algorithm, e.Status)
	switch {
	case s.index(e.KeyID) >= 0:
		return s, fmt.Errorf("signing key %q was created before", e.KeyID)
	case e.Status != Active && e.Status != Next:
		return s, fmt.Errorf("signing key %q was created as %q", e.KeyID, e.Status)
	case taken:
		return s, fmt.Errorf("signing key %q is a second %s key for %s", e.KeyID, e.Status, e.Algorithm)
	case e.Status == Active:
		k.ActivatedAt = env.Time
	}
	s.keys = append(slices.Clip(s.keys), k)
	return s, nil
}
