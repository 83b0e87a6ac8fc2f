package notify_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/request"
	"sallyport.dev/handlers/notify"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// office is an organisation in which alice may ask for membership of group dba,
// and those of group approvers decide it: bob and carol, and dan once it escalates.
type office struct {
	*orgtest.World
	t *testing.T
}

func open(t *testing.T) *office {
	t.Helper()
	t.Parallel()
	o := &office{orgtest.New(t), t}
	for _, n := range []domain.Name{"alice", "bob", "carol", "dan"} {
		o.do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return person.Decide(s.People(), person.Add{Name: n, Roles: []domain.Role{domain.Member}, Email: n.String() + "@example.com"}, m)
		})
	}
	for _, g := range []domain.Name{"approvers", "dba"} {
		o.do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
			return group.Decide(s.Groups(), group.Create{Name: g}, m)
		})
	}
	o.join("approvers", "bob", time.Time{})
	o.join("approvers", "carol", time.Time{})
	o.publish("join-dba", request.Spec{Kind: request.ForGroup, Groups: []domain.Name{"dba"}, MaxSeconds: 86400, Steps: []request.Step{
		{Name: "first", Approvers: request.Approvers{Group: "approvers"}, ExpiresAfterSeconds: 3600,
			Escalate: &request.Escalation{AfterSeconds: 600, To: request.Approvers{People: []domain.Name{"dan"}}}},
		{Name: "second", Approvers: request.Approvers{People: []domain.Name{"dan"}}, ExpiresAfterSeconds: 3600},
	}})
	return o
}

// by runs a decision of somebody who bears the roles.
func (o *office) by(who string, roles []domain.Role, decide func(*control.State, domain.Meta) ([]domain.Fact, error)) {
	o.t.Helper()
	m := o.Meta(who, roles...)
	if _, err := o.Execute(o.t.Context(), m, func(s *control.State) ([]domain.Fact, error) { return decide(s, m) }); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) do(decide func(*control.State, domain.Meta) ([]domain.Fact, error)) {
	o.t.Helper()
	o.by("boss", []domain.Role{domain.Owner, domain.SecurityAdmin}, decide)
}

func (o *office) join(g, who domain.Name, until time.Time) {
	o.t.Helper()
	o.do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return group.Decide(s.Groups(), group.AddMember{Group: g, Person: who, Until: until, Named: s.NamesGroup(g)}, m)
	})
}

func (o *office) leave(g, who domain.Name) {
	o.t.Helper()
	o.do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return group.Decide(s.Groups(), group.RemoveMember{Group: g, Person: who, Named: s.NamesGroup(g)}, m)
	})
}

func (o *office) publish(name domain.Name, spec request.Spec) {
	o.t.Helper()
	o.do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return request.Decide(s.Requests(), request.DraftType{Name: name, Spec: spec}, m)
	})
	o.do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return request.Decide(s.Requests(), request.PublishType{Name: name, Version: 1, World: s.RequestWorld(m.Now)}, m)
	})
}

// raise has somebody ask for membership of dba, and is the request's id.
func (o *office) raise(who, why string) string {
	o.t.Helper()
	id := ulid.Make().String()
	o.by(who, nil, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return request.Decide(s.Requests(), request.Raise{
			ID: id, Matter: request.Matter{Requester: who, Type: "join-dba", Group: "dba"},
			Asked: request.Asked{Until: m.Now.Add(2 * time.Hour), Justification: why}, World: s.RequestWorld(m.Now),
		}, m)
	})
	return id
}

func (o *office) answer(who, id string, verdict request.Status, comment string) {
	o.t.Helper()
	o.by(who, nil, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return request.Decide(s.Requests(), request.Answer{ID: id, Verdict: verdict, Comment: comment, World: s.RequestWorld(m.Now)}, m)
	})
}

// notify runs a notifier with that until the test ends, or the func is called.
func (o *office) notify(opt notify.Options) (stop func()) {
	o.t.Helper()
	return run(o.t, o.World, opt)
}

func run(t *testing.T, w *orgtest.World, opt notify.Options) (stop func()) {
	t.Helper()
	opt.BaseURL = orgtest.BaseURL
	opt.Gate.LoopbackHTTP = opt.Resolver == nil
	n, err := notify.New(opt, w.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { n.Run(ctx, w.Organisation) })
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

// quick are pauses that nobody notices.
var quick = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond, time.Millisecond}

// outcomes are the types of events about notices so far, with their reasons.
func (o *office) outcomes() (types []string) {
	for _, e := range o.Events() {
		if rest, ok := strings.CutPrefix(e.Type, "notification."); ok {
			var data struct{ Reason string }
			_ = json.Unmarshal(e.Data, &data)
			types = append(types, strings.TrimSpace(rest+" "+data.Reason))
		}
	}
	return types
}

// wait looks again and again until it is done: what it waits for happens in
// another goroutine, which tells nobody.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute: %s", what)
		}
	}
}

// post is what a receiver was told.
type post struct {
	header http.Header
	body   []byte
}

func (p post) doc(t *testing.T) (doc struct {
	Type      string
	Timestamp time.Time
	Data      notify.Data
}) {
	t.Helper()
	if err := json.Unmarshal(p.body, &doc); err != nil {
		t.Fatalf("%v: %s", err, p.body)
	}
	return doc
}

// receiver is somebody's webhook.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	posts []post
	say   func(n int, w http.ResponseWriter, r *http.Request) // of the nth post, from 0; nil: 204
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	v := &receiver{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		n := len(v.posts)
		v.posts = append(v.posts, post{r.Header.Clone(), body})
		say := v.say
		v.mu.Unlock()
		if say != nil {
			say(n, w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(v.Server.Close)
	return v
}

// told waits until it was told n times, and is what.
func (v *receiver) told(t *testing.T, n int) []post {
	t.Helper()
	wait(t, fmt.Sprintf("the receiver is told %d times", n), func() bool { return v.count() >= n })
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]post(nil), v.posts...)
}

func (v *receiver) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.posts)
}

func (v *receiver) webhook() *notify.Webhook {
	return &notify.Webhook{URL: v.URL + "/hook", Secret: domain.NewSecret(secret), Format: notify.JSON}
}

// verify holds a post against the signature, with another implementation's eyes.
func verify(t *testing.T, p post) error {
	t.Helper()
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return w.Verify(p.body, p.header)
}

// silent accepts connections and never says anything.
func silent(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, bufio.NewReader(c)) }()
		}
	}()
	return l
}

// requested has f look at a request.
func requested(id string, f func(request.Request)) func(*control.State, domain.Head) {
	return func(s *control.State, _ domain.Head) {
		r, _ := s.Requests().Request(id)
		f(r)
	}
}
