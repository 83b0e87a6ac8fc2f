package streams

import (
	"errors"

	"sallyport.dev/domain"
)

// ErrConflict is returned when the log moved past the position a commit was
// decided at. Nothing was stored: fold what is new and decide again. It is for
// our own code and never meant for a caller outside.
var ErrConflict = errors.New("the log has moved past the position of the decision")

// ErrUnclear is returned when a commit was sent and neither its storing nor its
// refusal could be established in time: it may be in the log. Whoever gets it must
// not hand out what the commit was to record; deciding again on the state as it
// then is settles the rest.
var ErrUnclear error = &domain.Error{Kind: domain.KindUnavailable, Code: "log.unclear",
	Message: "It is not known whether this was recorded. Read the state before asking again."}

// ErrUnavailable is returned when the log cannot be reached; nothing was stored.
var ErrUnavailable error = &domain.Error{Kind: domain.KindUnavailable, Code: "log.unavailable",
	Message: "The log cannot be written at the moment and nothing was done. Try again in a few seconds."}

// ErrFull is returned when a [Committer] has as many decisions waiting as it
// may; nothing was stored.
var ErrFull error = &domain.Error{Kind: domain.KindUnavailable, Code: "log.busy",
	Message: "Too many requests are waiting for the log and nothing was done. Try again in a second."}

// ErrNoKey is returned by [Bucket.Get] for a key that is not there.
var ErrNoKey = errors.New("no such key in the bucket")

// ErrKeyTaken is returned by [Bucket.Create] for a key that is there, or was.
var ErrKeyTaken = errors.New("there is such a key in the bucket")

// ErrClosed is returned by what was closed by its owner.
var ErrClosed = errors.New("closed")
