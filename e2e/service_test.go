package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sallyport.dev/e2e/ports"
	"sallyport.dev/e2e/program"
	"sallyport.dev/handlers/jose"
)

// service is `sallyportd serve` as a service manager runs it, with TLS, metrics
// and a connection whose keys were uploaded.
type service struct {
	t           *testing.T
	bin, dir    string
	url         string
	metrics     string
	cmd         *exec.Cmd
	ended       chan struct{}
	said        *said
	told        *notices
	key         *jose.HostKey
	auditor     string
	cert, certK string
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

// notices is the service manager's side of sd_notify(3).
type notices struct {
	socket string
	mu     sync.Mutex
	all    []string
	more   chan struct{}
}

func listenForNotices(t *testing.T) *notices {
	t.Helper()
	dir, err := os.MkdirTemp("", "sp-*") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := &notices{socket: filepath.Join(dir, "notify"), more: make(chan struct{}, 1)}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			k, err := c.Read(b)
			if err != nil {
				return
			}
			n.mu.Lock()
			n.all = append(n.all, string(b[:k]))
			n.mu.Unlock()
			select {
			case n.more <- struct{}{}:
			default:
			}
		}
	}()
	return n
}

// after waits for a notice that says what, behind the first from of them, and
// returns how many there were then.
func (n *notices) after(t *testing.T, from int, what string) int {
	t.Helper()
	deadline := time.After(patience)
	for {
		n.mu.Lock()
		for i := from; i < len(n.all); i++ {
			if strings.Contains("\n"+n.all[i]+"\n", "\n"+what) {
				n.mu.Unlock()
				return i + 1
			}
		}
		all := fmt.Sprintf("%q", n.all)
		n.mu.Unlock()
		select {
		case <-n.more:
		case <-deadline:
			t.Fatalf("the service manager was not told %s; it was told %s", what, all)
		}
	}
}

func (n *notices) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.all)
}

// pair puts a new certificate for the loopback, of that serial number, in place.
func (s *service) pair(serial int64) {
	s.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		s.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(s.certK, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	s.write(s.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (s *service) write(path string, b []byte) {
	s.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// newService prepares one; more is added to its configuration.
func newService(t *testing.T, more string) *service {
	t.Helper()
	dir := t.TempDir()
	s := &service{t: t, bin: program.Build(t), dir: dir, said: &said{}, told: listenForNotices(t),
		cert: filepath.Join(dir, "tls.crt"), certK: filepath.Join(dir, "tls.key")}
	addr, metrics := ports.Address(t), ports.Address(t)
	s.url, s.metrics = "https://"+addr, "http://"+metrics
	s.pair(1)
	s.run("keys", "kek", "--out", filepath.Join(dir, "kek.json"))
	s.write(filepath.Join(dir, "config.yaml"), fmt.Appendf(nil, `listen: %s
base_url: %s
data_dir: %s
tls: {cert_file: %s, key_file: %s}
rate_limits: {per_address: 0, per_connection: 0}
log: {level: info}
%s`, addr, s.url, filepath.Join(dir, "data"), s.cert, s.certK, more))
	s.cmd = exec.Command(filepath.Join(s.bin, "sallyportd"), "serve", "--config", filepath.Join(dir, "config.yaml"))
	s.cmd.Env = s.environ("NOTIFY_SOCKET="+s.told.socket, "WATCHDOG_USEC=600000", "SALLYPORT_METRICS__LISTEN="+metrics)
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	return s
}

// environ has the key-encryption key where systemd puts it.
func (s *service) environ(more ...string) []string {
	creds := filepath.Join(s.dir, "credentials")
	if b, err := os.ReadFile(filepath.Join(s.dir, "kek.json")); err == nil && os.MkdirAll(creds, 0o700) == nil {
		s.write(filepath.Join(creds, "key_encryption_key"), b)
	}
	return append(append(os.Environ(), "CREDENTIALS_DIRECTORY="+creds), more...)
}

// run runs sallyportd to its end and returns what it printed.
func (s *service) run(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, "sallyportd"), args...)
	cmd.Env = s.environ()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("sallyportd %s: %v\n%s", strings.Join(args, " "), err, &errs)
	}
	return strings.TrimSpace(string(out))
}

// start starts it, waits until it says that it is ready, and gives it a connection.
func (s *service) start() {
	s.t.Helper()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // its state tells
	}()
	s.t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
		if s.t.Failed() {
			s.t.Logf("sallyportd said:\n%s", s.said)
		}
	})
	s.told.after(s.t, 0, "READY=1")
	tokens := map[string]string{}
	for person, role := range map[string]string{"dana": "devops_admin", "sam": "security_admin", "otto": "auditor"} {
		tokens[person] = s.run("token", "create", "--config", filepath.Join(s.dir, "config.yaml"), "--person", person, "--role", role)
	}
	s.auditor = tokens["otto"]
	var err error
	if s.key, err = jose.NewHostKey("ES256"); err != nil {
		s.t.Fatal(err)
	}
	conditions := []map[string]string{}
	for claim, value := range map[string]string{"iss": "https://idp.example.com", "aud": s.url + "/orgs/default", "sub": "job"} {
		conditions = append(conditions, map[string]string{"claim": claim, "operator": "equals", "value": value})
	}
	s.ask(tokens["dana"], "/v1/connections", "", map[string]any{"name": "job", "provider": "generic_jwt", "jwks": s.key.PublicJWKS(), "conditions": conditions}, 201)
	s.ask(tokens["sam"], "/v1/connections/job/activate", `"1"`, map[string]any{}, 200)
}

func (s *service) ask(token, path, version string, doc any, want int) {
	s.t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, s.url+"/orgs/default"+path, bytes.NewReader(b))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	if version != "" {
		req.Header.Set("If-Match", version)
	}
	res, err := s.client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if out, _ := io.ReadAll(res.Body); res.StatusCode != want {
		s.t.Fatalf("%s: %d %s", path, res.StatusCode, out)
	}
}

// client speaks HTTP/2 or 1.1 on connections of its own; the certificate changes
// under it, and is looked at by a test of its own.
func (s *service) client(protocols ...string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}, ForceAttemptHTTP2: len(protocols) == 0, MaxIdleConnsPerHost: 16}}
}

// exchange asks for a token once.
func (s *service) exchange(c *http.Client, n int) (int, error) {
	now := time.Now()
	proof, err := s.key.Sign(map[string]any{"iss": "https://idp.example.com", "sub": "job", "aud": s.url + "/orgs/default",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": fmt.Sprint(n)})
	if err != nil {
		return 0, err
	}
	res, err := c.PostForm(s.url+"/orgs/default/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"}, "subject_token": {proof}, "connection": {"job"}})
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

func (s *service) get(c *http.Client, path string) int {
	res, err := c.Get(s.url + path)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// serial is the number of the certificate that a new connection is shown.
func (s *service) serial() int64 {
	s.t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// balanced are callers behind a load balancer: they ask as long as the last
// probe was green, over HTTP/1.1 and HTTP/2. Whatever fails is an error.
func (s *service) balanced(ctx context.Context, callers int) (answered *atomic.Int64, end func() []error) {
	answered = &atomic.Int64{}
	var green atomic.Bool
	var running sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	green.Store(true)
	running.Go(func() {
		probe := s.client("http/1.1")
		probe.Transport.(*http.Transport).DisableKeepAlives = true
		for ctx.Err() == nil && green.Load() {
			green.Store(s.get(probe, "/readyz") == http.StatusOK)
		}
	})
	for i := range callers {
		c := s.client()
		if i%2 == 0 {
			c = s.client("http/1.1")
		}
		running.Go(func() {
			for n := 0; green.Load() && ctx.Err() == nil; n++ {
				if status, err := s.exchange(c, i*1_000_000+n); err != nil || status != http.StatusOK {
					mu.Lock()
					errs = append(errs, fmt.Errorf("caller %d: %d %w", i, status, err))
					mu.Unlock()
					return
				}
				answered.Add(1)
			}
		})
	}
	return answered, func() []error { running.Wait(); return errs }
}

// A service manager is told how it goes; a renewed certificate is shown without a
// restart; and a stop loses no request that was accepted.
func TestAServiceIsReloadedAndStoppedWithoutLosingARequest(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	t.Parallel()
	s := newService(t, "shutdown: {wait: 3s, drain: 30s}\n")
	s.start()
	s.told.after(t, s.told.after(t, 0, "WATCHDOG=1"), "WATCHDOG=1") // it beats again and again

	s.pair(2)
	from := s.told.count()
	s.signal(syscall.SIGHUP)
	s.told.after(t, s.told.after(t, from, "RELOADING=1\nMONOTONIC_USEC="), "READY=1")
	if got := s.serial(); got != 2 {
		t.Errorf("after a reload the certificate %d is shown", got)
	}
	s.write(s.certK, []byte("half a file"))
	from = s.told.count()
	s.signal(syscall.SIGHUP)
	s.told.after(t, from, "READY=1")
	if got := s.serial(); got != 2 || !strings.Contains(s.said.String(), "the old one stays") {
		t.Errorf("with a broken pair the certificate %d is shown", got)
	}

	stream := s.follow()
	defer stream.Close()
	answered, end := s.balanced(t.Context(), 8)
	for answered.Load() < 200 {
		time.Sleep(10 * time.Millisecond)
	}
	from = s.told.count()
	s.signal(syscall.SIGTERM)
	s.told.after(t, from, "STOPPING=1")
	// It is not ready any more and serves all the same.
	direct := s.client("http/1.1")
	if got := s.get(direct, "/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("readiness is %d once it stops", got)
	}
	if status, err := s.exchange(direct, 999_999_999); status != http.StatusOK {
		t.Errorf("while load balancers look away, a token is answered with %d %v", status, err)
	}
	for _, err := range end() {
		t.Errorf("an accepted request failed: %v", err)
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		t.Errorf("the stream did not end but broke: %v", err)
	}
	s.await()
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	t.Logf("%d requests were answered", answered.Load())
}

func (s *service) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) await() {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatal("sallyportd did not end")
	}
}

// follow opens the stream of the audit trail, which ends only when the server does.
func (s *service) follow() io.ReadCloser {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+"/orgs/default/v1/audit/stream", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.auditor)
	c := s.client("http/1.1")
	c.Timeout = 0
	res, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("the stream answers %d", res.StatusCode)
	}
	return res.Body
}

// Whoever asks a second time does not want to wait.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("the real programs are run without -short")
	}
	t.Parallel()
	s := newService(t, "shutdown: {wait: 5m}\n")
	s.start()
	from := s.told.count()
	s.signal(syscall.SIGTERM)
	s.told.after(t, from, "STOPPING=1")
	s.signal(syscall.SIGTERM)
	s.await()
	if state := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !state.Signaled() || state.Signal() != syscall.SIGTERM {
		t.Errorf("it ended by itself: %v", s.cmd.ProcessState)
	}
	// The operator's work is done on the data of a process that was killed, too.
	s.run("token", "list", "--config", filepath.Join(s.dir, "config.yaml"))
}
