package organisation_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/key"
	"sallyport.dev/handlers/organisation/orgtest"
)

type jwks struct {
	Keys []map[string]any `json:"keys"`
}

func published(t *testing.T, w *orgtest.World) (kids []string) {
	t.Helper()
	var set jwks
	if err := json.Unmarshal(w.PublicKeys(), &set); err != nil {
		t.Fatal(err)
	}
	var algs string
	for _, k := range set.Keys {
		algs += k["alg"].(string) + " "
		kids = append(kids, k["kid"].(string))
		for member := range k {
			switch member {
			case "kid", "kty", "use", "alg", "n", "e", "crv", "x", "y":
			default:
				t.Errorf("the key set has a member %q", member)
			}
		}
	}
	if len(algs) < 24 || algs[:6] != "RS256 " || algs[len(algs)-6:] != "ES256 " {
		t.Errorf("the key set is for %s, want RS256 first, ES256 last", algs)
	}
	return kids
}

func TestARotationPublishesBeforeItSignsAndAfter(t *testing.T) {
	w := orgtest.New(t)
	host := func() domain.Meta { return domain.Meta{Actor: domain.System("host"), Now: w.Now()} }
	signed, err := w.Sign(t.Context(), "ES256", "at+jwt", map[string]any{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	first := published(t, w)
	if len(first) != 4 {
		t.Fatalf("%d keys are published, want active and next for both algorithms", len(first))
	}
	if _, err := w.RotateKeys(t.Context(), host()); !errors.Is(err, key.ErrTooYoung) {
		t.Fatalf("a next key that verifiers may not know yet signs: %v", err)
	}
	if n := len(w.SigningKeys()); n != 4 {
		t.Errorf("a refused rotation left %d keys, want 4", n)
	}

	w.Advance(6 * time.Minute)
	if _, err := w.RotateKeys(t.Context(), host()); err != nil {
		t.Fatal(err)
	}
	second := published(t, w)
	if len(second) != 6 {
		t.Fatalf("%d keys are published after a rotation, want 6", len(second))
	}
	after, err := w.Sign(t.Context(), "ES256", "at+jwt", map[string]any{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	if after[:40] == signed[:40] {
		t.Error("the same key signs after the rotation")
	}

	w.Advance(key.Overlap)
	if third := published(t, w); len(third) != 4 {
		t.Errorf("%d keys are published when the old tokens are dead, want 4", len(third))
	}
}

func TestAnOrganisationComesBackWithItsKeysAndPeople(t *testing.T) {
	w := orgtest.New(t)
	before, secret := published(t, w), w.Token("alice", domain.Member)
	w.Reopen(func() {})
	after := published(t, w)
	if len(before) != len(after) || before[0] != after[0] {
		t.Errorf("it had the keys %v and has %v", before, after)
	}
	if _, err := w.Sign(t.Context(), "RS256", "at+jwt", map[string]any{}); err != nil {
		t.Error(err)
	}
	if secret == w.Token("alice", domain.Member) {
		t.Error("two tokens are the same")
	}
}
