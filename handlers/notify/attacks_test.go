package notify_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/notification"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/request"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/notify"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

// resolver answers every name with the same addresses.
type resolver []netip.Addr

func (r resolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return r, nil }

// T183: whatever a webhook's name means when it is dialled, nothing inside is called.
func TestAWebhookReachesNothingInside(t *testing.T) {
	for _, tt := range []struct {
		url  string
		addr string
	}{
		{"https://hooks.example.com/x", "169.254.169.254"},
		{"https://hooks.example.com/x", "127.0.0.1"},
		{"https://hooks.example.com/x", "10.1.2.3"},
		{"https://hooks.example.com/x", "::1"},
		{"https://hooks.example.com/x", "::ffff:10.0.0.1"},
		{"https://hooks.example.com/x", "fd00:ec2::254"},
		{"https://hooks.example.com/x", "100.64.0.1"},
		{"https://169.254.169.254/latest", "169.254.169.254"},
		{"https://metadata.google.internal/x", "169.254.169.254"},
		{"http://hooks.example.com/x", "93.184.216.34"},
		{"https://hooks.example.com:22/x", "93.184.216.34"},
		{"https://user:pass@hooks.example.com/x", "93.184.216.34"},
	} {
		t.Run(tt.url+" "+tt.addr, func(t *testing.T) {
			to := notify.Webhook{URL: tt.url, Secret: domain.NewSecret(secret), Format: notify.JSON}
			err := notify.Post(t.Context(), to, jose.Gate{}, resolver{netip.MustParseAddr(tt.addr)}, notify.Message{ID: "01"})
			if err == nil || !strings.HasPrefix(err.Error(), "address_refused") {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "/x") {
				t.Errorf("the error names the address: %v", err)
			}
		})
	}
}

// A webhook that never answers, and a mail server that never does, hold up
// neither the log nor the end of the process.
func TestAReceiverThatHangsHoldsUpNothing(t *testing.T) {
	o := open(t)
	l := silent(t)
	stop := o.notify(notify.Options{
		Webhook: &notify.Webhook{URL: "http://" + l.Addr().String(), Secret: domain.NewSecret(secret), Format: notify.JSON},
		Mail:    &notify.Mail{Address: l.Addr().String(), From: "a@example.com", TLS: notify.NoTLS},
	})
	for i := range 20 {
		o.raise("alice", fmt.Sprint("because ", i)) // and so it is written
		id := ""
		o.Read(func(s *control.State, _ domain.Head) {
			for r := range s.Requests().Requests() {
				id = r.ID
				break
			}
		})
		o.answer("bob", id, request.Denied, "")
	}
	wait(t, "notices are begun", func() bool { return slices.Contains(o.outcomes(), "begun") })
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(60 * time.Second):
		t.Fatal("the end waits for who hangs")
	}
	if slices.Contains(o.outcomes(), "sent") {
		t.Error("it says that it sent what nobody took")
	}
}

// Nor does one that does not even look at its context.
func TestASendThatNeverReturnsDoesNotHoldUpTheEnd(t *testing.T) {
	o := open(t)
	asked, released := make(chan struct{}, 10), make(chan struct{})
	defer close(released) // after the notifier has ended
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	n := notify.Stuck(asked, released)
	go func() { n.Run(ctx, o.Organisation); close(ended) }()
	o.raise("alice", "because")
	<-asked
	cancel()
	<-ended
}

// What was sent when the process is asked to end is recorded before it does, and
// so told once.
func TestWhatWasSentAtTheEndIsRecorded(t *testing.T) {
	o := open(t)
	o.raise("alice", "because")
	var n notification.Notice
	o.Read(func(s *control.State, _ domain.Head) {
		n = s.Notices().Pending(notification.Webhook, o.Now(), 1, func(string) bool { return false })[0]
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	notify.Leave(ctx, o.Organisation, n)
	if got := o.outcomes(); !slices.Equal(got, []string{"sent"}) {
		t.Errorf("recorded is %v", got)
	}
}

// raiseMany has n people ask for something, and is how many notices that makes.
func (o *office) raiseMany(n int) {
	o.t.Helper()
	for from := 0; from < n; from += 50 {
		o.do(func(s *control.State, m domain.Meta) (facts []domain.Fact, err error) {
			for i := from; i < min(n, from+50); i++ {
				f, err := person.Decide(s.People(), person.Add{Name: domain.Name(fmt.Sprint("p", i)), Roles: []domain.Role{domain.Member}}, m)
				if err != nil {
					return nil, err
				}
				facts = append(facts, f...)
			}
			return facts, nil
		})
	}
	for from := 0; from < n; from += 50 {
		m := o.Meta("p0")
		if _, err := o.Execute(o.t.Context(), m, func(s *control.State) (facts []domain.Fact, err error) {
			for i := from; i < min(n, from+50); i++ {
				who := fmt.Sprint("p", i)
				as := m
				as.Actor.ID = who
				f, err := request.Decide(s.Requests(), request.Raise{
					ID: ulid.Make().String(), Matter: request.Matter{Requester: who, Type: "join-dba", Group: "dba"},
					Asked: request.Asked{Until: m.Now.Add(2 * time.Hour), Justification: "because"}, World: s.RequestWorld(m.Now),
				}, as)
				if err != nil {
					return nil, err
				}
				facts = append(facts, f...)
			}
			return facts, nil
		}); err != nil {
			o.t.Fatal(err)
		}
	}
}

// T189: a thousand notices at once, by two replicas, are each told once.
func TestAThousandNoticesAtOnceAreEachToldOnceByTwoReplicas(t *testing.T) {
	o, v := open(t), newReceiver(t)
	other := orgtest.Join(t, o.Conn)
	const n = 1000
	o.raiseMany(n)
	opt := notify.Options{Webhook: v.webhook(), Pauses: quick}
	run(t, o.World, opt)
	run(t, other, opt)
	posts := v.told(t, n)
	wait(t, "all outcomes are recorded", func() bool { return len(o.outcomes()) == 2*n })
	times := map[string]int{}
	for _, p := range posts {
		times[p.doc(t).Data.Request]++
	}
	if len(times) != n || v.count() != n {
		t.Errorf("%d notices were told in %d posts, want %d of each", len(times), v.count(), n)
	}
	commits := map[string]bool{}
	for _, e := range o.Events() {
		if strings.HasPrefix(e.Type, "notification.") {
			commits[e.CommitID] = true
		}
	}
	if len(commits) > n {
		t.Errorf("they took %d commits", len(commits))
	}
}

// Whoever may not decide any more, by the time of telling, is not told.
func TestAnApproverWhoWasRemovedMeanwhileIsNotTold(t *testing.T) {
	o, v := open(t), newReceiver(t)
	v.say = func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 0 { // between the first try and the second
			o.leave("approvers", "bob")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	o.raise("alice", "because")
	o.leave("approvers", "carol") // between the request and the telling
	o.notify(notify.Options{Webhook: v.webhook(), Pauses: quick})
	posts := v.told(t, 2)
	if got := posts[0].doc(t).Data.Recipients; !slices.Equal(got, []domain.Name{"bob"}) {
		t.Errorf("told at first are %v, want bob alone", got)
	}
	if got := posts[1].doc(t).Data.Recipients; len(got) != 0 {
		t.Errorf("told then are %v, want nobody", got)
	}
}

// What was decided before anybody was told is not told as if it waited.
func TestARequestThatIsOverIsNotToldToApprovers(t *testing.T) {
	o, v := open(t), newReceiver(t)
	id := o.raise("alice", "because")
	o.answer("bob", id, request.Denied, "no")
	o.notify(notify.Options{Webhook: v.webhook()})
	v.told(t, 1)
	wait(t, "the outcome is recorded", func() bool { return len(o.outcomes()) == 2 })
	if doc := v.told(t, 1)[0].doc(t); doc.Type != "request.denied" || v.count() != 1 {
		t.Errorf("told is %s, in %d posts", doc.Type, v.count())
	}
}

// One that is overtaken between two tries is given up, and says so.
func TestARequestDecidedBetweenTwoTriesIsOvertaken(t *testing.T) {
	o, v := open(t), newReceiver(t)
	var once sync.Once
	v.say = func(_ int, w http.ResponseWriter, _ *http.Request) {
		once.Do(func() {
			var id string
			o.Read(func(s *control.State, _ domain.Head) {
				for r := range s.Requests().Requests() {
					id = r.ID
					break
				}
			})
			o.answer("bob", id, request.Denied, "no")
			w.WriteHeader(http.StatusBadGateway)
		})
	}
	o.notify(notify.Options{Webhook: v.webhook(), Pauses: quick})
	o.raise("alice", "because")
	wait(t, "both notices have their outcome", func() bool {
		got := o.outcomes()
		slices.Sort(got)
		return slices.Equal(got, []string{"begun", "begun", "failed overtaken", "sent"})
	})
}

// Who told it stopped before the outcome was recorded: after a quarter of an hour
// it is told once more, and no more than that.
func TestANoticeWithoutAnOutcomeIsBegunAgainOnce(t *testing.T) {
	o, v := open(t), newReceiver(t)
	l := silent(t)
	hanging := notify.Options{Webhook: &notify.Webhook{URL: "http://" + l.Addr().String(), Secret: domain.NewSecret(secret), Format: notify.JSON}}
	id := o.raise("alice", "because")
	begun := func(n int) func() bool {
		return func() bool { return len(o.outcomes()) == n }
	}
	stop := o.notify(hanging)
	wait(t, "it is begun", begun(1))
	stop()
	other := orgtest.Join(t, o.Conn)
	tell := func() (stop func()) { return run(t, other, notify.Options{Webhook: v.webhook()}) }
	second := tell()
	o.raise("bob", "another")
	v.told(t, 1)
	wait(t, "the other's outcome is recorded", begun(3))
	second()
	if got := v.told(t, 1)[0].doc(t).Data.Request; got == id || v.count() != 1 {
		t.Fatalf("it was told again at once")
	}
	other.Advance(16 * time.Minute)
	o.Advance(16 * time.Minute)
	tell()
	if got := v.told(t, 2)[1].doc(t).Data.Request; got != id {
		t.Errorf("told is %s, want %s again", got, id)
	}
	wait(t, "its outcome is recorded", begun(5))
}

// What is an hour old is told to nobody: they have looked by themselves, or given up.
func TestWhatIsAnHourOldIsNotTold(t *testing.T) {
	o, v := open(t), newReceiver(t)
	o.raise("alice", "because")
	o.Advance(59*time.Minute + 55*time.Second)
	id := o.raise("bob", "because")
	o.Advance(10 * time.Second)
	o.notify(notify.Options{Webhook: v.webhook()})
	if got := v.told(t, 1)[0].doc(t).Data.Request; got != id {
		t.Errorf("told is %s, want the newer one alone", got)
	}
	wait(t, "the outcome is recorded", func() bool { return len(o.outcomes()) == 2 })
	if v.count() != 1 {
		t.Errorf("told %d times", v.count())
	}
}

func TestTheEndOfAMembershipIsToldToItsMember(t *testing.T) {
	o, v := open(t), newReceiver(t)
	until := o.Now().Add(time.Hour)
	o.join("dba", "alice", until)
	o.join("dba", "bob", time.Time{})
	o.join("dba", "carol", until)
	o.notify(notify.Options{Webhook: v.webhook()})
	o.leave("dba", "bob") // which somebody did, and is told to nobody
	o.Advance(2 * time.Hour)
	o.join("dba", "carol", o.Now().Add(time.Hour)) // who has it again, and is not told that it ended
	m := domain.Meta{Actor: domain.System("clock"), Now: o.Now()}
	if _, err := o.Execute(t.Context(), m, func(s *control.State) ([]domain.Fact, error) { return s.Lapse(m), nil }); err != nil {
		t.Fatal(err)
	}
	doc := v.told(t, 1)[0].doc(t)
	wait(t, "the outcome is recorded", func() bool { return len(o.outcomes()) == 2 })
	if v.count() != 1 {
		t.Errorf("told %d times, want once", v.count())
	}
	want := notify.Data{Org: "default", Group: "dba", Until: until, Recipients: []domain.Name{"alice"}}
	if doc.Type != (group.MemberWasRemoved{}).EventType() || fmt.Sprint(doc.Data) != fmt.Sprint(want) {
		t.Errorf("told is %s %+v, want %+v", doc.Type, doc.Data, want)
	}
}

// Everyone who was skipped is told, and the security admins, of whom some are so through a group.
func TestBrokenGlassIsToldToEveryoneWhoWasSkipped(t *testing.T) {
	o, v := open(t), newReceiver(t)
	for n, roles := range map[domain.Name][]domain.Role{"sven": {domain.SecurityAdmin}, "gina": {domain.Member}} {
		o.do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return person.Decide(s.People(), person.Add{Name: n, Roles: roles}, m)
		})
	}
	o.do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return group.Decide(s.Groups(), group.Create{Name: "guards", Spec: group.Spec{Roles: []domain.Role{domain.SecurityAdmin}}}, m)
	})
	o.join("guards", "gina", o.Now().Add(24*time.Hour))
	o.join("approvers", "alice", time.Time{}) // who could have approved, but for its being her own
	o.notify(notify.Options{Webhook: v.webhook()})
	id := ulid.Make().String()
	o.by("alice", nil, func(_ *control.State, m domain.Meta) ([]domain.Fact, error) {
		return []domain.Fact{{ID: id, Subject: "break_glass/" + id, Event: access.GlassWasBroken{
			Resource: "server/db-1", Method: "prod/dba/ssh:postgres", Policy: "prod", Rule: "dba", Account: "postgres",
			RequestTypes: []domain.Name{"join-dba"}, By: "alice", Reason: "it burns", Until: m.Now.Add(time.Hour),
		}}}, nil
	})
	doc := v.told(t, 1)[0].doc(t)
	if d := doc.Data; !slices.Equal(d.Recipients, []domain.Name{"bob", "carol", "dan", "gina", "sven"}) ||
		d.BreakGlass != id || d.Requester != "alice" || d.Justification != "it burns" || d.Account != "postgres" || d.Resource != "server/db-1" {
		t.Errorf("told is %+v", d)
	}
}

// Neither the address, which may be a secret, nor the secret is in what we log.
func TestNoSecretIsLoggedWhateverFails(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o, v := open(t), newReceiver(t)
	v.say = func(n int, w http.ResponseWriter, r *http.Request) {
		switch n {
		case 0:
			http.Redirect(w, r, "https://169.254.169.254/S3CRET", http.StatusFound)
		case 1:
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte("S3CRET " + secret))
		}
	}
	to := v.webhook()
	to.URL = v.URL + "/services/S3CRET"
	o.notify(notify.Options{Webhook: to, Pauses: quick, Log: log})
	o.raise("alice", "because")
	wait(t, "it is given up", func() bool { return len(o.outcomes()) == 2 })
	wait(t, "and logged", func() bool { return v.count() == 5 })
	for _, hidden := range []string{"S3CRET", secret, strings.TrimPrefix(secret, "whsec_")} {
		if strings.Contains(out.String(), hidden) {
			t.Errorf("the log shows %s:\n%s", hidden, out.String())
		}
	}
	for _, once := range []string{`"WARN","msg":"people were not told`, `"WARN","msg":"people could not be told at once`} {
		if strings.Count(out.String(), once) != 1 {
			t.Errorf("%s is not logged once:\n%s", once, out.String())
		}
	}
	if s := fmt.Sprintf("%v %+v", *to, *to); strings.Contains(s, secret) {
		t.Errorf("the secret is printed: %s", s)
	}
}

// Where nothing is configured nothing is kept, and nothing is written.
func TestWithoutAChannelNothingIsRecorded(t *testing.T) {
	o := open(t)
	o.raise("alice", "because")
	before := o.Last()
	n, err := notify.New(notify.Options{BaseURL: orgtest.BaseURL}, o.Now)
	if err != nil {
		t.Fatal(err)
	}
	n.Run(t.Context(), o.Organisation)
	if o.Last() != before {
		t.Errorf("it wrote %v", o.Types(before))
	}
}
