package control_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/events"
	"sallyport.dev/domain/key"
	"sallyport.dev/domain/organisation"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/token"
	"sallyport.dev/projections/control"
)

// everything is all that can be seen of a projection.
type everything struct {
	Head         domain.Head
	Connections  []connection.State
	ByIssuer     map[string][]connection.State
	Organisation organisation.State
	Keys         []key.Key
	People       []person.Person
	Tokens       []person.Token
	Spent        map[string]bool
	Once         map[string]control.Remembered
}

var issuers = []string{"https://a.example", "https://b.example"}

func see(p *control.Projection) (e everything) {
	p.Read(func(s *control.State, h domain.Head) {
		people := s.People()
		e = everything{
			Head: h, Connections: s.Connections(), ByIssuer: map[string][]connection.State{}, Organisation: s.Organisation(),
			Keys: s.Keys().All(), People: people.People(), Tokens: people.Tokens(),
			Spent: map[string]bool{}, Once: map[string]control.Remembered{},
		}
		for _, iss := range issuers {
			e.ByIssuer[iss] = s.ConnectionsByIssuer(iss)
		}
		for _, n := range names {
			e.Connections = append(e.Connections, s.Connection(n)) // deleted ones too
		}
		for i := range 40 {
			e.Spent[spendKey(i)] = s.Spent(spendKey(i), late)
			k := fmt.Sprint("key ", i)
			if r, ok := s.Idempotent(k, noon); ok {
				e.Once[k] = r
			}
		}
	})
	return e
}

var names = []domain.Name{"a", "b"}

// drawn is a history of commands that were decided on the state as it stood,
// between activity of all kinds.
func drawn(rt *rapid.T, t testing.TB) *history {
	h, p := begin(), control.New()
	for i := range rapid.IntRange(1, 100).Draw(rt, "commits") {
		h.after(time.Duration(rapid.IntRange(-2, 6*60).Draw(rt, "minutes")) * time.Minute)
		before := len(h.commits)
		if rapid.IntRange(0, 3).Draw(rt, "control") > 0 {
			by := rapid.SampledFrom(actors).Draw(rt, "by")
			if facts := decided(rt, p, by, i, h.now); len(facts) > 0 {
				h.add(true, by.ID, facts...)
				if rapid.Bool().Draw(rt, "once") {
					h.under(fmt.Sprint("key ", rapid.IntRange(0, 39).Draw(rt, "key")), fmt.Sprint(i))
				}
			}
		} else if until := h.now.Add(5 * time.Minute); rapid.Bool().Draw(rt, "single use") {
			h.activity(spent(spendKey(rapid.IntRange(0, 39).Draw(rt, "proof")), until))
		} else if h.activity(token.WasDenied{Connection: "a"}); rapid.Bool().Draw(rt, "once") {
			h.under(fmt.Sprint("key ", rapid.IntRange(0, 39).Draw(rt, "key")), fmt.Sprint(i))
		}
		if err := p.Apply(h.commits[before:]); err != nil {
			t.Fatalf("what was decided does not fold: %v", err)
		}
	}
	return h
}

// Two people with every role, since the rules of roles are not what is tested
// here, and the host.
var actors = []domain.Actor{{ID: "one", Roles: domain.Roles()}, {ID: "two", Roles: domain.Roles()}, domain.System("host")}

// decided is what follows from a command drawn for the state as it stands;
// most that are refused are refused for a good reason, and leave nothing.
func decided(rt *rapid.T, p *control.Projection, by domain.Actor, i int, now time.Time) (facts []domain.Fact) {
	m := domain.Meta{Actor: by, Now: now}
	name := rapid.SampledFrom(names).Draw(rt, "name")
	role := rapid.SampledFrom(domain.Roles()).Draw(rt, "role")
	s := spec(rapid.SampledFrom(issuers).Draw(rt, "iss"))
	kid := fmt.Sprint("kid-", i)
	jwk := json.RawMessage(fmt.Sprintf(`{"kty":"EC","kid":%q,"alg":"ES256","crv":"P-256","x":"AQ","y":"AQ"}`, kid))
	acknowledge := []string{"audience.not_pinned", "tenant.not_pinned", "prefix.open", "exists.alone"}
	p.Read(func(st *control.State, _ domain.Head) {
		c := st.Connection(name)
		connected := func(cmd connection.Command) { facts, _ = connection.Decide(c, cmd, m) }
		switch rapid.IntRange(0, 11).Draw(rt, "command") {
		case 0, 1:
			connected(connection.Draft{Name: name, Spec: s, Issuer: "https://sallyport.example/orgs/default"})
		case 2:
			connected(connection.Edit{Version: c.Version, Spec: s, Issuer: "https://sallyport.example/orgs/default"})
		case 3, 4:
			connected(connection.Activate{Version: c.Version, Acknowledge: acknowledge, DualControl: "roles", Issuer: "https://sallyport.example/orgs/default"})
		case 5:
			connected(connection.Deactivate{Version: c.Version, RevokeTokens: i%2 == 0})
		case 6:
			connected(connection.Delete{Version: c.Version})
		case 7:
			connected(connection.ObserveKeys{Version: c.CurrentVersion(), Keys: json.RawMessage(`{"keys":[]}`), KeyIDs: []string{kid}, SourceURL: "https://idp.example/jwks"})
		case 8:
			status := rapid.SampledFrom([]key.Status{key.Active, key.Next}).Draw(rt, "status")
			facts, _ = key.Decide(st.Keys(), key.Create{Algorithm: key.ES256, KeyID: kid, PublicJWK: jwk, Status: status}, m)
		case 9:
			facts, _ = key.Decide(st.Keys(), key.Rotate{Algorithm: key.ES256, KeyID: kid, PublicJWK: jwk}, m)
		case 10:
			facts, _ = person.Decide(st.People(), person.Add{Name: name, Roles: []domain.Role{role}}, m)
			if facts == nil {
				facts, _ = person.Decide(st.People(), person.GrantRole{Name: name, Role: role}, m)
			}
		case 11:
			facts, _ = organisation.Decide(st.Organisation(), organisation.Create{Name: "default", Issuer: "https://sallyport.example/orgs/default"}, m)
		}
	})
	return facts
}

// What is counted and listed beside the connections is what they say.
func TestListsOfConnectionsAreWhatTheConnectionsSay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		folded(t, drawn(rt, t)).Read(func(s *control.State, _ domain.Head) {
			tally := map[connection.Status]int{}
			var waits, wants, warned []domain.Name
			for _, c := range s.Connections() {
				tally[c.Status]++
				if c.Pending != nil || !c.EverActivated {
					waits = append(waits, c.Name)
				}
				if c.Status == connection.Active && len(c.Acknowledged) > 0 {
					warned = append(warned, c.Name)
				}
			}
			for c := range s.ToActivate() {
				wants = append(wants, c.Name)
			}
			for _, status := range []connection.Status{connection.Drafted, connection.Active, connection.Inactive, connection.Deleted, connection.None} {
				if got := s.CountConnections(status); got != tally[status] {
					rt.Errorf("%d connections with status %q are counted, of %d", got, status, tally[status])
				}
			}
			if !slices.Equal(wants, waits) || !slices.Equal(s.WithWarnings(), warned) {
				rt.Errorf("%v wait and %v have warnings; told are %v and %v", waits, warned, wants, s.WithWarnings())
			}
		})
	})
}

// Wherever a history is cut, in whatever pieces it comes, and whether its
// control commits were seeded or not: the state is the same.
func TestTheSameHistoryIsTheSameStateHoweverItComes(t *testing.T) {
	kinds := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		h := drawn(rt, t)
		for _, c := range h.commits {
			for _, e := range c.Events {
				kinds[e.Type]++
			}
		}
		want := see(folded(t, h))
		cut := rapid.IntRange(0, len(h.commits)).Draw(rt, "cut")
		for name, feed := range map[string]func(*control.Projection) error{
			"again": func(p *control.Projection) error { return p.Apply(h.commits) },
			"in two pieces": func(p *control.Projection) error {
				if err := p.Apply(h.commits[:cut]); err != nil {
					return err
				}
				return p.Apply(h.commits[cut:])
			},
			"with an overlap": func(p *control.Projection) error {
				if err := p.Apply(h.commits[:cut]); err != nil {
					return err
				}
				return p.Apply(h.commits[cut/2:])
			},
		} {
			p := control.New()
			if err := feed(p); err != nil {
				rt.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(want, see(p)); diff != "" {
				rt.Fatalf("%s it is another state (-whole +%s):\n%s", name, name, diff)
			}
		}
		seeded(rt, h, want, cut)
	})
	for _, typ := range []string{"connection.activated", "connection.edited", "connection.deactivated", "connection.deleted", "keys.changed", "signing_key.retired", "person.role_granted", "organisation.created"} {
		if kinds[typ] == 0 {
			t.Errorf("no history had %s in it, so nothing is shown of it: %v", typ, kinds)
		}
	}
}

// seeded holds a projection that was seeded up to a cut, of activity with what
// concerns it alone, to the same state, but for when it forgot: activity comes
// late there, and forgetting goes by the latest time.
func seeded(rt *rapid.T, h *history, want everything, cut int) {
	p := control.New()
	before := &history{commits: h.commits[:cut]}
	if err := p.Seed(before.controls()); err != nil {
		rt.Fatal(err)
	}
	for _, c := range before.commits {
		if !c.Control && control.Concerns(stored(rt, c)) {
			if err := p.SeedActivity([]domain.Commit{c}); err != nil {
				rt.Fatal(err)
			}
		}
	}
	if err := p.StartAfter(uint64(cut), time.Time{}); err != nil {
		rt.Fatal(err)
	}
	if err := p.Apply(h.commits); err != nil {
		rt.Fatal(err)
	}
	got := see(p)
	for k, spent := range want.Spent {
		if spent && !got.Spent[k] {
			rt.Fatalf("%s is spent and a seeded state does not know", k)
		}
	}
	for k, r := range want.Once {
		if got.Once[k] != r {
			rt.Fatalf("under %s was %+v, a seeded state has %+v", k, r, got.Once[k])
		}
	}
	got.Spent, want.Spent = nil, nil
	got.Once, want.Once = nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		rt.Fatalf("seeded it is another state (-whole +seeded):\n%s", diff)
	}
}

// stored is a commit as the log keeps it.
func stored(t interface{ Fatal(...any) }, c domain.Commit) []byte {
	catalogue := events.New()
	var elements []json.RawMessage
	for _, e := range c.Events {
		var err error
		if e.Data, err = catalogue.Encode(e.Event); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		elements = append(elements, b)
	}
	body, err := json.Marshal(elements)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestWhatOfTheActivityConcernsTheControlState(t *testing.T) {
	issued := token.WasIssued{Connection: "ci", Identity: `a "spent": b`, Proof: token.Proof{ID: `"type":"x`, Issuer: "https://idp.example"}}
	for _, tt := range []struct {
		name  string
		given *history
		want  bool
	}{
		{"a token does not", begin().activity(issued), false},
		{"nor does a denial", begin().activity(token.WasDenied{Connection: "ci"}), false},
		{"nor denials that were counted", begin().activity(token.DenialsWereSuppressed{Connection: "ci"}), false},
		{"nor a test", begin().activity(connection.WasTested{}), false},
		{"nor an export", begin().activity(organisation.TrailWasExported{}), false},
		{"a proof that was spent does", begin().activity(spent(spendKey(1), noon)), true},
		{"one among others does", begin().add(false, "ci", domain.Fact{Event: issued}, domain.Fact{Event: spent(spendKey(1), noon)}, domain.Fact{Event: issued}), true},
		{"a test under an idempotency key does", begin().activity(connection.WasTested{}).under("k", "r"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := control.Concerns(stored(t, tt.given.commits[0])); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	unheard := bytes.Replace(stored(t, begin().activity(issued).commits[0]), []byte(issued.EventType()), []byte("token.issued.v2"), 1)
	if !control.Concerns(unheard) {
		t.Error("an event of a type that this version does not know is passed over")
	}
}
