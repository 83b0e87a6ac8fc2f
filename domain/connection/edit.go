package connection

import (
	"slices"

	"sallyport.dev/domain"
)

// Edit writes the next version, whole: nothing of the one before it is kept
// that the new one does not say. A draft is replaced; what was ever activated
// stays, and the new version is pending until another person activates it.
type Edit struct {
	Version uint64 // as in If-Match
	Spec    Spec   // as the person wrote it; [Complete] is applied
	Issuer  string // the organisation's
}

func (c Edit) decide(s State, m domain.Meta) ([]Event, error) {
	if err := MayWrite(s, m.Actor); err != nil {
		return nil, err
	}
	if c.Version != s.Version {
		return nil, ErrStale
	}
	spec, err := Complete(c.Spec, c.Issuer)
	if err != nil {
		return nil, err
	}
	if spec.Equal(s.Newest()) {
		return nil, nil // already so: nothing happened, nothing to record
	}
	return []Event{WasEdited{Version: s.Version + 1, Spec: spec, Pending: s.EverActivated}}, nil
}

// WasEdited records a further version. Pending tells that an activated one
// goes on deciding.
type WasEdited struct {
	Version uint64 `json:"version"`
	Spec    Spec   `json:"spec"`
	Pending bool   `json:"pending"`
}

func (WasEdited) EventType() string { return "connection.edited" }

func (e WasEdited) evolve(s State, env domain.Envelope) State {
	s.Version = e.Version
	s.UpdatedAt, s.UpdatedBy = env.Time, env.Actor
	if !s.Wrote(env.Actor) {
		s.Writers = append(slices.Clone(s.Writers), env.Actor)
	}
	if e.Pending {
		s.Pending = &e.Spec
		return s
	}
	return s.become(e.Spec)
}

// become makes a specification the current one. A key set is kept only as long
// as it comes from the same place.
func (s State) become(spec Spec) State {
	if s.Keys != nil {
		if keys := *s.Keys; spec.sameKeySource(s.Current) {
			keys.Version = s.Version
			s.Keys = &keys
		} else {
			s.Keys = nil
		}
	}
	s.Current = spec
	return s
}
