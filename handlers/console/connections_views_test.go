package console

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/provider"
	"sallyport.dev/domain/token"
)

var (
	fullSpec = connection.Spec{
		Description: "Builds", Provider: provider.GitLab, Settings: provider.Settings{"domain": "gitlab.com", "group": "acme"}, JWKSURL: "https://gitlab.com/keys",
		IssuerURL: "https://gitlab.com", JWKS: json.RawMessage(`{"keys":[{"kid":"a"}]}`), CACertificate: "-----BEGIN CERTIFICATE-----",
		Conditions: []claim.Condition{{Claim: "iss", Operator: claim.Equals, Value: "https://gitlab.com"}, {Claim: "ref", Operator: claim.OneOf, Values: []string{"main", "next"}}},
		Audiences:  []string{"https://api.example"}, AudienceClaims: []string{"ref"}, IdentityClaim: "sub", IdentityPath: "ci", TokenTTL: connection.Duration{Amount: 2, Unit: "hours"},
		Algorithms: []string{"ES256"}, SingleUse: true, TTLWithinProof: true, ProofMaxAge: &connection.Duration{Amount: 1, Unit: "hours"},
	}
	fullState = connection.State{
		Name: "ci", Status: connection.Active, Version: 3, ActiveVersion: 2, Current: connection.Spec{TokenTTL: connection.Duration{Amount: 1, Unit: "hours"}}, Pending: &fullSpec,
		Writers: []string{"dana", "eve"}, EverActivated: true, CreatedBy: "dana", UpdatedBy: "eve", ActivatedBy: "olga", ActivatedAt: time.Unix(1, 0),
	}
	fullWarnings = []connection.Warning{{Code: connection.TenantNotPinned, Message: "Everybody.", Blocks: true}, {Code: connection.TTLLong, Message: "Long."}}
	fullChecks   = []proof.Check{
		{Check: proof.Signature, Result: proof.Pass, Message: "It fits."},
		{Check: proof.Condition, Claim: "ref", Operator: "equals", Expected: "main", Actual: "Main", Result: proof.Fail, Message: "It differs only in case.", Code: "proof.conditions"},
		{Check: proof.Condition, Claim: "jti", Operator: "exists", Expected: "any value", Result: proof.Fail, Message: "Absent."},
	}
)

// Filled views of the screens of connections and denials.
var (
	connectionsViews = []any{
		connectionsView{Q: "c", Any: true, MayDraft: true, Statuses: []option{{"", "Any"}}, Providers: providerOptions(), Pages: newPager("/a", "/b", "1 to 1 of 3"), Rows: []connectionRow{
			{Name: "ci", Description: "Builds", Provider: "GitHub Actions", Status: connection.Active, Pending: true, Quiet: true, LastIssued: time.Unix(1, 0),
				Day: dayView{Says: "3 exchanges", Issued: 3, Denied: 1, IssuedBars: "M4 24v-3", BadBars: "M4 21v-2"}},
			{Name: "new", Status: connection.Drafted},
		}},
		connectionsView{Any: true}, connectionsView{MayDraft: true}, connectionsView{},
	}
	connectionViews = []any{
		connectionView{State: fullState, Provider: "GitLab", Trusts: saySpec(fullSpec), Changes: sayChanges(fullState), Warnings: fullWarnings,
			History: []connectionStep{{What: "drafted", By: "dana", Position: "1.0"}}, Longer: true, Day: dayView{Issued: 1, IssuedBars: "M4 24v-3"}, LastIssued: time.Unix(1, 0), LastDenied: time.Unix(1, 0),
			Reviewers: []domain.Name{"sam"}, Use: &useView{Where: "In the job:", Code: "curl", Program: "sallyport wl auth"}, MayEdit: true, MayActivate: true, MayDeactivate: true, MayDelete: true},
		connectionView{State: connection.State{Name: "new", Status: connection.Drafted}, Reviewers: []domain.Name{"sam"}},
		connectionView{State: connection.State{Name: "off", Status: connection.Inactive}, MayDeactivate: true, WhyNot: "It was activated."},
	}
	connectionFormViews = []any{
		connectionForm{New: true, Kind: provider.GitHub}, connectionForm{New: true, Kind: provider.Kubernetes, Written: true, Live: true},
		filledForm(true), filledForm(false),
	}
	connectionTestViews = []any{
		testView{State: fullState},
		testView{State: fullState, Result: &testResult{Checks: sayChecks(fullChecks)}},
		testView{State: fullState, Result: &testResult{Passed: true, Checks: sayChecks(fullChecks), Identity: "x", Would: map[string]any{"sub": "x"}, HasClaims: true}},
	}
	reviewViews = []any{
		reviewView{State: fullState, ETag: `"3"`, Spec: saySpec(fullSpec), Changes: sayChanges(fullState), Blocking: fullWarnings[:1], Others: fullWarnings[1:],
			Evidence: &testEvidence{By: "dana", Verdict: "pass", Identity: "x"}, Reviewers: []domain.Name{"sam"}, Accepted: map[string]bool{connection.TenantNotPinned: true}},
		reviewView{State: fullState, Refused: "You wrote it.", Blocking: fullWarnings[:1]}, reviewView{State: fullState, Refused: "You wrote it.", Reviewers: []domain.Name{"sam"}},
		reviewView{State: connection.State{Name: "ci", Status: connection.Active}},
	}
	endViews     = []any{endView{State: fullState, ETag: `"3"`, Typed: "c"}}
	denialsViews = []any{
		denialsView{Connection: "ci", Codes: denialCodes, Newest: "/a", Older: "/b", Rows: []denialRow{
			{Position: "4.0", Connection: "ci", Code: "proof.conditions", Identity: "x", Source: "192.0.2.0/24"}, {Position: "5.0", Connection: "ci", Code: "proof.expired"}, {Connection: "ci", Suppressed: "40"}}},
		denialsView{Code: "x"}, denialsView{},
	}
	denialViews = []any{
		denialView{Position: "4.0", RequestID: "01", Reason: "A condition does not hold", Known: true, MayEdit: true, MayReach: true, Older: true, Denied: token.WasDenied{
			Connection: "ci", Version: 1, Code: "proof.conditions", Identity: "x", Audience: "y", Source: "192.0.2.0/24", Proof: token.Proof{Issuer: "https://gitlab.com", KeyID: "k", ID: "j"}},
			Checks: []denialCheck{{sayChecks(fullChecks)[1], true}, {sayChecks(fullChecks)[2], false}}},
		denialView{Reason: "The connection is inactive", WhyNot: "It was activated."},
	}
)

// filledForm has everything in it that a form can show.
func TestADifferenceSaysConditionsAsTheFormDoes(t *testing.T) {
	iss, sub := claim.Condition{Claim: "iss", Operator: claim.Equals, Value: "i"}, claim.Condition{Claim: "sub", Operator: claim.OneOf, Values: []string{"a", "b"}}
	ref, there := claim.Condition{Claim: "ref", Operator: claim.StartsWith, Value: "v"}, claim.Condition{Claim: "env", Operator: claim.Exists}
	got := between(connection.Spec{Conditions: []claim.Condition{iss, ref}}, connection.Spec{Conditions: []claim.Condition{sub, there}})
	want := []changeWords{{"Condition", "iss is i", ""}, {"Condition", "ref begins with v", ""}, {"Condition", "", "sub is one of a, b"}, {"Condition", "", "env is there, whatever it says"}}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	got = between(connection.Spec{Conditions: []claim.Condition{iss, ref}}, connection.Spec{Conditions: []claim.Condition{ref, iss}})
	if want := []changeWords{{"Condition", "iss is i, ref begins with v", "ref begins with v, iss is i"}}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func filledForm(fresh bool) connectionForm {
	f := formOf(fullSpec)
	f.New, f.Name, f.ETag, f.Note, f.By, f.Changed = fresh, "ci", `"3"`, "Look.", "eve", sayChanges(fullState)
	f.Preview = &previewView{Spec: saySpec(fullSpec), Changes: f.Changed, Warnings: fullWarnings}
	return f
}
