package connection

import "sallyport.dev/domain"

// Deactivate stops a connection from issuing tokens; those that are out are
// not good until it is activated again. RevokeTokens kills them for good, also
// where it is inactive already.
type Deactivate struct {
	Version      uint64 // as in If-Match
	RevokeTokens bool
}

func (c Deactivate) decide(s State, m domain.Meta) ([]Event, error) {
	if err := needSecurityAdmin(m.Actor, "deactivates connections"); err != nil {
		return nil, err
	}
	switch {
	case !s.exists():
		return nil, ErrNotFound
	case c.Version != s.Version:
		return nil, ErrStale
	case s.Status == Drafted:
		return nil, ErrNotActive
	case s.Status == Inactive && !c.RevokeTokens:
		return nil, nil // already so: nothing happened, nothing to record
	}
	e := WasDeactivated{RevokedTokens: c.RevokeTokens, Generation: s.Generation}
	if c.RevokeTokens {
		e.Generation++
	}
	return []Event{e}, nil
}

// WasDeactivated records that a connection stopped issuing tokens. Tokens of
// another generation than this one are dead for good.
type WasDeactivated struct {
	RevokedTokens bool   `json:"revoked_tokens"`
	Generation    uint64 `json:"generation"`
}

func (WasDeactivated) EventType() string { return "connection.deactivated" }

func (e WasDeactivated) evolve(s State, _ domain.Envelope) State {
	s.Status, s.Generation = Inactive, e.Generation
	return s
}
