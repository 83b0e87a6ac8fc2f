package provider

import "sallyport.dev/domain/claim"

// kubernetes takes projected service account tokens. Its keys come from the
// issuer's discovery document; for a cluster that nobody can reach, give jwks
// (kubectl get --raw /openid/v1/jwks) beside the settings. The audience has to
// be asked for in the pod's volume; the API server's own is not ours.
func kubernetes() preset {
	return preset{
		settings: []setting{
			{name: "issuer", form: formText, required: true},
			{name: "audience", form: formText, required: true},
			{name: "namespace", form: formSlug},
			{name: "service_account", form: formSlug},
		},
		issuerURL: "{issuer}",
		conditions: []row{
			{claim: "iss", operator: claim.Equals, value: "{issuer}"},
			{claim: "aud", operator: claim.Equals, value: "{audience}"},
			{claim: "sub", operator: claim.Equals, value: "system:serviceaccount:{namespace}:{service_account}"},
			{claim: "kubernetes.io/namespace", operator: claim.Equals, value: "{namespace}", without: "service_account"},
			{claim: "kubernetes.io/serviceaccount/name", operator: claim.Equals, value: "{service_account}", without: "namespace"},
		},
	}
}
