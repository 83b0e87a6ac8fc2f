package claim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain/claim"
)

func TestExplainNearMisses(t *testing.T) {
	for _, tt := range []struct {
		name      string
		condition claim.Condition
		claims    string
		want      string // in the message
	}{
		{"it holds", equals("ref", "main"), `{"ref":"main"}`, "It holds"},
		{"another case", equals("ref", "main"), `{"ref":"Main"}`, "only in case"},
		{"another case of a prefix", startsWith("sub", "repo:acme/"), `{"sub":"repo:Acme/x"}`, "only in case"},
		{"another case of an audience in a list", equals("aud", "https://s"), `{"aud":["x","HTTPS://s"]}`, "only in case"},
		{"another case of an element", includes("g", "dev"), `{"g":["Dev"]}`, "only in case"},
		{"another case of one of several", oneOf("ref", "x", "main"), `{"ref":"MAIN"}`, "only in case"},
		{"a trailing slash", equals("iss", "https://i"), `{"iss":"https://i/"}`, "trailing slash"},
		{"a trailing slash that is missing", equals("iss", "https://i/"), `{"iss":"https://i"}`, "trailing slash"},
		{"surrounding space", equals("ref", "main"), `{"ref":"main "}`, "surrounding space"},
		{"space before a prefix", startsWith("ref", "main/"), `{"ref":" main/x"}`, "begins with space"},
		{"a character that cannot be seen", equals("ref", "main"), `{"ref":"ma\u200bin"}`, "cannot be seen"},
		{"a look-alike", equals("ref", "main"), `{"ref":"m\u0430in"}`, "character 2 is U+0430 and not U+0061"},
		{"a look-alike prefix", startsWith("ref", "main/"), `{"ref":"m\u0430in/x"}`, "character 2 is U+0430"},
		{"accents apart", equals("n", "caf\u00e9"), `{"n":"cafe\u0301"}`, "accents"},
		{"a list instead of a string", equals("g", "a"), `{"g":["b","a"]}`, "It holds a: use includes"},
		{"a list without the value", equals("g", "a"), `{"g":["b"]}`, "does not hold the value either"},
		{"a string instead of a list", includes("g", "a"), `{"g":"a"}`, "a string; includes looks into lists"},
		{"an object", equals("kubernetes.io", "ns"), `{"kubernetes.io":{"namespace":"ns"}}`, "kubernetes.io/name"},
		{"a number that is not plain", equals("n", "1"), `{"n":1.0}`, "only plain integers"},
		{"a number", equals("n", "1"), `{"n":2}`, "a number with another value"},
		{"a boolean", equals("p", "True"), `{"p":true}`, "a boolean with another value. It differs only in case"},
		{"a prefix of a number", startsWith("n", "1"), `{"n":12}`, "a number; starts_with reads strings only"},
		{"null", equals("n", "1"), `{"n":null}`, "null, which counts as absent"},
		{"empty", exists("n"), `{"n":{}}`, "empty, which counts as absent"},
		{"no such operator", claim.Condition{Claim: "n", Operator: "glob"}, `{"n":"x"}`, "operator is unknown"},
		{"an empty audience", equals("aud", "a"), `{"aud":[]}`, "list of audiences is empty"},
		{"a mixed audience", equals("aud", "a"), `{"aud":["a",1]}`, "not a string"},
		{"too many audiences", equals("aud", "a"), `{"aud":["a"` + strings.Repeat(`,"b"`, 16) + `]}`, "17 audiences"},
		{"other audiences", equals("aud", "a"), `{"aud":["b"]}`, "None of the token's audiences"},
		{"an id form of GitHub", equals("sub", "repo:octo/app:ref:refs/heads/main"), `{"sub":"repo:octo@1/app@2:ref:refs/heads/main"}`, "with their ids"},
		{"a name form of GitHub", equals("sub", "repo:octo@1/app@2:ref:refs/heads/main"), `{"sub":"repo:octo/app:ref:refs/heads/main"}`, "without ids"},
		{"an id form of GitHub under a prefix", startsWith("sub", "repo:octo/"), `{"sub":"repo:octo@1/app@2:ref:x"}`, "with their ids"},
		{"absent, another case", equals("Ref", "x"), `{"ref":"x"}`, "There is a claim ref."},
		{"absent, a hyphen", equals("project-path", "x"), `{"project_path":"x"}`, "There is a claim project_path."},
		{"absent, a slip of the pen", equals("enviroment", "x"), `{"environment":"x"}`, "There is a claim environment."},
		{"absent, but further in", equals("namespace", "x"), `{"kubernetes.io":{"namespace":"x"}}`, "There is a claim kubernetes.io/namespace."},
		{"absent, but flat", equals("/kubernetes.io/namespace", "x"), `{"kubernetes.io/namespace":"x"}`, "There is a claim kubernetes.io/namespace."},
		{"absent, nested where flat was asked", equals("/kubernetes.io~1namespace", "x"), `{"kubernetes.io":{"namespace":"x"}}`, "There is a claim kubernetes.io/namespace."},
		{"absent, and short names are not guessed", equals("aud", "x"), `{"sub":"x"}`, "The claim is absent."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := tt.condition.Explain(claims(t, tt.claims))
			if !strings.Contains(e.Message, tt.want) {
				t.Errorf("got %q, want %q in it", e.Message, tt.want)
			}
			if tt.want == "The claim is absent." && e.Message != tt.want {
				t.Errorf("got %q, want no guess", e.Message)
			}
		})
	}
}

func TestExplainShowsBothSides(t *testing.T) {
	e := oneOf("ref", "main", "release").Explain(claims(t, `{"ref":"dev"}`))
	if e.Expected != "main, release" || e.Actual != "dev" {
		t.Errorf("got expected %q, actual %q", e.Expected, e.Actual)
	}
	if e := exists("ref").Explain(nil); e.Expected != "any value" || e.Actual != "" {
		t.Errorf("got expected %q, actual %q", e.Expected, e.Actual)
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		name string
		v    any
		want string
	}{
		{"a string is itself", "repo:acme/app", "repo:acme/app"},
		{"a true is true", true, "true"},
		{"null is null", nil, "null"},
		{"a number keeps its text", json.Number("1e2"), "1e2"},
		{"a list is JSON", []any{"a", json.Number("1")}, `["a",1]`},
		{"an object is JSON with its <", map[string]any{"a": "<b>"}, `{"a":"<b>"}`},
		{"a newline is escaped", "a\nb", `a\nb`},
		{"an override is escaped", "a\u202eb", `a\u202eb`},
		{"a byte that is no UTF-8 is escaped", "a\xffb", `a\xffb`},
		{"a look-alike stays as it looks", "mаin", "mаin"},
		{"long text is cut", strings.Repeat("é", 200), strings.Repeat("é", 126) + "…"},
		{"a value of no JSON type is named", func() {}, "a value of type func()"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := claim.Text(tt.v); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What a stranger sends is explained in a time that does not depend on how
// long it is: a claim and a name of ten kilobytes against the most that a
// connection may hold.
func TestLongClaimsOfStrangersAreCheapToExplain(t *testing.T) {
	var values []string
	for i := range claim.MaxValues {
		values = append(values, fmt.Sprintf("acme/service-%02d", i))
	}
	long := claim.Set{"repository": strings.Repeat("a", 11_000), strings.Repeat("b", 11_000): "x"}
	for _, c := range []claim.Condition{
		{Claim: "repository", Operator: claim.OneOf, Values: values},
		{Claim: "repository", Operator: claim.StartsWith, Value: "acme/"},
		{Claim: "repo", Operator: claim.Equals, Value: "acme/app"},
	} {
		quickest := time.Hour // of many, since others use this machine, too
		for range 50 {
			begun := time.Now()
			c.Explain(long)
			quickest = min(quickest, time.Since(begun))
		}
		if quickest > 5*time.Millisecond { // it took 18 ms
			t.Errorf("explaining %.40s takes %v", c, quickest)
		}
	}
}
