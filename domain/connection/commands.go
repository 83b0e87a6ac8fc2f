package connection

import (
	"encoding/json"

	"sallyport.dev/domain"
	"sallyport.dev/domain/proof"
)

// Commands. Issuer is the organisation's issuer; Spec as the caller wrote it.
type (
	Draft struct {
		Name   domain.Name
		Spec   Spec
		Issuer string
	}
	Edit struct {
		Version uint64
		Spec    Spec
		Issuer  string
	}
	Activate struct {
		Version     uint64
		Acknowledge []string
		DualControl string
		Issuer      string
	}
	Deactivate struct {
		Version      uint64
		RevokeTokens bool
	}
	Delete      struct{ Version uint64 }
	ObserveKeys struct {
		Version   uint64
		Keys      json.RawMessage
		KeyIDs    []string
		SourceURL string
	}
)

func (Draft) decide(State, domain.Meta) ([]Event, error)       { return nil, nil }
func (Edit) decide(State, domain.Meta) ([]Event, error)        { return nil, nil }
func (Activate) decide(State, domain.Meta) ([]Event, error)    { return nil, nil }
func (Deactivate) decide(State, domain.Meta) ([]Event, error)  { return nil, nil }
func (Delete) decide(State, domain.Meta) ([]Event, error)      { return nil, nil }
func (ObserveKeys) decide(State, domain.Meta) ([]Event, error) { return nil, nil }

type (
	WasDrafted struct {
		Spec Spec `json:"spec"`
	}
	WasEdited struct {
		Version uint64 `json:"version"`
		Spec    Spec   `json:"spec"`
		Pending bool   `json:"pending"`
	}
	WasActivated struct {
		Version      uint64   `json:"version"`
		Acknowledged []string `json:"acknowledged,omitempty"`
	}
	WasDeactivated struct {
		RevokedTokens bool   `json:"revoked_tokens"`
		Generation    uint64 `json:"generation"`
	}
	WasDeleted struct{}
	WasTested  struct {
		Version  uint64        `json:"version"`
		Verdict  string        `json:"verdict"`
		Checks   []proof.Check `json:"checks"`
		Identity string        `json:"identity,omitempty"`
	}
	KeysChanged struct {
		Version   uint64          `json:"version"`
		Keys      json.RawMessage `json:"keys,omitempty"`
		KeyIDs    []string        `json:"key_ids"`
		Added     []string        `json:"added,omitempty"`
		Removed   []string        `json:"removed,omitempty"`
		SourceURL string          `json:"source_url"`
	}
)

func (WasDrafted) EventType() string     { return "connection.drafted" }
func (WasEdited) EventType() string      { return "connection.edited" }
func (WasActivated) EventType() string   { return "connection.activated" }
func (WasDeactivated) EventType() string { return "connection.deactivated" }
func (WasDeleted) EventType() string     { return "connection.deleted" }
func (WasTested) EventType() string      { return "connection.tested" }
func (KeysChanged) EventType() string    { return "keys.changed" }

func (WasDrafted) evolve(s State, _ domain.Envelope) State     { return s }
func (WasEdited) evolve(s State, _ domain.Envelope) State      { return s }
func (WasActivated) evolve(s State, _ domain.Envelope) State   { return s }
func (WasDeactivated) evolve(s State, _ domain.Envelope) State { return s }
func (WasDeleted) evolve(s State, _ domain.Envelope) State     { return s }
func (WasTested) evolve(s State, _ domain.Envelope) State      { return s }
func (KeysChanged) evolve(s State, _ domain.Envelope) State    { return s }

// Tested is the event of a draft test, bounded.
func Tested(version uint64, verdict string, checks []proof.Check, identity string) WasTested {
	return WasTested{version, verdict, checks, identity}
}

var (
	ErrNotFound   = &domain.Error{Kind: domain.KindNotFound, Code: "connection.not_found", Message: "There is no connection of this name."}
	ErrTaken      = &domain.Error{Kind: domain.KindConflict, Code: "connection.taken", Message: "A connection of this name exists."}
	ErrRole       = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "The role is missing."}
	ErrSamePerson = &domain.Error{Kind: domain.KindForbidden, Code: "connection.same_person", Message: "Nobody activates what they wrote."}
	ErrStale      = &domain.Error{Kind: domain.KindStale, Code: "version.stale", Message: "The connection is at another version."}
	ErrBlocked    = &domain.Error{Kind: domain.KindInvalid, Code: "connection.blocked", Message: "Warnings block the activation."}
	ErrActive     = &domain.Error{Kind: domain.KindConflict, Code: "connection.active", Message: "The connection is active."}
	ErrNotActive  = &domain.Error{Kind: domain.KindConflict, Code: "connection.not_active", Message: "The connection was never activated."}
)
