package claim_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport.dev/domain/claim"
)

// decode reads claims the way the edge does: numbers keep their text. ok is
// false for what is not one JSON object.
func decode(s string) (set claim.Set, ok bool) {
	dec := json.NewDecoder(bytes.NewBufferString(s))
	dec.UseNumber()
	if dec.Decode(&set) != nil {
		return nil, false
	}
	_, err := dec.Token()
	return set, errors.Is(err, io.EOF)
}

func claims(t testing.TB, s string) claim.Set {
	t.Helper()
	set, ok := decode(s)
	if !ok {
		t.Fatalf("not a JSON object: %s", s)
	}
	return set
}

func TestConditionVectors(t *testing.T) {
	b, err := os.ReadFile("testdata/claim-conditions-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Cases []struct {
			Op, Value, Claims, Path, Note string
			Match                         bool
		}
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Cases) != 52 {
		t.Fatalf("got %d cases, want 52", len(vectors.Cases))
	}
	for _, v := range vectors.Cases {
		set, ok := decode(v.Claims)
		if !ok && v.Note != "invalid JSON" {
			t.Errorf("%s does not decode", v.Claims)
		}
		c := claim.Condition{Claim: claim.Path(v.Path), Operator: claim.Operator(v.Op), Value: v.Value}
		if got := c.Match(set); got != v.Match {
			t.Errorf("%s on %s: got %t, want %t (%s)", c, v.Claims, got, v.Match, v.Note)
		}
		if got := c.Explain(set).Match; got != v.Match {
			t.Errorf("explaining %s on %s: got %t, want %t (%s)", c, v.Claims, got, v.Match, v.Note)
		}
	}
}

func equals(path, value string) claim.Condition {
	return claim.Condition{Claim: claim.Path(path), Operator: claim.Equals, Value: value}
}

func startsWith(path, value string) claim.Condition {
	return claim.Condition{Claim: claim.Path(path), Operator: claim.StartsWith, Value: value}
}

func exists(path string) claim.Condition {
	return claim.Condition{Claim: claim.Path(path), Operator: claim.Exists}
}

func oneOf(path string, values ...string) claim.Condition {
	return claim.Condition{Claim: claim.Path(path), Operator: claim.OneOf, Values: values}
}

func includes(path, value string) claim.Condition {
	return claim.Condition{Claim: claim.Path(path), Operator: claim.Includes, Value: value}
}

func TestMatch(t *testing.T) {
	seventeen := `{"aud":["sallyport"` + strings.Repeat(`,"y"`, 16) + `]}`
	for _, tt := range []struct {
		name      string
		condition claim.Condition
		claims    string
		want      bool
	}{
		// Peer bugs: numbers and types.
		{"1e3 is not 1000", equals("n", "1000"), `{"n":1e3}`, false},
		{"100.0 is not 100", equals("n", "100"), `{"n":100.0}`, false},
		{"1.9 is not 1", equals("n", "1"), `{"n":1.9}`, false},
		{"1.0 does not equal even its own text", equals("n", "1.0"), `{"n":1.0}`, false},
		{"a negative integer equals its text", equals("n", "-5"), `{"n":-5}`, true},
		{"2^53+1 is not 2^53", equals("n", "9007199254740992"), `{"n":9007199254740993}`, false},
		{"a number above 64 bits equals its text", equals("n", "123456789012345678901234567890"), `{"n":123456789012345678901234567890}`, true},
		{"1 does not equal true", equals("b", "1"), `{"b":true}`, false},
		{"an integer does not equal with a leading zero", equals("n", "01"), `{"n":1}`, false},
		{"a list of one does not equal its element", equals("n", "a"), `{"n":["a"]}`, false},

		// Peer bugs: absent claims fail, each operator.
		{"a missing iss fails equals", equals("iss", "https://i"), `{}`, false},
		{"a missing claim fails one_of", oneOf("iss", "a", "b"), `{}`, false},
		{"a missing claim fails includes", includes("g", "a"), `{}`, false},
		{"a missing claim fails starts_with", startsWith("sub", "a"), `{}`, false},
		{"an unknown operator matches nothing", claim.Condition{Claim: "sub", Operator: "matches", Value: "a"}, `{"sub":"a"}`, false},
		{"the zero condition matches nothing", claim.Condition{}, `{"":""}`, false},

		// iss, T045.
		{"iss with a trailing slash differs", equals("iss", "https://i"), `{"iss":"https://i/"}`, false},
		{"iss as a list differs", equals("iss", "https://i"), `{"iss":["https://i"]}`, false},
		{"iss with another scheme differs", equals("iss", "https://i"), `{"iss":"http://i"}`, false},
		{"iss that goes on differs", equals("iss", "https://i"), `{"iss":"https://i.evil"}`, false},
		{"iss with a NUL differs", equals("iss", "https://i"), `{"iss":"https://i\u0000"}`, false},
		{"iss in another case differs", equals("iss", "https://i"), `{"iss":"https://I"}`, false},

		// aud, T046: one answer for a string and a list.
		{"aud as a string", equals("aud", "sallyport"), `{"aud":"sallyport"}`, true},
		{"aud as a list of one", equals("aud", "sallyport"), `{"aud":["sallyport"]}`, true},
		{"aud as a list of more", equals("aud", "sallyport"), `{"aud":["x","sallyport"]}`, true},
		{"aud named by a pointer", equals("/aud", "sallyport"), `{"aud":["x","sallyport"]}`, true},
		{"aud by one_of", oneOf("aud", "a", "sallyport"), `{"aud":["x","sallyport"]}`, true},
		{"aud by includes", includes("aud", "sallyport"), `{"aud":["x","sallyport"]}`, true},
		{"aud null", equals("aud", "sallyport"), `{"aud":null}`, false},
		{"aud empty", equals("aud", "sallyport"), `{"aud":""}`, false},
		{"aud an empty list", equals("aud", "sallyport"), `{"aud":[]}`, false},
		{"aud nested", equals("aud", "sallyport"), `{"aud":[["sallyport"]]}`, false},
		{"aud an object", equals("aud", "sallyport"), `{"aud":{"sallyport":"sallyport"}}`, false},
		{"aud mixed", equals("aud", "sallyport"), `{"aud":["sallyport",1]}`, false},
		{"aud with null in it", oneOf("aud", "sallyport"), `{"aud":["sallyport",null]}`, false},
		{"aud with commas", equals("aud", "sallyport"), `{"aud":"x,sallyport"}`, false},
		{"aud with spaces", equals("aud", "sallyport"), `{"aud":"x sallyport"}`, false},
		{"aud that begins so", equals("aud", "sallyport"), `{"aud":["sallyport-evil"]}`, false},
		{"aud cut short", equals("aud", "sallyport"), `{"aud":["sally"]}`, false},
		{"aud a star", equals("aud", "sallyport"), `{"aud":["*"]}`, false},
		{"aud in another case", equals("aud", "sallyport"), `{"aud":["Sallyport"]}`, false},
		{"aud of 17", equals("aud", "sallyport"), seventeen, false},
		{"another claim called aud further in is no aud", equals("x/aud", "a"), `{"x":{"aud":["a"]}}`, false},
		{"a number in aud does not equal", equals("aud", "1"), `{"aud":[1]}`, false},

		// Prefixes, T052.
		{"a closed prefix keeps neighbours out", startsWith("sub", "repo:acme/"), `{"sub":"repo:acme-evil/x"}`, false},
		{"a prefix ignores no case", startsWith("sub", "repo:acme/"), `{"sub":"repo:Acme/x"}`, false},
		{"a prefix is the beginning, not the middle", startsWith("sub", "acme/"), `{"sub":"repo:acme/x"}`, false},
		{"a prefix of the very length matches", startsWith("sub", "repo:acme/"), `{"sub":"repo:acme/"}`, true},
		{"a dot is a dot", startsWith("sub", "repo.acme/"), `{"sub":"repo:acme/x"}`, false},
		{"no alternation", equals("sub", "repo:acme/a|repo:acme/b"), `{"sub":"repo:acme/a"}`, false},

		// Further operators.
		{"one_of compares integers like equals", oneOf("n", "7", "8"), `{"n":8}`, true},
		{"one_of ignores an empty value", oneOf("s", ""), `{"s":""}`, false},
		{"one_of does not look into lists", oneOf("g", "a"), `{"g":["a"]}`, false},
		{"includes compares integers like equals", includes("g", "8"), `{"g":[7,8]}`, true},
		{"includes knows no 8.0", includes("g", "8"), `{"g":[8.0]}`, false},
		{"includes does not look into lists in lists", includes("g", "a"), `{"g":[["a"]]}`, false},
		{"includes needs a list", includes("g", "a"), `{"g":"a"}`, false},
		{"includes needs a whole element", includes("g", "a"), `{"g":["ab"]}`, false},
		{"includes of nothing", includes("g", ""), `{"g":[""]}`, false},

		// Names that hold / and .
		{"a flat name with slash and dot", equals("oidc.circleci.com/project-id", "p"), `{"oidc.circleci.com/project-id":"p"}`, true},
		{"a nested name with a dot", equals("kubernetes.io/namespace", "ns"), `{"kubernetes.io":{"namespace":"ns"}}`, true},
		{"the flat name comes first", equals("a/b", "nested"), `{"a":{"b":"nested"},"a/b":"flat"}`, false},
		{"a flat null does not fall through", exists("a/b"), `{"a":{"b":"nested"},"a/b":null}`, false},
		{"a name that is an address", equals("https://acme.example/team", "x"), `{"https://acme.example/team":"x"}`, true},
		{"a walk through a list finds nothing", equals("a/0", "x"), `{"a":["x"]}`, false},
		{"a walk through a number finds nothing", exists("a/b"), `{"a":1}`, false},
		{"a walk through null finds nothing", exists("a/b"), `{"a":null}`, false},
		{"a pointer decodes ~01 to ~1", equals("/a~01b", "x"), `{"a~1b":"x"}`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.condition.Match(claims(t, tt.claims)); got != tt.want {
				t.Errorf("%s on %s: got %t, want %t", tt.condition, tt.claims, got, tt.want)
			}
		})
	}
}

func TestMatchIgnoresWhatIsNotJSON(t *testing.T) {
	set := claim.Set{"f": 1.0, "i": 1, "n": json.Number("1"), "set": claim.Set{"a": "b"}}
	for _, c := range []claim.Condition{equals("f", "1"), equals("i", "1"), exists("f"), exists("i"), oneOf("i", "1"), exists("set")} {
		if c.Match(set) || c.Explain(set).Match {
			t.Errorf("%s matches a value of no JSON type", c)
		}
	}
	if !equals("n", "1").Match(set) {
		t.Error("a json.Number does not match")
	}
}

func TestValidate(t *testing.T) {
	long := strings.Repeat("x", 1025)
	many := make([]string, 51)
	for i := range many {
		many[i] = strings.Repeat("v", i+1)
	}
	for _, tt := range []struct {
		name      string
		condition claim.Condition
		want      string // pointers of the errors
	}{
		{"equals is fine", equals("sub", "x"), ""},
		{"exists is fine", exists("/a/b"), ""},
		{"one_of is fine", oneOf("ref", "a", "b"), ""},
		{"fifty values are fine", oneOf("ref", many[:50]...), ""},
		{"a value of 1024 bytes is fine", equals("sub", long[1:]), ""},
		{"a star is a letter like any other", startsWith("sub", "repo:acme/*"), ""},
		{"equals with nothing", equals("sub", ""), "/c/value"},
		{"starts_with with nothing", startsWith("sub", ""), "/c/value"},
		{"includes with nothing", includes("g", ""), "/c/value"},
		{"a value of 1025 bytes", equals("sub", long), "/c/value"},
		{"a value with a newline", equals("sub", "a\nb"), "/c/value"},
		{"a value with a zero-width space", equals("sub", "a\u200bb"), "/c/value"},
		{"a value that is no UTF-8", equals("sub", "a\xff"), "/c/value"},
		{"equals with values too", claim.Condition{Claim: "sub", Operator: claim.Equals, Value: "a", Values: []string{"b"}}, "/c/values"},
		{"exists with a value", claim.Condition{Claim: "sub", Operator: claim.Exists, Value: "a"}, "/c/value"},
		{"exists with values", claim.Condition{Claim: "sub", Operator: claim.Exists, Values: []string{"a"}}, "/c/value"},
		{"one_of with a value", claim.Condition{Claim: "sub", Operator: claim.OneOf, Value: "a", Values: []string{"b"}}, "/c/value"},
		{"one_of with none", oneOf("sub"), "/c/values"},
		{"one_of with 51", oneOf("sub", many...), "/c/values"},
		{"one_of with an empty one", oneOf("sub", "a", ""), "/c/values/1"},
		{"one_of with one twice", oneOf("sub", "a", "b", "a"), "/c/values/2"},
		{"an unknown operator", claim.Condition{Claim: "sub", Operator: "glob", Value: "x"}, "/c/operator"},
		{"an operator in another case", claim.Condition{Claim: "sub", Operator: "Equals", Value: "x"}, "/c/operator"},
		{"no operator", claim.Condition{Claim: "sub", Value: "x"}, "/c/operator"},
		{"a prefix of an issuer", startsWith("iss", "https://login.example/"), "/c/operator"},
		{"a prefix of an issuer by pointer", startsWith("/iss", "https://login.example/"), "/c/operator"},
		{"no claim and no value", equals("", ""), "/c/claim /c/value"},
		{"an index into a list", equals("/g/0", "a"), "/c/claim"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, e := range tt.condition.Validate("/c") {
				got = append(got, e.Pointer)
				if e.Code == "" || e.Detail == "" {
					t.Errorf("%s has no code or detail", e.Pointer)
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// anyValue draws JSON values, often of the few texts that conditions ask for.
func anyValue() *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(anyText(), func(s string) any { return s }),
		rapid.Map(rapid.SampledFrom([]string{"0", "1", "-1", "1.0", "1e2", "100", "9007199254740993"}), func(s string) any { return json.Number(s) }),
	)
	return rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(leaf, 0, 3), func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(anyName(), leaf, 0, 3), func(m map[string]any) any { return m }),
	)
}

func anyName() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"sub", "aud", "a", "a/b", "b", "", "~", "A", "Sub", "s_ub"}), rapid.String())
}

func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"", "a", "A", "ab", "a/", " a", "true", "1", "100", "null", "а", "repo:o/r:x", "repo:o@1/r@2:x", "\xff"}), rapid.String())
}

func anySet() *rapid.Generator[claim.Set] {
	return rapid.Map(rapid.MapOfN(anyName(), anyValue(), 0, 5), func(m map[string]any) claim.Set { return m })
}

func anyCondition() *rapid.Generator[claim.Condition] {
	return rapid.Custom(func(t *rapid.T) claim.Condition {
		return claim.Condition{
			Claim:    claim.Path(rapid.OneOf(anyName(), rapid.Map(anyName(), func(s string) string { return "/" + s })).Draw(t, "claim")),
			Operator: rapid.SampledFrom([]claim.Operator{claim.Equals, claim.StartsWith, claim.Exists, claim.OneOf, claim.Includes, "", "regex"}).Draw(t, "operator"),
			Value:    anyText().Draw(t, "value"),
			Values:   rapid.SliceOfN(anyText(), 0, 3).Draw(t, "values"),
		}
	})
}

func TestMatchImpliesTheClaimIsThereWithAPermittedType(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, c := anySet().Draw(t, "set"), anyCondition().Draw(t, "condition")
		if !c.Match(set) {
			return
		}
		v, found := c.Claim.Lookup(set)
		if !found || v == nil {
			t.Fatalf("%s matches an absent claim", c)
		}
		_, list := v.([]any)
		_, object := v.(map[string]any)
		_, text := v.(string)
		permitted := map[claim.Operator]bool{
			claim.Equals:     !object && (!list || c.Claim == "aud" || c.Claim == "/aud"),
			claim.OneOf:      !object && (!list || c.Claim == "aud" || c.Claim == "/aud"),
			claim.StartsWith: text,
			claim.Exists:     true,
			claim.Includes:   list,
		}
		if !permitted[c.Operator] {
			t.Fatalf("%s matches %#v", c, v)
		}
	})
}

func TestExplainAgreesWithMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, c := anySet().Draw(t, "set"), anyCondition().Draw(t, "condition")
		e := c.Explain(set)
		if e.Match != c.Match(set) {
			t.Fatalf("%s on %v: Explain says %t", c, set, e.Match)
		}
		if e.Message == "" || len(e.Expected) > 256 || len(e.Actual) > 256 {
			t.Fatalf("%s on %v: %+v", c, set, e)
		}
	})
}
