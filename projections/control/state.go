// Package control folds what is true in one organisation: its connections,
// keys, people, settings, and what may happen only once. All of it is in
// memory, at one place in the log, so that every command and every exchange is
// decided on one consistent thing.
//
// It never skips: an event it does not know, one that cannot follow from what
// is, or a gap stops it for good, and [Projection.Err] says why.
package control

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/key"
	"sallyport.dev/domain/organisation"
	"sallyport.dev/domain/person"
)

// State is what is true at one place in the log. It may be used only inside
// [Projection.Read]; what its methods return may be kept, and is not to be modified.
type State struct {
	connections  map[domain.Name]*connection.State // replaced, never changed
	listed       []*connection.State               // those that are not deleted, by name
	tally        map[connection.Status]int         // how many of those have each status
	toActivate   []domain.Name                     // of those, whose newest version nobody activated yet, sorted
	withWarnings []domain.Name                     // of those, that are active with warnings that were accepted, sorted
	byIssuer     map[string][]domain.Name          // active connections that pin iss, sorted
	organisation organisation.State
	keys         key.State
	people       person.State
	nouns                              // what access is decided on
	once         map[string]Remembered // by idempotency key
	onceOrder    []noted               // keys of once as they came, oldest first
	spent        spends
	clock        time.Time // the latest time of any event folded
}

func newState() *State {
	return &State{
		connections: map[domain.Name]*connection.State{},
		tally:       map[connection.Status]int{},
		byIssuer:    map[string][]domain.Name{},
		once:        map[string]Remembered{},
		spent:       newSpends(),
	}
}

// Connection is the connection of that name; its Status is None if there never
// was one, and Deleted if there was.
func (s *State) Connection(n domain.Name) connection.State {
	if c := s.connections[n]; c != nil {
		return *c
	}
	return connection.State{}
}

// Connections is every connection that is not deleted, by name.
func (s *State) Connections() []connection.State {
	out := make([]connection.State, 0, len(s.listed))
	for c := range s.EachConnection() {
		out = append(out, *c)
	}
	return out
}

// EachConnection is every connection that is not deleted, by name.
func (s *State) EachConnection() iter.Seq[*connection.State] { return slices.Values(s.listed) }

// CountConnections is how many connections have a status.
func (s *State) CountConnections(of connection.Status) int { return s.tally[of] }

// ToActivate is the connections, by name, whose newest version nobody has activated yet.
func (s *State) ToActivate() iter.Seq[*connection.State] { return s.named(s.toActivate) }

// WithWarnings is the active connections, by name, of which warnings were accepted.
func (s *State) WithWarnings() []domain.Name { return slices.Clone(s.withWarnings) }

func (s *State) named(names []domain.Name) iter.Seq[*connection.State] {
	return func(yield func(*connection.State) bool) {
		for _, n := range names {
			if !yield(s.connections[n]) {
				return
			}
		}
	}
}

// ConnectionsByIssuer is the active connections whose activated version pins
// exactly that iss, by name: whom a proof may be for that names no connection.
func (s *State) ConnectionsByIssuer(iss string) []connection.State {
	var out []connection.State
	for _, n := range s.byIssuer[iss] {
		out = append(out, *s.connections[n])
	}
	return out
}

// Organisation is the organisation and its settings.
func (s *State) Organisation() organisation.State { return s.organisation }

// Keys is the signing keys.
func (s *State) Keys() key.State { return s.keys }

// EachPerson is everybody, by name, one after the other: what is pointed to is the
// next one's then.
func (s *State) EachPerson() iter.Seq[*person.Person] { return s.people.Each() }

// CountPeople is how many people there are.
func (s *State) CountPeople() int { return s.people.Count() }

// People is the people and their API tokens: a copy, made for the commands
// about them. To authenticate, use [State.Authenticate].
func (s *State) People() person.State { return s.people.Clone() }

// Person is the person of that name.
func (s *State) Person(n domain.Name) (person.Person, bool) { return s.people.Person(n) }

// Authenticate tells whom the API token of that hash speaks for at now, with the
// roles that are theirs at now, by themself or through groups.
func (s *State) Authenticate(hash string, now time.Time) (domain.Actor, error) {
	return s.people.Authenticate(hash, now, func(n domain.Name) []domain.Role { return s.LentRoles(n, now) })
}

// TokenOf is the API token of that hash.
func (s *State) TokenOf(hash string) (person.Token, bool) { return s.people.TokenOf(hash) }

// LetIn is the tokens that hold at now of programs that the person let in, by age.
func (s *State) LetIn(n domain.Name, now time.Time) []person.Token { return s.people.LetIn(n, now) }

// SignedOut tells whether a session of the person's, whose beginning stands there in
// the log, was ended by signing out everywhere.
func (s *State) SignedOut(n domain.Name, session string, began domain.Position) bool {
	return s.people.SignedOut(n, session, began)
}

// EffectiveRoles is every role that the person bears at now, by themself or
// through groups, in the order of domain.Roles.
func (s *State) EffectiveRoles(n domain.Name, now time.Time) []domain.Role {
	p, _ := s.people.Person(n)
	lent := s.LentRoles(n, now)
	var out []domain.Role
	for _, r := range domain.Roles() {
		if slices.Contains(p.Roles, r) || slices.Contains(lent, r) {
			out = append(out, r)
		}
	}
	return out
}

// Bears tells whether the person bears a role at now, by themself or through groups.
func (s *State) Bears(p *person.Person, r domain.Role, now time.Time) bool {
	return slices.Contains(p.Roles, r) || slices.Contains(s.LentRoles(p.Name, now), r)
}

// Everybody is the people, by name.
func (s *State) Everybody() []person.Person { return s.people.People() }

// LentRoles is the admin roles that groups lend the person at now.
func (s *State) LentRoles(n domain.Name, now time.Time) []domain.Role {
	return s.groups.Roles(n, s.Later(now))
}

// Spent tells whether a single-use proof with that spend key, which is to be
// remembered until that time, has become a token. One that would be forgotten by
// now counts as spent: a clock that was ahead made us forget, and has been put back.
func (s *State) Spent(key string, until time.Time) bool {
	return s.spent.has(key) || s.spent.past(until)
}

// Remembered is a write that was made under an idempotency key.
type Remembered struct {
	Request  string          // hash of the request that made it
	Position domain.Position // of its last event
	Subject  string          // of its first event
	At       time.Time
}

// RememberedFor is how long an idempotency key is remembered, by the time of events.
const RememberedFor = 24 * time.Hour

// Idempotent is the write that was made under that key (the hash of caller and
// key), if there was one in the 24 hours before now.
func (s *State) Idempotent(key string, now time.Time) (Remembered, bool) {
	r, ok := s.once[key]
	return r, ok && now.Before(r.At.Add(RememberedFor))
}

// noted is when an idempotency key was used.
type noted struct {
	key string
	at  time.Time
}

// remember keeps the idempotency key of a commit, and forgets those that are
// too old. A key that is used again once it was too old is remembered anew.
func (s *State) remember(c domain.Commit) {
	for _, e := range c.Events {
		if e.Idempotency == nil || !s.once[e.Idempotency.Key].Position.Less(c.Position()) {
			continue // none, that of an earlier event of this commit, or used again since: activity is seeded late
		}
		s.onceOrder = append(s.onceOrder, noted{e.Idempotency.Key, e.Time})
		s.once[e.Idempotency.Key] = Remembered{
			Request: e.Idempotency.Request, Position: c.Position(), Subject: e.Subject, At: e.Time,
		}
	}
	for len(s.onceOrder) > 0 && s.onceOrder[0].at.Add(RememberedFor).Before(s.clock) {
		first := s.onceOrder[0]
		if s.once[first.key].At.Equal(first.at) {
			delete(s.once, first.key)
		}
		s.onceOrder = s.onceOrder[1:]
	}
}

// put replaces a connection and keeps the lists and the index of issuers true.
func (s *State) put(c connection.State) {
	was := s.Connection(c.Name)
	s.unlist(was)
	s.connections[c.Name] = &c
	there := c.Status != connection.Deleted
	at, listed := slices.BinarySearchFunc(s.listed, c.Name, func(c *connection.State, n domain.Name) int { return cmp.Compare(c.Name, n) })
	switch {
	case listed && there:
		s.listed[at] = &c
	case listed:
		s.listed = slices.Delete(s.listed, at, at+1)
	case there:
		s.listed = slices.Insert(s.listed, at, &c)
	}
	if s.tally[was.Status]--; s.tally[was.Status] <= 0 {
		delete(s.tally, was.Status)
	}
	if there {
		s.tally[c.Status]++
	}
	s.toActivate = holding(s.toActivate, c.Name, there && (c.Pending != nil || !c.EverActivated))
	s.withWarnings = holding(s.withWarnings, c.Name, c.Status == connection.Active && len(c.Acknowledged) > 0)
	if iss, ok := pinned(c); ok {
		names := s.byIssuer[iss]
		i, _ := slices.BinarySearch(names, c.Name)
		s.byIssuer[iss] = slices.Insert(names, i, c.Name)
	}
}

// holding is sorted names, with that one or without it.
func holding(names []domain.Name, n domain.Name, in bool) []domain.Name {
	at, there := slices.BinarySearch(names, n)
	switch {
	case in && !there:
		return slices.Insert(names, at, n)
	case !in && there:
		return slices.Delete(names, at, at+1)
	}
	return names
}

func (s *State) unlist(c connection.State) {
	iss, ok := pinned(c)
	if !ok {
		return
	}
	names := s.byIssuer[iss]
	if i, found := slices.BinarySearch(names, c.Name); found {
		s.byIssuer[iss] = slices.Delete(names, i, i+1)
	}
	if len(s.byIssuer[iss]) == 0 {
		delete(s.byIssuer, iss)
	}
}

// pinned is the iss that an active connection's activated version requires by
// equality. One that only requires a prefix, or one of several, is no candidate
// for a proof that names no connection.
func pinned(c connection.State) (string, bool) {
	if c.Status != connection.Active {
		return "", false
	}
	for _, cond := range c.Current.Conditions {
		if strings.TrimPrefix(string(cond.Claim), "/") == "iss" && cond.Operator == claim.Equals {
			return cond.Value, true
		}
	}
	return c.Current.IssuerURL, c.Current.IssuerURL != "" // which Admit requires of iss
}
