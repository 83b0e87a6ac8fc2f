package admin

import (
	"encoding/json"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

// stewards manage what there is to reach.
var stewards = []domain.Role{domain.ResourceAdmin}

// projectRequest is a project as written.
type projectRequest struct {
	document
	resource.ProjectSpec

	Resources json.RawMessage `json:"resources"`
}

// shownProject is a project as answered.
type shownProject struct {
	Name        domain.Name       `json:"name"`
	Description string            `json:"description"`
	Checkout    resource.Checkout `json:"checkout"`
	Resources   int               `json:"resources"` // how many are in it
	Version     uint64            `json:"version"`
	CreatedAt   time.Time         `json:"created_at"`
	CreatedBy   string            `json:"created_by"`
	UpdatedAt   time.Time         `json:"updated_at"`
	UpdatedBy   string            `json:"updated_by"`
}

// projects is the routes of projects.
func (h *Admin) projects() []api.Route {
	return collection[projectRequest, shownProject]{
		org: h.org, path: "/projects", member: "projects", readers: readers, writers: stewards, notFound: resource.ErrProjectNotFound,
		document: func(in *projectRequest) *document { return &in.document },
		all: func(_ *api.Call, s *control.State) (all []shownProject) {
			for _, p := range s.Resources().Projects() {
				all = append(all, showProject(p, s.Resources().In(p.Name)))
			}
			return all
		},
		find: func(_ *api.Call, s *control.State, n domain.Name) (shownProject, uint64, bool) {
			p, ok := s.Resources().Project(n)
			return showProject(p, s.Resources().In(n)), p.Version, ok
		},
		create: func(s *control.State, n domain.Name, in projectRequest, m domain.Meta) ([]domain.Fact, error) {
			return resource.Decide(s.Resources(), resource.CreateProject{Name: n, Spec: in.ProjectSpec}, m)
		},
		replace: func(s *control.State, n domain.Name, version uint64, in projectRequest, m domain.Meta) ([]domain.Fact, error) {
			return resource.Decide(s.Resources(), resource.EditProject{Name: n, Version: version, Spec: in.ProjectSpec}, m)
		},
		remove: func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
			return resource.Decide(s.Resources(), resource.DeleteProject{Name: n, Version: version}, m)
		},
	}.routes()
}

func showProject(p resource.Project, used int) shownProject {
	return shownProject{
		Name: p.Name, Description: p.Description, Checkout: p.Checkout, Resources: used, Version: p.Version,
		CreatedAt: p.CreatedAt, CreatedBy: p.CreatedBy, UpdatedAt: p.UpdatedAt, UpdatedBy: p.UpdatedBy,
	}
}
