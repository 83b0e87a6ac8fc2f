package resource

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport.dev/domain"
)

// AddVersion makes a value that is in the vault the newest version of a secret,
// or of the password of a server's vaulted account.
type AddVersion struct {
	Ref     Ref
	Account domain.Name // of a server; "" of a secret
	Number  int         // [Resource.Next] of the account: the vault's seal is bound to it
	ID      string      // ULID under which the vault has it
	Hash    string      // keyed hash of the value
	Allowed bool        // a policy lets the caller update the secret
}

func (c AddVersion) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	r, err := s.writable(m, c.Ref, c.Account, c.Allowed)
	switch {
	case err != nil:
		return nil, err
	case r.stands(c.Account) >= MaxVersions:
		return nil, ErrTooManyVersions
	case len(s.standing) >= MaxValues:
		return nil, ErrTooMany
	case c.Number != r.Next(c.Account) || s.known(c.ID):
		return nil, ErrNumber
	}
	e := VersionWasAdded{Version: c.Number, ID: c.ID, Hash: c.Hash, Account: c.Account}
	e.Path, e.Server = r.named()
	return fact(string(c.Ref), e), nil
}

// writable is the resource, if the actor may write that value of it.
func (s State) writable(m domain.Meta, ref Ref, account domain.Name, allowed bool) (Resource, error) {
	isServer := strings.HasPrefix(string(ref), "server/")
	if err := mayWrite(m, allowed && !isServer); err != nil {
		return Resource{}, err
	}
	r, there := s.Resource(ref)
	switch {
	case !there && isServer:
		return r, ErrServerNotFound
	case !there:
		return r, ErrSecretNotFound
	case isServer:
		if _, vaulted := r.ServerSpec.Vaulted(account); !vaulted {
			return r, ErrAccountNotFound
		}
	case account != "":
		return r, ErrAccountNotFound
	}
	return r, nil
}

// named is the path of a secret, or the name of a server.
func (r Resource) named() (path string, server domain.Name) {
	if r.Kind == Secret {
		return r.Name, ""
	}
	return "", domain.Name(r.Name)
}

// Next is the number of the next version.
func (r Resource) Next(account domain.Name) int {
	versions := r.Versioned(account)
	if len(versions) == 0 {
		return 1
	}
	return versions[len(versions)-1].Number + 1
}

// known tells whether a version has, or lately had, the id.
func (s State) known(id string) bool { return s.standing[id] || slices.Contains(s.lately, id) }

// VersionWasAdded records that a value was put. The value is in the vault alone.
type VersionWasAdded struct {
	Path    string      `json:"path,omitempty"`   // of a secret
	Server  domain.Name `json:"server,omitempty"` // of a password
	Account domain.Name `json:"account,omitempty"`
	Version int         `json:"version"`
	ID      string      `json:"id"`
	Hash    string      `json:"hash"` // HMAC-SHA-256 under a key of the organisation's, base64url
}

// EventType is secret.version_added.
func (VersionWasAdded) EventType() string { return "secret.version_added" }

// ref is what the event is about.
func ref(path string, server domain.Name) Ref {
	if path != "" {
		return SecretRef(path)
	}
	return ServerRef(server)
}

func (e VersionWasAdded) evolve(s State, env domain.Envelope) (State, error) {
	r, there := s.Resource(ref(e.Path, e.Server))
	if !there || e.Version != r.Next(e.Account) || s.standing[e.ID] {
		return s, fmt.Errorf("version %d of %s was added, which was not the next", e.Version, ref(e.Path, e.Server))
	}
	s.standing[e.ID] = true
	added := Version{Number: e.Version, ID: e.ID, AddedAt: env.Time, AddedBy: env.Actor}
	return s.put(r.with(e.Account, forget(append(slices.Clone(r.Versioned(e.Account)), added)))), nil
}

// with is the resource with other versions; what was read of it before stays.
func (r Resource) with(account domain.Name, versions []Version) Resource {
	if r.Kind == Secret {
		r.Versions = versions
		return r
	}
	r.Passwords = maps.Clone(r.Passwords)
	if r.Passwords == nil {
		r.Passwords = map[domain.Name][]Version{}
	}
	r.Passwords[account] = versions
	return r
}

// keep is how many versions are remembered: the destroyed ones among them are
// shown, older ones are in the log.
const keep = 2 * MaxVersions

// forget drops the oldest destroyed versions while there are more than are kept.
func forget(versions []Version) []Version {
	excess := len(versions) - keep
	if excess <= 0 {
		return versions
	}
	return slices.DeleteFunc(versions, func(v Version) bool {
		drop := excess > 0 && !v.DestroyedAt.IsZero()
		if drop {
			excess--
		}
		return drop
	})
}

// DestroyVersion makes one version unreadable for good.
type DestroyVersion struct {
	Ref     Ref
	Account domain.Name
	Number  int
	Allowed bool // a policy lets the caller delete the secret
}

func (c DestroyVersion) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	r, err := s.writable(m, c.Ref, c.Account, c.Allowed)
	if err != nil {
		return nil, err
	}
	if c.Number < 1 || c.Number >= r.Next(c.Account) {
		return nil, ErrVersionNotFound
	}
	v, err := r.Find(c.Account, c.Number)
	if err != nil {
		return nil, nil // already so
	}
	e := VersionWasDestroyed{Version: c.Number, ID: v.ID, Account: c.Account}
	e.Path, e.Server = r.named()
	return fact(string(c.Ref), e), nil
}

// VersionWasDestroyed records that a version is destroyed: the vault forgets its
// key once this is in the log.
type VersionWasDestroyed struct {
	Path    string      `json:"path,omitempty"`
	Server  domain.Name `json:"server,omitempty"`
	Account domain.Name `json:"account,omitempty"`
	Version int         `json:"version"`
	ID      string      `json:"id"`
}

// EventType is secret.version_destroyed.
func (VersionWasDestroyed) EventType() string { return "secret.version_destroyed" }

func (e VersionWasDestroyed) evolve(s State, env domain.Envelope) (State, error) {
	r, _ := s.Resource(ref(e.Path, e.Server))
	versions := slices.Clone(r.Versioned(e.Account))
	i := slices.IndexFunc(versions, func(v Version) bool { return v.Number == e.Version && v.ID == e.ID })
	if i < 0 || !versions[i].DestroyedAt.IsZero() {
		return s, fmt.Errorf("version %d of %s was destroyed, which did not stand", e.Version, ref(e.Path, e.Server))
	}
	versions[i].DestroyedAt = env.Time
	return s.bury(e.ID).put(r.with(e.Account, versions)), nil
}

// lately is bounded; when it has twice as many, the older half goes.
const lately = 10_000

// bury remembers that the version of that id is destroyed.
func (s State) bury(id string) State {
	delete(s.standing, id)
	s.lately = append(s.lately, id)
	if len(s.lately) >= 2*lately {
		s.lately = slices.Clone(s.lately[lately:])
	}
	return s
}
