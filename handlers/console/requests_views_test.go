package console

import (
	"time"

	"sallyport.dev/domain/request"
)

var viewAt = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// viewedRequest is a request with everything that one can have.
func viewedRequest() requestView {
	spec := &request.Spec{Steps: []request.Step{
		{Name: "lead", Approvers: request.Approvers{Group: "leads"}, Needed: 2, Escalate: &request.Escalation{AfterSeconds: 60, To: request.Approvers{Manager: true}}},
		{Name: "owner", Approvers: request.Approvers{ResourceOwner: true}, Needed: 1},
	}, Fields: []request.Field{
		{Name: "ticket", Label: "Ticket", Type: request.Text, Of: request.OfRequester},
		{Name: "risk", Type: request.Choice, Of: request.OfApprover, Choices: []string{"low"}, Required: true},
		{Name: "day", Type: request.Date, Of: request.OfApprover},
	}}
	v := viewRequest(request.Request{
		ID:     "01ARZ3NDEKTSV4RRFFQ69G5FAV",
		Matter: request.Matter{Requester: "alice", Connection: "ci", Identity: "job/1", Type: "prod-access", Resource: "server/web-1", Method: "p/r/ssh:deploy"},
		Asked:  request.Asked{Policy: "p", Rule: "r", Username: "deploy", ApprovalSeconds: 900, Justification: "why", Fields: map[string]string{"ticket": "OPS-1"}},
		Spec:   spec, Version: 2, Status: request.Pending, RaisedAt: viewAt, ValidUntil: viewAt,
		Steps: []request.Opened{{OpenedAt: viewAt, ExpiresAt: viewAt, EscalatedAt: viewAt, Decisions: []request.Decision{
			{By: "carol", For: "bob", Verdict: request.Approved, Comment: "fine", Fields: map[string]string{"risk": "low"}, At: viewAt},
		}}},
	}, nil)
	v.Deciders, v.Told, v.MayDecide = "dave", "Not yours.", true
	return v
}

// others is a view as somebody sees it who decides nothing.
func (v requestView) others() requestView {
	v.MayDecide, v.MayCancel = false, true
	v.Group, v.Until = "watch", viewAt
	return v
}

func viewedRows() []requestRow {
	row := requestRow{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", What: "Log in", Requester: "alice", Why: "why", Status: request.Pending, RaisedAt: viewAt, Holds: time.Minute, Decide: viewAt}
	over := row
	over.Status, over.Holds, over.Until, over.ValidUntil, over.Decide = request.Approved, 0, viewAt, viewAt, time.Time{}
	return []requestRow{row, over}
}

func viewedMembership() membershipView {
	t := membershipType{Name: "on-call", Says: "Nights", Groups: []option{{"watch", "watch"}}, Longest: time.Hour, Why: true, Steps: []string{"lead"}}
	v := membershipView{Types: []membershipType{t}, Chosen: &t, Group: "watch", Until: "2026-11-22T12:00", Justification: "why"}
	v.Asked = []fieldAsked{{Field: request.Field{Name: "day", Type: request.Date}}, {Field: request.Field{Name: "ticket", Type: request.Text}}}
	return v
}

func viewedDelegation() delegationView {
	d := request.Delegation{From: "alice", To: "bob", Until: viewAt}
	return delegationView{Mine: d, Received: []request.Delegation{d}}
}
