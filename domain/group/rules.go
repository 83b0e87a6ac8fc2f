package group

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport.dev/domain"
)

const maxDescription = 1000 // characters

// Errors of commands about groups and their members.
var (
	// ErrRole refuses who lacks a role; the sentence names it.
	ErrRole = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing",
		Message: "Only an owner or a security_admin manages groups."}
	// ErrNotFound answers for a name that no group has.
	ErrNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "group.not_found", Message: "There is no group of this name."}
	// ErrTaken refuses a name that is, or ever was, a group's.
	ErrTaken = &domain.Error{Kind: domain.KindConflict, Code: "group.taken",
		Message: "A group of this name exists: choose another name, or edit that one."}
	// ErrStale refuses a write that was decided on another version.
	ErrStale = &domain.Error{Kind: domain.KindStale, Code: "version.stale",
		Message: "The group is at another version: read it again and decide on what it says now."}
	// ErrSelf refuses whoever would add themself, or lend themself a role.
	ErrSelf = &domain.Error{Kind: domain.KindForbidden, Code: "group.self",
		Message: "Nobody adds themself to a group: ask somebody else who may."}
	// ErrNoMember answers for a person who is not in the group.
	ErrNoMember = &domain.Error{Kind: domain.KindNotFound, Code: "group.member_not_found", Message: "This person is not in the group."}
	// ErrFull refuses a member too many.
	ErrFull = &domain.Error{Kind: domain.KindConflict, Code: "group.full",
		Message: "A group has at most 10000 members, and a person is in at most 200 groups: remove some that are not needed."}
)

// MayCreate tells whether the actor may create groups at all; which roles these
// may lend is the command's to say.
func MayCreate(a domain.Actor) error {
	if a.Has(domain.Owner) || a.Has(domain.SecurityAdmin) || a.IsSystem() {
		return nil
	}
	return ErrRole
}

// MayEdit tells whether the actor may edit the group.
func MayEdit(g Group, a domain.Actor) error {
	if err := MayCreate(a); err != nil {
		return err
	}
	if len(g.Roles) > 0 && !ownerOf(a) {
		return ErrRole.With("The group lends its members admin roles: only an owner changes it.")
	}
	return nil
}

// MayChangeMembers tells whether the actor may add and remove members of the
// group, or delete it with all of them. named tells whether a policy or a
// request type names it.
func MayChangeMembers(g Group, named bool, a domain.Actor) error {
	if err := MayCreate(a); err != nil {
		return err
	}
	switch {
	case ownerOf(a):
		return nil
	case len(g.Roles) > 0:
		return ErrRole.With("The group lends its members admin roles: only an owner says who is in it.")
	case named:
		return ErrRole.With("A policy or a request type names the group, or a resource has it as its owner: only an owner says who is in it.")
	}
	return nil
}

// ownerOf tells whether the actor has an owner's rights on groups: an owner, or
// Sallyport itself.
func ownerOf(a domain.Actor) bool { return a.Has(domain.Owner) || a.IsSystem() }

// Check names every field that breaks a rule.
func (s Spec) Check() []domain.FieldError {
	var broken []domain.FieldError
	hidden := func(r rune) bool {
		return r != '\n' && r != '\t' && (r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp))
	}
	switch {
	case utf8.RuneCountInString(s.Description) > maxDescription:
		broken = append(broken, domain.FieldError{Pointer: "/description", Code: "too_long", Detail: "a description is at most 1000 characters"})
	case strings.ContainsFunc(s.Description, hidden):
		broken = append(broken, domain.FieldError{Pointer: "/description", Code: "invalid", Detail: "a description holds no control characters and no invisible ones"})
	}
	for i, r := range s.Roles {
		if r == domain.Member || !slices.Contains(domain.Roles(), r) {
			broken = append(broken, domain.FieldError{Pointer: "/roles/" + strconv.Itoa(i), Code: "role.unknown",
				Detail: "a group lends owner, devops_admin, security_admin, resource_admin or auditor"})
		}
	}
	return broken
}

// canonical is the spec with its roles in the order of domain.Roles, each once.
func (s Spec) canonical() Spec {
	var roles []domain.Role
	for _, r := range domain.Roles() {
		if slices.Contains(s.Roles, r) {
			roles = append(roles, r)
		}
	}
	s.Roles = roles
	return s
}

func (s Spec) equal(o Spec) bool {
	return s.Description == o.Description && slices.Equal(s.Roles, o.Roles)
}
