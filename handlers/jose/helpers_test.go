package jose

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain/proof"
)

// noon is when every test happens that does not say otherwise: the corpus's clock.
var noon = time.Unix(1767225600, 0).UTC()

// refused is a KeyFinder without keys.
type refused struct{ err error }

func (r refused) Find(context.Context, string) (Found, error) { return Found{}, r.err }

// counted is a KeyFinder that knows how often it was asked.
type counted struct {
	KeyFinder
	asked atomic.Int32
}

func (c *counted) Find(ctx context.Context, kid string) (Found, error) {
	c.asked.Add(1)
	return c.KeyFinder.Find(ctx, kid)
}

// hostKey is one of the corpus's keys: rsa_r1, rsa_attacker, ec_e1, ec_e3, ec_e5 or ed25519_d1.
func hostKey(t testing.TB, name string) *HostKey {
	t.Helper()
	k, err := ParseHostKey([]byte(readAttacks(t).PrivateKeys[name]))
	if err != nil {
		t.Fatal(err)
	}
	_, k.KeyID, _ = strings.Cut(name, "_")
	return k
}

// with is a JSON object of members, some replaced and, where the value is nil, left out.
func with(t testing.TB, base map[string]any, changes map[string]any) string {
	t.Helper()
	m := map[string]any{}
	for _, from := range []map[string]any{base, changes} {
		for k, v := range from {
			if m[k] = v; v == nil {
				delete(m, k)
			}
		}
	}
	b, err := encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// claims are those of a good proof, changed; a json.RawMessage is taken as it is.
func claims(t testing.TB, changes map[string]any) string {
	t.Helper()
	return with(t, map[string]any{
		"iss": "https://issuer.example", "aud": "sallyport", "sub": "repo:acme/api", "jti": "a-1",
		"iat": noon.Unix(), "exp": noon.Unix() + 300,
	}, changes)
}

// header is that of a proof signed by k, changed.
func header(t testing.TB, k *HostKey, changes map[string]any) string {
	t.Helper()
	return with(t, map[string]any{"alg": k.Algorithm, "kid": k.KeyID, "typ": "JWT"}, changes)
}

// forge signs whatever header and claims say, as alg would.
func forge(t testing.TB, k *HostKey, alg, header, claims string) string {
	t.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(claims))
	sig, err := algorithms[alg].sign(input, k.private)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(sig)
}

// setOf is a key set of public keys as their providers would publish them:
// without alg and use.
func setOf(t testing.TB, keys ...*HostKey) *KeySet {
	t.Helper()
	set, err := ParseKeySet(documentOf(keys...))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func documentOf(keys ...*HostKey) json.RawMessage {
	var all []json.RawMessage
	for _, k := range keys {
		public := k.key
		public.ID, public.Algorithm, public.Use = k.KeyID, "", ""
		all = append(all, public.JWK())
	}
	return JWKS(all...)
}

// reasons are the reasons of every failed check of a proof.
func reasons(t testing.TB, token string, rules Rules, src KeyFinder, now time.Time) (all []string, checks []proof.Check) {
	t.Helper()
	_, r := examine(t.Context(), token, rules, src, now)
	for _, o := range r.all() {
		for _, f := range o.failed {
			all = append(all, f.Reason)
		}
	}
	return all, r.checks()
}

// wantReasons compares, in order.
func wantReasons(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got reasons %v, want %v", got, want)
	}
}

var everyAlgorithm = Rules{Algorithms: slices.Sorted(maps.Keys(algorithms))}

// Static is the KeyFinder of a key set that nobody has to fetch.
func Static(s *KeySet) KeyFinder { return static{s} }

type static struct{ set *KeySet }

func (f static) Find(_ context.Context, kid string) (Found, error) {
	return f.set.found(kid, time.Time{}, false), nil
}
