package key_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/key"
)

var (
	noon     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	system   = domain.System("keys")
	security = domain.Actor{ID: "security", Roles: []domain.Role{domain.SecurityAdmin}}
	owner    = domain.Actor{ID: "owner", Roles: []domain.Role{domain.Owner}}
	devops   = domain.Actor{ID: "devops", Roles: []domain.Role{domain.DevOpsAdmin, domain.ResourceAdmin, domain.Auditor}}
)

func jwk(a key.Algorithm, kid string) json.RawMessage {
	if a == key.RS256 {
		return json.RawMessage(fmt.Sprintf(`{"kty":"RSA","kid":%q,"use":"sig","alg":"RS256","n":"AQ","e":"AQAB"}`, kid))
	}
	return json.RawMessage(fmt.Sprintf(`{"kty":"EC","kid":%q,"use":"sig","alg":"ES256","crv":"P-256","x":"AQ","y":"AQ"}`, kid))
}

func create(a key.Algorithm, kid string, st key.Status) key.Create {
	return key.Create{Algorithm: a, KeyID: kid, PublicJWK: jwk(a, kid), Status: st}
}

func rotate(a key.Algorithm, kid string) key.Rotate {
	return key.Rotate{Algorithm: a, KeyID: kid, PublicJWK: jwk(a, kid)}
}

// do decides and folds; what is decided must fold.
func do(t testing.TB, s key.State, c key.Command, by domain.Actor, at time.Time) (key.State, []domain.Fact, error) {
	t.Helper()
	fs, err := key.Decide(s, c, domain.Meta{Actor: by, Now: at})
	for _, f := range fs {
		var foldErr error
		if s, foldErr = key.Evolve(s, domain.Envelope{Type: f.Event.EventType(), Time: at, Actor: by.ID, Event: f.Event}); foldErr != nil {
			t.Fatalf("what was decided does not fold: %v", foldErr)
		}
	}
	return s, fs, err
}

// begun is an organisation with an active and a next key of each algorithm.
func begun(t testing.TB) key.State {
	t.Helper()
	var s key.State
	for _, c := range []key.Create{
		create(key.RS256, "r1", key.Active), create(key.RS256, "r2", key.Next),
		create(key.ES256, "e1", key.Active), create(key.ES256, "e2", key.Next),
	} {
		var err error
		if s, _, err = do(t, s, c, system, noon); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func types(fs []domain.Fact) string {
	var out []string
	for _, f := range fs {
		out = append(out, f.Subject+" "+strings.TrimPrefix(f.Event.EventType(), "signing_key."))
	}
	return strings.Join(out, ", ")
}

func TestCommands(t *testing.T) {
	later := noon.Add(key.CacheTime)
	private := json.RawMessage(`{"kty":"EC","kid":"e3","alg":"ES256","crv":"P-256","x":"AQ","y":"AQ","d":"AQ"}`)
	for _, tt := range []struct {
		name string
		by   domain.Actor
		at   time.Time
		when key.Command
		want string
		err  error
	}{
		{"a security admin rotates: the old retires, the next signs, a new next is published", security, later,
			rotate(key.ES256, "e3"), "signing_key/e1 retired, signing_key/e2 activated, signing_key/e3 created", nil},
		{"an owner rotates", owner, later, rotate(key.RS256, "r3"), "signing_key/r1 retired, signing_key/r2 activated, signing_key/r3 created", nil},
		{"the host rotates", domain.System("host"), later, rotate(key.RS256, "r3"), "signing_key/r1 retired, signing_key/r2 activated, signing_key/r3 created", nil},
		{"nobody else rotates", devops, later, rotate(key.ES256, "e3"), "", key.ErrRole},
		{"a workload does not rotate", domain.Actor{ID: "workload://default/ci/system:keys"}, later, rotate(key.ES256, "e3"), "", key.ErrRole},
		{"a next key that verifiers may not know yet does not sign", security, later.Add(-time.Nanosecond), rotate(key.ES256, "e3"), "", key.ErrTooYoung},
		{"the same rotation again is nothing", security, later, rotate(key.ES256, "e2"), "", nil},
		{"a kid of the other algorithm is refused", security, later, rotate(key.ES256, "r2"), "", key.ErrTaken},
		{"a private key is refused", security, later, key.Rotate{Algorithm: key.ES256, KeyID: "e3", PublicJWK: private}, "", key.ErrMalformed},
		{"a JWK of another algorithm is refused", security, later, key.Rotate{Algorithm: key.RS256, KeyID: "e3", PublicJWK: jwk(key.ES256, "e3")}, "", key.ErrMalformed},
		{"an RSA key that says ES256 is refused", security, later, key.Rotate{Algorithm: key.ES256, KeyID: "e3",
			PublicJWK: json.RawMessage(`{"kty":"RSA","kid":"e3","alg":"ES256","n":"AQ","e":"AQAB"}`)}, "", key.ErrMalformed},
		{"a JWK with another kid is refused", security, later, key.Rotate{Algorithm: key.ES256, KeyID: "e3", PublicJWK: jwk(key.ES256, "e4")}, "", key.ErrMalformed},
		{"an encryption key is refused", security, later, key.Rotate{Algorithm: key.ES256, KeyID: "e3",
			PublicJWK: json.RawMessage(`{"kty":"EC","kid":"e3","use":"enc","alg":"ES256","crv":"P-256","x":"AQ","y":"AQ"}`)}, "", key.ErrMalformed},
		{"text after the JWK is refused", security, later, key.Rotate{Algorithm: key.ES256, KeyID: "e3", PublicJWK: append(jwk(key.ES256, "e3"), "{}"...)}, "", key.ErrMalformed},
		{"no algorithm is no key", security, later, key.Rotate{KeyID: "e3", PublicJWK: jwk(key.ES256, "e3")}, "", key.ErrMalformed},
		{"a key that is there is not created again", system, later, create(key.ES256, "e1", key.Active), "", nil},
		{"a second active key is refused", system, later, create(key.ES256, "e9", key.Active), "", key.ErrTaken},
		{"a second next key is refused", system, later, create(key.ES256, "e9", key.Next), "", key.ErrTaken},
		{"a key is not created retired", system, later, create(key.ES256, "e9", key.Retired), "", key.ErrTaken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, fs, err := do(t, begun(t), tt.when, tt.by, tt.at)
			if !errors.Is(err, tt.err) || types(fs) != tt.want {
				t.Errorf("got %q, %v, want %q, %v", types(fs), err, tt.want, tt.err)
			}
		})
	}
}

func TestATooYoungKeySaysFromWhenOn(t *testing.T) {
	_, _, err := do(t, begun(t), rotate(key.ES256, "e3"), security, noon)
	if err == nil || !strings.Contains(err.Error(), "from 2026-11-22T12:05:00Z on") {
		t.Errorf("got %v, want the time from which on it works", err)
	}
}

func TestWithoutANextKeyThereIsNoRotation(t *testing.T) {
	s, _, _ := do(t, key.State{}, create(key.ES256, "e1", key.Active), system, noon)
	if _, _, err := do(t, s, rotate(key.ES256, "e3"), security, noon.Add(time.Hour)); !errors.Is(err, key.ErrNoNext) {
		t.Errorf("got %v, want %v", err, key.ErrNoNext)
	}
}

func kids(ks []key.Key) string {
	var out []string
	for _, k := range ks {
		out = append(out, k.KeyID)
	}
	return strings.Join(out, " ")
}

func TestTheKeySetIsOrderedAndKeepsRetiredKeysAsLongAsTheirTokens(t *testing.T) {
	first := noon.Add(key.CacheTime)
	second := first.Add(key.CacheTime)
	s, _, err1 := do(t, begun(t), rotate(key.ES256, "e3"), security, first)
	s, _, err2 := do(t, s, rotate(key.ES256, "e4"), security, second)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{second, "r1 r2 e3 e4 e2 e1"},
		{first.Add(key.Overlap - 1), "r1 r2 e3 e4 e2 e1"},
		{first.Add(key.Overlap), "r1 r2 e3 e4 e2"},
		{second.Add(key.Overlap), "r1 r2 e3 e4"},
	} {
		if got := kids(s.Published(tt.at)); got != tt.want {
			t.Errorf("at %v published %q, want %q", tt.at, got, tt.want)
		}
		if _, ok := s.Find("e1", tt.at); ok != strings.Contains(tt.want, "e1") {
			t.Errorf("at %v found e1: %v", tt.at, ok)
		}
	}
	if k, _ := s.Active(key.ES256); k.KeyID != "e3" {
		t.Errorf("%s signs, want e3", k.KeyID)
	}
}

func TestAnImpossibleEventDoesNotFold(t *testing.T) {
	for _, e := range []domain.Event{
		key.WasActivated{KeyID: "nobody"}, key.WasActivated{KeyID: "e1"}, key.WasActivated{KeyID: "e2"}, // beside e1
		key.WasRetired{KeyID: "nobody"}, key.WasRetired{KeyID: "e2"},
		key.WasCreated{KeyID: "e1", Algorithm: key.ES256, Status: key.Next}, key.WasCreated{KeyID: "e9", Algorithm: key.ES256, Status: "half"},
		nil,
	} {
		if _, err := key.Evolve(begun(t), domain.Envelope{Type: "signing_key.x", Event: e}); err == nil {
			t.Errorf("%#v folded", e)
		}
	}
}

// A verifier fetches the key set when it likes and keeps it for CacheTime. No
// token that is alive for its clock may be signed by a key it does not have.
func TestNoVerifierThatHonoursItsCacheMeetsAnUnknownKey(t *testing.T) {
	type signed struct {
		kid string
		at  time.Time
	}
	type fetched struct {
		kids string
		at   time.Time
	}
	rapid.Check(t, func(rt *rapid.T) {
		s, now := begun(t), noon
		var tokens []signed
		var caches []fetched
		sign := func() {
			k, ok := s.Active(key.ES256)
			if !ok {
				rt.Fatal("nothing signs")
			}
			tokens = append(tokens, signed{k.KeyID, now})
			caches = append(caches, fetched{" " + kids(s.Published(now)) + " ", now})
		}
		for n := range rapid.IntRange(5, 40).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 900).Draw(rt, "seconds")) * time.Second)
			sign() // at the last moment before, and the first after
			s, _, _ = do(t, s, rotate(key.ES256, fmt.Sprintf("n%d", n)), system, now)
			sign()
		}
		for _, tk := range tokens {
			last := tk.at.Add(key.MaxTokenTTL + key.Skew - 1)
			if _, ok := s.Find(tk.kid, last); !ok {
				rt.Fatalf("%s signed at %v and is gone at %v", tk.kid, tk.at, last)
			}
			for _, c := range caches {
				if !tk.at.Before(c.at) && tk.at.Before(c.at.Add(key.CacheTime)) && !strings.Contains(c.kids, " "+tk.kid+" ") {
					// a rotation in the very moment of the fetch may come after it
					if !tk.at.Equal(c.at) {
						rt.Fatalf("the key set of %v lacks %s, which signed at %v", c.at, tk.kid, tk.at)
					}
				}
			}
		}
	})
}
