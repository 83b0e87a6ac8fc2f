package cluster

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport.dev/e2e/ports"
	"sallyport.dev/handlers/jose"
)

// flood has clients of one address ask every site given as fast as they are
// answered, and returns how many were let in, and how long it took.
func (c *cluster) flood(d time.Duration, sites []*site, address, connection, proof string) (allowed int, took time.Duration) {
	h, begin := newHistory(), time.Now()
	ctx, stop := context.WithTimeout(context.Background(), d)
	defer stop()
	var clients sync.WaitGroup
	for range 4 {
		for _, s := range sites {
			clients.Go(func() {
				for ctx.Err() == nil {
					c.exchange(context.Background(), h, s, connection, proof, "X-Forwarded-For", address)
				}
			})
		}
	}
	clients.Wait()
	for _, a := range h.asked {
		switch a.status {
		case http.StatusOK:
			allowed++
		case http.StatusTooManyRequests:
		default:
			c.t.Errorf("got %d %s", a.status, a.code)
		}
	}
	return allowed, time.Since(begin)
}

// A flood through all replicas at once gets what it would get from one; all of
// it through one of three gets a third, which is what nobody asking anybody costs.
func TestLimitsHoldForAllReplicasTogether(t *testing.T) {
	if !long() || !chosen("limits") {
		return // `make cluster` runs it: figures need a machine with time
	}
	const perSecond = 20 // and twice that at once
	metrics := ports.Take(t, 3)
	c := newCluster(t, options{perAddress: perSecond, config: func(n int) string {
		return fmt.Sprintf("metrics: {listen: \"127.0.0.1:%d\"}\n", metrics[n-1])
	}})
	key, err := jose.NewHostKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	p := provider{key}
	c.activated(p, "flooded", nil)
	proof := p.proof(c.issuer)
	for i, s := range c.sites {
		c.until(fmt.Sprintf("replica %d knows of the others", s.n), func() bool { return c.counted(s, metrics[i]) == 3 })
	}
	for _, f := range []struct {
		what, address string
		sites         []*site
		share         float64
	}{
		{"one client floods all three replicas", "198.51.100.1", c.sites, 1},
		{"another floods one of the three", "198.51.100.2", c.sites[:1], 1.0 / 3},
	} {
		allowed, took := c.flood(6*time.Second, f.sites, f.address, "flooded", proof)
		limit := f.share * (2*perSecond + perSecond*took.Seconds())
		if got := float64(allowed); got > 1.3*limit || got < 0.5*limit {
			t.Errorf("%s: %d were let in within %s, want about %.0f", f.what, allowed, took, limit)
		}
		fmt.Printf("row: | %s | %d tokens in %s, where %.0f are allowed |\n", f.what, allowed, round(took), limit)
	}
}

// counted is how many replicas one counts, by its metrics; 0 if it does not say.
func (c *cluster) counted(s *site, port int) (n int) {
	res, err := s.client.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if rest, is := strings.CutPrefix(lines.Text(), "sallyport_replicas{"); is {
			_, value, _ := strings.Cut(rest, "} ")
			n, _ = strconv.Atoi(value)
		}
	}
	return n
}
