package control_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/policy"
	"sallyport.dev/domain/request"
	"sallyport.dev/domain/resource"
	"sallyport.dev/projections/control"
)

// What ends does so by itself: the same commands are given to two organisations,
// one whose clock records what deadlines brought whenever it likes, and one
// that has no clock. At every moment the same is effective in both, and it is
// what a book says that knows nothing of events.

const (
	approvalHolds = 3600 * time.Second
	stepExpires   = 1800 * time.Second
	escalates     = 600 * time.Second
	checkoutMost  = 900 * time.Second
	glassHolds    = 1200 * time.Second
)

const (
	server = resource.Ref("server/db-1")
	logIn  = "prod/log-in/ssh:postgres"
	alone  = "prod/alone/reveal_password:postgres"
)

var (
	askers = []domain.Name{"alice", "carl"}
	groups = []domain.Name{"staff", "dba"}
)

// twin is one organisation.
type twin struct {
	p *control.Projection
	h *history
}

// act decides and records at a time, and is the code of the refusal, "" where there is none.
func (w *twin) act(t fatal, at time.Time, by domain.Actor, decide func(*control.State, domain.Meta) ([]domain.Fact, error)) string {
	var facts []domain.Fact
	var err error
	w.p.Read(func(s *control.State, _ domain.Head) { facts, err = decide(s, domain.Meta{Actor: by, Now: at}) })
	var refused *domain.Error
	switch {
	case errors.As(err, &refused):
		return refused.Code
	case err != nil:
		t.Fatalf("%v", err)
	case len(facts) > 0:
		w.record(t, at, by.ID, facts)
	}
	return ""
}

type fatal interface{ Fatalf(string, ...any) }

func (w *twin) record(t fatal, at time.Time, by string, facts []domain.Fact) {
	w.h.now = at
	w.h.add(true, by, facts...)
	last := &w.h.commits[len(w.h.commits)-1]
	for i, f := range facts {
		if f.ID != "" {
			last.Events[i].ID = f.ID
		}
	}
	if err := w.p.Apply(w.h.commits[len(w.h.commits)-1:]); err != nil {
		t.Fatalf("what was decided does not fold: %v", err)
	}
}

// book is what is effective, by the plainest reading of what was commanded.
type book struct {
	members   map[[2]domain.Name]time.Time // group and person; zero: standing
	asked     map[string]*entry            // by request
	approvals map[domain.Name]time.Time    // of logging in, by person
	glass     map[domain.Name]time.Time
	holder    domain.Name
	held      time.Time
}

type entry struct {
	by       domain.Name
	group    bool
	until    time.Time // of a membership that is asked for
	expires  time.Time
	escalate time.Time
	over     bool
}

func (b *book) in(g, who domain.Name, at time.Time) bool {
	until, ok := b.members[[2]domain.Name{g, who}]
	return ok && (until.IsZero() || at.Before(until))
}

// moment is everything that is effective at a time, as far as the book knows of it.
type moment struct {
	Members   []string
	Approved  []domain.Name
	Broken    []domain.Name
	Holder    string
	Waits     map[string]bool // requests that can be decided, and whether they have escalated
	LogIn     []domain.Name   // who can, by the decision itself
	SeesAlone []domain.Name
}

func (b *book) at(at time.Time) moment {
	m := moment{Waits: map[string]bool{}}
	for _, who := range askers {
		for _, g := range groups {
			if b.in(g, who, at) {
				m.Members = append(m.Members, fmt.Sprint(g, "/", who))
			}
		}
		approved, broken := at.Before(b.approvals[who]), at.Before(b.glass[who])
		if approved {
			m.Approved = append(m.Approved, who)
		}
		if broken {
			m.Broken = append(m.Broken, who)
		}
		others := at.Before(b.held) && b.holder != who // who has an account alone has it alone
		if b.in("staff", who, at) && (approved || broken) && !others {
			m.LogIn = append(m.LogIn, who)
		}
		if b.in("staff", who, at) && b.holder == who && at.Before(b.held) {
			m.SeesAlone = append(m.SeesAlone, who)
		}
	}
	if at.Before(b.held) {
		m.Holder = b.holder.String()
	}
	for id, e := range b.asked {
		if !e.over && at.Before(e.expires) {
			m.Waits[id] = e.group && !at.Before(e.escalate)
		}
	}
	return m
}

// seen is the same, as an organisation sees it.
func (w *twin) seen(b *book, at time.Time) (m moment) {
	m.Waits = map[string]bool{}
	w.p.Read(func(s *control.State, _ domain.Head) {
		r, _ := s.Resources().Resource(server)
		for _, who := range askers {
			for _, g := range groups {
				if s.Groups().Has(g, who, at) {
					m.Members = append(m.Members, fmt.Sprint(g, "/", who))
				}
			}
			if _, _, ok := s.Requests().Approved(request.Key{Subject: who.String(), Resource: server, Method: logIn, Username: "postgres", Type: "approve"}, at); ok {
				m.Approved = append(m.Approved, who)
			}
			if _, _, ok := s.Access().Broken(who.String(), server, logIn, "postgres", at); ok {
				m.Broken = append(m.Broken, who)
			}
			answer := access.Resolve(s.World(), s.PersonSubject(domain.Actor{ID: who.String()}, at), r, at)
			if method, ok := access.Find(answer, logIn); ok && method.Open() {
				m.LogIn = append(m.LogIn, who)
			}
			if method, ok := access.Find(answer, alone); ok && method.Open() {
				m.SeesAlone = append(m.SeesAlone, who)
			}
		}
		m.Holder, _, _ = s.Access().Holder(server, "postgres", at)
		for id := range b.asked {
			if may := s.Approvers(id, at); slices.Contains(may, "bob") {
				m.Waits[id] = slices.Contains(may, "boss")
			}
		}
	})
	return m
}

// world makes an organisation with everything that can end.
func world(t fatal) *twin {
	w := &twin{p: control.New(), h: begin()}
	boss := domain.Actor{ID: "boss", Roles: domain.Roles()}
	must := func(decide func(*control.State, domain.Meta) ([]domain.Fact, error)) {
		if code := w.act(t, noon, boss, decide); code != "" {
			t.Fatalf("making the world: %s", code)
		}
	}
	for _, n := range append([]domain.Name{"bob", "boss"}, askers...) {
		must(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			m.Actor = domain.System("host")
			return person.Decide(s.People(), person.Add{Name: n, Roles: []domain.Role{domain.Member}}, m)
		})
	}
	for _, n := range groups {
		must(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return group.Decide(s.Groups(), group.Create{Name: n}, m)
		})
	}
	must(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return resource.Decide(s.Resources(), resource.CreateProject{Name: "shop"}, m)
	})
	must(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return resource.Decide(s.Resources(), resource.CreateServer{Name: "db-1", Spec: resource.ServerSpec{
			Project: "shop", Address: "db-1.example.com", Accounts: []resource.Account{{Name: "postgres", Kind: resource.Vaulted, Username: "postgres"}},
		}}, m)
	})
	bob := request.Approvers{People: []domain.Name{"bob"}}
	for n, spec := range map[domain.Name]request.Spec{
		"approve": {Kind: request.ForAccess, Steps: []request.Step{{Name: "one", Approvers: bob, ExpiresAfterSeconds: int(stepExpires.Seconds())}}},
		"join": {Kind: request.ForGroup, Groups: []domain.Name{"dba"}, MaxSeconds: 86400, Steps: []request.Step{{Name: "one", Approvers: bob,
			ExpiresAfterSeconds: int(stepExpires.Seconds()),
			Escalate:            &request.Escalation{AfterSeconds: int(escalates.Seconds()), To: request.Approvers{People: []domain.Name{"boss"}}}}}},
	} {
		must(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return request.Decide(s.Requests(), request.DraftType{Name: n, Spec: spec}, m)
		})
		must(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return request.Decide(s.Requests(), request.PublishType{Name: n, Version: 1, World: s.RequestWorld(m.Now)}, m)
		})
	}
	postgres := []domain.Name{"postgres"}
	must(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return policy.Decide(s.Policies(), policy.Draft{Name: "prod", Spec: policy.Spec{
			Principals: policy.Principals{Groups: []domain.Name{"staff"}},
			Rules: []policy.Rule{
				{Name: "log-in", Resource: policy.Selector{Server: "db-1"}, Privileges: []policy.Privilege{{Type: policy.SSH, Accounts: postgres}},
					Conditions: []policy.Condition{{Type: policy.AccessRequest, RequestType: "approve", ApprovalSeconds: int(approvalHolds.Seconds())}},
					BreakGlass: &policy.BreakGlass{AccessSeconds: int(glassHolds.Seconds())}},
				{Name: "alone", Resource: policy.Selector{Server: "db-1"}, Privileges: []policy.Privilege{{Type: policy.RevealPassword, Accounts: postgres}},
					Conditions: []policy.Condition{{Type: policy.Checkout, MaxSeconds: int(checkoutMost.Seconds())}}},
			},
		}}, m)
	})
	must(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return policy.Decide(s.Policies(), policy.Publish{Name: "prod", Version: 1}, m)
	})
	return w
}

// run is one history of both.
type run struct {
	*rapid.T
	clocked, bare *twin
	book          *book
	at            time.Time
	made          int
	lapses        map[string]int // how often each was recorded
}

func (r *run) both(by domain.Name, decide func(*control.State, domain.Meta) ([]domain.Fact, error)) (ok bool) {
	actor := domain.Actor{ID: by.String()}
	if by == "boss" {
		actor.Roles = domain.Roles()
	}
	one, other := r.clocked.act(r, r.at, actor, decide), r.bare.act(r, r.at, actor, decide)
	if one != other {
		r.Fatalf("at %s the same command is answered %q with a clock and %q without", r.at, one, other)
	}
	return one == ""
}

func (r *run) id() string {
	r.made++
	var id ulid.ULID
	id[15], id[14] = byte(r.made), byte(r.made>>8)
	return id.String()
}

func (r *run) asker() domain.Name { return rapid.SampledFrom(askers).Draw(r.T, "who") }

func (r *run) period(most time.Duration) time.Duration {
	return time.Duration(rapid.IntRange(60, int(most.Seconds())).Draw(r.T, "seconds")) * time.Second
}

func (r *run) join() {
	g, who, until := rapid.SampledFrom(groups).Draw(r.T, "group"), r.asker(), time.Time{}
	if rapid.IntRange(0, 4).Draw(r.T, "standing") > 0 {
		until = r.at.Add(r.period(4 * time.Hour))
	}
	if r.both("boss", func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return group.Decide(s.Groups(), group.AddMember{Group: g, Person: who, Until: until, Named: s.NamesGroup(g)}, m)
	}) {
		r.book.members[[2]domain.Name{g, who}] = until
	}
}

func (r *run) leave() {
	g, who := rapid.SampledFrom(groups).Draw(r.T, "group"), r.asker()
	if r.both("boss", func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return group.Decide(s.Groups(), group.RemoveMember{Group: g, Person: who, Named: s.NamesGroup(g)}, m)
	}) {
		delete(r.book.members, [2]domain.Name{g, who})
	}
}

func (r *run) ask() {
	id, who := r.id(), r.asker()
	e := &entry{by: who, expires: r.at.Add(stepExpires), escalate: r.at.Add(escalates)}
	matter := request.Matter{Requester: who.String(), Type: "approve", Resource: server, Method: logIn}
	asked := request.Asked{Policy: "prod", Rule: "log-in", Username: "postgres", ApprovalSeconds: int(approvalHolds.Seconds()), Justification: "because"}
	if e.group = rapid.Bool().Draw(r.T, "for a group"); e.group {
		e.until = r.at.Add(r.period(4 * time.Hour))
		matter = request.Matter{Requester: who.String(), Type: "join", Group: "dba"}
		asked = request.Asked{Until: e.until, Justification: "because"}
		if e.until.Before(e.expires) {
			e.expires = e.until
		}
	}
	fresh := false
	if r.both(who, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		facts, err := request.Decide(s.Requests(), request.Raise{ID: id, Matter: matter, Asked: asked, World: s.RequestWorld(m.Now)}, m)
		fresh = len(facts) > 0
		return facts, err
	}) && fresh {
		r.book.asked[id] = e
	}
}

// answer has bob, or who it escalates to, decide a request, and adds the member
// in the same commit, as the handler does.
func (r *run) answer() {
	if len(r.book.asked) == 0 {
		return
	}
	id := rapid.SampledFrom(keys(r.book.asked)).Draw(r.T, "request")
	by := rapid.SampledFrom([]domain.Name{"bob", "bob", "boss"}).Draw(r.T, "by")
	verdict := rapid.SampledFrom([]request.Status{request.Approved, request.Approved, request.Denied}).Draw(r.T, "verdict")
	e := r.book.asked[id]
	if !r.both(by, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		facts, err := request.Decide(s.Requests(), request.Answer{ID: id, Verdict: verdict, World: s.RequestWorld(m.Now)}, m)
		if err != nil || !e.group || verdict == request.Denied || len(facts) == 0 {
			return facts, err
		}
		more, err := group.Decide(s.Groups(), group.AddMember{Group: "dba", Person: e.by, Until: e.until, Approved: id}, m)
		return append(facts, more...), err
	}) {
		return
	}
	if e.over || !r.at.Before(e.expires) || by == "boss" && !(e.group && !r.at.Before(e.escalate)) {
		r.Fatalf("at %s %s decided request %s, which was over or not theirs: %+v", r.at, by, id, *e)
	}
	e.over = true
	switch k := [2]domain.Name{"dba", e.by}; {
	case verdict == request.Denied:
	case !e.group:
		r.book.approvals[e.by] = r.at.Add(approvalHolds)
	case !r.book.in("dba", e.by, r.at) || !r.book.members[k].IsZero() && r.book.members[k].Before(e.until):
		r.book.members[k] = e.until
	}
}

func (r *run) checkOut() {
	who, d := r.asker(), r.period(checkoutMost)
	had := r.book.holder == who && r.at.Before(r.book.held)
	if r.both(who, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return access.Decide(s.Access(), access.TakeCheckout{
			World: s.World(), Subject: s.PersonSubject(m.Actor, m.Now), Resource: server, Method: alone, Seconds: int(d.Seconds()),
		}, m)
	}) && !had {
		if r.book.holder != "" && r.at.Before(r.book.held) {
			r.Fatalf("at %s %s has what %s has until %s", r.at, who, r.book.holder, r.book.held)
		}
		r.book.holder, r.book.held = who, r.at.Add(d)
	}
}

func (r *run) giveBack() {
	who := r.asker()
	if r.both(who, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return access.Decide(s.Access(), access.ReleaseCheckout{Resource: server, Account: "postgres"}, m)
	}) && r.book.holder == who {
		r.book.held = time.Time{}
	}
}

func (r *run) breakGlass() {
	id, who := r.id(), r.asker()
	if r.both(who, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return access.Decide(s.Access(), access.BreakGlass{
			World: s.World(), Subject: s.PersonSubject(m.Actor, m.Now), Resource: server, Method: logIn, Reason: "it burns", ID: id,
		}, m)
	}) {
		r.book.glass[who] = r.at.Add(glassHolds)
	}
}

// tick has one of two clocks record some of what is due, and the other one, which
// decided on the same state, decide again once it has met that commit.
func (r *run) tick(all bool) {
	for {
		var facts []domain.Fact
		m := domain.Meta{Actor: domain.System("clock")}
		lapse := func(s *control.State, _ domain.Head) { m.Now = s.Later(r.at); facts = s.Lapse(m) }
		if r.clocked.p.Read(lapse); len(facts) == 0 {
			return
		}
		some := facts
		if !all {
			some = facts[:rapid.IntRange(1, len(facts)).Draw(r.T, "of them")]
		}
		r.clocked.record(r, m.Now, m.Actor.ID, some)
		for _, f := range some {
			if r.lapses[fmt.Sprintf("%s %#v", f.Subject, f.Event)]++; m.Now.Before(r.at) {
				r.Fatalf("it records at %s what is at %s", m.Now, r.at)
			}
		}
		r.clocked.p.Read(lapse)
		for _, f := range facts {
			for _, was := range some {
				if cmp.Equal(f, was) {
					r.Fatalf("the second clock records once more that %s: %+v", f.Subject, f.Event)
				}
			}
		}
		if !all {
			return
		}
	}
}

// restart folds both logs anew.
func (r *run) restart() {
	for _, w := range []*twin{r.clocked, r.bare} {
		w.p = control.New()
		if err := w.p.Seed(w.h.commits); err != nil {
			r.Fatalf("%v", err)
		}
		if err := w.p.StartAfter(uint64(len(w.h.commits)), r.at); err != nil {
			r.Fatalf("%v", err)
		}
	}
}

// pass lets time pass, to a deadline now and then; or puts the clock of the
// machine back behind something that was recorded, which the state does not follow.
func (r *run) pass() {
	due := time.Time{}
	r.clocked.p.Read(func(s *control.State, _ domain.Head) { due = s.Due() })
	switch rapid.IntRange(0, 5).Draw(r.T, "time") {
	case 0, 1:
		if due.After(r.at) {
			r.at = due.Add(time.Duration(rapid.IntRange(-1, 1).Draw(r.T, "around")) * time.Millisecond)
			if rapid.Bool().Draw(r.T, "ticks") {
				r.tick(false)
			}
		}
	case 2:
		r.made++
		r.both("boss", func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return group.Decide(s.Groups(), group.Create{Name: domain.Name(fmt.Sprint("witness-", r.made))}, m)
		})
		back := r.at.Add(-r.period(time.Hour))
		for _, w := range []*twin{r.clocked, r.bare} {
			if got := read(w.p, func(s *control.State) time.Time { return s.Later(back) }); !got.Equal(r.at) {
				r.Fatalf("with the machine's clock put back to %s it is %s, and was %s", back, got, r.at)
			}
		}
	default:
		r.at = r.at.Add(r.period(time.Hour))
	}
}

func keys[V any](m map[string]V) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (r *run) compare() {
	probes := []time.Time{r.at, r.at.Add(time.Second), r.at.Add(10 * time.Minute), r.at.Add(time.Hour), r.at.Add(24 * time.Hour)}
	for _, at := range probes {
		want := r.book.at(at)
		for name, w := range map[string]*twin{"with a clock": r.clocked, "without a clock": r.bare} {
			if diff := cmp.Diff(want, w.seen(r.book, at)); diff != "" {
				r.Fatalf("at %s, asked at %s, %s, effective is (-book +state):\n%s", at, r.at, name, diff)
			}
		}
	}
}

func TestNothingIsEffectivePastItsTimeWhetherOrNotTheClockRan(t *testing.T) {
	start := world(t)
	rapid.Check(t, func(rt *rapid.T) {
		r := &run{T: rt, at: noon.Add(time.Minute), lapses: map[string]int{}, book: &book{
			members: map[[2]domain.Name]time.Time{}, asked: map[string]*entry{}, approvals: map[domain.Name]time.Time{},
			glass: map[domain.Name]time.Time{},
		}}
		r.clocked, r.bare = &twin{h: &history{commits: slices.Clone(start.h.commits)}}, &twin{h: &history{commits: slices.Clone(start.h.commits)}}
		r.restart()
		step := func(f func()) func(*rapid.T) { return func(*rapid.T) { f() } }
		rt.Repeat(map[string]func(*rapid.T){
			"join": step(r.join), "join again": step(r.join), "leave": step(r.leave), "ask": step(r.ask), "answer": step(r.answer), "answer again": step(r.answer),
			"check out": step(r.checkOut), "give back": step(r.giveBack), "break glass": step(r.breakGlass),
			"time": step(r.pass), "more time": step(r.pass), "the clock": step(func() { r.tick(false) }), "restart": step(r.restart), "": step(r.compare),
		})
		r.tick(true)
		r.compare()
		for what, n := range r.lapses {
			if n != 1 {
				rt.Errorf("recorded %d times: %s", n, what)
			}
		}
		if due := read(r.clocked.p, (*control.State).Due); !due.IsZero() && !due.After(r.at) {
			rt.Errorf("at %s something was due at %s, and the clock recorded all it had", r.at, due)
		}
	})
}
