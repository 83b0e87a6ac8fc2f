package organisation

import (
	"slices"

	"sallyport.dev/domain"
)

// Writes says what is about to be recorded, for [Options.Room] to tell what
// there is room for.
type Writes int

const (
	// Activity is what is done with the trust there is: tokens, denials, tests.
	Activity Writes = iota
	// Commands change what is true.
	Commands
	// Endings are commands that take trust away and nothing else. They are few
	// and small, and the last that should be refused for want of room.
	Endings
)

// endings lists the events that take trust away.
var endings = []string{"api_token.revoked", "connection.deactivated", "connection.deleted", "person.role_revoked"}

// kindOf tells what kind of write these facts are.
func kindOf(facts []domain.Fact) Writes {
	for _, f := range facts {
		if !slices.Contains(endings, f.Event.EventType()) {
			return Commands
		}
	}
	return Endings
}
