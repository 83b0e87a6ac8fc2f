package jose

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sallyport.dev/domain/proof"
)

// bigProof is a proof as a CI provider sends it: 31 claims, about 1.6 KiB.
func bigProof(b *testing.B, k *HostKey) string {
	b.Helper()
	more := map[string]any{}
	for i := range 25 {
		more[fmt.Sprintf("claim_%02d", i)] = strings.Repeat("v", 20)
	}
	return forge(b, k, k.Algorithm, header(b, k, nil), claims(b, more))
}

func BenchmarkVerifyRS256(b *testing.B) { benchmarkVerify(b, hostKey(b, "rsa_r1")) }

func BenchmarkVerifyES256(b *testing.B) { benchmarkVerify(b, hostKey(b, "ec_e1")) }

func BenchmarkVerifyEdDSA(b *testing.B) { benchmarkVerify(b, hostKey(b, "ed25519_d1")) }

func benchmarkVerify(b *testing.B, k *HostKey) {
	token, src := bigProof(b, k), Static(setOf(b, k))
	b.ReportAllocs()
	for b.Loop() {
		if _, checks := Verify(b.Context(), token, everyAlgorithm, src, noon); !proof.Passed(checks) {
			b.Fatal(checks)
		}
	}
}

// BenchmarkVerifyRS256Stdlib is the floor: the standard library, no check but the signature.
func BenchmarkVerifyRS256Stdlib(b *testing.B) {
	k := hostKey(b, "rsa_r1")
	token, public := bigProof(b, k), k.private.Public().(*rsa.PublicKey)
	b.ReportAllocs()
	for b.Loop() {
		parts := strings.Split(token, ".")
		var h, c map[string]any
		for i, into := range []*map[string]any{&h, &c} {
			raw, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err != nil {
				b.Fatal(err)
			}
			if err := json.Unmarshal(raw, into); err != nil {
				b.Fatal(err)
			}
		}
		sig, err := base64.RawURLEncoding.DecodeString(parts[2])
		if err != nil {
			b.Fatal(err)
		}
		sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignES256(b *testing.B) { benchmarkSign(b, "ES256") }

func BenchmarkSignRS256(b *testing.B) { benchmarkSign(b, "RS256") }

func benchmarkSign(b *testing.B, alg string) {
	k, kid, _ := ring(b, alg)
	body := json.RawMessage(claims(b, nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Sign(kid, alg, OwnType, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyOwnES256(b *testing.B) {
	k, kid, find := ring(b, "ES256")
	token, err := k.Sign(kid, "ES256", OwnType, json.RawMessage(claims(b, nil)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := VerifyOwn(token, find); err != nil {
			b.Fatal(err)
		}
	}
}
