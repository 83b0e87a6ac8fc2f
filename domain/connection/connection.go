package connection

import (
	"encoding/json"
	"slices"
	"time"

	"sallyport.dev/domain"
)

// Status is where a connection stands in its life.
type Status string

const (
	None     Status = ""         // never drafted
	Drafted  Status = "draft"    // written, tested, issues nothing; never activated yet
	Active   Status = "active"   // issues tokens
	Inactive Status = "inactive" // was active; its tokens are not good while it is
	Deleted  Status = "deleted"  // gone for good, and so are its name and its tokens
)

// State is a connection as the log tells it. The zero value is one that was
// never drafted. It is a value: [Evolve] never changes what an earlier State holds.
type State struct {
	Name   domain.Name
	Status Status
	// Version counts the specifications written: 1 is the draft. It is the
	// ETag; activation and deactivation do not raise it.
	Version uint64
	// ActiveVersion is the version activated last; 0 if none ever was.
	ActiveVersion uint64
	// Generation is raised when issued tokens are revoked. A token carries the
	// one it was issued in, and is dead in any other.
	Generation uint64
	// Current decides on proofs: the activated version, and before the first
	// activation the draft.
	Current Spec
	// Pending is what was written after the last activation; nil if nothing was.
	Pending *Spec
	// Writers wrote the versions since the last activated one, each named once.
	Writers []string
	// Acknowledged are the codes of warnings accepted for ActiveVersion.
	Acknowledged  []string
	EverActivated bool

	CreatedAt, UpdatedAt, ActivatedAt time.Time // UpdatedAt is the newest version's
	CreatedBy, UpdatedBy, ActivatedBy string

	// RenamedAt is when an activation last changed how workloads are named
	// (IdentityClaim, IdentityPath); zero if the first one's way still stands.
	RenamedAt time.Time

	// Keys is the last good key set of Current's key source; nil if none was
	// seen since the first activation, or it is uploaded.
	Keys *KeySet
}

// CurrentVersion is the version number of Current.
func (s State) CurrentVersion() uint64 {
	if s.EverActivated {
		return s.ActiveVersion
	}
	return s.Version
}

// Newest is the specification written last: what an edit starts from, what a
// test tests, and what an activation makes Current.
func (s State) Newest() Spec {
	if s.Pending != nil {
		return *s.Pending
	}
	return s.Current
}

// Wrote tells whether the person wrote any version since the last activated one.
func (s State) Wrote(person string) bool { return slices.Contains(s.Writers, person) }

// NamedAlikeSince tells whether every token that the connection issued at t or
// later names its workload as Current names it.
func (s State) NamedAlikeSince(t time.Time) bool {
	return s.EverActivated && (s.RenamedAt.IsZero() || !t.Before(s.RenamedAt))
}

func (s State) exists() bool { return s.Status != None && s.Status != Deleted }

// KeySet is what a provider's key source last answered with.
type KeySet struct {
	Version   uint64          `json:"version"`        // of the specification whose source it is
	Keys      json.RawMessage `json:"keys,omitempty"` // {"keys":[...]}, public members only; absent if too large to keep
	KeyIDs    []string        `json:"key_ids"`
	At        time.Time       `json:"at"` // when it was fetched
	SourceURL string          `json:"source_url"`
}

// Command is what can be asked of a connection. The set is closed: each has
// its rule, so there is no default branch to get wrong.
type Command interface {
	decide(State, domain.Meta) ([]Event, error)
}

// Event is what can happen to a connection. The set is closed: each has its effect.
type Event interface {
	domain.Event
	evolve(State, domain.Envelope) State
}

// Decide turns a command into the facts to record, none if everything is so
// already. What it refuses is a *domain.Error, found in the order role,
// existence, version, content, conflict.
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) {
	events, err := c.decide(s, m)
	if err != nil {
		return nil, err
	}
	name := s.Name
	if d, ok := c.(Draft); ok {
		name = d.Name
	}
	facts := make([]domain.Fact, 0, len(events))
	for _, e := range events {
		f := domain.Fact{Subject: "connection/" + name.String(), Event: e}
		if _, ours := e.(KeysChanged); ours {
			f.Actor = domain.System("keys").ID // whoever's proof made us look
		}
		facts = append(facts, f)
	}
	return facts, nil
}

// Evolve is the state after an event. e.Event must be an [Event]; who and when
// come from the envelope. s and what it refers to stay as they are.
func Evolve(s State, e domain.Envelope) State {
	return e.Event.(Event).evolve(s, e)
}
