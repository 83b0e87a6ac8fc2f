package jose

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A proof's form: each row changes a good token in one way.
func TestCompactForm(t *testing.T) {
	k := hostKey(t, "ec_e1")
	good := forge(t, k, "ES256", header(t, k, nil), claims(t, nil))
	parts := strings.Split(good, ".")
	signed := func(h, c map[string]any) string { return forge(t, k, "ES256", header(t, k, h), claims(t, c)) }
	raw := func(h, c string) string { return forge(t, k, "ES256", h, c) }
	for _, c := range []struct {
		name, token string
		reasons     []string
	}{
		{"a good one", good, nil},
		{"nothing", "", []string{"not_compact_jws"}},
		{"one part", parts[0], []string{"not_compact_jws"}},
		{"two parts", parts[0] + "." + parts[1], []string{"not_compact_jws"}},
		{"four parts", good + ".", []string{"not_compact_jws"}},
		{"five parts, as a JWE", good + ".a.b", []string{"not_compact_jws"}},
		{"JSON serialisation", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, []string{"not_compact_jws"}},
		{"dots alone", "..", []string{"empty_segment"}},
		{"no header", "." + parts[1] + "." + parts[2], []string{"empty_segment"}},
		{"no claims", parts[0] + ".." + parts[2], []string{"empty_segment"}},
		{"no signature", parts[0] + "." + parts[1] + ".", []string{"empty_segment"}},
		{"padding", good + "==", []string{"bad_base64url"}},
		{"a leading space", " " + good, []string{"bad_base64url"}},
		{"a trailing newline", good + "\n", []string{"bad_base64url"}},
		{"a newline inside the claims", parts[0] + "." + parts[1][:8] + "\r\n" + parts[1][8:] + "." + parts[2], []string{"bad_base64url"}},
		{"a NUL", good + "\x00", []string{"bad_base64url"}},
		{"the standard alphabet", parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-2] + "+/", []string{"bad_base64url"}},
		{"an escaped dot", strings.Replace(good, ".", "%2E", 1), []string{"not_compact_jws"}},
		{"a Bearer prefix", "Bearer " + good, []string{"bad_base64url"}},
		{"last bits that are not zero", parts[0] + "." + parts[1] + "." + parts[2][:85] + nextLetter(parts[2][85:]), []string{"bad_base64url"}},

		{"alg missing", signed(map[string]any{"alg": nil}, nil), []string{"alg_missing"}},
		{"alg null", raw(`{"alg":null,"kid":"e1"}`, claims(t, nil)), []string{"alg_missing"}},
		{"alg a list", signed(map[string]any{"alg": []string{"ES256"}}, nil), []string{"alg_missing"}},
		{"kid missing", signed(map[string]any{"kid": nil}, nil), []string{"kid_missing"}},
		{"kid empty", signed(map[string]any{"kid": ""}, nil), []string{"kid_missing"}},
		{"kid a number", signed(map[string]any{"kid": 1}, nil), []string{"kid_missing"}},
		{"kid of 256 bytes", signed(map[string]any{"kid": strings.Repeat("k", 256)}, nil), nil},
		{"kid of 257 bytes", signed(map[string]any{"kid": strings.Repeat("k", 257)}, nil), []string{"kid_missing"}},
		{"kid with a space", signed(map[string]any{"kid": "e 1"}, nil), []string{"kid_missing"}},
		{"kid with a NUL", signed(map[string]any{"kid": "e1\x00"}, nil), []string{"kid_missing"}},
		{"kid with a zero width space", signed(map[string]any{"kid": "e1\u200b"}, nil), []string{"kid_missing"}},
		{"crit", signed(map[string]any{"crit": []string{"exp"}}, nil), []string{"header_forbidden_crit"}},
		{"crit empty", signed(map[string]any{"crit": []string{}}, nil), []string{"header_forbidden_crit"}},
		{"b64 false", signed(map[string]any{"b64": false}, nil), []string{"header_forbidden_b64"}},
		{"b64 true", signed(map[string]any{"b64": true}, nil), []string{"header_forbidden_b64"}},
		{"zip", signed(map[string]any{"zip": "DEF"}, nil), []string{"header_forbidden_zip"}},
		{"cty", signed(map[string]any{"cty": "JWT"}, nil), []string{"header_forbidden_cty"}},
		{"jwk", signed(map[string]any{"jwk": map[string]any{}}, nil), []string{"header_forbidden_jwk"}},
		{"alg twice", raw(`{"alg":"none","alg":"ES256","kid":"e1"}`, claims(t, nil)), []string{"header_duplicate_member"}},
		{"a header that is a list", raw(`["ES256"]`, claims(t, nil)), []string{"header_not_an_object"}},
		{"an inner JWT", raw(header(t, k, nil), good), []string{"claims_not_an_object"}},

		{"typ absent", signed(map[string]any{"typ": nil}, nil), nil},
		{"typ jwt", signed(map[string]any{"typ": "jwt"}, nil), nil},
		{"typ JOSE", signed(map[string]any{"typ": "JOSE"}, nil), nil},
		{"typ at+jwt, as ours", signed(map[string]any{"typ": "at+jwt"}, nil), []string{"typ_not_allowed"}},
		{"typ logout+jwt", signed(map[string]any{"typ": "logout+jwt"}, nil), []string{"typ_not_allowed"}},
		{"typ a number", signed(map[string]any{"typ": 1}, nil), []string{"typ_not_allowed"}},
		{"typ empty", signed(map[string]any{"typ": ""}, nil), []string{"typ_not_allowed"}},
		{"typ null", raw(`{"alg":"ES256","kid":"e1","typ":null}`, claims(t, nil)), []string{"typ_not_allowed"}},
		{"typ with a long s", signed(map[string]any{"typ": "JO\u017fE"}, nil), []string{"typ_not_allowed"}},

		{"sub missing", signed(nil, map[string]any{"sub": nil}), []string{"sub_invalid"}},
		{"sub a space", signed(nil, map[string]any{"sub": " "}), []string{"sub_invalid"}},
		{"sub a list", signed(nil, map[string]any{"sub": []string{"a"}}), []string{"sub_invalid"}},
		{"sub with a line end", signed(nil, map[string]any{"sub": "a\nb"}), []string{"sub_invalid"}},
		{"sub with a right-to-left mark", signed(nil, map[string]any{"sub": "a\u202eb"}), []string{"sub_invalid"}},
		{"sub with a line separator", signed(nil, map[string]any{"sub": "a\u2028b"}), []string{"sub_invalid"}},
		{"sub with a replacement character", signed(nil, map[string]any{"sub": "a\ufffdb"}), []string{"sub_invalid"}},
		{"sub of 1024 bytes", signed(nil, map[string]any{"sub": strings.Repeat("s", 1024)}), nil},
		{"sub of 1025 bytes", signed(nil, map[string]any{"sub": strings.Repeat("s", 1025)}), []string{"sub_invalid"}},
		{"sub and typ both wrong: both are told", signed(map[string]any{"typ": "x"}, map[string]any{"sub": ""}), []string{"sub_invalid", "typ_not_allowed"}},
		{"aud missing", signed(nil, map[string]any{"aud": nil}), nil},
		{"aud a list", signed(nil, map[string]any{"aud": []string{"a", "b"}}), nil},
		{"aud null", raw(header(t, k, nil), `{"sub":"a","aud":null,"iat":1767225600,"exp":1767225900}`), []string{"aud_bad_type"}},
		{"aud a number", signed(nil, map[string]any{"aud": 1}), []string{"aud_bad_type"}},
		{"aud a list in a list", signed(nil, map[string]any{"aud": []any{[]string{"a"}}}), []string{"aud_bad_type"}},
		{"aud of 16", signed(nil, map[string]any{"aud": strings.Split("abcdefghijklmnop", "")}), nil},
		{"aud of 17", signed(nil, map[string]any{"aud": strings.Split("abcdefghijklmnopq", "")}), []string{"aud_too_many"}},
		{"300 claims", raw(header(t, k, nil), manyClaims(300)), []string{"claims_too_many_members"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, f := parse(c.token)
			var got []string
			for _, r := range f.all() {
				got = append(got, r.Reason)
			}
			wantReasons(t, got, c.reasons...)
			if _, err := ParseCompact(c.token); (err == nil) != (len(c.reasons) == 0) {
				t.Errorf("ParseCompact: got %v, want an error: %v", err, len(c.reasons) > 0)
			}
		})
	}
}

// nextLetter changes a base64url letter in its last bit.
func nextLetter(s string) string { return string(rune(s[0]) + 1) }

func manyClaims(n int) string {
	var b strings.Builder
	b.WriteString(`{"sub":"a"`)
	for i := range n {
		fmt.Fprintf(&b, `,"c%d":1`, i)
	}
	return b.String() + "}"
}

func TestSizesAreRefusedBeforeAnythingIsParsed(t *testing.T) {
	// Not one of these is JSON: the size must be found out first.
	fill := func(decoded int) string {
		return strings.Repeat("A", decoded/3*4) + []string{"", "AA", "AAA"}[decoded%3]
	}
	for _, c := range []struct{ name, token, reason string }{
		{"a token of 16 KiB", "e30." + strings.Repeat("A", MaxTokenBytes-8) + ".AAA", "alg_missing"},
		{"a token of a byte more", "e30." + strings.Repeat("A", MaxTokenBytes-7) + ".AAA", "token_too_large"},
		{"a header of 2 KiB", fill(MaxHeaderBytes) + ".e30.AAAA", "header_not_an_object"},
		{"a header of a byte more", fill(MaxHeaderBytes+1) + ".e30.AAAA", "header_too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, f := parse(c.token); f.fatal == nil || f.fatal.Reason != c.reason {
				t.Errorf("got %v, want %s", f.fatal, c.reason)
			}
		})
	}
	// A token of 16 KiB has no room for more than 12 KiB of claims; the claims are measured all the same.
	for n, reason := range map[int]string{MaxClaimsBytes: "claims_not_an_object", MaxClaimsBytes + 1: "claims_too_large"} {
		if _, r := decodeObject(fill(n), claimLimits, "claims"); r.Reason != reason {
			t.Errorf("%d bytes of claims: got %v, want %s", n, r, reason)
		}
	}
}

func TestManyDotsAreCheap(t *testing.T) {
	for _, n := range []int{16000, 20000, 1 << 20} {
		dots := strings.Repeat(".", n)
		if _, f := parse(dots); f.fatal == nil || f.fatal.Reason != "not_compact_jws" {
			t.Errorf("%d dots: got %v, want not_compact_jws", n, f.fatal)
		}
		quickest := time.Hour // of several, since others use this machine, too
		for range 10 {
			start := time.Now()
			parse(dots)
			quickest = min(quickest, time.Since(start))
		}
		if quickest > time.Second {
			t.Errorf("%d dots: it took %v", n, quickest)
		}
		if a := testing.AllocsPerRun(10, func() { parse(dots) }); a > 4 {
			t.Errorf("%d dots: got %v allocations, want at most 4", n, a)
		}
	}
}

func TestHeadersThatNameKeysAreListedAndNothingElse(t *testing.T) {
	k := hostKey(t, "ec_e1")
	token := forge(t, k, "ES256", header(t, k, map[string]any{"jku": "http://127.0.0.1/", "x5u": "http://127.0.0.1/", "x5c": []string{"a"}, "x5t": "a"}), claims(t, nil))
	c, err := ParseCompact(token)
	if err != nil || strings.Join(c.Header.Ignored, " ") != "jku x5u x5c x5t" {
		t.Errorf("got %v, %v, want jku x5u x5c x5t", c.Header.Ignored, err)
	}
	got, checks := reasons(t, token, everyAlgorithm, Static(setOf(t, k)), noon)
	if len(got) > 0 || !strings.Contains(checks[0].Message, "jku, x5u, x5c, x5t were ignored") {
		t.Errorf("got %v, %q", got, checks[0].Message)
	}
}

func TestATokenDoesNotPrint(t *testing.T) {
	k := hostKey(t, "ec_e1")
	token := forge(t, k, "ES256", header(t, k, nil), claims(t, nil))
	c, err := ParseCompact(token)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("seen", "token", c)
	for _, s := range []string{log.String(), fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s", c, c, c, c)} {
		for _, part := range strings.Split(token, ".") {
			if strings.Contains(s, part) || strings.Contains(s, "acme") {
				t.Errorf("%q shows the token", s)
			}
		}
	}
}
