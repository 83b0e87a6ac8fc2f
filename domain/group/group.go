// Package group answers who is in which group, until when, and which admin
// roles a group lends its members. It knows no people: who gives a command makes
// sure that there is such a person.
//
// A membership that has an end holds no more from that moment on; recording
// that it lapsed ([State.Lapse]) only tells people.
package group

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
)

const (
	// MaxMembers is how many people are in one group at most.
	MaxMembers = 10_000
	// MaxGroups is how many groups one person is in at most, so that removing the
	// person fits in one commit.
	MaxGroups = 200
	// MaxTerm is the longest that a time-bound membership may last.
	MaxTerm = 365 * 24 * time.Hour
	// maxLapses bounds what one commit records as lapsed; the rest is recorded by the next.
	maxLapses = 200
)

// Source is where a membership comes from.
type Source string

const (
	// Local is a membership kept here.
	Local Source = "local"
	// Provider is one that came with the person from the identity provider at sign-in.
	Provider Source = "identity_provider"
)

// Spec is what people write of a group.
type Spec struct {
	Description string        `json:"description,omitempty"` // up to 1000 characters
	Roles       []domain.Role `json:"roles,omitempty"`       // admin roles that its members bear while they are in it
}

// Member is one person in a group.
type Member struct {
	Person  domain.Name
	Until   time.Time // zero: standing; it holds no more at this moment, whether or not that was recorded
	Source  Source
	Request string // id of the access request whose approval added them, "" otherwise
	AddedAt time.Time
	AddedBy string
}

// holds tells whether the person is in at now.
func (m Member) holds(now time.Time) bool { return m.Until.IsZero() || now.Before(m.Until) }

// Group is a group as the log tells it.
type Group struct {
	Name domain.Name
	Spec
	Version              uint64   // of the Spec, as in If-Match; members do not raise it
	Members              []Member // by name; some may have ended and not be recorded as such yet
	CreatedAt, UpdatedAt time.Time
	CreatedBy, UpdatedBy string
}

// membership names one person in one group.
type membership struct{ group, person domain.Name }

// State is the groups of one organisation. The zero value has none. It owns its
// memory as a slice does: after [Evolve] only the state it returned may be used.
type State struct {
	groups  map[domain.Name]Group // without members
	names   []domain.Name         // of groups, in order
	lending []domain.Name         // those of them that lend roles, in order
	deleted map[domain.Name]bool  // whose names are never given again
	members map[membership]Member
	in      map[domain.Name][]domain.Name // people of each group, in order
	of      map[domain.Name][]domain.Name // groups of each person, in order
	ends    map[membership]time.Time      // of the memberships that have an end
}

func newState() State {
	return State{
		groups: map[domain.Name]Group{}, deleted: map[domain.Name]bool{}, members: map[membership]Member{},
		in: map[domain.Name][]domain.Name{}, of: map[domain.Name][]domain.Name{}, ends: map[membership]time.Time{},
	}
}

// Find is the group of that name, without its members, at little cost; one that
// was deleted is not there.
func (s State) Find(n domain.Name) (Group, bool) {
	g, ok := s.groups[n]
	return g, ok
}

// Group is [State.Find] with the members.
func (s State) Group(n domain.Name) (Group, bool) {
	g, ok := s.groups[n]
	for _, p := range s.in[n] {
		g.Members = append(g.Members, s.members[membership{n, p}])
	}
	return g, ok
}

// People is who is in the group at now, by name.
func (s State) People(group domain.Name, now time.Time) []domain.Name {
	out := make([]domain.Name, 0, len(s.in[group]))
	for _, p := range s.in[group] {
		if s.Has(group, p, now) {
			out = append(out, p)
		}
	}
	return out
}

// Groups is every group, by name, without its members.
func (s State) Groups() []Group {
	out := make([]Group, 0, len(s.names))
	for g := range s.Each() {
		out = append(out, *g)
	}
	return out
}

// Each is [State.Groups], one after the other: what is pointed to is the next one's then.
func (s State) Each() iter.Seq[*Group] {
	return func(yield func(*Group) bool) {
		var g Group
		for _, n := range s.names {
			if g = s.groups[n]; !yield(&g) {
				return
			}
		}
	}
}

// Count is how many people are in the group at now.
func (s State) Count(group domain.Name, now time.Time) (n int) {
	for _, p := range s.in[group] {
		if s.Has(group, p, now) {
			n++
		}
	}
	return n
}

// Member is the person's membership of the group at now.
func (s State) Member(group, person domain.Name, now time.Time) (Member, bool) {
	m, ok := s.members[membership{group, person}]
	if !ok || !m.holds(now) {
		return Member{}, false
	}
	return m, true
}

// Of is the groups that the person is in at now, by name.
func (s State) Of(person domain.Name, now time.Time) []domain.Name {
	var out []domain.Name
	for _, g := range s.of[person] {
		if s.Has(g, person, now) {
			out = append(out, g)
		}
	}
	return out
}

// Has tells whether the person is in the group at now.
func (s State) Has(group, person domain.Name, now time.Time) bool {
	_, ok := s.Member(group, person, now)
	return ok
}

// Roles is the admin roles that groups lend the person at now, in the order of domain.Roles.
func (s State) Roles(person domain.Name, now time.Time) []domain.Role {
	among := s.lending // this is asked of everybody, and with each request
	if mine := s.of[person]; len(mine) < len(among) {
		among = mine
	}
	var lent, out []domain.Role
	for _, g := range among {
		if roles := s.groups[g].Roles; len(roles) > 0 && s.Has(g, person, now) {
			lent = append(lent, roles...)
		}
	}
	if len(lent) == 0 {
		return nil
	}
	for _, r := range domain.Roles() {
		if slices.Contains(lent, r) {
			out = append(out, r)
		}
	}
	return out
}

// Next is when the next membership ends that is not recorded as ended; zero if none does.
func (s State) Next() time.Time {
	var next time.Time
	for _, t := range s.ends {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	return next
}

// Lapse is the memberships that have ended by m.Now and are not recorded as
// ended, the earliest first and as many as one commit should hold: as long as
// [State.Next] is past, there are more.
func (s State) Lapse(m domain.Meta) []domain.Fact {
	var ended []membership
	for k, until := range s.ends {
		if !m.Now.Before(until) {
			ended = append(ended, k)
		}
	}
	slices.SortFunc(ended, func(a, b membership) int {
		if c := s.ends[a].Compare(s.ends[b]); c != 0 {
			return c
		}
		return strings.Compare(a.group.String()+"/"+a.person.String(), b.group.String()+"/"+b.person.String())
	})
	var facts []domain.Fact
	for _, k := range ended[:min(len(ended), maxLapses)] {
		facts = append(facts, fact(k.group, MemberWasRemoved{Group: k.group, Person: k.person, Reason: Lapsed, Until: s.ends[k]}))
	}
	return facts
}

// put replaces a membership.
func (s State) put(group domain.Name, m Member) {
	k := membership{group, m.Person}
	s.members[k] = m
	s.in[group] = with(s.in[group], m.Person)
	s.of[m.Person] = with(s.of[m.Person], group)
	delete(s.ends, k)
	if !m.Until.IsZero() {
		s.ends[k] = m.Until
	}
}

// drop forgets a membership.
func (s State) drop(k membership) {
	delete(s.members, k)
	delete(s.ends, k)
	s.in[k.group] = without(s.in[k.group], k.person)
	if s.of[k.person] = without(s.of[k.person], k.group); len(s.of[k.person]) == 0 {
		delete(s.of, k.person)
	}
}

// lends notes whether a group lends roles.
func (s State) lends(n domain.Name, roles []domain.Role) State {
	if s.lending = without(s.lending, n); len(roles) > 0 {
		s.lending = with(s.lending, n)
	}
	return s
}

// with is names in order, with one of that name.
func with(names []domain.Name, n domain.Name) []domain.Name {
	at, there := slices.BinarySearch(names, n)
	if there {
		return names
	}
	return slices.Insert(names, at, n)
}

// without is names in order, with none of that name.
func without(names []domain.Name, n domain.Name) []domain.Name {
	at, there := slices.BinarySearch(names, n)
	if !there {
		return names
	}
	return slices.Delete(names, at, at+1)
}

// Command asks for a change. The set is closed: each has its rule.
type Command interface {
	decide(s State, m domain.Meta) ([]domain.Fact, error)
}

// Event is a fact of this noun. The set is closed: each has its effect.
type Event interface {
	domain.Event
	evolve(s State, e domain.Envelope) (State, error)
}

// Decide tells which facts follow from a command, none if what it asks for
// already is, or why it is refused (a *domain.Error, found in the order role,
// existence, version, content, conflict).
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) { return c.decide(s, m) }

// Evolve folds one stored event, whose Event is one of this package's, into
// the state, whose memory it takes over. It refuses what Decide can never have
// decided: the log is then not ours.
func Evolve(s State, e domain.Envelope) (State, error) {
	ev, ok := e.Event.(Event)
	if !ok {
		return s, fmt.Errorf("%s is not an event of groups", e.Type)
	}
	if s.groups == nil {
		s = newState()
	}
	return ev.evolve(s, e)
}

// fact is an event about a group.
func fact(n domain.Name, e Event) domain.Fact {
	return domain.Fact{Subject: "group/" + n.String(), Event: e}
}
