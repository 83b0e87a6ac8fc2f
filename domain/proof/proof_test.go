package proof_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"sallyport.dev/domain/proof"
)

func check(name string, r proof.Result) proof.Check { return proof.Check{Check: name, Result: r} }

func TestPassedAndFirstFailure(t *testing.T) {
	for _, tt := range []struct {
		name   string
		checks []proof.Check
		passed bool
		first  string
	}{
		{"no check is no pass", nil, false, ""},
		{"all passed", []proof.Check{check("format", proof.Pass), check("times", proof.Pass)}, true, ""},
		{"a skipped check is no pass, and no failure", []proof.Check{check("format", proof.Pass), check("key", proof.Skipped)}, false, ""},
		{"a result that is none is no pass", []proof.Check{check("format", "")}, false, ""},
		{"the first of two failures", []proof.Check{check("format", proof.Pass), check("key", proof.Fail), check("times", proof.Fail)}, false, "key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := proof.Passed(tt.checks); got != tt.passed {
				t.Errorf("passed: got %t, want %t", got, tt.passed)
			}
			first := ""
			if f := proof.FirstFailure(tt.checks); f != nil {
				first = f.Check
			}
			if first != tt.first {
				t.Errorf("first failure: got %q, want %q", first, tt.first)
			}
		})
	}
}

func TestBounded(t *testing.T) {
	t.Run("a usual report is kept as it is", func(t *testing.T) {
		in := []proof.Check{{Check: "condition", Claim: "ref", Operator: "equals", Expected: "main", Actual: "dev", Result: proof.Fail, Message: "No.", Code: "c"}}
		if got := proof.Bounded(in); len(got) != 1 || got[0] != in[0] {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("no report is an empty list, not null", func(t *testing.T) {
		if b, _ := json.Marshal(proof.Bounded(nil)); string(b) != "[]" {
			t.Errorf("got %s", b)
		}
	})
	t.Run("whatever strangers write fits an event", func(t *testing.T) {
		var in []proof.Check
		for range 60 {
			text := strings.Repeat("<é", 5000)
			in = append(in, proof.Check{Check: "condition", Claim: text, Expected: text, Actual: text, Message: text, Result: proof.Fail})
		}
		got := proof.Bounded(in)
		b, err := json.Marshal(got)
		if err != nil || len(b) > 32<<10 || len(got) != 40 {
			t.Errorf("got %d checks in %d bytes, %v; want 40 in at most 32768", len(got), len(b), err)
		}
		if c := got[0]; !utf8.ValidString(c.Actual) || !strings.HasSuffix(c.Actual, "…") || !strings.HasPrefix(in[0].Actual, strings.TrimSuffix(c.Actual, "…")) {
			t.Errorf("got %q, want a beginning of the text", c.Actual)
		}
		if len(in[0].Actual) != 15000 {
			t.Error("the report that was given has changed")
		}
	})
}
