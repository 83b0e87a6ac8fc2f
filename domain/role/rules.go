package role

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
)

const (
	maxName         = 29   // characters, so that wl_ and the name are 32, which is what useradd takes
	maxDescription  = 1000 // characters
	maxRequirements = 20
	maxConditions   = 20
	// maxSpecBytes leaves room for the rest of an event of 48 KiB.
	maxSpecBytes = 40 << 10
	// reserved is the one name that no role has: /v1/roles/match is a question.
	reserved domain.Name = "match"
)

// ParseName turns text from outside into the name of a role: a name of up to 29
// characters, since the Linux user of a role is wl_ and its name.
func ParseName(s string) (domain.Name, error) {
	n, err := domain.ParseName(s)
	switch {
	case err != nil:
		return "", err
	case len(s) > maxName:
		return "", domain.Invalid("name.invalid", "a workload role's name is at most 29 characters, since it is the Linux user wl_NAME on servers, and that at most 32")
	case n == reserved:
		return "", domain.Invalid("name.invalid", "no workload role is called match: the API answers there which roles match")
	}
	return n, nil
}

// Check names every field that breaks a rule. known tells which connections
// there are; nil believes that each is there.
//
// The entries of a list that is too long are not looked at: each is compared
// with each, and of what fits into one request that would take minutes.
func (s Spec) Check(known func(domain.Name) bool) []domain.FieldError {
	var errs fieldErrors
	hidden := func(r rune) bool { return r != '\n' && r != '\t' && claim.Hidden(r) }
	switch {
	case utf8.RuneCountInString(s.Description) > maxDescription:
		errs.refuse("/description", "too_long", "a description is at most 1000 characters")
	case strings.ContainsFunc(s.Description, hidden):
		errs.refuse("/description", "invalid", "a description holds no control characters and no invisible ones")
	}
	switch {
	case len(s.Requirements) == 0:
		errs.refuse("/requirements", "required", "at least one requirement is needed: a connection, and conditions on what its tokens carry")
	case len(s.Requirements) > maxRequirements:
		errs.refuse("/requirements", "too_long", "at most 20 requirements are allowed")
		return errs
	}
	for i, r := range s.Requirements {
		at := "/requirements/" + strconv.Itoa(i)
		r.check(&errs, at, known)
		if slices.ContainsFunc(s.Requirements[:i], r.equal) {
			errs.refuse(at, "duplicate", "the same requirement is there already")
		}
	}
	if b, err := json.Marshal(s); err != nil || len(b) > maxSpecBytes {
		errs.refuse("", "too_long", "a workload role is at most 40 KiB as JSON")
	}
	return errs
}

func (r Requirement) check(errs *fieldErrors, at string, known func(domain.Name) bool) {
	if _, err := domain.ParseName(r.Connection.String()); err != nil {
		errs.refuse(at+"/connection", "name.invalid", "it names no connection: %s", err)
	} else if known != nil && !known(r.Connection) {
		errs.refuse(at+"/connection", "connection.not_found", "there is no connection of this name: draft it first")
	}
	if len(r.Conditions) > maxConditions {
		errs.refuse(at+"/conditions", "too_long", "at most 20 conditions are allowed")
		return
	}
	for i, c := range r.Conditions {
		pointer := at + "/conditions/" + strconv.Itoa(i)
		*errs = append(*errs, c.Validate(pointer)...)
		if slices.ContainsFunc(r.Conditions[:i], c.Equal) {
			errs.refuse(pointer, "duplicate", "the same condition is there already")
		}
		if slices.ContainsFunc(spoken(), c.Claim.Is) {
			errs.refuse(pointer+"/claim", "not_allowed", "our tokens carry their own %s, not the platform's: ask for it in the connection's conditions", c.Claim)
		}
	}
}

// spoken are the registered claims that no role asks for, since a token of ours
// does not carry the platform's. sub is another matter: it is known where the
// connection names workloads by it.
func spoken() []claim.Path { return []claim.Path{"iss", "aud", "exp", "nbf", "iat", "jti"} }

// equal tells whether two requirements say the same, in the same order.
func (r Requirement) equal(o Requirement) bool {
	return r.Connection == o.Connection && slices.EqualFunc(r.Conditions, o.Conditions, claim.Condition.Equal)
}

// equal tells whether two specifications say the same, in the same order.
func (s Spec) equal(o Spec) bool {
	return s.Description == o.Description && slices.EqualFunc(s.Requirements, o.Requirements, Requirement.equal)
}

// names tells whether a requirement is on that connection.
func (s Spec) names(n domain.Name) bool {
	return slices.ContainsFunc(s.Requirements, func(r Requirement) bool { return r.Connection == n })
}

// fieldErrors collects every field that breaks a rule.
type fieldErrors []domain.FieldError

func (f *fieldErrors) refuse(pointer, code, format string, args ...any) {
	*f = append(*f, domain.FieldError{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
}
