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
	"sync"
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
var ErrNone = person.ErrEnded

// Session is one person signed in at one browser.
type Session struct {
	ID         string      `json:"id"` // the first 16 hex digits of the cookie's hash; names it in events and lists
	Person     domain.Name `json:"person"`
	Method     string      `json:"method"`             // oidc or passkey
	Provider   string      `json:"provider,omitempty"` // name of the OpenID provider
	SignedInAt time.Time   `json:"signed_in_at"`
	// Began is where in the log their sign-in stands. What signs them out everywhere
	// after it ends the session.
	Began     domain.Position `json:"began"`
	MFAAt     time.Time       `json:"mfa_at,omitzero"` // when a second factor was last proved
	FreshAt   time.Time       `json:"fresh_at"`        // when they last proved who they are, for what asks for it anew
	SeenAt    time.Time       `json:"seen_at"`
	Source    string          `json:"source"`     // network of the sign-in
	UserAgent string          `json:"user_agent"` // up to 200 bytes
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
	ofPeople   = "p" // with whose session it is before the hash
	ofEnded    = "e" // with the session's id instead
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

// Create signs s.Person in by a cookie that [Name] made.
func (m *Manager) Create(ctx context.Context, cookie string, s Session) (Session, error) {
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
	// What is listed and never was harms nobody; what is not listed could not be ended.
	if err := m.bucket.Create(ctx, listedAs(s.Person, sessionKey(cookie)), []byte(now.UTC().Format(time.RFC3339)), Absolute); err != nil {
		return s, err
	}
	return s, m.bucket.Create(ctx, sessionKey(cookie), b, m.life(s))
}

// listedAs is the key by which a person's session is found without its cookie.
func listedAs(n domain.Name, key string) string {
	return ofPeople + "." + n.String() + strings.TrimPrefix(key, ofSessions)
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
	if s, revision, err = m.load(ctx, key); err == nil && m.life(s) <= 0 {
		return Session{}, 0, ErrNone
	}
	return s, revision, err
}

// load is a session that is kept, whether or not it is over by this process's clock:
// by another's it may not be, and be renewed there.
func (m *Manager) load(ctx context.Context, key string) (s Session, revision uint64, err error) {
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
	s, err := m.Find(ctx, cookie)
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	return m.Revoke(ctx, []Session{s})
}

// List is a person's sessions that have not ended by themselves, newest first.
// Whether they open anything is [Standing]'s.
func (m *Manager) List(ctx context.Context, person domain.Name) (out []Session, err error) {
	keys, err := m.listed(ctx, person)
	if err != nil {
		return nil, err
	}
	found := make([]Session, len(keys))
	err = each(len(keys), func(i int) error {
		s, _, err := m.load(ctx, ofSessions+strings.TrimPrefix(keys[i], ofPeople+"."+person.String()))
		if err == nil && m.life(s) > 0 {
			found[i] = s
		}
		if errors.Is(err, ErrNone) {
			return m.unlist(ctx, keys[i])
		}
		return err
	})
	found = slices.DeleteFunc(found, func(s Session) bool { return s.Person != person })
	slices.SortFunc(found, func(a, b Session) int { return b.SignedInAt.Compare(a.SignedInAt) })
	return found, err
}

// listed is the keys by which a person's sessions are found.
func (m *Manager) listed(ctx context.Context, person domain.Name) ([]string, error) {
	return m.bucket.Keys(ctx, ofPeople+"."+person.String())
}

// unlist forgets a session that ended by itself, so that nobody looks for it again.
// One that is just being begun is listed already, and there in a moment.
func (m *Manager) unlist(ctx context.Context, key string) error {
	b, revision, err := m.bucket.Get(ctx, key)
	if errors.Is(err, streams.ErrNoKey) {
		return nil
	}
	if err != nil {
		return err
	}
	began, err := time.Parse(time.RFC3339, string(b))
	if err != nil || m.now().Sub(began) < Idle {
		return nil //nolint:nilerr // who wrote it did not say when: it ends by itself
	}
	if err = m.bucket.Take(ctx, key, revision); errors.Is(err, streams.ErrKeyMoved) || errors.Is(err, streams.ErrNoKey) {
		return nil
	}
	return err
}

// MaxSessions is how many sessions a person has at once.
const MaxSessions = 50

// Surplus is those of a person's sessions that are too many, beside the one that has
// just begun: the longest unused.
func (m *Manager) Surplus(ctx context.Context, begun Session) ([]Session, error) {
	keys, err := m.listed(ctx, begun.Person)
	if err != nil || len(keys) <= MaxSessions {
		return nil, err
	}
	all, err := m.List(ctx, begun.Person)
	all = slices.DeleteFunc(all, func(s Session) bool { return s.ID == begun.ID })
	slices.SortStableFunc(all, func(a, b Session) int { return b.SeenAt.Compare(a.SeenAt) })
	return all[min(len(all), MaxSessions-1):], err
}

// asksAtOnce is how many values are asked for, or deleted, at the same time.
const asksAtOnce = 16

// each calls f with 0 to n-1, some at the same time, and gives what failed.
func each(n int, f func(int) error) error {
	errs := make([]error, min(n, asksAtOnce))
	var all sync.WaitGroup
	for first := range errs {
		all.Go(func() {
			for i := first; i < n && errs[first] == nil; i += asksAtOnce {
				errs[first] = f(i)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// Count is how many sessions there are, of everybody.
func (m *Manager) Count(ctx context.Context) (int, error) {
	keys, err := m.bucket.Keys(ctx, ofSessions)
	return len(keys), err
}

// Revoke ends these sessions, as [Manager.List] and [Manager.Find] told them.
func (m *Manager) Revoke(ctx context.Context, ended []Session) error {
	return each(len(ended), func(i int) error {
		return errors.Join(m.bucket.Delete(ctx, ended[i].key), m.bucket.Delete(ctx, listedAs(ended[i].Person, ended[i].key)))
	})
}

// Disown ends a session that is not trusted any more: what was said in it to a
// program that has not come back yet counts for nothing.
func (m *Manager) Disown(ctx context.Context, s Session) error {
	err := m.bucket.Create(ctx, ofEnded+"."+s.ID, nil, DeviceLife)
	if err != nil && !errors.Is(err, streams.ErrKeyMoved) { // moved: it is disowned already
		return err
	}
	return m.Revoke(ctx, []Session{s})
}

// disowned tells whether [Manager.Disown] ended the session of that id.
func (m *Manager) disowned(ctx context.Context, id string) (bool, error) {
	_, _, err := m.bucket.Get(ctx, ofEnded+"."+id)
	if errors.Is(err, streams.ErrNoKey) {
		return false, nil
	}
	return err == nil, err
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
	people := s.People()
	for _, t := range people.LetIn(who, m.Now) {
		var revoked []domain.Fact
		if err == nil {
			revoked, err = person.Decide(people, person.RevokeToken{ID: t.ID}, m)
		}
		facts = append(facts, revoked...)
	}
	return facts, err
}

// maxTold bounds how many sessions are recorded one by one at once.
const maxTold = 100

// SignOuts is what is recorded of a person's sessions that are ended, before they
// are: of each its end, or, where they are very many, of the rest how many.
func SignOuts(s *control.State, ended []Session, m domain.Meta) (facts []domain.Fact, err error) {
	told := min(len(ended), maxTold)
	commands := make([]identity.Command, 0, told+1)
	for _, one := range ended[:told] {
		commands = append(commands, identity.SignOut{Person: one.Person, Session: one.ID, At: one.SignedInAt})
	}
	if rest := ended[told:]; len(rest) > 0 {
		commands = append(commands, identity.EndSessions{Person: rest[0].Person, Sessions: len(rest)})
	}
	for _, c := range commands {
		more, err := identity.Decide(s.Identities(), c, m)
		if err != nil {
			return nil, err
		}
		facts = append(facts, more...)
	}
	return facts, nil
}

// Standing is those of the sessions that open something by that state, and those
// that are over.
func Standing(s *control.State, all []Session, now time.Time) (standing, over []Session) {
	for _, one := range all {
		if _, err := (Caller{one}).Actor(s, now); err != nil {
			over = append(over, one)
		} else {
			standing = append(standing, one)
		}
	}
	return standing, over
}

// Caller is the session's person, as /v1 takes callers.
type Caller struct{ Session Session }

// Actor is the person with every role that they bear now, while they are known,
// were not signed out since, and what they proved who they are with is theirs.
func (c Caller) Actor(s *control.State, now time.Time) (domain.Actor, error) {
	if _, known := s.Person(c.Session.Person); !known || s.SignedOut(c.Session.Person, c.Session.ID, c.Session.Began) {
		return domain.Actor{}, ErrNone
	}
	if slices.ContainsFunc(c.Session.Proofs, func(p Proof) bool { return !p.stands(s.Identities(), c.Session.Person) }) {
		return domain.Actor{}, ErrNone
	}
	return domain.Actor{ID: c.Session.Person.String(), Roles: s.EffectiveRoles(c.Session.Person, now)}, nil
}

// MFAAt is when the session last proved a second factor.
func (c Caller) MFAAt() time.Time { return c.Session.MFAAt }
