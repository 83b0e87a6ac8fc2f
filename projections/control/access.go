package control

import (
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/notification"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/domain/role"
	"sallyport.dev/domain/sshca"
)

// nouns is the state of everything that access is decided on.
type nouns struct {
	groups    group.State
	roles     role.State
	resources resource.State
	policies  policy.State
	requests  request.State
	access    access.State
	ssh       sshca.State
	identity  identity.State
	notices   notification.State // of which people are told
}

// Groups, WorkloadRoles, Resources, Policies, Requests, Access and SSH are what
// the log says of each noun. They are read inside [Projection.Read] alone, and
// Decide of their packages takes them as they are.

// NamesPerson tells whether something that gives power names somebody, who may be
// nobody yet: a request type its approvers, a resource its owner. Nobody takes such a
// name by themself.
func (s *State) NamesPerson(n domain.Name) bool {
	return s.requests.NamesPerson(n) || s.resources.NamesPerson(n)
}

// Groups is the groups and their members.
func (s *State) Groups() group.State { return s.groups }

// WorkloadRoles is the workload roles.
func (s *State) WorkloadRoles() role.State { return s.roles }

// Resources is the projects, servers and secrets.
func (s *State) Resources() resource.State { return s.resources }

// Policies is the policies.
func (s *State) Policies() policy.State { return s.policies }

// Requests is the request types and access requests.
func (s *State) Requests() request.State { return s.requests }

// Access is the checkouts and broken glasses.
func (s *State) Access() access.State { return s.access }

// SSH is the keys of the SSH authority.
func (s *State) SSH() sshca.State { return s.ssh }

// Notices is of what people are to be told, and how far that is. It keeps none
// unless [Projection.KeepNotices] was called.
func (s *State) Notices() notification.State { return s.notices }

// Identities is the accounts at OpenID providers and the passkeys of people.
func (s *State) Identities() identity.State { return s.identity }

// World is all that [access.Resolve] looks at.
func (s *State) World() access.World {
	return access.World{Resources: s.resources, Policies: s.policies, Requests: s.requests, Access: s.access}
}

// Later is now, or the latest time of any event folded, if that is later: a
// clock that is put back revives no approval, membership or checkout.
func (s *State) Later(now time.Time) time.Time {
	if s.clock.After(now) {
		return s.clock
	}
	return now
}

// NamesGroup tells whether a policy or a request type names the group, or a
// resource has it as its owner, whom a request type may ask: its members are then
// an owner's to change.
func (s *State) NamesGroup(g domain.Name) bool {
	return s.policies.Names(g) || s.requests.Names(g) || s.resources.Names(g)
}

// Due is the next deadline of all nouns that is not recorded as passed; zero if there is none.
func (s *State) Due() time.Time {
	var due time.Time
	for _, t := range []time.Time{s.groups.Next(), s.requests.Next(), s.access.Next()} {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	return due
}

// Lapse is what deadlines have brought by m.Now and is not recorded yet. Each
// fact stands alone: any of them may be recorded without the others.
func (s *State) Lapse(m domain.Meta) []domain.Fact {
	facts := s.groups.Lapse(m)
	facts = append(facts, s.requests.Lapse(m)...)
	return append(facts, s.access.Lapse(m)...)
}
