// Package jose is everything about JWTs and keys on the wire: reading a
// stranger's proof strictly, knowing its provider's keys, saying which checks
// it passes, and signing our own tokens. It is the only home of
// lestrrat-go/jwx, of which it uses the low-level signers and verifiers alone.
//
// It decides nothing about trust: whether the claims of a good proof fit a
// connection is domain/connection's to say. It never follows a URL that a
// token carries, never accepts HMAC or "none", and reads no clock of its own.
package jose
