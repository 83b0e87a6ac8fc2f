package connection

import (
	"fmt"
	"strings"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/proof"
)

// Error codes of what Admit refuses.
const (
	CodeConditions = "proof.conditions"
	CodeIdentity   = "proof.identity"
)

// maxIdentity bounds the value that names a workload, in bytes.
const maxIdentity = 1024

// Admit judges a proof by every condition, and names its workload: the value
// of the identity claim, after the identity path if there is one. identity is
// "" if its check failed. It reports every check, whatever came of those
// before; the proof is admitted only if all passed. It is the only place where
// a claim meets a condition, and it does not know whether the claims were signed.
func (s Spec) Admit(p proof.Proof) (identity string, checks []proof.Check) {
	required := s.required()
	checks = make([]proof.Check, 0, len(required)+1)
	for _, c := range required {
		checks = append(checks, conditionCheck(c, p.Claims))
	}
	identity, check := s.identify(p.Claims)
	return identity, append(checks, check)
}

// required is the conditions and, for keys found by an issuer's discovery
// document, that the proof names that issuer (OpenID Connect Discovery 4.3).
func (s Spec) required() []claim.Condition {
	if s.IssuerURL == "" {
		return s.Conditions
	}
	issuer := claim.Condition{Claim: "iss", Operator: claim.Equals, Value: s.IssuerURL}
	for _, c := range s.Conditions {
		if c.Equal(issuer) {
			return s.Conditions
		}
	}
	return append([]claim.Condition{issuer}, s.Conditions...)
}

func conditionCheck(c claim.Condition, claims claim.Set) proof.Check {
	e := c.Explain(claims)
	check := proof.Check{
		Check: proof.Condition, Claim: string(c.Claim), Operator: string(c.Operator),
		Expected: e.Expected, Actual: e.Actual, Result: proof.Pass, Message: e.Message,
	}
	if !e.Match {
		check.Result, check.Code = proof.Fail, CodeConditions
	}
	return check
}

func (s Spec) identify(claims claim.Set) (string, proof.Check) {
	check := proof.Check{Check: proof.Identity, Claim: string(s.IdentityClaim), Result: proof.Fail, Code: CodeIdentity}
	v, found := s.IdentityClaim.Lookup(claims)
	if !found {
		check.Message = "The claim that names the workload is absent."
		return "", check
	}
	check.Actual = claim.Text(v)
	text, ok := v.(string)
	if !ok {
		check.Message = "The claim that names the workload is not a string."
		return "", check
	}
	identity := text
	if s.IdentityPath != "" {
		identity = s.IdentityPath + "/" + text
	}
	if check.Message = identityRule(text); check.Message != "" {
		return "", check
	}
	if identity == "." || identity == ".." {
		check.Message = "The claim that names the workload is a dot or two, which would climb in its address."
		return "", check
	}
	check.Result, check.Code = proof.Pass, ""
	check.Message = fmt.Sprintf("The workload is %s.", claim.Text(identity))
	return identity, check
}

// identityRule is the sentence of the rule that a value breaks, or "". Two
// values that look alike must not be two identities, so nothing invisible is
// let in; nothing is changed either, so e and its accent stay two characters.
func identityRule(v string) string {
	switch {
	case strings.TrimSpace(v) == "":
		return "The claim that names the workload is empty."
	case len(v) > maxIdentity:
		return "The claim that names the workload is longer than 1024 bytes."
	case strings.ContainsFunc(v, claim.Hidden): // bytes that are no UTF-8 read as the replacement character
		return "The claim that names the workload holds control characters, invisible ones, or is no UTF-8."
	}
	return ""
}
