package jose

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// entry is the JWK of a key with members changed; those set to nil are gone.
func entry(t testing.TB, k *HostKey, changes map[string]any) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(k.PublicJWK(), &m); err != nil {
		t.Fatal(err)
	}
	return with(t, m, changes)
}

func TestKeySetDocuments(t *testing.T) {
	r1, e1, d1 := hostKey(t, "rsa_r1"), hostKey(t, "ec_e1"), hostKey(t, "ed25519_d1")
	one := func(k *HostKey, changes map[string]any) string { return `{"keys":[` + entry(t, k, changes) + `]}` }
	number := func(bits uint, odd int64) string {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return b64(n.Or(n, big.NewInt(odd)).Bytes())
	}
	var m map[string]string
	if err := json.Unmarshal(e1.PublicJWK(), &m); err != nil {
		t.Fatal(err)
	}
	x := m["x"]
	both := append(mustDecode(t, x), mustDecode(t, m["y"])...)
	for _, c := range []struct {
		name, doc string
		ids       string // usable kids
		reason    string
	}{
		{"RSA, EC and OKP", `{"keys":[` + entry(t, r1, nil) + "," + entry(t, e1, nil) + "," + entry(t, d1, nil) + `]}`, "d1 e1 r1", ""},
		{"further members are allowed", `{"x":1,"keys":[` + entry(t, r1, map[string]any{"x5t": "a"}) + `]}`, "r1", ""},
		{"not JSON", `<html>`, "", "jwks_not_an_object"},
		{"trailing data", one(r1, nil) + `{}`, "", "jwks_trailing_data"},
		{"keys twice", `{"keys":[],"keys":[` + entry(t, r1, nil) + `]}`, "", "jwks_duplicate_member"},
		{"a bare key", entry(t, r1, nil), "", "jwks_no_keys"},
		{"keys null", `{"keys":null}`, "", "jwks_no_keys"},
		{"no keys", `{"keys":[]}`, "", "jwks_no_usable_key"},
		{"a kid twice", `{"keys":[` + entry(t, r1, nil) + "," + entry(t, e1, map[string]any{"kid": "r1"}) + `]}`, "", "jwks_duplicate_kid"},
		{"a kid twice, of which one is unusable", `{"keys":[` + entry(t, r1, nil) + `,{"kty":"AKP","kid":"r1"}]}`, "", "jwks_duplicate_kid"},
		{"d", one(r1, map[string]any{"d": "AQ"}), "", "jwks_private_material"},
		{"p", one(r1, map[string]any{"p": "AQ"}), "", "jwks_private_material"},
		{"q", one(r1, map[string]any{"q": "AQ"}), "", "jwks_private_material"},
		{"dp", one(r1, map[string]any{"dp": "AQ"}), "", "jwks_private_material"},
		{"dq", one(r1, map[string]any{"dq": "AQ"}), "", "jwks_private_material"},
		{"qi", one(r1, map[string]any{"qi": "AQ"}), "", "jwks_private_material"},
		{"oth", one(r1, map[string]any{"oth": []string{}}), "", "jwks_private_material"},
		{"k", one(r1, map[string]any{"k": "AQ"}), "", "jwks_private_material"},
		{"priv of a post-quantum key", `{"keys":[{"kty":"AKP","kid":"a","priv":"AQ"},` + entry(t, r1, nil) + `]}`, "", "jwks_private_material"},
		{"a symmetric key beside", `{"keys":[{"kty":"oct","kid":"a"},` + entry(t, r1, nil) + `]}`, "", "jwks_private_material"},
		{"an unknown kty beside", `{"keys":[{"kty":"AKP","kid":"a","pub":"AQ"},` + entry(t, r1, nil) + `]}`, "r1", ""},
		{"an unknown crv beside", `{"keys":[` + entry(t, e1, map[string]any{"crv": "secp256k1"}) + "," + entry(t, r1, nil) + `]}`, "r1", ""},
		{"X25519 beside", `{"keys":[` + entry(t, d1, map[string]any{"crv": "X25519"}) + "," + entry(t, r1, nil) + `]}`, "r1", ""},
		{"something else than a key beside", `{"keys":[1,null,"a",` + entry(t, r1, nil) + `]}`, "r1", ""},
		{"a point that is not on its curve beside", `{"keys":[` + entry(t, e1, map[string]any{"y": x}) + "," + entry(t, r1, nil) + `]}`, "r1", ""},
		{"a short coordinate", one(e1, map[string]any{"x": "AQ"}), "", "jwks_no_usable_key"},
		{"a padded coordinate", one(e1, map[string]any{"x": x + "="}), "", "jwks_no_usable_key"},
		{"a coordinate with a leading zero", one(e1, map[string]any{"x": b64(append([]byte{0}, mustDecode(t, x)...))}), "", "jwks_no_usable_key"},
		{"coordinates cut in the wrong place", one(e1, map[string]any{"x": b64(both[:31]), "y": b64(both[31:])}), "", "jwks_no_usable_key"},
		{"an Ed25519 key of 31 bytes", one(d1, map[string]any{"x": b64(make([]byte, 31))}), "", "jwks_no_usable_key"},
		{"no kid", one(r1, map[string]any{"kid": nil}), "", "jwks_no_usable_key"},
		{"a kid that is a number", one(r1, map[string]any{"kid": 1}), "", "jwks_no_usable_key"},
		{"a kid with a space", one(r1, map[string]any{"kid": "r 1"}), "", "jwks_no_usable_key"},
		{"an alg that is no string", one(r1, map[string]any{"alg": 1}), "", "jwks_no_usable_key"},
		{"RSA of 2047 bits", one(r1, map[string]any{"n": number(2047, 1)}), "", "jwks_no_usable_key"},
		{"RSA of 2048 bits", one(r1, map[string]any{"n": number(2048, 1)}), "r1", ""},
		{"RSA of 8192 bits", one(r1, map[string]any{"n": number(8192, 1)}), "r1", ""},
		{"RSA of 8193 bits", one(r1, map[string]any{"n": number(8193, 1)}), "", "jwks_no_usable_key"},
		{"an even modulus", one(r1, map[string]any{"n": number(2048, 0)}), "", "jwks_no_usable_key"},
		{"exponent 1", one(r1, map[string]any{"e": "AQ"}), "", "jwks_no_usable_key"},
		{"exponent 2", one(r1, map[string]any{"e": "Ag"}), "", "jwks_no_usable_key"},
		{"exponent 3", one(r1, map[string]any{"e": "Aw"}), "r1", ""},
		{"exponent 4", one(r1, map[string]any{"e": "BA"}), "", "jwks_no_usable_key"},
		{"exponent 2^31-1", one(r1, map[string]any{"e": "f____w"}), "r1", ""},
		{"exponent 2^31+1", one(r1, map[string]any{"e": "gAAAAQ"}), "", "jwks_no_usable_key"},
		{"exponent of 65 bits", one(r1, map[string]any{"e": "AQAAAAAAAAAD"}), "", "jwks_no_usable_key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := ParseKeySet([]byte(c.doc))
			if reasonOf(err) != c.reason || (err == nil) != (c.reason == "") {
				t.Fatalf("got %v (%s), want %q", err, reasonOf(err), c.reason)
			}
			if err == nil && strings.Join(set.KeyIDs(), " ") != c.ids {
				t.Errorf("got %v, want %s; skipped: %v", set.KeyIDs(), c.ids, set.Skipped())
			}
		})
	}
}

func mustDecode(t testing.TB, s string) []byte {
	t.Helper()
	b, r := decodePart(s)
	if r != nil {
		t.Fatal(r)
	}
	return b
}

func TestKeySetLimits(t *testing.T) {
	r1 := hostKey(t, "rsa_r1")
	many := func(n int) string {
		var keys []string
		for i := range n {
			keys = append(keys, entry(t, r1, map[string]any{"kid": fmt.Sprint("k", i)}))
		}
		return `{"keys":[` + strings.Join(keys, ",") + `]}`
	}
	padded := func(n int) string {
		doc := many(1)
		return doc + strings.Repeat(" ", n-len(doc))
	}
	for _, c := range []struct{ name, doc, reason string }{
		{"100 keys", many(100), ""},
		{"101 keys", many(101), "jwks_too_many_keys"},
		{"256 KiB", padded(MaxKeySetBytes), ""},
		{"a byte more", padded(MaxKeySetBytes + 1), "jwks_too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseKeySet([]byte(c.doc)); reasonOf(err) != c.reason {
				t.Errorf("got %v, want %q", err, c.reason)
			}
		})
	}
}

func TestKeysForSomethingElseAreKnownAndNotUsed(t *testing.T) {
	r1 := hostKey(t, "rsa_r1")
	for _, c := range []struct {
		name    string
		changes map[string]any
		fit     bool
	}{
		{"use sig", map[string]any{"use": "sig"}, true},
		{"use enc", map[string]any{"use": "enc"}, false},
		{"use a number", map[string]any{"use": 1}, false},
		{"key_ops with verify", map[string]any{"use": nil, "key_ops": []string{"sign", "verify"}}, true},
		{"key_ops without verify", map[string]any{"use": nil, "key_ops": []string{"encrypt"}}, false},
		{"key_ops empty", map[string]any{"use": nil, "key_ops": []string{}}, false},
		{"key_ops a string", map[string]any{"use": nil, "key_ops": "verify"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := ParseKeySet([]byte(`{"keys":[` + entry(t, r1, c.changes) + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			if f := set.found("r1", noon, false); f.Known != c.fit || (f.Unfit == "") != c.fit {
				t.Errorf("got known %v, unfit %q, want it fit: %v", f.Known, f.Unfit, c.fit)
			}
		})
	}
}

func TestPublicFormHoldsPublicMembersInOneOrder(t *testing.T) {
	r1, e1, d1 := hostKey(t, "rsa_r1"), hostKey(t, "ec_e1"), hostKey(t, "ed25519_d1")
	one := []string{entry(t, r1, map[string]any{"x5c": []string{"a"}, "note": "x"}), entry(t, e1, map[string]any{"key_ops": []string{"verify"}}), entry(t, d1, nil), `{"kty":"AKP","kid":"z"}`}
	other := slices.Clone(one)
	slices.Reverse(other)
	var forms []string
	for _, keys := range [][]string{one, other} {
		set, err := ParseKeySet([]byte(`{"keys":[` + strings.Join(keys, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		forms = append(forms, string(set.Public()))
		again, err := ParseKeySet(set.Public())
		if err != nil || string(again.Public()) != string(set.Public()) {
			t.Errorf("read again: got %s, %v", again.Public(), err)
		}
	}
	if forms[0] != forms[1] {
		t.Errorf("the order of the document shows:\n%s\n%s", forms[0], forms[1])
	}
	var doc struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(forms[0]), &doc); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"alg crv kid kty use x", "alg crv kid kty use x y", "alg e kid kty n use"} {
		var names []string
		for n := range doc.Keys[i] {
			names = append(names, n)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("key %d: got members %s, want %s", i, got, want)
		}
	}
	if !strings.HasPrefix(forms[0], `{"keys":[{"kid":"d1","kty":"OKP","use":"sig","alg":"EdDSA","crv":"Ed25519","x":"`) {
		t.Errorf("got %s", forms[0])
	}
}

func TestKeysAreFoundByTheirExactKidAlone(t *testing.T) {
	set := setOf(t, hostKey(t, "rsa_r1"))
	for kid, want := range map[string]bool{"r1": true, "R1": false, "r1\x00": false, "": false, "r1%00": false, "../r1": false} {
		if _, ok := set.Find(kid); ok != want {
			t.Errorf("%q: got %v, want %v", kid, ok, want)
		}
	}
}
