package api

import (
	"context"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
	"sallyport.dev/projections/control"
)

// Caller is a person whom somebody else has authenticated: the console, whose
// sessions are no bearer tokens. It is asked again whenever a call is decided.
type Caller interface {
	// Actor is who it is and what they bear by that state, or why they are nobody any more.
	Actor(s *control.State, now time.Time) (domain.Actor, error)
	// MFAAt is when they last proved a second factor; zero: never.
	MFAAt() time.Time
}

type callerKey struct{}

// WithCaller has the routes of /v1 take requests with that context as the
// caller's. A context is made by us alone: nothing that a client sends gets into it.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// callerIn is the caller that a context names; ok is false where it names none.
func callerIn(ctx context.Context) (c Caller, ok bool) {
	c, ok = ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// tokenCaller is a person by their API token.
type tokenCaller struct {
	hash string
	// As the token says; known once it was looked for.
	mfaAt   time.Time
	loginAt time.Time // zero of one that was made on the host
}

func (t *tokenCaller) Actor(s *control.State, now time.Time) (domain.Actor, error) {
	token, _ := s.TokenOf(t.hash)
	t.mfaAt = token.MFAAt
	if token.LetIn() {
		t.loginAt = token.CreatedAt
	}
	return s.Authenticate(t.hash, now)
}

func (t *tokenCaller) MFAAt() time.Time { return t.mfaAt }

// errStale refuses a token of a login that shows too little of who is there by now.
var errStale = &domain.Error{Kind: domain.KindForbidden, Code: "session.stale",
	Message: "It is more than an hour ago that you logged in, and this asks who you are anew: run sallyport login, then repeat."}

// stale tells whether it is of a login that is too long ago for what gives power.
func (t *tokenCaller) stale(now time.Time) bool {
	return !t.loginAt.IsZero() && now.Sub(t.loginAt) >= person.LoginProves
}

// person is who the caller is by the state as folded here.
func (c *Call) person() (a domain.Actor, err error) {
	c.tenant.Read(func(s *control.State, _ domain.Head) { a, err = c.caller.Actor(s, c.tenant.Now()) })
	return a, err
}
