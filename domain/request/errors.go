package request

import "sallyport.dev/domain"

// Errors of request types, requests and delegations.
var (
	ErrRole         = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "Only a security_admin writes, publishes and disables request types."}
	ErrOwnerOnly    = &domain.Error{Kind: domain.KindForbidden, Code: "request_type.owner_only", Message: "The request type lists a group that lends admin roles: ask an owner to publish it."}
	ErrTypeNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "request_type.not_found", Message: "There is no such request type."}
	ErrTypeTaken    = &domain.Error{Kind: domain.KindConflict, Code: "request_type.taken", Message: "There is or was a request type of that name, and names are never given again: choose another."}
	ErrTypeTooMany  = &domain.Error{Kind: domain.KindConflict, Code: "request_type.too_many", Message: "An organisation has at most 1000 request types: delete one, or use one that is there."}
	ErrTypeUnusable = &domain.Error{Kind: domain.KindConflict, Code: "request_type.unusable", Message: "The request type is not published: ask a security_admin to publish it."}
	ErrStale        = &domain.Error{Kind: domain.KindStale, Code: "version.stale", Message: "The request type has changed since: read it again and repeat."}

	ErrNotFound   = &domain.Error{Kind: domain.KindNotFound, Code: "request.not_found", Message: "There is no such access request, or it is not for you to see."}
	ErrPeopleOnly = &domain.Error{Kind: domain.KindForbidden, Code: "request.people_only", Message: "Only people decide access requests and ask for membership of groups."}
	ErrOwn        = &domain.Error{Kind: domain.KindForbidden, Code: "request.own", Message: "This is your own request: somebody else decides it."}
	ErrNotYours   = &domain.Error{Kind: domain.KindForbidden, Code: "request.not_approver", Message: "You are not among those who decide the step that is open now."}
	ErrRequester  = &domain.Error{Kind: domain.KindForbidden, Code: "request.not_requester", Message: "Only who raised a request cancels it; who decides it may deny it."}
	ErrTwice      = &domain.Error{Kind: domain.KindConflict, Code: "request.decided", Message: "Your word on this request is spoken: each person decides once in a request, also by or as a delegate."}
	ErrOver       = &domain.Error{Kind: domain.KindConflict, Code: "request.over", Message: "The request is over: nothing of it can be decided any more."}
	ErrStep       = &domain.Error{Kind: domain.KindConflict, Code: "request.step", Message: "Another step is open now: read the request again, and decide that if it is yours."}
	ErrBegun      = &domain.Error{Kind: domain.KindConflict, Code: "request.begun", Message: "Somebody has decided already, so the request takes its course: ask an approver to deny it."}
	ErrTooMany    = &domain.Error{Kind: domain.KindTooMany, Code: "request.too_many", Message: "You have 20 requests open: wait until some are decided, or cancel what you do not need."}
	ErrHeld       = &domain.Error{Kind: domain.KindConflict, Code: "request.held", Message: "You have this already: there is nothing to ask for."}
	ErrNobody     = &domain.Error{Kind: domain.KindConflict, Code: "request.nobody", Message: "A step of the request type is for somebody who is not there, so nobody could ever approve."}
	ErrGone       = &domain.Error{Kind: domain.KindConflict, Code: "request.gone", Message: "What was asked for, or who asked, is not there any more: deny the request."}
)
