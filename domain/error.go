package domain

import (
	"errors"
	"fmt"
)

// Kind tells a caller what to do about an error; the edge turns it into a status.
type Kind int

const (
	_               Kind = iota
	KindInvalid          // the request breaks a rule: 422
	KindMalformed        // the request cannot be read: 400
	KindUnknownUser      // no or bad credentials: 401
	KindForbidden        // the caller may not: 403
	KindNotFound         // it is not there: 404
	KindConflict         // it contradicts what is: 409
	KindStale            // If-Match names another version: 412
	KindTooMany          // later: 429
	KindUnavailable      // not now, nothing was done or it is not known: 503
)

// Error is an error that is the caller's to act on: what to do about it, a
// stable code, and one sentence without secrets. Any other error is ours.
type Error struct {
	Kind    Kind
	Code    string // stable, such as connection.same_person
	Message string // one sentence: what is wrong and what to do next
	Fields  []FieldError
}

// FieldError is one field that breaks a rule.
type FieldError struct {
	Pointer string `json:"pointer"` // RFC 6901, such as /conditions/0/value
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

func (e *Error) Error() string {
	if len(e.Fields) == 0 {
		return e.Message
	}
	return fmt.Sprintf("%s (%s: %s)", e.Message, e.Fields[0].Pointer, e.Fields[0].Detail)
}

// Is makes errors.Is compare by code, so that a sentence may say more than its sentinel.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// With is the same error with another sentence.
func (e *Error) With(format string, args ...any) *Error {
	c := *e
	c.Message = fmt.Sprintf(format, args...)
	return &c
}

// WithFields is the same error naming the fields that break a rule.
func (e *Error) WithFields(f ...FieldError) *Error {
	c := *e
	c.Fields = f
	return &c
}

// Invalid is an error of [KindInvalid].
func Invalid(code, message string) *Error {
	return &Error{Kind: KindInvalid, Code: code, Message: message}
}

// MaxFields bounds the fields that one error names, since an answer must not
// grow with what a stranger sends.
const MaxFields = 100

// ErrFields is the error of a document whose fields break rules; each is named,
// up to the first [MaxFields].
func ErrFields(f []FieldError) error {
	if len(f) == 0 {
		return nil
	}
	return Invalid("request.invalid", "Nothing was done: some of what was sent breaks a rule.").WithFields(f[:min(len(f), MaxFields)]...)
}
