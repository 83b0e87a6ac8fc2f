package control

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/identity"
	"sallyport.dev/domain/key"
	"sallyport.dev/domain/notification"
	"sallyport.dev/domain/organisation"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/domain/role"
	"sallyport.dev/domain/sshca"
	"sallyport.dev/domain/token"
)

// fold folds a commit. After an error the state is somewhere inside the commit
// and good for nothing more: the log's fences refuse what is decided on it.
func (s *State) fold(c domain.Commit) error {
	if len(c.Events) == 0 {
		return fmt.Errorf("it has no events")
	}
	fold := s.foldActivity
	if c.Control {
		fold = s.foldControl
	}
	for _, e := range c.Events {
		if err := fold(e); err != nil {
			return fmt.Errorf("event %s (%s, %s): %w", e.ID, e.Type, e.Subject, err)
		}
		if at := earlier(e.Time, c.StoredAt); at.After(s.clock) {
			s.clock = at
		}
	}
	s.remember(c)
	s.spent.forget(s.clock)
	return nil
}

// passed lets time pass without an event.
func (s *State) passed(at time.Time) {
	if at.After(s.clock) {
		s.clock = at
	}
	s.spent.forget(s.clock)
}

// earlier is when an event was, by the clock of the replica that decided it or of
// the server that stored it: one of the two that is ahead, alone, must not make
// us forget what is to be remembered.
func earlier(decided, stored time.Time) time.Time {
	if !stored.IsZero() && stored.Before(decided) {
		return stored
	}
	return decided
}

// foldControl folds an event of the control subject. Every type has its noun
// here; one that has none stops the projection.
func (s *State) foldControl(e domain.Envelope) (err error) {
	switch ev := e.Event.(type) {
	case connection.WasTested, organisation.TrailWasExported, access.Activity:
		return fmt.Errorf("activity on the control subject")
	case connection.Event:
		return s.foldConnection(ev, e)
	case key.Event:
		s.keys, err = key.Evolve(s.keys, e)
	case person.Event:
		s.people, err = person.Evolve(s.people, e)
	case organisation.Event:
		s.organisation, err = organisation.Evolve(s.organisation, e)
	case group.Event:
		s.groups, err = group.Evolve(s.groups, e)
	case role.Event:
		s.roles, err = role.Evolve(s.roles, e)
	case resource.Event:
		s.resources, err = resource.Evolve(s.resources, e)
	case policy.Event:
		s.policies, err = policy.Evolve(s.policies, e)
	case request.Event:
		s.requests, err = request.Evolve(s.requests, e)
	case access.Event:
		s.access, err = access.Evolve(s.access, e)
	case identity.Event:
		s.identity, err = identity.Evolve(s.identity, e)
	case sshca.Event:
		s.ssh, err = sshca.Evolve(s.ssh, e)
	case notification.Event:
		s.notices, err = notification.Evolve(s.notices, e)
	default:
		return fmt.Errorf("unknown to the control state as %T", e.Event)
	}
	s.notices = s.notices.Observe(e)
	return err
}

// Concerns tells by its stored bytes whether an activity commit has to be
// folded: it may hold a spent proof or an idempotency key, or a type that
// foldActivity does not pass over. It looks for members as our encoder
// writes them and rather says yes; of a million events it takes half a second.
func Concerns(stored []byte) bool {
	if bytes.Contains(stored, []byte(`"spent":`)) || bytes.Contains(stored, []byte(`"idempotencykey":`)) {
		return true
	}
	for _, rest, ok := bytes.Cut(stored, memberType); ok; _, rest, ok = bytes.Cut(rest, memberType) {
		typ, _, _ := bytes.Cut(rest, []byte(`"`))
		switch string(typ) {
		case token.WasIssued{}.EventType(), token.WasDenied{}.EventType(),
			token.DenialsWereSuppressed{}.EventType(), connection.WasTested{}.EventType(), organisation.TrailWasExported{}.EventType():
		default:
			if !access.IsActivity(string(typ)) {
				return true
			}
		}
	}
	return false
}

var memberType = []byte(`"type":"`)

// foldActivity folds an event of the activity subject: only spent proofs are
// anything to the control state, but it must know what it passes over.
func (s *State) foldActivity(e domain.Envelope) error {
	switch ev := e.Event.(type) {
	case token.WasIssued:
		if ev.Spent != "" {
			return s.spent.add(ev.Spent, ev.SpentUntil)
		}
	case access.WasGranted:
		if ev.Spent != "" {
			return s.spent.add(ev.Spent, ev.SpentUntil)
		}
	case token.WasDenied, token.DenialsWereSuppressed, connection.WasTested, organisation.TrailWasExported, access.Activity:
	default:
		return fmt.Errorf("unknown to the control state as %T on the activity subject", e.Event)
	}
	return nil
}

// follows lists after which statuses an event of a connection can stand.
func follows(ev connection.Event) []connection.Status {
	switch ev.(type) {
	case connection.WasDrafted:
		return []connection.Status{connection.None}
	case connection.WasDeactivated:
		return []connection.Status{connection.Active, connection.Inactive}
	case connection.WasDeleted:
		return []connection.Status{connection.Drafted, connection.Inactive}
	}
	return []connection.Status{connection.Drafted, connection.Active, connection.Inactive}
}

func (s *State) foldConnection(ev connection.Event, e domain.Envelope) error {
	text, ok := strings.CutPrefix(e.Subject, "connection/")
	name, err := domain.ParseName(text)
	if !ok || err != nil {
		return fmt.Errorf("the subject names no connection")
	}
	was := s.Connection(name)
	if !slices.Contains(follows(ev), was.Status) {
		return fmt.Errorf("it cannot happen to a connection with status %q", was.Status)
	}
	now := connection.Evolve(was, e)
	now.Name = name
	s.put(now)
	return nil
}
