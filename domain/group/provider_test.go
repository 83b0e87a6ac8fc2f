package group_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
)

func TestGroupsOfTheProviderAreReplacedAtEachSignIn(t *testing.T) {
	signIn := domain.System("sign_in")
	told := func(g, p domain.Name) domain.Event {
		return group.MemberWasAdded{Group: g, Person: p, Source: group.Provider}
	}
	set := func(p domain.Name, gs ...domain.Name) group.SetProviderGroups {
		return group.SetProviderGroups{Person: p, Groups: gs}
	}
	for _, tt := range []struct {
		name  string
		given []domain.Event
		by    domain.Actor
		when  group.SetProviderGroups
		want  string
		err   error
	}{
		{"somebody new gets them", nil, signIn, set("alice", "plain", "admins"), "+admins +plain", nil},
		{"twice the same is once", nil, signIn, set("alice", "plain", "plain"), "+plain", nil},
		{"what they have stays as it is", nil, signIn, set("carol", "plain"), "", nil},
		{"what the provider takes away goes", []domain.Event{told("plain", "alice"), told("admins", "alice")}, signIn, set("alice", "admins"), "-plain", nil},
		{"all of it", []domain.Event{told("plain", "alice")}, signIn, set("alice"), "-plain", nil},
		{"what was given here stays", nil, signIn, set("carol"), "", nil},
		{"what was given until a time, too", nil, signIn, set("dana"), "", nil},
		{"and becomes the provider's only once it is over", nil, signIn, set("erin", "admins"), "-admins +admins", nil},
		{"another's stay theirs", []domain.Event{told("plain", "bob")}, signIn, set("alice", "admins"), "+admins", nil},
		{"a group that is not there is passed over", nil, signIn, set("alice", "nowhere", "old", "plain"), "+plain", nil},
		{"nobody says so but a sign-in", nil, owner, set("alice", "plain"), "", group.ErrRole},
		{"least of all of themself", nil, alice, set("alice", "admins"), "", group.ErrRole},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := given(t, tt.given...)
			facts, err := group.Decide(s, tt.when, domain.Meta{Actor: tt.by, Now: noon})
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if got := changes(facts); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for _, f := range facts {
				s = fold(t, s, signIn.ID, noon, f.Event)
			}
			if again, err := group.Decide(s, tt.when, domain.Meta{Actor: tt.by, Now: noon}); tt.err == nil && (err != nil || len(again) > 0) {
				t.Errorf("once done it is done again: %v, %v", again, err)
			}
		})
	}
}

// changes says whom facts add to which group, and take away.
func changes(facts []domain.Fact) string {
	var out []string
	for _, f := range facts {
		switch e := f.Event.(type) {
		case group.MemberWasAdded:
			if e.Source != group.Provider {
				out = append(out, "not by the provider:")
			}
			out = append(out, "+"+e.Group.String())
		case group.MemberWasRemoved:
			out = append(out, "-"+e.Group.String())
		}
	}
	return strings.Join(out, " ")
}

// Who is in too many groups at the provider is not kept out for it.
func TestAPersonIsInAsManyGroupsAsFit(t *testing.T) {
	s, all := given(t), []domain.Name{}
	for i := range group.MaxGroups + 5 {
		n := domain.Name(fmt.Sprintf("g%03d", i))
		s, all = fold(t, s, "owner", noon.Add(-time.Hour), group.WasCreated{Name: n}), append(all, n)
	}
	facts, err := group.Decide(s, group.SetProviderGroups{Person: "alice", Groups: all}, domain.Meta{Actor: domain.System("sign_in"), Now: noon})
	if err != nil || len(facts) != group.MaxGroups {
		t.Fatalf("got %d facts, %v", len(facts), err)
	}
	for _, f := range facts {
		s = fold(t, s, "system:sign_in", noon, f.Event)
	}
	if n := len(s.Of("alice", noon)); n != group.MaxGroups {
		t.Errorf("alice is in %d groups", n)
	}
}
