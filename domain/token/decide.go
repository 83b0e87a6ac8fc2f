package token

import (
	"encoding/json"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
)

// What a token is signed with: the small and quick algorithm for what only
// Sallyport reads, and for others the one that all of them take.
const (
	algOurs   = "ES256"
	algOthers = "RS256"
)

// The error codes a decision gives beside those that the proof's checks carry.
const (
	CodeUnknown    = "connection.unknown"
	CodeDraft      = "connection.draft" // the proof satisfies the draft
	CodeInactive   = "connection.inactive"
	CodeMalformed  = "proof.malformed"
	CodeExpired    = "proof.expired"
	CodeConditions = "proof.conditions"
	CodeIdentity   = "proof.identity"
	CodeReplayed   = "proof.replayed"
	CodeAudience   = "audience.not_allowed"
)

// required are the checks of the edge without which nothing is issued. One
// that is absent or skipped counts as one that failed.
var required = []string{proof.Format, proof.Keys, proof.Key, proof.Algorithm, proof.Signature, proof.Times}

// Decide tells whether a proof becomes a token. checks are what the edge found
// of it, from format to times; none at all means that it was not verified,
// which is enough to be refused by an inactive connection without fetching
// anybody's keys. spent tells whether a spend key is used up; jti is fresh,
// random and at least 128 bits.
//
// Of several reasons to refuse, the code is the first of: the connection is
// unknown (None or Deleted), the proof fails a check or a condition or makes no
// token, the connection is inactive or a draft, the proof was used before, the audience is
// not allowed. A caller that cannot satisfy the trust so learns nothing of its
// state; the event tells everything that was looked at. Conditions are held
// against a proof that its provider signed: what a stranger made up is not worth
// an explanation, in time or on disk.
func Decide(org domain.Name, issuer string, c connection.State, p proof.Proof, checks []proof.Check, r Request,
	spent func(key string) bool, jti string, m domain.Meta) Decision {
	return decide(org, issuer, c, p, checks, r, spent, jti, m, false)
}

// signed tells whether the edge found the proof's signature to be its provider's.
func signed(checks []proof.Check) bool {
	return slices.ContainsFunc(checks, func(c proof.Check) bool { return c.Check == proof.Signature && c.Result == proof.Pass })
}

// decide is Decide and [Test]: a test judges conditions whatever became of the
// signature, and tells of a draft what else would be asked of it.
func decide(org domain.Name, issuer string, c connection.State, p proof.Proof, checks []proof.Check, r Request,
	spent func(key string) bool, jti string, m domain.Meta, testing bool) Decision {
	d := Decision{Organisation: org, Connection: c.Name}
	if c.Status == connection.None || c.Status == connection.Deleted {
		d.Code = CodeUnknown // and no event: strangers cannot fill the log
		return d
	}
	if c.Status == connection.Inactive && unverified(checks) {
		return d.denied(CodeInactive, c, p, r)
	}
	d.Checks = complete(checks)
	verified := proof.Passed(d.Checks)
	identity, admitted := admit(c.Current, p, testing || signed(checks))
	d.Checks = append(d.Checks, admitted...)
	if verified {
		d.Identity = identity
	}
	if code := failure(d.Checks); code != "" {
		return d.denied(code, c, p, r)
	}
	claims, code := d.build(issuer, c, p, r, jti, m.Now)
	if code != "" {
		return d.denied(code, c, p, r)
	}
	if c.Status == connection.Drafted && !testing {
		return d.denied(CodeDraft, c, p, r)
	}
	code = d.exchange(c.Current, p, claims.Audience, claims.Audience == issuer, spent)
	switch {
	case c.Status == connection.Drafted:
		if code == "" {
			d.WouldIssue = claims
		}
		return d.denied(CodeDraft, c, p, r)
	case c.Status != connection.Active:
		return d.denied(CodeInactive, c, p, r)
	case code != "":
		return d.denied(code, c, p, r)
	}
	return d.issued(claims, c, p, r)
}

// unverified tells whether the edge looked at nothing.
func unverified(checks []proof.Check) bool {
	return !slices.ContainsFunc(checks, func(c proof.Check) bool { return c.Result != proof.Skipped })
}

// complete is the edge's checks in the order of a report, a skipped one for
// each that is missing, so that leaving a check out never helps anybody.
func complete(checks []proof.Check) []proof.Check {
	var out []proof.Check
	for _, name := range required {
		n := len(out)
		for _, c := range checks {
			if c.Check == name {
				out = append(out, c)
			}
		}
		if len(out) == n {
			out = append(out, proof.Check{Check: name, Result: proof.Skipped, Message: "This was not checked."})
		}
	}
	for _, c := range checks {
		if !slices.Contains(required, c.Check) {
			out = append(out, c)
		}
	}
	return out
}

// admit is what the connection says of the claims: every condition, then the
// identity. Claims that could not be read, or are anybody's, are not judged.
func admit(s connection.Spec, p proof.Proof, explain bool) (string, []proof.Check) {
	switch {
	case len(s.Conditions) == 0:
		return "", []proof.Check{{Check: proof.Condition, Result: proof.Fail, Code: CodeConditions, Message: "The connection has no conditions, and so trusts nobody."}}
	case !explain:
		const why = "Not looked at: the proof is not known to be its provider's."
		return "", []proof.Check{ // one for all: a stranger's denial takes little room
			{Check: proof.Condition, Result: proof.Skipped, Message: why},
			{Check: proof.Identity, Result: proof.Skipped, Message: why},
		}
	case p.Claims == nil:
		return "", unread(s)
	}
	return s.Admit(p)
}

// unread is the checks of a specification on a proof that could not be read.
func unread(s connection.Spec) (out []proof.Check) {
	const why = "Not looked at: the proof could not be read."
	for _, c := range s.Conditions {
		out = append(out, proof.Check{
			Check: proof.Condition, Claim: string(c.Claim), Operator: string(c.Operator), Result: proof.Skipped, Message: why,
		})
	}
	return append(out, proof.Check{Check: proof.Identity, Claim: string(s.IdentityClaim), Result: proof.Skipped, Message: why})
}

// failure is the code of the first check that failed; without one, of the
// first that did not pass; empty if all is well.
func failure(checks []proof.Check) string {
	if f := proof.FirstFailure(checks); f != nil {
		return code(*f)
	}
	for _, c := range checks {
		if c.Result != proof.Pass {
			return code(proof.Check{Check: c.Check})
		}
	}
	return ""
}

// code is the error code of a check that did not pass.
func code(c proof.Check) string {
	switch {
	case c.Code != "":
		return c.Code
	case c.Check == proof.Condition:
		return CodeConditions
	case c.Check == proof.Identity:
		return CodeIdentity
	}
	return CodeMalformed
}

// build makes the claims of the token that the proof is good for, or tells
// with a check and its code why no token can be made of it.
func (d *Decision) build(issuer string, c connection.State, p proof.Proof, r Request, jti string, now time.Time) (*Claims, string) {
	spec, audience := c.Current, r.Audience
	own := audience == "" || audience == issuer
	d.Algorithm = algOthers
	if own {
		audience, d.Algorithm = issuer, algOurs
	}
	from, until := lifetime(now, spec.TokenTTL.Value(), spec.TTLWithinProof, p.ExpiresAt)
	d.ExpiresAt = until
	client := Workload(d.Organisation, c.Name, "")
	claims := &Claims{
		Issuer: issuer, Subject: Workload(d.Organisation, c.Name, d.Identity), Audience: audience,
		IssuedAt: from.Unix(), NotBefore: from.Unix(), ExpiresAt: until.Unix(), ID: jti, ClientID: client, CID: client, SCP: []string{},
		Sallyport: Workmark{
			Connection: c.Name, Generation: c.Generation, Identity: d.Identity, RoleHint: r.RoleHint,
			Claims: carried(p.Claims, own, spec.AudienceClaims),
		},
	}
	b, err := json.Marshal(claims)
	fail := proof.Check{Check: proof.Format, Result: proof.Fail, Code: CodeMalformed}
	switch {
	case !until.After(from):
		fail.Check, fail.Code = proof.Times, CodeExpired
		fail.Message = "No whole second is left for a token within the proof's life."
	case jti == "":
		fail.Message = "The token would have no id."
	case err != nil || len(b) > MaxClaimsBytes:
		fail.Message = "The token would be over 8 KiB, or a claim cannot be written as JSON."
	default:
		d.Payload = b
		return claims, ""
	}
	d.Checks = append(d.Checks, fail)
	return nil, fail.Code
}

// exchange adds the checks of the exchange itself, and gives the code of the
// first that failed.
func (d *Decision) exchange(spec connection.Spec, p proof.Proof, audience string, own bool, spent func(string) bool) string {
	n := len(d.Checks)
	if spec.SingleUse {
		d.SpendKey = SpendKey(d.Connection, p)
		d.Checks = append(d.Checks, replay(d.SpendKey, spent))
	}
	d.Checks = append(d.Checks, audienceCheck(audience, own || slices.Contains(spec.Audiences, audience)))
	return failure(d.Checks[n:])
}

// replay is the check of a single-use proof. One that nothing names could not
// be remembered, so it is refused.
func replay(spendKey string, spent func(string) bool) proof.Check {
	c := proof.Check{Check: proof.Replay, Result: proof.Pass, Message: "The proof was not used before."}
	if spendKey == "" || spent == nil || spent(spendKey) {
		c.Result, c.Code, c.Message = proof.Fail, CodeReplayed, "The proof was used before, and this connection takes each only once."
	}
	return c
}

func audienceCheck(audience string, allowed bool) proof.Check {
	c := proof.Check{Check: proof.Audience, Actual: text(audience), Result: proof.Pass, Message: "The connection may issue for this audience."}
	if !allowed {
		c.Result, c.Code, c.Message = proof.Fail, CodeAudience, "The connection does not list this audience."
	}
	return c
}

// denied is the decision with nothing to hand out.
func (d Decision) denied(code string, c connection.State, p proof.Proof, r Request) Decision {
	d.Allowed, d.Code, d.Issued, d.Claims, d.Payload, d.SpendKey, d.ExpiresAt = false, code, nil, nil, nil, "", time.Time{}
	d.Denied = WasDenied{
		Connection: c.Name, Version: c.CurrentVersion(), Code: code, Identity: d.Identity,
		Grant: r.Grant, Audience: r.Audience, Checks: d.Checks, Source: r.Source, Proof: record(p),
	}.bounded()
	return d
}

// issued is the decision with claims to sign once its event is durable.
func (d Decision) issued(claims *Claims, c connection.State, p proof.Proof, r Request) Decision {
	d.Allowed, d.Code, d.Claims = true, "", claims
	d.Issued = &WasIssued{
		Connection: c.Name, Version: c.CurrentVersion(), Generation: c.Generation, Identity: d.Identity,
		Grant: r.Grant, ID: claims.ID, Audience: claims.Audience, Algorithm: d.Algorithm,
		IssuedAt: time.Unix(claims.IssuedAt, 0).UTC(), ExpiresAt: d.ExpiresAt,
		RoleHint: r.RoleHint, Source: r.Source, Proof: record(p),
	}
	if d.SpendKey != "" {
		d.Issued.Spent, d.Issued.SpentUntil = d.SpendKey, SpentUntil(p)
	}
	return d
}
