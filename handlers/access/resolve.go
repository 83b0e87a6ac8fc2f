package access

import (
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

// condition is one of a method's, as answered.
type condition struct {
	Type            policy.ConditionType `json:"type"`
	Met             bool                 `json:"met"`
	Until           *time.Time           `json:"until,omitempty"`
	RequestType     domain.Name          `json:"request_type,omitempty"`
	Request         string               `json:"request,omitempty"`
	BreakGlass      bool                 `json:"break_glass,omitempty"`
	ApprovalSeconds int                  `json:"approval_seconds,omitempty"`
	FreshSeconds    *int                 `json:"fresh_seconds,omitempty"`
	MaxSeconds      int                  `json:"max_seconds,omitempty"`
	Description     string               `json:"description"`
}

// holder is who has a method's account to themself.
type holder struct {
	By    string    `json:"by"`
	Until time.Time `json:"until"`
}

// method is an access method, as answered.
type method struct {
	ID                string      `json:"id"`
	Kind              access.Kind `json:"kind"`
	Account           domain.Name `json:"account,omitempty"`
	Username          string      `json:"username,omitempty"`
	Policy            domain.Name `json:"policy"`
	Rule              domain.Name `json:"rule"`
	Through           string      `json:"through"`
	Open              bool        `json:"open"`
	Conditions        []condition `json:"conditions"`
	CheckedOut        *holder     `json:"checked_out,omitempty"`
	MayWait           bool        `json:"may_wait,omitempty"`
	BreakGlassSeconds int         `json:"break_glass_seconds,omitempty"`
}

func showMethods(all []access.Method) []method {
	out := make([]method, 0, len(all))
	for _, m := range all {
		shown := method{
			ID: m.ID, Kind: m.Kind, Account: m.Account, Username: m.Username, Policy: m.Policy, Rule: m.Rule, Through: m.Through,
			Open: m.Open(), Conditions: make([]condition, 0, len(m.Requires)), MayWait: m.MayWait, BreakGlassSeconds: m.BreakGlass,
		}
		for _, r := range m.Requires {
			shown.Conditions = append(shown.Conditions, showCondition(r))
		}
		if m.CheckedOutBy != "" {
			shown.CheckedOut = &holder{m.CheckedOutBy, m.CheckedOutUntil}
		}
		out = append(out, shown)
	}
	return out
}

func showCondition(r access.Requirement) condition {
	c := condition{Type: r.Type, Met: r.Met, RequestType: r.RequestType, Request: r.Request, BreakGlass: r.BreakGlass, Description: r.Description}
	if r.Met && !r.Until.IsZero() {
		c.Until = &r.Until
	}
	switch r.Type {
	case policy.AccessRequest:
		c.ApprovalSeconds = r.Seconds
	case policy.MFA:
		c.FreshSeconds = &r.Seconds
	case policy.Checkout:
		c.MaxSeconds = r.Seconds
	}
	return c
}

type resolveRequest struct {
	Resource string `json:"resource"`
	Role     string `json:"role"`

	ref  resource.Ref
	role domain.Name
}

func checkResolve(in *resolveRequest) []domain.FieldError {
	return append(parseRef(in.Resource, &in.ref), parseName("/role", in.Role, &in.role)...)
}

// resolution is the answer to a resolve.
type resolution struct {
	Resource resource.Ref   `json:"resource"`
	Outcome  access.Outcome `json:"outcome"`
	Methods  []method       `json:"methods"`
}

// resolved is what was found for one request, and what is written of it.
type resolved struct {
	answer access.Answer
	there  bool
	who    access.Who
	role   string        // of a workload that is refused, as which it asked
	roles  []domain.Name // that it bears then
}

// bears is the role that a workload asks as, and those that its token bears
// whatever it asks for; nothing of a person.
func bears(c *api.Call, s *control.State, asked domain.Name) (role string, roles []domain.Name) {
	claims, ok := c.Workload()
	if !ok {
		return "", nil
	}
	if role = asked.String(); role == "" {
		mark, _ := claims["sallyport"].(map[string]any)
		role, _ = mark["role_hint"].(string)
	}
	return role, s.Borne(claims)
}

func (h *Access) resolve(c *api.Call, in resolveRequest) (api.Answer, error) {
	if _, workload := c.Workload(); in.role != "" && !workload {
		return api.Answer{}, errRole
	}
	look := func(s *control.State) (r resolved, err error) {
		v, err := h.still(c, s, in.role)
		if err != nil {
			return r, err
		}
		_, r.answer, r.there = v.resolve(in.ref)
		r.who = access.WhoIs(v.subject, source(c))
		if r.answer.Outcome == access.Refused {
			r.role, r.roles = bears(c, s, in.role)
		}
		return r, nil
	}
	var found resolved
	var err error
	var at domain.Position
	h.org.Read(func(s *control.State, head domain.Head) {
		at.Sequence = head.Control
		found, err = look(s)
	})
	if err != nil {
		return api.Answer{}, err
	}
	answer := api.Answer{Position: &at}
	if found.fact(in.ref) != nil {
		// What is refused, filtered or cancelled is so on the state as it is when that is written.
		if !h.asks.Allow(c.Meta.Actor.ID, h.org.Now()) {
			return api.Answer{}, api.ErrRate
		}
		m := c.Meta
		m.Idempotency = nil // asking again is another question
		pos, err := h.org.Record(c.Context(), m, func(s *control.State) ([]domain.Fact, string, error) {
			now, err := look(s)
			if err != nil {
				return nil, "", err
			}
			found = now
			return now.fact(in.ref), "", nil
		})
		if err != nil {
			return api.Answer{}, err
		}
		if pos != (domain.Position{}) {
			answer.Position = &pos
		}
	}
	if err := found.refusal(c); err != nil {
		return api.Answer{}, err
	}
	answer.Body = resolution{in.ref, found.answer.Outcome, showMethods(found.answer.Methods)}
	return answer, nil
}

// fact is what is written of a question: who was refused what, and what a
// workload was not given since it needs a human. Of who was given all there is,
// nothing is written until they use it.
func (r resolved) fact(ref resource.Ref) []domain.Fact {
	var e domain.Event
	switch r.answer.Outcome {
	case access.Refused:
		e = access.WasRefused{Who: r.who, Resource: ref, Code: access.ErrRefused.Code}.Bore(r.role, r.roles)
	case access.Filtered:
		e = access.WasFiltered{Who: r.who, Resource: ref, Given: len(r.answer.Methods), LeftOut: access.Leave(r.answer.LeftOut)}
	case access.Cancelled:
		e = access.WasCancelled{Who: r.who, Resource: ref, LeftOut: access.Leave(r.answer.LeftOut)}
	default:
		return nil
	}
	return []domain.Fact{{Subject: string(ref), Event: e}}
}

// errNoResource tells those who may read all resources what others are not told.
var errNoResource = &domain.Error{Kind: domain.KindNotFound, Code: "resource.not_found",
	Message: "There is no such server or secret: see sallyport server list and sallyport secrets list."}

// refusal is the answer to who was given nothing.
func (r resolved) refusal(c *api.Call) error {
	switch {
	case !r.there && reads(c):
		return errNoResource
	case r.answer.Outcome == access.Cancelled:
		return access.CancelledFor(r.answer.LeftOut)
	case len(r.answer.Methods) == 0:
		return access.ErrRefused
	}
	return nil
}

// reachable is a resource that the caller can reach, as answered.
type reachable struct {
	Resource    resource.Ref      `json:"resource"`
	Kind        resource.Kind     `json:"kind"`
	Name        string            `json:"name"`
	Project     domain.Name       `json:"project,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Address     string            `json:"address,omitempty"`
	Port        int               `json:"port,omitempty"`
	HostKeys    []string          `json:"host_keys,omitempty"`
	Outcome     access.Outcome    `json:"outcome"`
	Methods     []method          `json:"methods"`
}

func (h *Access) resources(c *api.Call) (api.Answer, error) {
	kind, _ := c.Query("kind")
	if !slices.Contains([]resource.Kind{"", resource.Server, resource.Secret}, resource.Kind(kind)) {
		c.Refuse("/kind", "kind.unknown", "kind is server or secret")
	}
	var role domain.Name
	text, given := c.Query("role")
	if _, workload := c.Workload(); given && !workload {
		c.Refuse("/role", "role.of_workload", "role is a workload's to choose: people leave it out")
	} else if given {
		if broken := parseName("/role", text, &role); text == "" || broken != nil {
			c.Refuse("/role", "name.invalid", "role is the name of a workload role")
		}
	}
	if err := c.Refused(); err != nil {
		return api.Answer{}, err
	}
	answer := struct {
		Resources []reachable `json:"resources"`
	}{[]reachable{}}
	h.org.Read(func(s *control.State, _ domain.Head) {
		v := h.view(c, s, role)
		for _, r := range access.ResolveAll(v.world, v.subject, v.now) {
			if len(r.Answer.Methods) > 0 && (kind == "" || r.Resource.Kind == resource.Kind(kind)) {
				answer.Resources = append(answer.Resources, showReachable(r))
			}
		}
	})
	return api.Answer{Body: answer}, nil
}

func showReachable(r access.Reachable) reachable {
	shown := reachable{
		Resource: r.Resource.Ref, Kind: r.Resource.Kind, Name: r.Resource.Name, Project: r.Resource.Project,
		Description: r.Resource.Description, Labels: r.Resource.Labels, Outcome: r.Answer.Outcome, Methods: showMethods(r.Answer.Methods),
	}
	if spec := r.Resource.ServerSpec; spec != nil {
		shown.Address, shown.Port, shown.HostKeys = spec.Address, port(spec), spec.HostKeys
	}
	return shown
}

// port is where the server's sshd listens.
func port(spec *resource.ServerSpec) int {
	if spec.Port == 0 {
		return 22
	}
	return spec.Port
}
