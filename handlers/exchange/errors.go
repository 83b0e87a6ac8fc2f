package exchange

import (
	"errors"
	"net/http"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/oauth"
)

// descriptions says what failed and what to do next, never what was expected:
// a stranger must not learn the trust by asking. They stay within the
// characters that RFC 6749 section 5.2 allows.
var descriptions = map[string]string{
	"connection.unknown":   "no connection fits: check the connection name with whoever set it up",
	"connection.ambiguous": "more than one connection could take this proof: name one with the connection parameter",
	"connection.draft":     "the proof satisfies the connection, which is still a draft: a security admin must activate it",
	"connection.inactive":  "the connection is inactive: a security admin can activate it",
	"proof.malformed":      "the proof is not a signed compact JWT that Sallyport accepts: send the platform's token unchanged",
	"proof.algorithm":      "the proof is signed with an algorithm that the connection does not allow",
	"proof.unknown_key":    "the proof names a key that the provider does not publish",
	"proof.signature":      "the signature of the proof does not verify with the provider's key",
	"proof.expired":        "the proof has expired: fetch a fresh one from the platform and try again",
	"proof.not_yet_valid":  "the proof is not valid yet: check the clocks",
	"proof.too_old":        "the proof is older or lives longer than the connection allows: fetch a fresh one from the platform",
	"proof.conditions":     "the proof does not meet a condition of the connection: the audit trail says which",
	"proof.identity":       "the proof does not name the workload as the connection asks",
	"proof.replayed":       "the proof was used before and the connection takes each one once: fetch a fresh one",
	"keys.unavailable":     "the keys of the provider cannot be fetched now: try again later",
	"audience.not_allowed": "the connection does not issue tokens for that audience",
	"log.unavailable":      "the decision cannot be recorded now, so nothing was issued: try again later",
	"rate.limited":         "too many requests: try again later",
}

// tell turns an error_code into the answer that RFC 6749, RFC 8693 section
// 2.2.2 and RFC 7521 section 4.1.1 ask for.
func (r request) tell(code string) *oauth.Error {
	e := &oauth.Error{ErrorCode: code, Description: descriptions[code]}
	switch {
	case code == "rate.limited":
		e.Status, e.RetryAfter, e.Code = http.StatusTooManyRequests, "1", "temporarily_unavailable"
	case code == "keys.unavailable", code == "log.unavailable":
		e.Status, e.RetryAfter, e.Code = http.StatusServiceUnavailable, "5", "temporarily_unavailable"
	case code == "audience.not_allowed", code == "connection.unknown" && r.byAudience:
		e.Code = "invalid_target"
	case r.grant == grantJWTBearer:
		e.Code = "invalid_grant"
	default:
		e.Code = "invalid_request"
	}
	return e
}

// tellError is tell for an error of ours: one that a caller can act on keeps
// its code, any other is the log that could not be written.
func (r request) tellError(err error) *oauth.Error {
	var d *domain.Error
	if errors.As(err, &d) && d.Kind == domain.KindTooMany {
		return r.tell("rate.limited")
	}
	return r.tell("log.unavailable")
}
