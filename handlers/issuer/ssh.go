package issuer

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// sshKeys is the keys that servers are to trust, as TrustedUserCAKeys of sshd
// wants them: the one that signs, then the next one. The comment tells an
// operator whose they are; sshd ignores it.
func (i *Issuer) sshKeys(c echo.Context) error {
	public(c, keysMaxAge)
	var b strings.Builder
	for _, k := range i.org.TrustedSSHKeys() {
		b.WriteString(k.Public + " sallyport-" + i.org.Name().String() + "\n")
	}
	return c.String(http.StatusOK, b.String())
}
