package resource

import (
	"fmt"
	"maps"

	"sallyport.dev/domain"
)

// CreateSecret makes a secret, with its first version if there is one.
type CreateSecret struct {
	Path string // from [ParsePath]
	Spec SecretSpec
	// ID and Hash are those of the first version, as in [AddVersion]; "" none is put.
	ID, Hash string
	Allowed  bool // a policy lets the caller create it
}

func (c CreateSecret) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayWrite(m, c.Allowed); err != nil {
		return nil, err
	}
	// Owners approve, and who is in a group that owns something is no longer for
	// everybody to change: a policy that lets one create secrets does not give that.
	if c.Spec.Owner != (Owner{}) && !m.Actor.Has(domain.ResourceAdmin) {
		return nil, ErrOwner
	}
	spec, err := c.Spec.complete(s)
	if err != nil {
		return nil, err
	}
	ref := SecretRef(c.Path)
	if s.given(ref) {
		return nil, ErrSecretTaken
	}
	if len(s.resources) >= MaxResources {
		return nil, ErrTooMany
	}
	facts := fact(string(ref), SecretWasCreated{Path: c.Path, SecretSpec: spec})
	if c.ID != "" {
		switch {
		case s.known(c.ID):
			return nil, ErrNumber
		case len(s.standing) >= MaxValues:
			return nil, ErrTooMany
		}
		facts = append(facts, fact(string(ref), VersionWasAdded{Path: c.Path, Version: 1, ID: c.ID, Hash: c.Hash})...)
	}
	return facts, nil
}

// mayWrite tells whether the actor writes secrets: by role, or as a policy allows.
func mayWrite(m domain.Meta, allowed bool) error {
	if allowed {
		return nil
	}
	return mayManage(m)
}

// SecretWasCreated records that a secret came to be; it has no value yet.
type SecretWasCreated struct {
	Path string `json:"path"`
	SecretSpec
}

// EventType is secret.created.
func (SecretWasCreated) EventType() string { return "secret.created" }

func (e SecretWasCreated) evolve(s State, env domain.Envelope) (State, error) {
	r := Resource{
		Ref: SecretRef(e.Path), Kind: Secret, Name: e.Path, Version: 1,
		CreatedAt: env.Time, UpdatedAt: env.Time, CreatedBy: env.Actor, UpdatedBy: env.Actor,
	}
	if _, known := s.projects[e.Project]; !known || s.given(r.Ref) {
		return s, fmt.Errorf("secret %q was created before, or in no project", e.Path)
	}
	return s.put(r.secret(e.SecretSpec)), nil
}

// secret is the resource as the spec has it.
func (r Resource) secret(spec SecretSpec) Resource {
	r.Project, r.Description, r.Labels, r.Owner = spec.Project, spec.Description, spec.Labels, spec.Owner
	return r
}

// EditSecret replaces what people wrote of a secret, and none of its versions.
type EditSecret struct {
	Path    string
	Version uint64 // as in If-Match
	Spec    SecretSpec
}

func (c EditSecret) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayManage(m); err != nil {
		return nil, err
	}
	r, there := s.Resource(SecretRef(c.Path))
	switch {
	case !there:
		return nil, ErrSecretNotFound
	case c.Version != r.Version:
		return nil, ErrStale
	}
	spec, err := c.Spec.complete(s)
	if err != nil {
		return nil, err
	}
	if spec.Description == r.Description && spec.Project == r.Project && spec.Owner == r.Owner && maps.Equal(spec.Labels, r.Labels) {
		return nil, nil // already so
	}
	return fact(string(r.Ref), SecretWasEdited{Path: c.Path, Version: r.Version + 1, SecretSpec: spec}), nil
}

// SecretWasEdited records that what people wrote of a secret changed.
type SecretWasEdited struct {
	Path    string `json:"path"`
	Version uint64 `json:"version"` // of what people wrote; versions of the value count apart
	SecretSpec
}

// EventType is secret.edited.
func (SecretWasEdited) EventType() string { return "secret.edited" }

func (e SecretWasEdited) evolve(s State, env domain.Envelope) (State, error) {
	r, there := s.Resource(SecretRef(e.Path))
	_, known := s.projects[e.Project]
	if !there || !known || e.Version != r.Version+1 {
		return s, fmt.Errorf("secret %q was edited to version %d and was at %d", e.Path, e.Version, r.Version)
	}
	r.Version, r.UpdatedAt, r.UpdatedBy = e.Version, env.Time, env.Actor
	return s.put(r.secret(e.SecretSpec)), nil
}

// DeleteSecret takes a secret away and destroys all its versions; its path is never given again.
type DeleteSecret struct {
	Path    string
	Allowed bool // a policy lets the caller delete it
}

func (c DeleteSecret) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayWrite(m, c.Allowed); err != nil {
		return nil, err
	}
	ref := SecretRef(c.Path)
	if _, there := s.Resource(ref); !there {
		return nil, ErrSecretNotFound
	}
	return fact(string(ref), SecretWasDeleted{Path: c.Path}), nil
}

// SecretWasDeleted records that a secret is gone and all its versions are destroyed.
type SecretWasDeleted struct {
	Path string `json:"path"`
}

// EventType is secret.deleted.
func (SecretWasDeleted) EventType() string { return "secret.deleted" }

func (e SecretWasDeleted) evolve(s State, _ domain.Envelope) (State, error) {
	return s.remove(SecretRef(e.Path))
}
