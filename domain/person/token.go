package person

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
)

const (
	// MinTokenTTL is the shortest an API token may live.
	MinTokenTTL = time.Minute
	// MaxTokenTTL is the longest an API token may live.
	MaxTokenTTL = 90 * 24 * time.Hour
)

// Token is a person's API token: everything about it but itself.
type Token struct {
	ID        string // ULID
	Person    domain.Name
	Roles     []domain.Role // what it may use of the person's roles; never modified
	Hash      string        // SHA-256 of the token, lower-case hex
	CreatedAt time.Time
	CreatedBy string
	ExpiresAt time.Time
	RevokedAt time.Time // zero unless revoked
	RevokedBy string
	// MFAAt is when the person had last proved a second factor as they made it
	// themself; zero: never, or somebody else made it.
	MFAAt  time.Time
	Source string // network of the program that the person let in
}

// Holds tells whether it is neither revoked nor over at now. Whether its person is
// still there, [State.Authenticate] knows.
func (t Token) Holds(now time.Time) bool { return t.RevokedAt.IsZero() && now.Before(t.ExpiresAt) }

// Errors of API tokens.
var (
	ErrTokenUnknown  = &domain.Error{Kind: domain.KindUnknownUser, Code: "api_token.unknown", Message: "There is no such API token."}
	ErrTokenExpired  = &domain.Error{Kind: domain.KindUnknownUser, Code: "api_token.expired", Message: "The API token has expired."}
	ErrTokenRevoked  = &domain.Error{Kind: domain.KindUnknownUser, Code: "api_token.revoked", Message: "The API token was revoked."}
	ErrTokenNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "api_token.not_found", Message: "There is no API token of that id."}
	ErrTokenTaken    = &domain.Error{Kind: domain.KindConflict, Code: "api_token.taken", Message: "There is another API token of that id or hash."}
	ErrTokenRoles    = &domain.Error{Kind: domain.KindInvalid, Code: "api_token.roles", Message: "An API token bears at least one role, and none that the person lacks."}
	ErrTokenTTL      = &domain.Error{Kind: domain.KindInvalid, Code: "api_token.ttl", Message: "An API token lives from 1 minute to 90 days."}
	ErrTokenForm     = &domain.Error{Kind: domain.KindInvalid, Code: "api_token.malformed", Message: "An API token's id is a ULID, its hash a SHA-256 in lower-case hex."}
)

// Authenticate tells whom the API token of that hash (SHA-256, lower-case hex)
// speaks for at now. Its roles are those of the token that the person bears now,
// by themself or, as more tells by their name, through a group; so a role that
// is gone bites at once. A nil more is no groups. Looking a hash up needs no
// constant time: who could choose the hash's bits would know the token.
func (s State) Authenticate(hash string, now time.Time, more func(domain.Name) []domain.Role) (domain.Actor, error) {
	id, known := s.hashes[hash]
	t := s.tokens[id]
	p, there := s.people[t.Person]
	switch {
	case !known:
		return domain.Actor{}, ErrTokenUnknown
	case !there:
		return domain.Actor{}, ErrTokenRevoked.With("The API token was %s's, who was removed.", t.Person)
	case !t.RevokedAt.IsZero():
		return domain.Actor{}, ErrTokenRevoked
	case !now.Before(t.ExpiresAt):
		return domain.Actor{}, ErrTokenExpired
	}
	var lent []domain.Role
	if more != nil {
		lent = more(p.Name)
	}
	a := domain.Actor{ID: p.Name.String()}
	for _, r := range t.Roles {
		if slices.Contains(p.Roles, r) || slices.Contains(lent, r) {
			a.Roles = append(a.Roles, r)
		}
	}
	return a, nil
}

// TokenOf is the API token of that hash.
func (s State) TokenOf(hash string) (Token, bool) { return s.Token(s.hashes[hash]) }

// Token is the API token of that id.
func (s State) Token(id string) (Token, bool) {
	t, ok := s.tokens[id]
	return t, ok
}

// Tokens is every API token there ever was, by id and so by age.
func (s State) Tokens() []Token {
	var out []Token
	for _, id := range slices.Sorted(maps.Keys(s.tokens)) {
		out = append(out, s.tokens[id])
	}
	return out
}

// CreateToken records an API token that was made on the host. No person may:
// an owner who could make a token for somebody else would be two people.
type CreateToken struct {
	ID        string // ULID
	Person    domain.Name
	Roles     []domain.Role // at least one, all borne by the person
	Lent      []domain.Role // what groups lend the person now, which they bear as well
	Hash      string        // SHA-256 of the token, lower-case hex
	ExpiresAt time.Time     // 1 minute to 90 days from now
}

var hashForm = regexp.MustCompile(`\A[0-9a-f]{64}\z`)

func (c CreateToken) decide(s State, m domain.Meta) ([]Event, error) {
	roles, err := canonical(c.Roles)
	p, known := s.people[c.Person]
	switch {
	case !m.Actor.IsSystem():
		return nil, ErrRole.With("API tokens are created on the host, with sallyportd token create.")
	case !known:
		return nil, ErrNotFound.With("There is no person %q.", c.Person)
	case !wellFormed(c.ID, c.Hash):
		return nil, ErrTokenForm
	case err != nil:
		return nil, err
	}
	p.Roles = slices.Concat(p.Roles, c.Lent)
	if len(roles) == 0 || lacks(p, roles) {
		return nil, ErrTokenRoles.With("%s bears %v: a token takes at least one role, and only of these.", c.Person, p.Roles)
	}
	return s.createToken(TokenWasCreated{ID: c.ID, Person: c.Person, Roles: roles, Hash: c.Hash, ExpiresAt: c.ExpiresAt.UTC()}, m)
}

// createToken is e, if it may be and is not so already.
func (s State) createToken(e TokenWasCreated, m domain.Meta) ([]Event, error) {
	ttl := e.ExpiresAt.Sub(m.Now)
	if t, ok := s.tokens[e.ID]; ok && t.same(e) {
		return nil, nil // already so
	}
	if _, ok := s.tokens[e.ID]; ok || s.hashes[e.Hash] != "" {
		return nil, ErrTokenTaken
	}
	if ttl < MinTokenTTL || ttl > MaxTokenTTL {
		return nil, ErrTokenTTL
	}
	return []Event{e}, nil
}

// LoginTTL is how long an API token lives that a person made by logging in.
const LoginTTL = 8 * time.Hour

// LoginProves is for how long a token of a login shows who is there as well as a
// fresh proof does. What gives power asks a person with an older one to log in again.
const LoginProves = time.Hour

// LogIn records an API token that a person made for themself, having proved who
// they are. It bears what they bear now, for [LoginTTL].
type LogIn struct {
	ID     string        // ULID
	Lent   []domain.Role // what groups lend the person now
	Hash   string        // SHA-256 of the token, lower-case hex
	MFAAt  time.Time     // when they last proved a second factor; zero: never
	Person domain.Name   // who the actor must be
	Source string        // network of the program that gets it
}

func (c LogIn) decide(s State, m domain.Meta) ([]Event, error) {
	p, known := s.people[c.Person]
	switch {
	case m.Actor.ID != c.Person.String():
		return nil, ErrRole.With("Nobody logs in as somebody else.")
	case !known:
		return nil, ErrNotFound.With("There is no person %q.", c.Person)
	case !wellFormed(c.ID, c.Hash):
		return nil, ErrTokenForm
	}
	roles, err := canonical(slices.Concat(p.Roles, c.Lent))
	if err != nil {
		return nil, err
	}
	return s.createToken(TokenWasCreated{
		ID: c.ID, Person: c.Person, Roles: roles, Hash: c.Hash, ExpiresAt: m.Now.Add(LoginTTL).UTC(), MFAAt: c.MFAAt.UTC(), Source: c.Source,
	}, m)
}

// wellFormed tells whether a token's id and hash are what they must be.
func wellFormed(id, hash string) bool {
	parsed, err := ulid.ParseStrict(id)
	return err == nil && parsed.String() == id && hashForm.MatchString(hash)
}

// lacks tells whether one of the roles is not the person's.
func lacks(p Person, roles []domain.Role) bool {
	return slices.ContainsFunc(roles, func(r domain.Role) bool { return !slices.Contains(p.Roles, r) })
}

func (t Token) same(e TokenWasCreated) bool {
	return t.Person == e.Person && t.Hash == e.Hash && slices.Equal(t.Roles, e.Roles) && t.ExpiresAt.Equal(e.ExpiresAt)
}

// TokenWasCreated records that an API token was made.
type TokenWasCreated struct {
	ID        string        `json:"id"`
	Person    domain.Name   `json:"person"`
	Roles     []domain.Role `json:"roles"`
	Hash      string        `json:"hash"`
	ExpiresAt time.Time     `json:"expires_at"`
	// MFAAt is when the person had last proved a second factor as they made it themself.
	MFAAt time.Time `json:"mfa_at,omitzero"`
	// Source is the network of the program that the person let in.
	Source string `json:"source,omitempty"`
}

// EventType is api_token.created.
func (TokenWasCreated) EventType() string { return "api_token.created" }

func (e TokenWasCreated) subject() string { return "api_token/" + e.ID }

func (e TokenWasCreated) evolve(s State, env domain.Envelope) (State, error) {
	if _, known := s.tokens[e.ID]; known || s.hashes[e.Hash] != "" {
		return s, fmt.Errorf("api token %q was created twice", e.ID)
	}
	if _, known := s.people[e.Person]; !known {
		return s, fmt.Errorf("api token %q was created for %q, who is unknown", e.ID, e.Person)
	}
	s.tokens[e.ID] = Token{
		ID: e.ID, Person: e.Person, Roles: e.Roles, Hash: e.Hash,
		CreatedAt: env.Time, CreatedBy: env.Actor, ExpiresAt: e.ExpiresAt, MFAAt: e.MFAAt, Source: e.Source,
	}
	s.hashes[e.Hash] = e.ID
	return s, nil
}

// RevokeToken ends an API token: an owner, the host, or whose it is.
type RevokeToken struct{ ID string }

func (c RevokeToken) decide(s State, m domain.Meta) ([]Event, error) {
	t, known := s.tokens[c.ID]
	switch {
	case known && m.Actor.ID == t.Person.String(): // may, with whatever roles
	case !mayManage(m.Actor):
		return nil, ErrRole.With("Only an owner revokes somebody else's API token.")
	case !known:
		return nil, ErrTokenNotFound
	}
	if !t.RevokedAt.IsZero() {
		return nil, nil // already so
	}
	return []Event{TokenWasRevoked{ID: c.ID, Person: t.Person}}, nil
}

// TokenWasRevoked records that an API token ended before its time.
type TokenWasRevoked struct {
	ID     string      `json:"id"`
	Person domain.Name `json:"person"`
}

// EventType is api_token.revoked.
func (TokenWasRevoked) EventType() string { return "api_token.revoked" }

func (e TokenWasRevoked) subject() string { return "api_token/" + e.ID }

func (e TokenWasRevoked) evolve(s State, env domain.Envelope) (State, error) {
	t, known := s.tokens[e.ID]
	if !known || !t.RevokedAt.IsZero() {
		return s, fmt.Errorf("api token %q was revoked and is unknown or was revoked before", e.ID)
	}
	t.RevokedAt, t.RevokedBy = env.Time, env.Actor
	s.tokens[e.ID] = t
	return s, nil
}
