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

func TestARequestGoesThroughItsStepsInOrder(t *testing.T) {
	o := newOrg(t)
	first := step("first", byGroup("approvers"))
	first.Needed = 2
	o.publish("two-steps", forAccess(first, step("second", byPeople("cat"))))
	id := o.raise(o.access("two-steps"))
	_, err := o.do("cat", o.yes(id))
	refused(t, "the second step's approver, before it is open", err, request.ErrNotFound)
	o.must("ann", o.yes(id))
	if got := o.state.Approvers(id, o.now, o.world()); len(got) != 1 || got[0] != "bob" {
		t.Errorf("after one yes %v may decide, want bob", got)
	}
	o.must("bob", o.yes(id))
	if o.open("two-steps") {
		t.Error("it is open after one step of two")
	}
	o.must("cat", o.yes(id))
	if !o.open("two-steps") || o.status(id) != request.Approved {
		t.Errorf("every step is done, and it is %s", o.status(id))
	}
	o.now = o.now.Add(900*time.Second - 1)
	if !o.open("two-steps") {
		t.Error("it is closed a nanosecond early")
	}
	o.now = o.now.Add(1)
	if o.open("two-steps") {
		t.Error("it is open past its time")
	}
}

func TestAnApprovalOpensOneKeyAlone(t *testing.T) {
	o := newOrg(t)
	o.publish("one", forAccess(step("first", byGroup("approvers"))))
	o.publish("other", forAccess(step("first", byGroup("approvers"))))
	id := o.raise(o.access("one"))
	o.must("ann", o.yes(id))
	key := o.access("one").Key()
	for name, change := range map[string]func(*request.Key){
		"another account":      func(k *request.Key) { k.Method = "prod/admins/ssh:pamadmin2" },
		"another user":         func(k *request.Key) { k.Username = "root" },
		"another server":       func(k *request.Key) { k.Resource = "server/web-2" },
		"another person":       func(k *request.Key) { k.Subject = "dan" },
		"another request type": func(k *request.Key) { k.Type = "other" },
	} {
		k := key
		change(&k)
		if _, _, ok := o.state.Approved(k, o.now); ok {
			t.Errorf("%s is open, too", name)
		}
	}
	if got, until, ok := o.state.Approved(key, o.now); !ok || got != id || !until.Equal(noon.Add(900*time.Second)) {
		t.Errorf("got %s until %v, %v", got, until, ok)
	}
}

func TestTheSameRequestIsRaisedOnce(t *testing.T) {
	o := newOrg(t)
	o.publish("one", forAccess(step("first", byGroup("approvers"))))
	id := o.raise(o.access("one"))
	if facts := o.must("ben", o.access("one")); len(facts) > 0 {
		t.Errorf("raised twice: %v", facts)
	}
	if got, ok := o.state.Pending(o.access("one").Key(), o.now); !ok || got != id {
		t.Errorf("pending is %s, want %s", got, id)
	}
	o.must("ann", o.yes(id))
	_, err := o.do("ben", o.access("one"))
	refused(t, "what is approved already", err, request.ErrHeld)
	o.now = o.now.Add(time.Hour)
	if again := o.raise(o.access("one")); again == id {
		t.Error("a new one after the approval's time has the old id")
	}
}

func TestDeadlinesHoldWithoutBeingRecorded(t *testing.T) {
	o := newOrg(t)
	st := step("first", byGroup("approvers"))
	st.Escalate = &request.Escalation{AfterSeconds: 600, To: byPeople("dan")}
	o.publish("one", forAccess(st))
	id := o.raise(o.access("one"))
	if next := o.state.Next(); !next.Equal(noon.Add(600 * time.Second)) {
		t.Errorf("the next deadline is %v", next)
	}
	o.now = noon.Add(600*time.Second - 1)
	_, err := o.do("dan", o.yes(id))
	refused(t, "before it escalates", err, request.ErrNotFound)
	o.now = noon.Add(600 * time.Second)
	if got := fmt.Sprint(o.state.Approvers(id, o.now, o.world())); got != "[ann bob dan]" {
		t.Errorf("%s may decide", got)
	}
	if facts := o.lapse(); len(facts) != 1 || facts[0].Event.EventType() != "request.escalated" || len(o.lapse()) != 0 {
		t.Errorf("lapsed %v, then more", facts)
	}
	if next := o.state.Next(); !next.Equal(noon.Add(time.Hour)) {
		t.Errorf("then the next deadline is %v", next)
	}
	o.now = noon.Add(time.Hour)
	_, err = o.do("ann", o.yes(id))
	refused(t, "once its time is over", err, request.ErrOver)
	_, err = o.do("ben", request.Cancel{ID: id, World: o.world()})
	refused(t, "cancelling once its time is over", err, request.ErrOver)
	if _, pending := o.state.Pending(o.access("one").Key(), o.now); pending || o.status(id) != request.Expired {
		t.Errorf("it is %s, pending %v", o.status(id), pending)
	}
	if facts := o.lapse(); len(facts) != 1 || facts[0].Event.EventType() != "request.expired" || len(o.lapse()) != 0 || !o.state.Next().IsZero() {
		t.Errorf("lapsed %v, then more", facts)
	}
}

func TestADeadlineThatIsMissedByTheClockIsRecordedOnce(t *testing.T) {
	o := newOrg(t)
	st := step("first", byGroup("approvers"))
	st.Escalate = &request.Escalation{AfterSeconds: 600, To: byPeople("dan")}
	o.publish("one", forAccess(st))
	o.raise(o.access("one"))
	o.now = o.now.Add(24 * time.Hour)
	if facts := o.lapse(); len(facts) != 1 || facts[0].Event.EventType() != "request.expired" {
		t.Errorf("after a day without a clock: %v", facts)
	}
}

func TestThatAnApprovalIsOverIsRecordedOnce(t *testing.T) {
	o := newOrg(t)
	o.publish("one", forAccess(step("first", byGroup("approvers"))))
	o.publish("groups", forGroups([]domain.Name{"pam-linux"}, step("first", byGroup("approvers"))))
	id := o.raise(o.access("one"))
	o.must("ann", o.yes(id))
	o.must("ann", o.yes(o.raise(o.membership("groups")))) // of which the group says when it is over
	if next := o.state.Next(); !next.Equal(noon.Add(900 * time.Second)) {
		t.Errorf("the next deadline is %v", next)
	}
	o.now = noon.Add(900*time.Second - 1)
	if facts := o.lapse(); len(facts) > 0 {
		t.Errorf("a moment early, %v lapsed", facts)
	}
	o.now = noon.Add(24 * time.Hour)
	if facts := o.lapse(); len(facts) != 1 || facts[0].Event.EventType() != "request.lapsed" || len(o.lapse()) != 0 || !o.state.Next().IsZero() {
		t.Errorf("lapsed %v, then more", facts)
	}
	if r, _ := o.state.Request(id); r.Status != request.Approved {
		t.Errorf("it is %s", r.Status)
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(o *org, id string)
		by     string
		when   func(o *org, id string) request.Command
		err    *domain.Error
	}{
		{"the requester does not approve", nil, "ben", func(o *org, id string) request.Command { return o.yes(id) }, request.ErrOwn},
		{"the requester does not deny", nil, "ben", func(o *org, id string) request.Command { return o.no(id) }, request.ErrOwn},
		{"somebody else does not see it", nil, "dan", func(o *org, id string) request.Command { return o.yes(id) }, request.ErrNotFound},
		{"an admin sees it and does not decide", nil, "sven", func(o *org, id string) request.Command { return o.yes(id) }, request.ErrNotYours},
		{"an owner does not either", nil, "owner", func(o *org, id string) request.Command { return o.yes(id) }, request.ErrPeopleOnly},
		{"what is not there is not found", nil, "ann", func(o *org, _ string) request.Command { return o.yes("01KASE0000000000000000000Z") }, request.ErrNotFound},
		{"an approver decides once", func(o *org, id string) { o.must("ann", o.yes(id)) }, "ann", func(o *org, id string) request.Command { return o.yes(id) }, request.ErrTwice},
		{"nor takes it back", func(o *org, id string) { o.must("ann", o.yes(id)) }, "ann", func(o *org, id string) request.Command { return o.no(id) }, request.ErrTwice},
		{"approved after a no", func(o *org, id string) { o.must("ann", o.no(id)) }, "bob", func(o *org, id string) request.Command { return o.yes(id) }, request.ErrOver},
		{"denied after a no", func(o *org, id string) { o.must("ann", o.no(id)) }, "bob", func(o *org, id string) request.Command { return o.no(id) }, request.ErrOver},
		{"approved after it was cancelled", func(o *org, id string) { o.must("ben", request.Cancel{ID: id, World: o.world()}) }, "bob", func(o *org, id string) request.Command { return o.yes(id) }, request.ErrOver},
		{"cancelled after a decision", func(o *org, id string) { o.must("ann", o.yes(id)) }, "ben", func(o *org, id string) request.Command { return request.Cancel{ID: id, World: o.world()} }, request.ErrBegun},
		{"cancelled by an approver", nil, "ann", func(o *org, id string) request.Command { return request.Cancel{ID: id, World: o.world()} }, request.ErrRequester},
		{"cancelled by a stranger", nil, "dan", func(o *org, id string) request.Command { return request.Cancel{ID: id, World: o.world()} }, request.ErrNotFound},
		{"a step that is not open", nil, "ann", func(o *org, id string) request.Command { a := o.yes(id); a.Step = 2; return a }, request.ErrStep},
		{"a no needs no field", nil, "ann", func(o *org, id string) request.Command { return o.no(id) }, nil},
		{"cancelling twice is fine", func(o *org, id string) { o.must("ben", request.Cancel{ID: id, World: o.world()}) }, "ben", func(o *org, id string) request.Command { return request.Cancel{ID: id, World: o.world()} }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrg(t)
			st := step("first", byGroup("approvers"))
			st.Needed = 2
			o.publish("one", forAccess(st))
			id := o.raise(o.access("one"))
			if tt.before != nil {
				tt.before(o, id)
			}
			if _, err := o.do(tt.by, tt.when(o, id)); tt.err == nil && err != nil || tt.err != nil && !errors.Is(err, tt.err) {
				t.Errorf("got %v, want %v", err, tt.err)
			}
		})
	}
}

func TestRaisingIsHeldToTheType(t *testing.T) {
	fields := []request.Field{
		{Name: "ticket", Type: request.Text, Of: request.OfRequester, Required: true},
		{Name: "day", Type: request.Date, Of: request.OfRequester},
		{Name: "size", Type: request.Choice, Of: request.OfRequester, Choices: []string{"small", "large"}},
		{Name: "risk", Type: request.Text, Of: request.OfApprover},
	}
	for _, tt := range []struct {
		name   string
		change func(*request.Raise)
		want   string // pointers
	}{
		{"as asked", func(*request.Raise) {}, ""},
		{"without a reason", func(c *request.Raise) { c.Justification = " \n" }, "/justification"},
		{"with a reason of 2 KiB", func(c *request.Raise) { c.Justification = strings.Repeat("a", 2048) }, ""},
		{"with a reason of a megabyte", func(c *request.Raise) { c.Justification = strings.Repeat("a", 1<<20) }, "/justification"},
		{"without a required field", func(c *request.Raise) { c.Fields = nil }, "/fields/ticket"},
		{"with a field that is none", func(c *request.Raise) { c.Fields["status"] = "approved" }, "/fields"},
		{"with a field of the approver", func(c *request.Raise) { c.Fields["risk"] = "low" }, "/fields"},
		{"with a day that is none", func(c *request.Raise) { c.Fields["day"] = "2026-02-30" }, "/fields/day"},
		{"with a day", func(c *request.Raise) { c.Fields["day"] = "2026-02-28" }, ""},
		{"with a choice that is none", func(c *request.Raise) { c.Fields["size"] = "huge" }, "/fields/size"},
		{"with fields that are large together", func(c *request.Raise) {
			c.Fields["ticket"], c.Fields["day"] = strings.Repeat("a", 2048), strings.Repeat("a", 2048)
			c.Fields["size"] = "small"
		}, "/fields/day /fields"},
		{"for longer than a year", func(c *request.Raise) { c.ApprovalSeconds = 31536001 }, "/approval_seconds"},
		{"of membership by a type for access", func(c *request.Raise) { c.Group = "pam-linux"; c.Until = noon.Add(time.Hour) }, "/type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrg(t)
			spec := forAccess(step("first", byGroup("approvers")))
			spec.Fields = fields
			o.publish("one", spec)
			c := o.access("one")
			c.Fields = map[string]string{"ticket": "OPS-17"}
			tt.change(&c)
			_, err := o.do("ben", c)
			if got := fieldsOf(err); err != nil && got != tt.want || err == nil && tt.want != "" {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

func TestMembershipIsHeldToItsTimes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(*org)
		until  time.Duration
		group  domain.Name
		want   string
		err    *domain.Error
	}{
		{name: "for an hour", until: time.Hour},
		{name: "for as long as may be", until: 7 * 24 * time.Hour},
		{name: "for a second longer", until: 7*24*time.Hour + time.Second, want: "/until"},
		{name: "until now", until: 0, want: "/until"},
		{name: "until yesterday", until: -24 * time.Hour, want: "/until"},
		{name: "until the year 9999", until: 290 * 365 * 24 * time.Hour, want: "/until"},
		{name: "in a group that is not listed", until: time.Hour, group: "admins", want: "/group"},
		{name: "in it for longer already", until: time.Hour, err: request.ErrHeld, before: func(o *org) {
			o.groups["pam-linux"], o.until["pam-linux"] = []domain.Name{"ben"}, noon.Add(2*time.Hour)
		}},
		{name: "in it for good already", until: time.Hour, err: request.ErrHeld, before: func(o *org) { o.groups["pam-linux"] = []domain.Name{"ben"} }},
		{name: "in it for shorter", until: time.Hour, before: func(o *org) {
			o.groups["pam-linux"], o.until["pam-linux"] = []domain.Name{"ben"}, noon.Add(time.Minute)
		}},
		{name: "in a group that is gone", until: time.Hour, err: request.ErrGone, before: func(o *org) { delete(o.groups, "pam-linux") }},
		{name: "in a group that lends roles since", until: time.Hour, err: request.ErrOwnerOnly, before: func(o *org) { o.bears["pam-linux"] = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrg(t)
			o.publish("groups", forGroups([]domain.Name{"pam-linux"}, step("first", byGroup("approvers"))))
			if tt.before != nil {
				tt.before(o)
			}
			c := o.membership("groups")
			c.Until = o.now.Add(tt.until)
			if tt.group != "" {
				c.Group = tt.group
			}
			_, err := o.do("ben", c)
			if tt.err != nil {
				refused(t, tt.name, err, tt.err)
			} else if got := fieldsOf(err); err != nil && got != tt.want || err == nil && tt.want != "" {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

func TestAMembershipThatWouldBeOverIsNotApproved(t *testing.T) {
	o := newOrg(t)
	o.publish("groups", forGroups([]domain.Name{"pam-linux"}, step("first", byGroup("approvers"))))
	c := o.membership("groups")
	c.Until = o.now.Add(time.Minute)
	id := o.raise(c)
	o.now = c.Until
	_, err := o.do("ann", o.yes(id))
	refused(t, "once the membership would be over", err, request.ErrOver)
}

func TestWorkloadsAskForAccessAlone(t *testing.T) {
	o := newOrg(t)
	o.publish("one", forAccess(step("first", byGroup("approvers"))))
	o.publish("boss", forAccess(step("first", request.Approvers{Manager: true})))
	o.publish("groups", forGroups([]domain.Name{"pam-linux"}, step("first", byGroup("approvers"))))
	job := func(c request.Raise) request.Raise {
		c.Requester, c.Connection, c.Identity = "workload://default/ci/job", "ci", "job"
		return c
	}
	id := o.raise(job(o.access("one")))
	o.must("ann", o.yes(id))
	if o.status(id) != request.Approved || o.open("one") {
		t.Errorf("it is %s, and open to ben: %v", o.status(id), o.open("one"))
	}
	_, err := o.do("workload://default/ci/job", job(o.access("boss")))
	refused(t, "a workload has no manager", err, request.ErrNobody)
	_, err = o.do("workload://default/ci/job", job(o.membership("groups")))
	refused(t, "a workload in a group", err, request.ErrPeopleOnly)
	_, err = o.do("workload://default/ci/other", job(o.access("one")))
	refused(t, "a workload for another", err, request.ErrPeopleOnly)
}

func TestOpenRequestsAreBounded(t *testing.T) {
	o := newOrg(t)
	o.publish("one", forAccess(step("first", byGroup("approvers"))))
	ask := func(n int) request.Raise {
		c := o.access("one")
		c.Resource = resource.Ref(fmt.Sprintf("server/web-%d", n))
		return c
	}
	for n := range 20 {
		o.must("ben", ask(n))
	}
	_, err := o.do("ben", ask(20))
	refused(t, "the 21st", err, request.ErrTooMany)
	if facts := o.must("ben", ask(3)); len(facts) > 0 {
		t.Error("one that is pending already was raised again")
	}
	o.now = o.now.Add(time.Hour)
	o.must("ben", ask(20)) // the others have expired, recorded or not
}

func TestTypesAreWrittenByTheirRules(t *testing.T) {
	ok := forAccess(step("first", byGroup("approvers")))
	for _, tt := range []struct {
		name   string
		change func(*request.Spec)
		want   string
	}{
		{"as it is", func(*request.Spec) {}, ""},
		{"no kind", func(s *request.Spec) { s.Kind = "" }, "/kind"},
		{"groups of kind access", func(s *request.Spec) { s.Groups = []domain.Name{"a"}; s.MaxSeconds = 60 }, "/groups /max_seconds"},
		{"kind group without groups and time", func(s *request.Spec) { s.Kind = request.ForGroup }, "/groups /max_seconds"},
		{"more than a year", func(s *request.Spec) {
			s.Kind, s.Groups, s.MaxSeconds = request.ForGroup, []domain.Name{"a"}, 31536001
		}, "/max_seconds"},
		{"a group twice", func(s *request.Spec) {
			s.Kind, s.Groups, s.MaxSeconds = request.ForGroup, []domain.Name{"a", "a"}, 60
		}, "/groups/1"},
		{"no steps", func(s *request.Spec) { s.Steps = nil }, "/steps"},
		{"eleven steps", func(s *request.Spec) {
			for n := range 10 {
				s.Steps = append(s.Steps, step(domain.Name(fmt.Sprint("s", n)), byGroup("approvers")))
			}
		}, "/steps"},
		{"a step twice", func(s *request.Spec) { s.Steps = append(s.Steps, s.Steps[0]) }, "/steps/1/name"},
		{"nobody approves", func(s *request.Spec) { s.Steps[0].Approvers = request.Approvers{} }, "/steps/0/approvers"},
		{"two ways to approve", func(s *request.Spec) { s.Steps[0].Approvers.Manager = true }, "/steps/0/approvers"},
		{"a person twice", func(s *request.Spec) { s.Steps[0].Approvers = byPeople("ann", "ann") }, "/steps/0/approvers/people/1"},
		{"no name", func(s *request.Spec) { s.Steps[0].Approvers = byGroup("A B") }, "/steps/0/approvers/group"},
		{"more needed than there are", func(s *request.Spec) { s.Steps[0].Approvers = byPeople("ann", "bob"); s.Steps[0].Needed = 3 }, "/steps/0/needed"},
		{"two managers needed", func(s *request.Spec) {
			s.Steps[0].Approvers, s.Steps[0].Needed = request.Approvers{Manager: true}, 2
		}, "/steps/0/needed"},
		{"eleven needed", func(s *request.Spec) { s.Steps[0].Needed = 11 }, "/steps/0/needed"},
		{"minus one needed", func(s *request.Spec) { s.Steps[0].Needed = -1 }, "/steps/0/needed"},
		{"a step of a second", func(s *request.Spec) { s.Steps[0].ExpiresAfterSeconds = 1 }, "/steps/0/expires_after_seconds"},
		{"a step of a year", func(s *request.Spec) { s.Steps[0].ExpiresAfterSeconds = 31536000 }, "/steps/0/expires_after_seconds"},
		{"it escalates when it is over", func(s *request.Spec) {
			s.Steps[0].Escalate = &request.Escalation{AfterSeconds: 3600, To: byPeople("dan")}
		}, "/steps/0/escalate/after_seconds"},
		{"it escalates to a manager", func(s *request.Spec) {
			s.Steps[0].Escalate = &request.Escalation{AfterSeconds: 60, To: request.Approvers{Manager: true}}
		}, "/steps/0/escalate/to"},
		{"nobody owns a group", func(s *request.Spec) {
			*s = forGroups([]domain.Name{"pam-linux"}, step("first", request.Approvers{ResourceOwner: true}))
		}, "/steps/0/approvers/resource_owner"},
		{"a field twice", func(s *request.Spec) {
			f := request.Field{Name: "a", Type: request.Text, Of: request.OfRequester}
			s.Fields = []request.Field{f, f}
		}, "/fields/1/name"},
		{"a choice of nothing", func(s *request.Spec) {
			s.Fields = []request.Field{{Name: "a", Type: request.Choice, Of: request.OfRequester}}
		}, "/fields/0/choices"},
		{"a text with choices", func(s *request.Spec) {
			s.Fields = []request.Field{{Name: "a", Type: request.Text, Of: "nobody", Choices: []string{"x"}}}
		}, "/fields/0/of /fields/0/choices"},
		{"a long description", func(s *request.Spec) { s.Description = strings.Repeat("ä", 1001) }, "/description"},
		{"too large for one event", func(s *request.Spec) {
			for n := range 20 {
				f := request.Field{Name: domain.Name(fmt.Sprint("f", n)), Type: request.Choice, Of: request.OfRequester}
				for c := range 50 {
					f.Choices = append(f.Choices, strings.Repeat("x", 100)+fmt.Sprint(c))
				}
				s.Fields = append(s.Fields, f)
			}
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := request.Complete(ok)
			tt.change(&s)
			_, err := request.Complete(s)
			if tt.name == "too large for one event" {
				if err == nil {
					t.Error("it was taken")
				}
				return
			}
			if got := fieldsOf(err); err != nil && got != tt.want || err == nil && tt.want != "" {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	s, err := request.Complete(forAccess(request.Step{Name: "first", Approvers: byGroup("approvers")}))
	if err != nil || s.Justification != request.Required || s.Steps[0].Needed != 1 || s.Steps[0].ExpiresAfterSeconds != 604800 {
		t.Errorf("the defaults are %+v, %v", s, err)
	}
}

func TestWhoWritesRequestTypes(t *testing.T) {
	o := newOrg(t)
	ok, roles := forAccess(step("first", byGroup("approvers"))), forGroups([]domain.Name{"admins"}, step("first", byGroup("approvers")))
	_, err := o.do("ben", request.DraftType{Name: "one", Spec: ok})
	refused(t, "a member drafts", err, request.ErrRole)
	_, err = o.do("owner", request.DraftType{Name: "one", Spec: ok})
	refused(t, "an owner drafts", err, request.ErrRole)
	o.must("sven", request.DraftType{Name: "one", Spec: ok})
	if facts := o.must("sven", request.DraftType{Name: "one", Spec: ok}); len(facts) > 0 {
		t.Error("drafted twice")
	}
	_, err = o.do("sven", request.DraftType{Name: "one", Spec: roles})
	refused(t, "another of the name", err, request.ErrTypeTaken)
	_, err = o.do("sven", request.EditType{Name: "one", Version: 2, Spec: roles})
	refused(t, "a stale edit", err, request.ErrStale)
	_, err = o.do("sven", request.PublishType{Name: "two", Version: 1, World: o.world()})
	refused(t, "publishing what is not there", err, request.ErrTypeNotFound)
	_, err = o.do("owner", request.PublishType{Name: "one", Version: 1, World: o.world()})
	refused(t, "an owner publishes what lists no role", err, request.ErrRole)
	_, err = o.do("ben", request.PublishType{Name: "one", Version: 1, World: o.world()})
	refused(t, "a member publishes", err, request.ErrRole)
	_, err = o.do("ben", o.access("one"))
	refused(t, "under a draft", err, request.ErrTypeUnusable)
	o.must("sven", request.PublishType{Name: "one", Version: 1, World: o.world()})

	o.must("sven", request.EditType{Name: "one", Version: 1, Spec: roles})
	if typ, _ := o.state.Type("one"); typ.PublishedVersion != 1 || typ.Version != 2 || typ.Published.Kind != request.ForAccess {
		t.Errorf("an edit decides before it is published: %+v", typ)
	}
	_, err = o.do("sven", request.PublishType{Name: "one", Version: 2, World: o.world()})
	refused(t, "a security_admin publishes what lists roles", err, request.ErrOwnerOnly)
	o.must("owner", request.PublishType{Name: "one", Version: 2, World: o.world()})
	o.must("sven", request.DisableType{Name: "one", Version: 2})
	if o.state.Usable("one") || !o.state.Names("admins") || o.state.Names("pam-linux") {
		t.Error("a disabled type is usable, or names what it does not")
	}
	o.must("sven", request.DeleteType{Name: "one", Version: 2})
	_, err = o.do("sven", request.DraftType{Name: "one", Spec: ok})
	refused(t, "the name of a deleted type", err, request.ErrTypeTaken)
	if _, ok := o.state.Type("one"); ok || len(o.state.Types()) > 0 || o.state.Names("admins") {
		t.Error("a deleted type is there")
	}
}

func TestRequestTypesAreBounded(t *testing.T) {
	o := newOrg(t)
	for n := range 1000 {
		o.must("sven", request.DraftType{Name: domain.Name(fmt.Sprint("t", n)), Spec: forAccess(step("first", byGroup("approvers")))})
	}
	more := request.DraftType{Name: "more", Spec: forAccess(step("first", byGroup("approvers")))}
	_, err := o.do("sven", more)
	refused(t, "the 1001st", err, request.ErrTypeTooMany)
	o.must("sven", request.DeleteType{Name: "t0", Version: 1})
	o.must("sven", more)
}

func TestWhatIsUnderWayKeepsItsVersion(t *testing.T) {
	for name, end := range map[string]func(o *org){
		"edited and published": func(o *org) {
			o.must("sven", request.EditType{Name: "one", Version: 1, Spec: forAccess(step("other", byPeople("dan")))})
			o.must("sven", request.PublishType{Name: "one", Version: 2, World: o.world()})
		},
		"disabled": func(o *org) { o.must("sven", request.DisableType{Name: "one", Version: 1}) },
		"deleted":  func(o *org) { o.must("sven", request.DeleteType{Name: "one", Version: 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrg(t)
			o.publish("one", forAccess(step("first", byGroup("approvers"))))
			id := o.raise(o.access("one"))
			end(o)
			if !o.state.Names("approvers") {
				t.Error("the group of a request under way is not named any more")
			}
			_, err := o.do("dan", o.yes(id))
			refused(t, "the approver of another version", err, request.ErrNotFound)
			o.must("ann", o.yes(id))
			if !o.open("one") {
				t.Error("what was approved is not open")
			}
		})
	}
}

func TestOldRequestsAreForgotten(t *testing.T) {
	o := newOrg(t)
	o.publish("one", forAccess(step("first", byGroup("approvers"))))
	c := o.access("one")
	c.ApprovalSeconds = 31536000
	kept := o.raise(c)
	o.must("ann", o.yes(kept))
	var first string
	for n := range 10_002 {
		c := o.access("one")
		c.Requester = "cat"
		id := o.raise(c)
		if n == 0 {
			first = id
		}
		o.must("cat", request.Cancel{ID: id, World: o.world()})
	}
	if _, ok := o.state.Request(first); ok {
		t.Error("the oldest is remembered")
	}
	if _, ok := o.state.Request(kept); !ok || !o.open("one") {
		t.Error("an approval that holds was forgotten")
	}
	if all := slices.Collect(o.state.Requests()); len(all) > 10_001 || all[0].RaisedAt.Before(all[len(all)-1].RaisedAt) {
		t.Errorf("%d are remembered, from %v to %v", len(all), all[0].RaisedAt, all[len(all)-1].RaisedAt)
	}
}

func TestWhatWaitsIsListedOldestFirst(t *testing.T) {
	o := newOrg(t)
	o.publish("one", forAccess(step("first", byGroup("approvers"))))
	first := o.raise(o.access("one"))
	c := o.access("one")
	c.Method = "another/method/ssh:x"
	second := o.raise(c)
	ids := func() (ids []string) {
		for _, r := range o.state.Waiting(o.now) {
			ids = append(ids, r.ID)
		}
		return ids
	}
	if got := ids(); !slices.Equal(got, []string{first, second}) {
		t.Errorf("%v wait, want %v", got, []string{first, second})
	}
	o.must("ann", o.yes(first))
	if got := ids(); !slices.Equal(got, []string{second}) {
		t.Errorf("%v wait, want %v", got, []string{second})
	}
	o.now = o.now.Add(365 * 24 * time.Hour)
	if got := ids(); got != nil {
		t.Errorf("%v wait after their time", got)
	}
}
