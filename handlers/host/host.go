// Package host is what the operator does on the server's own host and nobody
// does from afar: people's API tokens, the links by which owners come to be, and the
// rotation of signing keys.
//
// [Host] does it on open organisations. While a server holds the data
// directory, [Serve] offers the same over a unix socket that only the server's
// own user may open, and [Client] asks there. Whoever owns that user owns the
// data anyway, so the socket asks for no token; every change is an event of
// system:host.
package host

import (
	"context"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
)

// Host does the operator's work on open organisations. It is safe for concurrent use.
type Host struct{ orgs []*organisation.Organisation }

// New works on these organisations.
func New(orgs ...*organisation.Organisation) *Host { return &Host{orgs} }

// ErrNoOrganisation is told about a name that this server does not serve.
var ErrNoOrganisation = &domain.Error{Kind: domain.KindNotFound, Code: "organisation.not_found", Message: "This server has no such organisation."}

func (h *Host) org(name string) (*organisation.Organisation, error) {
	for _, o := range h.orgs {
		if o.Name().String() == name {
			return o, nil
		}
	}
	return nil, ErrNoOrganisation.With("This server has no organisation %q.", name)
}

// TokenRequest asks for a person's API token.
type TokenRequest struct {
	Person string        `json:"person"`
	Role   domain.Role   `json:"role"` // granted to the person where they lack it
	TTL    time.Duration `json:"ttl"`  // 1 minute to 90 days
}

// NewToken is an API token, the only time it is seen.
type NewToken struct {
	Token     string      `json:"token"` // a secret; only its hash is stored
	ID        string      `json:"id"`
	Person    domain.Name `json:"person"`
	Role      domain.Role `json:"role"`
	ExpiresAt time.Time   `json:"expires_at"`
	Granted   bool        `json:"granted"` // the person did not bear the role before
}

// TokenInfo is everything about an API token but itself.
type TokenInfo struct {
	ID        string        `json:"id"`
	Person    domain.Name   `json:"person"`
	Roles     []domain.Role `json:"roles"`
	Status    string        `json:"status"` // active, expired or revoked
	CreatedAt time.Time     `json:"created_at"`
	CreatedBy string        `json:"created_by"`
	ExpiresAt time.Time     `json:"expires_at"`
	RevokedAt *time.Time    `json:"revoked_at,omitempty"`
	RevokedBy string        `json:"revoked_by,omitempty"`
}

// KeyInfo is the public side of a signing key's life.
type KeyInfo struct {
	KeyID          string     `json:"kid"`
	Algorithm      string     `json:"algorithm"`
	Status         string     `json:"status"` // next, active or retired
	CreatedAt      time.Time  `json:"created_at"`
	ActivatedAt    *time.Time `json:"activated_at,omitempty"`
	RetiredAt      *time.Time `json:"retired_at,omitempty"`
	PublishedUntil *time.Time `json:"published_until,omitempty"`
}

// CreateToken makes an API token. A person who is not known yet is added, and
// given the role, in the same commit: that is how the first owner of an
// organisation comes to be.
func (h *Host) CreateToken(ctx context.Context, org string, r TokenRequest) (NewToken, error) {
	o, err := h.org(org)
	if err != nil {
		return NewToken{}, err
	}
	name, err := domain.ParseName(r.Person)
	if err != nil {
		return NewToken{}, err
	}
	var before []domain.Role
	o.Read(func(s *control.State, _ domain.Head) { before = s.EffectiveRoles(name, o.Now()) })
	t, err := o.CreateToken(ctx, domain.Meta{Actor: domain.System("host"), Now: o.Now()}, name, r.Role, r.TTL)
	if err != nil {
		return NewToken{}, err
	}
	return NewToken{
		Token: t.Secret, ID: t.ID, Person: t.Person, Role: t.Role, ExpiresAt: t.ExpiresAt,
		Granted: !slices.Contains(before, t.Role),
	}, nil
}

// Holds tells whether a token is good for that role, now and for as long as asked.
func (h *Host) Holds(_ context.Context, org, token string, role domain.Role, span time.Duration) (good bool, err error) {
	o, err := h.org(org)
	if err != nil {
		return false, err
	}
	o.Read(func(s *control.State, _ domain.Head) {
		a, err := s.Authenticate(person.HashToken(token), o.Now().Add(span))
		good = err == nil && a.Has(role)
	})
	return good, nil
}

// Bears tells whether there is a person of that name who bears the role now.
func (h *Host) Bears(org string, name domain.Name, role domain.Role) (bears bool, err error) {
	o, err := h.org(org)
	if err != nil {
		return false, err
	}
	o.Read(func(s *control.State, _ domain.Head) { bears = slices.Contains(s.EffectiveRoles(name, o.Now()), role) })
	return bears, nil
}

// Tokens lists every API token there ever was, oldest first.
func (h *Host) Tokens(_ context.Context, org string) ([]TokenInfo, error) {
	o, err := h.org(org)
	if err != nil {
		return nil, err
	}
	now, infos := o.Now(), []TokenInfo{}
	o.Read(func(s *control.State, _ domain.Head) {
		for _, t := range s.People().Tokens() {
			infos = append(infos, info(t, now))
		}
	})
	return infos, nil
}

func info(t person.Token, now time.Time) TokenInfo {
	i := TokenInfo{
		ID: t.ID, Person: t.Person, Roles: t.Roles, Status: "active", CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy,
		ExpiresAt: t.ExpiresAt, RevokedAt: when(t.RevokedAt), RevokedBy: t.RevokedBy,
	}
	switch {
	case i.RevokedAt != nil:
		i.Status = "revoked"
	case !now.Before(t.ExpiresAt):
		i.Status = "expired"
	}
	return i
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// RevokeToken ends an API token at once.
func (h *Host) RevokeToken(ctx context.Context, org, id string) error {
	o, err := h.org(org)
	if err != nil {
		return err
	}
	m := domain.Meta{Actor: domain.System("host"), Now: o.Now()}
	_, err = o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		return person.Decide(s.People(), person.RevokeToken{ID: id}, m)
	})
	return err
}

// RotateKeys makes the next key of each algorithm the one that signs.
func (h *Host) RotateKeys(ctx context.Context, org string) error {
	o, err := h.org(org)
	if err != nil {
		return err
	}
	_, err = o.RotateKeys(ctx, domain.Meta{Actor: domain.System("host"), Now: o.Now()})
	return err
}

// Keys lists every signing key there ever was, oldest first.
func (h *Host) Keys(_ context.Context, org string) ([]KeyInfo, error) {
	o, err := h.org(org)
	if err != nil {
		return nil, err
	}
	infos := []KeyInfo{}
	for _, k := range o.SigningKeys() {
		infos = append(infos, KeyInfo{
			KeyID: k.KeyID, Algorithm: string(k.Algorithm), Status: string(k.Status), CreatedAt: k.CreatedAt,
			ActivatedAt: when(k.ActivatedAt), RetiredAt: when(k.RetiredAt), PublishedUntil: when(k.PublishedUntil),
		})
	}
	return infos, nil
}
