package exchange

import (
	"slices"
	"strings"

	"sallyport.dev/domain"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/oauth"
)

// Grant types of the token endpoint.
const (
	grantExchange  = "urn:ietf:params:oauth:grant-type:token-exchange" // RFC 8693
	grantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"     // RFC 7523
)

const (
	typeJWT         = "urn:ietf:params:oauth:token-type:jwt"
	typeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
)

// request is a token request that was understood: whichever grant it came by,
// it asks the same question.
type request struct {
	grant      string
	proof      domain.Secret // the workload's JWT
	connection domain.Name   // empty: to be found by the proof's issuer
	byAudience bool          // the connection was named by audience
	issued     string        // issued_token_type to answer
	ask        token.Request
}

// understand turns a form into a request, or into the OAuth error to answer.
func understand(f oauth.Form, issuer, source string) (request, *oauth.Error) {
	r := request{grant: f.Get("grant_type"), issued: typeAccessToken}
	switch r.grant {
	case grantExchange:
		if err := r.takeSubjectToken(f); err != nil {
			return r, err
		}
	case grantJWTBearer:
		if r.proof = domain.NewSecret(f.Get("assertion")); r.proof.IsZero() {
			return r, oauth.InvalidRequest("assertion is missing: it is the workload's JWT")
		}
	case "":
		return r, oauth.InvalidRequest("grant_type is missing: use " + grantExchange)
	default:
		return r, &oauth.Error{Code: "unsupported_grant_type", ErrorCode: "request.invalid", Description: "grant_type must be " + grantExchange + " or " + grantJWTBearer}
	}
	if f.Get("scope") != "" {
		return r, &oauth.Error{Code: "invalid_scope", ErrorCode: "request.invalid", Description: "no scopes are configured: leave scope out"}
	}
	if err := r.takeTargets(f, issuer); err != nil {
		return r, err
	}
	hint := f.Get("role_hint")
	switch {
	case len(hint) > 255:
		return r, oauth.InvalidRequest("role_hint is longer than 255 bytes")
	case looksSecret(hint) || looksSecret(r.ask.Audience):
		return r, oauth.InvalidRequest("role_hint and audience take no JWT: the proof goes into subject_token or assertion")
	}
	r.ask.Grant, r.ask.RoleHint, r.ask.Source = r.grant, hint, source
	return r, nil
}

// looksSecret finds a JWT that was pasted where a name belongs: names are
// recorded, and proofs never are.
func looksSecret(s string) bool { return strings.HasPrefix(s, "eyJ") }

// takeSubjectToken reads what only token exchange has (RFC 8693 section 2.1).
func (r *request) takeSubjectToken(f oauth.Form) *oauth.Error {
	if r.proof = domain.NewSecret(f.Get("subject_token")); r.proof.IsZero() {
		return oauth.InvalidRequest("subject_token is missing: it is the workload's JWT")
	}
	if t := f.Get("subject_token_type"); t != typeJWT && t != typeIDToken {
		return oauth.InvalidRequest("subject_token_type must be " + typeJWT + " or " + typeIDToken)
	}
	if f.Get("actor_token") != "" || f.Get("actor_token_type") != "" {
		return oauth.InvalidRequest("actor_token is not supported: a workload acts for itself")
	}
	switch t := f.Get("requested_token_type"); t {
	case "", typeAccessToken:
	case typeJWT:
		r.issued = typeJWT
	default:
		return oauth.InvalidRequest("requested_token_type must be " + typeAccessToken + " or " + typeJWT)
	}
	return nil
}

// takeTargets reads the connection and the audience. Federation clients can
// say neither but through audience, so {issuer}/connections/NAME is the connection.
func (r *request) takeTargets(f oauth.Form, issuer string) *oauth.Error {
	if name := f.Get("connection"); name != "" {
		n, err := domain.ParseName(name)
		if err != nil {
			return r.tell("connection.unknown")
		}
		r.connection = n
	}
	var targets []string
	for _, a := range slices.Concat(f["audience"], f["resource"]) {
		name, named := strings.CutPrefix(a, issuer+"/connections/")
		switch {
		case a == "" || a == issuer || slices.Contains(targets, a):
		case named:
			n, err := domain.ParseName(name)
			if err != nil {
				r.byAudience = true
				return r.tell("connection.unknown")
			}
			if r.connection != "" && r.connection != n {
				return oauth.InvalidRequest("two different connections are named")
			}
			r.connection, r.byAudience = n, f.Get("connection") == ""
		default:
			targets = append(targets, a)
		}
	}
	if len(targets) > 1 {
		return &oauth.Error{Code: "invalid_target", ErrorCode: "audience.not_allowed", Description: "a token is for one audience: name one audience or resource"}
	}
	if len(targets) == 1 {
		r.ask.Audience = targets[0]
	}
	return nil
}
