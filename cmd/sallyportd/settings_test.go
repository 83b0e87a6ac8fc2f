package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport.dev/cmd/internal/cli"
	"sallyport.dev/handlers/jose"
)

func TestSettingsComeFromTheEnvironment(t *testing.T) {
	kek := filepath.Join(t.TempDir(), "other.json")
	if err := os.WriteFile(kek, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, env string
		text      string // of the file, beside what is required
		key       string
		want, err string
	}{
		{name: "a text", env: "SALLYPORT_LISTEN=127.0.0.1:1", key: "listen", want: "127.0.0.1:1"},
		{name: "one in a group", env: "SALLYPORT_LOG__LEVEL=debug", key: "log.level", want: "debug"},
		{name: "the environment is above the file", text: "log: {level: warn}\n", env: "SALLYPORT_LOG__LEVEL=debug", key: "log.level", want: "debug"},
		{name: "what is empty is not set", text: "log: {level: warn}\n", env: "SALLYPORT_LOG__LEVEL=", key: "log.level", want: "warn"},
		{name: "a list", env: "SALLYPORT_ORGANISATIONS=acme, other", key: "organisations", want: "[acme, other]"},
		{name: "a list of ports", env: "SALLYPORT_JWKS__PORTS=443,8443", key: "jwks.ports", want: "[443, 8443]"},
		{name: "a number", env: "SALLYPORT_NATS__REPLICAS=5", key: "nats.replicas", want: "5"},
		{name: "a share", env: "SALLYPORT_TRACING__SAMPLE_RATIO=0.5", key: "tracing.sample_ratio", want: "0.5"},
		{name: "a switch", env: "SALLYPORT_NATS__ALLOW_FEW_REPLICAS=true", key: "nats.allow_few_replicas", want: "true"},
		{name: "one in a group of a group", env: "SALLYPORT_NOTIFY__SMTP__TLS=implicit", key: "notify.smtp.tls", want: "implicit"},
		{name: "a duration", env: "SALLYPORT_SHUTDOWN__WAIT=1m30s", key: "shutdown.wait", want: "1m30s"},
		{name: "a file of a secret", env: "SALLYPORT_KEY_ENCRYPTION_KEY_FILE=" + kek, key: "key_encryption_key_file", want: kek},
		{name: "a secret itself is above the file's", env: "SALLYPORT_KEY_ENCRYPTION_KEY=the-key", key: "key_encryption_key", want: "[redacted]"},
		{name: "what mends a wrong setting of the file", text: "nats: {replicas: three}\n", env: "SALLYPORT_NATS__REPLICAS=5", err: "nats.replicas is a text"},
		{name: "another's collector", env: "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", key: "tracing.endpoint", want: "http://127.0.0.1:4318"},
		{name: "our own above it", text: "tracing: {endpoint: 'http://here:4318'}\n", env: "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", key: "tracing.endpoint", want: "http://here:4318"},
		{name: "one that is none", env: "SALLYPORT_NATS__URLS=x", err: "SALLYPORT_NATS__URLS is no setting"},
		{name: "a group is none", env: "SALLYPORT_NATS=x"},
		{name: "a wrong type is told by its variable", env: "SALLYPORT_NATS__REPLICAS=three", err: "SALLYPORT_NATS__REPLICAS (nats.replicas) is a text, wanted a whole number"},
		{name: "a broken rule is told by its variable", env: "SALLYPORT_NATS__REPLICAS=9", err: "SALLYPORT_NATS__REPLICAS (nats.replicas) is 1 to 5"},
		{name: "no duration", env: "SALLYPORT_SHUTDOWN__WAIT=5", err: `"5" is no duration such as 10s`},
		{name: "too long", env: "SALLYPORT_SHUTDOWN__WAIT=1h", err: "(shutdown.wait) is 0s to 5m0s"},
		{name: "case matters", env: "SALLYPORT_nats__URL=x", err: "SALLYPORT_nats__URL is no setting"},
		{name: "the client's are left alone", env: "SALLYPORT_TOKEN=sallyport_x"},
		{name: "and Kubernetes' own", env: "SALLYPORT_PORT_8443_TCP_ADDR=10.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := readConfig(write(t, whole+tt.text), []string{"PATH=/bin", tt.env})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.key == "" {
				return
			}
			for _, s := range l.show() {
				if s.Setting == tt.key && text(s.Value) != tt.want {
					t.Errorf("%s is %s, want %s", tt.key, text(s.Value), tt.want)
				}
			}
		})
	}
}

func TestASecretIsSaidOnce(t *testing.T) {
	for _, tt := range []struct {
		text, env, err string
	}{
		{env: "SALLYPORT_KEY_ENCRYPTION_KEY=x,SALLYPORT_KEY_ENCRYPTION_KEY_FILE=/y", err: "both set"},
		{text: "key_encryption_key: x\n", err: "key_encryption_key is a secret and does not belong in the file"},
		{text: "nats: {url: 'nats://x', nkey_seed: SUA}\n", err: "set SALLYPORT_NATS__NKEY_SEED"},
		{text: "nats: {url: 'nats://x'}\n", env: "SALLYPORT_NATS__NKEY_SEED=SUA,SALLYPORT_NATS__CREDENTIALS=x", err: "exclude each other"},
		{env: "SALLYPORT_NATS__NKEY_SEED=SUASECRET", err: "nats.url is missing"},
	} {
		_, err := readConfig(write(t, whole+tt.text), strings.Split(tt.env, ","))
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s%s: got %v, want %q", tt.text, tt.env, err, tt.err)
		}
		if err != nil && strings.Contains(err.Error(), "SUASECRET") {
			t.Errorf("the error quotes the secret: %v", err)
		}
	}
}

// What systemd keeps for the service is found by the name of its setting.
func TestCredentialsAreFoundWhereSystemdPutsThem(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"key_encryption_key", "nats.nkey_seed", "tls.key", "tls.cert"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{}"), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	file := write(t, strings.Replace(whole, "key_encryption_key_file: KEK\n", "nats: {url: 'nats://x'}\n", 1))
	environ := []string{"CREDENTIALS_DIRECTORY=" + dir}
	l, err := readConfig(file, environ)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{l.KeyEncryptionKeyFile, l.NATS.NkeySeedFile, l.TLS.KeyFile, l.TLS.CertFile}
	want := []string{dir + "/key_encryption_key", dir + "/nats.nkey_seed", dir + "/tls.key", dir + "/tls.cert"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if l, err = readConfig(file, append(environ, "SALLYPORT_KEY_ENCRYPTION_KEY=other")); err != nil || l.KeyEncryptionKeyFile != "" || l.KeyEncryptionKey.Reveal() != "other" {
		t.Errorf("a variable is not above a credential: %v, %q", err, l.KeyEncryptionKeyFile)
	}
}

func TestConfigPrintShowsNoSecret(t *testing.T) {
	kek, err := jose.NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, strings.Replace(whole, "key_encryption_key_file: KEK\n", "nats: {url: 'nats://me:hush@n1,nats://you:hush@n2'}\ntracing: {endpoint: 'https://me:hush@traces'}\n"+
		"notify: {webhook: {url: 'https://hooks.example.com/services/hush', format: slack}, smtp: {address: 'mail.example.com:587', from: a@example.com, username: me}}\n", 1))
	environ := []string{"SALLYPORT_KEY_ENCRYPTION_KEY=" + string(kek), "SALLYPORT_NATS__NKEY_SEED=SUAHUSH", "SALLYPORT_NOTIFY__SMTP__PASSWORD=hush", "SALLYPORT_NOTIFY__WEBHOOK__SECRET=whsec_aHVzaGh1c2hodXNoaHVzaGh1c2hodXNoaHVzaA=="}
	for _, format := range []string{"table", "json", "yaml"} {
		out, errs, code := command(t, t.Context(), environ, "config", "print", "--redact", "--config", path, "-o", format)
		if code != 0 {
			t.Fatal(errs)
		}
		var doc struct{ Key []struct{ Value string } }
		_ = json.Unmarshal(kek, &doc) // the secret part of it
		for _, secret := range []string{"hush", "aHVzaG", "SUAHUSH", string(kek)[20:60]} {
			if strings.Contains(out+errs, secret) {
				t.Errorf("%s shows %s:\n%s", format, secret, out)
			}
		}
		for _, want := range []string{"SALLYPORT_NATS__NKEY_SEED", "https://hooks.example.com/[redacted]", "[redacted]", "default", path} {
			if !strings.Contains(out, want) {
				t.Errorf("%s does not show %s:\n%s", format, want, out)
			}
		}
	}
	if _, _, code := command(t, t.Context(), environ, "config", "print", "--redact=false", "--config", path); code != cli.ExitUsage {
		t.Errorf("--redact=false: exit code %d", code)
	}
	if _, errs, code := command(t, t.Context(), environ, "config", "check", "--config", path); code != 0 {
		t.Errorf("check: %d %s", code, errs)
	}
	if _, errs, code := command(t, t.Context(), append(environ, "SALLYPORT_LISTN=x"), "config", "check", "--config", path); code != 0 || !strings.Contains(errs, "SALLYPORT_LISTN looks like a setting") {
		t.Errorf("a misspelt variable: %d %s", code, errs)
	}
	if _, errs, code := command(t, t.Context(), nil, "config", "check", "--config", write(t, whole)); code != cli.ExitFailed || !strings.Contains(errs, "key-encryption key") {
		t.Errorf("a key-encryption key that is none: %d %s", code, errs)
	}
}

// docs/configuration.md is held against Config: every setting, its variable, its default.
func TestTheConfigurationPageHasEverySetting(t *testing.T) {
	b, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| `(SALLYPORT_[A-Z_]+)` \\| ([^|]*) \\| ([^|]*) \\|$")
	page := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(string(b), -1) {
		page[m[1]] = m[2:]
	}
	standard := loaded{Config: defaults()}
	for _, s := range settings() {
		if s.group {
			continue
		}
		want := "none"
		if v := standard.value(s); !reflect.ValueOf(v).IsZero() {
			want = "`" + text(v) + "`"
		}
		got := page[s.key]
		delete(page, s.key)
		switch {
		case got == nil:
			t.Errorf("%s is not on the page", s.key)
		case got[0] != s.env() || !strings.HasPrefix(got[1], want) && !(got[1] == "required" && want == "none"):
			t.Errorf("%s: the page says %q, and it is %s, %s", s.key, got[:2], s.env(), want)
		}
	}
	for key := range page {
		t.Errorf("%s is on the page and no setting", key)
	}
}

func TestAWrongConfigurationIsAConfigError(t *testing.T) {
	_, err := readConfig(write(t, whole), []string{"SALLYPORT_A__B=x", "SALLYPORT_C__D=x"})
	var wrong *configError
	if !errors.As(err, &wrong) || !slices.Equal(wrong.lines, []string{"SALLYPORT_A__B is no setting", "SALLYPORT_C__D is no setting"}) {
		t.Errorf("got %v", fmt.Sprint(err))
	}
}

func TestNoURLIsPrintedWithWhatItHoldsSecret(t *testing.T) {
	for given, want := range map[string]string{
		"tls://nats-1:4222,tls://nats-2:4222":                "tls://nats-1:4222,tls://nats-2:4222",
		"nats-1:4222, nats-2:4222":                           "nats-1:4222, nats-2:4222",
		"nats://user:S3CRET@nats-1:4222":                     "nats://user:xxxxx@nats-1:4222",
		"nats://S3CRET@nats-1:4222,tls://S3CRET@nats-2:4222": "nats://xxxxx@nats-1:4222,tls://xxxxx@nats-2:4222",
		"user:S3CRET@nats-1:4222":                            "user:xxxxx@nats-1:4222",
		"S3CRET@nats-1:4222":                                 "xxxxx@nats-1:4222",
		"nats://user:S3CRET%zz@nats-1:4222":                  "[redacted]",
	} {
		if got := redactURL(given); got != want {
			t.Errorf("%s is printed as %s, want %s", given, got, want)
		}
	}
	s := serveFile(t, "nats: {url: 'nats://user:S3CRET%zz@nats-1:4222'}\n")
	out, errs, code := command(t, t.Context(), nil, "config", "check", "--config", s.config)
	if code == cli.ExitOK || strings.Contains(out+errs, "S3CRET") || !strings.Contains(out+errs, "nats.url") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}
