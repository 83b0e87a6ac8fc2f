package console

import (
	"testing"

	"sallyport.dev/domain/proof"
)

func TestAConditionIsSaidWithWhatItAsksFor(t *testing.T) {
	for _, c := range []struct {
		check proof.Check
		want  string
	}{
		{proof.Check{Check: proof.Condition, Operator: "equals", Expected: "acme"}, "is acme"},
		{proof.Check{Check: proof.Condition, Operator: "exists"}, "is there, whatever it says"},
		{proof.Check{Check: proof.Condition, Operator: "equals"}, ""}, // nothing was asked of what is no token
		{proof.Check{Check: proof.Condition}, ""},
	} {
		if got := sayChecks([]proof.Check{c.check})[0].Said; got != c.want {
			t.Errorf("%+v is said as %q, want %q", c.check, got, c.want)
		}
	}
}
