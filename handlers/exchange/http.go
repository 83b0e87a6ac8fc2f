package exchange

import (
	"net/http"
	"time"

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
	begun := time.Now()
	c.Response().Header().Set("Cache-Control", "no-store")
	a, issued, decider, refusal := x.answer(c)
	if x.opt.Meter != nil {
		reason := ""
		if refusal != nil {
			reason = refusal.ErrorCode
		}
		x.opt.Meter.Exchanged(decider, reason, time.Since(begun))
	}
	api.NoteEvent(c, a.at)
	if refusal != nil {
		return oauth.Refuse(c, refusal)
	}
	return c.JSON(http.StatusOK, tokenResponse{
		AccessToken: a.token.Reveal(), IssuedTokenType: issued, TokenType: "Bearer", ExpiresIn: a.expiresIn,
	})
}

// answer is the token, of the type issued, or why there is none.
func (x *Exchange) answer(c echo.Context) (a answer, issued string, decider domain.Name, refusal *oauth.Error) {
	r, refusal := x.read(c)
	if refusal != nil {
		return answer{}, "", "", refusal
	}
	// Only now: who sends a body slowly must not hold a place for as long.
	if !x.admission.enter() {
		return answer{}, "", "", request{}.tell("rate.limited")
	}
	defer x.admission.leave()
	m := domain.Meta{
		Actor:     domain.Actor{ID: "workload://" + x.org.Name().String()},
		Now:       x.org.Now(),
		RequestID: api.RequestID(c),
	}
	a, decider, refusal = x.exchange(c.Request().Context(), m, r)
	return a, r.issued, decider, refusal
}

// read turns an HTTP request into a request that was understood.
func (x *Exchange) read(c echo.Context) (request, *oauth.Error) {
	source := limit.Source(c.RealIP())
	if x.opt.Sources != nil && !x.opt.Sources.Allow(source, x.org.Now()) {
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
