package resource

import (
	"fmt"

	"sallyport.dev/domain"
)

// mayManage tells whether the actor manages resources.
func mayManage(m domain.Meta) error {
	if !m.Actor.Has(domain.ResourceAdmin) {
		return ErrRole
	}
	return nil
}

func projectSubject(n domain.Name) string { return "project/" + n.String() }

// CreateProject makes a project.
type CreateProject struct {
	Name domain.Name
	Spec ProjectSpec
}

func (c CreateProject) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayManage(m); err != nil {
		return nil, err
	}
	spec, err := c.Spec.complete()
	if err != nil {
		return nil, err
	}
	if _, there := s.projects[c.Name]; there || s.gone[projectSubject(c.Name)] {
		return nil, ErrProjectTaken
	}
	if len(s.projects) >= MaxProjects {
		return nil, ErrTooMany
	}
	return fact(projectSubject(c.Name), ProjectWasCreated{Name: c.Name, ProjectSpec: spec}), nil
}

// fact is the one fact that follows.
func fact(subject string, e Event) []domain.Fact {
	return []domain.Fact{{Subject: subject, Event: e}}
}

// ProjectWasCreated records that a project came to be.
type ProjectWasCreated struct {
	Name domain.Name `json:"name"`
	ProjectSpec
}

// EventType is project.created.
func (ProjectWasCreated) EventType() string { return "project.created" }

func (e ProjectWasCreated) evolve(s State, env domain.Envelope) (State, error) {
	if _, there := s.projects[e.Name]; there || s.gone[projectSubject(e.Name)] {
		return s, fmt.Errorf("project %q was created before", e.Name)
	}
	s.projects[e.Name] = Project{
		Name: e.Name, ProjectSpec: e.ProjectSpec, Version: 1,
		CreatedAt: env.Time, UpdatedAt: env.Time, CreatedBy: env.Actor, UpdatedBy: env.Actor,
	}
	return s, nil
}

// EditProject replaces what people wrote of a project.
type EditProject struct {
	Name    domain.Name
	Version uint64 // as in If-Match
	Spec    ProjectSpec
}

func (c EditProject) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayManage(m); err != nil {
		return nil, err
	}
	p, there := s.projects[c.Name]
	switch {
	case !there:
		return nil, ErrProjectNotFound
	case c.Version != p.Version:
		return nil, ErrStale
	}
	spec, err := c.Spec.complete()
	if err != nil {
		return nil, err
	}
	if spec == p.ProjectSpec {
		return nil, nil // already so
	}
	return fact(projectSubject(c.Name), ProjectWasEdited{Name: c.Name, Version: p.Version + 1, ProjectSpec: spec}), nil
}

// ProjectWasEdited records a further version of a project.
type ProjectWasEdited struct {
	Name    domain.Name `json:"name"`
	Version uint64      `json:"version"`
	ProjectSpec
}

// EventType is project.edited.
func (ProjectWasEdited) EventType() string { return "project.edited" }

func (e ProjectWasEdited) evolve(s State, env domain.Envelope) (State, error) {
	p, there := s.projects[e.Name]
	if !there || e.Version != p.Version+1 {
		return s, fmt.Errorf("project %q was edited to version %d and was at %d", e.Name, e.Version, p.Version)
	}
	p.ProjectSpec, p.Version, p.UpdatedAt, p.UpdatedBy = e.ProjectSpec, e.Version, env.Time, env.Actor
	s.projects[e.Name] = p
	return s, nil
}

// DeleteProject takes a project away that has no resources; its name is never given again.
type DeleteProject struct {
	Name    domain.Name
	Version uint64 // as in If-Match
}

func (c DeleteProject) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	if err := mayManage(m); err != nil {
		return nil, err
	}
	p, there := s.projects[c.Name]
	switch {
	case !there:
		return nil, ErrProjectNotFound
	case c.Version != p.Version:
		return nil, ErrStale
	case s.In(c.Name) > 0:
		return nil, ErrProjectNotEmpty
	}
	return fact(projectSubject(c.Name), ProjectWasDeleted{Name: c.Name}), nil
}

// ProjectWasDeleted records that a project is gone.
type ProjectWasDeleted struct {
	Name domain.Name `json:"name"`
}

// EventType is project.deleted.
func (ProjectWasDeleted) EventType() string { return "project.deleted" }

func (e ProjectWasDeleted) evolve(s State, _ domain.Envelope) (State, error) {
	if _, there := s.projects[e.Name]; !there || s.In(e.Name) > 0 {
		return s, fmt.Errorf("project %q was deleted, which was not there or had resources", e.Name)
	}
	delete(s.projects, e.Name)
	s.gone[projectSubject(e.Name)] = true
	return s, nil
}
