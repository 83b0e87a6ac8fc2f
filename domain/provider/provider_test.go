package provider_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/provider"
)

const ourIssuer = "https://sallyport.example/orgs/acme"

// realClaims is a provider's real claim set, with some claims set anew; a nil
// value takes the claim away.
func realClaims(t testing.TB, k provider.Kind, change claim.Set) claim.Set {
	t.Helper()
	b, err := os.ReadFile("testdata/" + string(k) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	var set claim.Set
	if err := dec.Decode(&set); err != nil {
		t.Fatal(err)
	}
	for name, v := range change {
		if v == nil {
			delete(set, name)
			continue
		}
		set[name] = v
	}
	return set
}

func fill(t testing.TB, k provider.Kind, s provider.Settings) provider.Filled {
	t.Helper()
	f, errs := provider.Fill(k, s, ourIssuer)
	if len(errs) > 0 {
		t.Fatalf("%s %v: %v", k, s, errs)
	}
	for _, c := range f.Conditions {
		if bad := c.Validate("/c"); bad != nil {
			t.Fatalf("%s fills in %s, which breaks a rule: %v", k, c, bad)
		}
	}
	return f
}

// admits tells whether the claims meet every condition, and which they do not.
func admits(f provider.Filled, s claim.Set) (bool, string) {
	for _, c := range f.Conditions {
		if !c.Match(s) {
			return false, c.String()
		}
	}
	return true, ""
}

// Settings that fit the real claim sets, everything optional given.
func settings(k provider.Kind) provider.Settings {
	return map[provider.Kind]provider.Settings{
		provider.CircleCI: {"organization_id": "c9035eb6-6eb2-4c85-8a81-d9ed6a1d1d1e", "project_id": "3a2f5b1c-7d8e-4f90-a1b2-c3d4e5f60718"},
		provider.GitLab: {"domain": "gitlab.example.com", "group": "my-group", "project": "my-project", "project_id": "20",
			"audience": "https://vault.example.com"},
		provider.GoogleCloud: {"client_id": "registry.example.org", "email": "224189033886-compute@developer.gserviceaccount.com",
			"account_id": "110481570481807168043"},
		provider.GitHub: {"owner": "xyz", "owner_id": "798097", "repository": "okta-lab-workloads", "repository_id": "1274399613"},
		provider.Kubernetes: {"issuer": "https://kubernetes.default.svc.cluster.local", "audience": "k3s", "namespace": "linkding",
			"service_account": "default"},
	}[k]
}

func TestFillAdmitsTheRealClaimsAndNobodyElse(t *testing.T) {
	for _, tt := range []struct {
		kind    provider.Kind
		without []string // settings left out
		with    provider.Settings
		change  claim.Set
		refused string // the condition that refuses; "" is admitted
	}{
		{kind: provider.CircleCI},
		{kind: provider.CircleCI, without: []string{"project_id"}},
		{kind: provider.CircleCI, change: claim.Set{"iss": "https://oidc.circleci.com/org/another"}, refused: "iss"},
		{kind: provider.CircleCI, change: claim.Set{"aud": "another"}, refused: "aud"},
		{kind: provider.CircleCI, change: claim.Set{"oidc.circleci.com/project-id": "another"}, refused: "oidc.circleci.com/project-id"},
		{kind: provider.CircleCI, change: claim.Set{"oidc.circleci.com/project-id": nil}, refused: "oidc.circleci.com/project-id"},

		{kind: provider.GitLab},
		{kind: provider.GitLab, without: []string{"group", "project"}},
		{kind: provider.GitLab, with: provider.Settings{"project": "my-group/my-project"}},
		{kind: provider.GitLab, without: []string{"audience"}, change: claim.Set{"aud": ourIssuer}},
		{kind: provider.GitLab, without: []string{"audience"}, refused: "aud"},
		{kind: provider.GitLab, change: claim.Set{"iss": "https://gitlab.com"}, refused: "iss"},
		{kind: provider.GitLab, change: claim.Set{"iss": "gitlab.example.com"}, refused: "iss"},
		{kind: provider.GitLab, change: claim.Set{"namespace_path": "my-group-evil"}, refused: "namespace_path"},
		{kind: provider.GitLab, change: claim.Set{"namespace_path": "My-Group"}, refused: "namespace_path"},
		{kind: provider.GitLab, change: claim.Set{"project_path": "my-group/my-project-fork"}, refused: "project_path"},
		{kind: provider.GitLab, change: claim.Set{"project_id": "21"}, refused: "project_id"},
		// T058: a project that moved follows the id that is bound.
		{kind: provider.GitLab, without: []string{"group", "project"}, change: claim.Set{"project_path": "elsewhere/app", "namespace_path": "elsewhere"}},

		{kind: provider.GoogleCloud},
		{kind: provider.GoogleCloud, without: []string{"email"}},
		{kind: provider.GoogleCloud, without: []string{"account_id"}},
		{kind: provider.GoogleCloud, change: claim.Set{"aud": "another"}, refused: "aud"},
		{kind: provider.GoogleCloud, change: claim.Set{"email": "evil@example.com"}, refused: "email"},
		{kind: provider.GoogleCloud, change: claim.Set{"email_verified": false}, refused: "email_verified"},
		{kind: provider.GoogleCloud, change: claim.Set{"email_verified": nil}, refused: "email_verified"},
		// T057: the same address, another account.
		{kind: provider.GoogleCloud, change: claim.Set{"sub": "999"}, refused: "sub"},

		{kind: provider.GitHub},
		{kind: provider.GitHub, with: provider.Settings{"repository": "xyz/okta-lab-workloads"}},
		{kind: provider.GitHub, change: claim.Set{"sub": "repo:xyz@798097/okta-lab-workloads@1274399613:ref:refs/heads/main"}},
		{kind: provider.GitHub, without: []string{"owner_id", "repository", "repository_id"}},
		{kind: provider.GitHub, without: []string{"owner_id", "repository", "repository_id"}, change: claim.Set{"repository_owner": "xyz-evil"}, refused: "repository_owner"},
		{kind: provider.GitHub, change: claim.Set{"repository": "xyz/okta-lab-workloads-evil"}, refused: "repository"},
		// T055: deleted and created again by another owner, the same names.
		{kind: provider.GitHub, change: claim.Set{"repository_id": "1"}, refused: "repository_id"},
		{kind: provider.GitHub, change: claim.Set{"repository_owner_id": "1"}, refused: "repository_owner_id"},
		{kind: provider.GitHub, change: claim.Set{"aud": "https://github.com/xyz"}, refused: "aud"},
		{kind: provider.GitHub, with: provider.Settings{"environment": "production"}, refused: "environment"},
		{kind: provider.GitHub, with: provider.Settings{"environment": "production"}, change: claim.Set{"environment": "production"}},
		// Events that strangers can cause carry the same subject.
		{kind: provider.GitHub, change: claim.Set{"event_name": "pull_request_target"}, refused: "event_name"},
		{kind: provider.GitHub, change: claim.Set{"event_name": "pull_request"}, refused: "event_name"},
		{kind: provider.GitHub, change: claim.Set{"event_name": "issue_comment"}, refused: "event_name"},
		{kind: provider.GitHub, change: claim.Set{"event_name": nil}, refused: "event_name"},

		{kind: provider.Kubernetes},
		{kind: provider.Kubernetes, without: []string{"service_account"}},
		{kind: provider.Kubernetes, without: []string{"namespace"}},
		{kind: provider.Kubernetes, without: []string{"namespace", "service_account"}},
		{kind: provider.Kubernetes, change: claim.Set{"iss": "https://another.example"}, refused: "iss"},
		{kind: provider.Kubernetes, change: claim.Set{"aud": []any{"another"}}, refused: "aud"},
		{kind: provider.Kubernetes, change: claim.Set{"sub": "system:serviceaccount:linkding:default-evil"}, refused: "sub"},
		{kind: provider.Kubernetes, without: []string{"service_account"},
			change: claim.Set{"kubernetes.io": map[string]any{"namespace": "evil"}}, refused: "kubernetes.io/namespace"},
		{kind: provider.Kubernetes, without: []string{"namespace"},
			change: claim.Set{"kubernetes.io": map[string]any{"serviceaccount": map[string]any{"name": "evil"}}}, refused: "kubernetes.io/serviceaccount/name"},
	} {
		name := string(tt.kind) + " without " + strings.Join(tt.without, ",") + " refuses " + tt.refused
		t.Run(name, func(t *testing.T) {
			s := provider.Settings{}
			for k, v := range settings(tt.kind) {
				s[k] = v
			}
			for _, k := range tt.without {
				delete(s, k)
			}
			for k, v := range tt.with {
				s[k] = v
			}
			ok, by := admits(fill(t, tt.kind, s), realClaims(t, tt.kind, tt.change))
			if ok != (tt.refused == "") || !strings.HasPrefix(by, tt.refused+" ") && !ok {
				t.Errorf("got admitted %t, refused by %q; want refused by %q", ok, by, tt.refused)
			}
		})
	}
}

func TestFill(t *testing.T) {
	eq := func(path, value string) claim.Condition {
		return claim.Condition{Claim: claim.Path(path), Operator: claim.Equals, Value: value}
	}
	for _, tt := range []struct {
		name     string
		kind     provider.Kind
		settings provider.Settings
		want     provider.Filled
	}{
		{"CircleCI", provider.CircleCI, provider.Settings{"organization_id": "o"}, provider.Filled{
			JWKSURL:    "https://oidc.circleci.com/org/o/.well-known/jwks-pub.json",
			Conditions: []claim.Condition{eq("iss", "https://oidc.circleci.com/org/o"), eq("aud", "o")}, IdentityClaim: "sub"}},
		{"an own GitLab on a port", provider.GitLab, provider.Settings{"domain": "git.acme.example:8443", "group": "a/b"}, provider.Filled{
			JWKSURL:    "https://git.acme.example:8443/oauth/discovery/keys",
			Conditions: []claim.Condition{eq("iss", "https://git.acme.example:8443"), eq("aud", ourIssuer), eq("namespace_path", "a/b")}, IdentityClaim: "sub"}},
		{"Google", provider.GoogleCloud, provider.Settings{"client_id": "c", "account_id": "7"}, provider.Filled{
			JWKSURL:    "https://www.googleapis.com/oauth2/v3/certs",
			Conditions: []claim.Condition{eq("iss", "https://accounts.google.com"), eq("aud", "c"), eq("sub", "7")}, IdentityClaim: "sub"}},
		{"GitHub by id", provider.GitHub, provider.Settings{"owner": "octo", "owner_id": "1", "repository_id": "2", "audience": "us"}, provider.Filled{
			JWKSURL: "https://token.actions.githubusercontent.com/.well-known/jwks",
			Conditions: []claim.Condition{eq("iss", "https://token.actions.githubusercontent.com"), eq("aud", "us"),
				eq("repository_owner", "octo"), eq("repository_owner_id", "1"), eq("repository_id", "2"),
				{Claim: "event_name", Operator: claim.OneOf, Values: []string{"push", "workflow_dispatch", "schedule", "release", "deployment", "repository_dispatch", "merge_group"}},
			}, IdentityClaim: "sub"}},
		{"Kubernetes", provider.Kubernetes, provider.Settings{"issuer": "https://k", "audience": "us", "namespace": "n", "service_account": "s"}, provider.Filled{
			IssuerURL:  "https://k",
			Conditions: []claim.Condition{eq("iss", "https://k"), eq("aud", "us"), eq("sub", "system:serviceaccount:n:s")}, IdentityClaim: "sub"}},
		{"a generic JWT has nothing to fill in", provider.GenericJWT, nil, provider.Filled{IdentityClaim: "sub"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, fill(t, tt.kind, tt.settings)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFillRefuses(t *testing.T) {
	gitlab := func(name, value string) provider.Settings {
		return provider.Settings{"domain": "gitlab.com", "group": "g", name: value}
	}
	github := func(name, value string) provider.Settings {
		return provider.Settings{"owner": "octo", name: value}
	}
	for _, tt := range []struct {
		name     string
		kind     provider.Kind
		settings provider.Settings
		want     string // pointers
	}{
		{"a provider that is none", "gitea", nil, "/provider"},
		{"no settings", provider.GitHub, nil, "/settings/owner"},
		{"several missing", provider.Kubernetes, nil, "/settings/issuer /settings/audience"},
		{"an unknown setting", provider.GitHub, github("branch", "main"), "/settings/branch"},
		{"a setting of a generic JWT", provider.GenericJWT, provider.Settings{"a/b": "x"}, "/settings/a~1b"},
		{"an empty required setting", provider.GitHub, provider.Settings{"owner": ""}, "/settings/owner"},
		{"an empty optional setting", provider.GitHub, github("repository", ""), "/settings/repository"},
		{"a star", provider.GitHub, github("repository", "app*"), "/settings/repository"},
		{"a star in an environment", provider.GitHub, github("environment", "prod*"), "/settings/environment"},
		{"a space in an environment", provider.GitHub, github("environment", "prod eu"), "/settings/environment"},
		{"a no-break space in an environment", provider.GitHub, github("environment", "prod\u00a0eu"), "/settings/environment"},
		{"a question mark", provider.GitLab, gitlab("audience", "https://us?x"), "/settings/audience"},
		{"braces, which are the names of our own templates", provider.GitLab, gitlab("audience", "{domain}"), "/settings/audience"},
		{"a quote", provider.GitLab, gitlab("audience", `us"`), "/settings/audience"},
		{"a newline at the end", provider.GitHub, github("owner_id", "1\n"), "/settings/owner_id"},
		{"a zero-width space", provider.GitHub, github("environment", "prod\u200b"), "/settings/environment"},
		{"an owner with a slash", provider.GitHub, provider.Settings{"owner": "octo/app"}, "/settings/owner"},
		{"a slash before an owner", provider.GitHub, provider.Settings{"owner": "/octo"}, "/settings/owner"},
		{"an owner with a colon", provider.GitHub, provider.Settings{"owner": "octo:x"}, "/settings/owner"},
		{"an id that is a name", provider.GitHub, github("repository_id", "app"), "/settings/repository_id"},
		{"the repository of another owner", provider.GitHub, github("repository", "evil/app"), "/settings/repository"},
		{"a repository of two steps", provider.GitHub, github("repository", "octo/a/b"), "/settings/repository"},
		{"a domain with a scheme", provider.GitLab, provider.Settings{"domain": "https://gitlab.com"}, "/settings/domain"},
		{"a domain with a path", provider.GitLab, provider.Settings{"domain": "gitlab.com/x"}, "/settings/domain"},
		{"a domain with a user", provider.GitLab, provider.Settings{"domain": "gitlab.com@evil.example"}, "/settings/domain"},
		{"a domain with a fragment", provider.GitLab, provider.Settings{"domain": "evil.example#"}, "/settings/domain"},
		{"a domain in upper case", provider.GitLab, provider.Settings{"domain": "GitLab.com"}, "/settings/domain"},
		{"a domain that ends in a dot", provider.GitLab, provider.Settings{"domain": "gitlab.com."}, "/settings/domain"},
		{"a port of six digits", provider.GitLab, provider.Settings{"domain": "gitlab.com:123456"}, "/settings/domain"},
		{"a group that climbs", provider.GitLab, gitlab("group", "a/../b"), "/settings/group"},
		{"a group that ends in a slash", provider.GitLab, gitlab("group", "a/"), "/settings/group"},
		{"a project without a group", provider.GitLab, provider.Settings{"domain": "gitlab.com", "project": "p"}, "/settings/project"},
		{"an organisation with a slash", provider.CircleCI, provider.Settings{"organization_id": "a/b"}, "/settings/organization_id"},
		{"an address of two", provider.GoogleCloud, provider.Settings{"client_id": "c", "email": "a@b@c"}, "/settings/email"},
		{"257 bytes", provider.GitLab, gitlab("audience", strings.Repeat("x", 257)), "/settings/audience"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, errs := provider.Fill(tt.kind, tt.settings, ourIssuer)
			var got []string
			for _, e := range errs {
				got = append(got, e.Pointer)
				if e.Code == "" || e.Detail == "" {
					t.Errorf("%s has no code or detail", e.Pointer)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if len(f.Conditions) > 0 || f.JWKSURL != "" {
				t.Errorf("got %+v filled in all the same", f)
			}
		})
	}
}

func TestSharedIssuer(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"https://token.actions.githubusercontent.com", "GitHub"},
		{"https://token.actions.githubusercontent.com/.well-known/jwks", "GitHub"},
		{"https://token.actions.githubusercontent.com/acme-enterprise", "GitHub"},
		{"https://gitlab.com", "gitlab.com"},
		{"gitlab.com", "gitlab.com"},
		{"HTTPS://GitLab.Com./oauth/discovery/keys", "gitlab.com"},
		{"https://user@gitlab.com:443/", "gitlab.com"},
		{"https://accounts.google.com", "Google"},
		{"https://www.googleapis.com/oauth2/v3/certs", "Google"},
		{"https://oidc.circleci.com/org/o", "CircleCI"},
		{"https://gitlab.example.com", ""},
		{"https://gitlab.com.evil.example", ""},
		{"https://evil.example/gitlab.com", ""},
		{"https://www.googleapis.com//oauth2/v3/certs", "Google"},
		{"https://www.googleapis.com/o%61uth2/v3/certs", "Google"},
		{"https://www.googleapis.com/x/../oauth2/v3/certs", "Google"},
		{"https://www.googleapis.com/service_accounts/v1/jwk/sa@p.iam.gserviceaccount.com", "Google"},
		{"https://googleapis.com/oauth2/v3/certs", "Google"},
		{"https://oauth2.googleapis.com/oauth2/v3/certs", "Google"},
		{"https://gitlab.com?x=/oauth/discovery/keys", "gitlab.com"},
		{"https://gitlab.com#x", "gitlab.com"},
		{"https://container.googleapis.com/v1/projects/p/locations/l/clusters/c", ""},
		{"https://storage.googleapis.com/issuer-of-a-cluster", ""},
		{"https://ci.example/?x=https://gitlab.com", ""},
		{"", ""},
	} {
		got, ok := provider.SharedIssuer(tt.url)
		if got.Name != tt.want || ok != (tt.want != "") {
			t.Errorf("%q: got %q, %t; want %q", tt.url, got.Name, ok, tt.want)
		}
	}
}

func TestSharedIssuerOfAKind(t *testing.T) {
	own, shared := []string{"https://git.acme.example"}, []string{"https://git.acme.example", "https://gitlab.com"}
	for _, tt := range []struct {
		name     string
		kind     provider.Kind
		settings provider.Settings
		issuers  []string
		want     string
	}{
		{"GitHub, whatever it says of iss", provider.GitHub, nil, own, "GitHub"},
		{"Google", provider.GoogleCloud, nil, nil, "Google"},
		{"CircleCI", provider.CircleCI, nil, nil, "CircleCI"},
		{"GitLab that says nothing", provider.GitLab, nil, nil, "gitlab.com"},
		{"gitlab.com by its domain", provider.GitLab, provider.Settings{"domain": "gitlab.com"}, own, "gitlab.com"},
		{"gitlab.com with its port", provider.GitLab, provider.Settings{"domain": "gitlab.com:443"}, own, "gitlab.com"},
		{"gitlab.com among others", provider.GitLab, nil, shared, "gitlab.com"},
		{"a GitLab of one's own by iss", provider.GitLab, nil, own, ""},
		{"a GitLab of one's own that does not ask for iss", provider.GitLab, provider.Settings{"domain": "git.acme.example"}, nil, "gitlab.com"},
		{"a cluster", provider.Kubernetes, provider.Settings{"issuer": "https://k.example"}, nil, ""},
		{"anything else", provider.GenericJWT, nil, nil, ""},
	} {
		got, ok := tt.kind.SharedIssuer(tt.settings, tt.issuers)
		if got.Name != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: got %q, %t; want %q", tt.name, got.Name, ok, tt.want)
		}
	}
}

func TestSharedPins(t *testing.T) {
	const gh, gl, goog, circle = "https://token.actions.githubusercontent.com", "https://gitlab.com", "https://accounts.google.com", "https://oidc.circleci.com"
	for _, tt := range []struct {
		name              string
		issuer            string
		condition         claim.Condition
		tenant, immutable bool
	}{
		{"an owner by name", gh, claim.Condition{Claim: "repository_owner", Operator: claim.Equals, Value: "octo"}, true, false},
		{"an owner by pointer", gh, claim.Condition{Claim: "/repository_owner", Operator: claim.Equals, Value: "octo"}, true, false},
		{"an owner by id", gh, claim.Condition{Claim: "repository_owner_id", Operator: claim.Equals, Value: "1"}, true, true},
		{"an owner by the beginning of a name", gh, claim.Condition{Claim: "repository_owner", Operator: claim.StartsWith, Value: "octo/"}, false, false},
		{"any owner", gh, claim.Condition{Claim: "repository_owner", Operator: claim.Exists}, false, false},
		{"a few owners", gh, claim.Condition{Claim: "repository_owner", Operator: claim.OneOf, Values: []string{"octo", "acme"}}, true, false},
		{"a subject below an owner", gh, claim.Condition{Claim: "sub", Operator: claim.StartsWith, Value: "repo:octo/"}, true, false},
		{"a subject in the middle of a repository", gh, claim.Condition{Claim: "sub", Operator: claim.StartsWith, Value: "repo:octo/app"}, true, false},
		{"a subject in the middle of an owner", gh, claim.Condition{Claim: "sub", Operator: claim.StartsWith, Value: "repo:octo"}, false, false},
		{"a subject of any owner", gh, claim.Condition{Claim: "sub", Operator: claim.StartsWith, Value: "repo:"}, false, false},
		{"a subject that a template of anybody makes", gh, claim.Condition{Claim: "sub", Operator: claim.Equals, Value: "environment:production"}, false, false},
		{"a whole subject", gh, claim.Condition{Claim: "sub", Operator: claim.Equals, Value: "repo:octo/app:ref:refs/heads/main"}, true, false},
		{"a subject with ids", gh, claim.Condition{Claim: "sub", Operator: claim.StartsWith, Value: "repo:octo@1/app@2:"}, true, true},
		{"a subject with hyphens that look like ids", gh, claim.Condition{Claim: "sub", Operator: claim.StartsWith, Value: "repo:octo-org-123456/"}, true, false},
		{"a called workflow, which anybody may call", gh, claim.Condition{Claim: "job_workflow_ref", Operator: claim.StartsWith, Value: "octo/app/"}, false, false},
		{"one of several subjects is open", gh, claim.Condition{Claim: "sub", Operator: claim.OneOf, Values: []string{"repo:octo/app:x", "environment:y"}}, false, false},
		{"one_of with no values", gh, claim.Condition{Claim: "sub", Operator: claim.OneOf}, false, false},
		{"an enterprise's own issuer", gh, claim.Condition{Claim: "iss", Operator: claim.Equals, Value: gh + "/acme"}, true, false},
		{"everybody's issuer", gh, claim.Condition{Claim: "iss", Operator: claim.Equals, Value: gh}, false, false},
		{"a group", gl, claim.Condition{Claim: "namespace_path", Operator: claim.Equals, Value: "acme"}, true, false},
		{"what is below a group", gl, claim.Condition{Claim: "namespace_path", Operator: claim.StartsWith, Value: "acme/"}, true, false},
		{"the beginning of a group", gl, claim.Condition{Claim: "namespace_path", Operator: claim.StartsWith, Value: "acme"}, false, false},
		{"a project by id", gl, claim.Condition{Claim: "project_id", Operator: claim.Equals, Value: "20"}, true, true},
		{"a protected branch of anybody", gl, claim.Condition{Claim: "ref_protected", Operator: claim.Equals, Value: "true"}, false, false},
		{"an account", goog, claim.Condition{Claim: "sub", Operator: claim.Equals, Value: "7"}, true, true},
		{"an address", goog, claim.Condition{Claim: "email", Operator: claim.Equals, Value: "a@b"}, true, false},
		{"the beginning of an address", goog, claim.Condition{Claim: "email", Operator: claim.StartsWith, Value: "deploy@"}, false, false},
		{"a project, nested", goog, claim.Condition{Claim: "google/compute_engine/project_id", Operator: claim.Equals, Value: "p"}, true, true},
		{"a project, by pointer", goog, claim.Condition{Claim: "/google/compute_engine/project_id", Operator: claim.Equals, Value: "p"}, true, true},
		{"an organisation's issuer", circle, claim.Condition{Claim: "iss", Operator: claim.Equals, Value: "https://oidc.circleci.com/org/o"}, true, true},
		{"an audience, which anybody may ask for", circle, claim.Condition{Claim: "aud", Operator: claim.Equals, Value: "o"}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shared, _ := provider.SharedIssuer(tt.issuer)
			if tenant, immutable := shared.Pins(tt.condition); tenant != tt.tenant || immutable != tt.immutable {
				t.Errorf("%s: got tenant %t, immutable %t; want %t, %t", tt.condition, tenant, immutable, tt.tenant, tt.immutable)
			}
		})
	}
}

func TestAsksAreWhatFillTakes(t *testing.T) {
	for _, k := range provider.Kinds() {
		var asked []string
		given := provider.Settings{}
		for _, a := range k.Asks() {
			if asked = append(asked, a.Name); a.Form == "" {
				t.Errorf("%s does not say what %s looks like", k, a.Name)
			}
			given[a.Name] = " " // no setting looks like that
		}
		_, errs := provider.Fill(k, given, ourIssuer)
		if len(errs) != len(asked) {
			t.Errorf("%s asks for %v, and refuses %v", k, asked, errs)
		}
	}
}
