// Package policy answers who may do what with which resource, under which
// conditions. It says what the rules are and which resource each is about;
// what follows for somebody is domain/access's to decide.
//
//	draft --publish--> published --unpublish--> draft
//	  any --delete--> gone, and so is its name
//
// A policy has no effect until it is published, and an edit of a published one
// has none until that is published too. What a policy names may be gone since:
// it then lets nobody in, and never means something else of the same name.
package policy

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
)

// Principals are whom a policy is for: 1 to 40 together.
type Principals struct {
	Groups []domain.Name `json:"groups,omitempty"`
	Roles  []domain.Name `json:"roles,omitempty"` // workload roles
}

// Selector says which resources a rule is about: exactly one of its ways.
type Selector struct {
	Server domain.Name       `json:"server,omitempty"` // one server
	Labels map[string]string `json:"labels,omitempty"` // every server that has them all
	Secret string            `json:"secret,omitempty"` // one secret, by path
	Folder string            `json:"folder,omitempty"` // every secret below, such as payments
}

// PrivilegeType is what a rule lets its principals do.
type PrivilegeType string

const (
	// SSH is to log in with one of Accounts.
	SSH PrivilegeType = "ssh"
	// SSHWorkload is to log in as the workload's own user, wl_<role>.
	SSHWorkload PrivilegeType = "ssh_workload"
	// RevealPassword is to read the password of one of Accounts.
	RevealPassword PrivilegeType = "reveal_password"
	// Secret is to do Actions with secrets.
	Secret PrivilegeType = "secret"
)

// Action on a secret.
type Action string

const (
	// List is to see that it is there, and all about it but its value.
	List Action = "list"
	// Create is to put the first version of one that is not there.
	Create Action = "create"
	// Update is to put a further version.
	Update Action = "update"
	// Reveal is to read its value.
	Reveal Action = "reveal"
	// Delete is to destroy versions, and the secret itself.
	Delete Action = "delete"
)

// Privilege is one thing that a rule lets its principals do.
type Privilege struct {
	Type     PrivilegeType `json:"type"`
	Accounts []domain.Name `json:"accounts,omitempty"` // of ssh and reveal_password: 1..50 account names
	Actions  []Action      `json:"actions,omitempty"`  // of secret: 1..5
}

// ConditionType is what has to be met besides.
type ConditionType string

const (
	// AccessRequest is that people have approved it, as the request type says.
	AccessRequest ConditionType = "access_request"
	// MFA is a second factor, proven lately.
	MFA ConditionType = "mfa"
	// Checkout is that the subject has it to itself.
	Checkout ConditionType = "checkout"
)

// Condition of a rule; all of a rule's have to be met.
type Condition struct {
	Type            ConditionType `json:"type"`
	RequestType     domain.Name   `json:"request_type,omitempty"`     // of access_request
	ApprovalSeconds int           `json:"approval_seconds,omitempty"` // of access_request: how long an approval holds, 60..31536000
	FreshSeconds    *int          `json:"fresh_seconds,omitempty"`    // of mfa: 0 is every time, else 300..43200; absent is 1800
	MaxSeconds      int           `json:"max_seconds,omitempty"`      // of checkout: 900..604800; 0 is the project's
}

// BreakGlass opts a rule in to immediate access that is reviewed afterwards.
type BreakGlass struct {
	AccessSeconds int `json:"access_seconds"` // how long it lasts, 60..86400
}

// Rule lets a policy's principals do something with some resources.
type Rule struct {
	Name       domain.Name `json:"name"` // unique in its policy
	Resource   Selector    `json:"resource"`
	Privileges []Privilege `json:"privileges"`
	Conditions []Condition `json:"conditions,omitempty"`
	// Expression is CEL over claims, resource and time; boolean; "" is true, an error is false.
	Expression       string      `json:"expression,omitempty"`
	WorkloadsMayWait bool        `json:"workloads_may_wait,omitempty"` // a workload's request is raised for people instead of cancelled
	BreakGlass       *BreakGlass `json:"break_glass,omitempty"`
}

// Spec is what people write of a policy.
type Spec struct {
	Description string     `json:"description,omitempty"`
	Principals  Principals `json:"principals"`
	Rules       []Rule     `json:"rules"` // 1..30
}

// Policy is a policy as the log tells it.
type Policy struct {
	Name                 domain.Name
	Version              uint64 // of Newest, as in If-Match
	Newest               Spec
	Published            *Spec  // what decides; nil: nothing does
	PublishedVersion     uint64 // of Published; 0 if there is none
	CreatedAt, UpdatedAt time.Time
	CreatedBy, UpdatedBy string
	PublishedAt          time.Time
	PublishedBy          string

	expressions []*expression // of Published's rules, in their order
}

// Holds tells whether the expression of a published rule, by its place, is true
// of the facts. None is; one that is no expression, fails, costs too much or
// says anything but true is not.
func (p Policy) Holds(rule int, f Facts) bool {
	return rule >= 0 && rule < len(p.expressions) && p.expressions[rule].holds(f)
}

// State is the policies of one organisation. The zero value has none. It owns
// its memory as a slice does: after [Evolve] only the state it returned may be used.
type State struct {
	policies  map[domain.Name]Policy
	deleted   map[domain.Name]bool
	published []Policy            // by name; never modified, but replaced
	names     []domain.Name       // of policies, in order
	named     map[domain.Name]int // how often policies, published or not, name each group
}

// Policy is the policy of that name; one that was deleted is not there.
func (s State) Policy(n domain.Name) (Policy, bool) {
	p, ok := s.policies[n]
	return p, ok
}

// Policies is every policy, by name.
func (s State) Policies() []Policy {
	out := make([]Policy, 0, len(s.names))
	for p := range s.Each() {
		out = append(out, *p)
	}
	return out
}

// Each is every policy, by name, one after the other: what is pointed to is the
// next one's then.
func (s State) Each() iter.Seq[*Policy] {
	return func(yield func(*Policy) bool) {
		var p Policy
		for _, n := range s.names {
			if p = s.policies[n]; !yield(&p) {
				return
			}
		}
	}
}

// Published is every policy that decides, by name. It may be kept, and is not
// to be modified.
func (s State) Published() []Policy { return s.published }

// Names tells whether a policy, published or not, names the group.
func (s State) Names(group domain.Name) bool { return s.named[group] > 0 }

// count counts the groups that a policy names.
func (s State) count(p Policy, by int) {
	names := p.Newest.Principals.Groups
	if p.Published != nil {
		names = slices.Concat(names, p.Published.Principals.Groups)
	}
	for _, n := range names {
		if s.named[n] += by; s.named[n] == 0 {
			delete(s.named, n)
		}
	}
}

// put replaces a policy and keeps the lists, and what counts groups, true.
func (s State) put(p Policy) State {
	if was, there := s.policies[p.Name]; there {
		s.count(was, -1)
	} else {
		at, _ := slices.BinarySearch(s.names, p.Name)
		s.names = slices.Insert(s.names, at, p.Name)
	}
	s.count(p, 1)
	s.policies[p.Name] = p
	s.published = s.unlisted(p.Name)
	if p.Published != nil {
		i, _ := s.listed(p.Name)
		s.published = slices.Insert(s.published, i, p)
	}
	return s
}

// unlisted is a copy of the published policies without the one of that name.
func (s State) unlisted(n domain.Name) []Policy {
	i, found := s.listed(n)
	out := append(make([]Policy, 0, len(s.published)+1), s.published[:i]...)
	if found {
		i++
	}
	return append(out, s.published[i:]...)
}

func (s State) listed(n domain.Name) (int, bool) {
	return slices.BinarySearchFunc(s.published, n, func(p Policy, n domain.Name) int { return strings.Compare(p.Name.String(), n.String()) })
}

// find is the policy that a command is about, at the version that its caller saw.
func (s State) find(n domain.Name, version uint64) (Policy, error) {
	p, ok := s.policies[n]
	switch {
	case !ok:
		return Policy{}, ErrNotFound
	case version != p.Version:
		return Policy{}, ErrStale
	}
	return p, nil
}

// Command asks for a change. The set is closed: each has its rule.
type Command interface {
	decide(s State, m domain.Meta) ([]domain.Fact, error)
}

// Event is a fact of this noun. The set is closed: each has its effect.
type Event interface {
	domain.Event
	evolve(s State, n domain.Name, e domain.Envelope) (State, error)
}

// Decide tells which facts follow from a command, none if what it asks for
// already is, or why it is refused (a *domain.Error, found in the order role,
// existence, version, content, conflict).
func Decide(s State, c Command, m domain.Meta) ([]domain.Fact, error) {
	if !m.Actor.Has(domain.SecurityAdmin) {
		return nil, ErrRole
	}
	return c.decide(s, m)
}

// Evolve folds one stored event, whose Event is one of this package's, into
// the state, whose memory it takes over. It refuses what Decide can never have
// decided: the log is then not ours.
func Evolve(s State, e domain.Envelope) (State, error) {
	ev, ok := e.Event.(Event)
	if !ok {
		return s, fmt.Errorf("%s is not an event of policies", e.Type)
	}
	text, ok := strings.CutPrefix(e.Subject, "policy/")
	n, err := domain.ParseName(text)
	if !ok || err != nil {
		return s, fmt.Errorf("the subject names no policy")
	}
	if s.policies == nil {
		s.policies, s.deleted, s.named = map[domain.Name]Policy{}, map[domain.Name]bool{}, map[domain.Name]int{}
	}
	_, drafting := ev.(WasDrafted)
	if _, exists := s.policies[n]; exists == drafting || s.deleted[n] {
		return s, fmt.Errorf("it cannot happen to policy %s, which exists: %v, was deleted: %v", n, exists, s.deleted[n])
	}
	return ev.evolve(s, n, e)
}

// fact is the one fact that a command of this noun leads to.
func fact(n domain.Name, e Event) []domain.Fact {
	return []domain.Fact{{Subject: "policy/" + n.String(), Event: e}}
}
