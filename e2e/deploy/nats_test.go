package deploy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sallyport.dev/e2e/ports"
	"sallyport.dev/e2e/program"
)

// within bounds every wait; nothing takes as long.
const within = 60 * time.Second

// cluster is three NATS servers that run by deploy/nats, and what
// make-credentials made for them.
type cluster struct {
	dir     string // has the seeds and ca.crt
	url     string // all three
	servers []*server.Server
}

// startCluster runs make-credentials and starts a server by each folder it
// made. Only the addresses and the place of the data are the test's own.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	for _, name := range []string{"make-credentials", "nats-server.conf"} {
		read(t, "deploy/nats/"+name) // so that a changed one is tried again: what a script reads, go test does not see
	}
	c := &cluster{dir: filepath.Join(t.TempDir(), "nats")}
	hosts := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}
	run(t, "deploy/nats/make-credentials", append([]string{c.dir}, hosts...)...)
	clients, peers := ports.Take(t, 3), ports.Take(t, 3)
	var routes, urls []string
	for i, h := range hosts {
		routes = append(routes, fmt.Sprintf("%q", fmt.Sprintf("tls://%s:%d", h, peers[i])))
		urls = append(urls, fmt.Sprintf("tls://%s:%d", h, clients[i]))
	}
	c.url = strings.Join(urls, ",")
	for i, h := range hosts {
		dir := filepath.Join(c.dir, h)
		node := fmt.Sprintf("server_name: nats-%d\nlisten: \"%s:%d\"\nNODE_PEERS_LISTEN: \"%s:%d\"\nNODE_STORE: %q\nNODE_ROUTES: [%s]\n",
			i+1, h, clients[i], h, peers[i], t.TempDir(), strings.Join(routes, ", "))
		must(t, os.WriteFile(filepath.Join(dir, "node.conf"), []byte(node), 0o600))
		c.servers = append(c.servers, startNode(t, dir))
	}
	c.awaitLeader(t)
	return c
}

// startNode starts a server as `nats-server -c nats-server.conf` would, in the
// folder of its configuration.
func startNode(t *testing.T, dir string) *server.Server {
	t.Helper()
	file := filepath.Join(dir, "nats-server.conf")
	b, err := os.ReadFile(file)
	must(t, err)
	// A process has one working folder and there are three servers in it.
	must(t, os.WriteFile(file, bytes.ReplaceAll(b, []byte(`file: "./`), []byte(`file: "`+dir+`/`)), 0o600))
	opts, err := server.ProcessConfigFile(file)
	must(t, err)
	if !opts.SyncAlways {
		t.Fatal("the configuration does not sync every write")
	}
	opts.NoSigs, opts.NoLog = true, true
	s, err := server.NewServer(opts)
	must(t, err)
	go s.Start()
	if !s.ReadyForConnections(within) {
		t.Fatal("a server takes no connections")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func (c *cluster) awaitLeader(t *testing.T) {
	t.Helper()
	await(t, "a leader of three", func() bool {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(c.servers) {
				return true
			}
		}
		return false
	})
}

// await looks again and again until it is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline, tick := time.After(within), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// as signs in as one of those whom make-credentials made.
func (c *cluster) as(t *testing.T, name string) *user {
	t.Helper()
	key, err := nats.NkeyOptionFromSeed(filepath.Join(c.dir, name+".nkey"))
	must(t, err)
	u := &user{}
	u.nc, err = nats.Connect(c.url, key, nats.RootCAs(filepath.Join(c.dir, "ca.crt")), nats.ErrorHandler(u.hear))
	must(t, err)
	t.Cleanup(u.nc.Close)
	u.js, err = jetstream.New(u.nc)
	must(t, err)
	return u
}

// user is a connection that remembers what it was refused.
type user struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	mu      sync.Mutex
	refused []string
}

func (u *user) hear(_ *nats.Conn, _ *nats.Subscription, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refused = append(u.refused, err.Error())
}

// mayPublish tells whether the cluster lets the user publish there. The server
// tells a refusal before it answers the flush.
func (u *user) mayPublish(t *testing.T, subject, body string) bool {
	t.Helper()
	inbox := u.nc.NewInbox()
	sub, err := u.nc.SubscribeSync(inbox)
	must(t, err)
	defer sub.Unsubscribe()
	must(t, u.nc.PublishRequest(subject, inbox, []byte(body)))
	must(t, u.nc.FlushTimeout(within))
	return !u.told(fmt.Sprintf("Publish to %q", subject))
}

// maySubscribe tells whether the cluster lets the user listen there.
func (u *user) maySubscribe(t *testing.T, subject string) bool {
	t.Helper()
	sub, err := u.nc.SubscribeSync(subject)
	must(t, err)
	defer sub.Unsubscribe()
	must(t, u.nc.FlushTimeout(within))
	return !u.told(fmt.Sprintf("Subscription to %q", subject))
}

// told tells whether a refusal came. What the server says is handed to another
// goroutine, so the connection's last error is looked at, too.
func (u *user) told(what string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := strings.Join(u.refused, "\n")
	if err := u.nc.LastError(); err != nil {
		all += "\n" + err.Error()
	}
	return strings.Contains(strings.ToLower(all), strings.ToLower(what))
}

// A deployment as docs/deploy-nats-cluster.md has it: the administrator makes the streams, the
// server writes, a subscriber reads, and each may do nothing else.
func TestTheClusterOfTheDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	t.Parallel()
	c := startCluster(t)
	h := newHost(t, c)

	t.Run("the server cannot make the log, and is told who can", func(t *testing.T) {
		out, err := h.sallyportd(t, "writer", "serve", "--config", h.config).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "sallyportd nats prepare") {
			t.Fatalf("%v\n%s", err, out)
		}
	})
	for range 2 { // twice is once
		out, err := h.sallyportd(t, "administrator", "nats", "prepare", "--config", h.config, "--subscriber", "siem").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	h.serve(t)
	admin := c.as(t, "administrator")
	t.Run("the log has three copies and syncs", func(t *testing.T) { threeCopies(t, admin) })
	t.Run("the server works with no right but its own", func(t *testing.T) { h.work(t) })
	t.Run("the server may not touch streams", func(t *testing.T) { writerIsBound(t, c.as(t, "writer")) })
	t.Run("a subscriber reads the log", func(t *testing.T) { subscriberReads(t, c.as(t, "subscriber")) })
	t.Run("a subscriber does nothing else", func(t *testing.T) { subscriberIsBound(t, c.as(t, "subscriber")) })
	t.Run("a subscriber cannot have the log delivered into the log", func(t *testing.T) {
		subscriberCannotWriteByReading(t, c.as(t, "subscriber"), c.as(t, "writer"), admin)
	})
	t.Run("the administrator writes no events", func(t *testing.T) {
		for _, subject := range []string{"org.default.control", "org.default.activity", "$KV.KEYS_default.x", "$KV.SECRETS_default.x", "$KV.SESSIONS_default.x", "sallyport.presence"} {
			if admin.mayPublish(t, subject, "{}") {
				t.Errorf("the administrator may publish to %s", subject)
			}
		}
	})
	t.Run("a stranger is not let in", func(t *testing.T) {
		nc, err := nats.Connect(c.url, nats.RootCAs(filepath.Join(c.dir, "ca.crt")))
		if err == nil {
			nc.Close()
			t.Error("signed in without a key")
		}
		nc, err = nats.Connect(strings.ReplaceAll(c.url, "tls://", "nats://"))
		if err == nil {
			nc.Close()
			t.Error("signed in without knowing the authority")
		}
	})
	backupAndRestore(t, h, admin)
	h.stop(t)
	if said := h.said.String(); strings.Contains(strings.ToLower(said), "permissions violation") {
		t.Errorf("the server was refused something that it does:\n%s", said)
	}
}

func threeCopies(t *testing.T, admin *user) {
	for _, name := range []string{"ORG_default", "KV_KEYS_default", "KV_SECRETS_default", "KV_SESSIONS_default"} {
		s, err := admin.js.Stream(t.Context(), name)
		must(t, err)
		if c := s.CachedInfo().Config; c.Replicas != 3 {
			t.Errorf("%s has %d copies", name, c.Replicas)
		}
	}
}

func writerIsBound(t *testing.T, w *user) {
	for _, subject := range []string{
		"$JS.API.STREAM.CREATE.ORG_other", "$JS.API.STREAM.UPDATE.ORG_default", "$JS.API.STREAM.DELETE.ORG_default",
		"$JS.API.STREAM.PURGE.ORG_default", "$JS.API.STREAM.MSG.DELETE.ORG_default", "$JS.API.STREAM.SNAPSHOT.ORG_default",
		"$JS.API.STREAM.RESTORE.ORG_default", "$JS.API.STREAM.LEADER.STEPDOWN.ORG_default", "$JS.API.STREAM.PEER.REMOVE.ORG_default",
		"$JS.API.STREAM.DELETE.KV_KEYS_default", "$JS.API.STREAM.DELETE.KV_SECRETS_default", "$JS.API.STREAM.DELETE.KV_SESSIONS_default", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.ACCOUNT.PURGE.SALLYPORT", "$SYS.REQ.SERVER.PING",
	} {
		if w.mayPublish(t, subject, "") {
			t.Errorf("the server may ask %s", subject)
		}
	}
	for _, subject := range []string{">", "org.>", "$JS.>", "$SYS.>", "$KV.>"} {
		if w.maySubscribe(t, subject) {
			t.Errorf("the server may listen to %s", subject)
		}
	}
	if !w.mayPublish(t, "$JS.API.STREAM.INFO.ORG_default", "") {
		t.Error("the server may not ask what it must, so this test shows nothing")
	}
}

// next asks for commits as a pull consumer's client does, knowing no more than
// the names of stream and consumer.
func next(t *testing.T, u *user, n int) []*nats.Msg {
	t.Helper()
	inbox := u.nc.NewInbox()
	sub, err := u.nc.SubscribeSync(inbox)
	must(t, err)
	defer sub.Unsubscribe()
	must(t, u.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.ORG_default.siem", inbox, fmt.Appendf(nil, `{"batch":%d,"expires":%d}`, n, within)))
	var all []*nats.Msg
	for range n {
		m, err := sub.NextMsg(within)
		if err != nil {
			t.Fatalf("%v after %d commits; refused: %v", err, len(all), u.nc.LastError())
		}
		if s := m.Header.Get("Status"); s != "" {
			t.Fatalf("status %s after %d commits", s, len(all))
		}
		all = append(all, m)
	}
	return all
}

func subscriberReads(t *testing.T, s *user) {
	all := next(t, s, 3)
	if !bytes.Contains(all[0].Data, []byte(`"organisation.created"`)) {
		t.Errorf("the first commit is %.200s", all[0].Data)
	}
	for _, m := range all {
		must(t, m.AckSync(nats.Context(t.Context())))
	}
	if again := next(t, s, 1); bytes.Equal(again[0].Data, all[0].Data) {
		t.Error("an acknowledged commit came again")
	}
}

func subscriberIsBound(t *testing.T, s *user) {
	for _, subject := range []string{
		"org.default.control", "org.default.activity", "$KV.KEYS_default.x", "$KV.SECRETS_default.x", "$KV.SESSIONS_default.x", "sallyport.presence",
		"$JS.API.STREAM.INFO.ORG_default", "$JS.API.STREAM.DELETE.ORG_default", "$JS.API.STREAM.UPDATE.ORG_default",
		"$JS.API.STREAM.PURGE.ORG_default", "$JS.API.STREAM.MSG.GET.KV_KEYS_default", "$JS.API.DIRECT.GET.KV_KEYS_default", "$JS.API.STREAM.MSG.GET.KV_SECRETS_default", "$JS.API.STREAM.MSG.GET.KV_SESSIONS_default",
		"$JS.API.CONSUMER.CREATE.ORG_default", "$JS.API.CONSUMER.CREATE.ORG_default.mine", "$JS.API.CONSUMER.CREATE.KV_KEYS_default.mine",
		"$JS.API.CONSUMER.DELETE.ORG_default.siem", "$JS.API.CONSUMER.MSG.NEXT.ORG_default.other",
	} {
		if s.mayPublish(t, subject, "{}") {
			t.Errorf("a subscriber may publish to %s", subject)
		}
	}
	for _, subject := range []string{">", "org.>", "$JS.>", "$SYS.>", "_R_.>"} {
		if s.maySubscribe(t, subject) {
			t.Errorf("a subscriber may listen to %s", subject)
		}
	}
}

// A pull request names where the commits are to go, and nobody asks whether
// who sent it may publish there. Were the subscriber in the log's own account,
// the server would hear them, and so would a stream whose rules they meet.
func subscriberCannotWriteByReading(t *testing.T, s, w, admin *user) {
	heard, err := w.nc.SubscribeSync("sallyport.presence")
	must(t, err)
	must(t, w.nc.FlushTimeout(within))
	before := size(t, admin)
	for _, into := range []string{"org.default.activity", "$KV.KEYS_default.stolen", "sallyport.presence"} {
		must(t, s.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.ORG_default.siem", into, []byte(`{"batch":1,"expires":1000000000}`)))
	}
	next(t, s, 1) // was asked for later than those
	if after := size(t, admin); after != before {
		t.Errorf("the streams had %v messages and have %v", before, after)
	}
	must(t, w.nc.FlushTimeout(within))
	for {
		m, err := heard.NextMsg(time.Millisecond)
		if err != nil {
			return
		}
		if bytes.Contains(m.Data, []byte("specversion")) {
			t.Errorf("the server was sent %.100s", m.Data)
		}
	}
}

func size(t *testing.T, admin *user) [3]uint64 {
	t.Helper()
	var n [3]uint64
	for i, name := range []string{"ORG_default", "KV_KEYS_default", "KV_SECRETS_default"} {
		s, err := admin.js.Stream(t.Context(), name)
		must(t, err)
		n[i] = s.CachedInfo().State.Msgs
	}
	return n
}

// host is one machine with sallyportd and a configuration that names the cluster.
type host struct {
	c      *cluster
	dir    string
	config string
	addr   string
	said   *said
	cmd    *exec.Cmd
	ended  chan error
}

func newHost(t *testing.T, c *cluster) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{c: c, dir: dir, config: filepath.Join(dir, "config.yaml"), addr: ports.Address(t), said: &said{}}
	out, err := exec.Command(filepath.Join(program.Build(t), "sallyportd"), "keys", "kek", "--out", filepath.Join(dir, "kek.json")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config := fmt.Sprintf(`listen: %[1]s
base_url: http://%[1]s
data_dir: %[2]s/data
key_encryption_key_file: %[2]s/kek.json
nats: {url: %[3]q, ca_file: %[4]s/ca.crt}
shutdown: {wait: 0s, drain: 5s}
`, h.addr, dir, c.url, c.dir)
	must(t, os.WriteFile(h.config, []byte(config), 0o600))
	return h
}

// sallyportd is a command of the server, signed in at the cluster as that user.
func (h *host) sallyportd(t *testing.T, as string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(program.Build(t), "sallyportd"), args...)
	cmd.Env = append(os.Environ(), "SALLYPORT_NATS__NKEY_SEED_FILE="+filepath.Join(h.c.dir, as+".nkey"))
	return cmd
}

func (h *host) serve(t *testing.T) {
	t.Helper()
	h.cmd, h.ended = h.sallyportd(t, "writer", "serve", "--config", h.config), make(chan error, 1)
	h.cmd.Cancel = func() error { return h.cmd.Process.Signal(os.Interrupt) }
	h.cmd.Stdout, h.cmd.Stderr = h.said, h.said
	must(t, h.cmd.Start())
	go func() { h.ended <- h.cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("sallyportd said:\n%s", h.said)
		}
	})
	await(t, "sallyportd", func() bool {
		resp, err := http.Get("http://" + h.addr + "/readyz")
		if err != nil {
			select {
			case err := <-h.ended:
				t.Fatalf("sallyportd ended: %v\n%s", err, h.said)
			default:
			}
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func (h *host) stop(t *testing.T) {
	t.Helper()
	must(t, h.cmd.Process.Signal(os.Interrupt))
	select {
	case err := <-h.ended:
		if err != nil {
			t.Errorf("sallyportd: %v\n%s", err, h.said)
		}
	case <-time.After(within):
		t.Fatal("sallyportd does not stop")
	}
}

// work has the server do a day's work: tokens of people, a connection, its
// keys, reading.
func (h *host) work(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	script := `
person() { sallyportd token create --config "$CONFIG" --person "$1" --role "$2"; }
dana=$(person dana devops_admin) sam=$(person sam security_admin)
issuer=$SALLYPORT_ADDR/orgs/default
sallyport wl keygen --alg ES256 --out host.key > host.jwks
SALLYPORT_TOKEN=$dana sallyport connection draft robot --provider generic_jwt --jwks-file host.jwks \
  --condition 'iss equals https://robots.example.com' --condition "aud equals $issuer" --condition 'sub equals robot/7' --single-use
SALLYPORT_TOKEN=$sam sallyport connection activate robot
for n in 1 2 3; do
  sallyport wl sign --key host.key --issuer https://robots.example.com --subject robot/7 --audience "$issuer" > host.jwt
  sallyport wl auth --connection robot --jwt-file host.jwt --out token
done
! sallyport wl auth --connection robot --jwt-file host.jwt --out token
SALLYPORT_TOKEN=$dana sallyport audit list --type token.issued
sallyportd keys list --config "$CONFIG"
! sallyportd keys rotate --config "$CONFIG" # too young
`
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "PATH="+program.Build(t)+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+h.dir,
		"CONFIG="+h.config, "SALLYPORT_ADDR=http://"+h.addr, "SALLYPORT_NATS__NKEY_SEED_FILE="+filepath.Join(h.c.dir, "writer.nkey"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", errors.Join(err, ctx.Err()), out)
	}
}

// said is what a process says; it may be read while the process writes.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
