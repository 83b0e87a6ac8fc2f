package streams

import (
	"testing"
	"time"
)

// What a silence means depends on whether anything could have been heard.
func TestWhoIsSilentIsForgottenOnlyWhereHeCouldBeHeard(t *testing.T) {
	start := time.Now()
	after := func(d time.Duration) time.Time { return start.Add(d) }
	for _, c := range []struct {
		name string
		ask  func(p *presence)
		want int
	}{
		{"for a while nobody is missed", func(p *presence) { p.forget(after(silentFor), false) }, 2},
		{"after half a minute he is gone", func(p *presence) { p.forget(after(silentFor+time.Second), false) }, 1},
		{"while we are cut off nobody goes", func(p *presence) { p.forget(after(time.Hour), true) }, 2},
		{"who is back gives the others time", func(p *presence) {
			p.forget(after(time.Hour), true)
			p.forget(after(time.Hour+silentFor), false)
		}, 2},
		{"and then no longer", func(p *presence) {
			p.forget(after(time.Hour), true)
			p.forget(after(time.Hour+silentFor+time.Second), false)
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &presence{heard: map[string]time.Time{"another": start}, since: start}
			if c.ask(p); p.count() != c.want {
				t.Errorf("%d are counted, want %d", p.count(), c.want)
			}
		})
	}
}
