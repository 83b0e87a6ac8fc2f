// Package organisation answers what one tenant is called, which issuer it is,
// and how strictly two people are needed for a trust. It holds no people and
// no keys; those are nouns of their own.
package organisation

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
)

// DualControl is who may not activate a connection.
type DualControl string

const (
	// Strict refuses everyone who wrote any version since the last activated one. It is the default.
	Strict DualControl = "strict"
	// Roles lets the roles alone decide: whoever is a security_admin may activate what they wrote.
	Roles DualControl = "roles"
)

// State is an organisation as it stands. The zero value is one that does not exist.
type State struct {
	Name        domain.Name
	Issuer      string // URL, never changes
	DualControl DualControl
	Version     uint64 // of the settings, as in If-Match; counts from 1
	CreatedAt   time.Time
	UpdatedAt   time.Time
	UpdatedBy   string // actor of the last change of a setting
}

// Errors of commands about organisations.
var (
	ErrNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "organisation.not_found", Message: "There is no such organisation."}
	ErrTaken    = &domain.Error{Kind: domain.KindConflict, Code: "organisation.taken", Message: "The organisation exists with another name or issuer."}
	ErrRole     = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Only an owner changes settings of the organisation."}
	ErrStale    = &domain.Error{Kind: domain.KindStale, Code: "version.stale", Message: "The settings have changed since; read them again and repeat with their new ETag."}
	ErrInvalid  = &domain.Error{Kind: domain.KindInvalid, Code: "organisation.invalid", Message: "The organisation's settings break a rule."}
)

// Command asks for a change of an organisation.
type Command interface {
	decide(s State, m domain.Meta) ([]Event, error)
}

// Event is a fact about an organisation.
type Event interface {
	domain.Event
	evolve(s State, e domain.Envelope) (State, error)
}

// Decide tells which facts follow from a command, none if what it asks for
// already is, or why it is refused.
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) {
	es, err := c.decide(s, m)
	if err != nil {
		return nil, err
	}
	var fs []domain.Fact
	for _, e := range es {
		name := s.Name
		if w, ok := e.(WasCreated); ok {
			name = w.Name
		}
		fs = append(fs, domain.Fact{Subject: "organisation/" + name.String(), Event: e})
	}
	return fs, nil
}

// Evolve folds one stored event, whose Event is an organisation.Event, into the
// state. It refuses what Decide can never have decided: the log is then not ours.
func Evolve(s State, e domain.Envelope) (State, error) {
	ev, ok := e.Event.(Event)
	if !ok {
		return s, fmt.Errorf("%s is not an event of an organisation", e.Type)
	}
	return ev.evolve(s, e)
}
