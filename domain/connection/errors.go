package connection

import "sallyport.dev/domain"

var (
	// ErrNotFound answers for a name that was never drafted, or was deleted.
	ErrNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "connection.not_found",
		Message: "There is no connection of this name."}
	// ErrTaken refuses a name that is, or ever was, a connection's.
	ErrTaken = &domain.Error{Kind: domain.KindConflict, Code: "connection.taken",
		Message: "A connection of this name exists: choose another name, or edit that one."}
	// ErrRole refuses who lacks a role; the sentence names it.
	ErrRole = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing",
		Message: "This needs another role."}
	// ErrSamePerson refuses to activate what the same person wrote.
	ErrSamePerson = &domain.Error{Kind: domain.KindForbidden, Code: "connection.same_person",
		Message: "Nobody activates a connection whose changes since its last activation they wrote themselves, in full or in part: ask another security_admin."}
	// ErrStale refuses a write that was decided on another version.
	ErrStale = &domain.Error{Kind: domain.KindStale, Code: "version.stale",
		Message: "The connection is at another version: read it again and decide on what it says now."}
	// ErrBlocked refuses an activation whose warnings nobody acknowledged; it names the codes.
	ErrBlocked = &domain.Error{Kind: domain.KindInvalid, Code: "connection.blocked",
		Message: "Warnings block the activation."}
	// ErrActive refuses to delete what issues tokens.
	ErrActive = &domain.Error{Kind: domain.KindConflict, Code: "connection.active",
		Message: "The connection is active: deactivate it before it is deleted."}
	// ErrNotActive refuses to deactivate what never issued a token.
	ErrNotActive = &domain.Error{Kind: domain.KindConflict, Code: "connection.not_active",
		Message: "The connection is a draft and issues nothing: there is nothing to deactivate."}
)

// needSecurityAdmin refuses who is no security admin, and says for what.
func needSecurityAdmin(a domain.Actor, what string) error {
	if a.Has(domain.SecurityAdmin) {
		return nil
	}
	return ErrRole.With("Only a security_admin %s.", what)
}

// MayDraft tells whether the actor may draft a connection.
func MayDraft(a domain.Actor) error {
	if a.Has(domain.DevOpsAdmin) || a.Has(domain.SecurityAdmin) {
		return nil
	}
	return ErrRole.With("Only a devops_admin or a security_admin drafts, edits and tests connections.")
}

// MayWrite tells whether the actor may edit and test the connection. A
// devops_admin loses that for good when it is activated for the first time.
func MayWrite(s State, a domain.Actor) error {
	if err := MayDraft(a); err != nil {
		return err
	}
	switch {
	case !s.exists():
		return ErrNotFound
	case s.EverActivated && !a.Has(domain.SecurityAdmin):
		return ErrRole.With("The connection has been activated once: since then only a security_admin edits, tests and deletes it.")
	}
	return nil
}
