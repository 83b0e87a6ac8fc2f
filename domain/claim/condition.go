package claim

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sallyport.dev/domain"
)

// Operator is how a condition compares.
type Operator string

const (
	// Equals is exact text. Booleans and plain integers compare by their JSON
	// text; lists and objects never equal, but for aud, of which one element does.
	Equals Operator = "equals"
	// StartsWith is a prefix of a string, byte for byte. It knows no segments:
	// repo:acme/app also admits repo:acme/app-evil.
	StartsWith Operator = "starts_with"
	// Exists is any value but null, "", [] and {}; false and 0 are values.
	Exists Operator = "exists"
	// OneOf is Equals with any of several values.
	OneOf Operator = "one_of"
	// Includes is a list of which one element Equals the value.
	Includes Operator = "includes"
)

const (
	// MaxValueBytes bounds one value of a condition.
	MaxValueBytes = 1024
	// MaxValues bounds the values of one_of.
	MaxValues = 50
	// MaxAudiences bounds the aud list that equals looks into. A token for more
	// audiences than that is meant for nobody in particular.
	MaxAudiences = 16
)

// Condition is what one claim must be. The zero value matches nothing. One that
// did not pass [Condition.Validate] matches nothing it should not, but may match
// nothing at all.
type Condition struct {
	Claim    Path     `json:"claim"`
	Operator Operator `json:"operator"`
	Value    string   `json:"value,omitempty"`  // 1..1024 bytes; for equals, starts_with and includes
	Values   []string `json:"values,omitempty"` // 1..50, distinct; for one_of
}

// String is the condition as people say it.
func (c Condition) String() string {
	s := string(c.Claim) + " " + string(c.Operator)
	switch c.Operator {
	case Exists:
		return s
	case OneOf:
		return s + " " + List(c.Values)
	}
	return s + " " + c.Value
}

// List is values as people say them. One that could be read as several, or as
// another, is quoted: a reviewer has to see that "a, b" is one.
func List(values []string) string {
	all := slices.Clone(values)
	for i, v := range all {
		if strings.ContainsAny(v, `,"`) || strings.TrimSpace(v) != v {
			all[i] = strconv.Quote(v)
		}
	}
	return strings.Join(all, ", ")
}

// Equal tells whether two conditions say the same, in the same order of values.
func (c Condition) Equal(d Condition) bool {
	return c.Claim == d.Claim && c.Operator == d.Operator && c.Value == d.Value && slices.Equal(c.Values, d.Values)
}

// Match tells whether the claims meet the condition. What is absent or null
// fails, and so does every operator that is not one of the five.
func (c Condition) Match(s Set) bool {
	v, _ := c.Claim.Lookup(s)
	switch c.Operator {
	case Equals:
		return c.equals(v, c.Value)
	case StartsWith:
		text, ok := v.(string)
		return ok && c.Value != "" && strings.HasPrefix(text, c.Value)
	case Exists:
		return present(v)
	case OneOf:
		return slices.ContainsFunc(c.Values, func(want string) bool { return c.equals(v, want) })
	case Includes:
		list, ok := v.([]any)
		return ok && slices.ContainsFunc(list, func(e any) bool { return scalarEquals(e, c.Value) })
	}
	return false
}

// equals compares a claim with a value. aud is the one claim that is a list or
// not as its issuer likes (RFC 7519 section 4.1.3), so it alone is looked into;
// a list with anything but strings in it is no audience.
func (c Condition) equals(v any, want string) bool {
	list, ok := v.([]any)
	if !ok {
		return scalarEquals(v, want)
	}
	if !c.Claim.Is("aud") || len(list) > MaxAudiences || !allStrings(list) {
		return false
	}
	return want != "" && slices.Contains(list, any(want))
}

func allStrings(list []any) bool {
	return !slices.ContainsFunc(list, func(e any) bool { _, ok := e.(string); return !ok })
}

// plainInteger is a JSON number that every decoder reads alike. 1.0, 1e2 and
// 1.9 are left out on purpose: a float would make them 1, 100 and, truncated, 1.
var plainInteger = regexp.MustCompile(`\A-?[0-9]+\z`)

func scalarEquals(v any, want string) bool {
	if want == "" {
		return false
	}
	switch v := v.(type) {
	case string:
		return v == want
	case bool:
		return strconv.FormatBool(v) == want
	case json.Number:
		return v.String() == want && plainInteger.MatchString(want)
	}
	return false
}

func present(v any) bool {
	switch v := v.(type) {
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	case bool, json.Number:
		return true
	}
	return false
}

// Validate names every field that breaks a rule; pointer is where the condition
// stands in its document, such as /conditions/0.
func (c Condition) Validate(pointer string) []domain.FieldError {
	var errs []domain.FieldError
	refuse := func(field, code, format string, args ...any) {
		errs = append(errs, domain.FieldError{Pointer: pointer + field, Code: code, Detail: fmt.Sprintf(format, args...)})
	}
	if _, err := ParsePath(string(c.Claim)); err != nil {
		refuse("/claim", "invalid", "%s", err)
	}
	if c.Operator == StartsWith && c.Claim.Is("iss") {
		refuse("/operator", "not_allowed", "an issuer is compared whole: use equals or one_of")
	}
	switch c.Operator {
	case Equals, StartsWith, Includes:
		if why := valueRule(c.Value); why != "" {
			refuse("/value", "invalid", "%s", why)
		}
		if c.Values != nil {
			refuse("/values", "not_allowed", "%s takes one value; values belong to one_of", c.Operator)
		}
	case Exists:
		if c.Value != "" || c.Values != nil {
			refuse("/value", "not_allowed", "exists takes no value")
		}
	case OneOf:
		if c.Value != "" {
			refuse("/value", "not_allowed", "one_of takes values, a list")
		}
		errs = append(errs, validateValues(c.Values, pointer+"/values")...)
	default:
		refuse("/operator", "unknown", "operators are equals, starts_with, exists, one_of and includes")
	}
	return errs
}

func validateValues(values []string, pointer string) []domain.FieldError {
	if len(values) == 0 || len(values) > MaxValues {
		return []domain.FieldError{{Pointer: pointer, Code: "invalid", Detail: "one_of takes 1 to 50 values"}}
	}
	var errs []domain.FieldError
	for i, v := range values {
		at := pointer + "/" + strconv.Itoa(i)
		if why := valueRule(v); why != "" {
			errs = append(errs, domain.FieldError{Pointer: at, Code: "invalid", Detail: why})
		} else if slices.Contains(values[:i], v) {
			errs = append(errs, domain.FieldError{Pointer: at, Code: "duplicate", Detail: "the value is there already"})
		}
	}
	return errs
}

// valueRule is the rule a value breaks, or "".
func valueRule(v string) string {
	switch {
	case v == "":
		return "a value is needed; to ask only that the claim is there use exists"
	case len(v) > MaxValueBytes:
		return "a value is at most 1024 bytes"
	case !clean(v):
		return "a value holds no control characters, no invisible ones, and is UTF-8"
	}
	return ""
}
