package exchange

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/oauth"
)

// tokenResponse is RFC 6749 section 5.1 with RFC 8693 section 2.2.1. There is
// never a refresh token: a workload shows its proof again.
type tokenResponse struct {
	AccessToken     string `json:"access_token"`
	IssuedTokenType string `json:"issued_token_type"`
	TokenType       string `json:"token_type"`
	ExpiresIn       int64  `json:"expires_in"` // seconds
	Scope           string `json:"scope"`
}

// Mount serves POST token in the organisation's group. No client
// authentication is asked: the proof is the authentication.
func (x *Exchange) Mount(g *echo.Group) { g.POST("/token", x.serve) }

func (x *Exchange) serve(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	r, refusal := x.read(c)
	if refusal != nil {
		return oauth.Refuse(c, refusal)
	}
	m := domain.Meta{
		Actor:     domain.Actor{ID: "workload://" + x.org.Name().String()},
		Now:       x.org.Now(),
		RequestID: api.RequestID(c),
	}
	a, refusal := x.exchange(c.Request().Context(), m, r)
	if refusal != nil {
		return oauth.Refuse(c, refusal)
	}
	return c.JSON(http.StatusOK, tokenResponse{
		AccessToken: a.token, IssuedTokenType: r.issued, TokenType: "Bearer", ExpiresIn: a.expiresIn,
	})
}

// read turns an HTTP request into a request that was understood.
func (x *Exchange) read(c echo.Context) (request, *oauth.Error) {
	source := limit.Source(c.RealIP())
	if x.sources != nil && !x.sources.Allow(source, x.org.Now()) {
		return request{}, request{}.tell("rate.limited")
	}
	if len(c.Request().Header.Values("Authorization")) > 0 {
		return request{}, &oauth.Error{Status: http.StatusUnauthorized, Code: "invalid_client", ErrorCode: "request.invalid",
			Description: "no client is known here: leave the Authorization header out, the proof is enough"}
	}
	f, refusal := oauth.ReadForm(c)
	if refusal != nil {
		return request{}, refusal
	}
	return understand(f, x.org.Issuer(), source)
}
