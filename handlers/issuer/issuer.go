// Package issuer is an organisation as others see it who hold its tokens: its
// discovery documents, its public keys, and introspection.
//
// Discovery and keys are public and cacheable. Introspection answers from the
// control state as it is now: a token of an inactive connection is not active,
// and is again once the connection is.
package issuer

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/device"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/organisation"
)

// keysMaxAge is how long verifiers may keep the key set, in seconds. A key is
// published for longer than that before it signs.
const keysMaxAge = "300"

// Issuer serves one organisation.
type Issuer struct {
	org     *organisation.Organisation
	sources *limit.Limiter
}

// New serves o. sources limits how often one network may ask; nil does not.
func New(o *organisation.Organisation, sources *limit.Limiter) *Issuer { return &Issuer{o, sources} }

// Mount serves discovery, keys, those of the SSH authority too, and introspection in the organisation's group,
// and on root the RFC 8414 form of discovery, which puts the path behind the
// well-known name.
func (i *Issuer) Mount(root *echo.Echo, g *echo.Group) {
	limited := func(h echo.HandlerFunc) echo.HandlerFunc { return h }
	if i.sources != nil {
		limited = api.LimitBySource(i.sources, i.org.Now)
	}
	g.GET("/.well-known/openid-configuration", i.discovery, limited)
	root.GET("/.well-known/oauth-authorization-server/orgs/"+i.org.Name().String(), i.discovery, limited)
	g.GET("/jwks", i.keys, limited)
	g.GET("/ssh/ca.pub", i.sshKeys, limited)
	g.POST("/introspect", i.introspect)
}

// metadata is OpenID Connect Discovery 1.0 section 3 and RFC 8414 section 2 in one.
type metadata struct {
	Issuer                    string   `json:"issuer"`
	TokenEndpoint             string   `json:"token_endpoint"`
	JWKSURI                   string   `json:"jwks_uri"`
	IntrospectionEndpoint     string   `json:"introspection_endpoint"`
	DeviceEndpoint            string   `json:"device_authorization_endpoint"`
	GrantTypes                []string `json:"grant_types_supported"`
	ResponseTypes             []string `json:"response_types_supported"`
	SubjectTypes              []string `json:"subject_types_supported"`
	IDTokenAlgorithms         []string `json:"id_token_signing_alg_values_supported"`
	TokenEndpointAuthMethods  []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectionEndpointAuth []string `json:"introspection_endpoint_auth_methods_supported"`
	Claims                    []string `json:"claims_supported"`
}

func (i *Issuer) discovery(c echo.Context) error {
	public(c, "3600")
	iss := i.org.Issuer()
	return c.JSON(http.StatusOK, metadata{
		Issuer: iss, TokenEndpoint: iss + "/token", JWKSURI: iss + "/jwks", IntrospectionEndpoint: iss + "/introspect",
		DeviceEndpoint: iss + "/device_authorization",
		GrantTypes: []string{
			"urn:ietf:params:oauth:grant-type:token-exchange",
			"urn:ietf:params:oauth:grant-type:jwt-bearer",
			device.Grant,
		},
		// No authorization endpoint: the clouds want the members all the same.
		ResponseTypes: []string{"id_token"}, SubjectTypes: []string{"public"},
		IDTokenAlgorithms:         []string{"RS256", "ES256"},
		TokenEndpointAuthMethods:  []string{"none"},
		IntrospectionEndpointAuth: []string{"bearer"},
		Claims:                    []string{"iss", "sub", "aud", "iat", "nbf", "exp", "jti", "client_id", "cid", "scope", "scp", "sallyport"},
	})
}

func (i *Issuer) keys(c echo.Context) error {
	public(c, keysMaxAge)
	return c.JSONBlob(http.StatusOK, i.org.PublicKeys())
}

// public marks an answer that anybody may have, read in a browser and keep.
func public(c echo.Context, maxAge string) {
	h := c.Response().Header()
	h.Set("Cache-Control", "public, max-age="+maxAge)
	h.Set("Access-Control-Allow-Origin", "*")
}
