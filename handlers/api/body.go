package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// ReadBody reads the whole body, at most limit bytes; a larger one is an error
// that is answered with 413, and ends the connection.
func ReadBody(c echo.Context, limit int64) ([]byte, error) {
	if c.Request().ContentLength > limit {
		return nil, errTooLarge
	}
	// net/http's own writer, and not echo's around it: only that one is told to close the connection.
	b, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, c.Request().Body, limit))
	var large *http.MaxBytesError
	if err != nil && !errors.As(err, &large) {
		return nil, &refusal{http.StatusBadRequest, "body.incomplete", "The body ended before it was complete."}
	}
	return b, err
}

// jsonBody tells whether the request says that its body is plain JSON.
func jsonBody(r *http.Request) bool {
	if len(r.Header.Values("Content-Type")) != 1 || r.Header.Get("Content-Encoding") != "" {
		return false
	}
	typ, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || typ != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

// writeJSON answers v. The answer is built before anything is sent, so that a
// failure to build it can still be told.
func writeJSON(c echo.Context, status int, mediaType string, v any) error {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	return c.Blob(status, mediaType, b.Bytes())
}
