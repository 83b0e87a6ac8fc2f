package cli_test

import (
	"strings"
	"testing"

	"sallyport.dev/cmd/internal/cli"
)

func TestAConditionIsToldWithWhatWasExpectedAndWhatWasThere(t *testing.T) {
	for want, c := range map[string]cli.Check{
		"It is a JWT.":                  {Check: "format", Result: "pass", Message: "It is a JWT."},
		"ref equals main":               {Check: "condition", Claim: "ref", Operator: "equals", Expected: "main", Actual: "main", Result: "pass", Message: "It holds."},
		"sub starts_with a/; it is a/b": {Check: "condition", Claim: "sub", Operator: "starts_with", Expected: "a/", Actual: "a/b", Result: "pass", Message: "It holds."},
		"ref equals main; it is Main. It differs only in case.": {Check: "condition", Claim: "ref", Operator: "equals", Expected: "main", Actual: "Main", Result: "fail", Message: "It differs only in case."},
		"env exists; it is absent. A claim Env is there.":       {Check: "condition", Claim: "env", Operator: "exists", Result: "fail", Message: "A claim Env is there."},
		"env exists: Not looked at.":                            {Check: "condition", Claim: "env", Operator: "exists", Result: "skipped", Message: "Not looked at."},
	} {
		var b strings.Builder
		if err := cli.CheckRows(" ", []cli.Check{c}).Write(&b, nil); err != nil {
			t.Fatal(err)
		}
		_, row, _ := strings.Cut(b.String(), "\n")
		if !strings.HasPrefix(row, " "+c.Result) || !strings.HasSuffix(row, "  "+want+"\n") {
			t.Errorf("got %q, want it to end in %q", row, want)
		}
	}
}
