package resource

import (
	"fmt"
	"maps"
	"slices"

	"sallyport.dev/domain"
)

// CreateServer makes a server known.
type CreateServer struct {
	Name domain.Name
	Spec ServerSpec
}

func (c CreateServer) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayManage(m); err != nil {
		return nil, err
	}
	spec, err := c.Spec.complete(s)
	if err != nil {
		return nil, err
	}
	ref := ServerRef(c.Name)
	if s.given(ref) {
		return nil, ErrServerTaken
	}
	if len(s.resources) >= MaxResources {
		return nil, ErrTooMany
	}
	return fact(string(ref), ServerWasCreated{Name: c.Name, ServerSpec: spec}), nil
}

// given tells whether the reference names, or named, a resource.
func (s State) given(r Ref) bool {
	_, there := s.Resource(r)
	return there || s.gone[string(r)]
}

// ServerWasCreated records that a server became known.
type ServerWasCreated struct {
	Name domain.Name `json:"name"`
	ServerSpec
}

// EventType is server.created.
func (ServerWasCreated) EventType() string { return "server.created" }

func (e ServerWasCreated) evolve(s State, env domain.Envelope) (State, error) {
	r := Resource{
		Ref: ServerRef(e.Name), Kind: Server, Name: e.Name.String(), Version: 1,
		CreatedAt: env.Time, UpdatedAt: env.Time, CreatedBy: env.Actor, UpdatedBy: env.Actor,
	}
	if _, known := s.projects[e.Project]; !known || s.given(r.Ref) {
		return s, fmt.Errorf("server %q was created before, or in no project", e.Name)
	}
	return s.put(r.server(e.ServerSpec)), nil
}

// server is the resource as the spec has it.
func (r Resource) server(spec ServerSpec) Resource {
	r.Project, r.Description, r.Labels, r.Owner, r.ServerSpec = spec.Project, spec.Description, spec.Labels, spec.Owner, &spec
	return r
}

// EditServer replaces what people wrote of a server.
type EditServer struct {
	Name    domain.Name
	Version uint64 // as in If-Match
	Spec    ServerSpec
}

func (c EditServer) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayManage(m); err != nil {
		return nil, err
	}
	r, there := s.Resource(ServerRef(c.Name))
	switch {
	case !there:
		return nil, ErrServerNotFound
	case c.Version != r.Version:
		return nil, ErrStale
	}
	spec, err := c.Spec.complete(s)
	if err != nil {
		return nil, err
	}
	if spec.equal(*r.ServerSpec) {
		return nil, nil // already so
	}
	for account := range r.Passwords {
		if _, stays := spec.Vaulted(account); !stays && r.stands(account) > 0 {
			return nil, ErrAccountInUse.With("Account %s has a password in the vault: destroy its versions before the account is taken away or made personal.", account)
		}
	}
	return fact(string(r.Ref), ServerWasEdited{Name: c.Name, Version: r.Version + 1, ServerSpec: spec}), nil
}

// Vaulted is the vaulted account of that name.
func (p ServerSpec) Vaulted(account domain.Name) (Account, bool) {
	i := slices.IndexFunc(p.Accounts, func(a Account) bool { return a.Name == account && a.Kind == Vaulted })
	if i < 0 {
		return Account{}, false
	}
	return p.Accounts[i], true
}

func (p ServerSpec) equal(q ServerSpec) bool {
	return p.Description == q.Description && p.Project == q.Project && p.Address == q.Address && p.Port == q.Port &&
		p.Owner == q.Owner && p.AnySource == q.AnySource && p.OwnPrincipals == q.OwnPrincipals && maps.Equal(p.Labels, q.Labels) &&
		slices.Equal(p.Accounts, q.Accounts) && slices.Equal(p.HostKeys, q.HostKeys)
}

// stands counts the versions that are not destroyed.
func (r Resource) stands(account domain.Name) (n int) {
	for _, v := range r.Versioned(account) {
		if v.DestroyedAt.IsZero() {
			n++
		}
	}
	return n
}

// ServerWasEdited records a further version of a server.
type ServerWasEdited struct {
	Name    domain.Name `json:"name"`
	Version uint64      `json:"version"`
	ServerSpec
}

// EventType is server.edited.
func (ServerWasEdited) EventType() string { return "server.edited" }

func (e ServerWasEdited) evolve(s State, env domain.Envelope) (State, error) {
	r, there := s.Resource(ServerRef(e.Name))
	_, known := s.projects[e.Project]
	if !there || !known || e.Version != r.Version+1 {
		return s, fmt.Errorf("server %q was edited to version %d and was at %d", e.Name, e.Version, r.Version)
	}
	r.Version, r.UpdatedAt, r.UpdatedBy = e.Version, env.Time, env.Actor
	return s.put(r.server(e.ServerSpec)), nil
}

// DeleteServer takes a server away and destroys the passwords of its accounts;
// its name is never given again.
type DeleteServer struct {
	Name    domain.Name
	Version uint64 // as in If-Match
}

func (c DeleteServer) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayManage(m); err != nil {
		return nil, err
	}
	r, there := s.Resource(ServerRef(c.Name))
	switch {
	case !there:
		return nil, ErrServerNotFound
	case c.Version != r.Version:
		return nil, ErrStale
	}
	return fact(string(r.Ref), ServerWasDeleted{Name: c.Name}), nil
}

// ServerWasDeleted records that a server is gone, and every password of its accounts destroyed.
type ServerWasDeleted struct {
	Name domain.Name `json:"name"`
}

// EventType is server.deleted.
func (ServerWasDeleted) EventType() string { return "server.deleted" }

func (e ServerWasDeleted) evolve(s State, _ domain.Envelope) (State, error) {
	return s.remove(ServerRef(e.Name))
}

// remove takes a resource out, for good.
func (s State) remove(ref Ref) (State, error) {
	r, there := s.Resource(ref)
	if !there {
		return s, fmt.Errorf("%s was deleted and was not there", ref)
	}
	for _, v := range r.all() {
		if v.DestroyedAt.IsZero() {
			s = s.bury(v.ID)
		}
	}
	s.count(r, -1)
	delete(s.resources, ref)
	if at, found := s.find(ref); found {
		s.inOrder = slices.Delete(s.inOrder, at, at+1)
	}
	s.gone[string(ref)] = true
	return s, nil
}

// all is every version of a secret, or of all passwords of a server.
func (r Resource) all() []Version {
	out := slices.Clone(r.Versions)
	for _, account := range slices.Sorted(maps.Keys(r.Passwords)) {
		out = append(out, r.Passwords[account]...)
	}
	return out
}

// IDs is the ids of all versions that are not destroyed, those of passwords too.
func (r Resource) IDs() (ids []string) {
	for _, v := range r.all() {
		if v.DestroyedAt.IsZero() {
			ids = append(ids, v.ID)
		}
	}
	return ids
}
