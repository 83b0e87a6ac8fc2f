package connection_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
)

func TestObserveKeys(t *testing.T) {
	const source = "https://ci.example/jwks"
	keys := func(text string) json.RawMessage { return json.RawMessage(`{"keys":["` + text + `"]}`) }
	draft := happened{dana, connection.WasDrafted{Spec: spec(t)}}
	active := happened{sven, connection.WasActivated{Version: 1}}
	pending := happened{sven, connection.WasEdited{Version: 2, Spec: spec(t, described("two")), Pending: true}}
	seen := func(age time.Duration) happened {
		return happened{sven, connection.KeysChanged{Version: 1, Keys: keys("1"), KeyIDs: []string{"a", "b"}, At: noon.Add(-age), SourceURL: source}}
	}
	observed := connection.ObserveKeys{Version: 1, Keys: keys("1"), KeyIDs: []string{"a", "b"}, SourceURL: source}
	with := func(change func(*connection.ObserveKeys)) connection.ObserveKeys { c := observed; change(&c); return c }
	recorded := connection.KeysChanged{Version: 1, Keys: keys("1"), KeyIDs: []string{"a", "b"}, At: noon, SourceURL: source}
	and := func(change func(*connection.KeysChanged)) []connection.Event {
		e := recorded
		change(&e)
		return []connection.Event{e}
	}

	for _, tt := range []struct {
		name  string
		given []happened
		when  connection.ObserveKeys
		then  []connection.Event
	}{
		{"the first set", []happened{draft, active}, observed, and(func(e *connection.KeysChanged) { e.Added = []string{"a", "b"} })},
		{"a draft, whose writer alone chose its server", []happened{draft}, observed, nil},
		{"the same set within the hour", []happened{draft, active, seen(59 * time.Minute)}, observed, nil},
		{"the same set after an hour", []happened{draft, active, seen(time.Hour)}, observed, and(func(*connection.KeysChanged) {})},
		{"a rotated key", []happened{draft, active, seen(time.Minute)}, with(func(c *connection.ObserveKeys) { c.Keys, c.KeyIDs = keys("2"), []string{"b", "c"} }),
			and(func(e *connection.KeysChanged) {
				e.Keys, e.KeyIDs, e.Added, e.Removed = keys("2"), []string{"b", "c"}, []string{"c"}, []string{"a"}
			})},
		{"another key under the same id", []happened{draft, active, seen(time.Minute)}, with(func(c *connection.ObserveKeys) { c.Keys = keys("3") }),
			and(func(e *connection.KeysChanged) { e.Keys = keys("3") })},
		{"another address", []happened{draft, active, seen(time.Minute)}, with(func(c *connection.ObserveKeys) { c.SourceURL = "https://ci.example/2" }),
			and(func(e *connection.KeysChanged) { e.SourceURL = "https://ci.example/2" })},
		{"when it was fetched is kept", []happened{draft, active}, with(func(c *connection.ObserveKeys) { c.At = noon.Add(-time.Second) }),
			and(func(e *connection.KeysChanged) { e.Added, e.At = []string{"a", "b"}, noon.Add(-time.Second) })},
		{"a set fetched before the one that is known", []happened{draft, active, seen(0)}, with(func(c *connection.ObserveKeys) { c.At, c.Keys = noon.Add(-time.Hour), keys("0") }), nil},
		{"a version that is only pending", []happened{draft, active, pending}, with(func(c *connection.ObserveKeys) { c.Version = 2 }), nil},
		{"the version that decides while another is pending", []happened{draft, active, pending}, observed, and(func(e *connection.KeysChanged) { e.Added = []string{"a", "b"} })},
		{"the version that decided, of an inactive connection", []happened{draft, active, {sven, connection.WasDeactivated{}}, pending}, observed, and(func(e *connection.KeysChanged) { e.Added = []string{"a", "b"} })},
		{"a version that never was", []happened{draft, active}, with(func(c *connection.ObserveKeys) { c.Version = 7 }), nil},
		{"a connection that never was", nil, with(func(c *connection.ObserveKeys) { c.Version = 0 }), nil},
		{"a deleted connection", []happened{draft, {sven, connection.WasDeleted{}}}, observed, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decide(state(tt.given...), nobody, tt.when)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.then, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What the log gives back is compact, and writes < as \\u003c.
func TestTheSameKeysAreTheSameAfterTheLog(t *testing.T) {
	s := state(happened{dana, connection.WasDrafted{Spec: spec(t)}}, happened{sven, connection.WasActivated{Version: 1}})
	c := connection.ObserveKeys{Version: 1, Keys: json.RawMessage(`{ "keys": [ {"kid": "<a>"} ] }`), KeyIDs: []string{"<a>"}}
	events, err := decide(s, nobody, c)
	if err != nil || len(events) != 1 {
		t.Fatalf("got %v, %v", events, err)
	}
	b, err := json.Marshal(events[0])
	if err != nil {
		t.Fatal(err)
	}
	var stored connection.KeysChanged
	if err := json.Unmarshal(b, &stored); err != nil {
		t.Fatal(err)
	}
	s = connection.Evolve(s, domain.Envelope{Event: stored})
	if again, err := decide(s, nobody, c); err != nil || again != nil {
		t.Errorf("got %+v, %v; want nothing to record", again, err)
	}
}

func TestKeysStayWithTheirSource(t *testing.T) {
	elsewhere := func(s *connection.Spec) { s.JWKSURL = "https://ci.example/other" }
	draft := happened{dana, connection.WasDrafted{Spec: spec(t)}}
	keys := happened{sven, connection.KeysChanged{Version: 1, KeyIDs: []string{"a"}, At: noon}}
	active := happened{sven, connection.WasActivated{Version: 1}}
	for _, tt := range []struct {
		name  string
		given []happened
		want  uint64 // version of the keys; 0 is none
	}{
		{"an activated draft keeps them", []happened{draft, keys, active}, 1},
		{"a draft with another description keeps them", []happened{draft, keys, {dana, connection.WasEdited{Version: 2, Spec: spec(t, described("x"))}}}, 2},
		{"a draft with another source loses them", []happened{draft, keys, {dana, connection.WasEdited{Version: 2, Spec: spec(t, elsewhere)}}}, 0},
		{"a pending version leaves them", []happened{draft, active, keys, {sven, connection.WasEdited{Version: 2, Spec: spec(t, elsewhere), Pending: true}}}, 1},
		{"an activated version with another source loses them", []happened{draft, active, keys, {sven, connection.WasEdited{Version: 2, Spec: spec(t, elsewhere), Pending: true}}, {sara, connection.WasActivated{Version: 2}}}, 0},
		{"an activated version of the same source keeps them", []happened{draft, active, keys, {sven, connection.WasEdited{Version: 2, Spec: spec(t, described("x")), Pending: true}}, {sara, connection.WasActivated{Version: 2}}}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := state(tt.given...)
			got := uint64(0)
			if s.Keys != nil {
				got = s.Keys.Version
			}
			if got != tt.want {
				t.Errorf("got keys of version %d, want %d", got, tt.want)
			}
		})
	}
}

func TestKeysFitAnEvent(t *testing.T) {
	ids := func(prefix string, n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("%s%03d%s", prefix, i, strings.Repeat("<", 300)))
		}
		return out
	}
	keys := func(n int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", n-2) + `"`) }
	const source = "https://ci.example/jwks?"
	for _, tt := range []struct {
		name     string
		was      []string // ids before, as recorded
		observed connection.ObserveKeys
		keys     bool // are recorded
		changes  int  // ids added and removed
		url      int  // bytes of the address
	}{
		{"an ordinary set", ids("old", 2), connection.ObserveKeys{KeyIDs: ids("new", 3), Keys: keys(2000), SourceURL: source}, true, 5, len(source)},
		{"keys above 20 KiB", nil, connection.ObserveKeys{KeyIDs: ids("new", 3), Keys: keys(20<<10 + 1), SourceURL: source}, false, 3, len(source)},
		{"as many ids as are kept", nil, connection.ObserveKeys{KeyIDs: ids("new", 200), Keys: keys(2000), SourceURL: source}, true, 100, len(source)},
		{"everything at its bound, in an address of ampersands",
			ids("old", 100), connection.ObserveKeys{KeyIDs: ids("new", 100), Keys: keys(20 << 10), SourceURL: source + strings.Repeat("&", 2048-len(source))}, false, 200, 2048},
		{"an address longer than any that is fetched", nil, connection.ObserveKeys{KeyIDs: ids("new", 1), SourceURL: source + strings.Repeat("é", 50_000)}, false, 1, 2048},
		{"more ids before than are kept now", ids("old", 1000), connection.ObserveKeys{KeyIDs: ids("new", 100), Keys: keys(2000), SourceURL: source}, false, 0, len(source)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := state(happened{dana, connection.WasDrafted{Spec: spec(t)}}, happened{sven, connection.WasActivated{Version: 1}})
			s.Keys = &connection.KeySet{At: noon.Add(-time.Hour)}
			for _, id := range tt.was {
				s.Keys.KeyIDs = append(s.Keys.KeyIDs, strings.ReplaceAll(id, "<", "_")[:64])
			}
			tt.observed.Version = 1
			events, err := decide(s, nobody, tt.observed)
			if err != nil || len(events) != 1 {
				t.Fatalf("got %v, %v", events, err)
			}
			b, err := json.Marshal(events[0])
			if err != nil || len(b) > domain.MaxEventBytes-2048 {
				t.Errorf("got %d bytes, %v", len(b), err)
			}
			e := events[0].(connection.KeysChanged)
			if n := len(e.Added) + len(e.Removed); (e.Keys != nil) != tt.keys || n != tt.changes || len(e.SourceURL) != tt.url || len(e.KeyIDs) != min(len(tt.observed.KeyIDs), 100) {
				t.Errorf("got %d bytes of keys, %d ids, %d changes, %d bytes of address", len(e.Keys), len(e.KeyIDs), n, len(e.SourceURL))
			}
		})
	}
}
