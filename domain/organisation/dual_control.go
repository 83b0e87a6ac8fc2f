package organisation

import (
	"fmt"

	"sallyport.dev/domain"
)

// SetDualControl decides who may not activate a connection.
type SetDualControl struct {
	Version     uint64 // as in If-Match
	DualControl DualControl
}

func (c SetDualControl) decide(s State, m domain.Meta) ([]Event, error) {
	switch {
	case s.Name == "":
		return nil, ErrNotFound
	case !m.Actor.Has(domain.Owner):
		return nil, ErrRole
	case c.Version != s.Version:
		return nil, ErrStale
	case c.DualControl != Strict && c.DualControl != Roles:
		return nil, ErrInvalid.WithFields(domain.FieldError{
			Pointer: "/dual_control", Code: "value.unknown", Detail: "dual_control is strict or roles",
		})
	case c.DualControl == s.DualControl:
		return nil, nil // already so
	}
	return []Event{DualControlWasChanged{From: s.DualControl, To: c.DualControl}}, nil
}

// DualControlWasChanged records that another number of people is needed for a trust.
type DualControlWasChanged struct {
	From DualControl `json:"from"`
	To   DualControl `json:"to"`
}

// EventType is organisation.dual_control_changed.
func (DualControlWasChanged) EventType() string { return "organisation.dual_control_changed" }

func (e DualControlWasChanged) evolve(s State, env domain.Envelope) (State, error) {
	if s.Name == "" || s.DualControl != e.From {
		return s, fmt.Errorf("dual control was changed from %q and was %q", e.From, s.DualControl)
	}
	s.DualControl = e.To
	s.Version++
	s.UpdatedAt, s.UpdatedBy = env.Time, env.Actor
	return s, nil
}
