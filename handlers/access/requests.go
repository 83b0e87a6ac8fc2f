package access

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

func (h *Access) requestRoutes() []api.Route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	const all, one, delegation = "/access/requests", "/access/requests/:id", "/access/delegation"
	return []api.Route{
		{Method: get, Path: all, Roles: everybody, Workloads: true, Query: []string{"view", "status"}, Serve: api.Read(h.listRequests)},
		{Method: post, Path: all, Roles: everybody, Workloads: true, Serve: api.Write(waited, checkRaise, h.raise)},
		{Method: get, Path: one, Roles: everybody, Workloads: true, Serve: api.Read(h.showRequest)},
		{Method: get, Path: one + "/poll", Roles: everybody, Workloads: true, Serve: api.Read(h.poll)},
		{Method: post, Path: one + "/approve", Roles: everybody, Serve: api.Write(h.mayAnswer, nil, h.approve)},
		{Method: post, Path: one + "/deny", Roles: everybody, Serve: api.Write(h.mayAnswer, nil, h.deny)},
		{Method: post, Path: one + "/cancel", Roles: everybody, Workloads: true, Serve: api.Write(h.mayCancel, nil, h.cancel)},

		{Method: get, Path: delegation, Roles: everybody, Serve: api.Read(h.showDelegation)},
		{Method: put, Path: delegation, Roles: everybody, Proved: true, Serve: api.Write(nil, checkDelegation, h.setDelegation)},
		{Method: del, Path: delegation, Roles: everybody, Serve: api.Write(nil, nil, h.endDelegation)},
	}
}

// raiseRequest asks for access by a method, or for membership of a group. What
// only the server says of a request is not among its fields.
type raiseRequest struct {
	Resource string `json:"resource"`
	Method   string `json:"method"`
	Role     string `json:"role"` // of a workload, as in resolve

	Type  string `json:"type"` // of membership; of access, whichever the method's rule asks for
	Group string `json:"group"`
	Until string `json:"until"`

	Justification string            `json:"justification"`
	Fields        map[string]string `json:"fields"`

	ref   resource.Ref
	role  domain.Name
	typ   domain.Name
	group domain.Name
	until time.Time
}

func checkRaise(in *raiseRequest) (broken []domain.FieldError) {
	broken = append(broken, parseName("/type", in.Type, &in.typ)...)
	broken = append(broken, parseName("/role", in.Role, &in.role)...)
	if in.Group == "" && in.Until == "" {
		return append(append(broken, parseRef(in.Resource, &in.ref)...), checkMethod(in.Method)...)
	}
	for _, of := range []struct{ pointer, text string }{{"/resource", in.Resource}, {"/method", in.Method}, {"/role", in.Role}} {
		if of.text != "" {
			broken = append(broken, domain.FieldError{Pointer: of.pointer, Code: "not_of_kind", Detail: "ask for access by resource and method, or for membership by type, group and until"})
		}
	}
	for _, of := range []struct{ pointer, text string }{{"/type", in.Type}, {"/group", in.Group}} {
		if of.text == "" {
			broken = append(broken, domain.FieldError{Pointer: of.pointer, Code: "field.required", Detail: "membership is asked for by type, group and until"})
		}
	}
	broken = append(broken, parseName("/group", in.Group, &in.group)...)
	return append(broken, parseUntil(in.Until, &in.until)...)
}

func parseUntil(text string, t *time.Time) []domain.FieldError {
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return []domain.FieldError{{Pointer: "/until", Code: "time.invalid", Detail: "until is a time as in RFC 3339, such as 2026-11-22T12:00:00Z"}}
	}
	*t = parsed.UTC()
	return nil
}

// errNoApproval is the answer to who asks for an approval that no rule wants.
var errNoApproval = &domain.Error{Kind: domain.KindConflict, Code: "request.not_needed",
	Message: "This access method needs no approval: see with resolve what is still to be met."}

// asked is a request that was raised, or found to be pending already.
type asked struct {
	id      string
	again   bool // it was pending already
	refused resolved
}

func (h *Access) raise(c *api.Call, in raiseRequest) (api.Answer, error) {
	if _, workload := c.Workload(); in.role != "" && !workload {
		return api.Answer{}, errRole
	}
	if !h.asks.Allow(c.Meta.Actor.ID, h.org.Now()) {
		return api.Answer{}, api.ErrRate
	}
	var a asked
	id := ulid.Make().String()
	pos, err := h.org.Execute(c.Context(), c.Meta, func(s *control.State) (facts []domain.Fact, err error) {
		facts, a, err = h.ask(c, s, in, id)
		return facts, err
	})
	if err != nil {
		h.recordRefused(c, in.ref, a.refused)
		return api.Answer{}, err
	}
	if a.id == "" { // done before, under its Idempotency-Key
		a.id = h.raisedBefore(c)
	}
	answer, err := h.answer(c, a.id, pos)
	if err == nil && !a.again {
		answer.Status = http.StatusCreated
		c.Echo.Response().Header().Set("Location", c.Echo.Request().URL.Path+"/"+a.id)
	}
	return answer, err
}

// raisedBefore is the request that was raised under the call's Idempotency-Key.
func (h *Access) raisedBefore(c *api.Call) (id string) {
	if c.Meta.Idempotency == nil {
		return ""
	}
	h.org.Read(func(s *control.State, _ domain.Head) {
		was, _ := s.Idempotent(c.Meta.Idempotency.Key, c.Meta.Now)
		id = strings.TrimPrefix(was.Subject, "request/")
	})
	return id
}

// recordRefused writes into the trail what somebody asked for and no rule gives
// them, as resolve does. The answer does not wait for it to succeed: it is no.
func (h *Access) recordRefused(c *api.Call, ref resource.Ref, r resolved) {
	facts := r.fact(ref)
	if r.who.Subject == "" || len(facts) == 0 {
		return
	}
	m := c.Meta
	m.Idempotency = nil
	_, _ = h.org.Record(c.Context(), m, func(*control.State) ([]domain.Fact, string, error) { return facts, "", nil })
}

// ask decides what is asked for, by the state.
func (h *Access) ask(c *api.Call, s *control.State, in raiseRequest, id string) (facts []domain.Fact, a asked, err error) {
	v, err := h.still(c, s, in.role)
	if err != nil {
		return nil, a, err
	}
	m := c.Meta
	m.Now = v.now
	cmd := request.Raise{
		ID:     id,
		Matter: request.Matter{Requester: v.subject.ID, Connection: v.subject.Connection, Identity: v.subject.Identity, Type: in.typ, Group: in.group},
		Asked:  request.Asked{Until: in.until, Justification: in.Justification, Fields: in.Fields},
		World:  s.RequestWorld(v.now),
	}
	if in.ref != "" {
		if a.refused, err = v.want(c, in, &cmd); err != nil {
			return nil, a, err
		}
	}
	if facts, err = request.Decide(s.Requests(), cmd, m); err != nil {
		return nil, a, err
	}
	a.id = id
	if len(facts) == 0 {
		a.id, a.again = s.Requests().Pending(cmd.Key(), v.now)
	}
	return facts, a, nil
}

// want has the command ask for the access method, if there is one of that id for
// the caller and its rule wants an approval that is not given. Otherwise refused
// is what was found.
func (v view) want(c *api.Call, in raiseRequest, cmd *request.Raise) (refused resolved, err error) {
	r, answer, there := v.resolve(in.ref)
	found := resolved{answer: answer, there: there}
	m, given := access.Find(answer, in.Method)
	if !given {
		if err := found.refusal(c); err != nil {
			found.who = access.WhoIs(v.subject, source(c))
			return found, err
		}
		return resolved{}, access.ErrMethod
	}
	wanted := func(q access.Requirement) bool {
		return q.Type == policy.AccessRequest && (in.typ == "" || in.typ == q.RequestType)
	}
	// Where glass was broken, an approval may still be asked for.
	i := slices.IndexFunc(m.Requires, func(q access.Requirement) bool { return wanted(q) && (!q.Met || q.BreakGlass) })
	switch {
	case !slices.ContainsFunc(m.Requires, wanted):
		return resolved{}, errNoApproval
	case i < 0:
		return resolved{}, request.ErrHeld.With("This is approved already: use it.")
	}
	cmd.Type, cmd.Resource, cmd.Method = m.Requires[i].RequestType, r.Ref, m.ID
	cmd.Policy, cmd.Rule, cmd.Username, cmd.ApprovalSeconds = m.Policy, m.Rule, m.Username, m.Requires[i].Seconds
	return resolved{}, nil
}

// answer shows the request after a write.
func (h *Access) answer(c *api.Call, id string, pos domain.Position) (a api.Answer, err error) {
	a.Position = &pos
	h.org.Read(func(s *control.State, _ domain.Head) { a.Body, err = h.shown(c, s, id) })
	return a, err
}

// decideRequest is somebody's word on a request.
type decideRequest struct {
	Step    int               `json:"step"` // the one that is meant; 0 is whichever is open
	Comment string            `json:"comment"`
	Fields  map[string]string `json:"fields"`
}

func (h *Access) approve(c *api.Call, in decideRequest) (api.Answer, error) {
	return h.decideRequest(c, request.Answer{Verdict: request.Approved, Step: in.Step, Comment: in.Comment, Fields: in.Fields})
}

func (h *Access) deny(c *api.Call, in decideRequest) (api.Answer, error) {
	return h.decideRequest(c, request.Answer{Verdict: request.Denied, Step: in.Step, Comment: in.Comment, Fields: in.Fields})
}

func (h *Access) decideRequest(c *api.Call, cmd request.Answer) (api.Answer, error) {
	cmd.ID = c.Param("id")
	pos, err := h.tell(c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		cmd.World = s.RequestWorld(m.Now)
		facts, err := request.Decide(s.Requests(), cmd, m)
		if err != nil {
			return nil, err
		}
		return withMembership(s, facts, m)
	})
	if err != nil {
		return api.Answer{}, err
	}
	return h.answer(c, cmd.ID, pos)
}

// withMembership adds, to the approval of a request for it, the membership itself:
// both are recorded, or neither.
func withMembership(s *control.State, facts []domain.Fact, m domain.Meta) ([]domain.Fact, error) {
	for _, f := range facts {
		e, approved := f.Event.(request.WasApproved)
		if !approved || e.Group == "" {
			continue
		}
		added, err := group.Decide(s.Groups(), group.AddMember{
			Group: e.Group, Person: domain.Name(e.Requester), Until: e.ValidUntil, Source: group.Local,
			Named: s.NamesGroup(e.Group), Approved: strings.TrimPrefix(f.Subject, "request/"),
		}, m)
		if err != nil {
			return nil, err
		}
		facts = append(facts, added...)
	}
	return facts, nil
}

func (h *Access) cancel(c *api.Call, _ struct{}) (api.Answer, error) {
	id := c.Param("id")
	pos, err := h.tell(c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return request.Decide(s.Requests(), request.Cancel{ID: id, World: s.RequestWorld(m.Now)}, m)
	})
	if err != nil {
		return api.Answer{}, err
	}
	return h.answer(c, id, pos)
}

// tell gives a command about requests, for who would still be let in, at the
// time that the state takes it to be.
func (h *Access) tell(c *api.Call, decide func(*control.State, domain.Meta) ([]domain.Fact, error)) (domain.Position, error) {
	return h.org.Execute(c.Context(), c.Meta, func(s *control.State) ([]domain.Fact, error) {
		m := c.Meta
		m.Now = s.Later(h.org.Now())
		if err := c.Still(s, m.Now); err != nil {
			return nil, err
		}
		return decide(s, m)
	})
}

// What may be done with a request is judged before the body is read, and again,
// by the same rules, when it is decided.

func (h *Access) mayAnswer(c *api.Call) error {
	return h.judge(c, func(w request.World) request.Command {
		return request.Answer{ID: c.Param("id"), Verdict: request.Denied, World: w}
	})
}

func (h *Access) mayCancel(c *api.Call) error {
	return h.judge(c, func(w request.World) request.Command { return request.Cancel{ID: c.Param("id"), World: w} })
}

// judge tells whether the caller may give the command at all, were everything
// else about it right.
func (h *Access) judge(c *api.Call, would func(request.World) request.Command) error {
	m := c.Meta
	m.Idempotency = nil // nothing is written
	_, err := h.org.Execute(c.Context(), m, func(s *control.State) ([]domain.Fact, error) {
		m.Now = s.Later(h.org.Now())
		_, err := request.Decide(s.Requests(), would(s.RequestWorld(m.Now)), m)
		var known *domain.Error
		if errors.As(err, &known) && (known.Kind == domain.KindForbidden || known.Kind == domain.KindNotFound) {
			return nil, err
		}
		return nil, nil
	})
	return err
}

// delegationRequest is who is to decide for the caller, and until when.
type delegationRequest struct {
	To    string `json:"to"`
	Until string `json:"until"`

	to    domain.Name
	until time.Time
}

func checkDelegation(in *delegationRequest) (broken []domain.FieldError) {
	if in.To == "" {
		broken = append(broken, domain.FieldError{Pointer: "/to", Code: "field.required", Detail: "to is the name of a person"})
	}
	return append(append(broken, parseName("/to", in.To, &in.to)...), parseUntil(in.Until, &in.until)...)
}

func (h *Access) setDelegation(c *api.Call, in delegationRequest) (api.Answer, error) {
	if !h.asks.Allow(c.Meta.Actor.ID, h.org.Now()) {
		return api.Answer{}, api.ErrRate
	}
	pos, err := h.tell(c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return request.Decide(s.Requests(), request.SetDelegation{To: in.to, Until: in.until, World: s.RequestWorld(m.Now)}, m)
	})
	if err != nil {
		return api.Answer{}, err
	}
	a, err := h.showDelegation(c)
	a.Position = &pos
	return a, err
}

func (h *Access) endDelegation(c *api.Call, _ struct{}) (api.Answer, error) {
	pos, err := h.tell(c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return request.Decide(s.Requests(), request.EndDelegation{}, m)
	})
	return api.Answer{Status: http.StatusNoContent, Position: &pos}, err
}
