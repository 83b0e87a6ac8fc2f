package connection_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/provider"
)

func TestDiff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*connection.Spec)
		want   []connection.Change
	}{
		{"a description", described("x"), []connection.Change{{Pointer: "/description", To: "x"}}},
		{"a condition that came", func(s *connection.Spec) { s.Conditions = append(s.Conditions, equals("ref", "main")) },
			[]connection.Change{{Pointer: "/conditions/3", To: "ref equals main"}}},
		{"a condition that went, and only that", func(s *connection.Spec) { s.Conditions = s.Conditions[1:] },
			[]connection.Change{{Pointer: "/conditions/0", From: "iss equals https://ci.example"}}},
		{"a condition that changed", func(s *connection.Spec) { s.Conditions[2] = startsWith("sub", "job/") },
			[]connection.Change{{Pointer: "/conditions/2", From: "sub equals job"}, {Pointer: "/conditions/2", To: "sub starts_with job/"}}},
		{"one value more", func(s *connection.Spec) {
			s.Conditions[2] = claim.Condition{Claim: "sub", Operator: claim.OneOf, Values: []string{"job", "job2"}}
		}, []connection.Change{{Pointer: "/conditions/2", From: "sub equals job"}, {Pointer: "/conditions/2", To: "sub one_of job, job2"}}},
		{"one value that says what were two", func(s *connection.Spec) {
			s.Conditions[2] = claim.Condition{Claim: "sub", Operator: claim.OneOf, Values: []string{"job, job2", `"x`, "main"}}
		}, []connection.Change{{Pointer: "/conditions/2", From: "sub equals job"}, {Pointer: "/conditions/2", To: `sub one_of "job, job2", "\"x", main`}}},
		{"another order", func(s *connection.Spec) { s.Algorithms = []string{"ES256", "RS256"} },
			[]connection.Change{{Pointer: "/algorithms", From: "RS256, ES256", To: "ES256, RS256"}}},
		{"settings", func(s *connection.Spec) {
			s.Provider, s.Settings = provider.GitHub, provider.Settings{"owner": "octo"}
		}, []connection.Change{{Pointer: "/provider", From: "generic_jwt", To: "github"}, {Pointer: "/settings/owner", To: "octo"}}},
		{"uploaded keys", func(s *connection.Spec) { s.JWKSURL, s.JWKS = "", json.RawMessage(publicKeys) },
			[]connection.Change{{Pointer: "/jwks_url", From: "https://ci.example/jwks"},
				{Pointer: "/jwks/keys/0", To: strings.TrimSuffix(strings.TrimPrefix(publicKeys, `{"keys":[`), `]}`)}}},
		{"everything else", func(s *connection.Spec) {
			s.JWKSURL, s.IssuerURL, s.CACertificate = "", "https://ci.example", certificate(t)
			s.IdentityClaim, s.IdentityPath = "job", "ci"
			s.Audiences, s.AudienceClaims = []string{"aws"}, []string{"ref"}
			s.TokenTTL = connection.Duration{Amount: 5, Unit: "minutes"}
			s.SingleUse, s.TTLWithinProof = true, true
			s.ProofMaxAge = &connection.Duration{Amount: 1, Unit: "hours"}
		}, []connection.Change{
			{Pointer: "/jwks_url", From: "https://ci.example/jwks"}, {Pointer: "/issuer_url", To: "https://ci.example"},
			{Pointer: "/ca_certificate", To: certificate(t)}, {Pointer: "/identity_claim", From: "sub", To: "job"}, {Pointer: "/identity_path", To: "ci"},
			{Pointer: "/audiences/0", To: "aws"}, {Pointer: "/audience_claims/0", To: "ref"}, {Pointer: "/token_ttl", From: "15 minutes", To: "5 minutes"},
			{Pointer: "/single_use", From: "false", To: "true"}, {Pointer: "/proof_max_age", To: "1 hour"}, {Pointer: "/ttl_within_proof", From: "false", To: "true"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next := spec(t, tt.change)
			s := connection.State{Current: spec(t), Pending: &next}
			if diff := cmp.Diff(tt.want, s.Diff()); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := (connection.State{Current: spec(t)}).Diff(); got != nil {
		t.Errorf("got %+v where nothing is pending", got)
	}
}

// A field that Diff does not know would change in silence.
func TestDiffKnowsEveryField(t *testing.T) {
	base := connection.Spec{}
	var fields map[string]any
	full := connection.Spec{Description: "d", Provider: "p", Settings: provider.Settings{"s": "v"}, JWKSURL: "j", IssuerURL: "i",
		JWKS: json.RawMessage(publicKeys), CACertificate: "c", Conditions: []claim.Condition{equals("a", "b")}, IdentityClaim: "sub",
		IdentityPath: "p", Audiences: []string{"a"}, AudienceClaims: []string{"b"}, TokenTTL: connection.Duration{Amount: 1, Unit: "hours"},
		Algorithms: []string{"ES256"}, SingleUse: true, ProofMaxAge: &connection.Duration{Amount: 1, Unit: "hours"}, TTLWithinProof: true}
	b, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	s := connection.State{Current: base, Pending: &full}
	for _, c := range s.Diff() {
		delete(fields, strings.SplitN(c.Pointer, "/", 3)[1])
	}
	if len(fields) > 0 {
		t.Errorf("Diff knows nothing of %v", fields)
	}
}

func TestTested(t *testing.T) {
	checks := []proof.Check{{Check: "format", Result: proof.Pass, Message: "Fine."}}
	want := connection.WasTested{Version: 3, Verdict: "pass", Checks: checks, Identity: "job"}
	if diff := cmp.Diff(want, connection.Tested(3, true, checks, "job")); diff != "" {
		t.Error(diff)
	}
	if got := connection.Tested(3, false, nil, ""); got.Verdict != "fail" || got.Checks == nil {
		t.Errorf("got %+v", got)
	}
	s := state(happened{dana, connection.WasDrafted{Spec: spec(t)}})
	if diff := cmp.Diff(s, state(happened{dana, connection.WasDrafted{Spec: spec(t)}}, happened{dana, want})); diff != "" {
		t.Errorf("a test changes the connection: %s", diff)
	}
}
