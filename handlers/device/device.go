// Package device lets programs without a browser log in as a person: the OAuth
// 2.0 device authorization grant (RFC 8628). The program shows a code, the person
// confirms it in the console, and the program gets an API token of theirs.
//
// Only the hashes of codes are kept, in the bucket of the sessions, for ten
// minutes. What a person confirms is handlers/console's.
package device

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/oauth"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/session"
	"sallyport.dev/projections/control"
)

// Grant is the grant type at the token endpoint.
const Grant = "urn:ietf:params:oauth:grant-type:device_code"

// ClientID is the only client: the command line.
const ClientID = "sallyport-cli"

// How often one network may have programs wait: twenty at once, then one in five seconds.
const (
	perSecond         = 0.2
	burst             = 20
	networksTold      = 10_000
	retryAfterSeconds = "5"
)

// Devices serves one organisation.
type Devices struct {
	org     *organisation.Organisation
	sources *limit.Limiter // of all routes; nil bounds nothing
	asks    *limit.Limiter // of new codes
}

// New serves o. sources limits how often one network may ask for anything; nil does not.
func New(o *organisation.Organisation, sources *limit.Limiter) *Devices {
	return &Devices{o, sources, limit.New(perSecond, burst, networksTold)}
}

// Mount serves POST device_authorization in the organisation's group.
func (d *Devices) Mount(g *echo.Group) { g.POST("/device_authorization", d.authorize) }

// authorization is RFC 8628 section 3.2.
type authorization struct {
	DeviceCode      string `json:"device_code"`
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
	Complete        string `json:"verification_uri_complete"`
	ExpiresIn       int    `json:"expires_in"`
	Interval        int    `json:"interval"`
}

func (d *Devices) authorize(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	a, refusal := d.ask(c)
	if refusal != nil {
		return oauth.Refuse(c, refusal)
	}
	return c.JSON(http.StatusOK, a)
}

func (d *Devices) ask(c echo.Context) (authorization, *oauth.Error) {
	source, now := limit.Source(c.RealIP()), d.org.Now()
	if d.sources != nil && !d.sources.Allow(source, now) || !d.asks.Allow(source, now) {
		return authorization{}, &oauth.Error{Status: http.StatusTooManyRequests, RetryAfter: retryAfterSeconds, Code: "temporarily_unavailable",
			ErrorCode: "rate.limited", Description: "too many requests: try again later"}
	}
	f, refusal := oauth.ReadForm(c)
	if refusal != nil {
		return authorization{}, refusal
	}
	if refusal := client(c, f); refusal != nil {
		return authorization{}, refusal
	}
	deviceCode, userCode, err := d.org.Sessions().AskIn(c.Request().Context(), session.Device{Program: c.Request().UserAgent(), Source: source})
	if err != nil {
		return authorization{}, unavailable
	}
	page := strings.TrimSuffix(d.org.Issuer(), "/orgs/"+d.org.Name().String()) + "/console/orgs/" + d.org.Name().String() + "/device"
	return authorization{
		DeviceCode: deviceCode, UserCode: userCode, VerificationURI: page, Complete: page + "?user_code=" + url.QueryEscape(userCode),
		ExpiresIn: int(session.DeviceLife.Seconds()), Interval: int(session.DeviceInterval.Seconds()),
	}, nil
}

// client refuses who is not the client that we know. It is public: it proves nothing.
func client(c echo.Context, f oauth.Form) *oauth.Error {
	if len(c.Request().Header.Values("Authorization")) == 0 && f.Get("client_id") == ClientID {
		return nil
	}
	return &oauth.Error{Status: http.StatusUnauthorized, Code: "invalid_client", ErrorCode: "request.invalid",
		Description: "client_id must be " + ClientID + ", without an Authorization header"}
}

// unavailable is told while it is not known for certain who waits.
var unavailable = &oauth.Error{Status: http.StatusServiceUnavailable, RetryAfter: "1", Code: "temporarily_unavailable",
	ErrorCode: "log.unavailable", Description: "the log cannot be reached, so nothing is known for certain: try again later"}

// Token answers the grant at the token endpoint, where its form was read.
func (d *Devices) Token(c echo.Context, f oauth.Form) error {
	token, refusal := d.token(c, f)
	if refusal != nil {
		return oauth.Refuse(c, refusal)
	}
	return c.JSON(http.StatusOK, map[string]any{
		"access_token": token.Secret, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
		"token_type": "Bearer", "expires_in": int(person.LoginTTL.Seconds()), "scope": "",
	})
}

func (d *Devices) token(c echo.Context, f oauth.Form) (organisation.APIToken, *oauth.Error) {
	if refusal := client(c, f); refusal != nil {
		return organisation.APIToken{}, refusal
	}
	code := f.Get("device_code")
	if code == "" {
		return organisation.APIToken{}, oauth.InvalidRequest("device_code is missing: it is what device_authorization answered")
	}
	ctx := c.Request().Context()
	if d.org.Fresh(ctx) != nil {
		return organisation.APIToken{}, unavailable
	}
	in, err := d.org.Sessions().LetIn(ctx, code)
	if err != nil {
		return organisation.APIToken{}, refusalOf(err)
	}
	m := domain.Meta{Actor: domain.Actor{ID: in.By.Person.String()}, Now: d.org.Now(), RequestID: api.RequestID(c)}
	token, err := d.org.LogIn(ctx, m, person.LogIn{Person: in.By.Person, MFAAt: in.By.MFAAt, Source: in.Source}, func(s *control.State) error {
		_, err := session.Caller{Session: in.By}.Actor(s, m.Now)
		return err
	})
	if errors.Is(err, session.ErrNone) {
		err = session.ErrDeviceRefused // they were signed out everywhere, or what they proved it with was taken, since
	}
	if err != nil {
		return organisation.APIToken{}, refusalOf(err)
	}
	return token, nil
}

// refusalOf tells an error as RFC 8628 section 3.5 does.
func refusalOf(err error) *oauth.Error {
	tell := func(code, errorCode, description string) *oauth.Error {
		return &oauth.Error{Code: code, ErrorCode: errorCode, Description: description}
	}
	switch {
	case errors.Is(err, session.ErrDevicePending):
		return tell("authorization_pending", "device.pending", "nobody has confirmed the code yet: ask again in some seconds")
	case errors.Is(err, session.ErrDeviceHasty):
		return tell("slow_down", "device.slow_down", "you asked too early: wait five seconds longer than before, from now on")
	case errors.Is(err, session.ErrDeviceRefused):
		return tell("access_denied", "device.refused", "the person refused, or was signed out or removed since")
	case errors.Is(err, session.ErrDeviceOver):
		return tell("expired_token", "device.expired", "the code is older than ten minutes, was used, or never was: begin again")
	}
	return unavailable
}
