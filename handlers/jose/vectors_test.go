package jose

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"sallyport.dev/domain/proof"
)

// verifyJWS verifies a compact JWS the way Verify does, without asking that
// its payload is a set of claims and that its header names a kid: so that the
// published vectors reach the signature.
func verifyJWS(compact string, jwk map[string]any) bool {
	p, r := split(compact)
	if r != nil {
		return false
	}
	h, r := decodeObject(p.header, headerLimits, "header")
	if r != nil {
		return false
	}
	if _, there := h["kid"]; !there {
		h["kid"] = "k"
	}
	header, r := readHeader(h)
	if r != nil {
		return false
	}
	public := maps.Clone(jwk)
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi"} {
		delete(public, private)
	}
	public["kid"] = header.KeyID
	doc, err := json.Marshal(map[string]any{"keys": []any{public}})
	if err != nil {
		return false
	}
	set, err := ParseKeySet(doc)
	if err != nil {
		return false
	}
	k, ok := set.Find(header.KeyID)
	if !ok || !k.fits(header.Algorithm) {
		return false
	}
	return algorithms[header.Algorithm].verify(p.input, p.signature, k.Public) == nil
}

// falseRejects are the valid vectors that we refuse, and why. The comments are Wycheproof's.
var falseRejects = map[string]string{
	"1 hs256 acceptsValid":                         "HMAC",
	"348 rfc7520 Figure35":                         "HMAC",
	"352 rfc7520 Figure35":                         "HMAC",
	"357 base64 ValidMac":                          "HMAC",
	"358 base64 ValidEdgeCaseMac":                  "HMAC",
	"359 base64 ValidEdgeCaseMac":                  "HMAC",
	"372 base64 InvalidCharacterInsertedInHeader":  "HMAC, and a character that is not base64url",
	"373 base64 InvalidCharacterInsertedInPayload": "HMAC, and a character that is not base64url",
	"376 base64 ValidSpacesInJsonHeader":           "HMAC",
	"377 base64 ValidWhiteSpaceInJsonHeader":       "HMAC",
	"259 rs256 emptyPayload":                       "an empty payload holds no claims",
	"264 rs384 emptyPayload":                       "an empty payload holds no claims",
	"268 rs512 emptyPayload":                       "an empty payload holds no claims",
	"272 ps256 emptyPayload":                       "an empty payload holds no claims",
	"320 ps384 emptyPayload":                       "an empty payload holds no claims",
	"325 ps512 emptyPayload":                       "an empty payload holds no claims",
	"346 rfc7520 Figure20":                         "its header says PS384 and its key PS256",
	"350 rfc7520WithKeyOps Figure20":               "its header says PS384 and its key PS256",
	"347 rfc7520 Figure27":                         "its key says ES521, which is no algorithm",
	"351 rfc7520WithKeyOps Figure27":               "its key says ES521, which is no algorithm",
}

func TestWycheproofSignatures(t *testing.T) {
	var w struct {
		NumberOfTests int
		TestGroups    []struct {
			Comment         string
			Private, Public map[string]any
			Tests           []struct {
				TcID    int
				Comment string
				JWS     string
				Result  string
			}
		}
	}
	readJSON(t, vectors(t, "wycheproof", "json_web_signature_test.json"), &w)
	n, refusedValid := 0, map[string]bool{}
	for _, g := range w.TestGroups {
		jwk := g.Public
		if jwk == nil {
			jwk = g.Private
		}
		for _, c := range g.Tests {
			n++
			ok := verifyJWS(c.JWS, jwk)
			if ok && c.Result != "valid" {
				t.Errorf("%d %s %s: accepted, and it is %s", c.TcID, g.Comment, c.Comment, c.Result)
			}
			if !ok && c.Result == "valid" {
				refusedValid[fmt.Sprintf("%d %s %s", c.TcID, g.Comment, c.Comment)] = true
			}
			// Through the front door none comes: no payload is a set of claims.
			if _, checks := Verify(t.Context(), c.JWS, everyAlgorithm, refused{}, noon); proof.Passed(checks) {
				t.Errorf("%d %s: Verify passed", c.TcID, c.Comment)
			}
		}
	}
	for name := range refusedValid {
		if falseRejects[name] == "" {
			t.Errorf("%s is valid, and was refused", name)
		}
	}
	for name := range falseRejects {
		if !refusedValid[name] {
			t.Errorf("%s was not refused: take it off the list", name)
		}
	}
	if n != 401 || n != w.NumberOfTests {
		t.Errorf("got %d vectors, want 401", n)
	}
}

func TestRFCVectors(t *testing.T) {
	var v struct {
		Signatures []struct {
			ID, Alg, JWS string
			JWK          map[string]any
			CryptoValid  bool `json:"crypto_valid"`
			Sallyport    string
			Why          string
		}
		Thumbprints []struct {
			ID, SHA256 string
			JWK        json.RawMessage
		}
	}
	readJSON(t, vectors(t, "rfc", "rfc-jose-vectors.json"), &v)
	for _, c := range v.Signatures {
		_, known := algorithms[c.Alg]
		if ok := verifyJWS(c.JWS, c.JWK); ok != (c.CryptoValid && known) {
			t.Errorf("%s: the signature verifies: %v, want %v", c.ID, ok, c.CryptoValid && known)
		}
		if _, checks := Verify(t.Context(), c.JWS, everyAlgorithm, refused{}, noon); proof.Passed(checks) || c.Sallyport != "reject" {
			t.Errorf("%s: passed is %v, want %s (%s)", c.ID, proof.Passed(checks), c.Sallyport, c.Why)
		}
	}
	for _, c := range v.Thumbprints {
		k, err := ParseKey(c.JWK)
		if err != nil || k.Thumbprint() != c.SHA256 {
			t.Errorf("%s: got %s, %v, want %s", c.ID, k.Thumbprint(), err, c.SHA256)
		}
	}
	if len(v.Signatures) != 7 || len(v.Thumbprints) != 2 {
		t.Errorf("got %d signatures and %d thumbprints, want 7 and 2", len(v.Signatures), len(v.Thumbprints))
	}
}

// cookbook is what we make of the signatures of RFC 7520 and its neighbours.
var cookbook = map[string]bool{
	"jws/4_1.rsa_v15_signature.json":                 true,
	"jws/4_2.rsa-pss_signature.json":                 true,
	"jws/4_3.ecdsa_signature.json":                   true,
	"curve25519/jws.json":                            true,
	"jws/4_4.hmac-sha2_integrity_protection.json":    false, // HMAC
	"jws/4_5.signature_with_detached_content.json":   false, // no payload
	"jws/4_6.protecting_specific_header_fields.json": false, // JSON serialisation
	"jws/4_7.protecting_content_only.json":           false, // JSON serialisation
	"jws/4_8.multiple_signatures.json":               false, // JSON serialisation
	"rfc7797/4.2.hmac-sha2_b64_false.json":           false, // b64
	"rfc7797/hmac-sha2_b64_false.json":               false, // b64
}

func TestCookbook(t *testing.T) {
	dir := vectors(t, "rfc7520-cookbook")
	for name, want := range cookbook {
		var c struct {
			Input struct {
				Key json.RawMessage
			}
			Output struct {
				Compact  string
				JSON     json.RawMessage
				JSONFlat json.RawMessage `json:"json_flat"`
			}
		}
		readJSON(t, filepath.Join(dir, name), &c)
		var key map[string]any
		_ = json.Unmarshal(c.Input.Key, &key) // 4.8 has a list of keys: JSON serialisation alone
		ok := verifyJWS(c.Output.Compact, key)
		if ok != want {
			t.Errorf("%s: the compact form verifies: %v, want %v", name, ok, want)
		}
		for _, form := range []string{c.Output.Compact, string(c.Output.JSON), string(c.Output.JSONFlat)} {
			if _, checks := Verify(t.Context(), form, everyAlgorithm, refused{}, noon); proof.Passed(checks) {
				t.Errorf("%s: passed", name)
			}
		}
	}
	encrypted, err := filepath.Glob(filepath.Join(dir, "jwe", "*.json"))
	if err != nil || len(encrypted) != 13 {
		t.Fatalf("got %d encrypted examples, %v, want 13", len(encrypted), err)
	}
	for _, path := range encrypted {
		var c struct{ Output struct{ Compact string } }
		readJSON(t, path, &c)
		if _, err := ParseCompact(c.Output.Compact); err == nil || strings.Count(c.Output.Compact, ".") == 4 && reasonOf(err) != "not_compact_jws" {
			t.Errorf("%s: got %v, want it refused by its shape", filepath.Base(path), err)
		}
	}
}
