package exchange_test

import (
	"fmt"
	"testing"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/organisation/orgtest"
)

// Whoever was told that a connection is active may use it at once, at a replica
// that has just looked and has not heard of it.
func TestAConnectionMadeOnOneReplicaIsKnownToTheNext(t *testing.T) {
	all, _ := replicas(t)
	p := orgtest.NewProvider(t, "ES256")
	for round := range 20 {
		made, asked := all[round%3], all[(round+1)%3]
		if err := orgtest.Reached(func() error { return asked.Fresh(t.Context()) }); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint("ci-", round)
		made.Activated(domain.Name(name), p.Spec(made.Issuer(), subject))
		if r := asked.reached(form(p.Mint(p.Claims(made.Now(), made.Issuer(), subject, nil)), "connection", name)); r.Status != 200 {
			t.Fatalf("round %d: %d %v", round, r.Status, r.Body)
		}
	}
}
