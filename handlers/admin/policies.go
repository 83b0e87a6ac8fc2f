package admin

import (
	"encoding/json"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

// policyRequest is a policy as people write it. What only the server says is
// accepted and ignored.
type policyRequest struct {
	document
	policy.Spec

	Status           json.RawMessage `json:"status"`
	PublishedVersion json.RawMessage `json:"published_version"`
	PublishedAt      json.RawMessage `json:"published_at"`
	PublishedBy      json.RawMessage `json:"published_by"`
	Pending          json.RawMessage `json:"pending"`
	Published        json.RawMessage `json:"published"`
	Missing          json.RawMessage `json:"missing"`
}

// Where a policy stands.
const (
	policyDraft     = "draft"     // it decides nothing
	policyPublished = "published" // a version of it decides
)

// shownPolicy is a policy as answered: its newest version, and beside it the one
// that decides where that is another.
type shownPolicy struct {
	Name domain.Name `json:"name"`
	policy.Spec
	Status           string       `json:"status"`
	Version          uint64       `json:"version"`
	PublishedVersion uint64       `json:"published_version,omitempty"` // which decides
	Pending          bool         `json:"pending"`                     // something else than the newest version decides
	Published        *policy.Spec `json:"published,omitempty"`         // what decides, while something is pending
	Missing          []string     `json:"missing,omitempty"`           // pointers to names that are not there, and let nobody in
	PublishedAt      time.Time    `json:"published_at,omitzero"`
	PublishedBy      string       `json:"published_by,omitempty"`
	CreatedAt        time.Time    `json:"created_at"`
	CreatedBy        string       `json:"created_by"`
	UpdatedAt        time.Time    `json:"updated_at"`
	UpdatedBy        string       `json:"updated_by"`
}

// policies are the routes of policies.
func (h *Admin) policies() []api.Route {
	return collection[policyRequest, shownPolicy]{
		org: h.org, path: "/policies", member: "policies", readers: readers, writers: reviewers, notFound: policy.ErrNotFound,
		parseName: policy.ParseName,
		document:  func(in *policyRequest) *document { return &in.document },
		check:     func(in *policyRequest) []domain.FieldError { return in.Spec.Check(policy.References{}) },
		all: func(_ *api.Call, s *control.State) (out []shownPolicy) {
			for _, p := range s.Policies().Policies() {
				out = append(out, showPolicy(s, p))
			}
			return out
		},
		find: func(_ *api.Call, s *control.State, n domain.Name) (shownPolicy, uint64, bool) {
			p, ok := s.Policies().Policy(n)
			return showPolicy(s, p), p.Version, ok
		},
		create: func(s *control.State, n domain.Name, in policyRequest, m domain.Meta) ([]domain.Fact, error) {
			return policy.Decide(s.Policies(), policy.Draft{Name: n, Spec: in.Spec, Known: referencesIn(s)}, m)
		},
		replace: func(s *control.State, n domain.Name, version uint64, in policyRequest, m domain.Meta) ([]domain.Fact, error) {
			return policy.Decide(s.Policies(), policy.Edit{Name: n, Version: version, Spec: in.Spec, Known: referencesIn(s)}, m)
		},
		remove: func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
			return policy.Decide(s.Policies(), policy.Remove{Name: n, Version: version}, m)
		},
		actions: []action{
			{word: "publish", decide: func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
				return policy.Decide(s.Policies(), policy.Publish{Name: n, Version: version}, m)
			}},
			{word: "unpublish", decide: func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
				return policy.Decide(s.Policies(), policy.Unpublish{Name: n, Version: version}, m)
			}},
		},
	}.routes()
}

// referencesIn tells what there is that a policy may name.
func referencesIn(s *control.State) policy.References {
	return policy.References{
		Group:       func(n domain.Name) bool { _, ok := s.Groups().Find(n); return ok },
		Role:        func(n domain.Name) bool { _, ok := s.WorkloadRoles().Role(n); return ok },
		RequestType: func(n domain.Name) bool { _, ok := s.Requests().Type(n); return ok },
		Server:      func(n domain.Name) bool { _, ok := s.Resources().Resource(resource.ServerRef(n)); return ok },
	}
}

func showPolicy(s *control.State, p policy.Policy) shownPolicy {
	shown := shownPolicy{
		Name: p.Name, Spec: p.Newest, Status: policyDraft, Version: p.Version, PublishedVersion: p.PublishedVersion,
		PublishedAt: p.PublishedAt, PublishedBy: p.PublishedBy,
		CreatedAt: p.CreatedAt, CreatedBy: p.CreatedBy, UpdatedAt: p.UpdatedAt, UpdatedBy: p.UpdatedBy,
	}
	known := referencesIn(s)
	for _, f := range p.Newest.Missing(known) {
		shown.Missing = append(shown.Missing, f.Pointer)
	}
	if p.Published != nil {
		shown.Status, shown.Pending = policyPublished, p.PublishedVersion != p.Version
	}
	if shown.Pending {
		shown.Published = p.Published
		for _, f := range p.Published.Missing(known) {
			shown.Missing = append(shown.Missing, "/published"+f.Pointer)
		}
	}
	return shown
}
