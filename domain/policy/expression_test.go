package policy_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/policy"
)

// asked is what an expression says of those facts, in a policy that the log says was published.
func asked(t testing.TB, expression string, f policy.Facts) bool {
	t.Helper()
	s := spec()
	s.Rules[0].Expression = expression
	var st policy.State
	var err error
	for _, e := range []domain.Event{policy.WasDrafted{Spec: s}, policy.WasPublished{Version: 1}} {
		if st, err = policy.Evolve(st, envelope("policy/p", e)); err != nil {
			t.Fatalf("the fold stopped: %v", err)
		}
	}
	return st.Published()[0].Holds(0, f)
}

func claims(t testing.TB, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var set claim.Set
	if err := d.Decode(&set); err != nil {
		t.Fatal(err)
	}
	return policy.Values(set)
}

func TestWhatExpressionsSay(t *testing.T) {
	f := policy.Facts{
		Claims: claims(t, `{"ref":"main","n":5,"big":9007199254740993,"id":18446744073709551615,"huge":99999999999999999999999,"half":0.5,"tiny":1e-999,
			"groups":["a","b"],"kubernetes.io":{"namespace":"pay"},"nothing":null,"yes":true,"long":"`+strings.Repeat("x", 9000)+`"}`),
		Target: policy.Target{Ref: "server/db-1", Kind: "server", Name: "db-1", Project: "pay", Labels: map[string]string{"env": "prod", "a/b": "c"}},
		Time:   time.Date(2026, 7, 6, 15, 30, 0, 0, time.FixedZone("", 3600)), // a Monday, 14:30 UTC
	}
	for _, tt := range []struct {
		name, expression string
		want             bool
	}{
		{"none holds", "", true},
		{"a claim equals", `claims.ref == "main"`, true},
		{"case counts", `claims.ref == "Main"`, false},
		{"one of a list", `claims.ref in ["main", "release"]`, true},
		{"an element of a claim", `"a" in claims.groups`, true},
		{"no element is a part of one", `"main" in claims.ref`, false},
		{"a prefix", `claims.ref.startsWith("ma")`, true},
		{"a claim with a dot in its name", `claims["kubernetes.io"].namespace == "pay"`, true},
		{"an absent claim is an error, so no", `claims.absent == "x"`, false},
		{"and is no when asked not to be", `claims.absent != "x"`, false},
		{"and when that is turned round", `!(claims.absent == "x")`, false},
		{"whether it is there can be asked", `!has(claims.absent) && has(claims.ref)`, true},
		{"what is true on one side of an or is true", `claims.absent == "x" || claims.ref == "main"`, true},
		{"what is false on one side of an and is false", `claims.absent == "x" && claims.ref == "main"`, false},
		{"a number", `claims.n > 3 && claims.n == 5`, true},
		{"a number is no text", `claims.n == "5"`, false},
		{"nor compared with one", `claims.n > "3"`, false},
		{"neighbours of a large number are others", `claims.big == 9007199254740992`, false},
		{"it itself is it", `claims.big == 9007199254740993`, true},
		{"larger than int64", `claims.id == 18446744073709551615u`, true},
		{"larger than any number: there", `has(claims.huge)`, true},
		{"and whatever is asked about it fails", `claims.huge != 3`, false},
		{"a fraction", `claims.half == 0.5`, true},
		{"a fraction that is none here", `claims.tiny < 1.0`, true},
		{"null", `has(claims.nothing) && claims["nothing"] == null`, true},
		{"a truth", `claims.yes == true`, true},
		{"the resource", `resource.kind == "server" && resource.name == "db-1" && resource.ref == "server/db-1" && resource.project == "pay"`, true},
		{"a label", `resource.labels["env"] == "prod" && resource.labels["a/b"] == "c"`, true},
		{"an absent label", `resource.labels["tier"] != "x"`, false},
		{"hours are UTC", `time.getHours() == 14 && time.getDayOfWeek() == 1`, true},
		{"or of a zone", `time.getHours("Europe/Berlin") == 16`, true},
		{"or of an offset", `time.getHours("+05:30") == 20`, true},
		{"a zone of nobody is an error, so no", `time.getHours("Mars/Olympus") < 24`, false},
		{"before a moment", `time < timestamp("2027-01-01T00:00:00Z")`, true},
		{"a division by zero is an error, so no", `claims.n / 0 == 1 || false`, false},
		{"an overflow, too", `9223372036854775807 + claims.n > 0`, false},
		{"too much to do is no, even where it would be true", strings.Repeat(`claims.long.contains("xxxxxxxy") || `, 40) + "true", false},
		{"what is no expression lets nobody in", `true ||`, false},
		{"nor what is no boolean", `claims.yes`, false},
		{"nor what is too long", `true || "` + strings.Repeat("x", 2048) + `" == ""`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := asked(t, tt.expression, f); got != tt.want {
				t.Errorf("%.80s is %v, want %v", tt.expression, got, tt.want)
			}
		})
	}
}

func TestWhatIsNoExpressionIsSaidWhere(t *testing.T) {
	for _, tt := range []struct{ name, expression, want string }{
		{"a word of nobody", `claims.ref == "a" && tim.getHours() > 3`, "line 1, column 22: undeclared reference to 'tim'"},
		{"a field of nobody", `resource.nam == "a"`, "undeclared reference to 'resource.nam' (did you mean 'resource.name'?)"},
		{"on the second line", "true &&\n  labels", "line 2, column 3"},
		{"a claim is of any type", `claims.yes`, "is of type dyn"},
		{"nor is what is made of one", `true ? claims.yes : true`, "is of type dyn"},
		{"a text", `"a"`, "is of type string"},
		{"a message", `google.protobuf.BoolValue{value: true}`, "is of type wrapper(bool)"},
		{"a comparison of different types", `resource.name == 3`, "no matching overload"},
		{"a comprehension", `[1, 2].all(x, x > 0)`, "undeclared reference to 'all'"},
		{"another", `claims.groups.exists(g, g == "a")`, "undeclared reference to 'exists'"},
		{"a regular expression", `claims.ref.matches("^main$")`, "undeclared reference to 'matches'"},
		{"half", `claims.ref ==`, "Syntax error"},
		{"what cannot be seen", "claims.ref == \"a\u202e\"", "invisible"},
		{"what is no UTF-8", "claims.ref == \"\xff\"", "invisible"},
		{"too long", strings.Repeat(" ", 2049), "at most 2048 bytes"},
		{"too deep", strings.Repeat("(", 1000) + "true" + strings.Repeat(")", 1000), "too deeply"},
		{"too deep in lists", strings.Repeat("[", 2000), "too deeply"},
		{"too deep in questions", strings.Repeat("true?", 400), ""},
		{"only blanks", "   ", "Syntax error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := policy.CheckExpression(tt.expression)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
			if err != nil && (len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\x1b\u202e")) {
				t.Errorf("it is no sentence: %q", err)
			}
		})
	}
	if err := policy.CheckExpression(""); err != nil {
		t.Errorf("none is %v", err)
	}
}

// What is asked on many requests at once is compiled once, and says the same to each.
func TestAnExpressionIsAskedByManyAtOnce(t *testing.T) {
	s := spec()
	s.Rules[0].Expression = `claims.ref == "main"`
	st, _ := policy.Evolve(policy.State{}, envelope("policy/p", policy.WasDrafted{Spec: s}))
	st, _ = policy.Evolve(st, envelope("policy/p", policy.WasPublished{Version: 1}))
	p := st.Published()[0]
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			ref := []string{"main", "dev"}[i%2]
			if got := p.Holds(0, policy.Facts{Claims: map[string]any{"ref": ref}}); got != (ref == "main") {
				t.Errorf("%s is %v", ref, got)
			}
		})
	}
	all.Wait()
	if p.Holds(1, policy.Facts{}) || p.Holds(-1, policy.Facts{}) {
		t.Error("a rule that is not there holds")
	}
}

// Nothing that people write makes the compiler panic, loop or take what is no boolean.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{"", "true", `claims.a == "b"`, "a{a{a{", "[[[[", "!!!!true", `time.getHours("x")`, "\x00", `r"""`, "1<1<1", "has(claims.a)", "type(claims)==type(1)"} {
		f.Add(s)
	}
	facts := policy.Facts{Claims: map[string]any{"a": "b"}, Time: noon}
	f.Fuzz(func(t *testing.T, text string) {
		err := policy.CheckExpression(text)
		if holds := asked(t, text, facts); err != nil && holds {
			t.Errorf("%q is no expression (%v), and holds", text, err)
		}
	})
}
