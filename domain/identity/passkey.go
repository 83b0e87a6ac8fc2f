package identity

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport.dev/domain"
)

// MaxPasskeys is how many passkeys a person may have.
const MaxPasskeys = 20

// maxPasskeyName bounds what a person calls a passkey, in bytes.
const maxPasskeyName = 60

// Passkey is the public half of a key that one authenticator of a person's has.
type Passkey struct {
	ID           string // as the authenticator calls it, base64url
	Person       domain.Name
	Name         string // what the person calls it
	PublicKey    string // COSE key (RFC 9052), base64url
	AAGUID       string // which make of authenticator says to have made it
	Synced       bool   // it may be on several devices
	Counter      uint32 // of the last sign-in; 0 of those that count nothing
	RegisteredAt time.Time
	UsedAt       time.Time // zero: never
}

// Passkey is the passkey of that id.
func (s State) Passkey(id string) (Passkey, bool) {
	k, ok := s.passkeys[id]
	return k, ok
}

// Passkeys is a person's passkeys, oldest first.
func (s State) Passkeys(n domain.Name) []Passkey {
	var out []Passkey
	for _, k := range s.passkeys {
		if k.Person == n {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b Passkey) int {
		return cmp.Or(a.RegisteredAt.Compare(b.RegisteredAt), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Errors of passkeys.
var (
	ErrPasskeyTaken    = &domain.Error{Kind: domain.KindConflict, Code: "passkey.taken", Message: "This passkey is registered already."}
	ErrPasskeyNotFound = &domain.Error{Kind: domain.KindNotFound, Code: "passkey.not_found", Message: "There is no such passkey; it may have been removed."}
	ErrPasskeyName     = &domain.Error{Kind: domain.KindInvalid, Code: "passkey.name", Message: "The name of a passkey is 1 to 60 bytes of plain text, such as: my laptop."}
	ErrPasskeys        = &domain.Error{Kind: domain.KindConflict, Code: "passkey.too_many", Message: "You have 20 passkeys: remove one that you do not use."}
	ErrPasskeyForm     = &domain.Error{Kind: domain.KindInvalid, Code: "passkey.malformed", Message: "A passkey's id and public key are base64url."}
	errPasskeyRole     = &domain.Error{Kind: domain.KindForbidden, Code: "role.missing", Message: "People register and remove their own passkeys."}
)

var base64Form = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,1000}\z`)

// RegisterPasskey says that a passkey is the actor's from now on; the caller has proof.
type RegisterPasskey struct {
	Person    domain.Name // who the actor must be
	ID        string
	Name      string
	PublicKey string
	AAGUID    string
	Synced    bool
	Counter   uint32
}

func (c RegisterPasskey) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	c.Name = strings.TrimSpace(c.Name)
	_, known := s.passkeys[c.ID]
	switch {
	case m.Actor.ID != c.Person.String():
		return nil, errPasskeyRole
	case !base64Form.MatchString(c.ID) || !base64Form.MatchString(c.PublicKey):
		return nil, ErrPasskeyForm
	case CheckPasskeyName(c.Name) != nil:
		return nil, ErrPasskeyName
	case known:
		return nil, ErrPasskeyTaken
	case len(s.Passkeys(c.Person)) >= MaxPasskeys:
		return nil, ErrPasskeys
	}
	return []domain.Fact{{Subject: "person/" + c.Person.String(), Event: PasskeyWasRegistered(c)}}, nil
}

// CheckPasskeyName tells whether a passkey can be called so: [ErrPasskeyName] if not.
func CheckPasskeyName(name string) error {
	if name = strings.TrimSpace(name); name == "" || len(name) > maxPasskeyName || !plain(name) {
		return ErrPasskeyName
	}
	return nil
}

// plain tells whether a text is shown as it is: no control and no format character.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) })
}

// PasskeyWasRegistered records that a passkey is a person's.
type PasskeyWasRegistered struct {
	Person    domain.Name `json:"person"`
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	PublicKey string      `json:"public_key"`
	AAGUID    string      `json:"aaguid"`
	Synced    bool        `json:"synced"`
	Counter   uint32      `json:"counter"`
}

// EventType is passkey.registered.
func (PasskeyWasRegistered) EventType() string { return "passkey.registered" }

func (e PasskeyWasRegistered) evolve(s State, env domain.Envelope) (State, error) {
	if _, known := s.passkeys[e.ID]; known {
		return s, fmt.Errorf("passkey %q was registered twice", e.ID)
	}
	s.proved[e.Person] = true
	s.passkeys[e.ID] = Passkey{
		ID: e.ID, Person: e.Person, Name: e.Name, PublicKey: e.PublicKey, AAGUID: e.AAGUID, Synced: e.Synced,
		Counter: e.Counter, RegisteredAt: env.Time,
	}
	return s.spendsPromise(e.Person), nil
}

// RemovePasskey says that a passkey opens nothing any more: whose it is says so,
// or an owner. Nobody registers one for somebody else.
type RemovePasskey struct {
	Person domain.Name
	ID     string
}

func (c RemovePasskey) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	k, known := s.passkeys[c.ID]
	if !known || k.Person != c.Person || m.Actor.ID != k.Person.String() && !m.Actor.Has(domain.Owner) {
		return nil, ErrPasskeyNotFound
	}
	return []domain.Fact{{Subject: "person/" + k.Person.String(), Event: PasskeyWasRemoved{k.Person, k.ID, k.Name}}}, nil
}

// PasskeyWasRemoved records that a passkey opens nothing any more.
type PasskeyWasRemoved struct {
	Person domain.Name `json:"person"`
	ID     string      `json:"id"`
	Name   string      `json:"name"`
}

// EventType is passkey.removed.
func (PasskeyWasRemoved) EventType() string { return "passkey.removed" }

func (e PasskeyWasRemoved) evolve(s State, env domain.Envelope) (State, error) {
	if _, known := s.passkeys[e.ID]; !known {
		return s, fmt.Errorf("passkey %q was removed and is unknown", e.ID)
	}
	delete(s.passkeys, e.ID)
	if env.Actor != e.Person.String() {
		s = s.tookFrom(e.Person, env.Actor)
	}
	return s, nil
}

// UsePasskey records that somebody proved with a passkey who they are; the caller
// has proof. A counter that did not go on is noted: another may have a copy.
type UsePasskey struct {
	ID      string
	Counter uint32
}

func (c UsePasskey) decide(s State, m domain.Meta) ([]domain.Fact, error) {
	k, known := s.passkeys[c.ID]
	switch {
	case !m.Actor.IsSystem():
		return nil, errPasskeyRole
	case !known:
		return nil, ErrPasskeyNotFound
	}
	back := c.Counter <= k.Counter && (c.Counter > 0 || k.Counter > 0)
	return []domain.Fact{{Subject: "person/" + k.Person.String(), Actor: k.Person.String(),
		Event: PasskeyWasUsed{k.Person, k.ID, k.Name, c.Counter, back}}}, nil
}

// PasskeyWasUsed records a proof with a passkey.
type PasskeyWasUsed struct {
	Person  domain.Name `json:"person"`
	ID      string      `json:"id"`
	Name    string      `json:"name"`
	Counter uint32      `json:"counter"`
	Back    bool        `json:"counter_went_back,omitempty"` // there may be a copy
}

// EventType is passkey.used.
func (PasskeyWasUsed) EventType() string { return "passkey.used" }

func (e PasskeyWasUsed) evolve(s State, env domain.Envelope) (State, error) {
	k, known := s.passkeys[e.ID]
	if !known {
		return s, fmt.Errorf("passkey %q was used and is unknown", e.ID)
	}
	k.Counter, k.UsedAt = max(k.Counter, e.Counter), env.Time
	s.passkeys[e.ID] = k
	return s, nil
}
