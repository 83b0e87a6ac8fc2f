package exchange_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/organisation/orgtest"
)

// One replica's clock is an hour ahead, another's an hour behind. Each judges
// proofs and tokens by its own, within the skew, so two of them refuse what is
// good; but what is good for one token never becomes two, and a wrong clock
// takes nothing from the replica whose clock is right.
func TestReplicasWithClocksAnHourApart(t *testing.T) {
	all, _ := replicas(t)
	right, ahead, behind := all[0], all[1], all[2]
	p := orgtest.NewProvider(t, "ES256")
	spec := p.Spec(right.Issuer(), subject)
	right.Activated("ci", spec)
	spec.SingleUse = true
	right.Activated("once", spec)
	everywhere(t, all)
	ahead.Advance(time.Hour)
	behind.Advance(-time.Hour)

	t.Run("a proof is judged by the clock of the replica it is shown to", func(t *testing.T) {
		now := form(p.Mint(p.Claims(right.Now(), right.Issuer(), subject, nil)), "connection", "ci")
		for _, c := range []struct {
			name string
			at   *edge
			want string
		}{{"right", right, ""}, {"an hour ahead", ahead, "proof.expired"}, {"an hour behind", behind, "proof.not_yet_valid"}} {
			if got := c.at.reached(now).text("error_code"); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	})

	t.Run("a token is judged so, too", func(t *testing.T) {
		r := right.reached(form(p.Mint(p.Claims(right.Now(), right.Issuer(), subject, nil)), "connection", "ci"))
		for i, want := range []bool{true, false, false} {
			if _, holds := all[i].ReadToken(r.text("access_token")); holds != want {
				t.Errorf("replica %d says %v, want %v", i, holds, want)
			}
		}
	})

	t.Run("what is issued by a clock ahead takes nothing from the others", func(t *testing.T) {
		if r := ahead.reached(form(p.Mint(p.Claims(ahead.Now(), right.Issuer(), subject, nil)), "connection", "ci")); r.Status != 200 {
			t.Fatalf("the replica whose clock is ahead: %d %v", r.Status, r.Body)
		}
		everywhere(t, all)
		once := form(p.Mint(p.Claims(right.Now(), right.Issuer(), subject, map[string]any{"jti": "first"})), "connection", "once")
		if r := right.reached(once); r.Status != 200 {
			t.Fatalf("the replica whose clock is right: %d %v", r.Status, r.Body)
		}
	})

	t.Run("a proof for one token gets one", func(t *testing.T) {
		for round := range 10 {
			// Good by all three clocks, for as long as a proof may be.
			proof := p.Mint(p.Claims(behind.Now(), right.Issuer(), subject, map[string]any{
				"jti": fmt.Sprint("round ", round), "exp": ahead.Now().Add(time.Hour).Unix()}))
			var issued atomic.Int64
			show := func() {
				var wg sync.WaitGroup
				for _, e := range append(all, all...) {
					wg.Go(func() {
						switch r := e.reached(form(proof, "connection", "once")); {
						case r.Status == 200:
							issued.Add(1)
						case r.text("error_code") != "proof.replayed":
							t.Errorf("%d %v", r.Status, r.Body)
						}
					})
				}
				wg.Wait()
			}
			show()
			everywhere(t, all)
			show()
			if n := issued.Load(); n > 1 || n == 0 && !unclear(all) {
				t.Fatalf("round %d: %d tokens for one proof", round, issued.Load())
			}
		}
		spent := map[string]domain.Position{}
		for _, e := range right.Events() {
			if d, is := e.Event.(token.WasIssued); is && d.Spent != "" {
				if at, twice := spent[d.Spent]; twice {
					t.Errorf("the proof spent at %s is spent again at %s", at, e.Position)
				}
				spent[d.Spent] = e.Position
			}
		}
	})
}
