package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"sallyport.dev/domain"
)

// Config is everything that `sallyportd serve` is told: by a YAML file, and above
// it by the environment (see [readConfig]). A key that is not here is an error, and
// all that is wrong is told at once: keys that are no setting, wrong types,
// broken rules and files that are not there. docs/configuration.md is its page.
type Config struct {
	// Listen is the address to serve on, such as 0.0.0.0:8443. Required.
	Listen string `json:"listen"`
	// BaseURL is where clients reach us, without a slash at the end, such as
	// https://sallyport.example.com. It is part of every issuer and so never
	// changes. Required; https, unless its host is the loopback.
	BaseURL string `json:"base_url"`
	// DataDir holds the log (unless nats.url names a cluster), what is derived
	// from it, and the host socket. Made with mode 0700. Required.
	DataDir string `json:"data_dir"`
	// Organisations are served, and made where there is none. Default: [default].
	Organisations []string `json:"organisations"`
	// KeyEncryptionKey seals our signing keys, as `sallyportd keys kek` makes it.
	// It or its file is required; of the two the more specific source wins.
	KeyEncryptionKey domain.Secret `json:"key_encryption_key"`
	// KeyEncryptionKeyFile holds that key. Nobody but its owner may read it.
	KeyEncryptionKeyFile string `json:"key_encryption_key_file"`
	// NATS says where the log is.
	NATS NATSConfig `json:"nats"`
	// TLS is served when both files are given; otherwise a proxy has to.
	TLS TLSConfig `json:"tls"`
	// TrustedProxies are the networks (CIDR) whose X-Forwarded-For is believed.
	TrustedProxies []string `json:"trusted_proxies"`
	// JWKS bounds where providers' keys are fetched from.
	JWKS JWKSConfig `json:"jwks"`
	// RateLimits bound what strangers may ask.
	RateLimits RateLimitsConfig `json:"rate_limits"`
	// Shutdown says how long stopping may take.
	Shutdown ShutdownConfig `json:"shutdown"`
	// Metrics are those of Prometheus, at /metrics of a listener of their own.
	Metrics ListenConfig `json:"metrics"`
	// Pprof are Go's profiles, at /debug/pprof/ of a listener on the loopback.
	Pprof ListenConfig `json:"pprof"`
	// Tracing says where traces go.
	Tracing TracingConfig `json:"tracing"`
	// Notify says how people are told of access requests and what became of them.
	Notify NotifyConfig `json:"notify"`
	// SignIn says where people sign in to the console.
	SignIn SignInConfig `json:"sign_in"`
	// Log says what goes to stderr.
	Log LogConfig `json:"log"`
}

// NATSConfig says where the log is: embedded under DataDir, or in a cluster.
type NATSConfig struct {
	// URL of a NATS cluster, several separated by commas. Empty: embedded.
	URL string `json:"url"`
	// Credentials are the text of a NATS .creds file.
	Credentials domain.Secret `json:"credentials"`
	// CredentialsFile is a NATS .creds file.
	CredentialsFile string `json:"credentials_file"`
	// NkeySeed is the seed of the NATS user key to sign in with (SU…). It and
	// credentials exclude each other.
	NkeySeed domain.Secret `json:"nkey_seed"`
	// NkeySeedFile holds that seed.
	NkeySeedFile string `json:"nkey_seed_file"`
	// CAFile is a PEM file of the authorities that may sign the cluster's
	// certificates. Empty: the system's.
	CAFile string `json:"ca_file"`
	// CertFile and KeyFile are the certificate that we show the cluster, PEM.
	CertFile string `json:"cert_file"`
	KeyFile  string `json:"key_file"`
	// TLSFirst makes the TLS handshake before the cluster says anything, as
	// handshake_first of its configuration asks.
	TLSFirst bool `json:"tls_first"`
	// Replicas of each organisation's log on a cluster, 1 to 5. Default: 3.
	Replicas int `json:"replicas"`
	// AllowFewReplicas lets a cluster hold fewer than three: an acknowledged
	// event may then be lost with one machine.
	AllowFewReplicas bool `json:"allow_few_replicas"`
}

// TLSConfig names a certificate and its key, both PEM. They are read again when
// they change, and on SIGHUP.
type TLSConfig struct {
	CertFile string `json:"cert_file"`
	KeyFile  string `json:"key_file"`
}

// JWKSConfig opens more of the network than the public https one.
type JWKSConfig struct {
	// PrivateCIDRs are private networks that providers' keys may be fetched from.
	PrivateCIDRs []string `json:"private_cidrs"`
	// Ports that keys may be fetched from. Default: 443, 8443, 6443.
	Ports []uint16 `json:"ports"`
}

// RateLimitsConfig bounds requests, each in requests a second with twice that
// at once, 1 to 1,000,000; 0 bounds nothing.
type RateLimitsConfig struct {
	// PerAddress is for one client address (IPv6: one /64). Default: 100.
	PerAddress int `json:"per_address"`
	// PerConnection is for the exchanges of one connection. Default: 200.
	PerConnection int `json:"per_connection"`
}

// ShutdownConfig says how long each step of stopping may take.
type ShutdownConfig struct {
	// Wait is how long requests are still taken after /readyz turned red, for
	// load balancers to notice: 0s to 5m. Default: 5s.
	Wait Duration `json:"wait"`
	// Drain is how long requests in flight may take after that: 1s to 10m.
	// Default, and of zero: 10s.
	Drain Duration `json:"drain"`
}

// ListenConfig is a listener of its own.
type ListenConfig struct {
	// Listen is its address, such as 127.0.0.1:9090. Empty: there is none.
	Listen string `json:"listen"`
}

// TracingConfig says where OpenTelemetry traces go.
type TracingConfig struct {
	// Endpoint is the base URL of a collector that takes OTLP over HTTP, such as
	// http://127.0.0.1:4318; /v1/traces is added unless it has a path. Empty:
	// OTEL_EXPORTER_OTLP_ENDPOINT, and without that none are made.
	Endpoint string `json:"endpoint"`
	// SampleRatio is the share of requests that is traced, 0 to 1. Default: 1.
	SampleRatio float64 `json:"sample_ratio"`
}

// LogConfig says what goes to stderr.
type LogConfig struct {
	// Level is debug, info, warn or error. Default: info.
	Level string `json:"level"`
	// Format is text or json. Default: json.
	Format string `json:"format"`
}

// Duration is a time in Go's form, such as 10s or 1m30s.
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is no duration such as 10s", b)
	}
	*d = Duration(v)
	return nil
}

// defaults is what holds where nothing else is said.
func defaults() Config {
	return Config{
		Organisations: []string{"default"},
		NATS:          NATSConfig{Replicas: 3},
		JWKS:          JWKSConfig{Ports: []uint16{443, 8443, 6443}},
		RateLimits:    RateLimitsConfig{PerAddress: 100, PerConnection: 200},
		Shutdown:      ShutdownConfig{Wait: Duration(5 * time.Second), Drain: Duration(drainTime)},
		Tracing:       TracingConfig{SampleRatio: 1},
		Notify:        NotifyConfig{Webhook: WebhookConfig{Format: "json"}, SMTP: SMTPConfig{TLS: "starttls"}},
		Log:           LogConfig{Level: "info", Format: "json"},
	}
}

// check adds every rule that the settings break.
func (c Config) check(p *problems) {
	if c.Listen == "" {
		p.add("listen", "is missing; it is an address such as 0.0.0.0:8443")
	} else if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		p.add("listen", "%q is no address such as 0.0.0.0:8443", c.Listen)
	}
	if err := checkBaseURL(c.BaseURL); err != nil {
		p.add("base_url", "%v", err)
	}
	if c.DataDir == "" {
		p.add("data_dir", "is missing; it is a folder such as /var/lib/sallyport")
	}
	c.checkOrganisations(p)
	c.checkFiles(p)
	c.checkNATS(p)
	c.checkListeners(p)
	c.checkBounds(p)
	c.checkNotify(p)
	c.checkSignIn(p)
	if err := checkEndpoint(c.Tracing.Endpoint); err != nil {
		p.add("tracing.endpoint", "%v", err)
	}
	for _, list := range []struct {
		key string
		of  []string
	}{{"trusted_proxies", c.TrustedProxies}, {"jwks.private_cidrs", c.JWKS.PrivateCIDRs}} {
		if _, err := prefixes(list.of); err != nil {
			p.add(list.key, "%v", err)
		}
	}
	if slices.Contains(c.JWKS.Ports, 0) {
		p.add("jwks.ports", "0 is no port")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		p.add("log.level", "%q is not debug, info, warn or error", c.Log.Level)
	}
	if !slices.Contains([]string{"text", "json"}, c.Log.Format) {
		p.add("log.format", "%q is not text or json", c.Log.Format)
	}
}

func (c Config) checkOrganisations(p *problems) {
	if len(c.Organisations) == 0 {
		p.add("organisations", "names none")
	}
	for i, o := range c.Organisations {
		if _, err := domain.ParseName(o); err != nil || slices.Index(c.Organisations, o) != i {
			p.add("organisations", "%q is no name, or is there twice", o)
		}
	}
}

// checkNATS holds what is said about the cluster together.
func (c Config) checkNATS(p *problems) {
	n := c.NATS
	creds, seed := n.CredentialsFile != "" || !n.Credentials.IsZero(), n.NkeySeedFile != "" || !n.NkeySeed.IsZero()
	if n.URL == "" && (creds || seed || n.CAFile != "" || n.CertFile != "" || n.KeyFile != "") {
		p.add("nats.url", "is missing; the other settings of nats need it")
	}
	for one := range strings.SplitSeq(n.URL, ",") {
		// Whoever dials it would quote it whole, with the password in it.
		if _, u, err := parseURL(one); n.URL != "" && (err != nil || u.Hostname() == "") {
			p.add("nats.url", "%q is no URL such as tls://nats-1:4222", redactURL(one))
		}
	}
	if creds && seed {
		p.add("nats.nkey_seed_file", "and nats.credentials_file exclude each other: both say who we are")
	}
	if (n.CertFile == "") != (n.KeyFile == "") {
		p.add("nats.cert_file", "and nats.key_file go together")
	}
	if n.Replicas < 1 || n.Replicas > 5 {
		p.add("nats.replicas", "is 1 to 5")
	}
}

// checkListeners wants addresses, each of its own, and the profiles where
// nobody from outside reaches them: they show what is in memory.
func (c Config) checkListeners(p *problems) {
	for _, l := range []struct{ key, addr string }{{"metrics.listen", c.Metrics.Listen}, {"pprof.listen", c.Pprof.Listen}} {
		host, port, err := net.SplitHostPort(l.addr)
		switch {
		case l.addr == "":
		case err != nil:
			p.add(l.key, "%q is no address such as 127.0.0.1:9090", l.addr)
		case l.addr == c.Listen && port != "0":
			p.add(l.key, "is the address of listen; it needs one of its own")
		case l.key == "pprof.listen" && !loopback(host):
			p.add(l.key, "%q is not the loopback, such as 127.0.0.1:6060: profiles show what is in memory", l.addr)
		}
	}
	if c.Metrics.Listen != "" && c.Metrics.Listen == c.Pprof.Listen {
		p.add("pprof.listen", "is the address of metrics.listen; it needs one of its own")
	}
}

// checkBounds holds numbers and durations in their ranges.
func (c Config) checkBounds(p *problems) {
	for _, d := range []struct {
		key      string
		is       Duration
		min, max time.Duration
	}{{"shutdown.wait", c.Shutdown.Wait, 0, 5 * time.Minute}, {"shutdown.drain", c.Shutdown.Drain, time.Second, 10 * time.Minute}} {
		if is := time.Duration(d.is); is < d.min || is > d.max {
			p.add(d.key, "is %s to %s, not %s", d.min, d.max, is)
		}
	}
	for _, n := range []struct {
		key string
		is  int
	}{{"rate_limits.per_address", c.RateLimits.PerAddress}, {"rate_limits.per_connection", c.RateLimits.PerConnection}} {
		if n.is < 0 || n.is > 1_000_000 {
			p.add(n.key, "is 1 to 1000000 requests a second, or 0 for no limit")
		}
	}
	if r := c.Tracing.SampleRatio; r < 0 || r > 1 {
		p.add("tracing.sample_ratio", "is 0 to 1")
	}
}

func checkEndpoint(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is no URL such as http://127.0.0.1:4318", redactURL(s))
	}
	return nil
}

// checkFiles wants every file that is named to be there for us to read.
func (c Config) checkFiles(p *problems) {
	c.checkKEK(p)
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		p.add("tls.cert_file", "and tls.key_file go together")
	}
	for _, named := range []struct{ key, path string }{
		{"tls.cert_file", c.TLS.CertFile}, {"tls.key_file", c.TLS.KeyFile},
		{"nats.credentials_file", c.NATS.CredentialsFile}, {"nats.nkey_seed_file", c.NATS.NkeySeedFile},
		{"nats.ca_file", c.NATS.CAFile}, {"nats.cert_file", c.NATS.CertFile}, {"nats.key_file", c.NATS.KeyFile},
		{"notify.webhook.url_file", c.Notify.Webhook.URLFile}, {"notify.webhook.secret_file", c.Notify.Webhook.SecretFile},
		{"notify.smtp.password_file", c.Notify.SMTP.PasswordFile}, {"notify.smtp.ca_file", c.Notify.SMTP.CAFile},
	} {
		if named.path != "" {
			checkReadable(p, named.key, named.path)
		}
	}
}

// checkKEK wants the one secret without which nothing starts.
func (c Config) checkKEK(p *problems) {
	const kek = "key_encryption_key_file"
	path := c.KeyEncryptionKeyFile
	switch info, err := os.Stat(path); {
	case !c.KeyEncryptionKey.IsZero():
	case path == "":
		p.add(kek, "is missing; `sallyportd keys kek --out FILE` makes one")
	case errors.Is(err, fs.ErrNotExist):
		p.add(kek, "names %[1]s, which is not there; `sallyportd keys kek --out %[1]s` makes it", path)
	case err == nil && tooOpen(info):
		p.add(kek, "names %[1]s, which others may read; `chmod 600 %[1]s`", path)
	default:
		checkReadable(p, kek, path)
	}
}

// tooOpen tells whether more people may read a secret file than need to. One of
// ours is ours alone; one that belongs to root may be given to a group, which is
// how systemd and Kubernetes hand a secret to a service.
func tooOpen(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid == 0 && os.Geteuid() != 0 {
		return mode&0o037 != 0
	}
	return mode&0o077 != 0
}

func checkReadable(p *problems, key, path string) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.add(key, "names %s, which is not there", path)
	case err != nil:
		p.add(key, "cannot be read: %v", err)
	default:
		f.Close()
	}
}

func checkBaseURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return errors.New("is missing; it is where clients reach us, such as https://sallyport.example.com")
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(s, "/"):
		return fmt.Errorf("%q is no URL such as https://sallyport.example.com, without a slash at the end", s)
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q is not https", s)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func prefixes(list []string) (out []netip.Prefix, err error) {
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q is no network such as 10.0.0.0/8", s)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// redactURL is a URL, or several separated by commas, without passwords, and
// without a user that stands alone, which to NATS is a token.
func redactURL(s string) string {
	list := strings.Split(s, ",")
	for i, one := range list {
		scheme, u, err := parseURL(one)
		switch {
		case err != nil && strings.Contains(one, "@"):
			list[i] = "[redacted]"
		case err == nil && u.User != nil:
			if _, password := u.User.Password(); !password {
				u.User = url.User("xxxxx")
			}
			list[i] = strings.TrimPrefix(u.Redacted(), scheme)
		}
	}
	return strings.Join(list, ",")
}

// parseURL reads one URL as the NATS client does; scheme is what it puts before
// one that has none.
func parseURL(s string) (scheme string, u *url.URL, err error) {
	if s = strings.TrimSpace(s); !strings.Contains(s, "://") {
		scheme = "nats://"
	}
	u, err = url.Parse(scheme + s)
	return scheme, u, err
}
