package resource

import "sallyport.dev/domain"

// Errors of commands about projects, servers and secrets.
var (
	ErrRole  = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Only a resource_admin manages projects, servers and secrets."}
	ErrStale = &domain.Error{Kind: domain.KindStale, Code: "version.stale", Message: "It is at another version: read it again and decide on what it says now."}

	ErrTooMany = &domain.Error{Kind: domain.KindConflict, Code: "resource.too_many", Message: "There are as many of these as an organisation has at most: delete what is not needed."}
	ErrOwner   = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Only a resource_admin says who answers for a secret: leave the owner out."}

	ErrProjectNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "project.not_found", Message: "There is no project of this name."}
	ErrProjectTaken    = &domain.Error{Kind: domain.KindConflict, Code: "project.taken", Message: "There is, or was, a project of this name: choose another name, or edit that one."}
	ErrProjectNotEmpty = &domain.Error{Kind: domain.KindConflict, Code: "project.not_empty", Message: "The project has resources: delete them first, or move them to another project."}

	ErrServerNotFound  = &domain.Error{Kind: domain.KindNotFound, Code: "server.not_found", Message: "There is no server of this name."}
	ErrServerTaken     = &domain.Error{Kind: domain.KindConflict, Code: "server.taken", Message: "There is, or was, a server of this name: choose another name, or edit that one."}
	ErrAccountNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "server.account_not_found", Message: "The server has no vaulted account of this name."}
	ErrAccountInUse    = &domain.Error{Kind: domain.KindConflict, Code: "server.account_has_password", Message: "The account has a password in the vault: destroy its versions before the account is taken away or made personal."}

	ErrSecretNotFound  = &domain.Error{Kind: domain.KindNotFound, Code: "secret.not_found", Message: "There is no secret at this path."}
	ErrSecretTaken     = &domain.Error{Kind: domain.KindConflict, Code: "secret.taken", Message: "There is, or was, a secret at this path: choose another path, or put a version of that one."}
	ErrPath            = domain.Invalid("secret.path", "A path is 1 to 8 parts of a-z, 0-9, dot, underscore and hyphen joined by slashes, at most 255 characters, and no part is . or .., such as payments/db/password.")
	ErrVersionNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "secret.version_not_found", Message: "There is no such version of it; list the secret to see which there are."}
	ErrDestroyed       = &domain.Error{Kind: domain.KindConflict, Code: "secret.destroyed", Message: "This version is destroyed and cannot be revealed again; reveal another, or put a new one."}
	ErrTooManyVersions = &domain.Error{Kind: domain.KindConflict, Code: "secret.too_many_versions", Message: "It has 100 versions that are not destroyed: destroy old ones first."}
	// ErrNumber is a version under a number that is not the next: somebody else
	// put one meanwhile. Whoever put it takes the next number and tries again.
	ErrNumber = &domain.Error{Kind: domain.KindConflict, Code: "secret.version_taken", Message: "Somebody else put a version at the same moment: try again."}
)
