package oauth

import (
	"errors"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"sallyport.dev/handlers/api"
)

// Error is an OAuth error (RFC 6749 section 5.2), and ours: a stable code, and
// the request by which the event that explains it is found.
type Error struct {
	Status      int    `json:"-"` // 0 is 400
	RetryAfter  string `json:"-"` // seconds; empty: no such header
	Code        string `json:"error"`
	Description string `json:"error_description"` // in the characters of RFC 6749 section 5.2: no quote, no backslash
	ErrorCode   string `json:"error_code"`
	RequestID   string `json:"request_id"`
}

// InvalidRequest is a request that cannot be understood.
func InvalidRequest(description string) *Error {
	return &Error{Code: "invalid_request", ErrorCode: "request.invalid", Description: description}
}

// Refuse answers an error.
func Refuse(c echo.Context, e *Error) error {
	e.RequestID = api.RequestID(c)
	if e.Status == 0 {
		e.Status = http.StatusBadRequest
	}
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	if e.RetryAfter != "" {
		h.Set("Retry-After", e.RetryAfter)
	}
	if e.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	return c.JSON(e.Status, e)
}

// ReadForm reads the form of a request: from the body alone, and no more of it
// than [MaxBody]. Whoever sends more is not listened to any longer.
func ReadForm(c echo.Context) (Form, *Error) {
	req := c.Request()
	if req.URL.RawQuery != "" {
		return nil, InvalidRequest("parameters go into the body: the URL takes none")
	}
	if !formEncoded(req.Header.Get("Content-Type")) {
		return nil, InvalidRequest("Content-Type must be application/x-www-form-urlencoded")
	}
	// net/http's own writer, and not echo's around it: only that one is told to close the connection.
	body, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, req.Body, MaxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			e := InvalidRequest("the body is larger than 64 KiB")
			e.Status = http.StatusRequestEntityTooLarge
			return nil, e
		}
		return nil, InvalidRequest("the body could not be read")
	}
	f, err := ParseForm(string(body))
	if err != nil {
		return nil, InvalidRequest(err.Error())
	}
	return f, nil
}
