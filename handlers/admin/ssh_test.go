package admin_test

import (
	"testing"
	"time"
)

func TestTheSSHAuthorityIsRotatedByASecurityAdmin(t *testing.T) {
	e := newEdge(t)
	keys := func(r reply) (states, ids []string) {
		for _, v := range r.Body["keys"].([]any) {
			k := v.(map[string]any)
			states, ids = append(states, k["state"].(string)), append(ids, k["fingerprint"].(string))
		}
		return states, ids
	}
	r := e.must(200, e.as("auditor", "GET", "/ssh/ca", nil))
	states, before := keys(r)
	if len(states) != 2 || states[0] != "active" || states[1] != "next" || r.text("url") != e.Issuer()+"/ssh/ca.pub" {
		t.Fatalf("got %s", r.Raw)
	}
	if r := e.must(409, e.as("security", "POST", "/ssh/ca/rotate", nil)); r.text("code") != "ssh_ca.too_young" {
		t.Errorf("got %s", r.Raw)
	}
	e.Advance(6 * time.Minute)
	e.must(403, e.as("owner", "POST", "/ssh/ca/rotate", nil))
	e.must(422, e.as("security", "POST", "/ssh/ca/rotate", `{"force":true}`))
	at := e.Last()
	first := e.must(200, e.as("security", "POST", "/ssh/ca/rotate", nil, "Idempotency-Key", "once"))
	states, after := keys(first)
	if len(states) != 3 || states[2] != "retired" || after[0] != before[1] || after[2] != before[0] || first.Header.Get("Sallyport-Position") == "" {
		t.Errorf("got %s", first.Raw)
	}
	if types := e.Types(at); len(types) != 3 {
		t.Errorf("recorded %v", types)
	}
	again := e.must(200, e.as("security", "POST", "/ssh/ca/rotate", nil, "Idempotency-Key", "once"))
	if again.Raw != first.Raw || again.Header.Get("Sallyport-Position") != first.Header.Get("Sallyport-Position") {
		t.Errorf("the same request again got %s", again.Raw)
	}
}
