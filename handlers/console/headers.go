package console

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/labstack/echo/v4"
)

// nonceKey is where echo's context has the nonce of the answer.
const nonceKey = "sallyport.nonce"

// setHeaders says what browsers may do with an answer: nothing from elsewhere,
// nothing inline, no script without this answer's nonce, no frame around it. By
// TLS they come by TLS alone from then on: the first request has the session.
func setHeaders(ec echo.Context, secure bool) {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	nonce := base64.RawURLEncoding.EncodeToString(raw)
	ec.Set(nonceKey, nonce)
	h := ec.Response().Header()
	h.Set("Content-Security-Policy", contentPolicy(nonce))
	// Of us, other sites learn nothing; our own forms have to say where they are from,
	// which they would not by no-referrer (Fetch, "append a request Origin header").
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	h.Set("Permissions-Policy", "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()")
}

// contentPolicy is the Content-Security-Policy.
func contentPolicy(nonce string) string {
	return "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'; trusted-types htmx"
}

func nonceOf(ec echo.Context) string {
	n, _ := ec.Get(nonceKey).(string)
	return n
}
