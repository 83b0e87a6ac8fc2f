package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/cmd/internal/cli"
)

// write keeps a configuration in a file of its own, with a key-encryption key
// that only its owner may read.
func write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	kek := filepath.Join(dir, "kek.json")
	if err := os.WriteFile(kek, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "KEK", kek)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const whole = `
listen: 0.0.0.0:8443
base_url: https://sallyport.example.com
data_dir: /var/lib/sallyport
key_encryption_key_file: KEK
`

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name, text, err string
	}{
		{name: "the required settings are enough", text: whole},
		{name: "plain http is for the loopback", text: strings.Replace(whole, "https://sallyport.example.com", "http://127.0.0.1:8443", 1)},
		{name: "a setting that is none is named", text: whole + "colour: red\n", err: "colour is no setting"},
		{name: "one in a group is named with its group", text: whole + "nats: {urls: x}\n", err: "nats.urls is no setting"},
		{name: "names are exact", text: whole + "Listen: 127.0.0.1:1\n", err: "Listen is no setting"},
		{name: "a number is no text", text: whole + "nats: {replicas: three}\n", err: "nats.replicas is a text, wanted a whole number"},
		{name: "a text is no list", text: whole + "organisations: acme\n", err: "organisations is a text, wanted a list"},
		{name: "nothing at all is told whole", text: "", err: "data_dir is missing"},
		{name: "http reaches nobody else", text: strings.Replace(whole, "https", "http", 1), err: "is not https"},
		{name: "a slash at the end of the base URL", text: strings.Replace(whole, "example.com", "example.com/", 1), err: "without a slash"},
		{name: "a password in the base URL", text: strings.Replace(whole, "https://", "https://a:b@", 1), err: "base_url"},
		{name: "an organisation is a name", text: whole + "organisations: [Acme]\n", err: `"Acme"`},
		{name: "an organisation is there once", text: whole + "organisations: [a, a]\n", err: `"a"`},
		{name: "no organisation", text: whole + "organisations: []\n", err: "names none"},
		{name: "credentials without a cluster", text: whole + "nats: {credentials_file: x}\n", err: "nats.url is missing"},
		{name: "no copies", text: whole + "nats: {replicas: 0}\n", err: "1 to 5"},
		{name: "a number is no group", text: whole + "nats: 3\n", err: "nats is number, wanted a group"},
		{name: "a group is written as one", text: whole + "nats.replicas: 3\n", err: "nats.replicas is no setting"},
		{name: "an empty group says nothing", text: whole + "nats: {}\ntls:\n"},
		{name: "a certificate that is not there", text: whole + "tls: {cert_file: /nowhere/crt, key_file: KEK}\n", err: "tls.cert_file names /nowhere/crt, which is not there"},
		{name: "half of TLS", text: whole + "tls: {cert_file: x}\n", err: "go together"},
		{name: "a proxy is a network", text: whole + "trusted_proxies: [10.0.0.1]\n", err: "no network"},
		{name: "a port of 0", text: whole + "jwks: {ports: [0]}\n", err: "0 is no port"},
		{name: "a port that is none", text: whole + "jwks: {ports: [70000]}\n", err: "jwks.ports is number 70000, wanted a port, 1 to 65535"},
		{name: "a level that is none", text: whole + "log: {level: loud}\n", err: "log.level"},
		{name: "a key file that is not there", text: strings.Replace(whole, "KEK", "/nowhere/kek", 1), err: "/nowhere/kek"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadConfig(write(t, tt.text), nil)
			switch {
			case tt.err == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Fatalf("got %v, want an error with %q", err, tt.err)
			}
		})
	}
}

func TestConfigTellsEverythingAtOnce(t *testing.T) {
	_, err := loadConfig(write(t, `
lisen: nowhere
base_url: http://sallyport.example.com
data_dir: [a]
tls: {cert_file: /nowhere/tls.crt, key_file: /nowhere/tls.key}
nats: {urls: x, replicas: three}
`), nil)
	var wrong *configError
	if !errors.As(err, &wrong) {
		t.Fatalf("got %v", err)
	}
	want := []string{
		"data_dir is a list, wanted a text", "lisen is no setting", "nats.replicas is a text, wanted a whole number", "nats.urls is no setting",
		"listen is missing; it is an address such as 0.0.0.0:8443", `base_url "http://sallyport.example.com" is not https`,
		"key_encryption_key_file is missing; `sallyportd keys kek --out FILE` makes one",
		"tls.cert_file names /nowhere/tls.crt, which is not there", "tls.key_file names /nowhere/tls.key, which is not there",
	}
	if !slices.Equal(wrong.lines, want) {
		t.Errorf("got  %q\nwant %q", wrong.lines, want)
	}
}

// Whoever starts with the sample as it stands learns of every file it lacks,
// each on a line of its own.
func TestTheSampleConfigurationNamesItsMissingFiles(t *testing.T) {
	var errs bytes.Buffer
	s := cli.IO{Out: io.Discard, Err: &errs, Getenv: func(string) string { return "" }}
	code := cli.Run(t.Context(), root(s), s, []string{"serve", "--config", "../../deploy/sallyportd.example.yaml"})
	want := `sallyportd: the configuration ../../deploy/sallyportd.example.yaml is wrong
  key_encryption_key_file names /etc/sallyport/kek.json, which is not there; ` + "`sallyportd keys kek --out /etc/sallyport/kek.json` makes it" + `
  tls.cert_file names /etc/sallyport/tls.crt, which is not there
  tls.key_file names /etc/sallyport/tls.key, which is not there
  next: correct it; docs/configuration.md has every setting
`
	if code != cli.ExitFailed || errs.String() != want {
		t.Errorf("exit code %d, got\n%s\nwant\n%s", code, &errs, want)
	}
}

func TestConfigDefaults(t *testing.T) {
	c, err := loadConfig(write(t, whole), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Organisations, []string{"default"}) || c.NATS.Replicas != 3 || c.Log.Level != "info" || c.Log.Format != "json" {
		t.Errorf("got %+v", c)
	}
}

func TestAKeyFileThatOthersMayReadIsRefused(t *testing.T) {
	path := write(t, whole)
	if err := os.Chmod(filepath.Join(filepath.Dir(path), "kek.json"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(path, nil); err == nil || !strings.Contains(err.Error(), "others may read") {
		t.Errorf("got %v", err)
	}
}

// The sample configuration is what operators begin with: every key in it is a
// setting, also those that are commented out.
func TestTheSampleConfigurationIsRead(t *testing.T) {
	b, err := os.ReadFile("../../deploy/sallyportd.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for line := range strings.Lines(string(b)) {
		bare := strings.TrimPrefix(line, "# ")
		if key, _, ok := strings.Cut(strings.TrimSpace(bare), ":"); ok && bare != line && slices.ContainsFunc(settings(), func(s setting) bool {
			return s.key == key || strings.HasSuffix(s.key, "."+key)
		}) {
			line = bare
		}
		text.WriteString(line)
	}
	dir := t.TempDir() // with every file that the sample names
	for _, name := range []string{"kek.json", "tls.crt", "tls.key", "nats.creds", "nats-ca.pem", "nats-client.pem", "nats-client.key", "webhook-secret", "smtp-password", "mail-ca.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sample := strings.ReplaceAll(text.String(), "/etc/sallyport/", dir+"/")
	c, err := loadConfig(write(t, sample), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, sample)
	}
	if c.NATS.URL == "" || c.NATS.KeyFile == "" || c.Metrics.Listen == "" || c.Tracing.Endpoint == "" || c.Notify.Webhook.SecretFile == "" || c.Notify.SMTP.Address == "" || c.BaseURL != "https://sallyport.example.com" {
		t.Errorf("got %+v", c)
	}
}
