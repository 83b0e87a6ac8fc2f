package token_test

import (
	"encoding/json"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/token"
)

func TestATokenHoldsOnlyWhileItsConnectionDoes(t *testing.T) {
	const iss = "https://sallyport.example/orgs/default"
	at := time.Unix(1_800_000_000, 0).UTC()
	own := func(change func(claim.Set)) claim.Set {
		s := claim.Set{
			"iss": iss, "nbf": json.Number("1800000000"), "exp": json.Number("1800000900"),
			"sallyport": map[string]any{"connection": "ci", "generation": json.Number("2")},
		}
		if change != nil {
			change(s)
		}
		return s
	}
	active := connection.State{Name: "ci", Status: connection.Active, Generation: 2}
	with := func(f func(*connection.State)) connection.State { c := active; f(&c); return c }
	mark := func(s claim.Set) map[string]any { return s["sallyport"].(map[string]any) }
	for _, tt := range []struct {
		name   string
		claims claim.Set
		conn   connection.State
		now    time.Time
		want   bool
	}{
		{"a token of an active connection", own(nil), active, at, true},
		{"to its last second", own(nil), active, at.Add(899 * time.Second), true},
		{"not at its expiry", own(nil), active, at.Add(900 * time.Second), false},
		{"from another replica's clock, 30 s ahead", own(nil), active, at.Add(-30 * time.Second), true},
		{"not before its time", own(nil), active, at.Add(-31 * time.Second), false},
		{"not while the connection is inactive", own(nil), with(func(c *connection.State) { c.Status = connection.Inactive }), at, false},
		{"not of a deleted connection", own(nil), with(func(c *connection.State) { c.Status = connection.Deleted }), at, false},
		{"not of a draft", own(nil), with(func(c *connection.State) { c.Status = connection.Drafted }), at, false},
		{"not of a connection that never was", own(nil), connection.State{}, at, false},
		{"not of a revoked generation", own(nil), with(func(c *connection.State) { c.Generation = 3 }), at, false},
		{"not of a generation that is yet to come", own(nil), with(func(c *connection.State) { c.Generation = 1 }), at, false},
		{"not of another issuer", own(func(s claim.Set) { s["iss"] = iss + "2" }), active, at, false},
		{"not without exp", own(func(s claim.Set) { delete(s, "exp") }), active, at, false},
		{"not with an exp that is text", own(func(s claim.Set) { s["exp"] = "1800000900" }), active, at, false},
		{"not without the mark", own(func(s claim.Set) { delete(s, "sallyport") }), active, at, false},
		{"not without a generation", own(func(s claim.Set) { delete(mark(s), "generation") }), active, at, false},
		{"not with a negative generation", own(func(s claim.Set) { mark(s)["generation"] = json.Number("-2") }), active, at, false},
		{"not with a name that is none", own(func(s claim.Set) { mark(s)["connection"] = "../ci" }), active, at, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			find := func(domain.Name) connection.State { return tt.conn }
			if got := token.Holds(tt.claims, iss, find, tt.now); got != tt.want {
				t.Errorf("Holds = %v, want %v", got, tt.want)
			}
		})
	}
}
