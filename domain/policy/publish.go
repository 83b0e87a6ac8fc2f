package policy

import (
	"fmt"
	"time"

	"sallyport.dev/domain"
)

// Publish lets the newest version decide, in place of what was published before.
type Publish struct {
	Name    domain.Name
	Version uint64 // as in If-Match: the one that was read
}

func (c Publish) decide(s State, _ domain.Meta) ([]domain.Fact, error) {
	p, err := s.find(c.Name, c.Version)
	if err != nil || p.PublishedVersion == p.Version {
		return nil, err // already so: nothing happened, nothing to record
	}
	return fact(c.Name, WasPublished{Version: p.Version}), nil
}

// WasPublished records that a version began to decide.
type WasPublished struct {
	Version uint64 `json:"version"`
}

// EventType is policy.published.
func (WasPublished) EventType() string { return "policy.published" }

func (e WasPublished) evolve(s State, n domain.Name, env domain.Envelope) (State, error) {
	p := s.policies[n]
	if e.Version != p.Version {
		return s, fmt.Errorf("version %d of policy %s was published at version %d", e.Version, n, p.Version)
	}
	spec := p.Newest
	p.Published, p.PublishedVersion = &spec, e.Version
	p.PublishedAt, p.PublishedBy = env.Time, env.Actor
	p.expressions = make([]*expression, len(spec.Rules))
	for i, r := range spec.Rules {
		p.expressions[i] = &expression{text: r.Expression}
	}
	return s.put(p), nil
}

// Unpublish lets nothing of a policy decide any more; what was written stays.
type Unpublish struct {
	Name    domain.Name
	Version uint64 // as in If-Match
}

func (c Unpublish) decide(s State, _ domain.Meta) ([]domain.Fact, error) {
	p, err := s.find(c.Name, c.Version)
	if err != nil || p.Published == nil {
		return nil, err // already so: nothing happened, nothing to record
	}
	return fact(c.Name, WasUnpublished{Version: p.PublishedVersion}), nil
}

// WasUnpublished records that the version that decided does so no more.
type WasUnpublished struct {
	Version uint64 `json:"version"`
}

// EventType is policy.unpublished.
func (WasUnpublished) EventType() string { return "policy.unpublished" }

func (e WasUnpublished) evolve(s State, n domain.Name, _ domain.Envelope) (State, error) {
	p := s.policies[n]
	if p.Published == nil || e.Version != p.PublishedVersion {
		return s, fmt.Errorf("version %d of policy %s was unpublished, and version %d is published", e.Version, n, p.PublishedVersion)
	}
	p.Published, p.PublishedVersion, p.expressions = nil, 0, nil
	p.PublishedAt, p.PublishedBy = time.Time{}, ""
	return s.put(p), nil
}
