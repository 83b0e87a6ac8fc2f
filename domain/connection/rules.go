package connection

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
)

const (
	maxConditions     = 20
	maxDescription    = 1000 // characters
	maxURL            = 2048 // bytes
	maxIdentityPath   = 200  // bytes
	maxAudiences      = 10
	maxAudience       = 256 // bytes
	maxAudienceClaims = 50
	maxLifetime       = 24 * time.Hour
	maxUploadedKeys   = 100
	// maxSpecBytes leaves room for the rest of an event of 48 KiB.
	maxSpecBytes = 40 << 10
)

// Algorithms lists what a proof may be signed with: public keys only, so never
// an HMAC, never none, and no RSA below SHA-256.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"}
}

// registered claims belong to the token they are in (RFC 7519 section 4.1).
func registered() []claim.Path {
	return []claim.Path{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}
}

// fieldErrors collects every field that breaks a rule.
type fieldErrors []domain.FieldError

func (f *fieldErrors) refuse(pointer, code, format string, args ...any) {
	*f = append(*f, domain.FieldError{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// check names every field that breaks a rule. whole tells that the preset, if
// any, could fill in its part, so that what is missing is the writer's to give.
//
// The entries of a list that is too long are not looked at: each is compared
// with each, and of what fits into one request that would take minutes.
func (s Spec) check(issuer string, whole bool) []domain.FieldError {
	var errs fieldErrors
	s.checkDescription(&errs)
	s.checkKeySource(&errs, whole)
	s.checkUploadedKeys(&errs)
	s.checkCA(&errs)
	s.checkConditions(&errs, whole)
	s.checkIdentity(&errs)
	s.checkAudiences(&errs, issuer)
	s.checkAudienceClaims(&errs)
	s.checkLifetimes(&errs)
	s.checkAlgorithms(&errs)
	if b, err := json.Marshal(s); err != nil || len(b) > maxSpecBytes {
		errs.refuse("", "too_long", "a connection is at most 40 KiB as JSON")
	}
	return errs
}

func (s Spec) checkDescription(errs *fieldErrors) {
	hidden := func(r rune) bool { return r != '\n' && r != '\t' && claim.Hidden(r) }
	switch {
	case utf8.RuneCountInString(s.Description) > maxDescription:
		errs.refuse("/description", "too_long", "a description is at most 1000 characters")
	case strings.ContainsFunc(s.Description, hidden):
		errs.refuse("/description", "invalid", "a description holds no control characters and no invisible ones")
	}
}

func (s Spec) checkKeySource(errs *fieldErrors, whole bool) {
	switch n := s.keySources(); {
	case n == 0 && whole:
		errs.refuse("/jwks_url", "required", "a key source is needed: one of jwks_url, issuer_url and jwks")
	case n > 1:
		errs.refuse("/jwks_url", "not_allowed", "exactly one of jwks_url, issuer_url and jwks is given")
	}
	checkURL(errs, "/jwks_url", s.JWKSURL)
	checkURL(errs, "/issuer_url", s.IssuerURL)
}

// checkURL holds what is true of every address; whether it may be fetched from
// is decided by who fetches.
func checkURL(errs *fieldErrors, pointer, url string) {
	_, _, schemed := strings.Cut(url, "://")
	switch {
	case url == "":
	case len(url) > maxURL:
		errs.refuse(pointer, "too_long", "an address is at most 2048 bytes")
	case !plain(url):
		errs.refuse(pointer, "invalid", "an address holds no white space, no control characters and no invisible ones")
	case !schemed || !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://"):
		errs.refuse(pointer, "invalid", "an address begins with https://")
	}
}

// plain text is UTF-8 without white space and without anything that cannot be seen.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || claim.Hidden(r) })
}

// checkUploadedKeys refuses above all what must never be written to a log:
// private and symmetric keys. What else a key must be is judged where keys are read.
func (s Spec) checkUploadedKeys(errs *fieldErrors) {
	if s.JWKS == nil {
		return
	}
	var set map[string]json.RawMessage
	var keys []map[string]json.RawMessage
	if json.Unmarshal(s.JWKS, &set) != nil || json.Unmarshal(set["keys"], &keys) != nil || len(keys) == 0 || len(keys) > maxUploadedKeys {
		errs.refuse("/jwks", "invalid", `a key set is {"keys": [...]} with 1 to 100 keys`)
		return
	}
	for i, key := range keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, has := key[private]; has {
				errs.refuse("/jwks/keys/"+strconv.Itoa(i), "private_key", "member %s is the private part of a key: give the public part alone, and consider this key known", private)
				break
			}
		}
	}
}

func (s Spec) checkCA(errs *fieldErrors) {
	if s.CACertificate == "" {
		return
	}
	if s.JWKS != nil {
		errs.refuse("/ca_certificate", "not_allowed", "uploaded keys are not fetched, so there is no server to know by a certificate")
	}
	n := 0
	for rest := []byte(s.CACertificate); ; n++ {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
			errs.refuse("/ca_certificate", "invalid", "block %d is not a certificate", n+1)
			return
		}
		rest = after
	}
	if n == 0 {
		errs.refuse("/ca_certificate", "invalid", "certificates are PEM blocks that begin with -----BEGIN CERTIFICATE-----")
	}
}

func (s Spec) checkConditions(errs *fieldErrors, whole bool) {
	switch {
	case len(s.Conditions) == 0 && whole:
		errs.refuse("/conditions", "required", "at least one condition is needed, such as sub equals a value")
	case len(s.Conditions) > maxConditions:
		errs.refuse("/conditions", "too_long", "at most 20 conditions are allowed")
		return
	}
	for i, c := range s.Conditions {
		at := "/conditions/" + strconv.Itoa(i)
		*errs = append(*errs, c.Validate(at)...)
		if slices.ContainsFunc(s.Conditions[:i], c.Equal) {
			errs.refuse(at, "duplicate", "the same condition is there already")
		}
	}
}

var identityPath = regexp.MustCompile(`\A[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*\z`)

func (s Spec) checkIdentity(errs *fieldErrors) {
	if _, err := claim.ParsePath(string(s.IdentityClaim)); err != nil {
		errs.refuse("/identity_claim", "invalid", "%s", err)
	}
	for _, name := range registered() {
		if name != "sub" && s.IdentityClaim.Is(name) {
			errs.refuse("/identity_claim", "not_allowed", "%s says nothing of who the workload is", name)
		}
	}
	if s.IdentityPath == "" {
		return
	}
	steps := strings.Split(s.IdentityPath, "/")
	if len(s.IdentityPath) > maxIdentityPath || !identityPath.MatchString(s.IdentityPath) || slices.Contains(steps, ".") || slices.Contains(steps, "..") {
		errs.refuse("/identity_path", "invalid", "a path is names of letters, digits, . - and _ joined by single slashes, at most 200 bytes, no name being . or ..")
	}
}

func (s Spec) checkAudiences(errs *fieldErrors, issuer string) {
	if len(s.Audiences) > maxAudiences {
		errs.refuse("/audiences", "too_long", "at most 10 audiences are allowed")
		return
	}
	for i, a := range s.Audiences {
		at := "/audiences/" + strconv.Itoa(i)
		switch {
		case a == "" || len(a) > maxAudience || !plain(a):
			errs.refuse(at, "invalid", "an audience is 1 to 256 bytes without white space and invisible characters")
		case issuer != "" && (a == issuer || strings.HasPrefix(a, issuer+"/")):
			errs.refuse(at, "not_allowed", "this organisation is the audience of its tokens anyway")
		case slices.Contains(s.Audiences[:i], a):
			errs.refuse(at, "duplicate", "the audience is there already")
		}
	}
}

func (s Spec) checkAudienceClaims(errs *fieldErrors) {
	if len(s.AudienceClaims) > maxAudienceClaims {
		errs.refuse("/audience_claims", "too_long", "at most 50 claims are allowed")
		return
	}
	for i, path := range s.AudienceClaims {
		at := "/audience_claims/" + strconv.Itoa(i)
		if _, err := claim.ParsePath(path); err != nil {
			errs.refuse(at, "invalid", "%s", err)
		} else if slices.Contains(s.AudienceClaims[:i], path) {
			errs.refuse(at, "duplicate", "the claim is there already")
		} else if slices.ContainsFunc(registered(), claim.Path(path).Is) {
			errs.refuse(at, "not_allowed", "%s is the proof's own; our token has its own", path)
		}
	}
}

func (s Spec) checkLifetimes(errs *fieldErrors) {
	checkDuration(errs, "/token_ttl", s.TokenTTL)
	if s.ProofMaxAge != nil {
		checkDuration(errs, "/proof_max_age", *s.ProofMaxAge)
	}
}

func checkDuration(errs *fieldErrors, pointer string, d Duration) {
	second := Duration{1, d.Unit}.Value()
	switch {
	case second == 0:
		errs.refuse(pointer+"/unit", "unknown", "units are seconds, minutes and hours")
	case d.Amount < 1 || d.Amount > int(maxLifetime/second): // compared without multiplying, which could overflow
		errs.refuse(pointer+"/amount", "invalid", "it is 1 second to 24 hours")
	}
}

func (s Spec) checkAlgorithms(errs *fieldErrors) {
	if len(s.Algorithms) == 0 || len(s.Algorithms) > len(Algorithms()) {
		errs.refuse("/algorithms", "invalid", "1 to 8 algorithms are needed")
		return
	}
	for i, a := range s.Algorithms {
		at := "/algorithms/" + strconv.Itoa(i)
		if !slices.Contains(Algorithms(), a) {
			errs.refuse(at, "unknown", "algorithms are %s", strings.Join(Algorithms(), ", "))
		} else if slices.Contains(s.Algorithms[:i], a) {
			errs.refuse(at, "duplicate", "the algorithm is there already")
		}
	}
}
