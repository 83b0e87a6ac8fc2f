package connection_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/provider"
)

func startsWith(path, value string) claim.Condition {
	return claim.Condition{Claim: claim.Path(path), Operator: claim.StartsWith, Value: value}
}

func exists(path string) claim.Condition {
	return claim.Condition{Claim: claim.Path(path), Operator: claim.Exists}
}

func TestWarnings(t *testing.T) {
	const gitHub, gitLab = "https://token.actions.githubusercontent.com", "https://gitlab.com"
	aud := equals("aud", ourIssuer)
	conditions := func(cs ...claim.Condition) func(*connection.Spec) {
		return func(s *connection.Spec) { s.Conditions = cs }
	}
	preset := func(k provider.Kind, settings ...string) func(*connection.Spec) {
		return func(s *connection.Spec) {
			*s = connection.Spec{Provider: k, Settings: provider.Settings{}}
			for i := 0; i < len(settings); i += 2 {
				s.Settings[settings[i]] = settings[i+1]
			}
		}
	}
	at := func(url string, cs ...claim.Condition) func(*connection.Spec) {
		return func(s *connection.Spec) { s.JWKSURL, s.Conditions = url, cs }
	}
	// of is of a provider by name alone, with uploaded keys.
	of := func(k provider.Kind, cs ...claim.Condition) func(*connection.Spec) {
		return func(s *connection.Spec) {
			s.Provider, s.JWKSURL, s.JWKS, s.Conditions = k, "", json.RawMessage(publicKeys), cs
		}
	}
	mirrored := func(k provider.Kind, cs ...claim.Condition) func(*connection.Spec) {
		return func(s *connection.Spec) {
			s.Provider, s.JWKSURL, s.Conditions = k, "https://mirror.example/jwks", cs
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*connection.Spec)
		want   string
	}{
		{"nothing to say", conditions(equals("iss", "https://ci.example"), aud, equals("sub", "job")), ""},
		{"an issuer of one's own as a whole", conditions(equals("iss", "https://ci.example"), aud), ""},

		{"no audience", conditions(equals("iss", "https://ci.example"), equals("sub", "job")), "audience.not_pinned"},
		{"any audience", conditions(exists("aud"), equals("sub", "job")), "audience.not_pinned"},
		{"the beginning of an audience", conditions(startsWith("aud", "https://"), equals("sub", "job")), "audience.not_pinned"},
		{"an audience by pointer", conditions(equals("/aud", ourIssuer), equals("sub", "job")), ""},
		{"an audience in a list", conditions(claim.Condition{Claim: "aud", Operator: claim.Includes, Value: "x"}, equals("sub", "job")), ""},
		{"the API server's audience", conditions(equals("aud", "https://kubernetes.default.svc"), equals("sub", "job")), "audience.not_pinned"},
		{"the API server's audience with its domain", conditions(equals("aud", "https://kubernetes.default.svc.cluster.local"), equals("sub", "job")), "audience.not_pinned"},
		{"the API server's audience among others", conditions(claim.Condition{Claim: "aud", Operator: claim.OneOf, Values: []string{ourIssuer, "k3s"}}, equals("sub", "job")), "audience.not_pinned"},
		{"the API server's audience and ours beside it", conditions(equals("aud", "k3s"), aud, equals("sub", "job")), ""},
		{"a cluster's issuer, which is its API server's audience", preset(provider.Kubernetes, "issuer", "https://eks.example/id/1", "audience", "https://eks.example/id/1"), "audience.not_pinned"},
		{"an issuer that is its own audience, not a cluster", conditions(equals("iss", "https://ci.example"), equals("aud", "https://ci.example"), equals("sub", "job")), ""},
		{"a cluster, asked for us", preset(provider.Kubernetes, "issuer", "https://eks.example/id/1", "audience", ourIssuer), ""},

		{"GitHub without a tenant", conditions(equals("iss", gitHub), aud, equals("ref", "refs/heads/main")), "tenant.not_pinned"},
		{"GitHub's keys without a word about iss", at(gitHub+"/.well-known/jwks", aud, equals("ref", "x")), "tenant.not_pinned"},
		{"GitHub's keys by discovery", func(s *connection.Spec) {
			s.JWKSURL, s.IssuerURL, s.Conditions = "", gitHub, []claim.Condition{aud, equals("ref", "x")}
		}, "tenant.not_pinned"},
		{"GitHub's issuer with uploaded keys", func(s *connection.Spec) {
			s.JWKSURL, s.JWKS, s.Conditions = "", json.RawMessage(publicKeys), []claim.Condition{equals("iss", gitHub), aud, equals("ref", "x")}
		}, "tenant.not_pinned"},
		{"GitHub among several issuers", conditions(claim.Condition{Claim: "iss", Operator: claim.OneOf, Values: []string{"https://ci.example", gitHub}}, aud, equals("ref", "x")), "tenant.not_pinned"},
		{"GitHub with an owner's id", conditions(equals("iss", gitHub), aud, equals("repository_owner_id", "1")), ""},
		{"GitHub with an owner's name", conditions(equals("iss", gitHub), aud, equals("repository_owner", "octo")), "subject.name_only"},
		{"GitHub with a subject below an owner", conditions(equals("iss", gitHub), aud, startsWith("sub", "repo:octo/")), "subject.name_only"},
		{"GitHub with hyphens that look like ids", conditions(equals("iss", gitHub), aud, startsWith("sub", "repo:octo-org-123456/")), "subject.name_only"},
		{"GitHub with a subject with ids", conditions(equals("iss", gitHub), aud, startsWith("sub", "repo:octo@1/")), ""},
		{"GitHub with the beginning of an owner", conditions(equals("iss", gitHub), aud, startsWith("sub", "repo:octo")), "tenant.not_pinned prefix.open"},
		{"GitHub with the beginning of a repository", conditions(equals("iss", gitHub), aud, startsWith("sub", "repo:octo/app")), "prefix.open subject.name_only"},
		{"GitHub with any owner", conditions(equals("iss", gitHub), aud, exists("repository_owner")), "tenant.not_pinned exists.alone"},
		{"GitHub and GitLab with the tenant of one", conditions(claim.Condition{Claim: "iss", Operator: claim.OneOf, Values: []string{gitHub, gitLab}}, aud, equals("repository_owner_id", "1")), "tenant.not_pinned"},
		{"gitlab.com without a tenant", preset(provider.GitLab, "domain", "gitlab.com"), "tenant.not_pinned"},
		{"gitlab.com with a group", preset(provider.GitLab, "domain", "gitlab.com", "group", "acme"), "subject.name_only"},
		{"gitlab.com with a project's id", preset(provider.GitLab, "domain", "gitlab.com", "project_id", "20"), ""},
		{"a GitLab of one's own", preset(provider.GitLab, "domain", "git.acme.example"), ""},
		{"a GitLab of one's own with a group", preset(provider.GitLab, "domain", "git.acme.example", "group", "acme"), "subject.name_only"},
		{"Google without a tenant", preset(provider.GoogleCloud, "client_id", "c"), "tenant.not_pinned"},
		{"Google with an address", preset(provider.GoogleCloud, "client_id", "c", "email", "a@b.example"), "subject.name_only"},
		{"Google with an account", preset(provider.GoogleCloud, "client_id", "c", "email", "a@b.example", "account_id", "7"), ""},
		{"CircleCI, whose issuer is the tenant's", preset(provider.CircleCI, "organization_id", "o"), ""},
		{"CircleCI's keys without a word about iss", at("https://oidc.circleci.com/org/o/.well-known/jwks-pub.json", aud, equals("sub", "x")), "tenant.not_pinned"},
		{"GitHub by name with uploaded keys", of(provider.GitHub, aud), "tenant.not_pinned"},
		{"Google by name with uploaded keys", of(provider.GoogleCloud, aud), "tenant.not_pinned"},
		{"CircleCI by name with uploaded keys", of(provider.CircleCI, aud), "tenant.not_pinned"},
		{"GitLab by name with uploaded keys", of(provider.GitLab, aud), "tenant.not_pinned"},
		{"GitHub by a mirror", mirrored(provider.GitHub, aud, equals("ref", "refs/heads/main")), "tenant.not_pinned"},
		{"GitHub by a mirror, with an owner's name", mirrored(provider.GitHub, aud, equals("repository_owner", "octo")), "subject.name_only"},
		{"GitHub by a mirror, with an owner's id", mirrored(provider.GitHub, aud, equals("repository_owner_id", "1")), ""},
		{"Google by a mirror", mirrored(provider.GoogleCloud, aud), "tenant.not_pinned"},
		{"Google by a mirror, with an account", mirrored(provider.GoogleCloud, aud, equals("sub", "7")), ""},
		{"a GitLab of one's own by a mirror", mirrored(provider.GitLab, equals("iss", "https://git.acme.example"), aud), ""},
		{"gitlab.com by its domain, mirrored, and conditions without a tenant", func(s *connection.Spec) {
			mirrored(provider.GitLab, equals("iss", "https://gitlab.com"), aud)(s)
			s.Settings = provider.Settings{"domain": "gitlab.com"}
		}, "tenant.not_pinned"},
		{"Google's keys by a path with an empty step", at("https://www.googleapis.com//oauth2/v3/certs", aud), "tenant.not_pinned"},
		{"Google's keys by an escaped path", at("https://www.googleapis.com/o%61uth2/v3/certs", aud), "tenant.not_pinned"},
		{"a cluster with uploaded keys", of(provider.Kubernetes, aud), ""},
		{"a cluster at Google", func(s *connection.Spec) {
			const gke = "https://container.googleapis.com/v1/projects/p/locations/l/clusters/c"
			s.Provider, s.JWKSURL, s.IssuerURL, s.Conditions = provider.Kubernetes, "", gke, []claim.Condition{equals("iss", gke), aud}
		}, ""},
		{"any other by a mirror", mirrored(provider.GenericJWT, aud), ""},
		{"any other with uploaded keys", of(provider.GenericJWT, aud), ""},

		{"GitHub's preset by name", preset(provider.GitHub, "owner", "octo"), "subject.name_only"},
		{"GitHub's preset by id", preset(provider.GitHub, "owner", "octo", "owner_id", "1"), ""},

		{"a prefix that ends in a segment", conditions(aud, startsWith("sub", "project_path:acme/api")), "prefix.open"},
		{"prefixes that end with a delimiter", conditions(aud, startsWith("a", "x/"), startsWith("b", "x:"), startsWith("c", "x@"), startsWith("d", "x#"), startsWith("e", "x|")), ""},
		{"a prefix that ends in a hyphen", conditions(aud, startsWith("sub", "team-")), "prefix.open"},
		{"a prefix that ends in a star", conditions(aud, startsWith("sub", "team/*")), "prefix.open"},
		{"one open prefix among closed ones", conditions(aud, startsWith("a", "x/"), startsWith("b", "x")), "prefix.open"},

		{"presence alone", conditions(equals("iss", "https://ci.example"), aud, exists("environment")), "exists.alone"},
		{"presence of an issuer", conditions(exists("iss"), aud), "exists.alone"},
		{"nothing but presence", conditions(exists("sub")), "audience.not_pinned exists.alone"},
		{"presence beside a value", conditions(aud, exists("environment"), equals("sub", "job")), ""},

		{"an hour", func(s *connection.Spec) { s.TokenTTL = connection.Duration{Amount: 60, Unit: "minutes"} }, ""},
		{"a second more than an hour", func(s *connection.Spec) { s.TokenTTL = connection.Duration{Amount: 3601, Unit: "seconds"} }, "ttl.long"},
		{"keys without TLS", func(s *connection.Spec) { s.JWKSURL = "http://127.0.0.1:8421/jwks" }, "keys.http"},
		{"an issuer without TLS", func(s *connection.Spec) { s.JWKSURL, s.IssuerURL = "", "http://127.0.0.1:8421" }, "keys.http"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var codes []string
			for _, w := range connection.Warnings(spec(t, tt.change), ourIssuer) {
				codes = append(codes, w.Code)
				blocks := strings.Contains("audience.not_pinned tenant.not_pinned prefix.open exists.alone", w.Code)
				if w.Blocks != blocks || w.Message == "" {
					t.Errorf("got %+v, want blocks %t and a sentence", w, blocks)
				}
			}
			if got := strings.Join(codes, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("no warnings are an empty list, not null", func(t *testing.T) {
		if b, _ := json.Marshal(connection.Warnings(spec(t), ourIssuer)); string(b) != "[]" {
			t.Errorf("got %s", b)
		}
	})
	t.Run("the API server's audience is named", func(t *testing.T) {
		ws := connection.Warnings(spec(t, conditions(equals("aud", "k3s"), equals("sub", "job"))), ourIssuer)
		if len(ws) != 1 || !strings.Contains(ws[0].Message, "k3s") || !strings.Contains(ws[0].Message, "API server") {
			t.Errorf("got %+v", ws)
		}
	})
}
