package access

import (
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/projections/control"
)

// shownRequest is a request as answered: who, what, why, for how long, and by
// which rule.
type shownRequest struct {
	ID              string            `json:"id"`
	Status          request.Status    `json:"status"`
	Requester       string            `json:"requester"`
	Connection      domain.Name       `json:"connection,omitempty"` // of a workload
	Identity        string            `json:"identity,omitempty"`   // of a workload
	Type            domain.Name       `json:"type"`
	TypeVersion     uint64            `json:"type_version"` // which the request keeps
	Resource        resource.Ref      `json:"resource,omitempty"`
	Method          string            `json:"method,omitempty"`
	Username        string            `json:"username,omitempty"`
	Policy          domain.Name       `json:"policy,omitempty"`
	Rule            domain.Name       `json:"rule,omitempty"`
	ApprovalSeconds int               `json:"approval_seconds,omitempty"`
	Group           domain.Name       `json:"group,omitempty"`
	Until           time.Time         `json:"until,omitzero"`
	Justification   string            `json:"justification,omitempty"`
	Fields          map[string]string `json:"fields,omitempty"`
	FieldsAsked     []request.Field   `json:"fields_asked,omitempty"` // of the type
	RaisedAt        time.Time         `json:"raised_at"`
	EndedAt         time.Time         `json:"ended_at,omitzero"`
	EndedBy         string            `json:"ended_by,omitempty"`
	ValidUntil      time.Time         `json:"valid_until,omitzero"` // of an approved one
	Steps           []shownStep       `json:"steps"`
	MayDecide       bool              `json:"may_decide"` // the caller, now
	Link            string            `json:"link"`       // where people look at it
}

// shownStep is a step of a request as answered; one that was not opened yet has no times.
type shownStep struct {
	Step        int                 `json:"step"`
	Name        domain.Name         `json:"name"`
	Approvers   request.Approvers   `json:"approvers"`
	Needed      int                 `json:"needed"`
	Status      string              `json:"status"` // waiting, open, done, or over: it ended the request, or was not reached
	OpenedAt    time.Time           `json:"opened_at,omitzero"`
	ExpiresAt   time.Time           `json:"expires_at,omitzero"`
	EscalatesAt time.Time           `json:"escalates_at,omitzero"`
	Escalate    *request.Escalation `json:"escalate,omitempty"`
	Decisions   []shownDecision     `json:"decisions"`
}

type shownDecision struct {
	By        domain.Name       `json:"by"`
	For       domain.Name       `json:"for,omitempty"`
	Decision  request.Status    `json:"decision"`
	Escalated bool              `json:"escalated,omitempty"`
	Comment   string            `json:"comment,omitempty"`
	Fields    map[string]string `json:"fields,omitempty"`
	At        time.Time         `json:"at"`
}

// shown is the request of that id, for who may see it.
func (h *Access) shown(c *api.Call, s *control.State, id string) (shownRequest, error) {
	now := s.Later(h.org.Now())
	r, ok := s.Requests().Request(id)
	if !ok || !s.Requests().Sees(r, c.Meta.Actor, now, s.RequestWorld(now)) {
		return shownRequest{}, request.ErrNotFound
	}
	return h.show(c, s, r.At(now), now), nil
}

func (h *Access) show(c *api.Call, s *control.State, r request.Request, now time.Time) shownRequest {
	base := strings.TrimSuffix(h.org.Issuer(), "/orgs/"+h.org.Name().String())
	out := shownRequest{
		ID: r.ID, Status: r.Status, Requester: r.Requester, Connection: r.Connection, Identity: r.Identity, Type: r.Type, TypeVersion: r.Version,
		Resource: r.Resource, Method: r.Method, Username: r.Username, Policy: r.Policy, Rule: r.Rule, ApprovalSeconds: r.ApprovalSeconds,
		Group: r.Group, Until: r.Until, Justification: r.Justification, Fields: r.Fields, FieldsAsked: r.Spec.Fields,
		RaisedAt: r.RaisedAt, EndedAt: r.EndedAt, EndedBy: r.EndedBy, ValidUntil: r.ValidUntil,
		MayDecide: slices.Contains(s.Approvers(r.ID, now), domain.Name(c.Meta.Actor.ID)),
		Link:      request.Link(base, h.org.Name(), r.ID),
	}
	for n := range r.Spec.Steps {
		out.Steps = append(out.Steps, showStep(r, n))
	}
	return out
}

// showStep is the step of that index.
func showStep(r request.Request, n int) shownStep {
	st := r.Spec.Steps[n]
	out := shownStep{Step: n + 1, Name: st.Name, Approvers: st.Approvers, Needed: st.Needed, Escalate: st.Escalate, Decisions: []shownDecision{}}
	last := len(r.Steps) - 1
	switch {
	case n < last, n == last && r.Status == request.Approved:
		out.Status = "done"
	case r.Status != request.Pending:
		out.Status = "over"
	case n == last:
		out.Status = "open"
	default:
		out.Status = "waiting"
	}
	if n > last {
		return out
	}
	o := r.Steps[n]
	out.OpenedAt, out.ExpiresAt, out.EscalatesAt = o.OpenedAt, o.ExpiresAt, o.EscalatesAt
	for _, d := range o.Decisions {
		out.Decisions = append(out.Decisions, shownDecision{d.By, d.For, d.Verdict, d.Escalated, d.Comment, d.Fields, d.At})
	}
	return out
}

func (h *Access) showRequest(c *api.Call) (a api.Answer, err error) {
	h.org.Read(func(s *control.State, _ domain.Head) { a.Body, err = h.shown(c, s, c.Param("id")) })
	return a, err
}

// maxListed is how many requests a list has at most: the newest.
const maxListed = 200

// seers may see every request.
var seers = []domain.Role{domain.Owner, domain.SecurityAdmin, domain.Auditor}

func (h *Access) listRequests(c *api.Call) (api.Answer, error) {
	view, given := c.Query("view")
	switch {
	case given && !slices.Contains([]string{"mine", "inbox", "all"}, view):
		c.Refuse("/view", "view.unknown", "view is mine, inbox (what you may decide now) or all")
	case view == "all" && !slices.ContainsFunc(seers, c.Meta.Actor.Has):
		return api.Answer{}, errAll
	}
	status, filtered := c.Query("status")
	if filtered && !slices.Contains(request.Statuses(), request.Status(status)) {
		c.Refuse("/status", "status.unknown", "status is pending, approved, denied, cancelled or expired")
	}
	answer := struct {
		Requests []shownRequest `json:"requests"`
		More     bool           `json:"more"` // there are older ones, which the audit trail has
	}{Requests: []shownRequest{}}
	h.org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(h.org.Now())
		for r := range s.Requests().Requests() {
			r = r.At(now)
			if status != "" && status != string(r.Status) || !listed(c, s, r, view, now) {
				continue
			}
			if len(answer.Requests) == maxListed {
				answer.More = true
				return
			}
			answer.Requests = append(answer.Requests, h.show(c, s, r, now))
		}
	})
	return api.Answer{Body: answer}, nil
}

// listed tells whether a view has the request.
func listed(c *api.Call, s *control.State, r request.Request, view string, now time.Time) bool {
	switch view {
	case "all":
		return true
	case "inbox":
		return r.Status == request.Pending && slices.Contains(s.Approvers(r.ID, now), domain.Name(c.Meta.Actor.ID))
	}
	return r.Requester == c.Meta.Actor.ID
}

var errAll = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing",
	Message: "Only an owner, a security_admin or an auditor sees all requests: use view=mine or view=inbox."}

// pollInterval is how seldom one request is to be asked about.
const pollInterval = 5 * time.Second

// newPolls bounds how often each request is asked about by who raised it.
func newPolls() *limit.Limiter { return limit.New(1/pollInterval.Seconds(), 1, 10_000) }

// poll tells how a request goes, as RFC 8628 section 3.5 has it.
func (h *Access) poll(c *api.Call) (api.Answer, error) {
	var r shownRequest
	var err error
	now := h.org.Now()
	h.org.Read(func(s *control.State, _ domain.Head) {
		now = s.Later(now)
		r, err = h.shown(c, s, c.Param("id"))
	})
	switch {
	case err != nil:
		return api.Answer{}, err
	case r.Status == request.Pending && !h.polls.Allow(c.Meta.Actor.ID+" "+r.ID, now): // how it ended is told at once
		return api.Answer{}, waiting("slow_down", "request.slow_down", "Ask about a request every 5 seconds, no more often.")
	case r.Status == request.Approved && now.Before(r.ValidUntil):
		return api.Answer{Body: r}, nil
	case r.Status == request.Pending:
		return api.Answer{}, waiting("authorization_pending", "request.pending", "The request waits for its approvals: ask again in 5 seconds.")
	case r.Status == request.Approved:
		return api.Answer{}, waiting("expired_token", "request.lapsed", "The request was approved, and the time of the approval is over: raise a new one.")
	case r.Status == request.Expired:
		return api.Answer{}, waiting("expired_token", "request.expired", "Nobody decided the request in time: raise a new one.")
	case r.Status == request.Cancelled:
		return api.Answer{}, waiting("access_denied", "request.cancelled", "The request was cancelled.")
	}
	return api.Answer{}, waiting("access_denied", "request.denied", "The request was denied.")
}

func waiting(oauth, code, message string) error {
	return &api.Waiting{Err: domain.Error{Kind: domain.KindMalformed, Code: code, Message: message}, OAuth: oauth, Interval: pollInterval}
}

// shownDelegation is the caller's delegate, and for whom they are one themself.
type shownDelegation struct {
	To       domain.Name `json:"to,omitempty"` // absent: nobody
	Until    time.Time   `json:"until,omitzero"`
	Received []received  `json:"received"`
}

type received struct {
	From  domain.Name `json:"from"`
	Until time.Time   `json:"until"`
}

func (h *Access) showDelegation(c *api.Call) (api.Answer, error) {
	me := domain.Name(c.Meta.Actor.ID)
	out := shownDelegation{Received: []received{}}
	h.org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(h.org.Now())
		if d, ok := s.Requests().Delegation(me, now); ok {
			out.To, out.Until = d.To, d.Until
		}
		for _, d := range s.Requests().DelegatedTo(me, now) {
			out.Received = append(out.Received, received{d.From, d.Until})
		}
	})
	return api.Answer{Body: out}, nil
}
