package domain

import "errors"

// ErrNewer is in every error about something in a log that this version cannot
// know, because a newer one wrote it. The log is whole; this version stops at it and
// skips nothing.
var ErrNewer = errors.New("a newer version of Sallyport wrote it: run that version or a newer one, as docs/upgrades.md tells")
