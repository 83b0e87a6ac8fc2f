package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// network is two bridges: over one the sites reach each other, over the other
// the clients reach every site, so that sites can be cut off from each other
// while clients go on asking all of them. All of it is named after this process,
// and what an earlier one left behind is removed.
type network struct {
	t     testing.TB
	id    string // names begin with it; eight characters at most
	octet int    // 10.<octet>.0.0/16 is ours
}

// newNetwork makes the two bridges, or ends the test and says what it takes.
func newNetwork(t testing.TB) *network {
	t.Helper()
	removeLeftovers()
	pid := os.Getpid()
	n := &network{t: t, id: "sp" + strconv.Itoa(pid%100000), octet: 64 + pid%128}
	if out, err := exec.Command("ip", "link", "add", n.bridge("p"), "type", "bridge").CombinedOutput(); err != nil {
		t.Fatalf("these tests cut networks, so they need root, network namespaces and bridges, and the programs ip and nft "+
			"(scripts/setup installs them): making a bridge: %v\n%s", err, out)
	}
	t.Cleanup(n.remove)
	n.do("ip", "link", "set", n.bridge("p"), "up")
	n.do("ip", "link", "add", n.bridge("c"), "type", "bridge")
	n.do("ip", "addr", "add", n.ip("c", 254)+"/24", "dev", n.bridge("c"))
	n.do("ip", "link", "set", n.bridge("c"), "up")
	return n
}

// join makes a namespace with a link to either bridge.
func (n *network) join(site int) (ns string) {
	n.t.Helper()
	ns = n.ns(site)
	n.do("ip", "netns", "add", ns)
	n.do("ip", "-n", ns, "link", "set", "lo", "up")
	for _, which := range []string{"p", "c"} {
		n.do("ip", "link", "add", n.link(which, site), "type", "veth", "peer", "name", which+"0", "netns", ns)
		n.do("ip", "link", "set", n.link(which, site), "master", n.bridge(which))
		n.do("ip", "link", "set", n.link(which, site), "up")
		n.do("ip", "-n", ns, "addr", "add", n.ip(which, site)+"/24", "dev", which+"0")
		n.do("ip", "-n", ns, "link", "set", which+"0", "up")
	}
	return ns
}

func (n *network) ns(site int) string         { return fmt.Sprintf("%s-%d", n.id, site) }
func (n *network) bridge(which string) string { return n.id + which }
func (n *network) link(which string, site int) string {
	return fmt.Sprintf("%s%s%d", n.id, which, site)
}

// ip is a site's address among the sites (p) or for clients (c).
func (n *network) ip(which string, site int) string {
	return fmt.Sprintf("10.%d.%d.%d", n.octet, map[string]int{"p": 1, "c": 2}[which], site)
}

// cut takes a site away from the others: what is sent is lost, and nobody is told.
func (n *network) cut(site int) { n.do("ip", "link", "set", n.link("p", site), "nomaster") }

// mend undoes cut.
func (n *network) mend(site int) {
	n.do("ip", "link", "set", n.link("p", site), "master", n.bridge("p"))
}

// deafen has a site hear nothing that another one sends.
func (n *network) deafen(site, to int) {
	n.inside(site, "nft", "add", "table", "ip", "cut")
	n.inside(site, "nft", "add", "chain", "ip", "cut", "in", "{ type filter hook input priority 0; }")
	n.inside(site, "nft", "add", "rule", "ip", "cut", "in", "ip", "saddr", n.ip("p", to), "drop")
}

// undeafen undoes every deafen of a site.
func (n *network) undeafen(site int) { n.inside(site, "nft", "delete", "table", "ip", "cut") }

func (n *network) inside(site int, argv ...string) {
	n.t.Helper()
	n.do("ip", append([]string{"netns", "exec", n.ns(site)}, argv...)...)
}

func (n *network) do(name string, args ...string) {
	n.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// remove takes everything down; a link goes with its namespace.
func (n *network) remove() { removeNetwork(n.id) }

func removeNetwork(id string) {
	spaces, _ := filepath.Glob("/run/netns/" + id + "-*")
	for _, ns := range spaces {
		_ = exec.Command("ip", "netns", "del", filepath.Base(ns)).Run() // there is nobody to tell
	}
	for _, which := range []string{"p", "c"} {
		_ = exec.Command("ip", "link", "del", id+which).Run() // not there, where it was never made
	}
}

// removeLeftovers removes the networks of test processes that are no more.
func removeLeftovers() {
	bridges, _ := filepath.Glob("/sys/class/net/sp*[0-9]p")
	for _, b := range bridges {
		id := strings.TrimSuffix(filepath.Base(b), "p")
		if pid, err := strconv.Atoi(strings.TrimPrefix(id, "sp")); err == nil {
			if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); os.IsNotExist(err) {
				removeNetwork(id)
			}
		}
	}
}
