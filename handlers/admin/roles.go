package admin

import (
	"bytes"
	"encoding/json"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/role"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

// matchers may ask which roles a token would bear: who writes roles, who drafts
// the connections that they name, and who looks after both.
var matchers = []domain.Role{domain.SecurityAdmin, domain.DevOpsAdmin, domain.Auditor}

// roleRequest is a workload role as people write it. What only the server says
// is accepted and ignored.
type roleRequest struct {
	document
	Description  string               `json:"description"`
	Requirements []writtenRequirement `json:"requirements"`

	LinuxServerUsername json.RawMessage `json:"linux_server_username"`
}

type writtenRequirement struct {
	Connection domain.Name       `json:"connection"`
	Conditions []claim.Condition `json:"conditions"`

	Missing json.RawMessage `json:"missing"`
}

func (r roleRequest) spec() role.Spec {
	s := role.Spec{Description: r.Description}
	for _, w := range r.Requirements {
		s.Requirements = append(s.Requirements, role.Requirement{Connection: w.Connection, Conditions: w.Conditions})
	}
	return s
}

// shownRole is a workload role as answered.
type shownRole struct {
	Name                domain.Name        `json:"name"`
	Description         string             `json:"description"`
	Requirements        []shownRequirement `json:"requirements"`
	LinuxServerUsername string             `json:"linux_server_username"`
	Version             uint64             `json:"version"`
	CreatedAt           time.Time          `json:"created_at"`
	CreatedBy           string             `json:"created_by"`
	UpdatedAt           time.Time          `json:"updated_at"`
	UpdatedBy           string             `json:"updated_by"`
}

type shownRequirement struct {
	Connection domain.Name       `json:"connection"`
	Missing    bool              `json:"missing,omitempty"` // it was deleted: the requirement lets nobody in
	Conditions []claim.Condition `json:"conditions"`
}

// workloadRoles are the routes of workload roles.
func (h *Admin) workloadRoles() []api.Route {
	roles := collection[roleRequest, shownRole]{
		org: h.org, path: "/roles", member: "roles", readers: readers, writers: reviewers, notFound: role.ErrNotFound,
		parseName: role.ParseName,
		document:  func(in *roleRequest) *document { return &in.document },
		check:     func(in *roleRequest) []domain.FieldError { return in.spec().Check(nil) },
		all: func(_ *api.Call, s *control.State) (out []shownRole) {
			for _, r := range s.WorkloadRoles().Roles() {
				out = append(out, showRole(s, r))
			}
			return out
		},
		find: func(_ *api.Call, s *control.State, n domain.Name) (shownRole, uint64, bool) {
			r, ok := s.WorkloadRoles().Role(n)
			return showRole(s, r), r.Version, ok
		},
		create: func(s *control.State, n domain.Name, in roleRequest, m domain.Meta) ([]domain.Fact, error) {
			return role.Decide(s.WorkloadRoles(), role.Create{Name: n, Spec: in.spec(), Connections: connectionsIn(s)}, m)
		},
		replace: func(s *control.State, n domain.Name, version uint64, in roleRequest, m domain.Meta) ([]domain.Fact, error) {
			return role.Decide(s.WorkloadRoles(), role.Edit{Name: n, Version: version, Spec: in.spec(), Connections: connectionsIn(s)}, m)
		},
		remove: func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
			return role.Decide(s.WorkloadRoles(), role.Delete{Name: n, Version: version}, m)
		},
	}
	return append(roles.routes(), api.Route{
		Method: "POST", Path: "/roles/match", Roles: matchers, Serve: api.Write(nil, checkMatch, h.matchRoles),
	})
}

// connectionsIn tells which connections there are; one that was deleted is not.
func connectionsIn(s *control.State) func(domain.Name) bool {
	return func(n domain.Name) bool {
		status := s.Connection(n).Status
		return status != connection.None && status != connection.Deleted
	}
}

func showRole(s *control.State, r role.Role) shownRole {
	there := connectionsIn(s)
	shown := shownRole{
		Name: r.Name, Description: r.Description, Requirements: []shownRequirement{}, LinuxServerUsername: role.Username(r.Name),
		Version: r.Version, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, UpdatedAt: r.UpdatedAt, UpdatedBy: r.UpdatedBy,
	}
	for _, q := range r.Requirements {
		shown.Requirements = append(shown.Requirements, shownRequirement{q.Connection, !there(q.Connection), orEmpty(q.Conditions)})
	}
	return shown
}

// matchRequest asks which roles a workload with those claims would bear. A token
// is not asked for: it would be a credential in a body that is not its own.
type matchRequest struct {
	Connection domain.Name     `json:"connection"`
	Identity   string          `json:"identity"`
	Claims     json.RawMessage `json:"claims"`

	set claim.Set // Claims, numbers as they are written
}

// maxIdentity bounds the identity that is asked about: a path and the value of a claim.
const maxIdentity = 2048

func checkMatch(in *matchRequest) (broken []domain.FieldError) {
	if in.Connection == "" {
		broken = append(broken, domain.FieldError{Pointer: "/connection", Code: "field.required", Detail: "connection is whose token it would be"})
	}
	if len(in.Identity) > maxIdentity {
		broken = append(broken, domain.FieldError{Pointer: "/identity", Code: "too_long", Detail: "an identity is at most 2048 bytes"})
	}
	d := json.NewDecoder(bytes.NewReader(in.Claims))
	d.UseNumber()
	if err := d.Decode(&in.set); err != nil || in.set == nil {
		broken = append(broken, domain.FieldError{Pointer: "/claims", Code: "field.type", Detail: "claims are an object: those of the platform's token, or those that ours carries"})
	}
	return broken
}

// matched is which roles would be borne, and why the others are not.
type matched struct {
	Connection domain.Name       `json:"connection"`
	Status     connection.Status `json:"status"` // of the connection: roles are borne while it is active
	Roles      []domain.Name     `json:"roles"`
	Explained  []explainedRole   `json:"explained"`
}

type explainedRole struct {
	Role         domain.Name            `json:"role"`
	Matches      bool                   `json:"matches"`
	Requirements []explainedRequirement `json:"requirements"`
}

type explainedRequirement struct {
	Index      int                  `json:"index"` // in the role's requirements
	Met        bool                 `json:"met"`
	Conditions []explainedCondition `json:"conditions"`
}

type explainedCondition struct {
	Claim    claim.Path     `json:"claim"`
	Operator claim.Operator `json:"operator"`
	Met      bool           `json:"met"`
	Expected string         `json:"expected"`
	Actual   string         `json:"actual"`
	Message  string         `json:"message"`
}

func (h *Admin) matchRoles(_ *api.Call, in matchRequest) (api.Answer, error) {
	answer := matched{Connection: in.Connection, Roles: []domain.Name{}, Explained: []explainedRole{}}
	there := false
	h.org.Read(func(s *control.State, _ domain.Head) {
		if there = connectionsIn(s)(in.Connection); !there {
			return
		}
		answer.Status = s.Connection(in.Connection).Status
		for _, e := range s.ExplainRoles(in.Connection, in.Identity, in.set) {
			answer.Explained = append(answer.Explained, explain(e))
			if e.Matches {
				answer.Roles = append(answer.Roles, e.Role)
			}
		}
	})
	if !there {
		return api.Answer{}, domain.ErrFields([]domain.FieldError{{Pointer: "/connection", Code: "connection.not_found", Detail: "there is no connection of this name"}})
	}
	return api.Answer{Body: answer}, nil
}

func explain(e role.Explained) explainedRole {
	out := explainedRole{Role: e.Role, Matches: e.Matches}
	for _, r := range e.Requirements {
		x := explainedRequirement{Index: r.Index, Met: r.Met, Conditions: []explainedCondition{}}
		for i, c := range r.Conditions {
			why := r.Explanations[i]
			x.Conditions = append(x.Conditions, explainedCondition{c.Claim, c.Operator, why.Match, why.Expected, why.Actual, why.Message})
		}
		out.Requirements = append(out.Requirements, x)
	}
	return out
}
