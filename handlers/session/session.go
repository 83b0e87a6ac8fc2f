// Package session keeps who is signed in to the console: in a bucket of the
// log's servers, so that every replica knows a session, and knows at once when
// it has ended. A session is named by a random cookie, of which only the
// SHA-256 is kept.
package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/projections/control"
)

// How long a session lasts: without a request, and whatever happens.
const (
	Idle     = 30 * time.Minute
	Absolute = 12 * time.Hour
)

// ErrNone means that there is no such session, or no more.
var ErrNone = &domain.Error{Kind: domain.KindUnknownUser, Code: "session.none", Message: "You are not signed in, or no longer: sign in again."}

// Session is one person signed in at one browser.
type Session struct {
	ID         string      `json:"id"` // the first 16 hex digits of the cookie's hash; names it in events and lists
	Person     domain.Name `json:"person"`
	Method     string      `json:"method"`             // oidc or passkey
	Provider   string      `json:"provider,omitempty"` // name of the OpenID provider
	SignedInAt time.Time   `json:"signed_in_at"`
	MFAAt      time.Time   `json:"mfa_at,omitzero"` // when a second factor was last proved
	FreshAt    time.Time   `json:"fresh_at"`        // when they last proved who they are, for what asks for it anew
	SeenAt     time.Time   `json:"seen_at"`
	Source     string      `json:"source"`           // network of the sign-in
	UserAgent  string      `json:"user_agent"`       // up to 200 bytes
	Notice     string      `json:"notice,omitempty"` // to be shown on the next page, once
}

// Bucket is where sessions are, by the hash of their cookie.
type Bucket interface {
	Put(ctx context.Context, key string, val []byte) error
	Get(ctx context.Context, key string) ([]byte, error)
	Delete(ctx context.Context, key string) error
	Keys(ctx context.Context) ([]string, error)
}

// Manager is the sessions of one organisation. It is safe for concurrent use.
type Manager struct {
	bucket Bucket
	absent error // what Get says of a key that is not there
	now    func() time.Time
}

// New is the sessions in a bucket; absent is the error by which it tells that a
// key is not there.
func New(b Bucket, absent error, now func() time.Time) *Manager {
	return &Manager{bucket: b, absent: absent, now: now}
}

var cookieForm = regexp.MustCompile(`\A[A-Za-z0-9_-]{43}\z`)

func hash(cookie string) string {
	h := sha256.Sum256([]byte(cookie))
	return hex.EncodeToString(h[:])
}

// Create signs s.Person in and gives the cookie, which is known here and now alone.
func (m *Manager) Create(ctx context.Context, s Session) (cookie string, _ Session, err error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return "", s, err
	}
	cookie = base64.RawURLEncoding.EncodeToString(secret)
	now := m.now()
	s.ID = hash(cookie)[:16]
	if s.SignedInAt.IsZero() {
		s.SignedInAt = now
	}
	s.SeenAt = now
	return cookie, s, m.put(ctx, hash(cookie), s)
}

func (m *Manager) put(ctx context.Context, key string, s Session) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding a session: %w", err)
	}
	return m.bucket.Put(ctx, key, b)
}

// Find is the session of that cookie, or [ErrNone].
func (m *Manager) Find(ctx context.Context, cookie string) (Session, error) {
	if !cookieForm.MatchString(cookie) {
		return Session{}, ErrNone
	}
	return m.get(ctx, hash(cookie))
}

func (m *Manager) get(ctx context.Context, key string) (s Session, err error) {
	b, err := m.bucket.Get(ctx, key)
	switch {
	case errors.Is(err, m.absent):
		return Session{}, ErrNone
	case err != nil:
		return Session{}, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return Session{}, fmt.Errorf("reading a session: %w", err)
	}
	if now := m.now(); !now.Before(s.SeenAt.Add(Idle)) || !now.Before(s.SignedInAt.Add(Absolute)) {
		return Session{}, ErrNone
	}
	return s, nil
}

// seenEvery is how often a session is noted as in use.
const seenEvery = time.Minute

// Seen notes that the session is in use.
func (m *Manager) Seen(ctx context.Context, cookie string, s Session) error {
	if now := m.now(); now.Sub(s.SeenAt) >= seenEvery {
		s.SeenAt = now
		return m.put(ctx, hash(cookie), s)
	}
	return nil
}

// Change stores the session as changed, under the same cookie.
func (m *Manager) Change(ctx context.Context, cookie string, s Session) error {
	return m.put(ctx, hash(cookie), s)
}

// Renew ends the session of the cookie and goes on with s under a new one, as
// after every proof of who it is.
func (m *Manager) Renew(ctx context.Context, cookie string, s Session) (fresh string, _ Session, err error) {
	if fresh, s, err = m.Create(ctx, s); err != nil {
		return "", s, err
	}
	return fresh, s, m.bucket.Delete(ctx, hash(cookie))
}

// End ends the session of that cookie.
func (m *Manager) End(ctx context.Context, cookie string) error {
	if !cookieForm.MatchString(cookie) {
		return nil
	}
	return m.bucket.Delete(ctx, hash(cookie))
}

// List is a person's sessions that hold, newest first.
func (m *Manager) List(ctx context.Context, person domain.Name) (out []Session, err error) {
	err = m.each(ctx, func(_ string, s Session) error {
		if s.Person == person {
			out = append(out, s)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b Session) int { return b.SignedInAt.Compare(a.SignedInAt) })
	return out, err
}

// Revoke ends the person's session of that id; [ErrNone] if they have none of it.
func (m *Manager) Revoke(ctx context.Context, person domain.Name, id string) error {
	found := false
	err := m.each(ctx, func(key string, s Session) error {
		if s.ID != id || s.Person != person {
			return nil
		}
		found = true
		return m.bucket.Delete(ctx, key)
	})
	if err == nil && !found {
		return ErrNone
	}
	return err
}

// each calls f with every session that holds, and takes the others away.
func (m *Manager) each(ctx context.Context, f func(key string, s Session) error) error {
	keys, err := m.bucket.Keys(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		s, err := m.get(ctx, key)
		switch {
		case errors.Is(err, ErrNone):
			err = m.bucket.Delete(ctx, key)
		case err == nil:
			err = f(key, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Sweep takes away the sessions that are over.
func (m *Manager) Sweep(ctx context.Context) error {
	return m.each(ctx, func(string, Session) error { return nil })
}

// Caller is the session's person, as /v1 takes callers.
type Caller struct{ Session Session }

// Actor is the person with every role that they bear now, while they are known.
func (c Caller) Actor(s *control.State, now time.Time) (domain.Actor, error) {
	if _, known := s.Person(c.Session.Person); !known {
		return domain.Actor{}, ErrNone
	}
	return domain.Actor{ID: c.Session.Person.String(), Roles: s.EffectiveRoles(c.Session.Person, now)}, nil
}

// MFAAt is when the session last proved a second factor.
func (c Caller) MFAAt() time.Time { return c.Session.MFAAt }
