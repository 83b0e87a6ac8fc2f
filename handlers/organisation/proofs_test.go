package organisation_test

import (
	"slices"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/proof"
	"sallyport.dev/handlers/organisation/orgtest"
	"sallyport.dev/projections/control"
)

// The keys of a draft are fetched, for its test, and not recorded. They are
// within minutes of its activation, though they are the same as then.
func TestKeysAreRecordedOnceTheConnectionIsActivated(t *testing.T) {
	w := orgtest.New(t)
	p := orgtest.NewProvider(t, "ES256")
	look := func() (c connection.State) {
		w.Read(func(s *control.State, _ domain.Head) { c = s.Connection("ci") })
		return c
	}
	verify := func() {
		t.Helper()
		w.Advance(5 * time.Minute)
		c := look()
		jwt := p.Mint(p.Claims(w.Now(), w.Issuer(), "build", nil))
		if _, checks := w.Verify(t.Context(), c, c.Current, c.Version, jwt, w.Now()); !proof.Passed(checks) {
			t.Fatalf("got %+v", checks)
		}
	}
	spec, err := connection.Complete(p.Spec(w.Issuer(), "build"), w.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	w.Do(w.Meta("devops", domain.DevOpsAdmin), "ci", connection.Draft{Name: "ci", Spec: spec})
	for range 3 {
		verify()
	}
	w.Activate("ci")
	for range 9 { // three quarters of an hour
		verify()
		w.Settle(t.Context())
	}
	deadline := time.Now().Add(60 * time.Second)
	for look().Keys == nil && time.Now().Before(deadline) {
		w.Settle(t.Context())
	}
	types := w.Types(domain.Position{})
	if activated, keys := slices.Index(types, "connection.activated"), slices.Index(types, "keys.changed"); keys < activated {
		t.Errorf("the log has %v", types)
	}
	if keys := look().Keys; keys == nil || keys.Version != 1 {
		t.Errorf("got %+v", keys)
	}
}
