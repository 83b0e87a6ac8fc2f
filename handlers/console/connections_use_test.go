package console

import (
	"strings"
	"testing"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/provider"
)

func TestHowAConnectionIsUsed(t *testing.T) {
	const issuer = "https://sallyport.example.com/orgs/default"
	aud := func(operator claim.Operator, value string, values ...string) []claim.Condition {
		return []claim.Condition{{Claim: "sub", Operator: claim.Equals, Value: "job"}, {Claim: "aud", Operator: operator, Value: value, Values: values}}
	}
	for _, test := range []struct {
		name       string
		kind       provider.Kind
		status     connection.Status
		conditions []claim.Condition
		want       string // "" shows nothing
	}{
		{"a GitLab job asks for the audience that is compared", provider.GitLab, connection.Active, aud(claim.Equals, "https://sp.example"), "aud: 'https://sp.example'\n"},
		{"of several audiences it is the first", provider.GitLab, connection.Active, aud(claim.OneOf, "", "one", "two"), "aud: 'one'\n"},
		{"an audience is text, also where YAML reads a number", provider.GitLab, connection.Active, aud(claim.Equals, "12345"), "aud: '12345'\n"},
		{"where no audience is compared it is our issuer", provider.GitLab, connection.Active, nil, "aud: '" + issuer + "'\n"},
		{"one that only has to be there says nothing", provider.GitLab, connection.Active, aud(claim.Exists, ""), "aud: '" + issuer + "'\n"},
		{"an audience in an address is escaped", provider.GitHub, connection.Active, aud(claim.Equals, "a:b/c"), "&audience=a%3Ab%2Fc"},
		{"the metadata server is asked for it", provider.GoogleCloud, connection.Active, aud(claim.Includes, "a:b"), "identity?audience=a%3Ab&format=full\" | curl"},
		{"a pod has a token for it", provider.Kubernetes, connection.Active, aud(claim.Equals, "sp"), "audience: 'sp',"},
		{"an audience that is called like a word of ours", provider.GitLab, connection.Active, aud(claim.Equals, "EXCHANGE"), "aud: 'EXCHANGE'\n"},
		{"a draft is not used", provider.GitLab, connection.Drafted, nil, ""},
		{"an inactive one is not used", provider.GitLab, connection.Inactive, nil, ""},
		{"an audience that a shell would run is not shown", provider.GenericJWT, connection.Active, aud(claim.Equals, "x$(reboot)"), ""},
		{"nor one that ends a string", provider.Kubernetes, connection.Active, aud(claim.Equals, `x" }`), ""},
		{"nor one with a line of its own", provider.GitLab, connection.Active, aud(claim.Equals, "x\nscript: [reboot]"), ""},
		{"nor what GitHub fills in", provider.GitHub, connection.Active, aud(claim.Equals, "${{secrets.X}}"), ""},
		{"nor an option", provider.GenericJWT, connection.Active, aud(claim.Equals, "-o/etc/x"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := connection.State{Name: "ci", Status: test.status, Current: connection.Spec{Provider: test.kind, Conditions: test.conditions}}
			use := useOf(c, issuer)
			if use == nil || test.want == "" {
				if use != nil || test.want != "" {
					t.Fatalf("it is shown %+v, want %q", use, test.want)
				}
				return
			}
			for _, want := range []string{test.want, "-d connection=ci ", issuer + "/token"} {
				if !strings.Contains(use.Code, want) {
					t.Errorf("%q is missing in:\n%s", want, use.Code)
				}
			}
			for _, left := range []string{"EXCHANGE", "ISSUER", "AUDIENCE", "ASKED", "NAME"} {
				if !strings.Contains(test.want, left) && strings.Contains(use.Code+use.Where+use.Then+use.Program, left) {
					t.Errorf("%s is not filled in:\n%s", left, use.Code)
				}
			}
		})
	}
}
