package faults

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/e2e/program"
	"sallyport.dev/handlers/jose"
)

func TestMain(m *testing.M) { program.Main(m) }

// scenario is one harm. Its id is that of the matrix in docs/reliability.md.
type scenario struct {
	id, what, target string
	// short: it is part of every test run. It then needs nothing of the machine
	// and takes seconds; long, it does more rounds of the same.
	short bool
	run   func(t *testing.T, long bool) (measured string)
}

func scenarios() []scenario {
	return slices.Concat(killed, moments, stopped, disks, sources, clocks, loads, soaked)
}

// TestFaults runs the short scenarios, or those that SALLYPORT_FAULTS names (all
// but the soak, or ids with commas between), long. Each prints its row.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("the real server is harmed without -short")
	}
	chosen, long := os.LookupEnv("SALLYPORT_FAULTS")
	ids := strings.Split(chosen, ",")
	for _, s := range scenarios() {
		named := slices.Contains(ids, s.id) || chosen == "all" && s.id != "SOAK"
		if long && !named || !long && !s.short {
			continue
		}
		t.Run(s.id, func(t *testing.T) {
			if !long {
				t.Parallel()
			}
			measured := s.run(t, long)
			if !t.Failed() {
				fmt.Printf("row: | %s | %s | %s | %s |\n", s.id, s.what, s.target, measured)
			}
		})
	}
}

// pick is so much of something: short in every test run, long in `make faults`.
func pick[T any](long bool, short, all T) T {
	if long {
		return all
	}
	return short
}

// world is a server with a connection of uploaded keys, and who asks it.
func world(t testing.TB, o options) (*server, *caller) {
	t.Helper()
	s := newServer(t, o)
	return s, s.open(newLedger())
}

// open starts the server for the first time and gives it the connection job.
func (s *server) open(l *ledger) *caller {
	s.t.Helper()
	key, err := jose.NewHostKey("ES256")
	if err != nil {
		s.t.Fatal(err)
	}
	s.up()
	s.trust("job", map[string]any{
		"provider": "generic_jwt", "jwks": key.PublicJWKS(), "conditions": conditions(s.issuer),
	})
	return &caller{s: s, l: l, http: newClient(64, patience/2), name: "job",
		proof: proofs(key, "https://idp.example.com", s.issuer), writes: 8}
}

// conditions are those that a proof of [proofs] meets.
func conditions(audience string) []map[string]any {
	return []map[string]any{
		{"claim": "iss", "operator": "equals", "value": "https://idp.example.com"},
		{"claim": "aud", "operator": "equals", "value": audience}, {"claim": "sub", "operator": "equals", "value": "job"},
	}
}
