package request

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"sallyport.dev/domain"
)

// TypeStatus says what a request type is good for.
type TypeStatus string

const (
	// Draft: never published.
	Draft TypeStatus = "draft"
	// Published: requests are raised under its published version.
	Published TypeStatus = "published"
	// Disabled: no new requests; those under way take their course.
	Disabled TypeStatus = "disabled"
	// Deleted: as disabled, for good; its name is never given again.
	Deleted TypeStatus = "deleted"
)

// Type is a request type as the log tells it.
type Type struct {
	Name                 domain.Name
	Status               TypeStatus
	Version              uint64 // of Newest, as in If-Match
	Newest               *Spec  // never modified
	Published            *Spec  // under which requests are raised; nil: none are
	PublishedVersion     uint64
	ByOwner              bool // an owner published that version
	CreatedAt, UpdatedAt time.Time
	CreatedBy, UpdatedBy string
	PublishedAt          time.Time
	PublishedBy          string
}

// maxTypes is how many request types there may be.
const maxTypes = 1000

// manages tells whether somebody writes request types.
func manages(a domain.Actor) error {
	if a.Has(domain.SecurityAdmin) || a.IsSystem() {
		return nil
	}
	return ErrRole
}

// found is the type at that version, for who may change it.
func (s State) found(n domain.Name, version uint64, a domain.Actor) (Type, error) {
	t, ok := s.Type(n)
	switch err := manages(a); {
	case err != nil:
		return t, err
	case !ok:
		return t, ErrTypeNotFound
	case t.Version != version:
		return t, ErrStale
	}
	return t, nil
}

func aboutType(n domain.Name, e Event) []domain.Fact {
	return []domain.Fact{{Subject: "request_type/" + n.String(), Event: e}}
}

// named is the type that the envelope's subject names.
func (s State) named(e domain.Envelope) (Type, error) {
	text, ok := bytes.CutPrefix([]byte(e.Subject), []byte("request_type/"))
	n, err := domain.ParseName(string(text))
	if !ok || err != nil {
		return Type{}, fmt.Errorf("the subject %q names no request type", e.Subject)
	}
	t := s.types[n]
	t.Name = n
	return t, nil
}

// there is the type that the envelope's subject names, which has to be there.
func (s State) there(e domain.Envelope) (Type, error) {
	t, err := s.named(e)
	if err == nil && (t.Status == "" || t.Status == Deleted) {
		err = fmt.Errorf("there is no request type %q", t.Name)
	}
	return t, err
}

// DraftType writes a new request type, which nobody can use until it is published.
type DraftType struct {
	Name domain.Name
	Spec Spec // as written; it is completed
}

func (c DraftType) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	spec, invalid := Complete(c.Spec)
	was, taken := s.types[c.Name]
	switch err := manages(m.Actor); {
	case err != nil:
		return nil, err
	case invalid != nil:
		return nil, invalid
	case taken && was.Status == Draft && was.Version == 1 && same(*was.Newest, spec):
		return nil, nil // already so
	case taken:
		return nil, ErrTypeTaken
	case len(s.Types()) >= maxTypes:
		return nil, ErrTypeTooMany
	}
	return aboutType(c.Name, TypeWasDrafted{Spec: spec}), nil
}

// same tells whether two complete types say the same.
func same(a, b Spec) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// TypeWasDrafted records a new request type.
type TypeWasDrafted struct {
	Spec Spec `json:"spec"`
}

// EventType is request_type.drafted.
func (TypeWasDrafted) EventType() string { return "request_type.drafted" }

func (e TypeWasDrafted) evolve(s State, env domain.Envelope) (State, error) {
	t, err := s.named(env)
	if err == nil && t.Status != "" {
		err = fmt.Errorf("request type %q was drafted twice", t.Name)
	}
	if err != nil {
		return s, err
	}
	t.Status, t.Version, t.Newest = Draft, 1, &e.Spec
	t.CreatedAt, t.CreatedBy, t.UpdatedAt, t.UpdatedBy = env.Time, env.Actor, env.Time, env.Actor
	s.types[t.Name] = t
	return s, nil
}

// EditType replaces what a request type says. Of a published one it has no
// effect until that is published too.
type EditType struct {
	Name    domain.Name
	Version uint64 // as in If-Match
	Spec    Spec   // as written; it is completed
}

func (c EditType) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	t, err := s.found(c.Name, c.Version, m.Actor)
	if err != nil {
		return nil, err
	}
	spec, err := Complete(c.Spec)
	if err != nil || same(*t.Newest, spec) {
		return nil, err // already so
	}
	return aboutType(c.Name, TypeWasEdited{Version: t.Version + 1, Spec: spec}), nil
}

// TypeWasEdited records a new version of a request type.
type TypeWasEdited struct {
	Version uint64 `json:"version"`
	Spec    Spec   `json:"spec"`
}

// EventType is request_type.edited.
func (TypeWasEdited) EventType() string { return "request_type.edited" }

func (e TypeWasEdited) evolve(s State, env domain.Envelope) (State, error) {
	t, err := s.there(env)
	if err == nil && e.Version != t.Version+1 {
		err = fmt.Errorf("version %d of request type %q follows version %d", e.Version, t.Name, t.Version)
	}
	if err != nil {
		return s, err
	}
	t.Version, t.Newest, t.UpdatedAt, t.UpdatedBy = e.Version, &e.Spec, env.Time, env.Actor
	s.types[t.Name] = t
	return s, nil
}

// PublishType has requests raised under the newest version from now on.
type PublishType struct {
	Name    domain.Name
	Version uint64 // as in If-Match: the one that was read
	World   World
}

func (c PublishType) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	owner := m.Actor.Has(domain.Owner)
	if !owner && manages(m.Actor) != nil {
		return nil, ErrRole.With("Only a security_admin publishes request types, or an owner those that list groups with admin roles.")
	}
	t, ok := s.Type(c.Name)
	switch {
	case !ok:
		return nil, ErrTypeNotFound
	case t.Version != c.Version:
		return nil, ErrStale
	}
	bears := slices.ContainsFunc(t.Newest.Groups, func(g domain.Name) bool { b, _ := c.World.Group(g); return b })
	switch {
	case bears && !owner:
		return nil, ErrOwnerOnly
	case !bears && manages(m.Actor) != nil:
		return nil, ErrRole.With("The request type lists no group with admin roles, so a security_admin publishes it.")
	case t.Status == Published && t.PublishedVersion == t.Version && (t.ByOwner || !owner):
		return nil, nil // already so
	}
	return aboutType(c.Name, TypeWasPublished{Version: t.Version, ByOwner: owner}), nil
}

// TypeWasPublished records under which version requests are raised from then on.
type TypeWasPublished struct {
	Version uint64 `json:"version"`
	ByOwner bool   `json:"by_owner,omitempty"` // so it may give membership of groups that bear admin roles
}

// EventType is request_type.published.
func (TypeWasPublished) EventType() string { return "request_type.published" }

func (e TypeWasPublished) evolve(s State, env domain.Envelope) (State, error) {
	t, err := s.there(env)
	if err == nil && e.Version != t.Version {
		err = fmt.Errorf("version %d of request type %q was published, which is at %d", e.Version, t.Name, t.Version)
	}
	if err != nil {
		return s, err
	}
	t.Status, t.Published, t.PublishedVersion, t.ByOwner = Published, t.Newest, e.Version, e.ByOwner
	t.PublishedAt, t.PublishedBy = env.Time, env.Actor
	s.types[t.Name] = t
	return s, nil
}

// DisableType lets no more requests be raised; those under way, and what was
// approved, take their course.
type DisableType struct {
	Name    domain.Name
	Version uint64 // as in If-Match
}

func (c DisableType) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	t, err := s.found(c.Name, c.Version, m.Actor)
	if err != nil || t.Status != Published {
		return nil, err // already so: none can be raised
	}
	return aboutType(c.Name, TypeWasDisabled{}), nil
}

// TypeWasDisabled records that no more requests are raised under a type.
type TypeWasDisabled struct{}

// EventType is request_type.disabled.
func (TypeWasDisabled) EventType() string { return "request_type.disabled" }

func (TypeWasDisabled) evolve(s State, env domain.Envelope) (State, error) {
	t, err := s.there(env)
	if err == nil && t.Status != Published {
		err = fmt.Errorf("request type %q was disabled and was not published", t.Name)
	}
	if err != nil {
		return s, err
	}
	t.Status, t.Published, t.PublishedVersion, t.ByOwner = Disabled, nil, 0, false
	s.types[t.Name] = t
	return s, nil
}

// DeleteType ends a request type for good; requests under way, and what was
// approved, take their course.
type DeleteType struct {
	Name    domain.Name
	Version uint64 // as in If-Match
}

func (c DeleteType) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if _, err := s.found(c.Name, c.Version, m.Actor); err != nil {
		return nil, err
	}
	return aboutType(c.Name, TypeWasDeleted{}), nil
}

// TypeWasDeleted records that a request type is gone.
type TypeWasDeleted struct{}

// EventType is request_type.deleted.
func (TypeWasDeleted) EventType() string { return "request_type.deleted" }

func (TypeWasDeleted) evolve(s State, env domain.Envelope) (State, error) {
	t, err := s.there(env)
	if err != nil {
		return s, err
	}
	s.types[t.Name] = Type{Name: t.Name, Status: Deleted} // what must be known for ever: that there was one
	return s, nil
}
