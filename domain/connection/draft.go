package connection

import (
	"strings"

	"sallyport.dev/domain"
)

// Draft writes a new connection. It issues nothing until another person activates it.
type Draft struct {
	Name   domain.Name
	Spec   Spec   // as the person wrote it; [Complete] is applied
	Issuer string // the organisation's
}

func (c Draft) decide(s State, m domain.Meta) ([]Event, error) {
	if err := MayDraft(m.Actor); err != nil {
		return nil, err
	}
	spec, err := Complete(c.Spec, c.Issuer)
	switch {
	case err != nil:
		return nil, err
	case s.Status == Deleted:
		// Otherwise tokens and roles made for the old one would mean the new one.
		return nil, ErrTaken.With("A connection of this name was deleted, and deleted names are never given again: choose another name.")
	case s.Status != None:
		return nil, ErrTaken
	}
	return []Event{WasDrafted{Spec: spec}}, nil
}

// WasDrafted records version 1 of a connection.
type WasDrafted struct {
	Spec Spec `json:"spec"`
}

func (WasDrafted) EventType() string { return "connection.drafted" }

func (e WasDrafted) evolve(_ State, env domain.Envelope) State {
	return State{
		Name: domain.Name(strings.TrimPrefix(env.Subject, "connection/")), Status: Drafted, Version: 1, Current: e.Spec,
		Writers:   []string{env.Actor},
		CreatedAt: env.Time, CreatedBy: env.Actor, UpdatedAt: env.Time, UpdatedBy: env.Actor,
	}
}
