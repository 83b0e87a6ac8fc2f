package connection_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
)

func admit(t testing.TB, s connection.Spec, claims string) (string, []proof.Check) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(claims))
	dec.UseNumber()
	var set claim.Set
	if err := dec.Decode(&set); err != nil {
		t.Fatal(err)
	}
	return s.Admit(proof.Proof{Claims: set})
}

func TestAdmitReportsEveryCheck(t *testing.T) {
	identity, checks := admit(t, spec(t), `{"iss":"https://ci.example/","aud":["other"],"sub":"job"}`)
	if identity != "job" {
		t.Errorf("got identity %q, want job: other failures do not hide it", identity)
	}
	want := []struct {
		check, claim string
		result       proof.Result
		code         string
	}{
		{"condition", "iss", proof.Fail, "proof.conditions"},
		{"condition", "aud", proof.Fail, "proof.conditions"},
		{"condition", "sub", proof.Pass, ""},
		{"identity", "sub", proof.Pass, ""},
	}
	if len(checks) != len(want) {
		t.Fatalf("got %d checks, want %d: %+v", len(checks), len(want), checks)
	}
	for i, w := range want {
		c := checks[i]
		if c.Check != w.check || c.Claim != w.claim || c.Result != w.result || c.Code != w.code || c.Message == "" {
			t.Errorf("check %d: got %+v, want %+v", i, c, w)
		}
	}
	if c := checks[0]; c.Expected != "https://ci.example" || c.Actual != "https://ci.example/" || c.Operator != "equals" || !strings.Contains(c.Message, "trailing slash") {
		t.Errorf("got %+v, want both sides and the near miss", c)
	}
	if proof.Passed(checks) {
		t.Error("a proof that meets one condition of three is admitted")
	}
	if identity, checks := admit(t, spec(t), `{"iss":"https://ci.example","aud":"`+ourIssuer+`","sub":"job"}`); identity != "job" || !proof.Passed(checks) {
		t.Errorf("got %q, %+v; want it admitted", identity, checks)
	}
}

func TestAdmitHoldsProofsToTheIssuerOfTheirKeys(t *testing.T) {
	byIssuer := func(s *connection.Spec) {
		s.JWKSURL, s.IssuerURL, s.Conditions = "", "https://ci.example", []claim.Condition{equals("sub", "job")}
	}
	for _, tt := range []struct {
		name   string
		change func(*connection.Spec)
		claims string
		checks int
		passed bool
	}{
		{"the issuer of the keys", byIssuer, `{"iss":"https://ci.example","sub":"job"}`, 3, true},
		{"another issuer", byIssuer, `{"iss":"https://evil.example","sub":"job"}`, 3, false},
		{"no issuer", byIssuer, `{"sub":"job"}`, 3, false},
		{"a null issuer", byIssuer, `{"iss":null,"sub":"job"}`, 3, false},
		{"said once is checked once", func(s *connection.Spec) {
			byIssuer(s)
			s.Conditions = append(s.Conditions, equals("iss", "https://ci.example"))
		}, `{"iss":"https://ci.example","sub":"job"}`, 3, true},
		{"presence does not stand for it", func(s *connection.Spec) {
			byIssuer(s)
			s.Conditions = append(s.Conditions, exists("iss"))
		}, `{"iss":"https://evil.example","sub":"job"}`, 4, false},
		{"keys by their own address say nothing of iss", func(s *connection.Spec) { s.Conditions = []claim.Condition{equals("sub", "job")} }, `{"sub":"job"}`, 2, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, checks := admit(t, spec(t, tt.change), tt.claims)
			if len(checks) != tt.checks || proof.Passed(checks) != tt.passed {
				t.Errorf("got %d checks, passed %t: %+v; want %d, %t", len(checks), proof.Passed(checks), checks, tt.checks, tt.passed)
			}
		})
	}
}

func TestAdmitNamesTheWorkload(t *testing.T) {
	named := func(path claim.Path, under string) func(*connection.Spec) {
		return func(s *connection.Spec) { s.IdentityClaim, s.IdentityPath = path, under }
	}
	sub := named("sub", "")
	quoted := func(v string) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return `{"sub":` + string(b) + `}`
	}
	for _, tt := range []struct {
		name   string
		change func(*connection.Spec)
		claims string
		want   string // "" is refused
	}{
		{"a subject", sub, `{"sub":"repo:octo/app:ref:refs/heads/main"}`, "repo:octo/app:ref:refs/heads/main"},
		{"a subject with spaces in it", sub, `{"sub":"project:Default Project"}`, "project:Default Project"},
		{"a subject with braces and percent", sub, `{"sub":"{a}%2F"}`, "{a}%2F"},
		{"a subject that climbs is one name", sub, `{"sub":"../admin"}`, "../admin"},
		{"a face", sub, `{"sub":"\ud83d\ude00"}`, "😀"},
		{"a composed character", sub, `{"sub":"\u00e9"}`, "é"},
		{"a decomposed character stays so", sub, `{"sub":"e\u0301"}`, "e\u0301"},
		{"1024 bytes", sub, quoted(strings.Repeat("x", 1024)), strings.Repeat("x", 1024)},
		{"under a path", named("sub", "apps/ci"), `{"sub":"job"}`, "apps/ci/job"},
		{"a nested claim", named("kubernetes.io/namespace", ""), `{"kubernetes.io":{"namespace":"ns"}}`, "ns"},

		{"absent", sub, `{}`, ""},
		{"null", sub, `{"sub":null}`, ""},
		{"empty", sub, `{"sub":""}`, ""},
		{"a space", sub, `{"sub":" "}`, ""},
		{"a number", sub, `{"sub":7}`, ""},
		{"a boolean", sub, `{"sub":true}`, ""},
		{"a list", sub, `{"sub":["a"]}`, ""},
		{"an object", sub, `{"sub":{"a":"b"}}`, ""},
		{"NUL", sub, `{"sub":"a\u0000b"}`, ""},
		{"a newline", sub, `{"sub":"a\nb"}`, ""},
		{"a zero-width space", sub, `{"sub":"a\u200bb"}`, ""},
		{"a right-to-left override", sub, `{"sub":"a\u202eb"}`, ""},
		{"a byte order mark", sub, `{"sub":"\ufeffa"}`, ""},
		{"a line separator", sub, `{"sub":"a\u2028b"}`, ""},
		{"the replacement character", sub, `{"sub":"a\ufffdb"}`, ""},
		{"a lone surrogate", sub, `{"sub":"\ud800"}`, ""},
		{"1025 bytes", sub, quoted(strings.Repeat("x", 1025)), ""},
		{"a dot", sub, `{"sub":"."}`, ""},
		{"two dots", sub, `{"sub":".."}`, ""},
		{"empty under a path", named("sub", "apps"), `{"sub":""}`, ""},
		{"a path through a string", named("sub/name", ""), `{"sub":"x"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			identity, checks := admit(t, spec(t, tt.change), tt.claims)
			last := checks[len(checks)-1]
			if identity != tt.want || last.Check != proof.Identity || (last.Result == proof.Pass) != (tt.want != "") || (last.Code == "proof.identity") != (tt.want == "") {
				t.Errorf("got %q, %+v; want %q", identity, last, tt.want)
			}
		})
	}
	t.Run("bytes that are no UTF-8", func(t *testing.T) {
		if identity, _ := spec(t).Admit(proof.Proof{Claims: claim.Set{"sub": "a\xff"}}); identity != "" {
			t.Errorf("got %q, want it refused", identity)
		}
	})
	t.Run("no claims at all", func(t *testing.T) {
		if identity, checks := spec(t).Admit(proof.Proof{}); identity != "" || proof.Passed(checks) || len(checks) != 4 {
			t.Errorf("got %q, %+v", identity, checks)
		}
	})
}

// Two workloads of a connection are never one, whatever their claims say: what
// stands in the token's sub is an injective image of the claim's bytes.
func TestIdentitiesStayApart(t *testing.T) {
	text := rapid.OneOf(rapid.SampledFrom([]string{"a/b", "a%2Fb", "a%2fb", "a b", "a+b", "a%20b", "../a", "é", "e\u0301", "ci/x", "x"}), rapid.String())
	s := spec(t)
	rapid.Check(t, func(t *rapid.T) {
		s.IdentityPath = rapid.SampledFrom([]string{"", "ci", "ci/a"}).Draw(t, "path")
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		x, _ := s.Admit(proof.Proof{Claims: claim.Set{"sub": a}})
		y, _ := s.Admit(proof.Proof{Claims: claim.Set{"sub": b}})
		if a != b && x != "" && url.PathEscape(x) == url.PathEscape(y) {
			t.Fatalf("%q and %q are both %q", a, b, url.PathEscape(x))
		}
		if x != "" && strings.Contains(url.PathEscape(x), "/") {
			t.Fatalf("%q is more than one segment", url.PathEscape(x))
		}
	})
}
