package key

import (
	"errors"
	"strings"

	"sallyport.dev/domain"
)

// CheckpointKey is the public half of the key that signs an organisation's
// checkpoints and nothing else. It is made once and stays. The zero value is none.
type CheckpointKey struct {
	KeyID    string // RFC 7638 thumbprint
	Verifier string // note verifier, <origin>+<hash>+<key>, as golang.org/x/mod/sumdb/note writes it
}

// Checkpoint is the key that signs checkpoints; its zero value before there is one.
func (s State) Checkpoint() CheckpointKey { return s.checkpoint }

// CreateCheckpoint gives an organisation the key of its checkpoints.
type CreateCheckpoint struct {
	KeyID    string
	Verifier string
}

func (c CreateCheckpoint) decide(s State, _ domain.Meta) ([]Event, error) {
	k := CheckpointKey(c)
	switch {
	case s.checkpoint == k:
		return nil, nil // already so
	case s.checkpoint != CheckpointKey{}:
		return nil, ErrTaken.With("There is a key for checkpoints already.")
	case !k.whole():
		return nil, ErrMalformed.With("The verifier of the checkpoints is not <origin>+<hash>+<key>.")
	}
	return []Event{CheckpointWasCreated(c)}, nil
}

// whole tells whether the key has an id and a verifier of the right shape.
func (k CheckpointKey) whole() bool {
	return k.KeyID != "" && len(k.Verifier) <= 1024 && strings.Count(k.Verifier, "+") >= 2 && !strings.ContainsAny(k.Verifier, " \t\r\n")
}

// CheckpointWasCreated records the public half of the key that signs the log's checkpoints.
type CheckpointWasCreated struct {
	KeyID    string `json:"kid"`
	Verifier string `json:"verifier"`
}

// EventType is checkpoint_key.created.
func (CheckpointWasCreated) EventType() string { return "checkpoint_key.created" }

func (e CheckpointWasCreated) subject() string { return "checkpoint_key/" + e.KeyID }

func (e CheckpointWasCreated) evolve(s State, _ domain.Envelope) (State, error) {
	k := CheckpointKey(e)
	switch {
	case s.checkpoint != CheckpointKey{}:
		return s, errors.New("a second key for checkpoints was created")
	case !k.whole():
		return s, errors.New("a key for checkpoints was created that is none")
	}
	s.checkpoint = k
	return s, nil
}
