package events_test

import (
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
)

func examplesOfRequests() map[string]example {
	const subject, typ, comment = "request/01KASE0000000000000000000R", "request_type/production", "until the disk is swapped"
	spec := request.Spec{
		Description: "Time in production", Kind: request.ForGroup, Groups: []domain.Name{"pam-linux", "pam-windows"}, MaxSeconds: 604800,
		Steps: []request.Step{
			{Name: "manager", Approvers: request.Approvers{Manager: true}, Needed: 1, ExpiresAfterSeconds: 3600,
				Escalate: &request.Escalation{AfterSeconds: 600, To: request.Approvers{People: []domain.Name{"dana", "erin"}}}},
			{Name: "operations", Approvers: request.Approvers{Group: "operations"}, Needed: 2, ExpiresAfterSeconds: 86400},
			{Name: "owner", Approvers: request.Approvers{ResourceOwner: true}, Needed: 1, ExpiresAfterSeconds: 86400},
		},
		Fields: []request.Field{
			{Name: "ticket", Label: "Which ticket?", Type: request.Text, Of: request.OfRequester, Required: true},
			{Name: "risk", Label: "How risky is it?", Type: request.Choice, Of: request.OfApprover, Choices: []string{"low", "high"}},
		},
		Justification: request.Required,
	}
	asks := request.Matter{Requester: "ben", Type: "server-access", Resource: "server/web-1", Method: "production/admins/ssh:pamadmin1"}
	job := request.Matter{Requester: workload, Connection: "gitlab-ci", Identity: identity, Type: "server-access", Resource: "server/web-1", Method: "production/jobs/ssh:deploy"}
	membership := request.Matter{Requester: "ben", Type: "production", Group: "pam-linux"}
	return map[string]example{
		"request_type.drafted": {subject: typ, actor: "security", event: request.TypeWasDrafted{Spec: spec},
			summary: "security drafted request type production with 3 steps"},
		"request_type.edited": {subject: typ, actor: "security", event: request.TypeWasEdited{Version: 2, Spec: spec},
			summary: "security edited request type production (version 2)"},
		"request_type.published": {subject: typ, actor: "owner", event: request.TypeWasPublished{Version: 2, ByOwner: true},
			summary: "owner published request type production (version 2)"},
		"request_type.disabled": {subject: typ, actor: "security", event: request.TypeWasDisabled{},
			summary: "security disabled request type production; requests under way take their course"},
		"request_type.deleted": {subject: typ, actor: "security", event: request.TypeWasDeleted{},
			summary: "security deleted request type production; its name is never given again"},
		"request.raised": {subject: subject, actor: "ben", event: request.WasRaised{Matter: asks, Version: 2, Asked: request.Asked{
			Policy: "production", Rule: "admins", Username: "pamadmin1", ApprovalSeconds: 900, Until: noon.Add(time.Hour),
			Justification: "disk of web-1 is full", Fields: map[string]string{"ticket": "OPS-17"}}},
			summary: "ben asks for server/web-1 by production/admins/ssh:pamadmin1 for 15 minutes: disk of web-1 is full"},
		"request.step_opened": {subject: subject, actor: "ben", event: request.StepWasOpened{
			Matter: asks, Step: 1, Name: "manager", ExpiresAt: noon.Add(time.Hour), EscalatesAt: noon.Add(10 * time.Minute)},
			summary: "the request of ben for server/web-1 by production/admins/ssh:pamadmin1 waits for manager (step 1) until 2026-11-22 13:00:00 UTC"},
		"request.decided": {subject: subject, actor: "dana", event: request.WasDecided{
			Matter: asks, Step: 1, Name: "manager", Verdict: request.Approved, For: "carol", Escalated: true, Comment: comment, Fields: map[string]string{"risk": "low"}},
			summary: "dana, for carol, said yes to manager in the request of ben for server/web-1 by production/admins/ssh:pamadmin1: until the disk is swapped"},
		"request.escalated": {subject: subject, actor: "system:clock", event: request.WasEscalated{
			Matter: asks, Step: 1, Name: "manager", To: request.Approvers{People: []domain.Name{"dana", "erin"}}},
			summary: "the request of ben for server/web-1 by production/admins/ssh:pamadmin1 has waited long for manager, so dana, erin may decide it, too"},
		"request.approved": {subject: subject, actor: "dana", event: request.WasApproved{Matter: membership, ValidUntil: noon.Add(24 * time.Hour)},
			summary: "the request of ben for membership of group pam-linux was approved, until 2026-11-23 12:00:00 UTC"},
		"request.denied": {subject: subject, actor: "dana", outcome: "denied", event: request.WasDenied{Matter: job}, connection: "gitlab-ci", workload: identity,
			summary: "the request of " + identity + " of gitlab-ci for server/web-1 by production/jobs/ssh:deploy was denied by dana"},
		"request.cancelled": {subject: subject, actor: "ben", event: request.WasCancelled{Matter: asks},
			summary: "ben withdrew the request for server/web-1 by production/admins/ssh:pamadmin1"},
		"request.expired": {subject: subject, actor: "system:clock", event: request.WasExpired{Matter: asks, Step: 1, Name: "manager"},
			summary: "the request of ben for server/web-1 by production/admins/ssh:pamadmin1 expired, waiting for manager (step 1)"},
		"request.lapsed": {subject: subject, actor: "system:clock", event: request.HasLapsed{Matter: asks, ValidUntil: noon.Add(15 * time.Minute)},
			summary: "the approval of ben for server/web-1 by production/admins/ssh:pamadmin1 was over at 2026-11-22 12:15:00 UTC"},
		"delegation.set": {subject: "delegation/carol", actor: "carol", event: request.DelegationWasSet{From: "carol", To: "dana", Until: noon.Add(24 * time.Hour)},
			summary: "carol lets dana decide access requests for them until 2026-11-23 12:00:00 UTC"},
		"delegation.ended": {subject: "delegation/carol", actor: "carol", event: request.DelegationWasEnded{From: "carol", To: "dana"},
			summary: "carol no more lets dana decide access requests for them"},
	}
}
