package control_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/projections/control"
)

// What a connection, an idempotency key and a spent proof take for as long as
// they are kept is about what docs/limits.md says; the soak takes a little less
// off for the first two before it looks for growth.
func TestWhatIsKeptIsSmall(t *testing.T) {
	const (
		n = 5_000
		// In bytes; the least is what the soak takes off.
		connectionLeast, connectionMost = 700, 1_600
		keyLeast, keyMost               = 200, 600
		spentLeast, spentMost           = 0, 210
	)
	for name, c := range map[string]struct {
		least, most int
		add         func(h *history, i int)
	}{
		"a drafted connection with two conditions": {connectionLeast, connectionMost, func(h *history, i int) {
			h.control(fmt.Sprintf("connection/c%d", i), "devops", connection.WasDrafted{Spec: fresh(i)})
		}},
		"a drafted connection, edited once": {connectionLeast, connectionMost, func(h *history, i int) {
			subject := fmt.Sprintf("connection/c%d", i)
			edited := fresh(i)
			edited.Description = strings.Clone("edited")
			h.control(subject, "devops", connection.WasDrafted{Spec: fresh(i)})
			h.control(subject, "devops", connection.WasEdited{Spec: edited})
		}},
		"an idempotency key": {keyLeast, keyMost, func(h *history, i int) {
			h.activity(connection.WasTested{}).under(fmt.Sprintf("%043d", i), fmt.Sprintf("%043d", -i))
		}},
		"a spent proof": {spentLeast, spentMost, func(h *history, i int) {
			h.activity(spent(spendKey(i), h.now.Add(6*time.Minute+n*time.Second)))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := control.New()
			before := live()
			h := begin()
			for i := range n {
				c.add(h.after(time.Second), i)
			}
			if err := p.Apply(h.commits); err != nil {
				t.Fatal(err)
			}
			h.commits = nil
			used := int(live()-before) / n
			if t.Logf("%d bytes", used); used < c.least || used > c.most {
				t.Errorf("takes %d bytes, want %d to %d", used, c.least, c.most)
			}
			runtime.KeepAlive(p)
		})
	}
}

// fresh is a spec that shares no memory with another one, as one that was read from a log.
func fresh(i int) connection.Spec {
	s := spec(fmt.Sprint("https://idp.example.com/c", i))
	s.Conditions = []claim.Condition{
		{Claim: claim.Path(strings.Clone("iss")), Operator: claim.Equals, Value: strings.Clone(s.Conditions[0].Value)},
		{Claim: claim.Path(strings.Clone("aud")), Operator: claim.Equals, Value: fmt.Sprint("https://sallyport.example/orgs/o", i)},
	}
	return s
}

// live is how many bytes of the heap are alive.
func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
