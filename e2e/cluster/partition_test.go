package cluster

import (
	"fmt"
	"testing"
	"time"
)

// cuts need network namespaces: each site is in one, with its own NATS server alone.
var cuts = []harm{
	{"cut-leader", "the site that leads the log is cut off from the others for 20 s", func(c *cluster, l *load) string { return cutOff(c, l, c.leader()) }},
	{"cut-follower", "another site is cut off for 20 s", func(c *cluster, l *load) string { return cutOff(c, l, c.others(c.leader())[0]) }},
	{"deaf-leader", "the site that leads the log hears nothing of the others for 20 s, who hear it", deafLeader},
	{"deaf-follower", "another site hears nothing of the leader for 20 s, which hears it", deafFollower},
	{"bridge", "the leader and one other site cannot reach each other for 20 s, and both reach the third", bridge},
}

// cutFor is how long a network is cut: longer than it takes to elect and to give up.
const cutFor = 20 * time.Second

// The sites of a cut network see one Sallyport, or say that they cannot tell.
func TestACutNetworkIsOneSallyportOrSaysSo(t *testing.T) {
	var wanted []harm
	for _, h := range cuts {
		if long() && chosen(h.id) {
			wanted = append(wanted, h)
		}
	}
	if len(wanted) == 0 {
		return // `make cluster` runs them: they take minutes, and root
	}
	c := newCluster(t, options{apart: true})
	for _, h := range wanted {
		apply(t, c, h)
	}
}

// cutOff cuts one site off from the two others.
func cutOff(c *cluster, l *load, victim *site) string {
	return during(c, l, victim, c.others(victim), func() { c.net.cut(victim.n) }, func() { c.net.mend(victim.n) })
}

func deafLeader(c *cluster, l *load) string {
	leader := c.leader()
	return during(c, l, leader, c.others(leader), func() {
		for _, o := range c.others(leader) {
			c.net.deafen(leader.n, o.n)
		}
	}, func() { c.net.undeafen(leader.n) })
}

func deafFollower(c *cluster, l *load) string {
	leader := c.leader()
	victim := c.others(leader)[0]
	return during(c, l, victim, c.others(victim), func() { c.net.deafen(victim.n, leader.n) }, func() { c.net.undeafen(victim.n) })
}

// bridge cuts between two sites. The third one reaches both, so whoever of them
// leads, it goes on; the one of the two that cannot reach the leader cannot.
func bridge(c *cluster, l *load) string {
	leader := c.leader()
	other, third := c.others(leader)[0], c.others(leader)[1]
	return during(c, l, other, []*site{third}, func() {
		c.net.deafen(leader.n, other.n)
		c.net.deafen(other.n, leader.n)
	}, func() {
		c.net.undeafen(leader.n)
		c.net.undeafen(other.n)
	})
}

// during cuts, lets the clients go on for a while, mends, and measures: how soon
// the others go on, how long the victim went on by itself, how long it took to
// say no, and how soon it is back.
func during(c *cluster, l *load, victim *site, others []*site, cut, mend func()) string {
	at := l.now()
	cut()
	goOn := l.since(at, others...)
	rest(l.ctx, cutFor-(l.now()-at))
	end := l.now()
	mend()
	back := l.since(end, victim)
	slow := l.slowest503(at, end, victim.n)
	l.mu.Lock()
	defer l.mu.Unlock()
	tokens, told := latest(l.asked, 200, end, victim.n)-at, latest(l.looked, 200, end, victim.n)-at
	return fmt.Sprintf("The others after %s. At the site: last token %s and last introspection %s after the cut, slowest 503 %s, tokens %s after the mending",
		goOn, round(max(tokens, 0)), round(max(told, 0)), slow, back)
}
