package organisation

import (
	"cmp"
	"context"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/person"
	"sallyport.dev/handlers/passkey"
	"sallyport.dev/projections/control"
)

// Enrolment is an enrolment at the only moment when its secret is known: the log
// keeps the hash. It never shows in a log line.
type Enrolment struct {
	ID        string
	Person    domain.Name // "" whoever uses it chooses
	ExpiresAt time.Time
	Secret    string
}

// LogValue leaves the secret out.
func (e Enrolment) LogValue() slog.Value { return slog.StringValue("enrolment " + e.ID) }

// Enrol makes the enrolment by which who becomes an owner with a passkey, for
// [identity.EnrolmentLife], in place of any other. Who was removed, and who could
// not be added, is refused now rather than when they use it. The secret is handed
// out once its event is durable.
func (o *Organisation) Enrol(ctx context.Context, m domain.Meta, who domain.Name) (Enrolment, error) {
	e := newEnrolment(who, m)
	_, err := o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		if _, _, err := withRole(s.People(), who, domain.Owner, s.LentRoles(who, m.Now), m); err != nil {
			return nil, err
		}
		return e.decide(s, m)
	})
	if err != nil {
		return Enrolment{}, err
	}
	return e, nil
}

// EnrolFirst makes the enrolment by which whoever uses it becomes the first owner,
// unless somebody bears owner, when it is the zero Enrolment, or one is open already,
// of which ExpiresAt alone is told: of all replicas that start at once one has the secret.
func (o *Organisation) EnrolFirst(ctx context.Context, m domain.Meta) (e Enrolment, err error) {
	made := newEnrolment("", m)
	_, err = o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		switch was := s.Identities().Enrolment(); {
		case owned(s, m.Now):
			e = Enrolment{}
			return nil, nil
		case was.ID != made.ID && was.Open(s.Later(m.Now)):
			e = Enrolment{ExpiresAt: was.ExpiresAt}
			return nil, nil
		}
		e = made
		return made.decide(s, m)
	})
	if err != nil {
		return Enrolment{}, err
	}
	return e, nil
}

func newEnrolment(who domain.Name, m domain.Meta) Enrolment {
	return Enrolment{ID: ulid.Make().String(), Person: who, ExpiresAt: m.Now.Add(identity.EnrolmentLife), Secret: newTokenSecret()}
}

func (e Enrolment) decide(s *control.State, m domain.Meta) ([]domain.Fact, error) {
	return identity.Decide(s.Identities(), identity.CreateEnrolment{ID: e.ID, Person: e.Person, Hash: person.HashToken(e.Secret)}, m)
}

// Owned tells whether somebody bears owner now, by themself or through a group.
func (o *Organisation) Owned() (is bool) {
	o.Read(func(s *control.State, _ domain.Head) { is = owned(s, o.Now()) })
	return is
}

func owned(s *control.State, now time.Time) bool {
	all := s.Everybody()
	return slices.ContainsFunc(all, func(p person.Person) bool { return slices.Contains(p.Roles, domain.Owner) }) ||
		slices.ContainsFunc(all, func(p person.Person) bool { return slices.Contains(s.LentRoles(p.Name, now), domain.Owner) })
}

// NewInvitation is an invitation that [Enrolment.Invite] may make at now.
func NewInvitation(who domain.Name, now time.Time) Enrolment {
	return Enrolment{ID: ulid.Make().String(), Person: who, ExpiresAt: now.Add(identity.InvitationLife), Secret: newTokenSecret()}
}

// Invite decides the invitation by which a person who never proved who they are
// registers a passkey, in place of an older one. Its secret may be handed out once
// that is durable.
func (e Enrolment) Invite(s *control.State, m domain.Meta) ([]domain.Fact, error) {
	if _, known := s.Person(e.Person); !known {
		return nil, person.ErrNotFound
	}
	return identity.Decide(s.Identities(), identity.Invite{ID: e.ID, Person: e.Person, Hash: person.HashToken(e.Secret)}, m)
}

// InvitedParameter marks the link of an invitation, for what the page says first.
const InvitedParameter = "invited"

// EnrolmentLink is where an enrolment or, as values say, an invitation leads. The
// secret is in the fragment, which browsers send nobody: it is in no request line, no
// proxy's log and no Referer.
func EnrolmentLink(baseURL, org string, values url.Values, secret string) string {
	link := baseURL + "/console/orgs/" + org + "/enrol"
	if len(values) > 0 {
		link += "?" + values.Encode()
	}
	return link + "#" + secret
}

// InvitationLink is where an invitation leads. Its error says that browsers have no
// passkeys at our address.
func (o *Organisation) InvitationLink(e Enrolment) (string, error) {
	base := strings.TrimSuffix(o.Issuer(), "/orgs/"+o.Name().String())
	if has, err := passkey.New(base); has == nil {
		return "", cmp.Or(err, error(errNoPasskeys))
	}
	return EnrolmentLink(base, o.Name().String(), url.Values{"person": {e.Person.String()}, InvitedParameter: {"yes"}}, e.Secret), nil
}

var errNoPasskeys = &domain.Error{Kind: domain.KindConflict, Code: "invitation.no_passkeys",
	Message: "Browsers have no passkeys at an address such as this server's: it needs a base URL with a name."}

// FindEnrolment is the id of the enrolment, or invitation, of that secret, or
// [identity.ErrEnrolment] if it is not open. One for the first owner is over once
// there is one, and one of a person who was removed with them.
func FindEnrolment(s *control.State, secret string, now time.Time) (id string, err error) {
	hash := person.HashToken(secret)
	now = s.Later(now)
	e, err := s.Identities().EnrolmentOf(hash, now)
	if err == nil && !(e.Person == "" && owned(s, now)) {
		return e.ID, nil
	}
	who, i, err := s.Identities().Invited(hash, now)
	if _, known := s.Person(who); !known {
		err = identity.ErrEnrolment
	}
	return i.ID, err
}

// CheckEnrolled tells why who cannot use the enrolment of that id.
func CheckEnrolled(s *control.State, id string, who domain.Name, m domain.Meta) error {
	_, err := enrol(s, id, who, m)
	return err
}

// Enrolled decides what follows when somebody who knows the secret of the
// enrolment of that id uses it as who, with a passkey that they just made.
func Enrolled(s *control.State, id string, who domain.Name, made identity.RegisterPasskey, m domain.Meta) ([]domain.Fact, error) {
	facts, err := enrol(s, id, who, m)
	if err != nil {
		return nil, err
	}
	theirs := m
	theirs.Actor = domain.Actor{ID: who.String()}
	key, err := identity.Decide(s.Identities(), made, theirs)
	for _, f := range key {
		f.Actor = who.String()
		facts = append(facts, f)
	}
	return facts, err
}

// enrol is the use of an enrolment, and what makes who the person that it promises.
func enrol(s *control.State, id string, who domain.Name, m domain.Meta) ([]domain.Fact, error) {
	if i, open := s.Identities().Invitation(who, s.Later(m.Now)); open && i.ID == id {
		if _, known := s.Person(who); known {
			return nil, nil // their first passkey ends it
		}
	}
	e := s.Identities().Enrolment()
	first := e.Person == ""
	if first && owned(s, m.Now) {
		return nil, identity.ErrEnrolment
	}
	at := m
	at.Now = s.Later(m.Now) // a clock that is put back revives none
	used, err := identity.Decide(s.Identities(), identity.UseEnrolment{ID: id, Person: who}, at)
	if err != nil {
		return nil, err
	}
	if _, known := s.Person(who); known && first {
		return nil, person.ErrTaken // nobody becomes somebody by choosing their name
	}
	_, facts, err := withRole(s.People(), who, domain.Owner, s.LentRoles(who, m.Now), m)
	return append(facts, used...), err
}
