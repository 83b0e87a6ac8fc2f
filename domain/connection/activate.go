package connection

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sallyport.dev/domain"
)

// DualControlRoles is the organisation setting under which the roles alone
// decide who activates, but for who set it. Under any other, nobody activates
// what they wrote.
const DualControlRoles = "roles"

// Activate lets the newest version decide: of a draft, of a deactivated
// connection, or of an active one that has a pending version.
type Activate struct {
	Version     uint64   // as in If-Match: the one that was reviewed
	Acknowledge []string // codes of warnings accepted for this version
	DualControl string   // the organisation's setting: strict or roles
	LoosenedBy  string   // who set DualControl to roles; not looked at under strict
	Issuer      string   // the organisation's
}

func (c Activate) decide(s State, m domain.Meta) ([]Event, error) {
	if err := needSecurityAdmin(m.Actor, "activates connections"); err != nil {
		return nil, err
	}
	switch {
	case !s.exists():
		return nil, ErrNotFound
	case c.DualControl != DualControlRoles && s.Wrote(m.Actor.ID):
		return nil, ErrSamePerson // nobody activates what they wrote since the last activation
	case c.LoosenedBy == m.Actor.ID && s.Wrote(m.Actor.ID):
		// Else an owner who is a security_admin too would set roles, activate
		// their own draft and set strict again: one person's word.
		return nil, ErrSamePerson.With("You set dual control to roles, so you activate nothing that you wrote: ask another security_admin.")
	case c.Version != s.Version:
		return nil, ErrStale
	}
	if err := c.acknowledgesOnlyCodes(); err != nil {
		return nil, err
	}
	if s.Status == Active && s.Pending == nil {
		return nil, nil // already so: nothing happened, nothing to record
	}
	accepted := slices.Clone(c.Acknowledge)
	if s.Version == s.ActiveVersion {
		accepted = append(accepted, s.Acknowledged...) // what was accepted for a version stays accepted for it
	}
	acknowledged, err := accept(Warnings(s.Newest(), c.Issuer), accepted)
	if err != nil {
		return nil, err
	}
	return []Event{WasActivated{Version: s.Version, Acknowledged: acknowledged}}, nil
}

func (c Activate) acknowledgesOnlyCodes() error {
	if len(c.Acknowledge) > len(warningCodes()) {
		return domain.ErrFields([]domain.FieldError{{
			Pointer: "/acknowledge", Code: "too_long", Detail: fmt.Sprintf("there are %d codes of warnings", len(warningCodes())),
		}})
	}
	var errs []domain.FieldError
	for i, code := range c.Acknowledge {
		if !slices.Contains(warningCodes(), code) {
			errs = append(errs, domain.FieldError{
				Pointer: "/acknowledge/" + strconv.Itoa(i), Code: "unknown", Detail: "codes of warnings are " + strings.Join(warningCodes(), ", "),
			})
		}
	}
	return domain.ErrFields(errs)
}

// accept is the codes of the warnings that are there and accepted, or
// [ErrBlocked] naming those that block and are not.
func accept(ws []Warning, codes []string) (accepted []string, err error) {
	var open []string
	var fields []domain.FieldError
	for _, w := range ws {
		switch {
		case slices.Contains(codes, w.Code):
			accepted = append(accepted, w.Code)
		case w.Blocks:
			open = append(open, w.Code)
			fields = append(fields, domain.FieldError{Pointer: "/acknowledge", Code: w.Code, Detail: w.Message})
		}
	}
	if len(open) > 0 {
		return nil, ErrBlocked.With("Warnings block the activation: repair them, or acknowledge them by code: %s.",
			strings.Join(open, ", ")).WithFields(fields...)
	}
	return accepted, nil
}

// WasActivated records that a version began to decide.
type WasActivated struct {
	Version      uint64   `json:"version"`
	Acknowledged []string `json:"acknowledged,omitempty"` // codes of warnings accepted for it
}

func (WasActivated) EventType() string { return "connection.activated" }

func (e WasActivated) evolve(s State, env domain.Envelope) State {
	if next := s.Newest(); s.EverActivated && (next.IdentityClaim != s.Current.IdentityClaim || next.IdentityPath != s.Current.IdentityPath) {
		s.RenamedAt = env.Time
	}
	s = s.become(s.Newest())
	s.Status, s.EverActivated = Active, true
	s.ActiveVersion, s.Acknowledged = e.Version, e.Acknowledged
	s.Pending, s.Writers = nil, nil
	s.ActivatedAt, s.ActivatedBy = env.Time, env.Actor
	return s
}
