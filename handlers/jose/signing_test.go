package jose

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/domain/proof"
)

// vault is a Store in memory.
type vault map[string][]byte

var errGone = errors.New("no such key")

func (v vault) Put(_ context.Context, key string, val []byte) error {
	v[key] = slices.Clone(val)
	return nil
}

func (v vault) Get(_ context.Context, key string) ([]byte, error) {
	b, ok := v[key]
	if !ok {
		return nil, errGone
	}
	return b, nil
}

func (v vault) Delete(_ context.Context, key string) error {
	delete(v, key)
	return nil
}

func newSealer(t testing.TB) *Sealer {
	t.Helper()
	kek, err := NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseKEK(kek)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ring is a keyring with one key of the algorithm, and how introspection finds it.
func ring(t testing.TB, alg string) (k *Keyring, kid string, find func(string) (json.RawMessage, bool)) {
	t.Helper()
	k = NewKeyring(vault{}, newSealer(t), "acme")
	kid, public, err := k.Generate(t.Context(), alg)
	if err != nil {
		t.Fatal(err)
	}
	return k, kid, func(asked string) (json.RawMessage, bool) { return public, asked == kid }
}

func TestADestroyedKeySignsNothingAgain(t *testing.T) {
	store := vault{}
	k := NewKeyring(store, newSealer(t), "acme")
	kid, _, err := k.Generate(t.Context(), "ES256")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Destroy(t.Context(), kid); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sign(kid, "ES256", "at+jwt", map[string]any{}); err == nil || len(store) > 0 {
		t.Errorf("it signed: %v; the store holds %d keys", err, len(store))
	}
	if err := k.Load(t.Context(), kid); !errors.Is(err, errGone) {
		t.Errorf("it was opened again: %v", err)
	}
}

func TestOurTokensVerify(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256"} {
		k, kid, find := ring(t, alg)
		token, err := k.Sign(kid, alg, OwnType, map[string]any{"sub": "workload://acme/ci/a&b", "exp": 1767225900})
		if err != nil {
			t.Fatal(err)
		}
		got, err := VerifyOwn(token, find)
		if err != nil || got["sub"] != "workload://acme/ci/a&b" || got["exp"] != json.Number("1767225900") {
			t.Errorf("%s: got %v, %v", alg, got, err)
		}
		public, _ := find(kid)
		key, err := ParseKey(public)
		if err != nil || key.ID != kid || key.Thumbprint() != kid || key.Algorithm != alg || key.Use != "sig" {
			t.Errorf("%s: got %+v, %v, want a kid that is the thumbprint %s", alg, key, err, kid)
		}
		if _, err := ParseKeySet(JWKS(public)); err != nil {
			t.Errorf("%s: its key set: %v", alg, err)
		}
		// As a proof it is nothing, whoever would vouch for its key.
		set, err := ParseKeySet(JWKS(public))
		if err != nil {
			t.Fatal(err)
		}
		if _, checks := Verify(t.Context(), token, everyAlgorithm, Static(set), noon); proof.Passed(checks) || proof.FirstFailure(checks).Code != "proof.malformed" {
			t.Errorf("%s: our own token as a proof: %v", alg, checks)
		}
	}
}

func TestTokensThatAreNotOursAreRefused(t *testing.T) {
	k, kid, find := ring(t, "ES256")
	_, _, other := ring(t, "ES256")
	token, err := k.Sign(kid, "ES256", OwnType, map[string]any{"sub": "a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyOwn(token, other); err == nil {
		t.Error("a token of another organisation was taken")
	}
	public, _ := find(kid)
	noAlg := func(string) (json.RawMessage, bool) {
		return json.RawMessage(strings.Replace(string(public), `"alg":"ES256",`, "", 1)), true
	}
	impostor := func(string) (json.RawMessage, bool) { return other2(t), true }
	plain, err := k.Sign(kid, "ES256", "JWT", map[string]any{"sub": "a"})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	for _, c := range []struct {
		name, token string
		find        func(string) (json.RawMessage, bool)
	}{
		{"its key is published without alg", token, noAlg},
		{"another key of the same kid", token, impostor},
		{"its typ is JWT", plain, find},
		{"its signature is changed", tamper(token), find},
		{"its claims are changed", parts[0] + "." + b64([]byte(`{"sub":"b"}`)) + "." + parts[2], find},
		{"it is cut", token[:len(token)-1], find},
		{"it is padded", token + "=", find},
		{"its case is changed", strings.ToLower(token), find},
		{"it has no signature", parts[0] + "." + parts[1] + ".", find},
		{"its alg is none", b64([]byte(`{"alg":"none","kid":"`+kid+`","typ":"at+jwt"}`)) + "." + parts[1] + ".", find},
		{"it has a crit", b64([]byte(`{"alg":"ES256","kid":"`+kid+`","typ":"at+jwt","crit":["x"]}`)) + "." + parts[1] + "." + parts[2], find},
		{"it says sub twice", parts[0] + "." + b64([]byte(`{"sub":"a","sub":"a"}`)) + "." + parts[2], find},
		{"it is nothing", "", find},
	} {
		if got, err := VerifyOwn(c.token, c.find); err == nil {
			t.Errorf("%s: got %v, want it refused", c.name, got)
		}
	}
}

func other2(t testing.TB) json.RawMessage {
	t.Helper()
	_, kid, find := ring(t, "ES256")
	public, _ := find(kid)
	return public
}

func TestOurTokensHaveRoomForAWholeProofsClaims(t *testing.T) {
	k, kid, find := ring(t, "ES256")
	inner := map[string]any{}
	for i := range 250 {
		inner[fmt.Sprint("c", i)] = i
	}
	var deep any = "x"
	for range 9 {
		deep = []any{deep}
	}
	inner["deep"] = deep
	token, err := k.Sign(kid, "ES256", OwnType, map[string]any{"sub": "a", "sallyport": map[string]any{"claims": inner}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyOwn(token, find); err != nil {
		t.Error(err)
	}
}

func TestTheNameOfAClaimInjectsNoClaim(t *testing.T) {
	k, kid, find := ring(t, "ES256")
	name := `x":0,"admin`
	token, err := k.Sign(kid, "ES256", OwnType, map[string]any{name: true, "sub": "a"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := VerifyOwn(token, find)
	if _, injected := got["admin"]; err != nil || injected || got[name] != true {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestSigningRefuses(t *testing.T) {
	k, kid, _ := ring(t, "ES256")
	for name, f := range map[string]func() (string, error){
		"a key that is not loaded": func() (string, error) { return k.Sign("x", "ES256", "JWT", map[string]any{}) },
		"another algorithm":        func() (string, error) { return k.Sign(kid, "RS256", "JWT", map[string]any{}) },
		"claims that are a list":   func() (string, error) { return k.Sign(kid, "ES256", "JWT", []int{1}) },
		"claims that do not encode": func() (string, error) {
			return k.Sign(kid, "ES256", "JWT", map[string]any{"f": func() {}})
		},
	} {
		if token, err := f(); err == nil || token != "" {
			t.Errorf("%s: got a token, %v", name, err)
		}
	}
	for _, alg := range []string{"none", "HS256", "EdDSA", ""} {
		if _, _, err := k.Generate(t.Context(), alg); err == nil {
			t.Errorf("%q: got a key", alg)
		}
	}
}

func TestSealedKeysOpenForTheirOwnerAlone(t *testing.T) {
	store, sealer := vault{}, newSealer(t)
	kid, _, err := NewKeyring(store, sealer, "acme").Generate(t.Context(), "ES256")
	if err != nil {
		t.Fatal(err)
	}
	kid2, _, err := NewKeyring(store, sealer, "acme").Generate(t.Context(), "ES256")
	if err != nil {
		t.Fatal(err)
	}
	again := NewKeyring(store, sealer, "acme")
	if err := errors.Join(again.Load(t.Context(), kid), again.Load(t.Context(), kid)); err != nil || !again.Loaded(kid) {
		t.Fatalf("the same organisation, the same key: %v", err)
	}
	if _, err := again.Sign(kid, "ES256", OwnType, map[string]any{"sub": "a"}); err != nil {
		t.Errorf("signing after loading: %v", err)
	}
	swapped := maps.Clone(store)
	swapped[storeName(kid)] = store[storeName(kid2)]
	broken := maps.Clone(store)
	broken[storeName(kid)] = append(slices.Clone(store[storeName(kid)][:len(store[storeName(kid)])-1]), 0xff)
	for _, c := range []struct {
		name string
		ring *Keyring
	}{
		{"another organisation", NewKeyring(store, sealer, "other")},
		{"another key-encryption key", NewKeyring(store, newSealer(t), "acme")},
		{"another key under its name", NewKeyring(swapped, sealer, "acme")},
		{"changed on disk", NewKeyring(broken, sealer, "acme")},
	} {
		if err := c.ring.Load(t.Context(), kid); err == nil || c.ring.Loaded(kid) {
			t.Errorf("%s: got %v, want it refused", c.name, err)
		}
	}
	if err := again.Load(t.Context(), "absent"); !errors.Is(err, errGone) {
		t.Errorf("a key that is not there: got %v", err)
	}
}

type full struct{ vault }

func (full) Put(context.Context, string, []byte) error { return errGone }

func TestAKeyThatWasNotStoredDoesNotSign(t *testing.T) {
	k := NewKeyring(full{vault{}}, newSealer(t), "acme")
	kid, public, err := k.Generate(t.Context(), "ES256")
	if !errors.Is(err, errGone) || kid != "" || public != nil || len(k.keys) != 0 {
		t.Errorf("got %q, %s, %v, with %d keys", kid, public, err, len(k.keys))
	}
}

func TestKeyEncryptionKeys(t *testing.T) {
	kek, err := NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"as it was made":     {string(kek), true},
		"with a newline":     {string(kek) + "\n", true},
		"in base64":          {base64.StdEncoding.EncodeToString(kek) + "\n", true},
		"nothing":            {"", false},
		"something else":     {"hello", false},
		"another JSON":       {`{"a":1}`, false},
		"cut":                {string(kek[:len(kek)/2]), false},
		"base64 of anything": {base64.StdEncoding.EncodeToString([]byte("hello")), false},
	} {
		_, err := ParseKEK([]byte(c.text))
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v, want it taken: %v", name, err, c.ok)
		}
		if err != nil && c.text != "" && strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: the error shows it: %v", name, err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	store := vault{}
	k := NewKeyring(store, newSealer(t), "acme")
	if _, _, err := k.Generate(t.Context(), "ES256"); err != nil {
		t.Fatal(err)
	}
	host := hostKey(t, "ec_e1")
	for want, secret := range map[string]any{"key-encryption key": newSealer(t), "signing keys of acme": k, "host key e1": host} {
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("seen", "x", secret)
		for _, got := range []string{fmt.Sprint(secret), fmt.Sprintf("%+v", secret), fmt.Sprintf("%#v", secret)} {
			if got != want || !strings.Contains(log.String(), `"x":"`+want+`"`) {
				t.Errorf("got %q and %s, want %q", got, log.String(), want)
			}
		}
	}
	for name, sealed := range store {
		if strings.Contains(string(sealed), "pkcs8") || strings.Contains(string(sealed), "alg") {
			t.Errorf("%s is not sealed", name)
		}
	}
}

func TestHostKeys(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		k, err := NewHostKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		text, err := k.PrivatePEM()
		if err != nil {
			t.Fatal(err)
		}
		set, err := ParseKeySet(k.PublicJWKS())
		if err != nil || len(set.KeyIDs()) != 1 || set.KeyIDs()[0] != k.KeyID {
			t.Fatalf("%s: got %v, %v", alg, set, err)
		}
		again, err := ParseHostKey(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []*HostKey{k, again} {
			token, err := k.Sign(json.RawMessage(claims(t, nil)))
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := reasons(t, token, Rules{Algorithms: []string{alg}}, Static(set), noon); len(got) > 0 {
				t.Errorf("%s: got %v", alg, got)
			}
		}
	}
	if _, err := NewHostKey("HS256"); err == nil {
		t.Error("HS256: got a host key")
	}
	for _, text := range []string{"", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"} {
		if _, err := ParseHostKey([]byte(text)); err == nil || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestAPrivateJWKIsNoPublicKey(t *testing.T) {
	if _, err := ParseKey([]byte(`{"kty":"EC","crv":"P-256","d":"AQ"}`)); err == nil {
		t.Error("it was taken")
	}
}
