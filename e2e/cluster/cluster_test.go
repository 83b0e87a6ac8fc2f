package cluster

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/e2e/program"
)

func TestMain(m *testing.M) { program.Main(m) }

// harm is what is done to a cluster while clients use it. It returns what was
// measured beyond what is measured of all.
type harm struct {
	id, what string
	do       func(c *cluster, l *load) string
}

// harms needs nothing but processes.
var harms = []harm{
	{"kill-replica", "kill -9 of a sallyportd, started again", killReplica},
	{"kill-leader", "kill -9 of the NATS server that leads the log, started again", killLeader},
	{"pause-leader", "SIGSTOP of that server for 5 s", pauseLeader},
	{"pause-replica", "SIGSTOP of a sallyportd for 5 s", pauseReplica},
	{"kill-all", "kill -9 of all three NATS servers, started again", killAll},
	{"two-down", "two of three NATS servers stopped, started again", twoDown},
	{"roll-replicas", "every sallyportd restarted in turn", rollReplicas},
	{"roll-nats", "every NATS server restarted in turn", rollNATS},
}

// chosen tells what SALLYPORT_CLUSTER asks for: all, or ids with commas between.
func chosen(id string) bool {
	ids := strings.Split(os.Getenv("SALLYPORT_CLUSTER"), ",")
	return slices.Contains(ids, "all") || slices.Contains(ids, id)
}

func long() bool { return os.Getenv("SALLYPORT_CLUSTER") != "" }

// apply does harm under load, and checks what everybody saw.
func apply(t *testing.T, c *cluster, h harm) {
	t.Run(h.id, func(t *testing.T) {
		c.t = t
		t.Cleanup(func() { c.tell(t) })
		for _, s := range c.sites {
			s.nats.t, s.serve.t = t, t
		}
		l := c.begin()
		measured := h.do(c, l)
		l.end()
		if !t.Failed() {
			fmt.Printf("row: | %s | %s. %s |\n", h.what, l.summary(), measured)
		}
	})
}

// Clients of three replicas see one Sallyport, whatever ends and comes back.
func TestThreeReplicasAreOne(t *testing.T) {
	if testing.Short() {
		t.Skip("the real servers are run without -short")
	}
	c := newCluster(t, options{})
	for _, h := range harms {
		if long() && chosen(h.id) || !long() && slices.Contains([]string{"kill-replica", "pause-leader"}, h.id) {
			apply(t, c, h)
		}
	}
}

// since is the longest that any site needed for its first token asked for after a time.
func (l *load) since(at time.Duration, sites ...*site) string {
	l.awaitTokens(at, sites...)
	l.mu.Lock()
	defer l.mu.Unlock()
	var d time.Duration
	for _, s := range sites {
		told, _ := l.firstAfter(at, s.n)
		d = max(d, told-at)
	}
	return round(d)
}

func killReplica(c *cluster, l *load) string {
	victim := c.sites[2]
	at := l.now()
	victim.serve.kill()
	others := l.since(at, c.others(victim)...)
	at = l.now()
	victim.serve.start()
	return fmt.Sprintf("The others after %s; it answers %s after its start", others, l.since(at, victim))
}

func killLeader(c *cluster, l *load) string {
	leader := c.leader()
	at := l.now()
	leader.nats.kill()
	lost := l.since(at, c.sites...)
	leader.nats.start()
	l.since(l.now(), c.sites...)
	return fmt.Sprintf("Every site gives out tokens again after %s", lost)
}

func pauseLeader(c *cluster, l *load) string {
	leader := c.leader()
	at := l.now()
	leader.nats.pause(5 * time.Second)
	return fmt.Sprintf("Every site gives out tokens again %s after its begin", l.since(at, c.sites...))
}

func pauseReplica(c *cluster, l *load) string {
	victim := c.sites[1]
	at := l.now()
	victim.serve.signal(syscall.SIGSTOP)
	others := l.since(at, c.others(victim)...)
	rest(l.ctx, 5*time.Second)
	at = l.now()
	victim.serve.signal(syscall.SIGCONT)
	return fmt.Sprintf("The others after %s; it answers %s after it goes on", others, l.since(at, victim))
}

func killAll(c *cluster, l *load) string {
	for _, s := range c.sites {
		s.nats.signal(syscall.SIGKILL)
	}
	for _, s := range c.sites {
		s.nats.wait()
	}
	at := l.now()
	for _, s := range c.sites {
		s.nats.start()
	}
	return fmt.Sprintf("Every site gives out tokens %s after their start", l.since(at, c.sites...))
}

func twoDown(c *cluster, l *load) string {
	leader := c.leader()
	at := l.now()
	for _, s := range c.others(leader) {
		s.nats.signal(syscall.SIGKILL)
	}
	rest(l.ctx, 8*time.Second) // so long nobody issues
	end := l.now()
	for _, s := range c.others(leader) {
		s.nats.wait()
		s.nats.start()
	}
	back := l.since(end, c.sites...)
	return fmt.Sprintf("The slowest 503 took %s; every site gives out tokens %s after the start of the two", l.slowest503(at, end, 0), back)
}

// slowest503 is the longest that anybody waited for a 503 meanwhile, at one site
// or, for 0, anywhere. Two seconds are promised, on a machine with nothing else to do.
func (l *load) slowest503(from, to time.Duration, site int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := max(slowest(l.asked, 503, from, to, site), slowest(l.looked, 503, from, to, site))
	if d > 4*time.Second {
		l.c.t.Errorf("somebody waited %s for a 503", d)
	}
	return round(d)
}

func rollReplicas(c *cluster, l *load) string {
	at := l.now()
	for _, s := range c.sites {
		s.serve.signal(syscall.SIGTERM)
		s.serve.wait()
		s.serve.start()
		c.await(s)
		l.since(l.now(), s)
	}
	l.since(l.now(), c.sites...)
	l.mu.Lock()
	defer l.mu.Unlock()
	refused, broken := 0, 0
	for _, a := range l.asked {
		switch {
		case a.at < at || a.status != 0 && a.status != 503:
		case a.status == 0 && a.refused:
			refused++ // nobody listened: a client, or a load balancer, asks the next one
		default:
			broken++
			c.t.Errorf("a request that was taken got %d %s", a.status, a.code)
		}
	}
	return fmt.Sprintf("%d connections refused, %d requests that were taken failed", refused, broken)
}

func rollNATS(c *cluster, l *load) string {
	for _, s := range c.sites {
		s.nats.signal(syscall.SIGTERM)
		s.nats.wait()
		s.nats.start()
		c.awaitCurrent()
		l.since(l.now(), c.sites...)
	}
	return ""
}
