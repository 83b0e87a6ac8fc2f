package issuer

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/oauth"
)

// introspect is RFC 7662. What is not a token of ours that holds now is
// {"active": false} and nothing more: it is not told why.
func (i *Issuer) introspect(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	if i.sources != nil && !i.sources.Allow(limit.Source(c.RealIP()), i.org.Now()) {
		return oauth.Refuse(c, &oauth.Error{Status: http.StatusTooManyRequests, RetryAfter: "1", Code: "temporarily_unavailable",
			ErrorCode: "rate.limited", Description: "too many requests: try again later"})
	}
	if refusal := i.fresh(c); refusal != nil {
		return oauth.Refuse(c, refusal)
	}
	if !i.mayAsk(c) {
		return oauth.Refuse(c, &oauth.Error{Status: http.StatusUnauthorized, Code: "invalid_client", ErrorCode: "token.invalid",
			Description: "send the bearer token of an admin, an auditor or a workload of this organisation"})
	}
	f, refusal := oauth.ReadForm(c)
	if refusal != nil {
		return oauth.Refuse(c, refusal)
	}
	token := f.Get("token")
	if token == "" {
		return oauth.Refuse(c, oauth.InvalidRequest("token is missing: it is the token to look at"))
	}
	if refusal := i.fresh(c); refusal != nil { // the body may have taken its time
		return oauth.Refuse(c, refusal)
	}
	claims, holds := i.org.ReadToken(token)
	if !holds {
		return c.JSON(http.StatusOK, map[string]bool{"active": false})
	}
	return c.JSON(http.StatusOK, answer(claims))
}

// fresh refuses while nothing is known for certain.
func (i *Issuer) fresh(c echo.Context) *oauth.Error {
	if i.org.Fresh(c.Request().Context()) == nil {
		return nil
	}
	return &oauth.Error{Status: http.StatusServiceUnavailable, RetryAfter: "1", Code: "temporarily_unavailable",
		ErrorCode: "log.unavailable", Description: "the log cannot be reached, so nothing is known for certain: try again later"}
}

// answer is the token's own claims and RFC 7662 section 2.2's active and token_type.
func answer(claims claim.Set) map[string]any {
	a := map[string]any{"active": true, "token_type": "Bearer"}
	for name, v := range claims {
		if _, reserved := a[name]; !reserved {
			a[name] = v
		}
	}
	return a
}

// mayAsk tells whether the caller is an admin, an auditor, or a workload that
// holds a token for this organisation itself.
func (i *Issuer) mayAsk(c echo.Context) bool {
	bearer, ok := api.Bearer(c.Request())
	if !ok {
		return false
	}
	if strings.Count(bearer, ".") == 2 {
		claims, holds := i.org.ReadToken(bearer)
		return holds && i.org.OwnAudience(claims)
	}
	person, ok := api.Person(i.org, bearer)
	return ok && (person.Has(domain.Auditor) || hasAdmin(person))
}

func hasAdmin(a domain.Actor) bool {
	for _, r := range a.Roles {
		if r.Admin() {
			return true
		}
	}
	return false
}
