package events_test

import (
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/role"
)

func examplesOfRoles() map[string]example {
	const subject = "role/deployers"
	spec := role.Spec{
		Description: "Deploys the web shop",
		Requirements: []role.Requirement{
			{Connection: "gitlab-ci", Conditions: []claim.Condition{
				{Claim: "project_path", Operator: claim.Equals, Value: "my-group/app"},
				{Claim: "ref", Operator: claim.OneOf, Values: []string{"main", "release"}},
			}},
			{Connection: "robots"},
		},
	}
	return map[string]example{
		"role.created": {subject: subject, actor: "security", event: role.WasCreated{Spec: spec},
			summary: "security created workload role deployers for tokens of gitlab-ci (2 conditions), robots"},
		"role.edited": {subject: subject, actor: "security", event: role.WasEdited{Version: 2, Spec: spec},
			summary: "security edited workload role deployers (version 2), now for tokens of gitlab-ci (2 conditions), robots"},
		"role.deleted": {subject: subject, actor: "security", event: role.WasDeleted{},
			summary: "security deleted workload role deployers; its name is never given again"},
	}
}
