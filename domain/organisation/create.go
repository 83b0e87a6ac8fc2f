package organisation

import (
	"errors"
	"net/url"

	"sallyport.dev/domain"
)

// Create makes the organisation that a log belongs to; only Sallyport itself does.
type Create struct {
	Name   domain.Name
	Issuer string // absolute URL without query, fragment or trailing slash
}

func (c Create) decide(s State, m domain.Meta) ([]Event, error) {
	u, err := url.Parse(c.Issuer)
	switch {
	case !m.Actor.IsSystem():
		return nil, ErrRole.With("Organisations are created on the host, not through the API.")
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.Path == "" || u.Path[len(u.Path)-1] == '/':
		return nil, ErrInvalid.With("The issuer has to be an absolute URL without query, fragment or trailing slash.")
	case s.Name == c.Name && s.Issuer == c.Issuer:
		return nil, nil // already so
	case s.Name != "":
		// Every token and trust names the issuer: another one is another organisation.
		return nil, ErrTaken.With("This log belongs to organisation %s with issuer %s.", s.Name, s.Issuer)
	}
	return []Event{WasCreated{Name: c.Name, Issuer: c.Issuer, DualControl: Strict}}, nil
}

// WasCreated records that an organisation came to be.
type WasCreated struct {
	Name        domain.Name `json:"name"`
	Issuer      string      `json:"issuer"`
	DualControl DualControl `json:"dual_control"`
}

// EventType is organisation.created.
func (WasCreated) EventType() string { return "organisation.created" }

func (e WasCreated) evolve(s State, env domain.Envelope) (State, error) {
	if s.Name != "" {
		return s, errors.New("the organisation was created twice")
	}
	return State{
		Name: e.Name, Issuer: e.Issuer, DualControl: e.DualControl, Version: 1,
		CreatedAt: env.Time, UpdatedAt: env.Time, UpdatedBy: env.Actor,
	}, nil
}
