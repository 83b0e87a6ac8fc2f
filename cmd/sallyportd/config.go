package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"sallyport.dev/domain"
)

// Config is everything that `sallyportd serve` is told, as YAML. A key that is
// not here is an error, and all that is wrong is told at once.
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
	// KeyEncryptionKeyFile holds the key that seals our signing keys, as
	// `sallyportd keys kek` makes it. Nobody but its owner may read it. Required.
	KeyEncryptionKeyFile string `json:"key_encryption_key_file"`
	// NATS says where the log is.
	NATS NATSConfig `json:"nats"`
	// TLS is served when both files are given; otherwise a proxy has to.
	TLS TLSConfig `json:"tls"`
	// TrustedProxies are the networks (CIDR) whose X-Forwarded-For is believed.
	TrustedProxies []string `json:"trusted_proxies"`
	// JWKS bounds where providers' keys are fetched from.
	JWKS JWKSConfig `json:"jwks"`
	// Log says what goes to stderr.
	Log LogConfig `json:"log"`
}

// NATSConfig says where the log is: embedded under DataDir, or in a cluster.
type NATSConfig struct {
	// URL of a NATS cluster, several separated by commas. Empty: embedded.
	URL string `json:"url"`
	// CredentialsFile is a NATS .creds file.
	CredentialsFile string `json:"credentials_file"`
	// CAFile is a PEM file of the authorities that may sign the cluster's
	// certificates. Empty: the system's.
	CAFile string `json:"ca_file"`
	// Replicas of each organisation's log on a cluster, 1 to 5. Default: 3.
	Replicas int `json:"replicas"`
	// AllowFewReplicas lets a cluster hold fewer than three: an acknowledged
	// event may then be lost with one machine.
	AllowFewReplicas bool `json:"allow_few_replicas"`
}

// TLSConfig names a certificate and its key, both PEM.
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

// LogConfig says what goes to stderr.
type LogConfig struct {
	// Level is debug, info, warn or error. Default: info.
	Level string `json:"level"`
	// Format is text or json. Default: json.
	Format string `json:"format"`
}

// loadConfig reads a configuration file strictly and checks all of it.
func loadConfig(path string) (Config, error) {
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return Config{}, fmt.Errorf("reading the configuration %s: %w", path, err)
	}
	if err := refuseUnknown(k.Keys()); err != nil {
		return Config{}, fmt.Errorf("the configuration %s: %w", path, err)
	}
	c := Config{
		Organisations: []string{"default"},
		NATS:          NATSConfig{Replicas: 3},
		Log:           LogConfig{Level: "info", Format: "json"},
	}
	raw, err := json.Marshal(k.Raw())
	if err != nil {
		return Config{}, fmt.Errorf("reading the configuration %s: %w", path, err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return Config{}, fmt.Errorf("the configuration %s: %s is a %s, wanted %s", path, wrong.Field, wrong.Value, wrong.Type)
		}
		return Config{}, fmt.Errorf("the configuration %s: %w", path, err)
	}
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("the configuration %s:\n%w", path, err)
	}
	return c, nil
}

// refuseUnknown names every key that Config does not have.
func refuseUnknown(keys []string) error {
	var errs []error
	for _, key := range keys {
		if !slices.Contains(knownKeys, key) {
			errs = append(errs, fmt.Errorf("%s is no setting", key))
		}
	}
	return errors.Join(errs...)
}

// knownKeys lists every setting and the groups they are in; a test holds it
// against Config.
var knownKeys = []string{
	"listen", "base_url", "data_dir", "organisations", "key_encryption_key_file", "trusted_proxies",
	"nats", "nats.url", "nats.credentials_file", "nats.ca_file", "nats.replicas", "nats.allow_few_replicas",
	"tls", "tls.cert_file", "tls.key_file",
	"jwks", "jwks.private_cidrs", "jwks.ports",
	"log", "log.level", "log.format",
}

// check tells everything that is wrong, a line each.
func (c Config) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("  "+format, args...)) }
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		wrong("listen %q is no address such as 0.0.0.0:8443", c.Listen)
	}
	if err := checkBaseURL(c.BaseURL); err != nil {
		wrong("base_url %w", err)
	}
	if c.DataDir == "" {
		wrong("data_dir is missing")
	}
	if len(c.Organisations) == 0 {
		wrong("organisations names none")
	}
	for i, o := range c.Organisations {
		if _, err := domain.ParseName(o); err != nil || slices.Index(c.Organisations, o) != i {
			wrong("organisations: %q is no name, or is there twice", o)
		}
	}
	errs = append(errs, checkSecretFile("key_encryption_key_file", c.KeyEncryptionKeyFile))
	if c.NATS.URL == "" && (c.NATS.CredentialsFile != "" || c.NATS.CAFile != "") {
		wrong("nats.credentials_file and nats.ca_file need nats.url")
	}
	if c.NATS.Replicas < 1 || c.NATS.Replicas > 5 {
		wrong("nats.replicas is 1 to 5")
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		wrong("tls.cert_file and tls.key_file go together")
	}
	for name, list := range map[string][]string{"trusted_proxies": c.TrustedProxies, "jwks.private_cidrs": c.JWKS.PrivateCIDRs} {
		if _, err := prefixes(list); err != nil {
			wrong("%s: %w", name, err)
		}
	}
	if slices.Contains(c.JWKS.Ports, 0) {
		wrong("jwks.ports: 0 is no port")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) || !slices.Contains([]string{"text", "json"}, c.Log.Format) {
		wrong("log.level is debug, info, warn or error, and log.format text or json")
	}
	return errors.Join(errs...)
}

func checkBaseURL(s string) error {
	u, err := url.Parse(s)
	switch {
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

// checkSecretFile wants a file that nobody but its owner may read.
func checkSecretFile(name, path string) error {
	if path == "" {
		return fmt.Errorf("  %s is missing; `sallyportd keys kek --out FILE` makes one", name)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("  %s: %w", name, err)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("  %s: others may read %s; chmod 600 it", name, path)
	}
	return nil
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
