package domain

import (
	"slices"
	"strings"
	"time"
)

// Role is what a person may do in an organisation. No role includes another;
// the zero value is a plain member.
type Role string

const (
	// Owner manages people, roles and settings, and nothing else.
	Owner Role = "owner"
	// DevOpsAdmin drafts, edits and tests connections until they are activated for the first time.
	DevOpsAdmin Role = "devops_admin"
	// SecurityAdmin reviews, activates, deactivates and, once activated, edits connections.
	SecurityAdmin Role = "security_admin"
	// ResourceAdmin manages what tokens and people reach; of connections it may read.
	ResourceAdmin Role = "resource_admin"
	// Auditor reads everything of the organisation and changes nothing.
	Auditor Role = "auditor"
	// Member has no administrative right.
	Member Role = "member"
)

// Roles lists every role, in the order in which people are told of them.
func Roles() []Role {
	return []Role{Owner, DevOpsAdmin, SecurityAdmin, ResourceAdmin, Auditor, Member}
}

// Admin tells whether the role is administrative: any but member and auditor.
func (r Role) Admin() bool {
	switch r {
	case Owner, DevOpsAdmin, SecurityAdmin, ResourceAdmin:
		return true
	}
	return false
}

// Actor is who asks. People are their plain name ("devops"), workloads a
// workload:// URI, and our own doings "system:" and a word ("system:keys"),
// which no person can be called.
type Actor struct {
	ID    string
	Roles []Role
}

// Has tells whether the actor bears the role.
func (a Actor) Has(r Role) bool { return slices.Contains(a.Roles, r) }

// System is Sallyport itself, doing one kind of work: "keys", "host", "demo".
func System(work string) Actor { return Actor{ID: "system:" + work} }

// IsSystem tells whether the actor is Sallyport itself: no person or workload
// can bear such a name.
func (a Actor) IsSystem() bool { return strings.HasPrefix(a.ID, "system:") }

// Meta is who asked, when, and in which request: everything about a command
// that is not the command.
type Meta struct {
	Actor     Actor
	Now       time.Time // UTC
	RequestID string
	// Idempotency is the caller's Idempotency-Key, nil where there is none. It
	// rides in the commit, so every replica knows the key once the write is durable.
	Idempotency *Idempotency
}

// Idempotency names one write of one caller for 24 hours.
type Idempotency struct {
	Key     string // hash of caller and key, never the key itself
	Request string // hash of method, path and body
}
