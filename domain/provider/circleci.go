package provider

import "sallyport.dev/domain/claim"

// circleCI has an issuer of its own for each organisation, so the issuer pins
// the tenant. The organisation's id is also the audience of tokens that ask for
// no other. Its key set is at jwks-pub.json, as its discovery document says.
func circleCI() preset {
	return preset{
		settings: []setting{
			{name: "organization_id", form: formID, required: true},
			{name: "project_id", form: formID},
		},
		jwksURL: "https://oidc.circleci.com/org/{organization_id}/.well-known/jwks-pub.json",
		conditions: []row{
			{claim: "iss", operator: claim.Equals, value: "https://oidc.circleci.com/org/{organization_id}"},
			{claim: "aud", operator: claim.Equals, value: "{organization_id}"},
			{claim: "oidc.circleci.com/project-id", operator: claim.Equals, value: "{project_id}"},
		},
	}
}
