package provider

import (
	"regexp"
	"strings"

	"sallyport.dev/domain/claim"
)

// form is what a setting looks like. Every form excludes control characters and
// whatever some other system would read as a pattern, a template or a quote: a
// value typed into a field must not widen the condition it becomes.
type form struct {
	says string
	re   *regexp.Regexp
}

func (f form) is(s string) bool {
	return len(s) <= 256 && f.re.MatchString(s) && !strings.ContainsAny(s, "*?{}\"'`\\<>$|^") && strings.IndexFunc(s, claim.Hidden) < 0
}

var (
	formID = form{"an id of letters, digits, - and _", regexp.MustCompile(`\A[A-Za-z0-9_-]+\z`)}

	formNumber = form{"a number", regexp.MustCompile(`\A[1-9][0-9]{0,39}\z`)}

	formSlug = form{"a name of letters, digits, . - and _, without a slash", regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9_.-]*\z`)}

	formPath = form{"names joined by single slashes, without one at either end", regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\z`)}

	formHost = form{"a host name in lower case such as gitlab.example.com, with a port if need be, without scheme and path",
		regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[1-9][0-9]{0,4})?\z`)}

	formEmail = form{"one e-mail address", regexp.MustCompile(`\A[^@\s]+@[^@\s]+\z`)}

	// formText is an audience, an issuer or an environment: any one word.
	formText = form{"one word without white space, quotes and * ? { }", regexp.MustCompile(`\A[^\s\pZ]+\z`)}
)
