package events_test

import (
	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
)

func examplesOfPolicies() map[string]example {
	const subject = "policy/db-on-call"
	fresh := 0
	spec := policy.Spec{
		Description: "Who is on call reaches the databases, when somebody agrees",
		Principals:  policy.Principals{Groups: []domain.Name{"on-call"}, Roles: []domain.Name{"backup"}},
		Rules: []policy.Rule{
			{
				Name:     "databases",
				Resource: policy.Selector{Labels: map[string]string{"tier": "db"}},
				Privileges: []policy.Privilege{
					{Type: policy.SSH, Accounts: []domain.Name{"postgres"}}, {Type: policy.SSHWorkload},
					{Type: policy.RevealPassword, Accounts: []domain.Name{"postgres"}},
				},
				Conditions: []policy.Condition{
					{Type: policy.AccessRequest, RequestType: "prod-access", ApprovalSeconds: 3600},
					{Type: policy.MFA, FreshSeconds: &fresh}, {Type: policy.Checkout, MaxSeconds: 7200},
				},
				Expression: `resource.labels["env"] == "prod"`,
				BreakGlass: &policy.BreakGlass{AccessSeconds: 900},
			},
			{
				Name: "password", Resource: policy.Selector{Secret: "payments/db/password"},
				Privileges:       []policy.Privilege{{Type: policy.Secret, Actions: []policy.Action{policy.List, policy.Reveal}}},
				Conditions:       []policy.Condition{{Type: policy.AccessRequest, RequestType: "prod-access", ApprovalSeconds: 3600}},
				WorkloadsMayWait: true,
			},
			{Name: "dumps", Resource: policy.Selector{Folder: "payments/dumps"},
				Privileges: []policy.Privilege{{Type: policy.Secret, Actions: []policy.Action{policy.Create, policy.Update, policy.Delete}}}},
			{Name: "web", Resource: policy.Selector{Server: "web-1"},
				Privileges: []policy.Privilege{{Type: policy.SSH, Accounts: []domain.Name{"me"}}}},
		},
	}
	return map[string]example{
		"policy.drafted": {subject: subject, actor: "security", event: policy.WasDrafted{Spec: spec},
			summary: "security drafted policy db-on-call for group on-call, role backup (4 rules), which lets nobody in until it is published"},
		"policy.edited": {subject: subject, actor: "security", event: policy.WasEdited{Version: 2, Spec: spec},
			summary: "security edited policy db-on-call for group on-call, role backup (version 2, 4 rules), without effect until it is published"},
		"policy.published": {subject: subject, actor: "security", event: policy.WasPublished{Version: 2},
			summary: "security published policy db-on-call (version 2)"},
		"policy.unpublished": {subject: subject, actor: "security", event: policy.WasUnpublished{Version: 2},
			summary: "security unpublished policy db-on-call (version 2), which lets nobody in any more"},
		"policy.deleted": {subject: subject, actor: "security", event: policy.WasDeleted{},
			summary: "security deleted policy db-on-call; its name is never given again"},
	}
}
