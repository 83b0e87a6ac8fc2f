package access

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

// simulators may ask who can reach what: who writes policies, and who audits them.
var simulators = []domain.Role{domain.SecurityAdmin, domain.Auditor}

func (h *Access) simulateRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodPost, Path: "/policies/simulate", Roles: simulators, Serve: api.Write(waited, checkSimulate, h.simulate)},
	}
}

// simulateRequest asks what somebody else would be answered: a person, or a
// workload whose token would carry those claims.
type simulateRequest struct {
	Subject  simulated `json:"subject"`
	Resource string    `json:"resource"`

	ref resource.Ref
}

type simulated struct {
	Person     string          `json:"person"`
	Connection string          `json:"connection"`
	Identity   string          `json:"identity"`
	Claims     json.RawMessage `json:"claims"`
	Role       string          `json:"role"`

	person, connection, role domain.Name
	set                      claim.Set // Claims, numbers as they are written
}

// maxIdentity bounds the identity that is asked about: a path and the value of a claim.
const maxIdentity = 2048

func checkSimulate(in *simulateRequest) []domain.FieldError {
	broken := parseRef(in.Resource, &in.ref)
	who := &in.Subject
	if (who.Person == "") == (who.Connection == "") {
		return append(broken, domain.FieldError{Pointer: "/subject", Code: "field.required",
			Detail: "subject is either a person, or a workload: connection, identity and claims"})
	}
	broken = append(broken, parseName("/subject/person", who.Person, &who.person)...)
	broken = append(broken, parseName("/subject/connection", who.Connection, &who.connection)...)
	broken = append(broken, parseName("/subject/role", who.Role, &who.role)...)
	if who.Person != "" {
		if who.Identity != "" || who.Claims != nil || who.Role != "" {
			broken = append(broken, domain.FieldError{Pointer: "/subject/person", Code: "not_allowed", Detail: "identity, claims and role are a workload's"})
		}
		return broken
	}
	if who.Identity == "" || len(who.Identity) > maxIdentity {
		broken = append(broken, domain.FieldError{Pointer: "/subject/identity", Code: "field.required", Detail: "identity is the workload's, 1 to 2048 bytes"})
	}
	d := json.NewDecoder(bytes.NewReader(who.Claims))
	d.UseNumber()
	if err := d.Decode(&who.set); who.Claims != nil && (err != nil || who.set == nil) {
		broken = append(broken, domain.FieldError{Pointer: "/subject/claims", Code: "field.type", Detail: "claims are an object: those that the workload's token of ours carries"})
	}
	return broken
}

// simulation is what the subject would be answered, also what would be left out.
type simulation struct {
	Resource resource.Ref   `json:"resource"`
	Subject  string         `json:"subject"`
	Groups   []domain.Name  `json:"groups,omitempty"` // that the person is in now
	Roles    []domain.Name  `json:"roles,omitempty"`  // that the workload would bear now
	Outcome  access.Outcome `json:"outcome"`
	Methods  []method       `json:"methods"`
	LeftOut  []method       `json:"left_out"` // of a workload, since they need a human
}

// simulate answers by the one decision, for somebody else. It writes nothing and
// opens nothing.
func (h *Access) simulate(_ *api.Call, in simulateRequest) (api.Answer, error) {
	var answer simulation
	var err error
	h.org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(h.org.Now())
		var subject access.Subject
		if subject, err = h.supposed(s, in.Subject, now); err != nil {
			return
		}
		r, there := s.Resources().Resource(in.ref)
		if !there {
			err = domain.ErrFields([]domain.FieldError{{Pointer: "/resource", Code: "resource.not_found", Detail: "there is no such resource"}})
			return
		}
		a := access.Resolve(s.World(), subject, r, now)
		answer = simulation{
			Resource: in.ref, Subject: subject.ID, Groups: subject.Groups, Roles: subject.Roles,
			Outcome: a.Outcome, Methods: showMethods(a.Methods), LeftOut: showMethods(a.LeftOut),
		}
	})
	return api.Answer{Body: answer}, err
}

// supposed is who would ask. A workload is one whose token was issued just now.
func (h *Access) supposed(s *control.State, who simulated, now time.Time) (access.Subject, error) {
	if who.person != "" {
		if _, known := s.Person(who.person); !known {
			return access.Subject{}, domain.ErrFields([]domain.FieldError{{Pointer: "/subject/person", Code: "person.unknown", Detail: "there is no such person"}})
		}
		return s.PersonSubject(domain.Actor{ID: who.person.String()}, now), nil
	}
	if s.Connection(who.connection).Name == "" {
		return access.Subject{}, domain.ErrFields([]domain.FieldError{{Pointer: "/subject/connection", Code: "connection.not_found", Detail: "there is no connection of this name"}})
	}
	return s.SupposedWorkload(h.org.Issuer(), h.org.Name(), who.connection, who.Identity, who.set, who.role, now), nil
}
