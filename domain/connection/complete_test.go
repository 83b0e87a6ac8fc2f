package connection_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/provider"
)

const publicKeys = `{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"AA","y":"AA"}]}`

func TestComplete(t *testing.T) {
	github := func(s *connection.Spec) {
		*s = connection.Spec{Provider: provider.GitHub, Settings: provider.Settings{"owner": "octo"}}
	}
	kubernetes := func(s *connection.Spec) {
		*s = connection.Spec{Provider: provider.Kubernetes, Settings: provider.Settings{"issuer": "https://k.example", "audience": ourIssuer}}
	}
	for _, tt := range []struct {
		name   string
		change []func(*connection.Spec)
		want   func(connection.Spec) bool
	}{
		{"defaults", nil, func(s connection.Spec) bool {
			return s.Provider == provider.GenericJWT && s.IdentityClaim == "sub" && s.TokenTTL == connection.Duration{Amount: 15, Unit: "minutes"} &&
				cmp.Equal(s.Algorithms, []string{"RS256", "ES256"})
		}},
		{"a preset fills in keys and conditions", []func(*connection.Spec){github}, func(s connection.Spec) bool {
			return s.JWKSURL == "https://token.actions.githubusercontent.com/.well-known/jwks" && s.Conditions[1].Equal(equals("aud", ourIssuer)) && s.IdentityClaim == "sub"
		}},
		{"given conditions replace all of the preset's", []func(*connection.Spec){github, func(s *connection.Spec) { s.Conditions = []claim.Condition{equals("sub", "x")} }},
			func(s connection.Spec) bool { return len(s.Conditions) == 1 && s.JWKSURL != "" }},
		{"a given key source replaces the preset's", []func(*connection.Spec){kubernetes, func(s *connection.Spec) { s.JWKS = json.RawMessage(publicKeys) }},
			func(s connection.Spec) bool { return s.IssuerURL == "" && s.JWKS != nil && len(s.Conditions) == 2 }},
		{"Kubernetes finds its keys by its issuer", []func(*connection.Spec){kubernetes}, func(s connection.Spec) bool { return s.IssuerURL == "https://k.example" }},
		{"a given identity claim stays", []func(*connection.Spec){github, func(s *connection.Spec) { s.IdentityClaim = "repository" }},
			func(s connection.Spec) bool { return s.IdentityClaim == "repository" }},
		{"a provider without settings is a label when everything is given", []func(*connection.Spec){func(s *connection.Spec) { s.Provider = provider.GitLab }},
			func(s connection.Spec) bool { return s.Provider == provider.GitLab && len(s.Conditions) == 3 }},
		{"uploaded keys are written in one way", []func(*connection.Spec){func(s *connection.Spec) {
			s.JWKSURL, s.JWKS = "", json.RawMessage("{ \"keys\" :\n"+strings.TrimPrefix(publicKeys, `{"keys":`))
		}}, func(s connection.Spec) bool { return string(s.JWKS) == publicKeys }},
		{"null uploaded keys are none", []func(*connection.Spec){func(s *connection.Spec) { s.JWKS = json.RawMessage("null") }},
			func(s connection.Spec) bool { return s.JWKS == nil }},
		{"what stands around a certificate is left out", []func(*connection.Spec){func(s *connection.Spec) {
			s.CACertificate = "-----BEGIN PRIVATE KEY-----\nbroken\n" + certificate(t) + "some secret\n"
		}}, func(s connection.Spec) bool { return s.CACertificate == certificate(t) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := connection.Complete(written(tt.change...), ourIssuer)
			if err != nil || !tt.want(got) {
				t.Fatalf("got %+v, %v", got, err)
			}
			for _, issuer := range []string{ourIssuer, ""} {
				again, err := connection.Complete(got, issuer)
				if diff := cmp.Diff(got, again); err != nil || diff != "" {
					t.Errorf("completed again with issuer %q: %v %s", issuer, err, diff)
				}
			}
			if !roundTrip(t, got).Equal(got) {
				t.Errorf("JSON changes it: %+v", got)
			}
		})
	}
}

// roundTrip writes a specification as JSON and reads it strictly.
func roundTrip(t testing.TB, s connection.Spec) (out connection.Spec) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, out); diff != "" {
		t.Error(diff)
	}
	return out
}

func TestSpecJSONKeepsEveryField(t *testing.T) {
	roundTrip(t, connection.Spec{
		Description: "d", Provider: provider.Kubernetes, Settings: provider.Settings{"issuer": "i"}, JWKSURL: "j", IssuerURL: "i",
		JWKS: json.RawMessage(publicKeys), CACertificate: "c", Conditions: []claim.Condition{{Claim: "a", Operator: claim.OneOf, Values: []string{"x"}}},
		IdentityClaim: "sub", IdentityPath: "p", Audiences: []string{"a"}, AudienceClaims: []string{"b"},
		TokenTTL: connection.Duration{Amount: 1, Unit: "hours"}, Algorithms: []string{"ES256"}, SingleUse: true,
		ProofMaxAge: &connection.Duration{Amount: 5, Unit: "minutes"}, TTLWithinProof: true,
	})
}

// certificate is a self-signed certificate in PEM, the same for one test.
func certificate(t testing.TB) string { return string(pemBlock(t, "CERTIFICATE", certificateBytes(t))) }

var cached []byte

func certificateBytes(t testing.TB) []byte {
	t.Helper()
	if cached == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		if cached, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
			t.Fatal(err)
		}
	}
	return cached
}

func pemBlock(t testing.TB, kind string, b []byte) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})
}

func TestCompleteRefuses(t *testing.T) {
	many := func(n int, f func(i int) string) (out []string) {
		for i := range n {
			out = append(out, f(i))
		}
		return out
	}
	numbered := func(i int) string { return fmt.Sprintf("a%d", i) }
	type change = func(*connection.Spec)
	uploaded := func(keys string) change {
		return func(s *connection.Spec) { s.JWKSURL, s.JWKS = "", json.RawMessage(keys) }
	}
	for _, tt := range []struct {
		name   string
		change change
		want   string // pointers; "" is accepted
	}{
		{"nothing at all", func(s *connection.Spec) { *s = connection.Spec{} }, "/jwks_url /conditions"},
		{"no key source", func(s *connection.Spec) { s.JWKSURL = "" }, "/jwks_url"},
		{"two key sources", func(s *connection.Spec) { s.IssuerURL = "https://ci.example" }, "/jwks_url"},
		{"three key sources", func(s *connection.Spec) { s.IssuerURL, s.JWKS = "https://ci.example", json.RawMessage(publicKeys) }, "/jwks_url"},
		{"an unknown provider", func(s *connection.Spec) { s.Provider = "gitea" }, "/provider"},
		{"settings of a generic JWT", func(s *connection.Spec) { s.Settings = provider.Settings{"owner": "x"} }, "/settings/owner"},
		{"missing settings are named alone", func(s *connection.Spec) { *s = connection.Spec{Provider: provider.GitHub} }, "/settings/owner"},
		{"wrong settings beside given conditions", func(s *connection.Spec) {
			s.Provider, s.Settings = provider.GitHub, provider.Settings{"owner": "*"}
		}, "/settings/owner"},
		{"an address of another scheme", func(s *connection.Spec) { s.JWKSURL = "file:///etc/passwd" }, "/jwks_url"},
		{"an address without a scheme", func(s *connection.Spec) { s.JWKSURL = "ci.example/jwks" }, "/jwks_url"},
		{"an address with a space", func(s *connection.Spec) { s.JWKSURL = "https://ci.example/ x" }, "/jwks_url"},
		{"an address of 2049 bytes", func(s *connection.Spec) { s.JWKSURL = "https://" + strings.Repeat("x", 2041) }, "/jwks_url"},
		{"an issuer with a newline", func(s *connection.Spec) { s.JWKSURL, s.IssuerURL = "", "https://ci.example\n" }, "/issuer_url"},
		{"uploaded public keys", uploaded(publicKeys), ""},
		{"an uploaded private key", uploaded(`{"keys":[{"kty":"EC","kid":"a","d":"secret"}]}`), "/jwks/keys/0"},
		{"an uploaded symmetric key", uploaded(`{"keys":[{"kty":"RSA"},{"kty":"oct","k":"secret"}]}`), "/jwks/keys/1"},
		{"an uploaded prime", uploaded(`{"keys":[{"kty":"RSA","n":"x","e":"AQAB","p":"secret"}]}`), "/jwks/keys/0"},
		{"uploaded keys that are a list", uploaded(`[]`), "/jwks"},
		{"no uploaded key", uploaded(`{"keys":[]}`), "/jwks"},
		{"uploaded keys that are no JSON", uploaded(`{`), "/jwks "},
		{"101 uploaded keys", uploaded(`{"keys":[` + strings.Join(many(101, func(int) string { return `{}` }), ",") + `]}`), "/jwks"},
		{"a certificate beside uploaded keys", func(s *connection.Spec) {
			uploaded(publicKeys)(s)
			s.CACertificate = certificate(t)
		}, "/ca_certificate"},
		{"a certificate", func(s *connection.Spec) { s.CACertificate = certificate(t) }, ""},
		{"a bundle", func(s *connection.Spec) { s.CACertificate = certificate(t) + certificate(t) }, ""},
		{"text for a certificate", func(s *connection.Spec) { s.CACertificate = "x" }, "/ca_certificate"},
		{"a key for a certificate", func(s *connection.Spec) { s.CACertificate = string(pemBlock(t, "PRIVATE KEY", []byte("x"))) }, "/ca_certificate"},
		{"a certificate that is none", func(s *connection.Spec) { s.CACertificate = string(pemBlock(t, "CERTIFICATE", []byte("x"))) }, "/ca_certificate"},
		{"no condition", func(s *connection.Spec) { s.Conditions = nil }, "/conditions"},
		{"twenty conditions", func(s *connection.Spec) {
			s.Conditions = nil
			for i := range 20 {
				s.Conditions = append(s.Conditions, equals(numbered(i), "x"))
			}
		}, ""},
		{"21 conditions", func(s *connection.Spec) {
			s.Conditions = nil
			for i := range 21 {
				s.Conditions = append(s.Conditions, equals(numbered(i), "x"))
			}
		}, "/conditions"},
		{"the same condition twice", func(s *connection.Spec) { s.Conditions = append(s.Conditions, equals("sub", "job")) }, "/conditions/3"},
		{"two conditions on one claim", func(s *connection.Spec) { s.Conditions = append(s.Conditions, equals("sub", "job2")) }, ""},
		{"a condition that breaks a rule", func(s *connection.Spec) { s.Conditions[2].Value = "" }, "/conditions/2/value"},
		{"an unknown operator", func(s *connection.Spec) { s.Conditions[1].Operator = "like" }, "/conditions/1/operator"},
		{"an identity by index", func(s *connection.Spec) { s.IdentityClaim = "/g/0" }, "/identity_claim"},
		{"iss as identity", func(s *connection.Spec) { s.IdentityClaim = "iss" }, "/identity_claim"},
		{"aud as identity, by pointer", func(s *connection.Spec) { s.IdentityClaim = "/aud" }, "/identity_claim"},
		{"jti as identity", func(s *connection.Spec) { s.IdentityClaim = "jti" }, "/identity_claim"},
		{"exp as identity", func(s *connection.Spec) { s.IdentityClaim = "exp" }, "/identity_claim"},
		{"a nested identity", func(s *connection.Spec) { s.IdentityClaim = "kubernetes.io/namespace" }, ""},
		{"an identity path", func(s *connection.Spec) { s.IdentityPath = "apps/ci_1.x" }, ""},
		{"an identity path that climbs", func(s *connection.Spec) { s.IdentityPath = "apps/../x" }, "/identity_path"},
		{"an identity path of a dot", func(s *connection.Spec) { s.IdentityPath = "." }, "/identity_path"},
		{"an identity path that begins with a slash", func(s *connection.Spec) { s.IdentityPath = "/apps" }, "/identity_path"},
		{"an identity path that ends with a slash", func(s *connection.Spec) { s.IdentityPath = "apps/" }, "/identity_path"},
		{"an identity path with a percent sign", func(s *connection.Spec) { s.IdentityPath = "a%2fb" }, "/identity_path"},
		{"an identity path of 201 bytes", func(s *connection.Spec) { s.IdentityPath = strings.Repeat("x", 201) }, "/identity_path"},
		{"ten audiences", func(s *connection.Spec) { s.Audiences = many(10, numbered) }, ""},
		{"eleven audiences", func(s *connection.Spec) { s.Audiences = many(11, numbered) }, "/audiences"},
		{"our own issuer", func(s *connection.Spec) { s.Audiences = []string{ourIssuer} }, "/audiences/0"},
		{"a connection of ours as audience", func(s *connection.Spec) { s.Audiences = []string{ourIssuer + "/connections/ci"} }, "/audiences/0"},
		{"another organisation whose name begins like ours", func(s *connection.Spec) { s.Audiences = []string{ourIssuer + "-2"} }, ""},
		{"an empty audience", func(s *connection.Spec) { s.Audiences = []string{""} }, "/audiences/0"},
		{"an audience with a space", func(s *connection.Spec) { s.Audiences = []string{"a b"} }, "/audiences/0"},
		{"an audience of 257 bytes", func(s *connection.Spec) { s.Audiences = []string{strings.Repeat("x", 257)} }, "/audiences/0"},
		{"an audience twice", func(s *connection.Spec) { s.Audiences = []string{"a", "b", "a"} }, "/audiences/2"},
		{"claims for audiences", func(s *connection.Spec) { s.AudienceClaims = []string{"ref", "/kubernetes.io/namespace"} }, ""},
		{"a registered claim for audiences", func(s *connection.Spec) { s.AudienceClaims = []string{"ref", "exp"} }, "/audience_claims/1"},
		{"sub for audiences, by pointer", func(s *connection.Spec) { s.AudienceClaims = []string{"/sub"} }, "/audience_claims/0"},
		{"a claim for audiences twice", func(s *connection.Spec) { s.AudienceClaims = []string{"ref", "ref"} }, "/audience_claims/1"},
		{"a claim for audiences that is no path", func(s *connection.Spec) { s.AudienceClaims = []string{""} }, "/audience_claims/0"},
		{"51 claims for audiences", func(s *connection.Spec) { s.AudienceClaims = many(51, numbered) }, "/audience_claims"},
		{"a second", func(s *connection.Spec) { s.TokenTTL = connection.Duration{Amount: 1, Unit: "seconds"} }, ""},
		{"24 hours", func(s *connection.Spec) { s.TokenTTL = connection.Duration{Amount: 24, Unit: "hours"} }, ""},
		{"a second more than 24 hours", func(s *connection.Spec) { s.TokenTTL = connection.Duration{Amount: 86401, Unit: "seconds"} }, "/token_ttl/amount"},
		{"25 hours", func(s *connection.Spec) { s.TokenTTL = connection.Duration{Amount: 25, Unit: "hours"} }, "/token_ttl/amount"},
		{"no seconds", func(s *connection.Spec) { s.TokenTTL = connection.Duration{Amount: 0, Unit: "seconds"} }, "/token_ttl/amount"},
		{"less than none", func(s *connection.Spec) { s.TokenTTL = connection.Duration{Amount: -1, Unit: "minutes"} }, "/token_ttl/amount"},
		{"an amount that overflows", func(s *connection.Spec) { s.TokenTTL = connection.Duration{Amount: 5124096, Unit: "hours"} }, "/token_ttl/amount"},
		{"days", func(s *connection.Spec) { s.TokenTTL = connection.Duration{Amount: 1, Unit: "days"} }, "/token_ttl/unit"},
		{"an age of proofs", func(s *connection.Spec) { s.ProofMaxAge = &connection.Duration{Amount: 5, Unit: "minutes"} }, ""},
		{"an age of nothing", func(s *connection.Spec) { s.ProofMaxAge = &connection.Duration{} }, "/proof_max_age/unit"},
		{"an age of 25 hours", func(s *connection.Spec) { s.ProofMaxAge = &connection.Duration{Amount: 25, Unit: "hours"} }, "/proof_max_age/amount"},
		{"all algorithms", func(s *connection.Spec) {
			s.Algorithms = []string{"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"}
		}, ""},
		{"no algorithms", func(s *connection.Spec) { s.Algorithms = []string{} }, "/algorithms"},
		{"none", func(s *connection.Spec) { s.Algorithms = []string{"none"} }, "/algorithms/0"},
		{"an HMAC", func(s *connection.Spec) { s.Algorithms = []string{"RS256", "HS256"} }, "/algorithms/1"},
		{"an algorithm in another case", func(s *connection.Spec) { s.Algorithms = []string{"rs256"} }, "/algorithms/0"},
		{"an algorithm twice", func(s *connection.Spec) { s.Algorithms = []string{"RS256", "RS256"} }, "/algorithms/1"},
		{"1000 characters of description", func(s *connection.Spec) { s.Description = strings.Repeat("é", 1000) }, ""},
		{"1001 characters of description", func(s *connection.Spec) { s.Description = strings.Repeat("é", 1001) }, "/description"},
		{"lines in a description", func(s *connection.Spec) { s.Description = "one\n\ttwo" }, ""},
		{"an override in a description", func(s *connection.Spec) { s.Description = "a\u202eb" }, "/description"},
		{"a description that is no UTF-8", func(s *connection.Spec) { s.Description = "a\xff" }, "/description"},
		{"an audience that is no UTF-8", func(s *connection.Spec) { s.Audiences = []string{"a\xff"} }, "/audiences/0"},
		{"more than 40 KiB", func(s *connection.Spec) {
			s.Conditions = nil
			for i := range 20 {
				s.Conditions = append(s.Conditions, claim.Condition{Claim: claim.Path(numbered(i)), Operator: claim.OneOf,
					Values: many(50, func(j int) string { return strings.Repeat("x", 40) + numbered(j) })})
			}
		}, " "},
		{"several at once", func(s *connection.Spec) {
			s.IdentityPath, s.Algorithms, s.TokenTTL.Unit = "..", []string{"none"}, "x"
		}, "/identity_path /token_ttl/unit /algorithms/0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := connection.Complete(written(tt.change), ourIssuer)
			var got []string
			var e *domain.Error
			if errors.As(err, &e) {
				for _, f := range e.Fields {
					got = append(got, f.Pointer)
					if f.Code == "" || f.Detail == "" {
						t.Errorf("%s has no code or detail", f.Pointer)
					}
				}
			}
			if strings.TrimSpace(strings.Join(got, " ")) != strings.TrimSpace(tt.want) || (err == nil) != (tt.want == "") {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

// What fits into one request must not keep a processor busy, nor be answered
// with a line for each entry.
func TestListsThatAreFarTooLongAreRefusedAtOnce(t *testing.T) {
	const n = 150_000
	texts := make([]string, n)
	conditions := make([]claim.Condition, n)
	for i := range n {
		texts[i] = strconv.Itoa(i)
		conditions[i] = equals("sub", texts[i])
	}
	drafted := state(happened{dana, connection.WasDrafted{Spec: spec(t)}})
	complete := func(change func(*connection.Spec)) error {
		_, err := connection.Complete(written(change), ourIssuer)
		return err
	}
	for _, tt := range []struct {
		name string
		do   func() error
		want string // pointers
	}{
		{"conditions", func() error { return complete(func(s *connection.Spec) { s.Conditions = conditions }) }, "/conditions "},
		{"audiences", func() error { return complete(func(s *connection.Spec) { s.Audiences = texts }) }, "/audiences "},
		{"claims for audiences", func() error { return complete(func(s *connection.Spec) { s.AudienceClaims = texts }) }, "/audience_claims "},
		{"algorithms", func() error { return complete(func(s *connection.Spec) { s.Algorithms = texts }) }, "/algorithms "},
		{"acknowledged codes", func() error {
			_, err := decide(drafted, sven, connection.Activate{Version: 1, Acknowledge: texts, Issuer: ourIssuer})
			return err
		}, "/acknowledge"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			var e *domain.Error
			if err := tt.do(); !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if took := time.Since(began); took > 20*time.Second { // quadratic work would take minutes
				t.Errorf("it took %s", took)
			}
			var got []string
			for _, f := range e.Fields {
				got = append(got, f.Pointer)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %d fields, from %q on; want %q", len(got), got[:min(len(got), 3)], tt.want)
			}
		})
	}
}

func TestDurationValue(t *testing.T) {
	for d, want := range map[connection.Duration]string{
		{Amount: 90, Unit: "seconds"}: "1m30s",
		{Amount: 15, Unit: "minutes"}: "15m0s",
		{Amount: 2, Unit: "hours"}:    "2h0m0s",
		{Amount: 2, Unit: "weeks"}:    "0s",
	} {
		if got := d.Value().String(); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}
