package sshca

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
)

// Rotate makes the next key the one that signs, retires the one that did, and
// publishes a new next key, all in one commit.
type Rotate struct {
	ID     string // of the new next key, the fingerprint of Public
	Public string // authorized_keys form, without a comment
}

func (c Rotate) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := checkPublic(c.ID, c.Public); err != nil {
		return nil, err
	}
	if s.index(c.ID) >= 0 {
		return nil, nil // this rotation already happened
	}
	next, ok := s.Next()
	if !ok {
		return nil, ErrNoNext
	}
	// A server that took the list just before next was published refuses what
	// next signs until it takes the list again.
	if ripe := next.CreatedAt.Add(CacheTime); m.Now.Before(ripe) {
		return nil, ErrTooYoung.With("The next key of the SSH authority was published at %s; servers may not know it yet. Rotate again from %s on.",
			next.CreatedAt.UTC().Format(time.RFC3339), ripe.Add(time.Second-1).UTC().Format(time.RFC3339))
	}
	var facts []domain.Fact
	if active, ok := s.Active(); ok {
		facts = append(facts, fact(active.ID, WasRetired{ID: active.ID}))
	}
	return append(facts,
		fact(next.ID, WasActivated{ID: next.ID}),
		fact(c.ID, WasCreated{ID: c.ID, Public: c.Public, Status: Next}),
	), nil
}

// WasActivated records that a key began to sign.
type WasActivated struct {
	ID string `json:"fingerprint"`
}

// EventType is ssh_ca.activated.
func (WasActivated) EventType() string { return "ssh_ca.activated" }

func (e WasActivated) evolve(s State, env domain.Envelope) (State, error) {
	i := s.index(e.ID)
	if i < 0 || s.keys[i].Status != Next {
		return s, fmt.Errorf("SSH authority key %q was activated and was not next", e.ID)
	}
	if a, ok := s.Active(); ok {
		return s, fmt.Errorf("SSH authority key %q was activated beside %q", e.ID, a.ID)
	}
	return s.with(i, func(k *Key) { k.Status, k.ActivatedAt = Active, env.Time }), nil
}

// WasRetired records that a key signs no more and that servers are to trust it no more.
type WasRetired struct {
	ID string `json:"fingerprint"`
}

// EventType is ssh_ca.retired.
func (WasRetired) EventType() string { return "ssh_ca.retired" }

func (e WasRetired) evolve(s State, env domain.Envelope) (State, error) {
	i := s.index(e.ID)
	if i < 0 || s.keys[i].Status != Active {
		return s, fmt.Errorf("SSH authority key %q was retired and was not active", e.ID)
	}
	return s.with(i, func(k *Key) { k.Status, k.RetiredAt = Retired, env.Time }), nil
}
