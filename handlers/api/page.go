package api

import (
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// TellByPage has browsers be told by a page of what the edge itself refuses at a path
// and below it, such as a path that can be read in two ways. Everybody else is told as
// everywhere, and so is what failed on our side.
func TellByPage(e *echo.Echo, path string, page func(echo.Context, error) error) {
	tell := e.HTTPErrorHandler
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		status := explain(err).Status
		if at := c.Request().URL.Path; at != path && !strings.HasPrefix(at, path+"/") ||
			c.Response().Committed || status >= http.StatusInternalServerError || !wantsPage(c.Request()) {
			tell(err, c)
			return
		}
		if page(c, err) != nil {
			tell(err, c)
		}
	}
}

// wantsPage tells whether a request is a browser's, for something to show.
func wantsPage(r *http.Request) bool {
	for accepted := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		if typ, _, err := mime.ParseMediaType(accepted); err == nil && typ == "text/html" {
			return true
		}
	}
	return false
}
