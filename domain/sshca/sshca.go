// Package sshca answers which keys of an organisation sign SSH certificates,
// and which ones servers are to trust. It never sees a private key.
//
// There is one line of keys:
//
//	next --Rotate--> active --Rotate--> retired
//
// Servers trust the active key and the next one, so that a rotation locks nobody
// out who took the list since the last one. A retired key is trusted by nobody
// any more: what it signed has at most five minutes to live.
package sshca

import (
	"fmt"
	"slices"
	"time"

	"sallyport.dev/domain"
)

// CacheTime is how long servers may cache the list of trusted keys, as its
// Cache-Control says: no key signs that was published for less.
const CacheTime = 5 * time.Minute

// Status is where a key stands in its life.
type Status string

const (
	Next    Status = "next"    // trusted, signs nothing yet
	Active  Status = "active"  // trusted, signs
	Retired Status = "retired" // neither
)

// Key is one key of the authority: its public half and its life so far.
type Key struct {
	ID          string // fingerprint, SHA256:...
	Public      string // authorized_keys form, ssh-ed25519 AAAA...
	Status      Status
	CreatedAt   time.Time
	ActivatedAt time.Time // zero while next
	RetiredAt   time.Time // zero until retired
}

// State is the keys of one organisation's SSH authority. The zero value has
// none. It is a value: [Evolve] never modifies one it was given.
type State struct {
	keys []Key // in order of creation
}

// Keys is every key there ever was, oldest first.
func (s State) Keys() []Key { return slices.Clone(s.keys) }

// Active is the key that signs.
func (s State) Active() (Key, bool) { return s.first(Active) }

// Next is the key that will sign after the next rotation.
func (s State) Next() (Key, bool) { return s.first(Next) }

// Trusted is what servers are to trust: the active key, then the next one.
func (s State) Trusted() (trusted []Key) {
	for _, st := range []Status{Active, Next} {
		if k, ok := s.first(st); ok {
			trusted = append(trusted, k)
		}
	}
	return trusted
}

func (s State) first(st Status) (Key, bool) {
	i := slices.IndexFunc(s.keys, func(k Key) bool { return k.Status == st })
	if i < 0 {
		return Key{}, false
	}
	return s.keys[i], true
}

func (s State) index(id string) int {
	return slices.IndexFunc(s.keys, func(k Key) bool { return k.ID == id })
}

// with is s with one key replaced by what f makes of it.
func (s State) with(i int, f func(*Key)) State {
	s.keys = slices.Clone(s.keys)
	f(&s.keys[i])
	return s
}

// Errors of commands about the authority's keys.
var (
	ErrRole      = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Only a security_admin rotates the keys of the SSH authority."}
	ErrMalformed = &domain.Error{Kind: domain.KindInvalid, Code: "ssh_ca.malformed", Message: "The public key is not an ssh-ed25519 key with that fingerprint."}
	ErrTaken     = &domain.Error{Kind: domain.KindConflict, Code: "ssh_ca.taken", Message: "There is another key of the SSH authority of that fingerprint or in that place."}
	ErrNoNext    = &domain.Error{Kind: domain.KindConflict, Code: "ssh_ca.no_next", Message: "The SSH authority has no next key to rotate to."}
	ErrTooYoung  = &domain.Error{Kind: domain.KindConflict, Code: "ssh_ca.too_young", Message: "The next key of the SSH authority has not been published long enough to sign."}
)

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
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) {
	if !m.Actor.Has(domain.SecurityAdmin) && !m.Actor.IsSystem() {
		return nil, ErrRole
	}
	return c.decide(s, m)
}

// Evolve folds one stored event, whose Event is one of this package's, into
// the state. It refuses what Decide can never have decided: the log is then not ours.
func Evolve(s State, e domain.Envelope) (State, error) {
	ev, ok := e.Event.(Event)
	if !ok {
		return s, fmt.Errorf("%s is not an event of the SSH authority", e.Type)
	}
	return ev.evolve(s, e)
}

// fact is an event about the key with that fingerprint.
func fact(id string, e Event) domain.Fact { return domain.Fact{Subject: "ssh_ca/" + id, Event: e} }
