package console

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// themeCookie keeps light or dark; without it the system decides.
const themeCookie = "sallyport-theme"

func themeOf(ec echo.Context) string {
	c, err := ec.Cookie(themeCookie)
	if err != nil || c.Value != "light" && c.Value != "dark" {
		return ""
	}
	return c.Value
}

// chooseTheme keeps how the person wants to see the console, at this browser.
func (c *Console) chooseTheme(ec echo.Context) error {
	form, err := c.stranger(ec).form()
	if err != nil {
		return err
	}
	kept := &http.Cookie{Name: themeCookie, Value: form.Get("theme"), Path: base, MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: c.secure(), SameSite: http.SameSiteLaxMode}
	if kept.Value != "light" && kept.Value != "dark" {
		kept.Value, kept.MaxAge = "", -1
	}
	ec.SetCookie(kept)
	back := local(form.Get("return"))
	if back == "" {
		back = base + "/"
	}
	return ec.Redirect(http.StatusSeeOther, back)
}
