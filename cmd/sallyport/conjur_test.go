package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	trust "sallyport.dev/domain/connection"
	"sallyport.dev/domain/role"
)

func TestWhatIsThereIsComparedByWhatItSays(t *testing.T) {
	const keys = `{"keys":[{"kty":"EC","kid":"a","crv":"P-256","x":"AQ","y":"AQ","x5c":["AQ"]}]}`
	want, err := trust.Complete(trust.Spec{
		Description: "d", JWKS: json.RawMessage(keys), IdentityClaim: "sub", IdentityPath: "apps",
		Conditions: conditionsOf(t, `[{"claim":"iss","operator":"equals","value":"x"}]`),
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	// As the server answers: lists that are lists, and of each key the members that it knows.
	const there = `{"name":"ci","description":"d","provider":"generic_jwt","jwks":{"keys":[{"crv":"P-256","kid":"a","kty":"EC","x":"AQ","y":"AQ"}]},
		"conditions":[{"claim":"iss","operator":"equals","value":"x"}],"identity_claim":"sub","identity_path":"apps","audiences":[],"audience_claims":[],
		"token_ttl":{"amount":15,"unit":"minutes"},"algorithms":["RS256","ES256"],"single_use":false,"ttl_within_proof":false,"status":"draft","version":1,"warnings":[]}`
	for _, tt := range []struct {
		name, old, new string
		same           bool
	}{
		{"the same", "", "", true},
		{"another description", `"description":"d"`, `"description":"e"`, false},
		{"another key", `"x":"AQ"`, `"x":"AA"`, false},
		{"a member that the plan's key has not", `"kid":"a"`, `"kid":"a","use":"enc"`, false},
		{"another condition", `"value":"x"`, `"value":"y"`, false},
		{"a further audience", `"audiences":[]`, `"audiences":["sts"]`, false},
		{"another path", `"identity_path":"apps"`, `"identity_path":""`, false},
		{"a pending version that says something else", `"status"`, `"pending":{"description":"e"},"status"`, false},
		{"fetched keys", `"jwks":{`, `"jwks_url":"https://x","was":{`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := strings.Replace(there, tt.old, tt.new, 1)
			if got := sameConnection(json.RawMessage(doc), want); got != tt.same {
				t.Errorf("it is the same: %t, want %t", got, tt.same)
			}
		})
	}
}

func TestRolesAreComparedByWhatTheySay(t *testing.T) {
	want := role.Spec{Description: "d", Requirements: []role.Requirement{{Connection: "ci"}}}
	for doc, same := range map[string]bool{
		`{"name":"a","description":"d","requirements":[{"connection":"ci","conditions":[]}],"linux_server_username":"wl_a","version":3}`: true,
		`{"description":"","requirements":[{"connection":"ci","conditions":[]}]}`:                                                        false,
		`{"description":"d","requirements":[{"connection":"cd","conditions":[]}]}`:                                                       false,
		`{"description":"d","requirements":[{"connection":"ci","conditions":[{"claim":"a","operator":"exists"}]}]}`:                      false,
		`{"description":"d","requirements":[{"connection":"ci"},{"connection":"cd"}]}`:                                                   false,
		`[]`: false,
	} {
		if got := sameRole(json.RawMessage(doc), want); got != same {
			t.Errorf("%s is the same: %t, want %t", doc, got, same)
		}
	}
}

func TestWhatAnImportLeavesToBeDone(t *testing.T) {
	env := counter(t, map[string]string{}, map[string]string{"GET roles": `{"roles":[
		{"name":"kept","requirements":[{"connection":"ci"}]},{"name":"gone","requirements":[{"connection":"cd"},{"connection":"ci"}]},{"name":"other","requirements":[{"connection":"cd"}]}]}`})
	im := importer{
		client:    &client{http: http.DefaultClient, org: env["SALLYPORT_ADDR"] + "/orgs/default"},
		documents: []*imported{{kind: "connection", name: "ci"}, {kind: "role", name: "kept"}},
	}
	if left := im.rolesLeft(t.Context(), "ci"); !slices.Equal(left, []string{"gone"}) {
		t.Errorf("left are %q", left)
	}
	for doc, active := range map[string]bool{
		`{"status":"active"}`: true, `{"status":"active","pending":{}}`: false, `{"status":"draft"}`: false, `{"status":"active","pending":null}`: true,
	} {
		if isActive(json.RawMessage(doc)) != active {
			t.Errorf("%s is active: %t", doc, !active)
		}
	}
}
