// Package cluster runs three sallyportd on a cluster of three NATS servers, six
// processes, and lets clients use all of them at once while processes are killed,
// stopped and restarted and networks are cut. What the clients saw is checked
// afterwards: against models of what may be seen, with porcupine, and against
// the log, which has exactly what was answered.
//
// `go test` runs what takes seconds and needs nothing but processes; `make
// cluster` runs all of it, prints a row for docs/replicas.md for each harm, and
// needs root and network namespaces.
package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/e2e/ports"
	"sallyport.dev/e2e/program"
)

// within bounds every wait for something that has to come.
const within = 90 * time.Second

// site is one third of it: a NATS server and a sallyportd.
type site struct {
	n      int // 1, 2, 3
	nats   *process
	serve  *process
	natsAt string // host:port for clients
	url    string // of sallyportd, as clients reach it
	config string
	client *http.Client // keeps connections of its own

	leaving atomic.Bool // it was asked to stop, as a load balancer sees it
}

// cluster is three sites.
type cluster struct {
	t      testing.TB
	dir    string
	bin    string
	net    *network // nil: all on the loopback
	sites  []*site
	issuer string
	tokens map[string]string // API tokens of people, by name
	told   bool              // what the programs said
}

// options change what a cluster is.
type options struct {
	apart      bool               // each site in a network namespace of its own, with its own NATS server alone
	roundTrip  time.Duration      // between NATS servers; 0: as the machine has it
	perAddress int                // requests a second of one client; 0: no limit
	config     func(n int) string // further lines of a sallyportd's configuration; nil: none
}

var quiet = slog.New(slog.DiscardHandler)

const user, password = "sallyport", "known-to-this-test"

// newCluster starts the six processes and returns when every sallyportd is ready.
func newCluster(t testing.TB, o options) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), bin: program.Build(t), tokens: map[string]string{}}
	if o.apart {
		c.net = newNetwork(t)
	}
	nats := natsServer(t)
	const base = "http://127.0.0.1:8420" // nobody listens there: a load balancer would
	c.issuer = base + "/orgs/default"
	c.run("keys", "kek", "--out", filepath.Join(c.dir, "kek.json"))
	var routes []string
	var listens [][3]int
	for n := 1; n <= 3; n++ {
		host, _ := c.addresses(n)
		p := [3]int{4222, 6222, 8420}
		if !o.apart {
			p = [3]int(ports.Take(t, 3))
		} else {
			c.net.join(n)
		}
		at := fmt.Sprintf("%s:%d", host, p[1])
		if o.roundTrip > 0 {
			at = slowly(t, at, o.roundTrip/2)
		}
		listens, routes = append(listens, p), append(routes, at)
	}
	for n := 1; n <= 3; n++ {
		c.sites = append(c.sites, c.newSite(n, listens[n-1], nats, routes))
	}
	t.Cleanup(c.end)
	t.Cleanup(func() { c.tell(t) })
	for _, s := range c.sites {
		c.configure(s, base, o)
		s.nats.start()
	}
	c.awaitNATS()
	for _, s := range c.sites {
		s.serve.start()
	}
	for _, s := range c.sites {
		c.await(s)
	}
	c.people()
	return c
}

// addresses of a site, for the other sites and for clients.
func (c *cluster) addresses(n int) (peers, clients string) {
	if c.net == nil {
		return "127.0.0.1", "127.0.0.1"
	}
	return c.net.ip("p", n), c.net.ip("c", n)
}

func (c *cluster) newSite(n int, ports [3]int, nats string, routes []string) *site {
	peers, clients := c.addresses(n)
	s := &site{
		n: n, natsAt: fmt.Sprintf("%s:%d", clients, ports[0]), url: fmt.Sprintf("http://%s:%d", clients, ports[2]),
		config: filepath.Join(c.dir, fmt.Sprintf("serve-%d.yaml", n)),
		client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
			MaxIdleConnsPerHost: 64, DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		}},
	}
	ns := ""
	if c.net != nil {
		ns = c.net.ns(n)
	}
	natsConfig := filepath.Join(c.dir, fmt.Sprintf("nats-%d.conf", n))
	c.file(natsConfig, fmt.Sprintf(`server_name: node%d
listen: "0.0.0.0:%d"
authorization { user: %q, password: %q }
ping_interval: 2s
jetstream { store_dir: %q, sync_interval: always }
cluster { name: test, listen: "%s:%d", advertise: %q, no_advertise: true, ping_interval: 2s, ping_max: 2, routes: ["nats://%s"] }
`, n, ports[0], user, password, filepath.Join(c.dir, fmt.Sprintf("nats-%d", n)), peers, ports[1], routes[n-1], strings.Join(routes, `", "nats://`)))
	s.nats = &process{t: c.t, name: fmt.Sprintf("nats-server %d", n), ns: ns, argv: []string{nats, "-c", natsConfig},
		log: filepath.Join(c.dir, fmt.Sprintf("nats-%d.log", n))}
	s.serve = &process{t: c.t, name: fmt.Sprintf("sallyportd %d", n), ns: ns, argv: []string{filepath.Join(c.bin, "sallyportd"), "serve", "--config", s.config},
		log: filepath.Join(c.dir, fmt.Sprintf("serve-%d.log", n))}
	return s
}

// configure writes a sallyportd's configuration. On the loopback each knows all
// NATS servers; apart, its own alone, so that it shares the fate of its site.
func (c *cluster) configure(s *site, base string, o options) {
	var urls []string
	for _, other := range c.sites {
		if !o.apart || other == s {
			urls = append(urls, fmt.Sprintf("nats://%s:%s@%s", user, password, other.natsAt))
		}
	}
	more := ""
	if o.config != nil {
		more = o.config(s.n)
	}
	c.file(s.config, fmt.Sprintf(`listen: %q
base_url: %s
data_dir: %s
key_encryption_key_file: %s
nats: {url: %q}
trusted_proxies: [0.0.0.0/0]
rate_limits: {per_address: %d, per_connection: 0}
shutdown: {wait: 2s}
log: {format: text}
%s`, strings.TrimPrefix(s.url, "http://"), base, filepath.Join(c.dir, fmt.Sprintf("data-%d", s.n)),
		filepath.Join(c.dir, "kek.json"), strings.Join(urls, ","), o.perAddress, more))
}

func (c *cluster) file(name, content string) {
	c.t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// run runs sallyportd and returns what it answers.
func (c *cluster) run(args ...string) string {
	c.t.Helper()
	out, err := exec.Command(filepath.Join(c.bin, "sallyportd"), args...).Output()
	if err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			err = fmt.Errorf("%w\n%s", err, e.Stderr)
		}
		c.t.Fatalf("sallyportd %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// people makes who the tests act as; each has one role.
func (c *cluster) people() {
	c.t.Helper()
	// dora writes, so she activates nothing; sam and sue activate, so they write nothing.
	for who, role := range map[string]string{"dana": "devops_admin", "dora": "security_admin", "sam": "security_admin", "sue": "security_admin", "audrey": "auditor"} {
		c.tokens[who] = c.run("token", "create", "--config", c.sites[0].config, "--person", who, "--role", role, "--ttl", "8h")
	}
}

// end kills what still runs.
func (c *cluster) end() {
	for _, s := range c.sites {
		s.serve.end()
		s.nats.end()
		s.client.CloseIdleConnections()
	}
}

// tell shows once, behind why a test failed, what the programs said last.
func (c *cluster) tell(t testing.TB) {
	if !t.Failed() || c.told {
		return
	}
	c.told = true
	for _, s := range c.sites {
		t.Log(s.serve.said())
		t.Log(s.nats.said())
	}
}

// until tries until it holds, for 90 seconds at most.
func (c *cluster) until(what string, holds func() bool) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: not within %s", what, within)
		}
	}
}

// await returns once a site's sallyportd is ready.
func (c *cluster) await(s *site) {
	c.t.Helper()
	c.until(s.serve.name+" is ready", func() bool {
		if !s.serve.running() {
			c.t.Fatalf("%s ended, and said last: %s", s.serve.name, s.serve.last())
		}
		return s.ready()
	})
}

func (s *site) ready() bool {
	res, err := s.client.Get(s.url + "/readyz")
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// stops tells whether the site's sallyportd says that it is about to stop, or
// nobody is there.
func (s *site) stops() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz?verbose", nil)
	if err != nil {
		return true
	}
	res, err := s.client.Do(req)
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return err == nil && res.StatusCode != http.StatusOK && strings.Contains(string(b), "stopping")
}

// dial connects to a site's NATS server, for as long as ask runs.
func (s *site) dial(ask func(*nats.Conn, jetstream.JetStream)) bool {
	nc, err := nats.Connect("nats://"+s.natsAt, nats.UserInfo(user, password), nats.Timeout(time.Second), nats.NoReconnect())
	if err != nil {
		return false
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return false
	}
	ask(nc, js)
	return true
}

// awaitNATS returns once the three servers are one cluster that takes streams.
func (c *cluster) awaitNATS() {
	c.t.Helper()
	for _, s := range c.sites {
		c.until(s.nats.name+" takes streams", func() (is bool) {
			s.dial(func(_ *nats.Conn, js jetstream.JetStream) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "ready", Replicas: 3, Storage: jetstream.MemoryStorage, Subjects: []string{"ready"}})
				is = err == nil
			})
			return is
		})
	}
}

// leader is the site that leads the log, as the others see it.
func (c *cluster) leader() *site {
	c.t.Helper()
	var found *site
	c.until("somebody leads the log", func() bool {
		for _, s := range c.sites {
			s.dial(func(_ *nats.Conn, js jetstream.JetStream) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				st, err := js.Stream(ctx, "ORG_default")
				if err != nil || st.CachedInfo().Cluster == nil {
					return
				}
				for _, l := range c.sites {
					if st.CachedInfo().Cluster.Leader == fmt.Sprintf("node%d", l.n) {
						found = l
					}
				}
			})
			if found != nil {
				return true
			}
		}
		return false
	})
	return found
}

// awaitCurrent returns once every copy of the log is whole again.
func (c *cluster) awaitCurrent() {
	c.t.Helper()
	c.until("every copy of the log is whole", func() (are bool) {
		s := c.leader()
		s.dial(func(_ *nats.Conn, js jetstream.JetStream) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			st, err := js.Stream(ctx, "ORG_default")
			if err != nil || st.CachedInfo().Cluster == nil || len(st.CachedInfo().Cluster.Replicas) < 2 {
				return
			}
			are = true
			for _, r := range st.CachedInfo().Cluster.Replicas {
				are = are && r.Current && !r.Offline
			}
		})
		return are
	})
}

// others are the sites but one.
func (c *cluster) others(s *site) (rest []*site) {
	for _, o := range c.sites {
		if o != s {
			rest = append(rest, o)
		}
	}
	return rest
}
