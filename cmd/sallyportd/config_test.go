package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
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
		{name: "a number is no text", text: whole + "nats: {replicas: three}\n", err: "nats.replicas is a string, wanted int"},
		{name: "a text is no list", text: whole + "organisations: acme\n", err: "organisations is a string"},
		{name: "nothing at all is told whole", text: "", err: "data_dir is missing"},
		{name: "http reaches nobody else", text: strings.Replace(whole, "https", "http", 1), err: "is not https"},
		{name: "a slash at the end of the base URL", text: strings.Replace(whole, "example.com", "example.com/", 1), err: "without a slash"},
		{name: "a password in the base URL", text: strings.Replace(whole, "https://", "https://a:b@", 1), err: "base_url"},
		{name: "an organisation is a name", text: whole + "organisations: [Acme]\n", err: `"Acme"`},
		{name: "an organisation is there once", text: whole + "organisations: [a, a]\n", err: `"a"`},
		{name: "no organisation", text: whole + "organisations: []\n", err: "names none"},
		{name: "credentials without a cluster", text: whole + "nats: {credentials_file: x}\n", err: "need nats.url"},
		{name: "no copies", text: whole + "nats: {replicas: 0}\n", err: "1 to 5"},
		{name: "half of TLS", text: whole + "tls: {cert_file: x}\n", err: "go together"},
		{name: "a proxy is a network", text: whole + "trusted_proxies: [10.0.0.1]\n", err: "no network"},
		{name: "a port of 0", text: whole + "jwks: {ports: [0]}\n", err: "0 is no port"},
		{name: "a port that is none", text: whole + "jwks: {ports: [70000]}\n", err: "jwks.ports"},
		{name: "a level that is none", text: whole + "log: {level: loud}\n", err: "log.level"},
		{name: "a key file that is not there", text: strings.Replace(whole, "KEK", "/nowhere/kek", 1), err: "/nowhere/kek"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadConfig(write(t, tt.text))
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
	_, err := loadConfig(write(t, "listen: nowhere\n"))
	for _, want := range []string{"listen", "base_url", "data_dir", "key_encryption_key_file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s named", err, want)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	c, err := loadConfig(write(t, whole))
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
	if _, err := loadConfig(path); err == nil || !strings.Contains(err.Error(), "others may read") {
		t.Errorf("got %v", err)
	}
}

func TestKnownKeysAreThoseOfConfig(t *testing.T) {
	want := fields(reflect.TypeFor[Config](), "")
	got := slices.Sorted(slices.Values(knownKeys))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func fields(t reflect.Type, prefix string) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + f.Tag.Get("json")
		names = append(names, name)
		if f.Type.Kind() == reflect.Struct {
			names = append(names, fields(f.Type, name+".")...)
		}
	}
	return names
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
		if key, _, ok := strings.Cut(strings.TrimSpace(bare), ":"); ok && bare != line && slices.ContainsFunc(knownKeys, func(k string) bool {
			return k == key || strings.HasSuffix(k, "."+key)
		}) {
			line = bare
		}
		text.WriteString(line)
	}
	sample := strings.ReplaceAll(text.String(), "/etc/sallyport/kek.json", "KEK")
	c, err := loadConfig(write(t, sample))
	if err != nil {
		t.Fatalf("%v\n%s", err, sample)
	}
	if c.NATS.URL == "" || c.BaseURL != "https://sallyport.example.com" {
		t.Errorf("got %+v", c)
	}
}
