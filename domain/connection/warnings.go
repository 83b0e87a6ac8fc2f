package connection

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/provider"
)

// Codes of warnings. The first four block an activation until a security admin
// acknowledges them for that version.
const (
	AudienceNotPinned = "audience.not_pinned"
	TenantNotPinned   = "tenant.not_pinned"
	PrefixOpen        = "prefix.open"
	ExistsAlone       = "exists.alone"
	TTLLong           = "ttl.long"
	KeysHTTP          = "keys.http"
	SubjectNameOnly   = "subject.name_only"
)

func warningCodes() []string {
	return []string{AudienceNotPinned, TenantNotPinned, PrefixOpen, ExistsAlone, TTLLong, KeysHTTP, SubjectNameOnly}
}

// Warning is a weakness that no rule forbids. One that blocks keeps the version
// from being activated until it is acknowledged by its code.
type Warning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Blocks  bool   `json:"blocks"`
}

// Warnings lists what is weak in a specification that [Complete] returned,
// each code at most once, those that block first; never nil. issuer is the
// organisation's.
func Warnings(s Spec, issuer string) []Warning {
	out := []Warning{}
	warn := func(code string, blocks bool, message string) {
		if message != "" {
			out = append(out, Warning{Code: code, Message: message, Blocks: blocks})
		}
	}
	warn(AudienceNotPinned, true, s.audienceNotPinned(issuer))
	warn(TenantNotPinned, true, s.tenantNotPinned())
	warn(PrefixOpen, true, s.prefixOpen())
	warn(ExistsAlone, true, s.existsAlone())
	warn(TTLLong, false, s.ttlLong())
	warn(KeysHTTP, false, s.keysHTTP())
	warn(SubjectNameOnly, false, s.subjectNameOnly())
	return out
}

// compared is what a condition compares its claim with as a whole; nil if it
// asks for a prefix or for mere presence.
func compared(c claim.Condition) []string {
	switch c.Operator {
	case claim.Equals, claim.Includes:
		return []string{c.Value}
	case claim.OneOf:
		return c.Values
	}
	return nil
}

func (s Spec) audienceNotPinned(issuer string) string {
	theirs := ""
	for _, c := range s.Conditions {
		values := compared(c)
		if !c.Claim.Is("aud") || values == nil {
			continue
		}
		i := slices.IndexFunc(values, s.apiServerAudience)
		if i < 0 {
			return ""
		}
		theirs = values[i]
	}
	if theirs != "" {
		return fmt.Sprintf("The audience %s is the Kubernetes API server's own: every pod's default token carries it, and who gets one of ours could use it there. Ask for %s in the pod's volume.", theirs, issuer)
	}
	return fmt.Sprintf("No condition pins aud: a token that was made for another service would be accepted here. Add aud equals %s.", issuer)
}

// apiServerAudience tells an audience that Kubernetes puts into tokens that
// nobody asked another one for: the API server's names, and by default its issuer.
func (s Spec) apiServerAudience(aud string) bool {
	host := strings.TrimPrefix(strings.TrimPrefix(aud, "https://"), "http://")
	if host == "kubernetes" || host == "kubernetes.default" || strings.HasPrefix(host, "kubernetes.default.") || aud == "k3s" {
		return true
	}
	return s.Provider == provider.Kubernetes && slices.Contains(s.issuers(), aud)
}

// issuers is every iss that a proof may carry, as far as conditions say.
func (s Spec) issuers() []string {
	var out []string
	if s.IssuerURL != "" {
		out = append(out, s.IssuerURL)
	}
	for _, c := range s.Conditions {
		if c.Claim.Is("iss") {
			out = append(out, compared(c)...)
		}
	}
	return out
}

// shared is the issuers everybody shares that this connection trusts, by what
// it says of iss or, since that may be nothing, by where its keys are, or, since
// they may be uploaded or a mirror's, by the provider it says it is of.
func (s Spec) shared() []provider.Shared {
	var out []provider.Shared
	add := func(found provider.Shared, ok bool) {
		if ok && !slices.ContainsFunc(out, func(o provider.Shared) bool { return o.Name == found.Name }) {
			out = append(out, found)
		}
	}
	for _, url := range append(s.issuers(), s.JWKSURL) {
		add(provider.SharedIssuer(url))
	}
	add(s.Provider.SharedIssuer(s.Settings, s.issuers()))
	return out
}

// pinned tells whether conditions hold for one tenant of the issuer only, and
// whether they name it by something that cannot become another's.
func (s Spec) pinned(by provider.Shared) (tenant, immutable bool) {
	for _, c := range s.Conditions {
		t, i := by.Pins(c)
		tenant, immutable = tenant || t, immutable || i
	}
	return tenant, immutable
}

func (s Spec) tenantNotPinned() string {
	for _, shared := range s.shared() {
		if tenant, _ := s.pinned(shared); !tenant {
			return fmt.Sprintf("Everybody's tokens come from %s: without a condition that only your tenant meets, anybody with an account there gets in. Compare the claim of your organisation, group, project or account.", shared.Name)
		}
	}
	return ""
}

// prefixOpen finds prefixes that end inside a segment.
func (s Spec) prefixOpen() string {
	for _, c := range s.Conditions {
		if c.Operator == claim.StartsWith && strings.TrimRight(c.Value, "/:@#|") == c.Value {
			return fmt.Sprintf("The prefix %s of %s ends inside a segment: it also admits %s-evil. End it with one of / : @ # | or compare the whole.", c.Value, c.Claim, c.Value)
		}
	}
	return ""
}

// existsAlone finds connections that narrow their issuer by presence alone:
// beside iss and aud, which are compared with values, there are conditions, and
// all of them only ask whether a claim is there. A connection without any
// further condition trusts its issuer as a whole and pretends nothing else, so
// it is not meant here; [TenantNotPinned] tells where that is too much.
func (s Spec) existsAlone() string {
	alone := false
	for _, c := range s.Conditions {
		switch {
		case c.Operator == claim.Exists:
			alone = true
		case !c.Claim.Is("iss") && !c.Claim.Is("aud"):
			return ""
		}
	}
	if !alone {
		return ""
	}
	return "Beside iss and aud the conditions only ask whether a claim is there, whatever it says. Compare at least one of them with a value."
}

func (s Spec) ttlLong() string {
	if s.TokenTTL.Value() <= time.Hour {
		return ""
	}
	return fmt.Sprintf("Tokens live %s: who gets hold of one can use it that long. An hour or less is usual.", s.TokenTTL)
}

func (s Spec) keysHTTP() string {
	if !strings.HasPrefix(s.JWKSURL, "http://") && !strings.HasPrefix(s.IssuerURL, "http://") {
		return ""
	}
	return "Keys are fetched without TLS: whoever stands between can put in their own. It is meant for a provider on this machine, in development."
}

// givenAgain says at which issuer which names become somebody else's, and what to
// compare besides. CircleCI is not among them: it tells by ids alone.
var givenAgain = map[string]string{
	"gitlab.com": "A path of a group or project belongs to somebody else once it was renamed or deleted, and their jobs are then let in. Compare project_id, which is never given again, too: the project's settings show it under General.",
	"GitHub":     "A name of an owner or repository belongs to somebody else once it was renamed or deleted, and their workflows are then let in. Compare repository_owner_id or repository_id, which are never given again, too.",
	"Google":     "An address or a domain belongs to somebody else once it was given up, and their workloads are then let in. Compare sub, the account's unique id, which is never given again, too.",
}

// subjectNameOnly finds tenants that are told by name alone where names can be
// given away: at the shared issuers, and in a GitLab of one's own.
func (s Spec) subjectNameOnly() string {
	issuers := s.shared()
	if gitLab, ok := provider.SharedIssuer("https://gitlab.com"); ok && s.Provider == provider.GitLab {
		issuers = append(issuers, gitLab)
	}
	for _, shared := range issuers {
		if tenant, immutable := s.pinned(shared); tenant && !immutable {
			return givenAgain[shared.Name]
		}
	}
	return ""
}
