package token_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/token"
)

const (
	issuer   = "https://sallyport.example/orgs/default"
	provider = "https://idp.example"
	vault    = "https://vault.example"
	identity = "repo:acme/app:ref:refs/heads/main"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC)

// question is everything that Decide is asked with.
type question struct {
	org    domain.Name
	issuer string
	conn   connection.State
	proof  proof.Proof
	checks []proof.Check
	req    token.Request
	spent  func(string) bool
	jti    string
	now    time.Time
}

func (q question) decide() token.Decision {
	return token.Decide(q.org, q.issuer, q.conn, q.proof, q.checks, q.req, q.spent, q.jti, domain.Meta{Now: q.now})
}

func (q question) test() token.Decision {
	return token.Test(q.org, q.issuer, q.conn, q.proof, q.checks, q.req, domain.Meta{Now: q.now})
}

// good is a question whose answer is a token.
func good() question {
	return question{
		org: "default", issuer: issuer,
		conn: connection.State{
			Name: "ci", Status: connection.Active, Version: 3, ActiveVersion: 3, EverActivated: true, Generation: 2,
			Current: connection.Spec{
				Provider: "generic_jwt", JWKSURL: provider + "/jwks",
				Conditions: []claim.Condition{
					{Claim: "iss", Operator: claim.Equals, Value: provider},
					{Claim: "aud", Operator: claim.Equals, Value: issuer},
					{Claim: "repository", Operator: claim.Equals, Value: "acme/app"},
				},
				IdentityClaim: "sub", Audiences: []string{vault}, AudienceClaims: []string{"repository", "deep/inner", "sub", "absent"},
				TokenTTL: connection.Duration{Amount: 15, Unit: "minutes"}, Algorithms: []string{"RS256"},
			},
		},
		proof: proof.Proof{
			Algorithm: "RS256", KeyID: "k1", Issuer: provider, Subject: identity, ID: "proof-1",
			IssuedAt: noon, ExpiresAt: noon.Add(5 * time.Minute), Digest: "digest-1",
			Claims: claim.Set{
				"iss": provider, "sub": identity, "aud": issuer, "jti": "proof-1",
				"iat": json.Number("1795348800"), "exp": json.Number("1795349100"), "nbf": json.Number("1795348800"),
				"repository": "acme/app", "run": json.Number("9007199254740993"), "deep": map[string]any{"inner": true, "other": nil},
			},
		},
		checks: passed(), req: token.Request{Grant: "token-exchange", RoleHint: "deployers", Source: "192.0.2.7"},
		spent: func(string) bool { return false }, jti: "our-jti", now: noon,
	}
}

func passed() (out []proof.Check) {
	for _, n := range []string{proof.Format, proof.Keys, proof.Key, proof.Algorithm, proof.Signature, proof.Times} {
		out = append(out, proof.Check{Check: n, Result: proof.Pass, Message: "fine"})
	}
	return out
}

// all sets every check of the edge to one result.
func all(r proof.Result) (out []proof.Check) {
	out = passed()
	for i := range out {
		out[i].Result = r
	}
	return out
}

func TestAnAdmittedProofBecomesAToken(t *testing.T) {
	d := good().decide()
	if !d.Allowed || d.Code != "" || d.Denied != nil || d.Algorithm != "ES256" || d.SpendKey != "" {
		t.Fatalf("got %+v", d)
	}
	got, err := json.MarshalIndent(d.Claims, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "iss": "https://sallyport.example/orgs/default",
  "sub": "workload://default/ci/repo:acme%2Fapp:ref:refs%2Fheads%2Fmain",
  "aud": "https://sallyport.example/orgs/default",
  "iat": 1795348800,
  "nbf": 1795348800,
  "exp": 1795349700,
  "jti": "our-jti",
  "client_id": "workload://default/ci",
  "cid": "workload://default/ci",
  "scope": "",
  "scp": [],
  "sallyport": {
    "connection": "ci",
    "generation": 2,
    "identity": "repo:acme/app:ref:refs/heads/main",
    "role_hint": "deployers",
    "claims": {
      "deep": {
        "inner": true,
        "other": null
      },
      "repository": "acme/app",
      "run": 9007199254740993
    }
  }
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("the claims are not what interface.md says (-want +got):\n%s", diff)
	}
	whole := noon.Truncate(time.Second)
	event := token.WasIssued{
		Connection: "ci", Version: 3, Generation: 2, Identity: identity, Grant: "token-exchange", ID: "our-jti", Audience: issuer, Algorithm: "ES256",
		IssuedAt: whole, ExpiresAt: whole.Add(15 * time.Minute), RoleHint: "deployers", Source: "192.0.2.7",
		Proof: token.Proof{Digest: "digest-1", ID: "proof-1", Issuer: provider, KeyID: "k1", Algorithm: "RS256", ExpiresAt: whole.Add(5 * time.Minute), SkewSeconds: 30},
	}
	f, ok := d.Fact()
	want2 := domain.Fact{Subject: "connection/ci", Actor: "workload://default/ci/repo:acme%2Fapp:ref:refs%2Fheads%2Fmain", Event: event}
	if diff := cmp.Diff(want2, f); diff != "" || !ok {
		t.Errorf("the event is wrong (-want +got):\n%s", diff)
	}
	if !d.ExpiresAt.Equal(event.ExpiresAt) {
		t.Errorf("it expires at %v in the decision, %v in the event", d.ExpiresAt, event.ExpiresAt)
	}
}

func TestAnotherAudienceGetsRS256AndTheListedClaimsOnly(t *testing.T) {
	q := good()
	q.req.Audience = vault
	d := q.decide()
	if !d.Allowed || d.Algorithm != "RS256" || d.Claims.Audience != vault || d.Issued.Audience != vault || d.Issued.Algorithm != "RS256" {
		t.Fatalf("got %+v", d)
	}
	// A registered claim is not carried even where it is listed.
	if diff := cmp.Diff(map[string]any{"repository": "acme/app", "deep/inner": true}, d.Claims.Sallyport.Claims); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

type attack struct {
	name   string
	change func(*question)
	code   string // empty: any
}

// attacks are ways to get a token that one should not have: each changes a
// good question a little.
func attacks() []attack {
	as := []attack{
		{"a connection that never was", func(q *question) { q.conn = connection.State{} }, token.CodeUnknown},
		{"a connection that never was, of that name", func(q *question) { q.conn.Status = connection.None }, token.CodeUnknown},
		{"a deleted connection", func(q *question) { q.conn.Status = connection.Deleted }, token.CodeUnknown},
		{"a draft", func(q *question) { q.conn.Status = connection.Drafted }, token.CodeDraft},
		{"an inactive connection", func(q *question) { q.conn.Status = connection.Inactive }, token.CodeInactive},
		{"an inactive connection, unverified", func(q *question) { q.conn.Status = connection.Inactive; q.checks = nil }, token.CodeInactive},
		{"an inactive connection, every check skipped", func(q *question) { q.conn.Status = connection.Inactive; q.checks = all(proof.Skipped) }, token.CodeInactive},
		{"a status nobody knows", func(q *question) { q.conn.Status = "paused" }, token.CodeInactive},
		{"no checks at all", func(q *question) { q.checks = nil }, token.CodeMalformed},
		{"an empty list of checks", func(q *question) { q.checks = []proof.Check{} }, token.CodeMalformed},
		{"every check skipped", func(q *question) { q.checks = all(proof.Skipped) }, token.CodeMalformed},
		{"checks without a result", func(q *question) { q.checks = all("") }, token.CodeMalformed},
		{"checks that say PASS", func(q *question) { q.checks = all("PASS") }, token.CodeMalformed},
		{"a check passed and failed", func(q *question) {
			q.checks = append(q.checks, proof.Check{Check: proof.Signature, Result: proof.Fail, Code: "proof.signature"})
		}, "proof.signature"},
		{"a check passed and skipped", func(q *question) {
			q.checks = append(q.checks, proof.Check{Check: proof.Signature, Result: proof.Skipped})
		}, token.CodeMalformed},
		{"a further check that failed", func(q *question) {
			q.checks = append(q.checks, proof.Check{Check: "revocation", Result: proof.Fail})
		}, token.CodeMalformed},
		{"the outcome of conditions smuggled in for a proof of another repository", func(q *question) {
			q.checks = append(q.checks, proof.Check{Check: proof.Condition, Result: proof.Pass}, proof.Check{Check: proof.Identity, Result: proof.Pass})
			q.proof.Claims["repository"] = "acme/app-evil"
		}, token.CodeConditions},
		{"a proof of another repository", func(q *question) { q.proof.Claims["repository"] = "acme/app-evil" }, token.CodeConditions},
		{"a proof of another issuer", func(q *question) {
			q.proof.Claims["iss"], q.proof.Issuer = "https://evil.example", "https://evil.example"
		}, token.CodeConditions},
		{"a proof for another organisation", func(q *question) { q.proof.Claims["aud"] = "https://sallyport.example/orgs/other" }, token.CodeConditions},
		{"a proof without claims", func(q *question) { q.proof.Claims = claim.Set{} }, token.CodeConditions},
		{"a proof that was not read", func(q *question) { q.proof.Claims = nil }, token.CodeConditions},
		{"a trust without conditions", func(q *question) { q.conn.Current.Conditions = nil }, token.CodeConditions},
		{"a trust without conditions, for a proof with some", func(q *question) {
			q.conn.Current.Conditions = nil
			q.checks = append(q.checks, proof.Check{Check: proof.Condition, Result: proof.Pass})
		}, token.CodeConditions},
		{"a trust that is empty", func(q *question) { q.conn.Current = connection.Spec{} }, ""},
		{"a proof without the identity claim", func(q *question) { delete(q.proof.Claims, "sub") }, token.CodeIdentity},
		{"an empty identity", func(q *question) { q.proof.Claims["sub"] = "" }, token.CodeIdentity},
		{"an identity that is a number", func(q *question) { q.proof.Claims["sub"] = json.Number("7") }, token.CodeIdentity},
		{"a spent proof", func(q *question) { q.conn.Current.SingleUse = true; q.spent = func(string) bool { return true } }, token.CodeReplayed},
		{"a single-use proof and nobody to ask", func(q *question) { q.conn.Current.SingleUse = true; q.spent = nil }, token.CodeReplayed},
		{"a single-use proof that nothing names", func(q *question) {
			q.conn.Current.SingleUse = true
			q.proof.ID, q.proof.Digest = "", ""
		}, token.CodeReplayed},
		{"an audience that is not listed", func(q *question) { q.req.Audience = "https://bank.example" }, token.CodeAudience},
		{"an audience that begins like a listed one", func(q *question) { q.req.Audience = vault + "/" }, token.CodeAudience},
		{"the issuer of another organisation as audience", func(q *question) { q.req.Audience = issuer + "2" }, token.CodeAudience},
		{"a lifetime of nothing", func(q *question) { q.conn.Current.TokenTTL = connection.Duration{} }, token.CodeExpired},
		{"a lifetime of nothing within a proof that is over", func(q *question) {
			q.conn.Current.TTLWithinProof = true
			q.now = q.proof.ExpiresAt.Add(time.Second)
		}, token.CodeExpired},
		{"claims that make too large a token", func(q *question) { q.proof.Claims["pad"] = strings.Repeat("x", token.MaxClaimsBytes) }, token.CodeMalformed},
		{"claims that are no JSON", func(q *question) { q.proof.Claims["n"] = json.Number("1]}") }, token.CodeMalformed},
		{"a role hint that makes too large a token", func(q *question) { q.req.RoleHint = strings.Repeat("x", token.MaxClaimsBytes) }, token.CodeMalformed},
		{"no id for the token", func(q *question) { q.jti = "" }, token.CodeMalformed},
	}
	for i, c := range passed() { // every single check of the edge, missing and not passed
		set := func(r proof.Result, code string) func(*question) {
			return func(q *question) { q.checks[i].Result, q.checks[i].Code = r, code }
		}
		as = append(as,
			attack{c.Check + " was not checked", func(q *question) { q.checks = slices.Delete(q.checks, i, i+1) }, token.CodeMalformed},
			attack{c.Check + " was skipped", set(proof.Skipped, ""), token.CodeMalformed},
			attack{c.Check + " failed", set(proof.Fail, "proof."+c.Check), "proof." + c.Check},
			attack{c.Check + " failed without a code", set(proof.Fail, ""), token.CodeMalformed},
		)
	}
	return as
}

func TestNothingElseBecomesAToken(t *testing.T) {
	for _, tt := range attacks() {
		t.Run(tt.name, func(t *testing.T) {
			q := good()
			tt.change(&q)
			d := q.decide()
			refused(t, d)
			if tt.code != "" && d.Code != tt.code {
				t.Errorf("code is %s, want %s", d.Code, tt.code)
			}
			if known := q.conn.Status != connection.None && q.conn.Status != connection.Deleted; known != (d.Denied != nil) {
				t.Errorf("the denial is %+v", d.Denied)
			}
		})
	}
}

// refused holds a decision to having nothing in it that could be handed out.
func refused(t *testing.T, d token.Decision) {
	t.Helper()
	if d.Allowed || d.Issued != nil || d.Claims != nil || d.Code == "" || d.SpendKey != "" || !d.ExpiresAt.IsZero() {
		t.Errorf("it is not refused: %+v", d)
	}
	if d.Denied != nil && d.Denied.Code != d.Code {
		t.Errorf("it records %s and answers %s", d.Denied.Code, d.Code)
	}
	if _, ok := d.Fact(); ok != (d.Denied != nil) {
		t.Errorf("to be recorded is %v", ok)
	}
}

func TestATestIsTheSameDecisionAndNeverAToken(t *testing.T) {
	for _, status := range []connection.Status{connection.Drafted, connection.Active, connection.Inactive} {
		q := good()
		q.conn.Status = status
		d := q.test()
		refused(t, d)
		if d.Code != token.CodeDraft || d.WouldIssue == nil || d.WouldIssue.Subject != token.Workload("default", "ci", identity) {
			t.Errorf("on a connection that is %s: %s, %+v", status, d.Code, d.WouldIssue)
		}
	}
	for _, tt := range attacks() {
		t.Run(tt.name, func(t *testing.T) {
			q := good()
			tt.change(&q)
			d := q.test()
			refused(t, d)
			satisfied := d.Code == token.CodeDraft
			// what is no matter of the trust itself does not count against a draft
			apart := slices.Contains([]string{token.CodeDraft, token.CodeInactive, token.CodeReplayed, token.CodeAudience}, tt.code) ||
				tt.name == "no id for the token" // a test brings its own
			if satisfied && !apart {
				t.Errorf("the draft is satisfied by %s", tt.name)
			}
			if would := d.WouldIssue != nil; would != (satisfied && proof.Passed(d.Checks)) {
				t.Errorf("it would issue a token is %v after %+v", would, d.Checks)
			}
		})
	}
}

func TestATestTakesTheNewestVersion(t *testing.T) {
	q := good()
	pending := q.conn.Current
	pending.Conditions = []claim.Condition{{Claim: "repository", Operator: claim.Equals, Value: "acme/next"}}
	q.conn.Pending = &pending
	q.proof.Claims["repository"] = "acme/next"
	if d := q.test(); d.Code != token.CodeDraft {
		t.Errorf("the pending version says %s", d.Code)
	}
	if d := q.decide(); d.Code != token.CodeConditions {
		t.Errorf("the activated version says %s: a pending one decides nothing", d.Code)
	}
}

// The order of codes is a promise: who cannot satisfy the trust learns nothing
// of the connection's state.
func TestTheFirstReasonIsTheOneTold(t *testing.T) {
	reasons := []struct {
		code   string
		change func(*question)
	}{
		{"proof.signature", func(q *question) {
			i := slices.IndexFunc(q.checks, func(c proof.Check) bool { return c.Check == proof.Signature })
			q.checks[i].Result, q.checks[i].Code = proof.Fail, "proof.signature"
		}},
		{token.CodeConditions, func(q *question) { q.proof.Claims["repository"] = "acme/evil" }},
		{token.CodeIdentity, func(q *question) { delete(q.proof.Claims, "sub") }},
		{token.CodeInactive, func(q *question) { q.conn.Status = connection.Inactive }},
		{token.CodeReplayed, func(q *question) {
			q.conn.Current.SingleUse = true
			q.spent = func(string) bool { return true }
		}},
		{token.CodeAudience, func(q *question) { q.req.Audience = "https://bank.example" }},
	}
	for i := range reasons {
		q := good()
		for _, r := range reasons[i:] {
			r.change(&q)
		}
		d := q.decide()
		refused(t, d)
		if d.Code != reasons[i].code {
			t.Errorf("with every reason from %s on, the code is %s", reasons[i].code, d.Code)
		}
	}
}

func TestADenialExplainsEverythingAndNamesOnlyTheVerified(t *testing.T) {
	q := good()
	q.proof.Claims["repository"] = "acme/evil"
	d := q.decide()
	var got []string
	for _, c := range d.Denied.Checks {
		got = append(got, c.Check+" "+string(c.Result))
	}
	want := []string{"format pass", "keys pass", "key pass", "algorithm pass", "signature pass", "times pass",
		"condition pass", "condition pass", "condition fail", "identity pass"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f, _ := d.Fact(); d.Denied.Identity != identity || f.Actor != token.Workload("default", "ci", identity) {
		t.Errorf("it is about %q by %q", d.Denied.Identity, f.Actor)
	}
	q.checks[4].Result = proof.Fail
	d = q.decide()
	if f, _ := d.Fact(); d.Denied.Identity != "" || d.Identity != "" || f.Actor != "workload://default/ci" {
		t.Errorf("a forged proof is recorded as %q by %q", d.Denied.Identity, f.Actor)
	}
	if len(d.Checks) != 8 || d.Checks[6].Result != proof.Skipped || d.Checks[7].Result != proof.Skipped {
		t.Errorf("a forged proof is explained: %+v", d.Checks)
	}
	tested := q.test()
	if len(tested.Checks) != 10 || tested.Checks[8].Result != proof.Fail {
		t.Errorf("a test of a forged proof does not tell every condition: %+v", tested.Checks)
	}
	q.proof.Claims = nil
	tested = q.test()
	if len(tested.Checks) != 10 || tested.Checks[9].Result != proof.Skipped || tested.Checks[6].Claim != "iss" {
		t.Errorf("a proof that was not read is reported as %+v", tested.Checks)
	}
}

func TestADenialFitsAnEventWhateverItsProofHolds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := good()
		nasty := strings.Repeat(rapid.StringOfN(rapid.SampledFrom([]rune("<\x00\n\"\\\u202eé\U0001F600a")), 1, 8, -1).Draw(rt, "piece"), 2000)
		q.conn.Current.Conditions = nil
		for i := range rapid.IntRange(1, 20).Draw(rt, "conditions") {
			name := fmt.Sprintf("c%d", i)
			q.conn.Current.Conditions = append(q.conn.Current.Conditions, claim.Condition{Claim: claim.Path(name), Operator: claim.Equals, Value: nasty[:min(len(nasty), 900)]})
			q.proof.Claims[name] = nasty
		}
		for i := range q.checks {
			q.checks[i].Message, q.checks[i].Actual, q.checks[i].Result = nasty, nasty, proof.Fail
		}
		q.proof.ID, q.proof.Issuer, q.proof.KeyID, q.req.Audience = nasty, nasty, nasty, nasty
		q.proof.Claims["sub"] = nasty
		d := q.decide()
		b, err := json.Marshal(d.Denied)
		if err != nil || len(b) > domain.MaxEventBytes-6<<10 {
			rt.Fatalf("%d bytes, %v", len(b), err)
		}
		for _, c := range d.Denied.Checks {
			if strings.ContainsAny(c.Actual+c.Message, "\x00\n\u202e") || len(c.Actual) > 260 {
				rt.Fatalf("%q", c.Actual)
			}
		}
	})
}

func TestTimesAreWholeSeconds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*question)
		want   time.Duration // from iat to exp
	}{
		{"the connection's lifetime", func(q *question) {}, 15 * time.Minute},
		{"a day at most is what a connection may say", func(q *question) { q.conn.Current.TokenTTL = connection.Duration{Amount: 24, Unit: "hours"} }, 24 * time.Hour},
		{"no longer than the proof, if it says so", func(q *question) { q.conn.Current.TTLWithinProof = true }, 5 * time.Minute},
		{"no longer than its own, whatever the proof's", func(q *question) {
			q.conn.Current.TTLWithinProof = true
			q.proof.ExpiresAt = noon.Add(time.Hour)
		}, 15 * time.Minute},
		{"one second is a token", func(q *question) {
			q.conn.Current.TTLWithinProof = true
			q.proof.ExpiresAt = noon.Truncate(time.Second).Add(time.Second + 900*time.Millisecond)
		}, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := good()
			tt.change(&q)
			d := q.decide()
			if !d.Allowed {
				t.Fatalf("refused: %s", d.Code)
			}
			if got := time.Duration(d.Claims.ExpiresAt-d.Claims.IssuedAt) * time.Second; got != tt.want {
				t.Errorf("it lives %v, want %v", got, tt.want)
			}
			if d.ExpiresAt.Unix() != d.Claims.ExpiresAt || d.ExpiresAt.Nanosecond() != 0 || d.Claims.IssuedAt != noon.Unix() || d.Claims.NotBefore != noon.Unix() {
				t.Errorf("its times are %+v, %v", d.Claims, d.ExpiresAt)
			}
		})
	}
}

func TestASingleUseProofIsNamedUntilNobodyTakesItAnyMore(t *testing.T) {
	q := good()
	q.conn.Current.SingleUse = true
	var asked []string
	q.spent = func(k string) bool { asked = append(asked, k); return false }
	d := q.decide()
	key := token.SpendKey("ci", q.proof)
	if !d.Allowed || d.SpendKey != key || d.Issued.Spent != key || !slices.Equal(asked, []string{key}) {
		t.Fatalf("got %+v, asked %v, want %s", d, asked, key)
	}
	if got, least := d.Issued.SpentUntil, q.proof.ExpiresAt.Add(2*token.Skew); got.Before(least) || got.After(least.Add(2*time.Second)) {
		t.Errorf("it is remembered until %v, want %v", got, least)
	}
}

func TestSpendKeys(t *testing.T) {
	base := proof.Proof{Issuer: "https://a.example", ID: "1", Digest: "d"}
	with := func(f func(*proof.Proof)) proof.Proof { p := base; f(&p); return p }
	keys := map[string]string{}
	for name, key := range map[string]string{
		"base":                token.SpendKey("ci", base),
		"another connection":  token.SpendKey("ci2", base),
		"another issuer":      token.SpendKey("ci", with(func(p *proof.Proof) { p.Issuer = "https://b.example" })),
		"another jti":         token.SpendKey("ci", with(func(p *proof.Proof) { p.ID = "2" })),
		"the digest, no jti":  token.SpendKey("ci", with(func(p *proof.Proof) { p.ID = "" })),
		"a jti like a digest": token.SpendKey("ci", with(func(p *proof.Proof) { p.ID = "d" })),
		"an end moved over":   token.SpendKey("ci", with(func(p *proof.Proof) { p.Issuer, p.ID = "https://a.exampl", "e1" })),
		"a beginning moved":   token.SpendKey("cih", with(func(p *proof.Proof) { p.Issuer = "ttps://a.example" })),
	} {
		if other, taken := keys[key]; taken || len(key) != 43 {
			t.Errorf("%s has the key of %s: %q", name, other, key)
		}
		keys[key] = name
	}
	twin := with(func(p *proof.Proof) { p.Digest = "another" })
	if token.SpendKey("ci", twin) != token.SpendKey("ci", base) {
		t.Error("the same jti has two keys")
	}
	if got := token.SpendKey("ci", proof.Proof{Issuer: "https://a.example"}); got != "" {
		t.Errorf("what nothing names has the key %q", got)
	}
}

func TestSpendKeysAreInjective(t *testing.T) {
	part := rapid.StringOfN(rapid.SampledFrom([]rune("ab\x00/1")), 0, 4, -1)
	type names struct{ conn, iss, jti string }
	draw := func(rt *rapid.T, l string) names {
		return names{part.Draw(rt, l+"conn"), part.Draw(rt, l+"iss"), part.Draw(rt, l+"jti") + "x"}
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := draw(rt, "a"), draw(rt, "b")
		key := func(n names) string {
			return token.SpendKey(domain.Name(n.conn), proof.Proof{Issuer: n.iss, ID: n.jti})
		}
		if (a == b) != (key(a) == key(b)) {
			rt.Fatalf("%q and %q", a, b)
		}
	})
}

// No name or value of a source can change what we say ourselves: whatever the
// claims, the token's own members are as in a token without them.
func TestNoClaimOfASourceBecomesAClaimOfOurs(t *testing.T) {
	names := rapid.OneOf(rapid.SampledFrom([]string{"iss", "sub", "exp", `x":0,"admin`, "", "sallyport", "client_id", "__proto__", "a.b", "a/b", "\x00"}), rapid.String())
	rapid.Check(t, func(rt *rapid.T) {
		q := good()
		plain := q.decide()
		extra := rapid.MapOfN(names, rapid.OneOf(rapid.String(), rapid.Just(`"}},"admin":true,"x":{"y":{"`)), 0, 8).Draw(rt, "claims")
		for n, v := range extra {
			if _, there := q.proof.Claims[n]; !there {
				q.proof.Claims[n] = v
			}
		}
		d := q.decide()
		if !d.Allowed {
			rt.Skip("too large")
		}
		got, want := members(rt, d.Claims), members(rt, plain.Claims)
		inner := got["sallyport"].(map[string]any)["claims"].(map[string]any)
		for _, n := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"} {
			if _, there := inner[n]; there {
				rt.Fatalf("the source's %s is carried", n)
			}
		}
		delete(got["sallyport"].(map[string]any), "claims")
		delete(want["sallyport"].(map[string]any), "claims")
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("claims %q change ours (-want +got):\n%s", slices.Collect(maps.Keys(extra)), diff)
		}
	})
}

func members(t rapid.TB, c *token.Claims) (m map[string]any) {
	t.Helper()
	b, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAWorkloadsNameIsOneSegment(t *testing.T) {
	for identity, want := range map[string]string{
		"":             "workload://default/ci",
		"a/b":          "workload://default/ci/a%2Fb",
		"a%2Fb":        "workload://default/ci/a%252Fb",
		"ä b?c#d":      "workload://default/ci/%C3%A4%20b%3Fc%23d",
		"repo:acme/x:": "workload://default/ci/repo:acme%2Fx:",
	} {
		if got := token.Workload("default", "ci", identity); got != want {
			t.Errorf("%q is %s, want %s", identity, got, want)
		}
	}
}
