package admin

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

// publishers publish request types: which of the two, what the type lists decides.
var publishers = []domain.Role{domain.Owner, domain.SecurityAdmin}

// typeRequest is a request type as people write it. What only the server says
// is accepted and ignored.
type typeRequest struct {
	document
	request.Spec

	Status           json.RawMessage `json:"status"`
	PublishedVersion json.RawMessage `json:"published_version"`
	PublishedAt      json.RawMessage `json:"published_at"`
	PublishedBy      json.RawMessage `json:"published_by"`
	ByOwner          json.RawMessage `json:"by_owner"`
	Missing          json.RawMessage `json:"missing"`
}

// shownType is a request type as answered: to those who may read all of them its
// newest version, to everybody else the published one.
type shownType struct {
	Name domain.Name `json:"name"`
	request.Spec
	Status           request.TypeStatus `json:"status"`
	Version          uint64             `json:"version"`
	PublishedVersion uint64             `json:"published_version,omitempty"` // under which requests are raised
	ByOwner          bool               `json:"by_owner,omitempty"`          // an owner published that
	PublishedAt      time.Time          `json:"published_at,omitzero"`
	PublishedBy      string             `json:"published_by,omitempty"`
	Missing          []string           `json:"missing,omitempty"` // pointers to groups and people that are not there, and let nobody in
	CreatedAt        time.Time          `json:"created_at"`
	CreatedBy        string             `json:"created_by"`
	UpdatedAt        time.Time          `json:"updated_at"`
	UpdatedBy        string             `json:"updated_by"`
}

// requestTypes are the routes of request types.
func (h *Admin) requestTypes() []api.Route {
	return collection[typeRequest, shownType]{
		org: h.org, path: "/request-types", member: "request_types", readers: everybody, writers: reviewers, notFound: request.ErrTypeNotFound,
		document: func(in *typeRequest) *document { return &in.document },
		check: func(in *typeRequest) []domain.FieldError {
			_, err := request.Complete(in.Spec)
			return fieldsOf(err)
		},
		all: func(c *api.Call, s *control.State) (out []shownType) {
			for _, t := range s.Requests().Types() {
				if shown, ok := showType(c, s, t); ok {
					out = append(out, shown)
				}
			}
			return out
		},
		find: func(c *api.Call, s *control.State, n domain.Name) (shownType, uint64, bool) {
			t, ok := s.Requests().Type(n)
			if !ok {
				return shownType{}, 0, false
			}
			shown, ok := showType(c, s, t)
			return shown, shown.Version, ok
		},
		create: func(s *control.State, n domain.Name, in typeRequest, m domain.Meta) ([]domain.Fact, error) {
			return request.Decide(s.Requests(), request.DraftType{Name: n, Spec: in.Spec}, m)
		},
		replace: func(s *control.State, n domain.Name, version uint64, in typeRequest, m domain.Meta) ([]domain.Fact, error) {
			return request.Decide(s.Requests(), request.EditType{Name: n, Version: version, Spec: in.Spec}, m)
		},
		remove: func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
			return request.Decide(s.Requests(), request.DeleteType{Name: n, Version: version}, m)
		},
		actions: []action{
			{word: "publish", roles: publishers, decide: func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
				return request.Decide(s.Requests(), request.PublishType{Name: n, Version: version, World: s.RequestWorld(s.Later(m.Now))}, m)
			}},
			{word: "disable", decide: func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
				return request.Decide(s.Requests(), request.DisableType{Name: n, Version: version}, m)
			}},
		},
	}.routes()
}

// showType is the type as the caller may see it; ok is false where they may not.
func showType(c *api.Call, s *control.State, t request.Type) (shown shownType, ok bool) {
	spec, version := t.Newest, t.Version
	if !slices.ContainsFunc(readers, c.Meta.Actor.Has) {
		if t.Published == nil {
			return shownType{}, false
		}
		spec, version = t.Published, t.PublishedVersion
	}
	return shownType{
		Name: t.Name, Spec: *spec, Status: t.Status, Version: version, PublishedVersion: t.PublishedVersion, ByOwner: t.ByOwner,
		PublishedAt: t.PublishedAt, PublishedBy: t.PublishedBy, Missing: missingFrom(s.RequestWorld(s.Later(c.Meta.Now)), *spec),
		CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy, UpdatedAt: t.UpdatedAt, UpdatedBy: t.UpdatedBy,
	}, true
}

// missingFrom points at the groups and people that the type names and that are not there.
func missingFrom(w request.World, spec request.Spec) (missing []string) {
	group := func(pointer string, n domain.Name) {
		if _, there := w.Group(n); n != "" && !there {
			missing = append(missing, pointer)
		}
	}
	approvers := func(pointer string, a request.Approvers) {
		group(pointer+"/group", a.Group)
		for i, p := range a.People {
			if !w.Known(p) {
				missing = append(missing, pointer+"/people/"+strconv.Itoa(i))
			}
		}
	}
	for i, n := range spec.Groups {
		group("/groups/"+strconv.Itoa(i), n)
	}
	for i, st := range spec.Steps {
		at := "/steps/" + strconv.Itoa(i)
		approvers(at+"/approvers", st.Approvers)
		if st.Escalate != nil {
			approvers(at+"/escalate/to", st.Escalate.To)
		}
	}
	return missing
}
