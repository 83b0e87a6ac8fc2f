package request_test

import (
	"errors"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
)

// Ways to have an approval that one should not have. Each begins with a request
// of ben's and ends without access.

func attack(t *testing.T, steps ...request.Step) (o *org, id string) {
	t.Helper()
	o = newOrg(t)
	o.publish("one", forAccess(steps...))
	id = o.raise(o.access("one"))
	t.Cleanup(func() {
		if o.open("one") || o.status(id) == request.Approved {
			t.Error("it is open")
		}
	})
	return o, id
}

func (o *org) delegate(from string, to domain.Name) {
	o.t.Helper()
	o.must(from, request.SetDelegation{To: to, Until: o.now.Add(24 * time.Hour), World: o.world()})
}

func TestAttackApprovingAsADelegateOfAnApprover(t *testing.T) {
	o, id := attack(t, step("first", byGroup("approvers")))
	o.delegate("ann", "ben")
	_, err := o.do("ben", o.yes(id))
	refused(t, "the requester, for an approver", err, request.ErrOwn)
	for _, n := range o.state.Approvers(id, o.now, o.world()) {
		if n == "ben" {
			t.Error("the requester is told to be an approver")
		}
	}
}

func TestAttackHavingADelegateApproveForTheRequester(t *testing.T) {
	o, id := attack(t, step("first", byGroup("with-ben")))
	o.delegate("ben", "dan")
	_, err := o.do("dan", o.yes(id))
	refused(t, "the requester's delegate, for the requester", err, request.ErrNotFound)
}

func TestAttackMakingAnApproverOnesDelegateMidWay(t *testing.T) {
	st := step("first", byGroup("all"))
	st.Needed = 2
	o, id := attack(t, st)
	o.groups["all"] = []domain.Name{"ann", "ben"} // cat has left since
	o.delegate("ben", "ann")
	o.must("ann", o.yes(id)) // as herself
	if r, _ := o.state.Request(id); r.Steps[0].Decisions[0].For != "" {
		t.Errorf("ann decided for %s", r.Steps[0].Decisions[0].For)
	}
	_, err := o.do("ann", o.yes(id))
	refused(t, "once more, for the requester", err, request.ErrTwice)
}

func TestAttackAGroupOfOneself(t *testing.T) {
	o, id := attack(t, step("first", byGroup("all")))
	o.groups["all"] = []domain.Name{"ben"} // the others have left since
	_, err := o.do("ben", o.yes(id))
	refused(t, "the only member of the group", err, request.ErrOwn)
	if got := o.state.Approvers(id, o.now, o.world()); len(got) > 0 {
		t.Errorf("%v may decide", got)
	}
}

func TestWhatNobodyCouldApproveIsNotRaised(t *testing.T) {
	two, late := step("first", byGroup("with-ben")), step("first", byGroup("only-ben"))
	two.Needed = 2
	late.Escalate = &request.Escalation{AfterSeconds: 600, To: byGroup("approvers")}
	for _, tt := range []struct {
		name string
		step request.Step
		err  error
	}{
		{"a group of the requester alone", step("first", byGroup("only-ben")), request.ErrNobody},
		{"a group of nobody", step("first", byGroup("pam-linux")), request.ErrNobody},
		{"a group with fewer others than are needed", two, request.ErrNobody},
		{"one that others come to decide later", late, nil},
	} {
		o := newOrg(t)
		o.publish("one", forAccess(tt.step))
		if _, err := o.do("ben", o.access("one")); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
	}
}

func TestAttackBeingOnesOwnManager(t *testing.T) {
	o := newOrg(t)
	o.publish("one", forAccess(step("first", request.Approvers{Manager: true})))
	for _, manager := range []domain.Name{"ben", "", "nobody"} {
		o.managers["ben"] = manager
		_, err := o.do("ben", o.access("one"))
		refused(t, "managed by "+manager.String(), err, request.ErrNobody)
	}
	o.managers["ben"] = "ann"
	id := o.raise(o.access("one"))
	o.managers["ben"] = "ben"
	_, err := o.do("ben", o.yes(id))
	refused(t, "who became their own manager", err, request.ErrOwn)
	_, err = o.do("ann", o.yes(id))
	refused(t, "who was the manager", err, request.ErrNotFound)
}

func TestAttackOwningTheResource(t *testing.T) {
	o, id := attack(t, step("first", request.Approvers{ResourceOwner: true}))
	o.owner.Group, o.owner.Person = "", "ben"
	_, err := o.do("ben", o.yes(id))
	refused(t, "the owner, who asks", err, request.ErrOwn)
	_, err = o.do("bob", o.yes(id))
	refused(t, "who owned it before", err, request.ErrNotFound)
	_, err = o.do("ben", o.access("one"))
	if err != nil {
		t.Errorf("asking again while it is pending: %v", err)
	}
}

func TestAttackDecidingTwiceThroughTwoGroups(t *testing.T) {
	o, id := attack(t, step("first", byGroup("approvers")), step("second", byGroup("more-approvers")))
	o.must("bob", o.yes(id))
	_, err := o.do("bob", o.yes(id))
	refused(t, "in the second step, through another group", err, request.ErrTwice)
}

func TestAttackDecidingTwiceAsAnAdmin(t *testing.T) {
	o, id := attack(t, step("first", byPeople("sven", "bob")), step("second", byPeople("sven", "cat")))
	o.must("sven", o.yes(id))
	_, err := o.do("sven", o.yes(id))
	refused(t, "a security_admin, twice", err, request.ErrTwice)
}

func TestAttackDecidingTwiceByDelegation(t *testing.T) {
	two := step("first", byGroup("approvers"))
	two.Needed = 2
	for name, tt := range map[string]struct {
		delegates map[string]domain.Name
		first     string
		second    string
		err       *domain.Error
	}{
		"for two people":                    {map[string]domain.Name{"ann": "dan", "bob": "dan"}, "dan", "dan", request.ErrTwice},
		"after deciding as oneself":         {map[string]domain.Name{"ann": "bob"}, "bob", "bob", request.ErrTwice},
		"after one's delegate has":          {map[string]domain.Name{"ann": "dan"}, "dan", "ann", request.ErrTwice},
		"by the delegate of who has":        {map[string]domain.Name{"ann": "dan"}, "ann", "dan", request.ErrNotFound},
		"by the delegate of a delegate":     {map[string]domain.Name{"ann": "cat", "cat": "dan"}, "bob", "dan", request.ErrNotFound},
		"by a delegate of who has no chair": {map[string]domain.Name{"cat": "dan"}, "ann", "dan", request.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			o, id := attack(t, two)
			for from, to := range tt.delegates {
				o.delegate(from, to)
			}
			o.must(tt.first, o.yes(id))
			_, err := o.do(tt.second, o.yes(id))
			refused(t, name, err, tt.err)
		})
	}
}

func TestAttackDelegatingLongerThanMayBe(t *testing.T) {
	o := newOrg(t)
	for _, d := range []time.Duration{-time.Second, 0, 90*24*time.Hour + 1} {
		if _, err := o.do("ann", request.SetDelegation{To: "dan", Until: o.now.Add(d), World: o.world()}); fieldsOf(err) != "/until" {
			t.Errorf("for %v: %v", d, err)
		}
	}
	if _, err := o.do("ann", request.SetDelegation{To: "ann", Until: o.now.Add(time.Hour), World: o.world()}); fieldsOf(err) != "/to" {
		t.Errorf("to oneself: %v", err)
	}
	_, err := o.do("workload://default/ci/job", request.SetDelegation{To: "ann", Until: o.now.Add(time.Hour), World: o.world()})
	refused(t, "a workload", err, request.ErrPeopleOnly)
}

func TestAttackADelegationThatIsOver(t *testing.T) {
	for name, end := range map[string]func(o *org){
		"by its time":    func(o *org) { o.now = o.now.Add(time.Minute) },
		"by who made it": func(o *org) { o.must("ann", request.EndDelegation{}) },
		"by another":     func(o *org) { o.delegate("ann", "cat") },
	} {
		t.Run(name, func(t *testing.T) {
			o, id := attack(t, step("first", byGroup("approvers")))
			o.must("ann", request.SetDelegation{To: "dan", Until: o.now.Add(time.Minute), World: o.world()})
			end(o)
			_, err := o.do("dan", o.yes(id))
			refused(t, name, err, request.ErrNotFound)
		})
	}
}

func TestAttackAPersonWhoWasRemoved(t *testing.T) {
	o, id := attack(t, step("first", byPeople("ann")))
	o.delegate("ann", "dan")
	delete(o.people, "ann")
	_, err := o.do("ann", o.yes(id))
	refused(t, "who was removed", err, request.ErrNotFound)
	_, err = o.do("dan", o.yes(id))
	refused(t, "the delegate of who was removed", err, request.ErrNotFound)
}

func TestAttackAMemberWhoWasRemovedAfterTheStepOpened(t *testing.T) {
	o, id := attack(t, step("first", byGroup("approvers")))
	o.groups["approvers"] = []domain.Name{"bob"}
	_, err := o.do("ann", o.yes(id))
	refused(t, "who left the group", err, request.ErrNotFound)
}

func TestAttackJoiningTheApprovers(t *testing.T) {
	o, id := attack(t, step("first", byGroup("approvers")))
	o.groups["approvers"] = append(o.groups["approvers"], "ben")
	_, err := o.do("ben", o.yes(id))
	refused(t, "who came to be among the approvers", err, request.ErrOwn)
}

func TestAttackApprovingForWhoIsGone(t *testing.T) {
	o, id := attack(t, step("first", byGroup("approvers")))
	delete(o.people, "ben")
	_, err := o.do("ann", o.yes(id))
	refused(t, "the requester was removed", err, request.ErrGone)
	o.must("ann", o.no(id))
}

func TestAttackAGroupThatCameToLendRoles(t *testing.T) {
	o := newOrg(t)
	o.publish("groups", forGroups([]domain.Name{"pam-linux"}, step("first", byGroup("approvers"))))
	id := o.raise(o.membership("groups"))
	o.bears["pam-linux"] = true
	_, err := o.do("ann", o.yes(id))
	refused(t, "a group with roles, by a type that no owner published", err, request.ErrOwnerOnly)
	delete(o.groups, "pam-linux")
	_, err = o.do("ann", o.yes(id))
	refused(t, "a group that was deleted", err, request.ErrGone)
}

func TestAttackForgingTheLog(t *testing.T) {
	m := request.Matter{Requester: "ben", Type: "one", Resource: web, Method: "prod/admins/ssh:pamadmin1"}
	other := m
	other.Requester = "dan"
	for name, tt := range map[string]struct {
		by string
		e  domain.Event
	}{
		"an approval without a yes":                {"ann", request.WasApproved{Matter: m, ValidUntil: noon.Add(time.Hour)}},
		"a yes of the requester":                   {"ben", request.WasDecided{Matter: m, Step: 1, Verdict: request.Approved}},
		"a yes for the requester":                  {"ann", request.WasDecided{Matter: m, Step: 1, Verdict: request.Approved, For: "ben"}},
		"a yes of another step":                    {"ann", request.WasDecided{Matter: m, Step: 2, Verdict: request.Approved}},
		"a yes in another's matter":                {"ann", request.WasDecided{Matter: other, Step: 1, Verdict: request.Approved}},
		"neither yes nor no":                       {"ann", request.WasDecided{Matter: m, Step: 1, Verdict: request.Expired}},
		"a no that nobody said":                    {"ann", request.WasDenied{Matter: m}},
		"a step that does not exist":               {"ann", request.StepWasOpened{Matter: m, Step: 2, ExpiresAt: noon.Add(time.Hour)}},
		"an escalation that there is not":          {"system:clock", request.WasEscalated{Matter: m, Step: 1}},
		"the end of another step":                  {"system:clock", request.WasExpired{Matter: m, Step: 2}},
		"a withdrawal by another":                  {"ann", request.WasCancelled{Matter: m}},
		"a request that was raised before":         {"ben", request.WasRaised{Matter: m, Version: 1}},
		"the end of a delegation of nobody":        {"ann", request.DelegationWasEnded{From: "ann", To: "dan"}},
		"the end of an approval that there is not": {"system:clock", request.HasLapsed{Matter: m, ValidUntil: noon}},
	} {
		t.Run(name, func(t *testing.T) {
			o, id := attack(t, step("first", byGroup("approvers")))
			_, err := request.Evolve(o.state, domain.Envelope{Type: tt.e.EventType(), Subject: "request/" + id, Time: noon, Actor: tt.by, Event: tt.e})
			if err == nil {
				t.Error("it was folded")
			}
		})
	}
}
