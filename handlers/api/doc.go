// Package api is the edge that all HTTP handlers share: the echo instance and
// its server with their limits, request ids, the reading of bodies and query
// parameters, who is asking, and how errors are told.
//
// Every request to /v1 is checked in one order, written once, in [Read] and
// [Write]:
//
//	401 no or bad token · 405 · 403 lacks the role · 404 · 428 no If-Match ·
//	412 stale · 415 · 413 · 400 not JSON · 422 each field · 409 · and then it is done
//
// A path that could be read in two ways (encoded slashes, dot segments, empty
// segments) is nobody's path: 404. Nothing that a client says about itself
// (X-Request-Id, X-Forwarded-For, method overrides) is believed, but for
// X-Forwarded-For from a proxy that the operator named.
//
// The package decides no rule of Sallyport and never writes to the log.
package api
