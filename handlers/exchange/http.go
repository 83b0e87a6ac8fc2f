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
	f, refusal := x.read(c)
	if other := x.opt.Grants[f.Get("grant_type")]; refusal == nil && other != nil {
		return other(c, f)
	}
	var a answer
	var issued string
	var decider domain.Name
	if refusal == nil {
		a, issued, decider, refusal = x.answer(c, f)
	}
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
func (x *Exchange) answer(c echo.Context, f oauth.Form) (a answer, issued string, decider domain.Name, refusal *oauth.Error) {
	r, refusal := understand(f, x.org.Issuer(), limit.Source(c.RealIP()))
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

// read is the form of a request that may be answered.
func (x *Exchange) read(c echo.Context) (oauth.Form, *oauth.Error) {
	if x.opt.Sources != nil && !x.opt.Sources.Allow(limit.Source(c.RealIP()), x.org.Now()) {
		return nil, request{}.tell("rate.limited")
	}
	if len(c.Request().Header.Values("Authorization")) > 0 {
		return nil, &oauth.Error{Status: http.StatusUnauthorized, Code: "invalid_client", ErrorCode: "request.invalid",
			Description: "no client is known here: leave the Authorization header out, the proof is enough"}
	}
	return oauth.ReadForm(c)
}
