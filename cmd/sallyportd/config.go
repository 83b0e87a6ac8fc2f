package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"sallyport.dev/domain"
)

// Config is everything that `sallyportd serve` is told, as YAML. A key that is
// not here is an error, and all that is wrong is told at once: keys that are no
// setting, wrong types, broken rules and files that are not there.
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

// loadConfig reads a configuration file strictly and checks all of it; what is
// wrong with it is a *configError.
func loadConfig(path string) (Config, error) {
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return Config{}, fmt.Errorf("reading the configuration %s: %w", path, err)
	}
	c := Config{
		Organisations: []string{"default"},
		NATS:          NATSConfig{Replicas: 3},
		Log:           LogConfig{Level: "info", Format: "json"},
	}
	var p problems
	c.fill(k, &p)
	c.check(&p)
	if len(p.lines) > 0 {
		return Config{}, &configError{path, p.lines}
	}
	return c, nil
}

// configError is everything that is wrong in a configuration file, a line each.
type configError struct {
	path  string
	lines []string
}

func (e *configError) Error() string {
	return "the configuration " + e.path + ": " + strings.Join(e.lines, "; ")
}

// problems are what is wrong so far. Of a setting that could not be read no
// more is told: what it lacks is not what is wrong with it.
type problems struct {
	unread map[string]bool
	lines  []string
}

func (p *problems) add(key, format string, args ...any) {
	group, _, _ := strings.Cut(key, ".")
	if !p.unread[key] && !p.unread[group] {
		p.lines = append(p.lines, key+" "+fmt.Sprintf(format, args...))
	}
}

// fill sets what the file says, one setting after the other, so that one that
// is no setting, or of a wrong type, hides no other.
func (c *Config) fill(k *koanf.Koanf, p *problems) {
	p.unread = map[string]bool{}
	for _, key := range k.Keys() {
		group, name, grouped := strings.Cut(key, ".")
		if _, dotted := k.Raw()[key]; !slices.Contains(knownKeys, key) || grouped && dotted {
			p.add(key, "is no setting")
			continue
		}
		doc := map[string]any{key: k.Get(key)}
		if grouped {
			doc = map[string]any{group: map[string]any{name: k.Get(key)}}
		}
		b, err := json.Marshal(doc)
		if err == nil {
			err = json.Unmarshal(b, c)
		}
		var wrong *json.UnmarshalTypeError
		switch {
		case errors.As(err, &wrong):
			p.add(key, "is %s, wanted %s", given(wrong.Value), wanted(wrong.Type))
		case err != nil:
			p.add(key, "cannot be read: %v", err)
		}
		if err != nil {
			p.unread[key] = true
		}
	}
}

// given names for people what the file has.
func given(value string) string {
	switch value {
	case "array":
		return "a list"
	case "object":
		return "a group of settings"
	case "bool":
		return "true or false"
	case "string":
		return "a text"
	}
	return value // number, or number 70000
}

// wanted names a type of [Config] for people.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "a group of settings"
	case reflect.Uint16:
		return "a port, 1 to 65535"
	}
	return "a whole number"
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
	if c.NATS.URL == "" && (c.NATS.CredentialsFile != "" || c.NATS.CAFile != "") {
		p.add("nats.url", "is missing; nats.credentials_file and nats.ca_file need it")
	}
	if c.NATS.Replicas < 1 || c.NATS.Replicas > 5 {
		p.add("nats.replicas", "is 1 to 5")
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

// checkFiles wants every file that is named to be there for us to read.
func (c Config) checkFiles(p *problems) {
	const kek = "key_encryption_key_file"
	switch info, err := os.Stat(c.KeyEncryptionKeyFile); {
	case c.KeyEncryptionKeyFile == "":
		p.add(kek, "is missing; `sallyportd keys kek --out FILE` makes one")
	case errors.Is(err, fs.ErrNotExist):
		p.add(kek, "names %[1]s, which is not there; `sallyportd keys kek --out %[1]s` makes it", c.KeyEncryptionKeyFile)
	case err == nil && info.Mode().Perm()&0o077 != 0:
		p.add(kek, "names %[1]s, which others may read; `chmod 600 %[1]s`", c.KeyEncryptionKeyFile)
	default:
		checkReadable(p, kek, c.KeyEncryptionKeyFile)
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		p.add("tls.cert_file", "and tls.key_file go together")
	}
	for _, named := range []struct{ key, path string }{
		{"tls.cert_file", c.TLS.CertFile}, {"tls.key_file", c.TLS.KeyFile},
		{"nats.credentials_file", c.NATS.CredentialsFile}, {"nats.ca_file", c.NATS.CAFile},
	} {
		if named.path != "" {
			checkReadable(p, named.key, named.path)
		}
	}
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
