// Package resource answers what there is to reach: servers with their accounts,
// and secrets with their versions, each in a project. It never sees a value of a secret.
package resource

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"sallyport.dev/domain"
)

// Kind of a resource.
type Kind string

const (
	// Server is a machine with accounts, reached over SSH.
	Server Kind = "server"
	// Secret is a value at a path, with its versions.
	Secret Kind = "secret"
)

// MaxValueBytes is how many bytes a value of a secret may have; it has at least one.
const MaxValueBytes = 64 << 10

// ServerRef is the reference of a server.
func ServerRef(n domain.Name) Ref { return Ref("server/" + n.String()) }

// SecretRef is the reference of the secret at a path.
func SecretRef(path string) Ref { return Ref("secret/" + path) }

// Ref names a resource: "server/web-1" or "secret/payments/db/password".
type Ref string

// ProjectSpec is what people write of a project.
type ProjectSpec struct {
	Description string   `json:"description,omitempty"`
	Checkout    Checkout `json:"checkout"`
}

// Checkout is how a project's vaulted accounts and secrets are shared: one at a time, or freely.
type Checkout struct {
	Required   bool `json:"required"`              // a vaulted account or secret is used by one at a time
	MaxSeconds int  `json:"max_seconds,omitempty"` // 900..604800; 0 is 3600
}

// Project groups resources.
type Project struct {
	Name domain.Name
	ProjectSpec
	Version              uint64
	CreatedAt, UpdatedAt time.Time
	CreatedBy, UpdatedBy string
}

// AccountKind is whose user an account on a server is.
type AccountKind string

const (
	// Personal is each person's own user on the server, named like the person.
	Personal AccountKind = "personal"
	// Vaulted is one user that is shared, whose password, if it has one, is kept as a secret.
	Vaulted AccountKind = "vaulted"
)

// Account is a way onto a server.
type Account struct {
	Name     domain.Name `json:"name"`
	Kind     AccountKind `json:"kind"`
	Username string      `json:"username,omitempty"` // of a vaulted account; a personal one has none
}

// Owner is who answers for a resource: exactly one is set, or none.
type Owner struct {
	Person domain.Name `json:"person,omitempty"`
	Group  domain.Name `json:"group,omitempty"`
}

// ServerSpec is what people write of a server.
type ServerSpec struct {
	Description string            `json:"description,omitempty"`
	Project     domain.Name       `json:"project"`
	Address     string            `json:"address"` // a host name or an IP address, without a port
	Port        int               `json:"port"`    // 1..65535; 0 is 22
	Labels      map[string]string `json:"labels,omitempty"`
	Accounts    []Account         `json:"accounts,omitempty"` // up to 50, each name once
	Owner       Owner             `json:"owner,omitzero"`
	HostKeys    []string          `json:"host_keys,omitempty"` // lines of authorized_keys form: ssh-ed25519 AAAA...; none: the client's own known_hosts decide
	// AnySource leaves source-address out of certificates: for servers that see
	// another address of the client than we do.
	AnySource bool `json:"any_source,omitempty"`
	// OwnPrincipals has certificates for it name SERVER/USERNAME instead of the
	// username alone, which every server takes that trusts the authority and has such
	// a user. Its sshd lets that in by an AuthorizedPrincipalsFile.
	OwnPrincipals bool `json:"own_principals,omitempty"`
}

// SecretSpec is what people write of a secret; its path never changes.
type SecretSpec struct {
	Description string            `json:"description,omitempty"`
	Project     domain.Name       `json:"project"`
	Labels      map[string]string `json:"labels,omitempty"`
	Owner       Owner             `json:"owner,omitzero"`
}

// Version is one value of a secret. The value is in the vault, and only there.
//
// Of versions that are destroyed the resource has those among the newest 200;
// the log has all.
type Version struct {
	Number      int    // counts from 1, and is never given again
	ID          string // ULID: where the vault has it
	AddedAt     time.Time
	AddedBy     string
	DestroyedAt time.Time // zero: it can be revealed
}

// Resource is a server or a secret as the log tells it.
type Resource struct {
	Ref         Ref
	Kind        Kind
	Name        string // of a server; of a secret its path, such as payments/db/password
	Project     domain.Name
	Description string
	Labels      map[string]string
	Owner       Owner
	ServerSpec  *ServerSpec // of a server
	// Versions of a secret, oldest first.
	Versions []Version
	// Passwords are the versions of the passwords of a server's vaulted accounts, by account.
	Passwords            map[domain.Name][]Version
	Version              uint64 // of what people wrote, as in If-Match
	CreatedAt, UpdatedAt time.Time
	CreatedBy, UpdatedBy string
}

// Versioned is the versions of the account's password, or with "" of the secret itself, oldest first.
func (r Resource) Versioned(account domain.Name) []Version {
	if r.Kind == Secret {
		return r.Versions
	}
	return r.Passwords[account]
}

// Find is one version that can be revealed: of that number, or with 0 the
// newest that is not destroyed. [ErrVersionNotFound] or [ErrDestroyed] otherwise.
func (r Resource) Find(account domain.Name, number int) (Version, error) {
	versions := r.Versioned(account)
	for _, v := range slices.Backward(versions) {
		switch {
		case number != 0 && v.Number != number:
		case v.DestroyedAt.IsZero():
			return v, nil
		case number != 0:
			return Version{}, ErrDestroyed
		}
	}
	switch {
	case number == 0 && len(versions) > 0:
		return Version{}, ErrDestroyed.With("Every version of it is destroyed; a new one can be put.")
	case 0 < number && number < r.Next(account): // so long ago that it is not among them any more
		return Version{}, ErrDestroyed
	}
	return Version{}, ErrVersionNotFound
}

// State is the projects and resources of one organisation. The zero value has
// none. It owns its memory as a slice does: after [Evolve] only the state it returned may be used.
type State struct {
	projects  map[domain.Name]Project
	resources map[Ref]*Resource   // replaced, never changed
	inOrder   []*Resource         // the same, by reference
	gone      map[string]bool     // subjects of projects and resources that were deleted
	standing  map[string]bool     // ids of the versions that are not destroyed
	lately    []string            // ids of the versions that were destroyed, the newest few thousand
	owned     map[domain.Name]int // how many resources each group answers for
	in        map[domain.Name]int // how many are in each project
}

// Project is the project of that name; one that was deleted is not there.
func (s State) Project(n domain.Name) (Project, bool) {
	p, ok := s.projects[n]
	return p, ok
}

// Projects is every project, by name.
func (s State) Projects() []Project {
	out := make([]Project, 0, len(s.projects))
	for _, n := range slices.Sorted(maps.Keys(s.projects)) {
		out = append(out, s.projects[n])
	}
	return out
}

// Resource is what the reference names; what was deleted is not there.
func (s State) Resource(r Ref) (Resource, bool) {
	if found := s.resources[r]; found != nil {
		return *found, true
	}
	return Resource{}, false
}

// Resources is every resource, by reference.
func (s State) Resources() []Resource {
	out := make([]Resource, 0, len(s.inOrder))
	for r := range s.Behind("") {
		out = append(out, *r)
	}
	return out
}

// Behind is every resource whose reference comes after one, by reference.
func (s State) Behind(after Ref) iter.Seq[*Resource] {
	from, found := s.find(after)
	if found {
		from++
	}
	return slices.Values(s.inOrder[from:])
}

// find is where in the order a reference is, or would be.
func (s State) find(ref Ref) (at int, found bool) {
	return slices.BinarySearchFunc(s.inOrder, ref, func(r *Resource, ref Ref) int { return cmp.Compare(r.Ref, ref) })
}

// In is how many resources are in the project.
func (s State) In(project domain.Name) int { return s.in[project] }

// Standing tells whether there is a version of that id that is not destroyed.
func (s State) Standing(id string) bool { return s.standing[id] }

// IDs is the ids of all versions that are not destroyed, in no order.
func (s State) IDs() []string { return slices.Collect(maps.Keys(s.standing)) }

// Destroyed is the ids of versions that were destroyed, oldest first: of the
// newest few thousand, since nobody asks for those long gone.
func (s State) Destroyed() []string { return slices.Clone(s.lately) }

// made gives a zero state its maps.
func (s State) made() State {
	if s.projects == nil {
		s.projects, s.resources = map[domain.Name]Project{}, map[Ref]*Resource{}
		s.gone, s.standing, s.owned, s.in = map[string]bool{}, map[string]bool{}, map[domain.Name]int{}, map[domain.Name]int{}
	}
	return s
}

// put has the resource in place of what was there. What was read of it before
// stays as it was read: lists and maps are replaced, never changed.
func (s State) put(r Resource) State {
	s.resources[r.Ref] = &r
	s.count(r, 1)
	at, there := s.find(r.Ref)
	if !there {
		s.inOrder = slices.Insert(s.inOrder, at, &r)
		return s
	}
	s.count(*s.inOrder[at], -1)
	s.inOrder[at] = &r
	return s
}

// count counts what the owner of a resource answers for, and what is in its project.
func (s State) count(r Resource, by int) {
	for _, of := range []struct {
		counts map[domain.Name]int
		name   domain.Name
	}{{s.owned, r.Owner.Group}, {s.in, r.Project}} {
		if of.counts[of.name] += by; of.name == "" || of.counts[of.name] == 0 {
			delete(of.counts, of.name)
		}
	}
}

// Names tells whether the group is the owner of a resource, and so may be asked to approve.
func (s State) Names(group domain.Name) bool { return s.owned[group] > 0 }

// NamesPerson tells whether somebody is the owner of a resource, who may be nobody yet.
func (s State) NamesPerson(n domain.Name) bool {
	for _, r := range s.resources {
		if r.Owner.Person == n {
			return true
		}
	}
	return false
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
		return s, fmt.Errorf("%s is not an event of resources", e.Type)
	}
	return ev.evolve(s.made(), e)
}
