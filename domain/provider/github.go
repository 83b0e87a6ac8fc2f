package provider

import "sallyport.dev/domain/claim"

// gitHub is GitHub Actions. Conditions are on the claims of owner and
// repository, never on sub: its form depends on the repository's age
// (repo:octo/app:… or, with ids, repo:octo@1/app@2:…) and on templates.
//
// Events that people without write access can cause are left out: a workflow on
// pull_request_target or issue_comment carries the subject of the default
// branch while it may run a stranger's code. Who wants pull requests adds
// pull_request to the list and looks at sub.
func gitHub() preset {
	return preset{
		settings: []setting{
			{name: "owner", form: formSlug, required: true},
			{name: "owner_id", form: formNumber},
			{name: "repository", form: formSlug, under: "owner"},
			{name: "repository_id", form: formNumber},
			{name: "environment", form: formText},
			{name: "audience", form: formText, fallback: "{our_issuer}"},
		},
		jwksURL: "https://token.actions.githubusercontent.com/.well-known/jwks",
		conditions: []row{
			{claim: "iss", operator: claim.Equals, value: "https://token.actions.githubusercontent.com"},
			{claim: "aud", operator: claim.Equals, value: "{audience}"},
			{claim: "repository_owner", operator: claim.Equals, value: "{owner}"},
			{claim: "repository_owner_id", operator: claim.Equals, value: "{owner_id}"},
			{claim: "repository", operator: claim.Equals, value: "{owner}/{repository}"},
			{claim: "repository_id", operator: claim.Equals, value: "{repository_id}"},
			{claim: "environment", operator: claim.Equals, value: "{environment}"},
			{claim: "event_name", operator: claim.OneOf, values: []string{
				"push", "workflow_dispatch", "schedule", "release", "deployment", "repository_dispatch", "merge_group",
			}},
		},
	}
}
