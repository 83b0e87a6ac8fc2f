package main

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/notify"
)

// NotifyConfig says how people are told. With neither nobody is.
type NotifyConfig struct {
	// Webhook is an address that is told of everything.
	Webhook WebhookConfig `json:"webhook"`
	// SMTP is a mail server that takes a message for each person.
	SMTP SMTPConfig `json:"smtp"`
}

// WebhookConfig is an address that is told of everything.
type WebhookConfig struct {
	// URL is posted to: https, and allowed as keys are fetched (see jwks). It is
	// printed without its path, which in Slack's and Teams' is a secret.
	URL string `json:"url"`
	// URLFile holds it, where it is a secret.
	URLFile string `json:"url_file"`
	// Secret signs what is posted (Standard Webhooks): whsec_ and base64. Required
	// with the format json.
	Secret domain.Secret `json:"secret"`
	// SecretFile holds it.
	SecretFile string `json:"secret_file"`
	// Format is json, slack or teams. Default: json.
	Format string `json:"format"`
}

// SMTPConfig is a mail server that takes our messages.
type SMTPConfig struct {
	// Address is its host and port, such as mail.example.com:587.
	Address string `json:"address"`
	// From is who writes, such as Sallyport <sallyport@example.com>.
	From string `json:"from"`
	// Username signs in with the password; empty: nobody does.
	Username string        `json:"username"`
	Password domain.Secret `json:"password"`
	// PasswordFile holds it.
	PasswordFile string `json:"password_file"`
	// TLS is starttls, implicit (as on port 465), or none, to the loopback alone.
	// Default: starttls, without which nothing is said.
	TLS string `json:"tls"`
	// CAFile is a PEM file of the authorities that may sign the server's
	// certificate. Empty: the system's.
	CAFile string `json:"ca_file"`
}

// checkNotify holds what is said about one channel together.
func (c Config) checkNotify(p *problems) {
	c.checkWebhook(p)
	s := c.Notify.SMTP
	host, _, err := net.SplitHostPort(s.Address)
	switch {
	case s.Address == "" && (s.From != "" || s.Username != "" || !s.Password.IsZero() || s.PasswordFile != "" || s.CAFile != ""):
		p.add("notify.smtp.address", "is missing; the other settings of notify.smtp need it")
	case s.Address == "":
		return
	case err != nil || host == "":
		p.add("notify.smtp.address", "%q is no address such as mail.example.com:587", s.Address)
	case s.TLS == string(notify.NoTLS) && !loopback(host):
		p.add("notify.smtp.tls", "is none for the loopback alone, and %s is elsewhere", host)
	}
	if from, err := mail.ParseAddress(s.From); err != nil || strings.ContainsAny(from.Address, "\r\n") {
		p.add("notify.smtp.from", "is missing or no address such as Sallyport <sallyport@example.com>")
	}
	if (s.Username == "") != (s.Password.IsZero() && s.PasswordFile == "") {
		p.add("notify.smtp.username", "and notify.smtp.password_file go together")
	}
	if !slices.Contains([]string{string(notify.StartTLS), string(notify.Implicit), string(notify.NoTLS)}, s.TLS) {
		p.add("notify.smtp.tls", "%q is not starttls, implicit or none", s.TLS)
	}
}

func (c Config) checkWebhook(p *problems) {
	w := c.Notify.Webhook
	there, signed := w.URL != "" || w.URLFile != "", !w.Secret.IsZero() || w.SecretFile != ""
	switch {
	case !there && signed:
		p.add("notify.webhook.url", "is missing; the other settings of notify.webhook need it")
	case w.URL != "" && w.URLFile != "":
		p.add("notify.webhook.url", "and notify.webhook.url_file are both set: say which")
	case there && !signed && w.Format == string(notify.JSON):
		p.add("notify.webhook.secret_file", "is missing; who is told knows by the signature that it was us")
	}
	if w.URL != "" {
		if err := c.gate().CheckURL(w.URL); err != nil {
			p.add("notify.webhook.url", "is not to be posted to: %v", err)
		}
	}
	if !slices.Contains(notify.Formats(), notify.Format(w.Format)) {
		p.add("notify.webhook.format", "%q is not json, slack or teams", w.Format)
	}
}

// gate is where anything outside may be called; networks that are none are told elsewhere.
func (c Config) gate() jose.Gate {
	private, _ := prefixes(c.JWKS.PrivateCIDRs)
	return jose.Gate{Private: private, Ports: c.JWKS.Ports}
}

// notifier tells people as the configuration says; nil: nobody is told.
func (c Config) notifier(g jose.Gate) (*notify.Notifier, error) {
	opt := notify.Options{BaseURL: c.BaseURL, Gate: g}
	w, s := c.Notify.Webhook, c.Notify.SMTP
	if w.URL != "" || w.URLFile != "" {
		address, err := fromFile(domain.NewSecret(w.URL), w.URLFile)
		if err != nil {
			return nil, err
		}
		secret, err := fromFile(w.Secret, w.SecretFile)
		if err != nil {
			return nil, err
		}
		if err := g.CheckURL(address.Reveal()); err != nil {
			return nil, fmt.Errorf("notify.webhook.url is not to be posted to: %w", err)
		}
		opt.Webhook = &notify.Webhook{URL: address.Reveal(), Secret: secret, Format: notify.Format(w.Format)}
	}
	if s.Address != "" {
		password, err := fromFile(s.Password, s.PasswordFile)
		if err != nil {
			return nil, err
		}
		opt.Mail = &notify.Mail{Address: s.Address, From: s.From, Username: s.Username, Password: password, TLS: notify.TLS(s.TLS)}
		if opt.Mail.Roots, err = s.roots(); err != nil {
			return nil, err
		}
	}
	if opt.Webhook == nil && opt.Mail == nil {
		return nil, nil
	}
	return notify.New(opt, time.Now)
}

// roots may sign the mail server's certificate; nil: those of the system.
func (s SMTPConfig) roots() (*x509.CertPool, error) {
	if s.CAFile == "" {
		return nil, nil
	}
	b, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading notify.smtp.ca_file: %w", err)
	}
	pool, err := jose.ParseCA(string(b))
	if err != nil {
		return nil, fmt.Errorf("reading notify.smtp.ca_file: %w", err)
	}
	return pool, nil
}

// fromFile is the secret, or what the file holds without the end of its line.
func fromFile(s domain.Secret, path string) (domain.Secret, error) {
	if !s.IsZero() || path == "" {
		return s, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return domain.Secret{}, fmt.Errorf("reading a secret: %w", err)
	}
	return domain.NewSecret(strings.TrimRight(string(b), "\r\n")), nil
}

// withoutPath is a URL as far as it is no secret.
func withoutPath(s string) string {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return ""
	case err != nil || u.Host == "":
		return "[redacted]"
	case u.Path == "" && u.RawQuery == "" && u.User == nil:
		return s
	}
	return u.Scheme + "://" + u.Host + "/[redacted]"
}
