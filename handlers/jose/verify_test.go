package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain/proof"
)

func TestEveryAlgorithmVerifies(t *testing.T) {
	r1, e1, e3, e5, d1 := hostKey(t, "rsa_r1"), hostKey(t, "ec_e1"), hostKey(t, "ec_e3"), hostKey(t, "ec_e5"), hostKey(t, "ed25519_d1")
	keys := map[string]*HostKey{
		"RS256": r1, "RS384": r1, "RS512": r1, "PS256": r1, "PS384": r1, "PS512": r1,
		"ES256": e1, "ES384": e3, "ES512": e5, "EdDSA": d1, "Ed25519": d1,
	}
	src := Static(setOf(t, r1, e1, e3, e5, d1))
	if len(algorithms) != len(keys) {
		t.Fatalf("got %v, want %d of them", everyAlgorithm.Algorithms, len(keys))
	}
	for _, alg := range everyAlgorithm.Algorithms {
		t.Run(alg, func(t *testing.T) {
			k := keys[alg]
			token := forge(t, k, alg, header(t, k, map[string]any{"alg": alg}), claims(t, nil))
			p, checks := Verify(t.Context(), token, Rules{Algorithms: []string{alg}}, src, noon)
			if !proof.Passed(checks) || p.Algorithm != alg || p.KeyID != k.KeyID || p.Subject != "repo:acme/api" || p.ID != "a-1" {
				t.Fatalf("got %+v, %v", p, checks)
			}
			got, checks := reasons(t, tamper(token), Rules{Algorithms: []string{alg}}, src, noon)
			wantReasons(t, got, "bad_signature")
			if f := proof.FirstFailure(checks); f.Code != "proof.signature" {
				t.Errorf("got %s, want proof.signature", f.Code)
			}
		})
	}
}

// tamper flips a bit of the signature that no other signature of the same input has.
func tamper(token string) string {
	i := strings.LastIndex(token, ".") + 10
	c := byte('A')
	if token[i] == 'A' {
		c = 'B'
	}
	return token[:i] + string(c) + token[i+1:]
}

func TestWhatAProofSays(t *testing.T) {
	k := hostKey(t, "ec_e1")
	token := forge(t, k, "ES256", header(t, k, nil), claims(t, map[string]any{"nbf": noon.Unix() - 1}))
	p, checks := Verify(t.Context(), token, everyAlgorithm, Static(setOf(t, k)), noon)
	sum := sha256.Sum256([]byte(token[:strings.LastIndex(token, ".")]))
	if p.Digest != b64(sum[:]) || !p.IssuedAt.Equal(noon) || !p.NotBefore.Equal(noon.Add(-time.Second)) ||
		!p.ExpiresAt.Equal(noon.Add(5*time.Minute)) || p.Issuer != "https://issuer.example" || p.Type != "JWT" || !p.KeysAt.IsZero() || p.KeysStale {
		t.Errorf("got %+v", p)
	}
	var names []string
	for _, c := range checks {
		names = append(names, c.Check)
		if c.Result != proof.Pass || c.Message == "" || c.Code != "" {
			t.Errorf("got %+v, want a pass with a message and no code", c)
		}
	}
	if got := strings.Join(names, " "); got != "format keys key algorithm signature times" {
		t.Errorf("got checks %s", got)
	}
}

// Each row is a token that is wrong in one way, and what becomes of every check.
func TestChecksTellEveryFailure(t *testing.T) {
	r1, e1, other := hostKey(t, "rsa_r1"), hostKey(t, "ec_e1"), hostKey(t, "rsa_attacker")
	set := Static(setOf(t, r1, e1))
	encryption, err := ParseKeySet([]byte(`{"keys":[` + entry(t, r1, map[string]any{"use": "enc"}) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	published, err := ParseKeySet([]byte(`{"keys":[` + entry(t, r1, map[string]any{"alg": "RS256"}) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	other.KeyID = "r1"
	good := forge(t, r1, "RS256", header(t, r1, nil), claims(t, nil))
	signed := func(k *HostKey, alg string, h, c map[string]any) string {
		return forge(t, k, alg, header(t, k, h), claims(t, c))
	}
	old := map[string]any{"exp": noon.Unix() - 100, "iat": noon.Unix() - 400}
	for _, c := range []struct {
		name, token string
		src         KeyFinder
		reasons     string
		results     string // of the six checks: p, f or s
		code        string
	}{
		{"a good one", good, set, "", "pppppp", ""},
		{"no form at all", "x", set, "not_compact_jws", "fsssss", "proof.malformed"},
		{"a forbidden header and an expired claim", signed(r1, "RS256", map[string]any{"crit": []string{"a"}}, old), set, "header_forbidden_crit expired", "fssssf", "proof.malformed"},
		{"claims that are not JSON", forge(t, r1, "RS256", header(t, r1, nil), "x"), set, "claims_not_an_object", "fsssss", "proof.malformed"},
		{"our own typ, with all else right", signed(r1, "RS256", map[string]any{"typ": "at+jwt"}, nil), set, "typ_not_allowed", "fppppp", "proof.malformed"},
		{"no sub, unknown key and expired", signed(other, "RS256", map[string]any{"kid": "x"}, map[string]any{"sub": nil, "exp": noon.Unix() - 100, "iat": noon.Unix() - 400}), set, "sub_invalid kid_unknown expired", "fpfssf", "proof.malformed"},
		{"an algorithm that is not allowed", signed(r1, "RS512", map[string]any{"alg": "RS512"}, nil), set, "alg_not_allowed", "pssfsp", "proof.algorithm"},
		{"none", strings.TrimRight(good, "x")[:strings.LastIndex(good, ".")+1], set, "empty_segment", "fssssp", "proof.malformed"},
		{"none, without a signature", b64([]byte(`{"alg":"none","kid":"r1"}`)) + "." + strings.Split(good, ".")[1] + ".", set, "alg_not_allowed", "pssfsp", "proof.algorithm"},
		{"no keys to be had", good, refused{errors.New("nobody answers")}, "keys_unavailable", "pfsssp", "keys.unavailable"},
		{"no keys and expired", signed(r1, "RS256", nil, old), refused{errors.New("nobody answers")}, "keys_unavailable expired", "pfsssf", "keys.unavailable"},
		{"an unknown kid", signed(r1, "RS256", map[string]any{"kid": "r2"}, nil), set, "kid_unknown", "ppfssp", "proof.unknown_key"},
		{"a key for encryption", good, Static(encryption), "key_not_for_verify", "ppfssp", "proof.unknown_key"},
		{"a key of another type", signed(e1, "ES256", map[string]any{"kid": "r1"}, nil), set, "key_type_mismatch", "pppfsp", "proof.algorithm"},
		{"RS256 over an EC key", signed(r1, "RS256", map[string]any{"kid": "e1"}, nil), set, "key_type_mismatch", "pppfsp", "proof.algorithm"},
		{"a key published for another algorithm", signed(r1, "PS256", map[string]any{"alg": "PS256"}, nil), Static(published), "key_alg_mismatch", "pppfsp", "proof.algorithm"},
		{"another key under the kid", signed(other, "RS256", nil, nil), set, "bad_signature", "ppppfp", "proof.signature"},
		{"another key, and expired", signed(other, "RS256", nil, old), set, "bad_signature expired", "ppppff", "proof.signature"},
		{"expired", signed(r1, "RS256", nil, old), set, "expired", "pppppf", "proof.expired"},
		{"not valid yet", signed(r1, "RS256", nil, map[string]any{"nbf": noon.Unix() + 60}), set, "nbf_future", "pppppf", "proof.not_yet_valid"},
		{"from the future", signed(r1, "RS256", nil, map[string]any{"iat": noon.Unix() + 60}), set, "iat_future", "pppppf", "proof.not_yet_valid"},
		{"too long a life", signed(r1, "RS256", nil, map[string]any{"exp": noon.Unix() + 90000}), set, "lifetime_too_long", "pppppf", "proof.too_old"},
		{"issued too long ago", signed(r1, "RS256", nil, map[string]any{"iat": noon.Unix() - 7200}), set, "too_old", "pppppf", "proof.too_old"},
		{"no exp", signed(r1, "RS256", nil, map[string]any{"exp": nil}), set, "exp_missing", "pppppf", "proof.malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := Rules{Algorithms: []string{"RS256", "PS256", "ES256"}, MaxAge: time.Hour}
			got, checks := reasons(t, c.token, rules, c.src, noon)
			wantReasons(t, got, strings.Fields(c.reasons)...)
			var results, code string
			for _, check := range checks {
				results += string(check.Result[0])
				if check.Message == "" {
					t.Errorf("%s has no message", check.Check)
				}
			}
			if f := proof.FirstFailure(checks); f != nil {
				code = f.Code
			}
			if results != c.results || code != c.code {
				t.Errorf("got %s %q, want %s %q", results, code, c.results, c.code)
			}
		})
	}
}

func TestKeysAreNotAskedForWhatWillNeverBeTaken(t *testing.T) {
	k := hostKey(t, "rsa_r1")
	unsigned := b64([]byte(`{"alg":"none","kid":"r1"}`)) + "." + b64([]byte(claims(t, nil))) + "."
	for name, token := range map[string]string{
		"no form at all":                   "a.b",
		"none":                             unsigned,
		"an algorithm that is not allowed": forge(t, k, "RS512", header(t, k, map[string]any{"alg": "RS512"}), claims(t, nil)),
		"a forbidden header":               forge(t, k, "RS256", header(t, k, map[string]any{"crit": []string{"a"}}), claims(t, nil)),
		"claims that are not JSON":         forge(t, k, "RS256", header(t, k, nil), "x"),
	} {
		src := &counted{KeyFinder: Static(setOf(t, k))}
		_, checks := Verify(t.Context(), token, Rules{Algorithms: []string{"RS256"}}, src, noon)
		if n := src.asked.Load(); n != 0 || proof.Passed(checks) {
			t.Errorf("%s: the keys were asked for %d times, passed is %v", name, n, proof.Passed(checks))
		}
	}
}

func TestAnEmptyAllowListAllowsNothing(t *testing.T) {
	k := hostKey(t, "rsa_r1")
	got, _ := reasons(t, forge(t, k, "RS256", header(t, k, nil), claims(t, nil)), Rules{}, Static(setOf(t, k)), noon)
	wantReasons(t, got, "alg_not_allowed")
}

func TestAllowingAnUnknownAlgorithmAllowsNothing(t *testing.T) {
	k := hostKey(t, "rsa_r1")
	for _, alg := range []string{"none", "HS256", "ES256K", "RS1", ""} {
		token := forge(t, k, "RS256", header(t, k, map[string]any{"alg": alg}), claims(t, nil))
		got, _ := reasons(t, token, Rules{Algorithms: []string{alg}}, Static(setOf(t, k)), noon)
		wantReasons(t, got, "alg_not_allowed")
	}
}

// signedAs puts another signature under a good header and good claims.
func signedAs(t testing.TB, k *HostKey, alg string, sign func(digest []byte) []byte) string {
	t.Helper()
	input := b64([]byte(header(t, k, map[string]any{"alg": alg}))) + "." + b64([]byte(claims(t, nil)))
	h := algorithms[alg].hash.New()
	h.Write([]byte(input))
	return input + "." + b64(sign(h.Sum(nil)))
}

func TestTheSaltOfPSSIsAsLongAsTheHash(t *testing.T) {
	k := hostKey(t, "rsa_r1")
	for salt, want := range map[int]bool{rsa.PSSSaltLengthEqualsHash: true, 32: true, 20: false, 1: false, 64: false} {
		token := signedAs(t, k, "PS256", func(digest []byte) []byte {
			sig, err := rsa.SignPSS(rand.Reader, k.private.(*rsa.PrivateKey), crypto.SHA256, digest, &rsa.PSSOptions{SaltLength: salt})
			if err != nil {
				t.Fatal(err)
			}
			return sig
		})
		if got, _ := reasons(t, token, everyAlgorithm, Static(setOf(t, k)), noon); (len(got) == 0) != want {
			t.Errorf("salt of %d bytes: got %v, want it taken: %v", salt, got, want)
		}
	}
}

func TestShapesOfECDSASignatures(t *testing.T) {
	k := hostKey(t, "ec_e1")
	private := k.private.(*ecdsa.PrivateKey)
	n := private.Params().N
	pair := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	zero := new(big.Int)
	for _, c := range []struct {
		name string
		make func(r, s *big.Int) []byte
		want bool
	}{
		{"as it is", pair, true},
		{"its twin, which verifies too", func(r, s *big.Int) []byte { return pair(r, new(big.Int).Sub(n, s)) }, true},
		{"r = s = 0", func(_, _ *big.Int) []byte { return pair(zero, zero) }, false},
		{"r = s = n", func(_, _ *big.Int) []byte { return pair(n, n) }, false},
		{"r = 0", func(_, s *big.Int) []byte { return pair(zero, s) }, false},
		{"s = 0", func(r, _ *big.Int) []byte { return pair(r, zero) }, false},
		{"63 bytes", func(r, s *big.Int) []byte { return pair(r, s)[:63] }, false},
		{"66 bytes", func(r, s *big.Int) []byte { return append(make([]byte, 2), pair(r, s)...) }, false},
		{"33 bytes each", func(r, s *big.Int) []byte {
			return append(r.FillBytes(make([]byte, 33)), s.FillBytes(make([]byte, 33))...)
		}, false},
		{"DER", func(r, s *big.Int) []byte {
			b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := signedAs(t, k, "ES256", func(digest []byte) []byte {
				r, s, err := ecdsa.Sign(rand.Reader, private, digest)
				if err != nil {
					t.Fatal(err)
				}
				return c.make(r, s)
			})
			if got, _ := reasons(t, token, everyAlgorithm, Static(setOf(t, k)), noon); (len(got) == 0) != c.want {
				t.Errorf("got %v, want it taken: %v", got, c.want)
			}
		})
	}
}

func TestTwinsHaveOneDigest(t *testing.T) {
	k := hostKey(t, "ec_e1")
	h, c := header(t, k, nil), claims(t, nil)
	one, _ := Verify(t.Context(), forge(t, k, "ES256", h, c), everyAlgorithm, Static(setOf(t, k)), noon)
	two, _ := Verify(t.Context(), forge(t, k, "ES256", h, c), everyAlgorithm, Static(setOf(t, k)), noon)
	if one.Digest == "" || one.Digest != two.Digest {
		t.Errorf("got %s and %s, want the same", one.Digest, two.Digest)
	}
}

func TestUnicodeFormsAreTwoSubjects(t *testing.T) {
	k := hostKey(t, "ec_e1")
	var subs []string
	for _, sub := range []string{"e\u0301", "\u00e9"} {
		p, checks := Verify(t.Context(), forge(t, k, "ES256", header(t, k, nil), claims(t, map[string]any{"sub": sub})), everyAlgorithm, Static(setOf(t, k)), noon)
		if !proof.Passed(checks) {
			t.Fatal(checks)
		}
		subs = append(subs, p.Subject)
	}
	if subs[0] == subs[1] {
		t.Errorf("both are %q", subs[0])
	}
}
