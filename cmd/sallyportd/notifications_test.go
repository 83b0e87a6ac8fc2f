package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport.dev/cmd/internal/cli"
)

func TestWhatIsWrongWithTellingPeopleIsTold(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, text, err string }{
		{"a signed webhook is well", "webhook: {url: 'https://hooks.example.com/x', secret_file: SECRET}", ""},
		{"Slack needs no secret", "webhook: {url: 'https://hooks.slack.com/services/x', format: slack}", ""},
		{"mail is well", "smtp: {address: 'mail.example.com:587', from: 'Sallyport <s@example.com>'}", ""},
		{"mail to the loopback needs no TLS", "smtp: {address: '127.0.0.1:25', from: s@example.com, tls: none}", ""},
		{"a webhook nobody can verify", "webhook: {url: 'https://hooks.example.com/x'}", "notify.webhook.secret_file is missing"},
		{"a secret for nobody", "webhook: {secret_file: SECRET}", "notify.webhook.url is missing"},
		{"two addresses", "webhook: {url: 'https://hooks.example.com/x', url_file: SECRET, secret_file: SECRET}", "are both set"},
		{"a secret in the file", "webhook: {url: 'https://hooks.example.com/x', secret: whsec_hush}", "notify.webhook.secret is a secret and does not belong in the file"},
		{"no https", "webhook: {url: 'http://hooks.example.com/hush', secret_file: SECRET}", "notify.webhook.url is not to be posted to: only https"},
		{"the metadata of a cloud", "webhook: {url: 'https://169.254.169.254/hush', secret_file: SECRET}", "notify.webhook.url is not to be posted to: its address is not public"},
		{"this machine", "webhook: {url: 'https://localhost/hush', secret_file: SECRET}", "notify.webhook.url is not to be posted to"},
		{"another format", "webhook: {url: 'https://hooks.example.com/x', secret_file: SECRET, format: irc}", `notify.webhook.format "irc"`},
		{"mail without a server", "smtp: {from: s@example.com}", "notify.smtp.address is missing"},
		{"a server without a port", "smtp: {address: mail.example.com, from: s@example.com}", "notify.smtp.address"},
		{"nobody writes", "smtp: {address: 'mail.example.com:587'}", "notify.smtp.from is missing"},
		{"somebody with a header of their own", `smtp: {address: 'mail.example.com:587', from: "s@example.com\r\nBcc: hush@example.com"}`, "notify.smtp.from is missing or no address"},
		{"a name without a password", "smtp: {address: 'mail.example.com:587', from: s@example.com, username: me}", "go together"},
		{"no TLS to elsewhere", "smtp: {address: 'mail.example.com:25', from: s@example.com, tls: none}", "notify.smtp.tls is none for the loopback alone"},
		{"another TLS", "smtp: {address: 'mail.example.com:25', from: s@example.com, tls: maybe}", `notify.smtp.tls "maybe"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := readConfig(write(t, whole+"notify:\n  "+strings.ReplaceAll(tt.text, "SECRET", secret)+"\n"), nil)
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				if n, err := l.notifier(l.gate()); err != nil || n == nil {
					t.Errorf("nobody would be told: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("the error quotes a secret: %v", err)
			}
		})
	}
}

func TestASecretOfTheWebhookThatIsNoneIsNotQuoted(t *testing.T) {
	for _, secret := range []string{"hush", "whsec_hush", "whsec_aHVzaA=="} {
		l, err := readConfig(write(t, whole+"notify: {webhook: {url: 'https://hooks.example.com/x'}}\n"), []string{"SALLYPORT_NOTIFY__WEBHOOK__SECRET=" + secret})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = l.notifier(l.gate()); err == nil || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "aHVzaA") {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

func TestDevTellsNothingInsideAndInNoOtherForm(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		err  string
	}{
		{[]string{"--notify-webhook", "http://169.254.169.254/hush"}, cli.ExitFailed, "not to be posted to: only https is allowed; http is, to this machine alone"},
		{[]string{"--notify-webhook", "http://127.0.0.1:1/hush", "--notify-webhook-format", "irc"}, cli.ExitUsage, `"irc" is not json, slack or teams`},
	} {
		dir := t.TempDir()
		_, errs, code := command(t, t.Context(), nil, append([]string{"dev", "--listen", "127.0.0.1:0", "--data", dir}, tt.args...)...)
		if code != tt.code || !strings.Contains(errs, tt.err) || strings.Contains(errs, "hush") {
			t.Errorf("%v: exit code %d: %s", tt.args, code, errs)
		}
	}
}

func TestNobodyIsToldUnlessTheConfigurationSaysSo(t *testing.T) {
	l, err := readConfig(write(t, whole), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := l.notifier(l.gate()); n != nil || err != nil {
		t.Errorf("got %v, %v", n, err)
	}
}

func TestDevTellsWhereNoticesGoWithoutTheSecret(t *testing.T) {
	for address, want := range map[string]string{"": "", "http://127.0.0.1:9000/services/hush?a=hush": "http://127.0.0.1:9000", "https://u:hush@hooks.example.com/hush": "https://hooks.example.com"} {
		if got := hostAlone(address); got != want {
			t.Errorf("%q is shown as %q, want %q", address, got, want)
		}
	}
}
