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
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/projections/control"
	"sallyport.dev/streams"
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
	Source     string      `json:"source"`     // network of the sign-in
	UserAgent  string      `json:"user_agent"` // up to 200 bytes
	// Proofs is what it was begun with, and what was proved in it since. It ends with
	// the first that proves nothing any more.
	Proofs []Proof `json:"proofs,omitempty"`
	Notice string  `json:"notice,omitempty"` // to be shown on the next page, once

	key string // in the bucket
}

// Proof is what somebody proved with who they are: a passkey, or an account at an
// OpenID provider.
type Proof struct {
	Passkey string           `json:"passkey,omitempty"` // its id
	Account identity.Account `json:"account,omitzero"`
}

// stands tells whether it is still the person's.
func (p Proof) stands(s identity.State, n domain.Name) bool {
	if p.Passkey != "" {
		k, known := s.Passkey(p.Passkey)
		return known && k.Person == n
	}
	of, known := s.Person(p.Account)
	return known && of == n
}

// Bucket is where sessions are; [streams.ExpiringBucket] is one.
type Bucket interface {
	Create(ctx context.Context, key string, val []byte, life time.Duration) error
	Get(ctx context.Context, key string) (val []byte, revision uint64, err error)
	Replace(ctx context.Context, key string, val []byte, revision uint64, life time.Duration) error
	Take(ctx context.Context, key string, revision uint64) error
	Delete(ctx context.Context, key string) error
	Keys(ctx context.Context, prefix string) ([]string, error)
}

// Keys are one of these, and the hash of a cookie.
const (
	ofSessions = "s"
	ofAttempts = "a"
)

// Manager is the sessions of one organisation. It is safe for concurrent use.
type Manager struct {
	bucket Bucket
	now    func() time.Time
}

// New is the sessions in a bucket.
func New(b Bucket, now func() time.Time) *Manager { return &Manager{bucket: b, now: now} }

var cookieForm = regexp.MustCompile(`\A[A-Za-z0-9_-]{43}\z`)

// newCookie is 256 bits of chance.
func newCookie() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return base64.RawURLEncoding.EncodeToString(secret)
}

func hash(cookie string) string {
	h := sha256.Sum256([]byte(cookie))
	return hex.EncodeToString(h[:])
}

func sessionKey(cookie string) string { return ofSessions + "." + hash(cookie) }

// Name makes the cookie of a session that will be, and its id, so that its
// beginning is recorded before there is one. The cookie is known here and now alone.
func Name() (cookie, id string) {
	cookie = newCookie()
	return cookie, hash(cookie)[:16]
}

// Create signs s.Person in and gives the cookie.
func (m *Manager) Create(ctx context.Context, s Session) (cookie string, _ Session, err error) {
	cookie, _ = Name()
	s, err = m.CreateAs(ctx, cookie, s)
	return cookie, s, err
}

// CreateAs signs s.Person in by a cookie that [Name] made.
func (m *Manager) CreateAs(ctx context.Context, cookie string, s Session) (Session, error) {
	now := m.now()
	s.ID = hash(cookie)[:16]
	if s.SignedInAt.IsZero() {
		s.SignedInAt = now
	}
	s.SeenAt = now
	if len(s.UserAgent) > maxUserAgent {
		s.UserAgent = strings.ToValidUTF8(s.UserAgent[:maxUserAgent], "")
	}
	b, err := json.Marshal(s)
	if err != nil {
		return s, fmt.Errorf("encoding a session: %w", err)
	}
	return s, m.bucket.Create(ctx, sessionKey(cookie), b, m.life(s))
}

// maxUserAgent bounds what a browser says it is, in bytes.
const maxUserAgent = 200

// life is how long a session lasts unless it is used again.
func (m *Manager) life(s Session) time.Duration {
	return min(s.SeenAt.Add(Idle).Sub(m.now()), s.SignedInAt.Add(Absolute).Sub(m.now()))
}

// Find is the session of that cookie, or [ErrNone].
func (m *Manager) Find(ctx context.Context, cookie string) (Session, error) {
	if !cookieForm.MatchString(cookie) {
		return Session{}, ErrNone
	}
	s, _, err := m.get(ctx, sessionKey(cookie))
	return s, err
}

func (m *Manager) get(ctx context.Context, key string) (s Session, revision uint64, err error) {
	b, revision, err := m.bucket.Get(ctx, key)
	switch {
	case errors.Is(err, streams.ErrNoKey):
		return Session{}, 0, ErrNone
	case err != nil:
		return Session{}, 0, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return Session{}, 0, fmt.Errorf("reading a session: %w", err)
	}
	if m.life(s) <= 0 {
		return Session{}, 0, ErrNone
	}
	s.key = key
	return s, revision, nil
}

// seenEvery is how often a session is noted as in use.
const seenEvery = time.Minute

// Seen notes that the session is in use, if it still is one.
func (m *Manager) Seen(ctx context.Context, cookie string, s Session) error {
	if m.now().Sub(s.SeenAt) < seenEvery {
		return nil
	}
	return m.Change(ctx, cookie, func(s *Session) { s.SeenAt = m.now() })
}

// Change has f change the session, under the same cookie. One that was ended
// meanwhile stays ended: [ErrNone]. f may be called several times.
func (m *Manager) Change(ctx context.Context, cookie string, f func(*Session)) error {
	for {
		s, revision, err := m.get(ctx, sessionKey(cookie))
		if err != nil {
			return err
		}
		f(&s)
		b, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encoding a session: %w", err)
		}
		if err = m.bucket.Replace(ctx, sessionKey(cookie), b, revision, m.life(s)); !errors.Is(err, streams.ErrKeyMoved) {
			return err
		}
	}
}

// End ends the session of that cookie.
func (m *Manager) End(ctx context.Context, cookie string) error {
	if !cookieForm.MatchString(cookie) {
		return nil
	}
	return m.bucket.Delete(ctx, sessionKey(cookie))
}

// List is a person's sessions that hold, newest first, up to [MaxListed].
func (m *Manager) List(ctx context.Context, person domain.Name) (out []Session, err error) {
	keys, err := m.bucket.Keys(ctx, ofSessions)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		s, _, err := m.get(ctx, key)
		switch {
		case errors.Is(err, ErrNone) || err == nil && s.Person != person:
			continue
		case err != nil:
			return nil, err
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Session) int { return b.SignedInAt.Compare(a.SignedInAt) })
	return out[:min(len(out), MaxListed)], nil
}

// Count is how many sessions there are, of everybody.
func (m *Manager) Count(ctx context.Context) (int, error) {
	keys, err := m.bucket.Keys(ctx, ofSessions)
	return len(keys), err
}

// MaxListed bounds how many sessions are listed, and so ended, at once.
const MaxListed = 100

// Revoke ends these sessions, as [Manager.List] told them.
func (m *Manager) Revoke(ctx context.Context, ended []Session) error {
	for _, s := range ended {
		if err := m.bucket.Delete(ctx, s.key); err != nil {
			return err
		}
	}
	return nil
}

// With is what the session was proved with, and with what of those is not among it.
func (s Session) With(more []Proof) []Proof {
	out := slices.Clone(s.Proofs)
	for _, p := range more {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// Begun is those of the sessions that rest on the proof.
func Begun(with Proof, all []Session) []Session {
	return slices.DeleteFunc(slices.Clone(all), func(s Session) bool { return !slices.Contains(s.Proofs, with) })
}

// Withdrawn is what is recorded when a proof of a person's is taken away: which
// sessions end by it, and which programs are let in no more. Those are all that the
// person let in: of none is it known by which proof.
func Withdrawn(s *control.State, who domain.Name, ended []Session, m domain.Meta) ([]domain.Fact, error) {
	facts, err := SignOuts(s, ended, m)
	for _, t := range s.People().Tokens() {
		if err != nil || t.Person != who || t.CreatedBy != who.String() || !m.Now.Before(t.ExpiresAt) {
			continue
		}
		var revoked []domain.Fact
		revoked, err = person.Decide(s.People(), person.RevokeToken{ID: t.ID}, m)
		facts = append(facts, revoked...)
	}
	return facts, err
}

// SignOuts is what is recorded of sessions that are ended, before they are.
func SignOuts(s *control.State, ended []Session, m domain.Meta) (facts []domain.Fact, err error) {
	for _, one := range ended {
		more, err := identity.Decide(s.Identities(), identity.SignOut{Person: one.Person, Session: one.ID, At: one.SignedInAt}, m)
		if err != nil {
			return nil, err
		}
		facts = append(facts, more...)
	}
	return facts, nil
}

// Caller is the session's person, as /v1 takes callers.
type Caller struct{ Session Session }

// Actor is the person with every role that they bear now, while they are known
// and what they proved who they are with is theirs.
func (c Caller) Actor(s *control.State, now time.Time) (domain.Actor, error) {
	if _, known := s.Person(c.Session.Person); !known {
		return domain.Actor{}, ErrNone
	}
	if slices.ContainsFunc(c.Session.Proofs, func(p Proof) bool { return !p.stands(s.Identities(), c.Session.Person) }) {
		return domain.Actor{}, ErrNone
	}
	return domain.Actor{ID: c.Session.Person.String(), Roles: s.EffectiveRoles(c.Session.Person, now)}, nil
}

// MFAAt is when the session last proved a second factor.
func (c Caller) MFAAt() time.Time { return c.Session.MFAAt }
