package claim

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Explanation says to people why a condition held or did not. Its texts may
// hold claim values: they are for who may read the audit trail.
type Explanation struct {
	Match    bool
	Expected string // up to 256 bytes
	Actual   string // up to 256 bytes, [Text] of the claim; "" if it is absent
	Message  string // one sentence, with the near miss if there is one
}

// Explain is [Condition.Match] with its reasons. Where the claim came close it
// says how: another case, a trailing slash, a list, a name that is spelt differently.
func (c Condition) Explain(s Set) Explanation {
	v, found := c.Claim.Lookup(s)
	e := Explanation{Match: c.Match(s), Expected: c.expected()}
	if found {
		e.Actual = Text(v)
	}
	switch {
	case e.Match:
		e.Message = "It holds."
	case !found:
		e.Message = "The claim is absent." + didYouMean(c.Claim, s)
	case v == nil:
		e.Message = "The claim is null, which counts as absent."
	default:
		e.Message = c.mismatch(v)
	}
	return e
}

func (c Condition) expected() string {
	switch c.Operator {
	case Exists:
		return "any value"
	case OneOf:
		return show(strings.Join(c.Values, ", "))
	}
	return show(c.Value)
}

// mismatch tells why a claim that is there does not do.
func (c Condition) mismatch(v any) string {
	switch c.Operator {
	case Exists:
		return "The claim is empty, which counts as absent."
	case StartsWith:
		text, ok := v.(string)
		if !ok {
			return fmt.Sprintf("The claim is %s; starts_with reads strings only.", kind(v))
		}
		return "The claim does not begin so." + nearPrefix(text, c.Value)
	case Equals:
		return c.unequal(v, []string{c.Value})
	case OneOf:
		return c.unequal(v, c.Values)
	case Includes:
		list, ok := v.([]any)
		if !ok {
			return fmt.Sprintf("The claim is %s; includes looks into lists. Use equals.", kind(v))
		}
		return "The list does not hold the value." + nearAny(list, []string{c.Value})
	}
	return "The operator is unknown, so nothing meets it."
}

func (c Condition) unequal(v any, want []string) string {
	list, isList := v.([]any)
	switch {
	case isList && c.Claim.Is("aud"):
		return unequalAudiences(list, want)
	case isList:
		for _, w := range want {
			if (Condition{Claim: c.Claim, Operator: Includes, Value: w}).Match(Set{string(c.Claim): v}) {
				return fmt.Sprintf("The claim is a list, which never equals. It holds %s: use includes.", show(w))
			}
		}
		return "The claim is a list, which never equals. It does not hold the value either." + nearAny(list, want)
	}
	switch v := v.(type) {
	case map[string]any:
		return "The claim is an object, which never equals. Name one of its members with a slash, such as " + show(string(c.Claim)) + "/name."
	case json.Number:
		if !plainInteger.MatchString(v.String()) {
			return "The claim is a number with a fraction or an exponent; only plain integers compare."
		}
	}
	return fmt.Sprintf("The claim is %s with another value.", kind(v)) + nearAny([]any{v}, want)
}

func unequalAudiences(list []any, want []string) string {
	switch {
	case len(list) == 0:
		return "The list of audiences is empty."
	case len(list) > MaxAudiences:
		return fmt.Sprintf("The token is for %d audiences; more than %d are refused.", len(list), MaxAudiences)
	case !allStrings(list):
		return "The list of audiences holds something that is not a string."
	}
	return "None of the token's audiences is the one expected." + nearAny(list, want)
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "of no JSON type"
}
