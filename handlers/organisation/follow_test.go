package organisation_test

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/trail"
)

// everything is the positions of the whole trail, oldest first.
func everything(w *orgtest.World, t *testing.T) (positions []string, err error) {
	for e, err := range w.Trail().All(t.Context(), trail.Query{}) {
		if err != nil {
			return nil, err
		}
		positions = append(positions, e.Position.String())
	}
	return positions, nil
}

func caughtUp(t *testing.T, w *orgtest.World) []string {
	t.Helper()
	w.Await(w.Last())
	all, err := everything(w, t)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestATrailThatWasDeletedIsBuiltAgain(t *testing.T) {
	w := orgtest.New(t)
	w.Token("alice", domain.Member)
	before := caughtUp(t, w)
	w.Reopen(func() {
		if err := os.Remove(w.TrailPath); err != nil {
			t.Fatal(err)
		}
	})
	if after := caughtUp(t, w); !slices.Equal(before, after) {
		t.Errorf("it held %v and holds %v", before, after)
	}
}

func TestADamagedTrailIsBuiltAgainWhileTheRestGoesOn(t *testing.T) {
	w := orgtest.New(t)
	for range 50 {
		w.Token("alice", domain.Member)
	}
	before := caughtUp(t, w)
	// A byte that changes inside an event shows only when that event is read.
	w.Reopen(func() {
		b, err := os.ReadFile(w.TrailPath)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Replace(b, []byte(`"roles":["member"]`), []byte(`"roles":["owners"]`), -1)
		if bytes.Equal(b, changed) {
			t.Fatal("there is nothing to damage")
		}
		if err := os.WriteFile(w.TrailPath, changed, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	var unavailable *domain.Error
	if _, err := everything(w, t); !errors.As(err, &unavailable) || unavailable.Kind != domain.KindUnavailable {
		t.Fatalf("reading the damage: %v, want unavailable", err)
	}
	// Nobody writes anything: it is built again all the same.
	for deadline := time.Now().Add(time.Minute); w.WaitFor(t.Context(), w.Last()) != nil; {
		if time.Now().After(deadline) {
			t.Fatal("the trail waits for the next commit")
		}
	}
	w.Token("bob", domain.Member) // the control state serves all the while
	after := caughtUp(t, w)
	if len(after) <= len(before) || !slices.Equal(before, after[:len(before)]) {
		t.Errorf("it held %v and holds %v", before, after)
	}
	for name, err := range w.Ready(t.Context()) {
		if err != nil {
			t.Errorf("%s is not ready: %v", name, err)
		}
	}
	if _, err := os.Stat(w.TrailPath + ".corrupt"); err != nil {
		t.Errorf("the damaged file was not kept: %v", err)
	}
}
