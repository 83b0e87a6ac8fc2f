package request_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
)

// machine gives commands to an organisation at random and keeps its own book of
// whose word was spoken in which request, from its own reading of who may: it
// never looks at what the package says of approvers, steps or decisions.
type machine struct {
	*org
	rt          *rapid.T
	delegations map[domain.Name]request.Delegation
	book        map[string]*entry // by request
	types       map[domain.Name]request.Spec
}

// entry is what the book has of one request.
type entry struct {
	asked    request.Raise
	steps    []request.Step // of the type as it was
	step     int            // that is open, from 0
	opened   time.Time
	yeses    int // in the open step
	spoken   []domain.Name
	over     bool // by a decision or a withdrawal
	approved time.Time
}

var everyone = []domain.Name{"ben", "ann", "bob", "cat", "dan", "sven"}

func (m *machine) person(label string) domain.Name {
	return rapid.SampledFrom(everyone).Draw(m.rt, label)
}

// request is one that was raised, or "" before there is any.
func (m *machine) request() string {
	if len(m.book) == 0 {
		return ""
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.book))).Draw(m.rt, "request")
}

// seats is the people with a word in the open step, as the type and the world have it.
func (m *machine) seats(e *entry) (out []domain.Name) {
	st := e.steps[e.step]
	ways := []request.Approvers{st.Approvers}
	if st.Escalate != nil && !m.now.Before(e.opened.Add(time.Duration(st.Escalate.AfterSeconds)*time.Second)) {
		ways = append(ways, st.Escalate.To)
	}
	for _, a := range ways {
		out = append(append(out, m.groups[a.Group]...), a.People...)
		if a.Manager {
			out = append(out, m.managers[domain.Name(e.asked.Requester)])
		}
		if a.ResourceOwner {
			out = append(append(out, m.groups[m.owner.Group]...), m.owner.Person)
		}
	}
	return out
}

// ends is when nobody may decide the open step any more.
func (e *entry) ends() time.Time {
	at := e.opened.Add(time.Duration(e.steps[e.step].ExpiresAfterSeconds) * time.Second)
	if e.asked.Group != "" && e.asked.Until.Before(at) {
		return e.asked.Until
	}
	return at
}

// heard tells whether somebody's word counts now, and for whom they speak.
func (m *machine) heard(e *entry, by domain.Name) (standsFor domain.Name, ok bool) {
	silent := func(n domain.Name) bool {
		return n.String() == e.asked.Requester || !m.people[n] || slices.Contains(e.spoken, n)
	}
	if e.over || !m.now.Before(e.ends()) || silent(by) {
		return "", false
	}
	seats := m.seats(e)
	if slices.Contains(seats, by) {
		return "", true
	}
	for _, n := range seats {
		if d, there := m.delegations[n]; there && d.To == by && m.now.Before(d.Until) && !silent(n) {
			return n, true
		}
	}
	return "", false
}

func (m *machine) raise(*rapid.T) {
	typ := rapid.SampledFrom(slices.Sorted(maps.Keys(m.types))).Draw(m.rt, "type")
	who := m.person("requester")
	c := m.access(typ)
	if m.types[typ].Kind == request.ForGroup {
		c = m.membership(typ)
		c.Until = m.now.Add(rapid.SampledFrom([]time.Duration{-time.Hour, 10 * time.Minute, 48 * time.Hour, 400 * time.Hour}).Draw(m.rt, "until"))
	} else if rapid.Bool().Draw(m.rt, "other account") {
		c.Method = "prod/admins/ssh:pamadmin2"
	}
	c.Requester = who.String()
	if facts, err := m.do(who.String(), c); err != nil || len(facts) == 0 {
		return
	}
	if c.Group != "" && (!c.Until.After(m.now) || c.Until.After(m.now.Add(7*24*time.Hour))) {
		m.rt.Fatalf("membership until %v was let be asked for", c.Until)
	}
	typed, _ := m.state.Type(typ)
	m.book[c.ID] = &entry{asked: c, steps: typed.Published.Steps, opened: m.now}
}

func (m *machine) answer(*rapid.T) {
	id, by := m.request(), m.person("by")
	if id == "" {
		return
	}
	e, verdict := m.book[id], request.Approved
	if rapid.IntRange(0, 7).Draw(m.rt, "no") == 0 {
		verdict = request.Denied
	}
	standsFor, ok := m.heard(e, by)
	if verdict == request.Approved && !m.people[domain.Name(e.asked.Requester)] {
		ok = false
	}
	_, err := m.do(by.String(), request.Answer{ID: id, Verdict: verdict, World: m.world()})
	if ok != (err == nil) {
		m.rt.Fatalf("%s says %s to %s: %v, and may: %v", by, verdict, id, err, ok)
	}
	if !ok {
		return
	}
	e.spoken = append(e.spoken, by)
	if standsFor != "" {
		e.spoken = append(e.spoken, standsFor)
	}
	if verdict == request.Denied {
		e.over = true
		return
	}
	if e.yeses++; e.yeses < e.steps[e.step].Needed {
		return
	}
	if e.step+1 == len(e.steps) {
		e.over, e.approved = true, m.now
		return
	}
	e.step, e.yeses, e.opened = e.step+1, 0, m.now
}

func (m *machine) cancel(*rapid.T) {
	id, by := m.request(), m.person("by")
	if id == "" {
		return
	}
	e := m.book[id]
	was := m.status(id)
	_, err := m.do(by.String(), request.Cancel{ID: id, World: m.world()})
	may := by.String() == e.asked.Requester && len(e.spoken) == 0 && !e.over && m.now.Before(e.ends())
	if may != (err == nil) && was != request.Cancelled {
		m.rt.Fatalf("%s withdraws %s: %v, and may: %v", by, id, err, may)
	}
	e.over = e.over || may
}

func (m *machine) delegate(*rapid.T) {
	from, to := m.person("from"), m.person("to")
	if rapid.IntRange(0, 3).Draw(m.rt, "end") == 0 {
		m.must(from.String(), request.EndDelegation{})
		delete(m.delegations, from)
		return
	}
	until := m.now.Add(rapid.SampledFrom([]time.Duration{time.Minute, 2 * time.Hour, 91 * 24 * time.Hour}).Draw(m.rt, "for"))
	if _, err := m.do(from.String(), request.SetDelegation{To: to, Until: until, World: m.world()}); err == nil {
		m.delegations[from] = request.Delegation{To: to, Until: until}
	}
}

// change has something change of the world: who is in a group, who manages
// whom, who owns the server, or who is there at all.
func (m *machine) change(*rapid.T) {
	n := m.person("whom")
	switch rapid.SampledFrom([]string{"join", "join", "leave", "leave", "manager", "owner", "remove"}).Draw(m.rt, "what") {
	case "join":
		g := rapid.SampledFrom([]domain.Name{"approvers", "more-approvers", "with-ben"}).Draw(m.rt, "group")
		if !slices.Contains(m.groups[g], n) {
			m.groups[g] = append(slices.Clone(m.groups[g]), n)
		}
	case "leave":
		g := rapid.SampledFrom([]domain.Name{"approvers", "more-approvers", "with-ben"}).Draw(m.rt, "group")
		m.groups[g] = slices.DeleteFunc(slices.Clone(m.groups[g]), func(o domain.Name) bool { return o == n })
	case "manager":
		m.managers[n] = m.person("manager")
	case "owner":
		m.owner = rapid.SampledFrom([]resource.Owner{{Person: n}, {Group: "more-approvers"}, {Group: "with-ben"}, {}}).Draw(m.rt, "owner")
	case "remove":
		if n != "sven" && rapid.IntRange(0, 3).Draw(m.rt, "really") == 0 {
			delete(m.people, n)
		}
	}
}

// retype has another version of a request type published, or none.
func (m *machine) retype(*rapid.T) {
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(m.types))).Draw(m.rt, "type")
	typ, _ := m.state.Type(name)
	if rapid.Bool().Draw(m.rt, "disable") {
		m.must("sven", request.DisableType{Name: name, Version: typ.Version})
		return
	}
	spec := m.types[name]
	spec.Steps = append([]request.Step(nil), spec.Steps...)
	spec.Steps[0].Approvers = rapid.SampledFrom([]request.Approvers{byGroup("approvers"), byGroup("more-approvers"), byPeople("dan")}).Draw(m.rt, "approvers")
	spec.Steps[0].Needed = 1
	m.must("sven", request.EditType{Name: name, Version: typ.Version, Spec: spec})
	typ, _ = m.state.Type(name)
	m.must("sven", request.PublishType{Name: name, Version: typ.Version, World: m.world()})
}

func (m *machine) pass(*rapid.T) {
	m.now = m.now.Add(rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Minute, 11 * time.Minute, time.Hour, 2 * time.Hour}).Draw(m.rt, "time"))
}

// replay folds the log from its beginning: what is true is what it says.
func (m *machine) replay(*rapid.T) {
	was := m.state
	var again request.State
	var err error
	for _, e := range m.log {
		if again, err = request.Evolve(again, e); err != nil {
			m.rt.Fatalf("folding %s again: %v", e.Type, err)
		}
	}
	if diff := cmp.Diff(slices.Collect(was.Requests()), slices.Collect(again.Requests())); diff != "" {
		m.rt.Fatalf("folded again, it is another state: %s", diff)
	}
	m.state = again
}

// check holds what is open to the book: exactly what was approved, by the people
// and in the steps that the book has, until its time.
func (m *machine) check(*rapid.T) {
	for id, e := range m.book {
		key := e.asked.Key()
		got, until, open := m.state.Approved(key, m.now)
		ends := e.approved.Add(time.Duration(e.asked.ApprovalSeconds) * time.Second)
		if e.asked.Group != "" {
			ends = e.asked.Until
		}
		r, there := m.state.Request(id)
		switch granted := !e.approved.IsZero() && m.now.Before(ends); {
		case !there:
			m.rt.Fatalf("request %s is not there", id)
		case open && got == id && (!granted || !until.Equal(ends)):
			m.rt.Fatalf("%s is open until %v, approved at %v, ends at %v, now %v", id, until, e.approved, ends, m.now)
		case granted && !open:
			m.rt.Fatalf("%s was approved and is closed", id)
		case (r.Status == request.Approved) != !e.approved.IsZero():
			m.rt.Fatalf("%s is %s, approved at %v", id, r.Status, e.approved)
		}
		if _, pending := m.state.Pending(key, m.now); !pending && !e.over && m.now.Before(e.ends()) {
			m.rt.Fatalf("%s is pending and not told to be", id)
		}
		approvers := m.state.Approvers(id, m.now, m.world())
		for _, n := range everyone {
			_, ok := m.heard(e, n)
			if ok != slices.Contains(approvers, n) {
				m.rt.Fatalf("%v may decide %s, and %s may: %v", approvers, id, n, ok)
			}
			if waits := m.state.WaitingFor(n, m.now, m.world()); ok != slices.Contains(waits, id) {
				m.rt.Fatalf("%s waits for %s: %v, and they may: %v", id, n, !ok, ok)
			} else if count := m.state.CountFor(n, m.now, m.world()); count != len(waits) {
				m.rt.Fatalf("%d wait for %s, and %d are counted", len(waits), n, count)
			}
			if ok && !m.state.Sees(r, domain.Actor{ID: n.String()}, m.now, m.world()) {
				m.rt.Fatalf("%s may decide %s, and does not see it", n, id)
			}
		}
	}
}

// TestNothingOpensWithoutTheWordOfOtherPeople tries, in any order, what people
// can do: in no sequence does access open without every step approved by as many
// other people as it needs, each once, or stay open past its time.
func TestNothingOpensWithoutTheWordOfOtherPeople(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{
			org: newOrg(t), rt: t, delegations: map[domain.Name]request.Delegation{}, book: map[string]*entry{}, types: map[domain.Name]request.Spec{},
		}
		two := step("first", byGroup("approvers"))
		two.Needed = 2
		late := step("second", request.Approvers{Manager: true})
		late.Escalate = &request.Escalation{AfterSeconds: 600, To: byGroup("with-ben")}
		m.types["two"] = forAccess(two, step("second", byGroup("more-approvers")))
		m.types["late"] = forAccess(late, step("owner", request.Approvers{ResourceOwner: true}))
		m.types["named"] = forAccess(step("first", byPeople("ann", "ben", "sven")))
		m.types["groups"] = forGroups([]domain.Name{"pam-linux"}, step("first", byGroup("with-ben")))
		for _, name := range slices.Sorted(maps.Keys(m.types)) {
			m.publish(name, m.types[name])
		}
		t.Repeat(map[string]func(*rapid.T){
			"raise": m.raise, "raise more": m.raise, "answer": m.answer, "answer more": m.answer, "answer still more": m.answer,
			"cancel": m.cancel, "delegate": m.delegate, "change": m.change, "retype": m.retype, "pass": m.pass,
			"record": func(*rapid.T) { m.lapse() }, "replay": m.replay, "": m.check,
		})
	})
}
