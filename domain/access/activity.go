package access

import (
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/resource"
)

// Activity is an event that says what was done with access, and changes nothing but
// which proofs are spent: the activity subject has it.
type Activity interface {
	domain.Event
	activity()
}

// IsActivity tells whether the type is one of an [Activity].
func IsActivity(typ string) bool {
	switch typ {
	case WasGranted{}.EventType(), WasRefused{}.EventType(), WasFiltered{}.EventType(), WasCancelled{}.EventType(),
		SecretWasRevealed{}.EventType():
		return true
	}
	return false
}

// Who is the subject of an activity, as events tell it.
type Who struct {
	Subject    string      `json:"subject"`              // a person's name, or a workload's URI
	Connection domain.Name `json:"connection,omitempty"` // of a workload
	Identity   string      `json:"identity,omitempty"`   // of a workload
	Source     string      `json:"source,omitempty"`     // network that the request came from
}

// WhoIs is the subject as events tell it.
func WhoIs(s Subject, source string) Who {
	return Who{Subject: s.ID, Connection: s.Connection, Identity: s.Identity, Source: source}
}

// WasGranted records that a door was opened, before it was: its id is the
// certificate's key id, its position the serial.
type WasGranted struct {
	Who
	Resource   resource.Ref `json:"resource"`
	Method     string       `json:"method"`
	Kind       Kind         `json:"kind"`
	Policy     domain.Name  `json:"policy"`
	Rule       domain.Name  `json:"rule"`
	Through    string       `json:"through"` // principal of the policy: group/NAME or role/NAME
	Account    domain.Name  `json:"account,omitempty"`
	Username   string       `json:"username,omitempty"`    // of ssh
	PublicKey  string       `json:"public_key,omitempty"`  // of ssh, its fingerprint
	Requests   []string     `json:"requests,omitempty"`    // ids of those whose approval opened it
	BreakGlass string       `json:"break_glass,omitempty"` // id of the glass that was broken for it
	ValidFrom  time.Time    `json:"valid_from,omitzero"`   // of ssh
	ValidUntil time.Time    `json:"valid_until,omitzero"`  // of ssh
	// Spent is the key of the proof of a second factor that was given for this one
	// use, and is to be remembered until then; empty where the rule asks for none.
	Spent      string    `json:"spent,omitempty"`
	SpentUntil time.Time `json:"spent_until,omitzero"`
}

// EventType is access.granted.
func (WasGranted) EventType() string { return "access.granted" }

// WasRefused records that somebody asked for what no rule gives them, or not yet.
type WasRefused struct {
	Who
	Resource resource.Ref           `json:"resource"`
	Method   string                 `json:"method,omitempty"`
	Code     string                 `json:"code"`            // as the caller was told
	Unmet    []policy.ConditionType `json:"unmet,omitempty"` // of the method asked for
	Role     string                 `json:"role,omitempty"`  // of a workload, that it asked as or its token hints at
	Roles    []domain.Name          `json:"roles,omitzero"`  // of a workload, that its token bore, the first 20; nil: not told
}

// maxRoles is how many roles an event lists at most.
const maxRoles = 20

// Bore is the refusal with the role that a workload asked for and those that its
// token bore then; for a person it is the refusal.
func (e WasRefused) Bore(asked string, borne []domain.Name) WasRefused {
	if e.Connection == "" {
		return e
	}
	e.Role = asked
	e.Roles = append([]domain.Name{}, borne[:min(len(borne), maxRoles)]...)
	return e
}

// EventType is access.refused.
func (WasRefused) EventType() string { return "access.refused" }

// LeftOut is a method that a workload was not given, and what of it needs a human.
type LeftOut struct {
	Method string                 `json:"method"`
	Needs  []policy.ConditionType `json:"needs"`
}

// maxLeftOut is how many methods an event lists at most.
const maxLeftOut = 20

// Leave is the methods as events list those that were left out.
func Leave(methods []Method) (out []LeftOut) {
	for _, m := range methods[:min(len(methods), maxLeftOut)] {
		l := LeftOut{Method: m.ID, Needs: []policy.ConditionType{}}
		for _, r := range m.Requires {
			l.Needs = append(l.Needs, r.Type)
		}
		out = append(out, l)
	}
	return out
}

// WasFiltered records that a workload was given some of the methods there are:
// the others need a human.
type WasFiltered struct {
	Who
	Resource resource.Ref `json:"resource"`
	Given    int          `json:"given"`    // how many methods it was given
	LeftOut  []LeftOut    `json:"left_out"` // the first 20 that it was not
}

// EventType is access.filtered.
func (WasFiltered) EventType() string { return "access.filtered" }

// WasCancelled records that every method there was needs a human, and a workload
// asked. No approval was raised.
type WasCancelled struct {
	Who
	Resource resource.Ref `json:"resource"`
	LeftOut  []LeftOut    `json:"left_out"` // the first 20
}

// EventType is access.cancelled.
func (WasCancelled) EventType() string { return "access.cancelled" }

// SecretWasRevealed records that the value of a secret, or of a vaulted account's
// password, was let out, before it was.
type SecretWasRevealed struct {
	Who
	Resource resource.Ref `json:"resource"`
	Account  domain.Name  `json:"account,omitempty"` // whose password
	Version  int          `json:"version"`
	Method   string       `json:"method"`
}

// EventType is secret.revealed.
func (SecretWasRevealed) EventType() string { return "secret.revealed" }

func (WasGranted) activity()        {}
func (WasRefused) activity()        {}
func (WasFiltered) activity()       {}
func (WasCancelled) activity()      {}
func (SecretWasRevealed) activity() {}
