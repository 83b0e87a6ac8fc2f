package main

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain"
)

// A disk that fills up stops first what people change, then tokens, and never the
// ending of trust; with room again all goes on by itself (security.md F10).
func TestADiskThatFillsUpStopsWritesInOrder(t *testing.T) {
	var used atomic.Uint64
	x := twoTenantsWith(t, func(m *Main) { m.Measure = func() (uint64, uint64, error) { return 1000 - used.Load(), 1000, nil } })
	readiness := func() int { return x.send(t, "GET", "/readyz", "").StatusCode }
	exchange := func() int { return x.exchange(t, "default", x.proof("default"), "connection", "ci").StatusCode }
	await := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !is(); {
			if time.Now().After(deadline) {
				t.Fatalf("%d in a thousand are used, and still not: %s", used.Load(), what)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	drafted := 0
	draft := func() int {
		drafted++
		doc := `{"name":"n` + strconv.Itoa(drafted) + `","provider":"generic_jwt","jwks_url":"` + x.provider.URL + `/jwks","conditions":[{"claim":"iss","operator":"equals","value":"` +
			x.provider.URL + `"},{"claim":"aud","operator":"equals","value":"x"},{"claim":"sub","operator":"equals","value":"job"}]}`
		return x.json(t, "default", domain.DevOpsAdmin, "POST", "/connections", doc).StatusCode
	}

	used.Store(960)
	await("no changes", func() bool { return draft() == http.StatusServiceUnavailable })
	if got, ready := exchange(), readiness(); got != http.StatusOK || ready != http.StatusOK {
		t.Errorf("at 96 %%, a token is answered with %d and readiness is %d", got, ready)
	}
	used.Store(985)
	await("no tokens", func() bool { return exchange() == http.StatusServiceUnavailable })
	if got := readiness(); got != http.StatusServiceUnavailable {
		t.Errorf("at 98.5 %%, readiness is %d", got)
	}
	if a := x.json(t, "acme", domain.SecurityAdmin, "POST", "/connections/ci/deactivate", "{}", "If-Match", `"1"`); a.StatusCode != http.StatusOK {
		t.Errorf("at 98.5 %%, a connection cannot be deactivated: %d %s", a.StatusCode, a.raw)
	}
	if got := x.send(t, "GET", "/orgs/default/jwks", "").StatusCode; got != http.StatusOK {
		t.Errorf("at 98.5 %%, our keys are answered with %d", got)
	}
	used.Store(500)
	await("tokens again", func() bool { return exchange() == http.StatusOK })
	if got := draft(); got != http.StatusCreated {
		t.Errorf("with room again, a draft is answered with %d", got)
	}
	if got := readiness(); got != http.StatusOK {
		t.Errorf("with room again, readiness is %d", got)
	}
}
