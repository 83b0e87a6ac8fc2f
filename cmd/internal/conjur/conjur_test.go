package conjur_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/cmd/internal/conjur"
	"sallyport.dev/domain/claim"
)

const ours = "https://sallyport.example/orgs/default"

// authenticator is the policy of service raw, whose hosts are those in group hosts.
const authenticator = `
- !policy
  id: conjur/authn-jwt/raw
  body:
  - !webservice
  - !variable
    id: jwks-uri
  - !variable
    id: token-app-property
  - !group hosts
  - !permit
    role: !group hosts
    privilege: [ read, authenticate ]
    resource: !webservice
`

// values is what a case has where it says nothing else.
const values = "jwks-uri: https://ci.example/jwks\ntoken-app-property: host\n"

// myapp is a host of that name with annotations, which may authenticate.
func myapp(annotations ...string) string { return hostIn("myapp", annotations...) }

func hostIn(id string, annotations ...string) string {
	s := "- !host\n  id: " + id + "\n"
	if len(annotations) > 0 {
		s += "  annotations:\n"
	}
	for _, a := range annotations {
		s += "    " + a + "\n"
	}
	return s + "- !grant\n  role: !group conjur/authn-jwt/raw/hosts\n  member: !host " + id + "\n"
}

func read(policy, variables string) (conjur.Plan, []conjur.Problem) {
	return conjur.Read([]conjur.File{{Name: "policy.yml", Text: []byte(policy)}}, conjur.File{Name: "variables.yml", Text: []byte(variables)},
		conjur.Options{Service: "raw", Connection: "ci", Issuer: ours})
}

// said is every role's conditions, or every problem's code.
func said(p conjur.Plan, found []conjur.Problem) string {
	var out []string
	for _, f := range found {
		code := f.Code
		if code == "" {
			code = "refused"
		}
		out = append(out, code)
	}
	for _, r := range p.Roles {
		var cs []string
		for _, c := range r.Spec.Requirements[0].Conditions {
			cs = append(cs, string(c.Claim)+"="+c.Value)
		}
		out = append(out, r.Name.String()+"["+strings.Join(cs, " ")+"]")
	}
	return strings.Join(out, " ")
}

// upstream is the scenarios of Conjur's own features for authn-jwt that are
// about how it is configured and how hosts are annotated. Those about tokens,
// their signatures and claims, the status address, the permission to read it,
// the fetching of keys and the log are answered by the exchange.
var upstream = []struct{ name, policy, variables, want string }{ // want: roles, or codes
	// authn_jwt_token_schema
	{"ONYX-10471 one enforced claim", myapp("authn-jwt/raw/ref: valid"), values + "enforced-claims: ref", "myapp[host=myapp ref=valid]"},
	{"ONYX-10471 two enforced claims, of which sub is not ours to see", myapp("authn-jwt/raw/ref: valid-ref", "authn-jwt/raw/sub: valid-sub"), values + "enforced-claims: ref,sub", "refused"},
	{"ONYX-10759 an enforced claim that is not annotated", myapp("authn-jwt/raw/project: valid"), values + "enforced-claims: ref", "CONJ00057E"},
	{"ONYX-10470 iss is enforced", myapp("authn-jwt/raw/ref: valid"), values + "enforced-claims: iss", "CONJ00105E"},
	{"ONYX-10470 exp and iss are enforced", myapp("authn-jwt/raw/ref: valid"), values + "enforced-claims: exp, iss", "CONJ00105E CONJ00105E"},
	{"ONYX-10470 exp and branch are enforced", myapp("authn-jwt/raw/ref: valid", "authn-jwt/raw/branch: valid"), values + "enforced-claims: exp, branch", "CONJ00105E"},
	{"ONYX-10857 a registered claim is annotated", myapp("authn-jwt/raw/iat: valid"), values, "CONJ00069E"},
	{"ONYX-10860 enforced-claims without a value", "- !variable conjur/authn-jwt/raw/enforced-claims\n" + myapp("authn-jwt/raw/branch: valid"), values + "claim-aliases: branch:ref", "CONJ00037E"},
	{"ONYX-10891 before a claim is enforced", myapp("authn-jwt/raw/project: valid"), values, "myapp[host=myapp project=valid]"},
	{"ONYX-10891 after the annotation has followed", "- !variable conjur/authn-jwt/raw/enforced-claims\n" + myapp("authn-jwt/raw/ref: valid"), values + "enforced-claims: ref", "myapp[host=myapp ref=valid]"},
	{"ONYX-10472 an alias that nothing uses", myapp("authn-jwt/raw/project_id: valid-project", "authn-jwt/raw/namespace_id: valid-namespace"), values + "claim-aliases: branch:ref",
		"myapp[host=myapp project_id=valid-project namespace_id=valid-namespace]"},
	{"ONYX-10473 an alias that an annotation uses", myapp("authn-jwt/raw/project_id: valid-project", "authn-jwt/raw/branch: valid-branch"), values + "claim-aliases: branch:ref",
		"myapp[host=myapp project_id=valid-project ref=valid-branch]"},
	{"ONYX-10889 an alias that comes after its annotation", myapp("authn-jwt/raw/ref: valid-branch"), values + "claim-aliases: branch:ref", "CONJ00069E"},
	{"ONYX-10705 an alias of an enforced claim", myapp("authn-jwt/raw/branch: valid-branch"), values + "claim-aliases: branch:ref\nenforced-claims: ref", "myapp[host=myapp ref=valid-branch]"},
	{"ONYX-10874 a claim that is called as another", myapp("authn-jwt/raw/sub: mysub"), values + "claim-aliases: sub:ref", "myapp[host=myapp ref=mysub]"},
	{"ONYX-10861 claim-aliases without a value", "- !variable conjur/authn-jwt/raw/claim-aliases\n" + myapp("authn-jwt/raw/ref: valid"), values + "enforced-claims: ref", "CONJ00037E"},
	{"ONYX-11117 special characters", myapp("authn-jwt/raw/claim.name: claim.name.value", "authn-jwt/raw/claim_ant: claim.ant...value", "authn-jwt/raw/_: claim_name_value"),
		values + "claim-aliases: \"claim_ant:claim.ant..., _:claim_name\"\nenforced-claims: claim.name, claim.ant...", "myapp[host=myapp claim.name=claim.name.value claim.ant...=claim.ant...value claim_name=claim_name_value]"},
	{"ONYX-10873 one annotation for two claims", myapp("authn-jwt/raw/project: x"), values + "claim-aliases: \"branch: ref, branch:sub\"", "CONJ00113E"},
	{"ONYX-10873 one claim for two annotations", myapp("authn-jwt/raw/project: x"), values + "claim-aliases: \"branch: sub, job: sub\"", "CONJ00113E"},
	{"ONYX-10858 an alias of a registered claim", myapp("authn-jwt/raw/project: x"), values + "claim-aliases: \"branch: exp\"", "CONJ00112E"},
	{"ONYX-10858 an alias called as a registered claim", myapp("authn-jwt/raw/project: x"), values + "claim-aliases: \"exp: sub\"", "CONJ00112E"},
	{"ONYX-10862 an enforced claim that is none", myapp("authn-jwt/raw/ref: valid"), values + "enforced-claims: '%@^#[{]}$~=-+_?.><&^@*@#*sdhj812ehd'", "CONJ00104E"},
	{"ONYX-10863 an alias of what is no claim", myapp("authn-jwt/raw/ref: valid"), values + "claim-aliases: 'aaa: %@^#&^[{]}$~=-+_?.><812ehd'", "CONJ00112E"},
	{"ONYX-10941 before the alias", myapp("authn-jwt/raw/ref: valid-ref"), values + "enforced-claims: ref", "myapp[host=myapp ref=valid-ref]"},
	{"ONYX-10941 after the alias", myapp("authn-jwt/raw/ref: valid-ref"), values + "enforced-claims: ref\nclaim-aliases: branch:ref", "CONJ00057E CONJ00069E"},
	{"ONYX-10941 with both annotations", myapp("authn-jwt/raw/ref: valid-ref", "authn-jwt/raw/branch: valid-ref"), values + "enforced-claims: ref\nclaim-aliases: branch:ref", "CONJ00069E"},
	{"ONYX-10896 the alias is changed", myapp("authn-jwt/raw/job: valid-ref"), values + "claim-aliases: job:ref", "myapp[host=myapp ref=valid-ref]"},
	{"ONYX-13716 an alias of a nested claim", myapp("authn-jwt/raw/claim: valid"), values + "claim-aliases: claim:google/claim", "myapp[host=myapp google/claim=valid]"},
	{"ONYX-13717 an alias of a nested claim that is enforced", myapp("authn-jwt/raw/claim: valid_claim"), values + "enforced-claims: google/claim\nclaim-aliases: claim:google/claim", "myapp[host=myapp google/claim=valid_claim]"},
	{"ONYX-13718 an alias with a slash", myapp("authn-jwt/raw/claim: valid"), values + "claim-aliases: claim/claim:valid", "CONJ00114E"},

	// authn_jwt_validate_restrictions
	{"ONYX-9069 annotations of nobody and of another service", myapp("authn-jwt/project_id: myproject", "authn-jwt/aud: myaud", "authn-jwt/raw/project_id: myproject", "authn-jwt/raw/additional_data/group_name: mygroup", "authn-jwt/invalid-service/aud: myaud"),
		values, "myapp[host=myapp project_id=myproject additional_data/group_name=mygroup]"},
	{"ONYX-9112 annotations of nobody alone", myapp("authn-jwt/project_id: myproject", "authn-jwt/aud: myaud"), values, "CONJ00099E"},
	{"ONYX-9068 no annotations", myapp(), values, "CONJ00099E"},
	{"ONYX-8734 an annotation without a value", myapp("authn-jwt/raw/custom_claim:"), values, "CONJ00100E"},
	{"ONYX-8735 annotations that say nothing", myapp("authn-jwt/raw: invalid", "authn-jwt/raw/namespace_id: valid-namespace-id", "authn-jwt: invalid", "authn-jwt/raw2/sub: invalid-sub"), values, "myapp[host=myapp namespace_id=valid-namespace-id]"},
	{"ONYX-13722 an annotation that looks into a list", myapp("authn-jwt/raw/ref: x", "authn-jwt/raw/actions[0]: GET"), values, "CONJ00119E"},

	// authn_jwt_fetch_identity_decoded_token
	{"ONYX-8820 the identity is in the token", myapp("authn-jwt/raw/project-id: myproject"), values, "myapp[host=myapp project-id=myproject]"},
	{"ONYX-9522 a user is nobody", "- !user\n  id: myuser\n  annotations:\n    authn-jwt/raw/custom-claim: x\n" + myapp("authn-jwt/raw/project-id: myproject"), values, "myapp[host=myapp project-id=myproject]"},
	{"ONYX-8824 token-app-property without a value", myapp("authn-jwt/raw/project-id: myproject"), "jwks-uri: https://ci.example/jwks", "CONJ00037E"},
	{"ONYX-9524 a host with a slash below the identity-path", hostIn("some_policy/sub_policy/host_test_from_token", "authn-jwt/raw/project-id: myproject"), values + "identity-path: some_policy/",
		"host-test-from-token-e09ff421[host=sub_policy/host_test_from_token project-id=myproject]"},
	{"ONYX-9523 a host below the identity-path", hostIn("some_policy/host_test_from_token", "authn-jwt/raw/project-id: myproject"), values + "identity-path: some_policy/",
		"host-test-from-token[host=host_test_from_token project-id=myproject]"},
	{"ONYX-13707 a nested claim names the host", myapp("authn-jwt/raw/project-id: myproject"), "jwks-uri: https://ci.example/jwks\ntoken-app-property: account/project/id", "myapp[account/project/id=myapp project-id=myproject]"},
	{"ONYX-13711 an element of a list names nobody", myapp("authn-jwt/raw/project-id: myproject"), "jwks-uri: https://ci.example/jwks\ntoken-app-property: account[0]/project/id", "CONJ00117E"},

	// authn_jwt_configuration
	{"ONYX-8600 no webservice", "-", values, "CONJ00005E"},
	{"ONYX-8601 reading is not authenticating", "- !host\n  id: myapp\n  annotations:\n    authn-jwt/raw/ref: x\n- !permit\n  role: !host myapp\n  privilege: [ read ]\n  resource: !webservice conjur/authn-jwt/raw\n", values, "CONJ00006E"},
	{"ONYX-8694 provider-uri and jwks-uri", myapp("authn-jwt/raw/ref: x"), values + "provider-uri: https://ci.example", "CONJ00122E"},
	{"ONYX-8826 provider-uri, and jwks-uri of a blank", myapp("authn-jwt/raw/ref: x"), "jwks-uri: ' '\nprovider-uri: https://ci.example\ntoken-app-property: host", "CONJ00122E"},
	{"ONYX-8698 jwks-uri without a value", myapp("authn-jwt/raw/ref: x"), "token-app-property: host", "CONJ00037E"},
	{"ONYX-8697 provider-uri without a value", "+- !variable conjur/authn-jwt/raw/provider-uri\n" + myapp("authn-jwt/raw/ref: x"), "token-app-property: host", "CONJ00037E"},
	{"ONYX-8696 no key source", "+" + myapp("authn-jwt/raw/ref: x"), "token-app-property: host", "CONJ00122E"},
	{"ONYX-8695 jwks-uri, and provider-uri of a blank", myapp("authn-jwt/raw/ref: x"), values + "provider-uri: ' '", "CONJ00122E"},
	{"ONYX-8602 nothing names the host", "+" + myapp("authn-jwt/raw/ref: x"), "jwks-uri: https://ci.example/jwks", "CONJ00098E"},

	// authn_jwt_fetch_signing_key
	{"ONYX-15322 public-keys", "+" + myapp("authn-jwt/raw/project_id: myproject"), "token-app-property: host\nissuer: valid-issuer\npublic-keys: '{\"type\":\"jwks\",\"value\":{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"AQ\",\"e\":\"AQAB\"}]}}'", "myapp[host=myapp project_id=myproject]"},
	{"ONYX-15325 public-keys of another form", "+" + myapp("authn-jwt/raw/ref: x"), "token-app-property: host\nissuer: x\npublic-keys: '{ }'", "CONJ00120E"},
	{"ONYX-8702 provider-uri", "+" + myapp("authn-jwt/raw/email: alice@conjur.net"), "token-app-property: host\nprovider-uri: https://keycloak.example\nissuer: https://keycloak.example", "myapp[host=myapp email=alice@conjur.net]"},

	// authn_status_jwt, where it is about variables
	{"ONYX-9122 all variables", "+" + myapp("authn-jwt/raw/ref: x"), "jwks-uri: https://ci.example/jwks\ntoken-app-property: kubernetes.io/user\nissuer: gitlab\naudience: conjur", "myapp[kubernetes.io/user=myapp ref=x]"},
	{"ONYX-9138 an issuer and no key source", "+" + myapp("authn-jwt/raw/ref: x"), "token-app-property: user\nissuer: someIssuer", "CONJ00122E"},
	{"jwks-uri and provider-uri, asked for the status", myapp("authn-jwt/raw/ref: x"), values + "provider-uri: someProvider\nissuer: someIssuer", "CONJ00122E refused"},
	{"ONYX-9139 no issuer", "+" + myapp("authn-jwt/raw/ref: x"), values, "myapp[host=myapp ref=x]"},
	{"ONYX-9140 neither issuer nor key source", "+" + myapp("authn-jwt/raw/ref: x"), "token-app-property: user", "CONJ00122E"},
	{"ONYX-9141 token-app-property without a value", myapp("authn-jwt/raw/ref: x"), "jwks-uri: https://ci.example/jwks", "CONJ00037E"},
	{"ONYX-9569 jwks-uri without a value, asked for the status", myapp("authn-jwt/raw/ref: x"), "jwks-uri:\ntoken-app-property: user", "CONJ00037E"},
	{"ONYX-9570 provider-uri without a value, asked for the status", "+" + myapp("authn-jwt/raw/ref: x"), "provider-uri: ''\ntoken-app-property: user", "CONJ00037E"},
	{"ONYX-9516 identity-path without a value", myapp("authn-jwt/raw/ref: x"), values + "identity-path:", "CONJ00037E"},
	{"ONYX-9515 identity-path", hostIn("apps/myuser", "authn-jwt/raw/ref: x"), values + "identity-path: apps\nissuer: gitlab", "myuser[host=myuser ref=x]"},
	{"ONYX-10875 enforced-claims and claim-aliases", myapp("authn-jwt/raw/branch: x"), values + "claim-aliases: branch:ref\nenforced-claims: ref", "myapp[host=myapp ref=x]"},
	{"ONYX-11162 audience without a value", "- !variable conjur/authn-jwt/raw/audience\n" + myapp("authn-jwt/raw/ref: x"), values, "CONJ00037E"},
	{"ONYX-10875, the other: claim-aliases without a value", "- !variable conjur/authn-jwt/raw/claim-aliases\n" + myapp("authn-jwt/raw/ref: x"), values, "CONJ00037E"},
	{"ONYX-10876 enforced-claims without a value", "- !variable conjur/authn-jwt/raw/enforced-claims\n" + myapp("authn-jwt/raw/ref: x"), values, "CONJ00037E"},
	{"ONYX-10960 an enforced claim of other characters", myapp("authn-jwt/raw/ref: x"), values + "enforced-claims: $@$@#sda//sdasdq23asd32rdf", "CONJ00104E"},
	{"ONYX-10958 an alias of other characters", myapp("authn-jwt/raw/ref: x"), values + "claim-aliases: 'SDsas213sda!!A!!$$@#$#:$@$@#sdasdasdq23asd32rdf'", "CONJ00112E"},
	{"ONYX-10958 an alias with a slash, asked for the status", myapp("authn-jwt/raw/ref: x"), values + "claim-aliases: a/b:bbb", "CONJ00114E"},
	{"ONYX-13997 token-app-property of another form", "+" + myapp("authn-jwt/raw/ref: x"), "jwks-uri: https://ci.example/jwks\ntoken-app-property: a//b", "CONJ00117E"},
}

// rules are Conjur's rules that its features leave to its unit tests.
var rules = []struct{ name, policy, variables, want string }{
	{"a host that was granted nothing", "- !host\n  id: myapp\n  annotations:\n    authn-jwt/raw/ref: x\n", values, "CONJ00006E"},
	{"jwks-uri and public-keys", myapp("authn-jwt/raw/ref: x"), values + "issuer: x\npublic-keys: '{\"type\":\"jwks\",\"value\":{\"keys\":[{\"kty\":\"RSA\"}]}}'", "CONJ00122E"},
	{"public-keys and provider-uri", "+" + myapp("authn-jwt/raw/ref: x"), "token-app-property: host\nprovider-uri: https://x\nissuer: https://x\npublic-keys: '{\"type\":\"jwks\",\"value\":{\"keys\":[{}]}}'", "CONJ00122E"},
	{"all key sources", myapp("authn-jwt/raw/ref: x"), values + "provider-uri: https://x\npublic-keys: '{\"type\":\"jwks\",\"value\":{\"keys\":[{}]}}'", "CONJ00122E"},
	{"public-keys without an issuer", "+" + myapp("authn-jwt/raw/ref: x"), "token-app-property: host\npublic-keys: '{\"type\":\"jwks\",\"value\":{\"keys\":[{}]}}'", "CONJ00122E"},
	{"public-keys that are no JSON", "+" + myapp("authn-jwt/raw/ref: x"), "token-app-property: host\nissuer: x\npublic-keys: nothing", "CONJ00120E"},
	{"public-keys of another type", "+" + myapp("authn-jwt/raw/ref: x"), "token-app-property: host\nissuer: x\npublic-keys: '{\"type\":\"pem\",\"value\":{\"keys\":[{}]}}'", "CONJ00120E"},
	{"public-keys without a key", "+" + myapp("authn-jwt/raw/ref: x"), "token-app-property: host\nissuer: x\npublic-keys: '{\"type\":\"jwks\",\"value\":{\"keys\":[]}}'", "CONJ00120E"},
	{"ca-cert with public-keys", "+" + myapp("authn-jwt/raw/ref: x"), "token-app-property: host\nissuer: x\nca-cert: x\npublic-keys: '{\"type\":\"jwks\",\"value\":{\"keys\":[{}]}}'", "CONJ00122E"},
	{"a registered claim with blanks around it", myapp("'authn-jwt/raw/ iat ': x"), values, "CONJ00069E"},
	{"a claim with a blank behind it", myapp("'authn-jwt/raw/ref ': x"), values, "CONJ00119E"},
	{"a blank audience", myapp("authn-jwt/raw/ref: x"), values + "audience: ' '", "CONJ00115E"},
	{"a blank identity-path", myapp("authn-jwt/raw/ref: x"), values + "identity-path: /", "CONJ00102E"},
	{"blank enforced claims", myapp("authn-jwt/raw/ref: x"), values + "enforced-claims: ' '", "CONJ00106E"},
	{"enforced claims with a comma too many", myapp("authn-jwt/raw/ref: x"), values + "enforced-claims: ref,", "CONJ00107E"},
	{"an enforced claim twice", myapp("authn-jwt/raw/ref: x"), values + "enforced-claims: ref, ref", "CONJ00108E"},
	{"blank aliases", myapp("authn-jwt/raw/ref: x"), values + "claim-aliases: ' '", "CONJ00109E"},
	{"aliases with a comma too many", myapp("authn-jwt/raw/x: x"), values + "claim-aliases: x:ref,", "CONJ00110E"},
	{"an alias of nothing", myapp("authn-jwt/raw/ref: x"), values + "claim-aliases: 'x:'", "CONJ00111E"},
	{"an alias with two colons", myapp("authn-jwt/raw/ref: x"), values + "claim-aliases: x:y:z", "CONJ00111E"},
}

// policyOf is a case's policy behind the authenticator's, which stands as it is
// but for cases that begin with - (none) or + (without declared variables).
func policyOf(policy string) string {
	switch {
	case policy == "-":
		return myapp("authn-jwt/raw/ref: x")
	case strings.HasPrefix(policy, "+"):
		return strings.NewReplacer("  - !variable\n    id: jwks-uri\n", "", "  - !variable\n    id: token-app-property\n", "").Replace(authenticator) + policy[1:]
	}
	return authenticator + policy
}

func TestConjursRules(t *testing.T) {
	for _, tt := range append(slices.Clone(rules), upstream...) {
		t.Run(tt.name, func(t *testing.T) {
			plan, found := read(policyOf(tt.policy), tt.variables)
			got := said(plan, found)
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
				for _, f := range found {
					t.Log(f)
				}
			}
			for _, f := range found {
				if f.File == "" || f.Text == "" || strings.HasSuffix(f.Text, ".") {
					t.Errorf("it is told as %q", f)
				}
			}
		})
	}
}

// The page says how many of Conjur's scenarios these are.
func TestThePageCountsTheScenarios(t *testing.T) {
	page, err := os.ReadFile("../../../docs/howto-conjur.md")
	if err != nil {
		t.Fatal(err)
	}
	scenarios := map[string]bool{}
	for _, tt := range upstream {
		id, _, _ := strings.Cut(tt.name, " ") // several cases are steps or examples of one scenario
		scenarios[id] = true
	}
	if want := fmt.Sprintf("%d of the 134 scenarios", len(scenarios)); !strings.Contains(strings.Join(strings.Fields(string(page)), " "), want) {
		t.Errorf("the page does not say %q", want)
	}
}

func TestTheConnection(t *testing.T) {
	const key = `{"type":"jwks","value":{"keys":[{"kty":"EC","kid":"a","crv":"P-256","x":"AQ","y":"AQ"}]}}`
	for _, tt := range []struct {
		name, policy, variables string
		want                    string // keys, conditions, identity, ttl
	}{
		{"by jwks-uri, whose host is the issuer", "", values, "https://ci.example/jwks iss=ci.example host  8 minutes"},
		{"by jwks-uri, with an issuer and an audience", "", values + "issuer: https://ci.example\naudience: conjur", "https://ci.example/jwks iss=https://ci.example aud=conjur host  8 minutes"},
		{"by provider-uri", "+", "token-app-property: sub\nprovider-uri: https://ci.example\naudience: conjur", "https://ci.example iss=https://ci.example aud=conjur sub  8 minutes"},
		{"by public-keys", "+", "token-app-property: sub\nissuer: gitlab\npublic-keys: '" + key + "'", "jwks iss=gitlab sub  8 minutes"},
		{"with a path and a time to live", "", values + "identity-path: apps/ci/\ntoken-ttl: PT1H30M", "https://ci.example/jwks iss=ci.example host apps/ci 90 minutes"},
		{"names written whole", "", "conjur/authn-jwt/raw/jwks-uri: https://ci.example/jwks\nconjur/authn-jwt/raw/token-app-property: host\nconjur/authn-jwt/other/audience: x\n", "https://ci.example/jwks iss=ci.example host  8 minutes"},
		{"JSON is YAML", "", `{"jwks-uri":"https://ci.example/jwks","token-app-property":"host"}`, "https://ci.example/jwks iss=ci.example host  8 minutes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := "myapp"
			if strings.Contains(tt.variables, "identity-path") {
				id = "apps/ci/myapp"
			}
			plan, found := read(policyOf(tt.policy+hostIn(id, "authn-jwt/raw/ref: x")), tt.variables)
			if len(found) > 0 {
				t.Fatal(found)
			}
			s := plan.Spec
			keys := s.JWKSURL + s.IssuerURL
			if s.JWKS != nil {
				keys = "jwks"
			}
			var cs []string
			for _, c := range s.Conditions {
				if c.Operator != claim.Equals {
					t.Errorf("condition %s", c)
				}
				cs = append(cs, string(c.Claim)+"="+c.Value)
			}
			got := strings.Join([]string{keys, strings.Join(cs, " "), string(s.IdentityClaim), s.IdentityPath, s.TokenTTL.String()}, " ")
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if strings.Join(s.Algorithms, " ") != "RS256 RS384 RS512" || plan.Connection != "ci" {
				t.Errorf("%s takes %v", plan.Connection, s.Algorithms)
			}
		})
	}
}

func TestWhatRolesCannotSayIsRefusedAloud(t *testing.T) {
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf("authn-jwt/raw/c%d: x", i)
	}
	ref := "authn-jwt/raw/ref: x"
	for _, tt := range []struct {
		name, policy, variables string
		want                    string // of the first problem: file, line, host and a part of what is said
	}{
		{"networks", strings.Replace(myapp(ref), "  annotations", "  restricted_to: [ 10.0.0.0/8 ]\n  annotations", 1), values, "policy.yml:17: host myapp: restricted_to"},
		{"more conditions than a role has", myapp(many...), values, "policy.yml:15: host myapp: it has 22 conditions"},
		{"sub beside another claim that names the host", myapp("authn-jwt/raw/sub: x"), values, "policy.yml:18: host myapp: annotation sub asks for the claim sub"},
		{"sub by an alias beside another claim", myapp("authn-jwt/raw/who: x"), values + "claim-aliases: who:sub", "host myapp: annotation who asks for the claim sub"},
		{"an annotation that contradicts the id", myapp("authn-jwt/raw/host: other"), values, "host myapp: CONJ00049E"},
		{"a host beside the identity-path", hostIn("apps2/myapp", ref), values + "identity-path: apps", "host apps2/myapp: CONJ00007E"},
		{"a host that is the identity-path", hostIn("apps", ref), values + "identity-path: apps", "host apps: CONJ00007E"},
		{"a name that is none", hostIn("'@@@'", ref), values, `host @@@: its role cannot be called ""`},
		{"a name that is a question of ours", hostIn("match", ref), values, `host match: its role cannot be called "match"`},
		{"two hosts of one name", hostIn("my/app", ref) + hostIn("my_app", ref), values, "host my_app: its role would be called my-app, as that of host my/app"},
		{"a tag of nobody", "- !queue q\n" + myapp(ref), values, "policy.yml:15: !queue is no record"},
		{"a tag of nobody in a grant", myapp(ref) + "- !grant\n  role: !role x\n  member: !host myapp\n", values, "!role names no role"},
		{"what takes back", myapp(ref) + "- !revoke\n  role: !group conjur/authn-jwt/raw/hosts\n  member: !host myapp\n", values, "!revoke takes back"},
		{"what denies", "- !deny\n  role: !host myapp\n  privilege: [ authenticate ]\n  resource: !webservice conjur/authn-jwt/raw\n" + myapp(ref), values, "!deny takes back"},
		{"what deletes", myapp(ref) + "- !delete\n  record: !host myapp\n", values, "!delete takes back"},
		{"a member of nobody", strings.Replace(myapp(ref), "  annotations", "  enabled: false\n  annotations", 1), values, "policy.yml:17: enabled is no member of !host"},
		{"an annotation twice", myapp(ref, "authn-jwt/raw/ref: y"), values, "annotation authn-jwt/raw/ref is there twice"},
		{"an annotation twice, in two records", myapp(ref) + "- !host\n  id: myapp\n  annotations:\n    authn-jwt/raw/ref: y\n", values, "has another value at policy.yml:18"},
		{"a value that readers change", myapp("authn-jwt/raw/id: 010"), values, "put it in quotes"},
		{"a value that was a boolean once", myapp("authn-jwt/raw/id: yes"), values, "put it in quotes"},
		{"a value that is a list", myapp("authn-jwt/raw/id: [ a ]"), values, "put it in quotes"},
		{"another issuer than the provider", "+" + myapp(ref), "token-app-property: host\nprovider-uri: https://a.example\nissuer: https://b.example", "variables.yml:3: issuer https://b.example is not the provider-uri"},
		{"a time to live of days", myapp(ref), values + "token-ttl: P1D", "variables.yml:3: CONJ00134E"},
		{"a time to live that is none", myapp(ref), values + "token-ttl: 8 minutes", "CONJ00134E"},
		{"a variable of nobody", myapp(ref), values + "jwks_uri: x", "variables.yml:3: jwks_uri is no variable"},
		{"a variable twice", myapp(ref), values + "conjur/authn-jwt/raw/jwks-uri: x", "variables.yml:3: jwks-uri is there twice"},
		{"variables that are none", myapp(ref), "- a", "variables.yml: it holds no names and values"},
		{"an identity-path that ours cannot have", hostIn("a b/myapp", ref), values + "identity-path: a b", "variables.yml:3: identity-path: a path is names"},
		{"a registered claim that names the host", myapp(ref), "jwks-uri: https://ci.example/jwks\ntoken-app-property: jti\n", "token-app-property: jti says nothing"},
		{"a certificate that is none", myapp(ref), values + "ca-cert: none", "variables.yml:3: ca-cert: certificates are PEM"},
		{"nobody at all", "- !group x\n", values, "no host of these files may authenticate"},
		{"no YAML", "- !host\n  id: [\n", values, "it is no YAML"},
		{"no record", "- just text\n" + myapp(ref), values, "a record has a tag"},
		{"a grant to what holds itself", myapp(ref) + "- !grant\n  role: !group conjur/authn-jwt/raw/hosts\n  member: !group conjur/authn-jwt/raw/hosts\n- !host\n  id: other\n  annotations:\n    " + ref + "\n", values, "host other: CONJ00006E"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, found := read(policyOf(tt.policy), tt.variables)
			if len(found) == 0 || len(plan.Roles) > 0 {
				t.Fatalf("it is planned: %s", said(plan, nil))
			}
			all := ""
			for _, f := range found {
				all += f.String() + "\n"
			}
			if !strings.Contains(all, tt.want) {
				t.Errorf("got\n%swant %s", all, tt.want)
			}
		})
	}
}

func TestPoliciesAreReadAsConjurDoes(t *testing.T) {
	for _, tt := range []struct{ name, policy, want string }{
		{"a host in a policy is below it", "- !policy\n  id: apps\n  body:\n  - !host\n    id: one\n    annotations: { authn-jwt/raw/ref: x }\n  - !grant\n    role: !group /conjur/authn-jwt/raw/hosts\n    member: !host one\n",
			"apps-one[host=apps/one ref=x]"},
		{"by a layer in a group", "- !host\n  id: one\n  annotations: { authn-jwt/raw/ref: x }\n- !layer ci\n- !grant\n  role: !layer ci\n  members: [ !host one ]\n- !grant\n  roles:\n  - !group conjur/authn-jwt/raw/hosts\n  member: !member { role: !layer ci, admin: false }\n",
			"one[host=one ref=x]"},
		{"by an anchor", "- &hosts\n  - !host\n    id: one\n    annotations: { authn-jwt/raw/ref: x }\n  - !host\n    id: two\n    annotations: { authn-jwt/raw/ref: y }\n- !grant\n  role: !group conjur/authn-jwt/raw/hosts\n  members: *hosts\n",
			"one[host=one ref=x] two[host=two ref=y]"},
		{"permitted itself", "- !host\n  id: one\n  annotations: { authn-jwt/raw/ref: x }\n- !permit\n  role: !host one\n  privileges: [ read, authenticate ]\n  resources: [ !webservice conjur/authn-jwt/raw ]\n", "one[host=one ref=x]"},
		{"reading is not authenticating", "- !host\n  id: one\n  annotations: { authn-jwt/raw/ref: x }\n- !permit\n  role: !host one\n  privilege: read\n  resource: !webservice conjur/authn-jwt/raw\n", "CONJ00006E"},
		{"another service's webservice is not this one's", "- !host\n  id: one\n  annotations: { authn-jwt/raw/ref: x }\n- !permit\n  role: !host one\n  privilege: authenticate\n  resource: !webservice conjur/authn-jwt/raw2\n", "CONJ00006E"},
		{"hosts of others are left out", "- !host batch\n" + myapp("authn-jwt/raw/ref: x"), "myapp[host=myapp ref=x]"},
		{"a host said twice is one", "- !host myapp\n" + myapp("authn-jwt/raw/ref: x"), "myapp[host=myapp ref=x]"},
		{"numbers and booleans are their text", myapp("authn-jwt/raw/id: 20", "authn-jwt/raw/protected: true", "authn-jwt/raw/quoted: '010'"), "myapp[host=myapp id=20 protected=true quoted=010]"},
		{"two documents in a file", myapp("authn-jwt/raw/ref: x") + "---\n" + hostIn("two", "authn-jwt/raw/ref: y"), "myapp[host=myapp ref=x] two[host=two ref=y]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, found := read(authenticator+tt.policy, values)
			if got := said(plan, found); got != tt.want {
				t.Errorf("got %s, want %s\n%v", got, tt.want, found)
			}
		})
	}
}

// The identity path is part of who a host is: what two paths and two claims make
// of the same text are two hosts.
func TestAnIdentityPathIsNotPartOfTheClaim(t *testing.T) {
	for path, want := range map[string]string{"a": "b-c[host=b/c ref=x]", "a/b": "c[host=c ref=x]", "a/b/": "c[host=c ref=x]"} {
		plan, found := read(authenticator+hostIn("a/b/c", "authn-jwt/raw/ref: x"), values+"identity-path: "+path)
		if got := said(plan, found); got != want || plan.Spec.IdentityPath != strings.TrimSuffix(path, "/") {
			t.Errorf("%s: got %s below %s, want %s", path, got, plan.Spec.IdentityPath, want)
		}
	}
}

// A file that was loaded into a policy is read as one that stands in it.
func TestAFileMayHaveBeenLoadedIntoABranch(t *testing.T) {
	const hosts = "- !host\n  id: one\n  annotations: { authn-jwt/raw/ref: x }\n- !grant\n  role: !group /conjur/authn-jwt/raw/hosts\n  member: !host one\n"
	for branch, want := range map[string]string{"": "one[host=one ref=x]", "root": "one[host=one ref=x]", "apps/web": "apps-web-one[host=apps/web/one ref=x]", "/apps/": "apps-one[host=apps/one ref=x]"} {
		plan, found := conjur.Read([]conjur.File{{Name: "authn.yml", Text: []byte(authenticator)}, {Name: "hosts.yml", Branch: branch, Text: []byte(hosts)}},
			conjur.File{Name: "variables.yml", Text: []byte(values)}, conjur.Options{Service: "raw"})
		if got := said(plan, found); got != want {
			t.Errorf("%q: got %s, want %s %v", branch, got, want, found)
		}
	}
}

// The recipe for Kubernetes: sub names the host, and its one annotation says the same.
func TestTheKubernetesRecipe(t *testing.T) {
	const sub = "system:serviceaccount:test-app-namespace:test-app-sa"
	plan, found := read(authenticator+hostIn("app-path/"+sub, "authn-jwt/raw/sub: "+sub), "jwks-uri: https://k8s.example/openid/v1/jwks\nissuer: https://k8s.example\naudience: conjur\ntoken-app-property: sub\nidentity-path: app-path")
	if len(found) > 0 {
		t.Fatal(found)
	}
	r := plan.Roles[0]
	if cs := r.Spec.Requirements[0].Conditions; len(cs) != 1 || cs[0].Claim != "sub" || cs[0].Value != sub {
		t.Errorf("its conditions are %v", cs)
	}
	if r.Name != "test-app-sa-6659fbe1" {
		t.Errorf("it is called %s", r.Name)
	}
}

// A short file whose aliases name aliases is not followed for ever.
func TestAliasesThatGrowAreRefused(t *testing.T) {
	policy := "- &a0 [ !host x ]\n"
	for i := range 30 {
		policy += fmt.Sprintf("- &a%d [ *a%d, *a%d, *a%d ]\n", i+1, i, i, i)
	}
	if _, found := read(policy, values); len(found) == 0 || !strings.Contains(fmt.Sprint(found), "too large") {
		t.Errorf("%d problems: %.300v", len(found), found)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(authenticator+myapp("authn-jwt/raw/ref: x"), values)
	f.Add("- !grant\n  role: *x\n", "a: b")
	f.Add("!policy\nid: &a x\nbody: [*a, !host {id: {}}]", "{")
	f.Fuzz(func(t *testing.T, policy, variables string) {
		plan, found := read(policy, variables)
		if len(found) == 0 && len(plan.Roles) == 0 {
			t.Error("neither a plan nor a problem")
		}
		for _, r := range plan.Roles {
			if errs := r.Spec.Check(nil); len(errs) > 0 {
				t.Errorf("a role that breaks rules: %v", errs)
			}
		}
	})
}
