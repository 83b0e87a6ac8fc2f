package provider

import (
	"regexp"
	"slices"
	"strings"

	"sallyport.dev/domain/claim"
)

// Shared is an issuer that signs for everybody with an account there. To trust
// its keys, issuer and audience is to trust all of them: anybody can ask it for
// a token with our audience.
type Shared struct {
	Name   string // as people call it
	tenant []tenantClaim
}

// tenantClaim is a claim that tells one tenant of a shared issuer from another.
type tenantClaim struct {
	claim claim.Path
	// form is what a value must look like to name one tenant and no other. Its
	// end is marked by a NUL where the value is compared whole, and open where
	// it is a prefix: [^/]+/ is met by the prefix acme/ and not by acme.
	form *regexp.Regexp
	// immutable tells that the value is never given to anybody else.
	immutable bool
}

// Pins tells whether a condition holds for one tenant only, and whether it does
// so by something that cannot become another's (an id rather than a name).
func (s Shared) Pins(c claim.Condition) (tenant, immutable bool) {
	for _, t := range s.tenant {
		if c.Claim.Is(t.claim) && t.pinnedBy(c) {
			tenant, immutable = true, immutable || t.immutable
		}
	}
	return tenant, immutable
}

func (t tenantClaim) pinnedBy(c claim.Condition) bool {
	switch c.Operator {
	case claim.Equals:
		return t.form.MatchString(c.Value + "\x00")
	case claim.OneOf:
		loose := func(v string) bool { return !t.form.MatchString(v + "\x00") }
		return len(c.Values) > 0 && !slices.ContainsFunc(c.Values, loose)
	case claim.StartsWith:
		return t.form.MatchString(c.Value)
	}
	return false
}

// Forms of values that name a tenant.
var (
	whole      = regexp.MustCompile(`\A[^\x00]+\x00\z`) // compared whole, whatever it is
	underOwner = regexp.MustCompile(`\A[^/\x00]+/`)     // acme/ and what is below it
	group      = regexp.MustCompile(`\A[^/\x00]+[/\x00]`)
)

// SharedIssuer tells whether a URL (of an issuer, or of a key set) belongs to an
// issuer that everybody shares. Text that is no URL belongs to none. The host
// alone decides: one path can be written in many ways. Google's other hosts are
// not meant, since at container and storage are issuers of one's own.
func SharedIssuer(url string) (Shared, bool) {
	switch host(url) {
	case "token.actions.githubusercontent.com":
		return sharedGitHub(), true
	case "gitlab.com":
		return sharedGitLab(), true
	case "accounts.google.com", "www.googleapis.com", "oauth2.googleapis.com", "googleapis.com":
		return sharedGoogle(), true
	case "oidc.circleci.com":
		return sharedCircleCI(), true
	}
	return Shared{}, false
}

// SharedIssuer is the shared issuer that connections of this kind trust,
// wherever their keys are and even if they say nothing of iss. issuers is every
// iss that a proof may carry, as far as is known. GitLab alone runs elsewhere
// too: it is gitlab.com if its domain is, and unless every iss is another's.
func (k Kind) SharedIssuer(s Settings, issuers []string) (Shared, bool) {
	switch k {
	case GitHub:
		return sharedGitHub(), true
	case GoogleCloud:
		return sharedGoogle(), true
	case CircleCI:
		return sharedCircleCI(), true
	case GitLab:
		theirs := func(url string) bool { return host(url) == "gitlab.com" }
		if len(issuers) == 0 || slices.ContainsFunc(issuers, theirs) || theirs(s["domain"]) {
			return sharedGitLab(), true
		}
	}
	return Shared{}, false
}

// sharedGitHub leaves out what names a tenant only by looks: job_workflow_ref is
// the called workflow, which anybody may call; actor is whoever pushed the
// button. Templates of sub begin with the name of a claim and a colon.
func sharedGitHub() Shared {
	return Shared{"GitHub", []tenantClaim{
		{"repository_owner", whole, false},
		{"repository_owner_id", whole, true},
		{"repository", underOwner, false},
		{"repository_id", whole, true},
		{"enterprise", whole, false},
		{"enterprise_id", whole, true},
		{"workflow_ref", underOwner, false},
		{"iss", regexp.MustCompile(`\Ahttps://token\.actions\.githubusercontent\.com/[^/\x00]+\x00`), false},
		{"sub", regexp.MustCompile(`\Arepo(sitory)?:[^/:\x00]+/`), false},
		{"sub", regexp.MustCompile(`\Arepo(sitory)?:[^/:@\x00]+@[0-9]+/`), true},
		{"sub", regexp.MustCompile(`\Arepository_owner:[^:\x00]+[:\x00]`), false},
		{"sub", regexp.MustCompile(`\Arepository_(owner_)?id:[0-9]+[:\x00]`), true},
	}}
}

// sharedGitLab leaves out ci_config_ref_uri (the pipeline's definition may be in
// another project) and the user claims (a person is not a tenant).
func sharedGitLab() Shared {
	return Shared{"gitlab.com", []tenantClaim{
		{"namespace_path", group, false},
		{"namespace_id", whole, true},
		{"project_path", underOwner, false},
		{"project_id", whole, true},
		{"sub", regexp.MustCompile(`\Aproject_path:[^/:\x00]+/`), false},
	}}
}

func sharedGoogle() Shared {
	return Shared{"Google", []tenantClaim{
		{"sub", whole, true},
		{"azp", whole, true},
		{"email", whole, false},
		{"hd", whole, false},
		{"google/compute_engine/project_id", whole, true},
		{"google/compute_engine/project_number", whole, true},
	}}
}

// sharedCircleCI leaves out aud: a job may ask for any.
func sharedCircleCI() Shared {
	return Shared{"CircleCI", []tenantClaim{
		{"iss", regexp.MustCompile(`\Ahttps://oidc\.circleci\.com/org/[^/\x00]+\x00`), true},
		{"oidc.circleci.com/org-id", whole, true},
		{"oidc.circleci.com/project-id", whole, true},
		{"sub", regexp.MustCompile(`\Aorg/[^/\x00]+/`), true},
	}}
}

// host takes a URL apart as loosely as the loosest reader would: scheme or none,
// any case, user, port, a dot at the end of the host.
func host(url string) string {
	if _, after, found := strings.Cut(url, "://"); found {
		url = after
	}
	if end := strings.IndexAny(url, `/?#\`); end >= 0 {
		url = url[:end]
	}
	if at := strings.LastIndexByte(url, '@'); at >= 0 {
		url = url[at+1:]
	}
	url, _, _ = strings.Cut(url, ":")
	return strings.TrimSuffix(strings.ToLower(url), ".")
}
