package control_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/key"
	"sallyport.dev/domain/organisation"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/token"
	"sallyport.dev/projections/control"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// late is when no proof is forgotten yet.
var late = noon.AddDate(1, 0, 0)

// history builds commits as the log would hand them out.
type history struct {
	commits []domain.Commit
	now     time.Time
}

func begin() *history { return &history{now: noon} }

func (h *history) add(ctl bool, actor string, facts ...domain.Fact) *history {
	c := domain.Commit{ID: fmt.Sprintf("commit-%d", len(h.commits)+1), Sequence: uint64(len(h.commits) + 1), Control: ctl}
	for i, f := range facts {
		a := actor
		if f.Actor != "" {
			a = f.Actor
		}
		var typ string
		if f.Event != nil {
			typ = f.Event.EventType()
		}
		c.Events = append(c.Events, domain.Envelope{
			ID: fmt.Sprintf("%s-%d", c.ID, i), Type: typ, Subject: f.Subject, Time: h.now, Actor: a, CommitID: c.ID,
			Event: f.Event, Position: domain.Position{Sequence: c.Sequence, Index: i},
		})
	}
	h.commits = append(h.commits, c)
	return h
}

func (h *history) control(subject, actor string, e domain.Event) *history {
	return h.add(true, actor, domain.Fact{Subject: subject, Event: e})
}

func (h *history) activity(e domain.Event) *history {
	return h.add(false, "workload://default/ci", domain.Fact{Subject: "connection/ci", Event: e})
}

// after lets time pass between commits.
func (h *history) after(d time.Duration) *history { h.now = h.now.Add(d); return h }

// under gives the last commit an idempotency key.
func (h *history) under(key, request string) *history {
	for i := range h.commits[len(h.commits)-1].Events {
		h.commits[len(h.commits)-1].Events[i].Idempotency = &domain.Idempotency{Key: key, Request: request}
	}
	return h
}

func (h *history) controls() (out []domain.Commit) {
	for _, c := range h.commits {
		if c.Control {
			out = append(out, c)
		}
	}
	return out
}

// folded is the projection of a whole history.
func folded(t testing.TB, h *history) *control.Projection {
	t.Helper()
	p := control.New()
	if err := p.Apply(h.commits); err != nil {
		t.Fatal(err)
	}
	return p
}

// read is what f sees of the state.
func read[T any](p *control.Projection, f func(*control.State) T) (v T) {
	p.Read(func(s *control.State, _ domain.Head) { v = f(s) })
	return v
}

func spec(iss string) connection.Spec {
	return connection.Spec{
		Provider: "generic_jwt", JWKSURL: "https://idp.example/jwks",
		Conditions: []claim.Condition{
			{Claim: "iss", Operator: claim.Equals, Value: iss},
			{Claim: "aud", Operator: claim.Equals, Value: "sallyport"},
		},
		IdentityClaim: "sub", TokenTTL: connection.Duration{Amount: 15, Unit: "minutes"}, Algorithms: []string{"RS256"},
	}
}

// trusted is a history at whose end connection ci is active.
func trusted() *history {
	return begin().
		control("connection/ci", "devops", connection.WasDrafted{Spec: spec("https://idp.example")}).
		control("connection/ci", "security", connection.WasActivated{Version: 1})
}

func spendKey(i int) string {
	h := sha256.Sum256([]byte(fmt.Sprint(i)))
	return base64.RawURLEncoding.EncodeToString(h[:])
}

func spent(key string, until time.Time) token.WasIssued {
	return token.WasIssued{Connection: "ci", Spent: key, SpentUntil: until}
}

func status(p *control.Projection, n domain.Name) connection.Status {
	return read(p, func(s *control.State) connection.Status { return s.Connection(n).Status })
}

func TestEveryNounIsFolded(t *testing.T) {
	h := trusted().
		control("organisation/default", "system:host", organisation.WasCreated{Name: "default", Issuer: "https://sallyport.example/orgs/default", DualControl: organisation.Strict}).
		control("signing_key/e1", "system:keys", key.WasCreated{KeyID: "e1", Algorithm: key.ES256, Status: key.Active}).
		control("person/devops", "system:host", person.WasAdded{Name: "devops", Roles: []domain.Role{domain.DevOpsAdmin}}).
		control("api_token/1", "system:host", person.TokenWasCreated{ID: "1", Person: "devops", Roles: []domain.Role{domain.DevOpsAdmin}, Hash: "h", ExpiresAt: noon.Add(time.Hour)}).
		activity(token.WasDenied{Connection: "ci"}).
		activity(token.DenialsWereSuppressed{Connection: "ci"}).
		activity(connection.WasTested{Version: 1}).
		activity(organisation.TrailWasExported{}).
		activity(spent(spendKey(1), noon.Add(time.Minute)))
	p := folded(t, h)
	if got, want := p.Head(), (domain.Head{Control: 6, Stream: 11}); got != want {
		t.Errorf("head is %+v, want %+v", got, want)
	}
	p.Read(func(s *control.State, _ domain.Head) {
		if c := s.Connection("ci"); c.Status != connection.Active || c.Name != "ci" || c.CreatedBy != "devops" {
			t.Errorf("the connection is %+v", c)
		}
		if o := s.Organisation(); o.Name != "default" {
			t.Errorf("the organisation is %+v", o)
		}
		if k, ok := s.Keys().Active(key.ES256); !ok || k.KeyID != "e1" {
			t.Errorf("the key is %+v", k)
		}
		if a, err := s.Authenticate("h", noon); err != nil || a.ID != "devops" {
			t.Errorf("the token is %+v's, %v", a, err)
		}
		if _, ok := s.Person("devops"); !ok || len(s.People().Tokens()) != 1 {
			t.Error("the person or the token is missing")
		}
		if !s.Spent(spendKey(1), late) || s.Spent(spendKey(2), late) {
			t.Error("the wrong proof is spent")
		}
	})
}

func TestWhatCannotBeStopsIt(t *testing.T) {
	drafted := connection.WasDrafted{Spec: spec("https://idp.example")}
	for _, tt := range []struct {
		name  string
		given *history
	}{
		{"a connection activated that nobody drafted", begin().control("connection/ci", "security", connection.WasActivated{Version: 1})},
		{"one edited that nobody drafted", begin().control("connection/ci", "security", connection.WasEdited{Version: 2})},
		{"one drafted twice", begin().control("connection/ci", "devops", drafted).control("connection/ci", "devops", drafted)},
		{"one deactivated before it was active", begin().control("connection/ci", "devops", drafted).control("connection/ci", "security", connection.WasDeactivated{})},
		{"one deleted while active", trusted().control("connection/ci", "security", connection.WasDeleted{})},
		{"one activated after it was deleted", begin().control("connection/ci", "devops", drafted).
			control("connection/ci", "devops", connection.WasDeleted{}).control("connection/ci", "security", connection.WasActivated{Version: 1})},
		{"a name given again", begin().control("connection/ci", "devops", drafted).
			control("connection/ci", "devops", connection.WasDeleted{}).control("connection/ci", "devops", drafted)},
		{"a connection without a name", begin().control("connection/", "devops", drafted)},
		{"a connection under another subject", begin().control("person/ci", "devops", drafted)},
		{"keys of a connection that is not there", begin().control("connection/ci", "system:keys", connection.KeysChanged{})},
		{"a key activated that is not there", begin().control("signing_key/e1", "security", key.WasActivated{KeyID: "e1"})},
		{"a token of nobody", begin().control("api_token/1", "system:host", person.TokenWasCreated{ID: "1", Person: "mallory", Hash: "h"})},
		{"an organisation created twice", begin().control("organisation/a", "system:host", organisation.WasCreated{Name: "a"}).
			control("organisation/a", "system:host", organisation.WasCreated{Name: "a"})},
		{"an event that was not decoded", begin().control("connection/ci", "devops", nil)},
		{"an activity that was not decoded", begin().activity(nil)},
		{"control on the activity subject", begin().activity(drafted)},
		{"activity on the control subject", begin().control("connection/ci", "devops", token.WasIssued{})},
		{"a test on the control subject", trusted().control("connection/ci", "devops", connection.WasTested{})},
		{"an export on the control subject", trusted().control("organisation/default", "auditor", organisation.TrailWasExported{})},
		{"a spend key that is none", begin().activity(spent("0a1b", noon))},
		{"a commit without events", begin().add(true, "devops")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := control.New()
			last := len(tt.given.commits)
			err := p.Apply(tt.given.commits)
			if err == nil || p.Err() == nil || !strings.Contains(err.Error(), fmt.Sprintf("commit %d", last)) {
				t.Fatalf("it folded: %v, %v", err, p.Err())
			}
			if got := p.Head().Stream; got != uint64(last-1) {
				t.Errorf("it stands at %d, want %d: before the commit it cannot read", got, last-1)
			}
			good := begin().control("connection/other", "devops", drafted)
			good.commits[0].Sequence = uint64(last)
			if again := p.Apply(good.commits); !errors.Is(again, err) {
				t.Errorf("it went on: %v", again)
			}
			if w := p.Wait(t.Context(), uint64(last)); !errors.Is(w, err) {
				t.Errorf("who waits is told %v, want %v", w, err)
			}
		})
	}
}

func TestAGapStopsIt(t *testing.T) {
	h := trusted()
	p := control.New()
	if err := p.Apply([]domain.Commit{h.commits[1]}); err == nil || !strings.Contains(err.Error(), "gap") {
		t.Errorf("got %v, want a gap", err)
	}
}

func TestTwiceIsOnce(t *testing.T) {
	h := trusted()
	p := folded(t, h)
	if err := p.Apply(h.commits); err != nil || status(p, "ci") != connection.Active {
		t.Errorf("a second time gives %v, %v", err, status(p, "ci"))
	}
}

func TestSeededThenFollowed(t *testing.T) {
	h := trusted(). // 1 2
			activity(spent(spendKey(1), noon.Add(time.Hour))).                              // 3
			control("connection/ci", "security", connection.WasDeactivated{Generation: 0}). // 4
			activity(spent(spendKey(2), noon.Add(time.Hour)))                               // 5
	for start := range uint64(6) {
		t.Run(fmt.Sprintf("from %d", start), func(t *testing.T) {
			p := control.New()
			if err := p.Seed(h.controls()); err != nil {
				t.Fatal(err)
			}
			if err := p.StartAfter(start, time.Time{}); err != nil {
				t.Fatal(err)
			}
			if p.Applied() != start || p.Head().Control != 4 {
				t.Fatalf("it stands at %+v", p.Head())
			}
			if err := p.Apply(h.commits[start:]); err != nil {
				t.Fatal(err)
			}
			if got, want := p.Head(), (domain.Head{Control: 4, Stream: 5}); got != want {
				t.Errorf("head is %+v, want %+v", got, want)
			}
			if status(p, "ci") != connection.Inactive {
				t.Errorf("ci is %s, want inactive", status(p, "ci"))
			}
			knows := read(p, func(s *control.State) [2]bool { return [2]bool{s.Spent(spendKey(1), late), s.Spent(spendKey(2), late)} })
			if want := [2]bool{start < 3, start < 5}; knows != want {
				t.Errorf("spent are %v, want %v", knows, want)
			}
		})
	}
}

// Both the clock here and that of the log were ahead, and were put back: what was
// spent before is passed over at the start, and a proof of that time still counts as spent.
func TestWhatWasPassedOverAtTheStartIsNotTakenForUnspent(t *testing.T) {
	h := trusted()
	p := control.New()
	if err := p.Seed(h.controls()); err != nil {
		t.Fatal(err)
	}
	if err := p.StartAfter(uint64(len(h.commits)), noon.Add(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		until time.Time
		want  bool
	}{{noon.Add(time.Hour), true}, {noon.Add(47 * time.Hour), true}, {noon.Add(48 * time.Hour), false}} {
		if got := read(p, func(s *control.State) bool { return s.Spent(spendKey(1), tt.until) }); got != tt.want {
			t.Errorf("a proof to be remembered until %s: spent %v, want %v", tt.until, got, tt.want)
		}
	}
}

func TestASeedIsControlInOrderBeforeAnythingElse(t *testing.T) {
	h := trusted().control("connection/ci", "system:keys", connection.KeysChanged{}).activity(token.WasDenied{})
	for _, tt := range []struct {
		name string
		do   func(p *control.Projection) error
	}{
		{"activity is no seed", func(p *control.Projection) error { return p.Seed(h.commits) }},
		{"a commit is seeded once", func(p *control.Projection) error { return errors.Join(p.Seed(h.controls()), p.Seed(h.controls()[2:])) }},
		{"control is no activity", func(p *control.Projection) error { return p.SeedActivity(h.controls()) }},
		{"activity is seeded once", func(p *control.Projection) error {
			return errors.Join(p.Seed(h.controls()), p.SeedActivity(h.commits[3:]), p.SeedActivity(h.commits[3:]))
		}},
		{"no activity is seeded once it follows", func(p *control.Projection) error {
			_ = p.Apply(h.commits[:1])
			return p.SeedActivity(h.commits[3:])
		}},
		{"nothing is seeded once it follows", func(p *control.Projection) error {
			_ = p.Apply(h.commits[:1])
			return p.Seed(h.commits[1:2])
		}},
		{"the start is settled once it follows", func(p *control.Projection) error {
			_ = p.Apply(h.commits[:1])
			return p.StartAfter(2, time.Time{})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.do(control.New()); err == nil {
				t.Error("it was taken")
			}
		})
	}
}

func TestWhoWaitsIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := control.New()
		done := make(chan uint64, 5)
		wait := func(ctx context.Context, seq uint64) chan error {
			err := make(chan error, 1)
			go func() {
				err <- p.Wait(ctx, seq)
				done <- seq
			}()
			synctest.Wait() // until it waits, or is back
			return err
		}
		first, second := wait(t.Context(), 1), wait(t.Context(), 2)
		for i, c := range trusted().commits {
			if err := p.Apply([]domain.Commit{c}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if len(done) != 1 || <-done != uint64(i+1) {
				t.Errorf("at %d somebody else was woken", i+1)
			}
		}
		if err := errors.Join(<-first, <-second); err != nil {
			t.Error(err)
		}
		if err := <-wait(t.Context(), 2); err != nil {
			t.Errorf("what is there already is waited for in vain: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := wait(ctx, 3)
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's end", err)
		}
		stopped := wait(t.Context(), 3)
		cause := p.Apply([]domain.Commit{{Sequence: 9}})
		if err := <-stopped; !errors.Is(err, cause) || cause == nil {
			t.Errorf("got %v, want %v", err, cause)
		}
	})
}

func TestSpentProofsAreForgottenByTheTimeOfEvents(t *testing.T) {
	until := noon.Add(10 * time.Minute)
	for _, tt := range []struct {
		name  string
		after time.Duration
		want  bool
	}{
		{"at once", 0, true},
		{"until it is over", 10 * time.Minute, true},
		{"and for a slower clock's sake some more", 15 * time.Minute, true},
		{"but not for ever", 17 * time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := begin().activity(spent(spendKey(1), until)).after(tt.after).activity(token.WasDenied{})
			if got := read(folded(t, h), func(s *control.State) bool { return s.Spent(spendKey(1), late) }); got != tt.want {
				t.Errorf("spent is %v, want %v", got, tt.want)
			}
		})
	}
	p := folded(t, begin().activity(spent(spendKey(1), until)).activity(spent(spendKey(1), until.Add(time.Hour))).after(17*time.Minute).activity(token.WasDenied{}))
	if !read(p, func(s *control.State) bool { return s.Spent(spendKey(1), late) }) {
		t.Error("a proof spent again until later was forgotten early")
	}
	if !read(p, func(s *control.State) bool { return s.Spent("not a key", late) }) {
		t.Error("what is no spend key counts as unspent")
	}
}

// A clock that was ahead, of a replica or of this machine, makes every proof
// that was spent before forgotten. Put back, it must not take one of them again.
func TestAProofThatWouldBeForgottenCountsAsSpent(t *testing.T) {
	until := noon.Add(10 * time.Minute)
	p := folded(t, begin().activity(spent(spendKey(1), until)).after(time.Hour).activity(token.WasDenied{}))
	for _, tt := range []struct {
		name  string
		key   string
		until time.Time
		want  bool
	}{
		{"one that was spent", spendKey(1), until, true},
		{"one that may have been", spendKey(2), until, true},
		{"one that lives on behind the clock", spendKey(3), noon.Add(2 * time.Hour), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := read(p, func(s *control.State) bool { return s.Spent(tt.key, tt.until) }); got != tt.want {
				t.Errorf("spent is %v, want %v", got, tt.want)
			}
		})
	}
}

func TestIdempotencyKeysAreKnownForADay(t *testing.T) {
	h := trusted().under("k", "r").after(24*time.Hour).
		control("connection/ci", "security", connection.WasDeactivated{})
	lookup := func(p *control.Projection, now time.Time) (r control.Remembered, ok bool) {
		p.Read(func(s *control.State, _ domain.Head) { r, ok = s.Idempotent("k", now) })
		return r, ok
	}
	p := folded(t, h)
	want := control.Remembered{Request: "r", Position: domain.Position{Sequence: 2}, Subject: "connection/ci", At: noon}
	if got, ok := lookup(p, noon.Add(24*time.Hour-1)); !ok || got != want {
		t.Errorf("got %+v, %v, want %+v", got, ok, want)
	}
	if _, ok := lookup(p, noon.Add(24*time.Hour)); ok {
		t.Error("it is known after a day")
	}
	again := trusted().under("k", "r").after(24*time.Hour).
		control("connection/ci", "security", connection.WasDeactivated{}).under("k", "r2")
	if got, ok := lookup(folded(t, again), again.now.Add(time.Hour)); !ok || got.Request != "r2" || got.Position.Sequence != 3 {
		t.Errorf("a key used again after a day is %+v, %v", got, ok)
	}
	again.after(time.Second).control("connection/ci", "security", connection.WasActivated{Version: 1})
	if got, ok := lookup(folded(t, again), again.now); !ok || got.Request != "r2" {
		t.Errorf("when its first use was forgotten, its second is %+v, %v", got, ok)
	}
	two := begin().add(true, "host", domain.Fact{Subject: "connection/a", Event: connection.WasDrafted{Spec: spec("x")}},
		domain.Fact{Subject: "connection/b", Event: connection.WasDrafted{Spec: spec("x")}}).under("k", "r")
	if got, _ := lookup(folded(t, two), noon); got.Subject != "connection/a" || got.Position.Index != 1 {
		t.Errorf("of a commit of two it is %+v, want the first's subject and the last's position", got)
	}
	p = folded(t, h.after(1).control("connection/ci", "security", connection.WasActivated{Version: 1}))
	if _, ok := lookup(p, noon); ok {
		t.Error("it was not forgotten")
	}
}

func TestConnectionsByIssuer(t *testing.T) {
	const iss = "https://idp.example"
	twice := func(s connection.Spec) connection.Spec { s.Conditions[0].Claim = "/iss"; return s }
	prefix := func(s connection.Spec) connection.Spec { s.Conditions[0].Operator = claim.StartsWith; return s }
	h := begin()
	for name, s := range map[string]connection.Spec{
		"b-active": spec(iss), "a-pointer": twice(spec(iss)), "prefix": prefix(spec(iss)), "other": spec(iss + "/"), "z-gone": spec(iss), "draft": spec(iss),
	} {
		h.control("connection/"+name, "devops", connection.WasDrafted{Spec: s})
		if name != "draft" {
			h.control("connection/"+name, "security", connection.WasActivated{Version: 1})
		}
	}
	h.control("connection/z-gone", "security", connection.WasDeactivated{})
	moved := spec("https://elsewhere.example")
	h.control("connection/b-active", "security", connection.WasEdited{Version: 2, Spec: moved, Pending: true})
	find := func(p *control.Projection, iss string) string {
		return read(p, func(s *control.State) string {
			var out []string
			for _, c := range s.ConnectionsByIssuer(iss) {
				out = append(out, c.Name.String())
			}
			return strings.Join(out, " ")
		})
	}
	p := folded(t, h)
	if got, want := find(p, iss), "a-pointer b-active"; got != want {
		t.Errorf("candidates are %q, want %q: active ones that pin it, by name, pending versions aside", got, want)
	}
	p = folded(t, h.control("connection/b-active", "security2", connection.WasActivated{Version: 2}))
	if got := find(p, iss) + "|" + find(p, "https://elsewhere.example"); got != "a-pointer|b-active" {
		t.Errorf("after the pending version was activated they are %q", got)
	}
}

func TestDeletedConnectionsAreNotListed(t *testing.T) {
	h := trusted().control("connection/b", "devops", connection.WasDrafted{Spec: spec("x")}).
		control("connection/a", "devops", connection.WasDrafted{Spec: spec("x")}).control("connection/b", "devops", connection.WasDeleted{})
	names := read(folded(t, h), func(s *control.State) (out []string) {
		for _, c := range s.Connections() {
			out = append(out, c.Name.String())
		}
		return out
	})
	if diff := cmp.Diff([]string{"a", "ci"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := status(folded(t, h), "b"); got != connection.Deleted {
		t.Errorf("b is %q, want deleted", got)
	}
}

func TestWhatWasReadStaysWhatItWas(t *testing.T) {
	h := trusted().control("person/devops", "system:host", person.WasAdded{Name: "devops", Roles: []domain.Role{domain.DevOpsAdmin}})
	p := folded(t, h)
	var c connection.State
	var list []connection.State
	var people person.State
	p.Read(func(s *control.State, _ domain.Head) {
		c, list, people = s.Connection("ci"), s.ConnectionsByIssuer("https://idp.example"), s.People()
	})
	before, _ := json.Marshal([]any{c, list, people.People()})
	h.control("connection/ci", "security", connection.WasEdited{Version: 2, Spec: spec("https://b.example"), Pending: true}).
		control("connection/ci", "security2", connection.WasActivated{Version: 2}).
		control("person/devops", "owner", person.RoleWasGranted{Name: "devops", Role: domain.Owner}).
		control("person/eve", "owner", person.WasAdded{Name: "eve", Roles: []domain.Role{domain.Owner}})
	if err := p.Apply(h.commits); err != nil {
		t.Fatal(err)
	}
	if after, _ := json.Marshal([]any{c, list, people.People()}); string(after) != string(before) {
		t.Errorf("it became\n%s, was\n%s", after, before)
	}
}

func many(n int) []domain.Commit {
	h := begin()
	for i := range n {
		name := fmt.Sprintf("connection/c%d", i)
		h.control(name, "devops", connection.WasDrafted{Spec: spec("https://gitlab.com")})
		h.control(name, "security", connection.WasActivated{Version: 1})
	}
	return h.commits
}

func BenchmarkFold10000Connections(b *testing.B) {
	commits := many(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if err := control.New().Apply(commits); err != nil {
			b.Fatal(err)
		}
	}
}

// A hundred thousand spent proofs take 20 MiB at most, so a million in ten
// minutes stay under 200.
func TestSpentProofsAreSmall(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, p := heap(), control.New()
	h := begin()
	const minutes, each = 10, 10_000
	for m := range minutes {
		h.after(time.Minute)
		h.commits = h.commits[:0]
		for i := range each {
			h.activity(spent(spendKey(m*each+i), h.now.Add(6*time.Minute)))
			h.commits[i].Sequence = uint64(m*each + i + 1)
		}
		if err := p.Apply(h.commits); err != nil {
			t.Fatal(err)
		}
	}
	h.commits = nil
	if !read(p, func(s *control.State) bool { return s.Spent(spendKey(minutes*each-1), late) }) {
		t.Error("the last one is not known")
	}
	if used := int64(heap()) - int64(before); used > 20<<20 {
		t.Errorf("they take %d KiB", used>>10)
	}
	runtime.KeepAlive(p)
}

func BenchmarkFoldAMillionSpentProofs(b *testing.B) {
	h := begin()
	for i := range 1_000_000 {
		h.activity(spent(spendKey(i), noon.Add(10*time.Minute)))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if err := control.New().Apply(h.commits); err != nil {
			b.Fatal(err)
		}
	}
}
