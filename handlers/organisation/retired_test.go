package organisation_test

import (
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/key"
	"sallyport.dev/handlers/organisation/orgtest"
)

// A key that one replica retires is of no use to the others, and stays in nobody's memory.
func TestARetiredKeyLeavesTheMemoryOfEveryReplica(t *testing.T) {
	w := orgtest.New(t)
	replicas := []*orgtest.World{w, orgtest.Join(t, w.Conn)}
	var active []string
	for _, k := range w.SigningKeys() {
		if k.Status == key.Active {
			active = append(active, k.KeyID)
		}
	}
	for i, r := range replicas {
		for _, kid := range active {
			if !r.HoldsKey(kid) {
				t.Fatalf("replica %d does not hold the active key %s", i, kid)
			}
		}
		r.Advance(10 * time.Minute) // the next key is old enough
	}
	if _, err := w.RotateKeys(t.Context(), domain.Meta{Actor: domain.System("host"), Now: w.Now()}); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		held := 0
		for _, r := range replicas {
			for _, kid := range active {
				if r.HoldsKey(kid) {
					held++
				}
			}
		}
		if held == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d retired keys are still in memory", held)
		}
	}
	for i, r := range replicas {
		if _, err := r.Sign(t.Context(), "ES256", "at+jwt", map[string]any{"sub": "x"}); err != nil {
			t.Errorf("replica %d signs no more: %v", i, err)
		}
	}
}
