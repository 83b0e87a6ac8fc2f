package request_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const web = resource.Ref("server/web-1")

// org is a small organisation: its people, and the requests as they are folded
// from what was decided.
type org struct {
	t        errorer
	state    request.State
	now      time.Time
	people   map[domain.Name]bool
	groups   map[domain.Name][]domain.Name
	until    map[domain.Name]time.Time // of ben's memberships
	bears    map[domain.Name]bool
	managers map[domain.Name]domain.Name
	owner    resource.Owner // of web-1
	raised   int
	log      []domain.Envelope
}

// errorer is what both testing.T and rapid.T have.
type errorer interface {
	Helper()
	Fatalf(string, ...any)
}

// newOrg has ben, who asks, and ann, bob, cat and dan, of whom ann and bob are in
// approvers, bob and cat in more-approvers, and ann is ben's manager.
func newOrg(t errorer) *org {
	return &org{
		t: t, now: noon,
		people: map[domain.Name]bool{"ben": true, "ann": true, "bob": true, "cat": true, "dan": true, "sven": true},
		groups: map[domain.Name][]domain.Name{
			"approvers": {"ann", "bob"}, "more-approvers": {"bob", "cat"}, "only-ben": {"ben"}, "with-ben": {"ann", "ben"},
			"all":       {"ann", "ben", "cat"},
			"pam-linux": nil, "admins": nil,
		},
		until: map[domain.Name]time.Time{}, bears: map[domain.Name]bool{"admins": true},
		managers: map[domain.Name]domain.Name{"ben": "ann"}, owner: resource.Owner{Group: "more-approvers"},
	}
}

func (o *org) world() request.World {
	return request.World{
		Known:   func(n domain.Name) bool { return o.people[n] },
		Manager: func(n domain.Name) domain.Name { return o.managers[n] },
		Owner:   func(resource.Ref) resource.Owner { return o.owner },
		Group:   func(n domain.Name) (bool, bool) { _, ok := o.groups[n]; return o.bears[n], ok },
		Members: func(n domain.Name) []domain.Name { return o.groups[n] },
		Membership: func(g, p domain.Name) (time.Time, bool) {
			return o.until[g], slices.Contains(o.groups[g], p)
		},
	}
}

func (o *org) meta(by string) domain.Meta {
	a := domain.Actor{ID: by}
	switch by {
	case "sven":
		a.Roles = []domain.Role{domain.SecurityAdmin}
	case "owner":
		a.Roles = []domain.Role{domain.Owner}
	}
	return domain.Meta{Actor: a, Now: o.now}
}

// do decides a command and folds what follows from it.
func (o *org) do(by string, c request.Command) ([]domain.Fact, error) {
	o.t.Helper()
	facts, err := request.Decide(o.state, c, o.meta(by))
	if err == nil {
		o.fold(by, facts)
	}
	return facts, err
}

func (o *org) fold(by string, facts []domain.Fact) {
	o.t.Helper()
	for _, f := range facts {
		e := domain.Envelope{Type: f.Event.EventType(), Subject: f.Subject, Time: o.now, Actor: by, Event: f.Event}
		var err error
		if o.state, err = request.Evolve(o.state, e); err != nil {
			o.t.Fatalf("folding %s: %v", e.Type, err)
		}
		o.log = append(o.log, e)
	}
}

// must is do, of what has to succeed.
func (o *org) must(by string, c request.Command) []domain.Fact {
	o.t.Helper()
	facts, err := o.do(by, c)
	if err != nil {
		o.t.Fatalf("%T by %s: %v", c, by, err)
	}
	return facts
}

// lapse records what deadlines have brought.
func (o *org) lapse() []domain.Fact {
	facts := o.state.Lapse(domain.Meta{Actor: domain.System("clock"), Now: o.now})
	o.fold("system:clock", facts)
	return facts
}

func step(name domain.Name, a request.Approvers) request.Step {
	return request.Step{Name: name, Approvers: a, ExpiresAfterSeconds: 3600}
}

func byGroup(g domain.Name) request.Approvers     { return request.Approvers{Group: g} }
func byPeople(p ...domain.Name) request.Approvers { return request.Approvers{People: p} }
func forAccess(steps ...request.Step) request.Spec {
	return request.Spec{Kind: request.ForAccess, Steps: steps}
}
func forGroups(gs []domain.Name, steps ...request.Step) request.Spec {
	return request.Spec{Kind: request.ForGroup, Groups: gs, MaxSeconds: 7 * 24 * 3600, Steps: steps}
}

// publish has requests raised under the type.
func (o *org) publish(name domain.Name, spec request.Spec) {
	o.t.Helper()
	o.must("sven", request.DraftType{Name: name, Spec: spec})
	by := "sven"
	if slices.ContainsFunc(spec.Groups, func(g domain.Name) bool { return o.bears[g] }) {
		by = "owner"
	}
	o.must(by, request.PublishType{Name: name, Version: 1, World: o.world()})
}

func (o *org) id() string {
	o.raised++
	return fmt.Sprintf("01KASE%020d", o.raised)
}

// access is ben's request for ssh as pamadmin1.
func (o *org) access(typ domain.Name) request.Raise {
	return request.Raise{
		ID:     o.id(),
		Matter: request.Matter{Requester: "ben", Type: typ, Resource: web, Method: "prod/admins/ssh:pamadmin1"},
		Asked:  request.Asked{Policy: "prod", Rule: "admins", Username: "pamadmin1", ApprovalSeconds: 900, Justification: "disk is full"},
		World:  o.world(),
	}
}

// membership is ben's request to be in pam-linux for an hour.
func (o *org) membership(typ domain.Name) request.Raise {
	return request.Raise{
		ID:     o.id(),
		Matter: request.Matter{Requester: "ben", Type: typ, Group: "pam-linux"},
		Asked:  request.Asked{Until: o.now.Add(time.Hour), Justification: "on call"},
		World:  o.world(),
	}
}

// raise raises and tells the id.
func (o *org) raise(c request.Raise) string {
	o.t.Helper()
	o.must(c.Requester, c)
	return c.ID
}

func (o *org) yes(id string) request.Answer {
	return request.Answer{ID: id, Verdict: request.Approved, World: o.world()}
}

func (o *org) no(id string) request.Answer {
	return request.Answer{ID: id, Verdict: request.Denied, World: o.world()}
}

func (o *org) status(id string) request.Status {
	r, ok := o.state.Request(id)
	if !ok {
		return ""
	}
	return r.At(o.now).Status
}

func (o *org) open(typ domain.Name) bool {
	_, _, ok := o.state.Approved(o.access(typ).Key(), o.now)
	return ok
}

// refused holds an error to its code.
func refused(t *testing.T, what string, err error, want *domain.Error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %s", what, err, want.Code)
	}
}

// fieldsOf is the pointers that an error names.
func fieldsOf(err error) string {
	var known *domain.Error
	if !errors.As(err, &known) {
		return fmt.Sprint(err)
	}
	var out []string
	for _, f := range known.Fields {
		out = append(out, f.Pointer)
	}
	return strings.Join(out, " ")
}
