package connection_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sallyport.dev/domain"
	"sallyport.dev/domain/connection"
)

// TestNobodyPassesOnOnePersonsWord gives commands at random, right and wrong
// ones, by people with all kinds of roles, and keeps its own book of who wrote
// what. Whatever the order: what decides on proofs was written by some people
// and activated by another one; rights that were lost do not come back; the
// version never stands still on a write, and a deleted connection stays so.
func TestNobodyPassesOnOnePersonsWord(t *testing.T) {
	people := []domain.Actor{dana, derek, sven, sara, both, owner}
	specs := []connection.Spec{written(), written(described("two")), written(described("three")), {}}
	rapid.Check(t, func(t *rapid.T) {
		var s connection.State
		var writers []string // since the last activation, by this test's own book
		activated := false
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			by := rapid.SampledFrom(people).Draw(t, "by")
			version := s.Version
			if rapid.IntRange(0, 9).Draw(t, "stale") == 0 {
				version++
			}
			wrote := rapid.SampledFrom(specs).Draw(t, "spec")
			c := rapid.SampledFrom([]connection.Command{
				connection.Draft{Name: "ci", Spec: wrote, Issuer: ourIssuer},
				connection.Edit{Version: version, Spec: wrote, Issuer: ourIssuer},
				connection.Edit{Version: version, Spec: wrote, Issuer: ourIssuer},
				connection.Activate{Version: version, DualControl: strict, Issuer: ourIssuer},
				connection.Activate{Version: version, DualControl: strict, Issuer: ourIssuer},
				connection.Deactivate{Version: version, RevokeTokens: rapid.Bool().Draw(t, "revoke")},
				connection.Delete{Version: version},
				connection.ObserveKeys{Version: version, KeyIDs: []string{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "kid")}},
			}).Draw(t, "command")

			before := s
			events, err := decide(s, by, c)
			if err != nil && len(events) > 0 {
				t.Fatalf("%T: an error and events", c)
			}
			for _, e := range events {
				s = connection.Evolve(s, domain.Envelope{Subject: "connection/ci", Actor: by.ID, Time: noon, Event: e})
				switch e := e.(type) {
				case connection.WasDrafted, connection.WasEdited:
					writers = append(writers, by.ID)
					if activated && !by.Has(domain.SecurityAdmin) {
						t.Fatalf("%s wrote after the first activation", by.ID)
					}
					if s.Version != before.Version+1 {
						t.Fatalf("a write took version %d to %d", before.Version, s.Version)
					}
					if before.EverActivated && !s.Current.Equal(before.Current) {
						t.Fatal("an edit changed what decides")
					}
				case connection.WasActivated:
					if slices.Contains(writers, by.ID) {
						t.Fatalf("%s activated and had written: %v", by.ID, writers)
					}
					if !by.Has(domain.SecurityAdmin) || e.Version != s.Version || !s.Current.Equal(before.Newest()) {
						t.Fatalf("%s activated %+v", by.ID, e)
					}
					writers, activated = nil, true
				}
			}
			if before.Status == connection.Deleted && s.Status != connection.Deleted {
				t.Fatalf("a deleted connection came back by %T", c)
			}
			if s.Generation < before.Generation || s.Version < before.Version {
				t.Fatalf("%T took a number back", c)
			}
			if s.Status == connection.Active && (!activated || s.CurrentVersion() == 0) {
				t.Fatal("active without an activation")
			}
		}
	})
}
