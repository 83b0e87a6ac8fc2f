// Package role answers which workload roles a token bears: worked out when it
// is used, from the claims that it carries.
//
// A role is a list of requirements, of which one has to be met (OR); each is a
// connection and conditions, which all have to hold (AND). Nothing of it is in
// a token, so an edit or a deletion bites tokens that are out already. What a
// token hints at chooses among the roles that match, and is no authority.
package role

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
)

// Requirement is one way to bear a role: a token of that connection whose
// claims meet every further condition (0..20).
type Requirement struct {
	Connection domain.Name       `json:"connection"`
	Conditions []claim.Condition `json:"conditions,omitempty"`
}

// Spec is what people write of a role: one of its requirements has to be met.
type Spec struct {
	Description  string        `json:"description,omitempty"` // up to 1000 characters
	Requirements []Requirement `json:"requirements"`          // 1..20
}

// Role is a workload role as the log tells it.
type Role struct {
	Name domain.Name
	Spec
	Version              uint64 // as in If-Match
	CreatedAt, UpdatedAt time.Time
	CreatedBy, UpdatedBy string
}

// Username is the Linux user that workloads of the role are on servers:
// wl_ and the role's name, its hyphens as underscores. No two roles have the
// same, since a name has no underscores.
func Username(n domain.Name) string { return "wl_" + strings.ReplaceAll(n.String(), "-", "_") }

// State is the workload roles of one organisation. The zero value has none. It
// owns its memory as a slice does: after [Evolve] only the state it returned may be used.
type State struct {
	roles   map[domain.Name]Role
	deleted map[domain.Name]bool
}

// Role is the role of that name; one that was deleted is not there.
func (s State) Role(n domain.Name) (Role, bool) {
	r, ok := s.roles[n]
	return r, ok
}

// Roles is every role, by name.
func (s State) Roles() []Role {
	out := make([]Role, 0, len(s.roles))
	for _, n := range slices.Sorted(maps.Keys(s.roles)) {
		out = append(out, s.roles[n])
	}
	return out
}

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
		return s, fmt.Errorf("%s is not an event of workload roles", e.Type)
	}
	if s.roles == nil {
		s = State{map[domain.Name]Role{}, map[domain.Name]bool{}}
	}
	return ev.evolve(s, e)
}

// Errors of commands about workload roles.
var (
	// ErrNotFound answers for a name that no role has, or only a deleted one.
	ErrNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "role.not_found",
		Message: "There is no workload role of this name."}
	// ErrTaken refuses a name that is, or ever was, a role's.
	ErrTaken = &domain.Error{Kind: domain.KindConflict, Code: "role.taken",
		Message: "A workload role of this name exists: choose another name, or edit that one."}
	// ErrRole refuses who lacks the admin role.
	ErrRole = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing",
		Message: "Only a security_admin creates, edits and deletes workload roles."}
	// ErrStale refuses a write that was decided on another version.
	ErrStale = &domain.Error{Kind: domain.KindStale, Code: "version.stale",
		Message: "The workload role is at another version: read it again and decide on what it says now."}
)

// mayWrite refuses who may not change roles.
func mayWrite(a domain.Actor) error {
	if a.Has(domain.SecurityAdmin) {
		return nil
	}
	return ErrRole
}

// find is the role that a command is about, at the version that it names.
func (s State) find(n domain.Name, version uint64) (Role, error) {
	r, ok := s.roles[n]
	switch {
	case !ok:
		return Role{}, ErrNotFound
	case r.Version != version:
		return Role{}, ErrStale
	}
	return r, nil
}

// fact is an event about the role of that name.
func fact(n domain.Name, e Event) []domain.Fact {
	return []domain.Fact{{Subject: subject + n.String(), Event: e}}
}

const subject = "role/"

// of is the role that a stored event is about.
func of(e domain.Envelope) (domain.Name, error) {
	text, ok := strings.CutPrefix(e.Subject, subject)
	n, err := domain.ParseName(text)
	if !ok || err != nil {
		return "", fmt.Errorf("the subject names no workload role")
	}
	return n, nil
}
