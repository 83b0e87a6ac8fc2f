package access

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
)

// Refusals of what opens something.
var (
	// ErrRefused is the answer about what the caller cannot reach, and about what is
	// not there: the two are not told apart.
	ErrRefused = &domain.Error{Kind: domain.KindForbidden, Code: "access.refused",
		Message: "No policy lets you reach this, or it is not there. See what you can reach with: sallyport access resources."}
	// ErrMethod is the answer about an access method that the caller does not have.
	ErrMethod = &domain.Error{Kind: domain.KindForbidden, Code: "access.refused",
		Message: "You have no such access method for this. See which ones you have with: sallyport access resolve."}
	// ErrCancelled is the answer to a workload for which no method is left, since each needs a human.
	ErrCancelled = &domain.Error{Kind: domain.KindForbidden, Code: "access.cancelled",
		Message: "Every way to reach this needs a human, and a workload asks: nothing was raised. Have a rule without such conditions written for its role."}
	// ErrUnmet is the answer while a method has conditions that are not met.
	ErrUnmet = &domain.Error{Kind: domain.KindForbidden, Code: "access.unmet",
		Message: "Something is still to be met."}
	// ErrPeopleOnly is the answer to a workload that asks for what only people do.
	ErrPeopleOnly = &domain.Error{Kind: domain.KindForbidden, Code: "workload.not_allowed",
		Message: "This is for people: nothing is checked out, and no glass broken, by a workload."}
)

// CancelledFor is [ErrCancelled] naming what of the methods needs a human.
func CancelledFor(leftOut []Method) error {
	var needs []string
	for _, c := range []struct {
		typ  policy.ConditionType
		name string
	}{{policy.AccessRequest, "an approved access request"}, {policy.MFA, "a second factor"}, {policy.Checkout, "a checkout"}} {
		asks := func(r Requirement) bool { return r.Type == c.typ }
		if slices.ContainsFunc(leftOut, func(m Method) bool { return slices.ContainsFunc(m.Requires, asks) }) {
			needs = append(needs, c.name)
		}
	}
	if needs == nil {
		return ErrCancelled
	}
	return ErrCancelled.With("Every way to reach this needs a human (%s), and a workload asks: nothing was raised. "+
		"Have a rule without such conditions written for its role.", strings.Join(needs, ", "))
}

// Unmet is nil for a method that is open, and otherwise names every condition
// that is not met, with what to do about it.
func Unmet(m Method) error { return unmet(m, "") }

// unmet leaves one type of condition out: it is what is being asked for.
func unmet(m Method, but policy.ConditionType) error {
	var missing []string
	for _, r := range m.Requires {
		if !r.Met && r.Type != but {
			missing = append(missing, string(r.Type)+": "+strings.TrimSpace(r.Description))
		}
	}
	if missing == nil {
		return nil
	}
	return ErrUnmet.With("Still to be met: %s", strings.Join(missing, " "))
}

// ResolveRef is [Resolve] of what the reference names; ok is false where there is
// nothing of that name. Then it has looked as long as if there were: nobody
// learns by the time it takes what is there.
func ResolveRef(w World, s Subject, ref resource.Ref, now time.Time) (r resource.Resource, a Answer, ok bool) {
	if r, ok = w.Resources.Resource(ref); ok {
		return r, Resolve(w, s, r, now), true
	}
	kind, name, _ := strings.Cut(string(ref), "/")
	Resolve(w, s, resource.Resource{Ref: ref, Kind: resource.Kind(kind), Name: name}, now)
	return r, Answer{Outcome: Refused}, false
}

// given is the method of that id which the subject has for the resource at now.
func (w World) given(s Subject, ref resource.Ref, id string, now time.Time) (Method, error) {
	_, answer, _ := ResolveRef(w, s, ref, now)
	m, ok := Find(answer, id)
	switch {
	case ok:
		return m, nil
	case answer.Outcome == Cancelled:
		return Method{}, CancelledFor(answer.LeftOut)
	case len(answer.Methods) == 0:
		return Method{}, ErrRefused
	}
	return Method{}, ErrMethod
}

// maxText is how much people may write of a reason or a comment, in bytes.
const maxText = 2 << 10

// badText tells what is wrong with a text that people wrote; nil is nothing.
func badText(pointer, text string, required bool) []domain.FieldError {
	name := pointer[1:]
	switch {
	case required && strings.TrimSpace(text) == "":
		return []domain.FieldError{{Pointer: pointer, Code: "field.required", Detail: name + " says why, for those who will ask"}}
	case len(text) > maxText:
		return []domain.FieldError{{Pointer: pointer, Code: "too_long", Detail: name + " has at most 2048 bytes"}}
	case !utf8.ValidString(text):
		return []domain.FieldError{{Pointer: pointer, Code: "value.malformed", Detail: name + " is text in UTF-8"}}
	}
	return nil
}
