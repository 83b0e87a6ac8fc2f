package policy

import "sallyport.dev/domain"

// MaxPolicies is how many policies an organisation may have.
const MaxPolicies = 1000

var (
	// ErrRole refuses who is no security admin.
	ErrRole = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing",
		Message: "Only a security_admin writes, publishes and deletes policies."}
	// ErrNotFound answers for a name that was never drafted, or was deleted.
	ErrNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "policy.not_found",
		Message: "There is no policy of this name."}
	// ErrTaken refuses a name that is, or ever was, a policy's.
	ErrTaken = &domain.Error{Kind: domain.KindConflict, Code: "policy.taken",
		Message: "A policy of this name exists: choose another name, or edit that one."}
	// ErrTooMany refuses one more policy than there may be.
	ErrTooMany = &domain.Error{Kind: domain.KindConflict, Code: "policy.too_many",
		Message: "There are 1000 policies, which is as many as there may be: delete one, or add rules to one that is there."}
	// ErrStale refuses a write that was decided on another version.
	ErrStale = &domain.Error{Kind: domain.KindStale, Code: "version.stale",
		Message: "The policy is at another version: read it again and decide on what it says now."}
)
