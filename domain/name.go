package domain

import "regexp"

// Name is the name of an organisation, a connection or a person: 1 to 63
// characters of a-z, 0-9 and inner hyphens. The zero value names nothing. A
// Name that did not come from [ParseName] or from the log is a bug: past the
// edge nobody checks it again.
type Name string

var nameForm = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z`)

// ParseName turns text from outside into a Name, or tells the rule it breaks.
func ParseName(s string) (Name, error) {
	if !nameForm.MatchString(s) {
		return "", Invalid("name.invalid", "a name is 1 to 63 characters of a-z, 0-9 and inner hyphens, such as gitlab-ci")
	}
	return Name(s), nil
}

func (n Name) String() string { return string(n) }
