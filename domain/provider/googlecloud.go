package provider

import "sallyport.dev/domain/claim"

// googleCloud takes the identity tokens of service accounts. Their one issuer
// serves everybody, and anybody may ask it for any audience, so email or, better,
// account_id (the sub, which is never given again) pins the tenant. An address
// counts only when Google verified it. The identity stays sub either way: an
// address can be given to another account later.
func googleCloud() preset {
	return preset{
		settings: []setting{
			{name: "client_id", form: formText, required: true},
			{name: "email", form: formEmail},
			{name: "account_id", form: formNumber},
		},
		jwksURL: "https://www.googleapis.com/oauth2/v3/certs",
		conditions: []row{
			{claim: "iss", operator: claim.Equals, value: "https://accounts.google.com"},
			{claim: "aud", operator: claim.Equals, value: "{client_id}"},
			{claim: "email", operator: claim.Equals, value: "{email}"},
			{claim: "email_verified", operator: claim.Equals, value: "true", given: "email"},
			{claim: "sub", operator: claim.Equals, value: "{account_id}"},
		},
	}
}
