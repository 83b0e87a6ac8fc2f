// Package sshca answers which keys of an organisation sign SSH certificates,
// and which ones servers are to trust. It never sees a private key.
package sshca

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
)

// Status of a key.
type Status string

const (
	Next    Status = "next"    // trusted, signs nothing yet
	Active  Status = "active"  // trusted, signs
	Retired Status = "retired" // neither
)

// Key is one key of the authority.
type Key struct {
	ID        string // fingerprint, SHA256:...
	Public    string // authorized_keys form, ssh-ed25519 AAAA...
	Status    Status
	CreatedAt time.Time
}

// State is the keys of one organisation's SSH authority. The zero value has none.
type State struct {
}

// Keys is every key there ever was, oldest first.
func (s State) Keys() []Key { return nil }

// Active is the key that signs.
func (s State) Active() (Key, bool) { return Key{}, false }

// Trusted is what servers are to trust: the active key, then the next one.
func (s State) Trusted() []Key { return nil }

// Command asks for a change. The set is closed: each has its rule.
type Command interface {
	decide(s State, m domain.Meta) ([]domain.Fact, error)
}

// Event is a fact of this noun. The set is closed: each has its effect.
type Event interface {
	domain.Event
	evolve(s State, e domain.Envelope) (State, error)
}

// Decide tells which facts follow from a command, none if what it asks for
// already is, or why it is refused (a *domain.Error, found in the order role,
// existence, version, content, conflict).
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) { return c.decide(s, m) }

// Evolve folds one stored event, whose Event is one of this package's, into
// the state, whose memory it takes over. It refuses what Decide can never have
// decided: the log is then not ours.
func Evolve(s State, e domain.Envelope) (State, error) {
	ev, ok := e.Event.(Event)
	if !ok {
		return s, fmt.Errorf("%s is not an event of the SSH authority", e.Type)
	}
	return ev.evolve(s, e)
}
