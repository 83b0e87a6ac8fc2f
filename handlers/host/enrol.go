package host

import (
	"context"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation"
)

// Enrolment is a one-time link, but for where it leads, the only time it is seen.
type Enrolment struct {
	ID        string      `json:"id"`
	Person    domain.Name `json:"person,omitempty"` // "" whoever opens it chooses a name
	Secret    string      `json:"secret"`           // only its hash is stored
	ExpiresAt time.Time   `json:"expires_at"`
}

func enrolment(e organisation.Enrolment, err error) (Enrolment, error) {
	return Enrolment{ID: e.ID, Person: e.Person, Secret: e.Secret, ExpiresAt: e.ExpiresAt}, err
}

// RecoveryRequest asks for a link for a person.
type RecoveryRequest struct {
	Person string `json:"person"`
}

// Recover makes the link by which a person becomes an owner with a passkey, in place
// of any other: they are added where nobody has that name, and granted the role
// where they lack it, when they use it.
func (h *Host) Recover(ctx context.Context, org string, r RecoveryRequest) (Enrolment, error) {
	o, err := h.org(org)
	if err != nil {
		return Enrolment{}, err
	}
	name, err := domain.ParseName(r.Person)
	if err != nil {
		return Enrolment{}, err
	}
	return enrolment(o.Enrol(ctx, domain.Meta{Actor: domain.System("host"), Now: o.Now()}, name))
}

// EnrolFirst makes the link by which whoever opens it becomes the first owner.
// Without a secret none was made: one is open until ExpiresAt, or, if that is
// zero, there is an owner.
func (h *Host) EnrolFirst(ctx context.Context, org string) (Enrolment, error) {
	o, err := h.org(org)
	if err != nil {
		return Enrolment{}, err
	}
	return enrolment(o.EnrolFirst(ctx, domain.Meta{Actor: domain.System("first_start"), Now: o.Now()}))
}

// Owned tells whether somebody is owner of the organisation now.
func (h *Host) Owned(org string) (bool, error) {
	o, err := h.org(org)
	if err != nil {
		return false, err
	}
	return o.Owned(), nil
}
