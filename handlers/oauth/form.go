// Package oauth is what the endpoints that speak OAuth share: how a form is read
// (RFC 6749 section 3.2) and how an error is told (section 5.2).
package oauth

import (
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Bounds of a form; what is beyond them is refused before it is read further.
const (
	// MaxBody bounds the form, in bytes.
	MaxBody = 64 << 10
	// maxParameters bounds how many parameters a form may hold.
	maxParameters = 32
	// maxValue bounds every parameter but a token, in bytes.
	maxValue = 2048
)

// Form is a request as sent: every parameter, in order.
type Form map[string][]string

// ParseForm reads an application/x-www-form-urlencoded body strictly: no
// broken escape, no bytes that are not UTF-8, no control character, and no
// parameter twice but audience and resource (RFC 6749 section 3.2, RFC 8693
// section 2.1). Parameters that nobody knows are ignored, as RFC 6749 asks.
func ParseForm(body string) (Form, error) {
	f := Form{}
	if body == "" {
		return f, nil
	}
	pairs := strings.Split(body, "&")
	if len(pairs) > maxParameters {
		return nil, fmt.Errorf("the form holds more than %d parameters", maxParameters)
	}
	for _, pair := range pairs {
		rawName, rawValue, ok := strings.Cut(pair, "=")
		if !ok || rawName == "" {
			return nil, errors.New("each parameter must be name=value")
		}
		name, err := unescape(rawName)
		if err != nil || controls(name) {
			return nil, errors.New("a parameter name is not form encoded UTF-8 text")
		}
		value, err := unescape(rawValue)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s is not form encoded UTF-8 text", known(name))
		case isToken(name): // whoever reads tokens has bounds of their own, and says what is wrong
		case controls(value):
			return nil, fmt.Errorf("%s holds a control character, such as a line end", known(name))
		case len(value) > maxValue:
			return nil, fmt.Errorf("%s is longer than %d bytes", known(name), maxValue)
		}
		if len(f[name]) > 0 && name != "audience" && name != "resource" {
			return nil, fmt.Errorf("%s may be given only once", known(name))
		}
		f[name] = append(f[name], value)
	}
	return f, nil
}

// unescape decodes one name or value. A JWT needs no decoding, and is most of a form.
func unescape(s string) (string, error) {
	if strings.ContainsAny(s, "%+") {
		decoded, err := url.QueryUnescape(s)
		if err != nil {
			return "", err
		}
		s = decoded
	}
	if !utf8.ValidString(s) {
		return "", errors.New("not UTF-8")
	}
	return s, nil
}

// isToken tells the parameters that hold a token.
func isToken(name string) bool {
	return name == "subject_token" || name == "assertion" || name == "token"
}

// controls tells whether s holds a control character, which no parameter but a token may.
func controls(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == 0x7f {
			return true
		}
	}
	return false
}

// known names a parameter in an error only if it is one of ours, so that a
// sender's own text is never sent back.
func known(name string) string {
	switch name {
	case "grant_type", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "assertion", "connection",
		"audience", "resource", "role_hint", "scope", "requested_token_type", "token", "token_type_hint", "client_id",
		"client_secret", "client_assertion", "client_assertion_type", "device_code":
		return name
	}
	return "a parameter"
}

// Get is the value of a parameter that stands once; empty is absent (RFC 6749 section 3.2).
func (f Form) Get(name string) string {
	if v := f[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// formEncoded tells whether a Content-Type is the one that the token endpoint takes.
func formEncoded(contentType string) bool {
	t, params, err := mime.ParseMediaType(contentType)
	if err != nil || t != "application/x-www-form-urlencoded" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}
