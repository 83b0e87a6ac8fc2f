package provider

import "sallyport.dev/domain/claim"

// gitLab is gitlab.com or an own GitLab, told by its domain. A group's own
// projects are namespace_path; for those of its subgroups too, edit that
// condition into starts_with GROUP/. A moved project keeps its project_id.
func gitLab() preset {
	return preset{
		settings: []setting{
			{name: "domain", form: formHost, required: true},
			{name: "group", form: formPath},
			{name: "project", form: formSlug, needs: "group", under: "group"},
			{name: "project_id", form: formNumber},
			{name: "audience", form: formText, fallback: "{our_issuer}"},
		},
		jwksURL: "https://{domain}/oauth/discovery/keys",
		conditions: []row{
			{claim: "iss", operator: claim.Equals, value: "https://{domain}"},
			{claim: "aud", operator: claim.Equals, value: "{audience}"},
			{claim: "namespace_path", operator: claim.Equals, value: "{group}"},
			{claim: "project_path", operator: claim.Equals, value: "{group}/{project}"},
			{claim: "project_id", operator: claim.Equals, value: "{project_id}"},
		},
	}
}
