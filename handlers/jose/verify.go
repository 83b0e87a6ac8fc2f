package jose

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain/proof"
)

// Rules are what a connection asks of a proof besides its conditions.
type Rules struct {
	Algorithms []string      // the allow-list of header alg; empty allows none
	MaxAge     time.Duration // since iat; zero asks nothing
}

// Found is a KeyFinder's answer.
type Found struct {
	Key   Key
	Known bool      // whether the set has a key of that kid that verifies proofs
	Unfit string    // why a key of that kid is there and does not, "" otherwise
	At    time.Time // when the key set was fetched; zero for an uploaded one
	Stale bool      // its lifetime is over and its provider did not answer
}

// KeyFinder knows the keys of one provider. An error means that there is no
// key set to be had now (keys.unavailable); its text is shown to people.
// Implementations are safe for concurrent use.
type KeyFinder interface {
	Find(ctx context.Context, kid string) (Found, error)
}

// Verify checks a proof as far as it can be checked without its connection's
// conditions. The checks are always these six, in this order: format, keys,
// key, algorithm, signature, times. Each tells of every failure of its kind;
// what cannot be looked at, because something before it failed, is skipped.
//
// The Proof may be trusted only if [proof.Passed] says so of the checks.
// src is not asked for a token of bad form or of an algorithm that rules do not allow.
func Verify(ctx context.Context, compact string, rules Rules, src KeyFinder, now time.Time) (proof.Proof, []proof.Check) {
	p, r := examine(ctx, compact, rules, src, now)
	return p, r.checks()
}

// outcome is how one check ended: failed, else passed, else skipped.
type outcome struct {
	name    string
	code    string     // error_code of the failure
	failed  []*Refusal // every failure
	passed  string     // what people are told of a pass; "" until it passed
	skipped string     // why it was not looked at
}

// report is the six outcomes.
type report struct {
	format, keys, key, algorithm, signature, times outcome
}

func (r *report) all() []*outcome {
	return []*outcome{&r.format, &r.keys, &r.key, &r.algorithm, &r.signature, &r.times}
}

func (r *report) checks() []proof.Check {
	out := make([]proof.Check, 0, 8) // the conditions are appended later
	for _, o := range r.all() {
		out = append(out, o.check())
	}
	return out
}

func (o *outcome) check() proof.Check {
	switch {
	case len(o.failed) > 0:
		var all []string
		for _, f := range o.failed {
			all = append(all, f.Message)
		}
		return proof.Check{Check: o.name, Result: proof.Fail, Code: o.code, Message: sentence(strings.Join(all, "; "))}
	case o.passed == "":
		return proof.Check{Check: o.name, Result: proof.Skipped, Message: sentence(o.skipped)}
	}
	return proof.Check{Check: o.name, Result: proof.Pass, Message: sentence(o.passed)}
}

// sentence is for people: a capital and a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func (o *outcome) fail(code string, why ...*Refusal) {
	o.code, o.failed = code, why
}

// examine is [Verify] with the reasons still apart.
func examine(ctx context.Context, compact string, rules Rules, src KeyFinder, now time.Time) (proof.Proof, *report) {
	r := &report{
		format:    outcome{name: proof.Format},
		keys:      outcome{name: proof.Keys, skipped: "the keys were not fetched"},
		key:       outcome{name: proof.Key, skipped: "no key was looked for"},
		algorithm: outcome{name: proof.Algorithm, skipped: "the algorithm is not known"},
		signature: outcome{name: proof.Signature, skipped: "the signature was not checked"},
		times:     outcome{name: proof.Times, skipped: "the claims could not be read"},
	}
	c, flaws := parse(compact)
	r.format.passed = "it is a JWT in compact form" + ignored(c.Header.Ignored)
	if all := flaws.all(); len(all) > 0 {
		r.format.fail("proof.malformed", all...)
	}
	p := newProof(c)
	if c.Claims != nil {
		r.checkTimes(&p, rules.MaxAge, now)
	}
	if flaws.fatal == nil && r.allowed(c.Header.Algorithm, rules.Algorithms) {
		r.checkKey(ctx, c, src, &p)
	}
	return p, r
}

// newProof is the proof as far as it can be read.
func newProof(c Compact) proof.Proof {
	p := proof.Proof{
		Algorithm: c.Header.Algorithm, KeyID: c.Header.KeyID, Type: c.Header.Type, Claims: c.Claims,
		Issuer: stringMember(c.Claims, "iss"), Subject: stringMember(c.Claims, "sub"), ID: stringMember(c.Claims, "jti"),
	}
	if c.input != "" {
		p.Digest = c.Digest()
	}
	return p
}

func ignored(members []string) string {
	if len(members) == 0 {
		return ""
	}
	return "; its header's " + strings.Join(members, ", ") + " were ignored, as they always are"
}

func (r *report) checkTimes(p *proof.Proof, maxAge time.Duration, now time.Time) {
	t, wrong := readTimes(p.Claims)
	p.IssuedAt, p.NotBefore, p.ExpiresAt = t.issuedAt, t.notBefore, t.expiresAt
	wrong = append(wrong, t.check(now, maxAge)...)
	r.times.passed = fmt.Sprintf("it was issued %s and expires %s (clocks may be %s apart)", ago(now, t.issuedAt), ago(now, t.expiresAt), Skew)
	if len(wrong) > 0 {
		r.times.fail(timesCode(wrong[0].Reason), wrong...)
	}
}

// timesCode is the error_code of what is wrong with a proof's times.
func timesCode(reason string) string {
	switch reason {
	case "expired":
		return "proof.expired"
	case "iat_future", "nbf_future":
		return "proof.not_yet_valid"
	case "too_old", "lifetime_too_long":
		return "proof.too_old"
	}
	return "proof.malformed"
}

// allowed settles the algorithm as far as the rules do. It comes before any
// key is looked for, so that nobody makes us fetch with a token we never take.
func (r *report) allowed(alg string, list []string) bool {
	if _, known := algorithms[alg]; known && slices.Contains(list, alg) {
		return true
	}
	r.algorithm.fail("proof.algorithm", refuse("alg_not_allowed", "the connection does not allow its algorithm, but "+strings.Join(list, ", ")))
	return false
}

// checkKey settles keys, key, algorithm and signature.
func (r *report) checkKey(ctx context.Context, c Compact, src KeyFinder, p *proof.Proof) {
	alg := c.Header.Algorithm
	found, err := src.Find(ctx, c.Header.KeyID)
	if err != nil {
		reason := reasonOf(err)
		if reason == "" {
			reason = "keys_unavailable"
		}
		r.keys.fail("keys.unavailable", refuse(reason, "the provider's keys cannot be had: "+err.Error()))
		r.algorithm.skipped = "the connection allows " + alg + ", and whether the key does is not known"
		return
	}
	p.KeysAt, p.KeysStale = found.At, found.Stale
	r.keys.passed = keysMessage(found)
	if !found.Known {
		r.unknownKey(found, alg)
		return
	}
	r.key.passed = "the key set has its key"
	if !found.Key.fits(alg) {
		r.algorithm.fail("proof.algorithm", misfit(found.Key, alg))
		return
	}
	r.algorithm.passed = "the connection allows " + alg + ", and the key is for it"
	if err := algorithms[alg].verify(c.input, c.signature, found.Key.Public); err != nil {
		r.signature.fail("proof.signature", refuse("bad_signature", err.Error()))
		return
	}
	r.signature.passed = "the signature fits the key"
}

func (r *report) unknownKey(f Found, alg string) {
	why := refuse("kid_unknown", "the key set has no key of its kid")
	if f.Unfit != "" {
		why = refuse("key_not_for_verify", "the key of its kid does not verify proofs: "+f.Unfit)
	}
	r.key.fail("proof.unknown_key", why)
	r.algorithm.skipped = "the connection allows " + alg + ", and its key is not known"
}

func misfit(k Key, alg string) *Refusal {
	if k.Algorithm != "" && k.Algorithm != alg {
		return refuse("key_alg_mismatch", "its header says "+alg+", and its key is published for another algorithm")
	}
	return refuse("key_type_mismatch", "its header says "+alg+", and its key is of another type")
}

func keysMessage(f Found) string {
	switch {
	case f.At.IsZero():
		return "the keys are the uploaded ones"
	case f.Stale:
		return "the provider does not answer; its keys of " + f.At.UTC().Format(time.RFC3339) + " are used"
	}
	return "the provider's keys of " + f.At.UTC().Format(time.RFC3339) + " are used"
}
