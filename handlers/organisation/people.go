package organisation

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
	"sallyport.dev/projections/control"
)

// APIToken is a person's API token, at the only moment when it is known: the
// log keeps its hash. It never shows in a log line.
type APIToken struct {
	ID        string
	Person    domain.Name
	Role      domain.Role
	ExpiresAt time.Time
	Secret    string
}

// LogValue leaves the secret out.
func (t APIToken) LogValue() slog.Value { return slog.StringValue("api token " + t.ID) }

// tokenPrefix lets people, and scanners of leaked secrets, see what the text is.
const tokenPrefix = "sallyport_"

// CreateToken makes an API token that bears one role for ttl (1 minute to 90
// days). The person is added, or given the role, where that is missing, in the
// same commit: the command is for whoever holds the host. A role that a group
// lends the person is not given besides: the token bears it as long as the group
// lends it. The token is handed out once its event is durable.
func (o *Organisation) CreateToken(ctx context.Context, m domain.Meta, who domain.Name, role domain.Role, ttl time.Duration) (APIToken, error) {
	t := APIToken{ID: ulid.Make().String(), Person: who, Role: role, ExpiresAt: m.Now.Add(ttl), Secret: newTokenSecret()}
	_, err := o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		lent := s.LentRoles(who, m.Now)
		people, facts, err := withRole(s.People(), who, role, lent, m)
		if err != nil {
			return nil, err
		}
		created, err := person.Decide(people, person.CreateToken{
			ID: t.ID, Person: who, Roles: []domain.Role{role}, Lent: lent, Hash: person.HashToken(t.Secret), ExpiresAt: t.ExpiresAt,
		}, m)
		return append(facts, created...), err
	})
	if err != nil {
		return APIToken{}, err
	}
	return t, nil
}

// newTokenSecret is 256 bits of chance, as API tokens are written.
func newTokenSecret() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(secret)
}

// LogIn makes an API token of who is m's actor, who proved who they are: with
// every role that they bear now, for [person.LoginTTL]. in says the rest of it, still
// why their proof counts no more on the very state that it is recorded on. The
// token is handed out once its event is durable.
func (o *Organisation) LogIn(ctx context.Context, m domain.Meta, in person.LogIn, still func(*control.State) error) (APIToken, error) {
	t := APIToken{ID: ulid.Make().String(), Person: in.Person, ExpiresAt: m.Now.Add(person.LoginTTL), Secret: newTokenSecret()}
	in.ID, in.Hash = t.ID, person.HashToken(t.Secret)
	_, err := o.Execute(ctx, m, func(s *control.State) ([]domain.Fact, error) {
		if err := still(s); err != nil {
			return nil, err
		}
		in.Lent = s.LentRoles(in.Person, m.Now)
		return person.Decide(s.People(), in, m)
	})
	if err != nil {
		return APIToken{}, err
	}
	return t, nil
}

// withRole is people as they are once who bears role, if groups lend them those
// that are lent, and the facts that make it so.
func withRole(people person.State, who domain.Name, role domain.Role, lent []domain.Role, m domain.Meta) (person.State, []domain.Fact, error) {
	var c person.Command = person.Add{Name: who, Roles: []domain.Role{role}}
	if p, known := people.Person(who); known {
		if slices.Contains(p.Roles, role) || slices.Contains(lent, role) {
			return people, nil, nil
		}
		c = person.GrantRole{Name: who, Role: role}
	}
	facts, err := person.Decide(people, c, m)
	people = people.Clone()
	for _, f := range facts {
		if err == nil {
			people, err = person.Evolve(people, domain.Envelope{Type: f.Event.EventType(), Event: f.Event, Actor: m.Actor.ID, Time: m.Now})
		}
	}
	return people, facts, err
}
