package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"sallyport.dev/cmd/internal/cli"
)

// refusal is an error answer in either form: a problem document of the API
// (RFC 9457) or an error of the token endpoint (RFC 6749).
type refusal struct {
	Title, Detail, Code string
	RequestID           string `json:"request_id"`
	Errors              []struct{ Pointer, Code, Detail string }
	Error               string
	Description         string `json:"error_description"`
	ErrorCode           string `json:"error_code"`
}

// failure turns an error answer into what a person is told.
func failure(res *http.Response, body []byte) *cli.Error {
	var r refusal
	if json.Unmarshal(body, &r) != nil || r.Title == "" && r.Error == "" {
		return &cli.Error{
			Exit: exitOf(res.StatusCode, ""), Message: "the server answered " + res.Status,
			Next: cmp.Or(nextOf(res, ""), "check that SALLYPORT_ADDR names a Sallyport server"),
		}
	}
	code := cmp.Or(r.ErrorCode, r.Code)
	e := &cli.Error{
		Exit:      exitOf(res.StatusCode, r.ErrorCode),
		Message:   cmp.Or(r.Description, r.Detail, r.Title, r.Error),
		Code:      cmp.Or(code, r.Error),
		Next:      nextOf(res, cmp.Or(code, r.Error)),
		RequestID: cmp.Or(r.RequestID, res.Header.Get("X-Request-Id")),
	}
	for _, f := range r.Errors {
		e.Details = append(e.Details, fmt.Sprintf("%s: %s (%s)", cmp.Or(f.Pointer, "/"), f.Detail, f.Code))
	}
	return e
}

// exitOf tells a denial, and "not now", from other errors. Whatever the token
// endpoint refuses about the connection or the proof is a denial.
func exitOf(status int, errorCode string) int {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return cli.ExitDenied
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		return cli.ExitUnreachable
	case status == http.StatusBadRequest && errorCode != "" && errorCode != "request.invalid":
		return cli.ExitDenied
	}
	return cli.ExitFailed
}

// nexts say what to do about a code. What is not here goes by its status.
var nexts = map[string]string{
	"connection.unknown":     "check the name with `sallyport connection list`",
	"connection.ambiguous":   "name one with --connection",
	"connection.draft":       "the token satisfies the draft; ask a security admin to activate it",
	"connection.inactive":    "ask a security admin to activate the connection",
	"connection.same_person": "ask another security admin: nobody activates what they wrote",
	"connection.blocked":     "read the warnings with `sallyport connection show`, then acknowledge each with --acknowledge CODE",
	"connection.taken":       "choose another name; the name of a deleted connection is never given again",
	"connection.active":      "deactivate it first: `sallyport connection deactivate`",
	"proof.malformed":        "send the JWT alone, as the platform gave it",
	"proof.algorithm":        "the connection's algorithms do not list the token's `alg`",
	"proof.unknown_key":      "check the connection's key source, and that the token comes from that issuer",
	"proof.signature":        "the token was changed on its way, or another issuer signed it",
	"proof.expired":          "get a new token from the platform; they are short-lived",
	"proof.not_yet_valid":    "check the clocks of the issuer and of this machine",
	"proof.too_old":          "get a new token from the platform right before the exchange",
	"proof.conditions":       "`sallyport wl test` with SALLYPORT_TOKEN set shows which condition failed; so does the audit trail",
	"proof.identity":         "the claim that names the workload is missing or empty",
	"proof.replayed":         "get a new token: this connection takes each only once",
	"keys.unavailable":       "the provider's keys cannot be fetched now; try again",
	"audience.not_allowed":   "ask for an audience that the connection lists",
	"log.unavailable":        "nothing was issued or changed; try again",
}

func nextOf(res *http.Response, code string) string {
	if n, ok := nexts[code]; ok {
		return n
	}
	switch res.StatusCode {
	case http.StatusUnauthorized:
		return "set SALLYPORT_TOKEN to a token that is not expired or revoked"
	case http.StatusForbidden:
		return "ask someone who has the role"
	case http.StatusNotFound:
		return "check the name, and SALLYPORT_ORG"
	case http.StatusConflict:
		return "read it again (`sallyport connection show`), then decide"
	case http.StatusPreconditionFailed, http.StatusPreconditionRequired:
		return "someone changed it meanwhile: read it again, then repeat"
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return "correct what is named and repeat"
	case http.StatusTooManyRequests:
		return "wait " + retryAfter(res) + " and repeat"
	}
	if res.StatusCode >= 500 {
		return "try again in " + retryAfter(res)
	}
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		return "the server redirects, which is not followed: set SALLYPORT_ADDR to its final address"
	}
	return ""
}

func retryAfter(res *http.Response) string {
	if s := res.Header.Get("Retry-After"); s != "" && strings.Trim(s, "0123456789") == "" {
		return s + " s"
	}
	return "a moment"
}
