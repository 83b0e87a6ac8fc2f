package person

import (
	"fmt"
	"regexp"
	"slices"

	"sallyport.dev/domain"
)

// MaxEmail is the longest address there is, in bytes (RFC 5321, 4.5.3.1.3).
const MaxEmail = 254

// Add makes a person known, with their first roles.
type Add struct {
	Name    domain.Name
	Roles   []domain.Role // at least one
	Email   string        // "" if it is not known
	Manager domain.Name   // "" nobody
}

func (c Add) decide(s State, m domain.Meta) ([]Event, error) {
	roles, err := canonical(c.Roles)
	old, known := s.people[c.Name]
	switch {
	case !mayManage(m.Actor):
		return nil, ErrRole
	case reserved(c.Name):
		return nil, ErrReserved
	case err != nil:
		return nil, err
	case len(roles) == 0:
		return nil, ErrNoRole
	case known && slices.Equal(old.Roles, roles) && old.Email == c.Email && old.Manager == c.Manager:
		return nil, nil // already so
	case known:
		return nil, ErrTaken
	case s.removed[c.Name]:
		// Otherwise groups, policies and what was approved for the one would mean the other.
		return nil, ErrTaken.With("A person of this name was removed, and their name is never given again: choose another name.")
	}
	if err := s.checkDetails(c.Name, c.Email, c.Manager, Person{}); err != nil {
		return nil, err
	}
	return []Event{WasAdded{Name: c.Name, Roles: roles, Email: c.Email, Manager: c.Manager}}, nil
}

// WasAdded records that a person became known.
type WasAdded struct {
	Name    domain.Name   `json:"name"`
	Roles   []domain.Role `json:"roles"`
	Email   string        `json:"email,omitempty"`
	Manager domain.Name   `json:"manager,omitempty"`
}

// EventType is person.added.
func (WasAdded) EventType() string { return "person.added" }

func (e WasAdded) subject() string { return "person/" + e.Name.String() }

func (e WasAdded) evolve(s State, env domain.Envelope) (State, error) {
	if _, known := s.people[e.Name]; known || s.removed[e.Name] {
		return s, fmt.Errorf("person %q was added twice", e.Name)
	}
	s.people[e.Name] = Person{
		Name: e.Name, Roles: e.Roles, Email: e.Email, EmailBy: env.Actor, Invited: e.Email, Manager: e.Manager, Version: 1,
		AddedAt: env.Time, AddedBy: env.Actor, UpdatedAt: env.Time, UpdatedBy: env.Actor,
	}
	at, _ := slices.BinarySearch(s.names, e.Name)
	s.names = slices.Insert(s.names, at, e.Name)
	return s, nil
}

// emailForm is an address as it stands between angle brackets: printable ASCII,
// so that nothing of it can become a header or a command of SMTP.
var emailForm = regexp.MustCompile(`\A[A-Za-z0-9.!#$%&'*+/=?^_{|}~\x60-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\z`)

// CheckEmail tells the rule that an address breaks; none is allowed.
func CheckEmail(email string) error {
	if email != "" && (len(email) > MaxEmail || !emailForm.MatchString(email)) {
		return domain.Invalid("email.invalid", "an address is local@domain in ASCII, at most 254 characters, such as carol@example.com")
	}
	return nil
}

// checkDetails names what is wrong with a person's address and manager. A
// manager who was removed since may stay.
func (s State) checkDetails(n domain.Name, email string, manager domain.Name, was Person) error {
	var broken []domain.FieldError
	if err := CheckEmail(email); err != nil {
		broken = append(broken, domain.FieldError{Pointer: "/email", Code: "email.invalid", Detail: err.Error()})
	}
	if _, known := s.people[manager]; manager == n && manager != "" {
		broken = append(broken, domain.FieldError{Pointer: "/manager", Code: "manager.self", Detail: "nobody is their own manager"})
	} else if manager != "" && manager != was.Manager && !known {
		broken = append(broken, domain.FieldError{Pointer: "/manager", Code: "person.unknown", Detail: "there is no such person"})
	}
	return domain.ErrFields(broken)
}
