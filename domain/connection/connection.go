// Package connection is the trust anchor.
package connection

import (
	"encoding/json"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/proof"
	"sallyport.dev/domain/provider"
)

// Status is where a connection stands in its life.
type Status string

const (
	None     Status = ""
	Drafted  Status = "draft"
	Active   Status = "active"
	Inactive Status = "inactive"
	Deleted  Status = "deleted"
)

// Duration is a time span as people write it.
type Duration struct {
	Amount int    `json:"amount"`
	Unit   string `json:"unit"`
}

// Value is the span; 0 if the unit is unknown.
func (d Duration) Value() time.Duration { return 0 }

// Spec is what people write of a connection.
type Spec struct {
	Description    string            `json:"description,omitempty"`
	Provider       provider.Kind     `json:"provider"`
	Settings       provider.Settings `json:"settings,omitempty"`
	JWKSURL        string            `json:"jwks_url,omitempty"`
	IssuerURL      string            `json:"issuer_url,omitempty"`
	JWKS           json.RawMessage   `json:"jwks,omitempty"`
	CACertificate  string            `json:"ca_certificate,omitempty"`
	Conditions     []claim.Condition `json:"conditions"`
	IdentityClaim  claim.Path        `json:"identity_claim"`
	IdentityPath   string            `json:"identity_path,omitempty"`
	Audiences      []string          `json:"audiences,omitempty"`
	AudienceClaims []string          `json:"audience_claims,omitempty"`
	TokenTTL       Duration          `json:"token_ttl"`
	Algorithms     []string          `json:"algorithms"`
	SingleUse      bool              `json:"single_use,omitempty"`
	ProofMaxAge    *Duration         `json:"proof_max_age,omitempty"`
	TTLWithinProof bool              `json:"ttl_within_proof,omitempty"`
}

// Complete fills presets and defaults and checks every rule.
func Complete(s Spec, issuer string) (Spec, error) { return s, nil }

// Warning is a weakness of a spec.
type Warning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Blocks  bool   `json:"blocks"`
}

// Warnings lists what is weak in a spec.
func Warnings(s Spec, issuer string) []Warning { return nil }

// KeySet is a provider's last good key set.
type KeySet struct {
	Version   uint64          `json:"version"`
	Keys      json.RawMessage `json:"keys"`
	KeyIDs    []string        `json:"key_ids"`
	At        time.Time       `json:"at"`
	SourceURL string          `json:"source_url"`
}

// State is a connection as the log tells it.
type State struct {
	Name          domain.Name
	Status        Status
	Version       uint64
	ActiveVersion uint64
	Generation    uint64
	Current       Spec
	Pending       *Spec
	Writers       []string
	EverActivated bool
	CreatedAt     time.Time
	UpdatedAt     time.Time
	ActivatedAt   time.Time
	CreatedBy     string
	UpdatedBy     string
	ActivatedBy   string
	Keys          *KeySet
}

// CurrentVersion is the version of Current.
func (s State) CurrentVersion() uint64 { return s.Version }

// Newest is what an edit starts from.
func (s State) Newest() Spec { return s.Current }

// Change is one difference.
type Change struct {
	Pointer string `json:"pointer"`
	From    string `json:"from"`
	To      string `json:"to"`
}

// Diff lists how Pending differs from Current.
func (s State) Diff() []Change { return nil }

// Admit judges a proof by the conditions and names its workload.
func (v Spec) Admit(p proof.Proof) (identity string, checks []proof.Check) { return "", nil }

// MayWrite tells whether the actor may edit and test.
func MayWrite(s State, a domain.Actor) error { return nil }

// Command is what can be asked of a connection.
type Command interface {
	decide(State, domain.Meta) ([]Event, error)
}

// Event is a fact of a connection.
type Event interface {
	domain.Event
	evolve(State, domain.Envelope) State
}

// Decide turns a command into facts.
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) { return nil, nil }

// Evolve is the state after an event.
func Evolve(s State, e domain.Envelope) State { return s }
