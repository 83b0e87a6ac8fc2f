package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"sallyport.dev/domain"
	"sallyport.dev/domain/notification"
)

// TLS says how the way to a mail server is protected.
type TLS string

const (
	StartTLS TLS = "starttls" // before anything is said; a server that cannot is not used
	Implicit TLS = "implicit" // from the first byte, as on port 465
	NoTLS    TLS = "none"     // on the loopback alone
)

// Mail is the mail server that takes our messages.
type Mail struct {
	Address  string // host:port
	From     string // such as Sallyport <sallyport@example.com>
	Username string // "" does not sign in
	Password domain.Secret
	TLS      TLS            // "" is StartTLS
	Roots    *x509.CertPool // that may sign the server's certificate; nil: the system's
}

// mailTimeout is how long one try may take, for all recipients of a message together.
const mailTimeout = 30 * time.Second

// mailer sends notices, one message to each person.
type mailer struct {
	to   Mail
	host string
	port int
}

func newMailer(to Mail) (*mailer, error) {
	host, portText, err := net.SplitHostPort(to.Address)
	if err != nil {
		return nil, fmt.Errorf("the mail server %q is no address such as mail.example.com:587", to.Address)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("the mail server %q has no port", to.Address)
	}
	if to.TLS == NoTLS && !loopback(host) {
		return nil, fmt.Errorf("the mail server %q is not on the loopback, and so needs TLS", to.Address)
	}
	m := &mailer{to: to, host: host, port: port}
	_, err = m.client()
	return m, err
}

// client is for one try, which takes at most mailTimeout.
func (m *mailer) client() (*mail.Client, error) {
	trust := &tls.Config{ServerName: m.host, MinVersion: tls.VersionTLS12, RootCAs: m.to.Roots}
	opts := []mail.Option{
		mail.WithPort(m.port), mail.WithTimeout(mailTimeout), mail.WithoutNoop(), mail.WithTLSConfig(trust),
	}
	switch m.to.TLS {
	case Implicit:
		opts = append(opts, mail.WithSSL())
	case NoTLS:
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	default:
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.to.Username != "" {
		opts = append(opts, mail.WithUsername(m.to.Username), mail.WithPassword(m.to.Password.Reveal()), mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover))
	}
	client, err := mail.NewClient(m.host, opts...)
	if err != nil {
		return nil, fmt.Errorf("the mail server: %w", err)
	}
	return client, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (m *mailer) name() notification.Channel { return notification.Email }

// reaches is who has an address.
func (m *mailer) reaches(people []Person) (to []Person, somebody bool) {
	for _, p := range people {
		if p.Email != "" {
			to = append(to, p)
		}
	}
	return to, len(to) > 0
}

// send gives the mail server a message for each person, on one connection, and
// says who was told also if others were not.
func (m *mailer) send(ctx context.Context, msg Message) (told []domain.Name, err error) {
	ctx, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	var all []*mail.Msg
	var to []domain.Name
	var bad error
	for _, p := range msg.To {
		one, err := m.compose(msg, p)
		if err != nil {
			bad = problem{reason: "recipient_invalid", cause: fmt.Errorf("the address of %s cannot be written to", p.Name)}
			continue
		}
		all, to = append(all, one), append(to, p.Name)
	}
	if len(all) == 0 {
		return nil, bad
	}
	client, err := m.client()
	if err != nil {
		return nil, err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return nil, mailProblem(err)
	}
	hangUp := context.AfterFunc(ctx, func() { session.Close() })
	err = client.SendWithSMTPClient(session, all...)
	if hangUp() {
		_ = client.CloseWithSMTPClient(session) // what is delivered is delivered
	}
	for i, one := range all {
		if one.IsDelivered() {
			told = append(told, to[i])
		}
	}
	switch {
	case len(told) == len(all): // whatever the server said to our farewell
		return told, bad
	case ctx.Err() != nil:
		return told, problem{reason: "timeout"}
	}
	return told, mailProblem(err)
}

// mailProblem is why the server did not take a message. What it says may quote
// the address of a person, and is told to nobody.
func mailProblem(err error) error {
	var refused *mail.SendError
	var network net.Error
	switch {
	case errors.As(err, &refused) && refused.ErrorCode() != 0:
		return problem{reason: "smtp_" + strconv.Itoa(refused.ErrorCode())}
	case errors.As(err, &network) && network.Timeout():
		return problem{reason: "timeout"}
	case strings.Contains(err.Error(), "STARTTLS"):
		return problem{reason: "no_starttls"}
	case isTLS(err):
		return problem{reason: "certificate", cause: err}
	case strings.Contains(err.Error(), "AUTH"), strings.Contains(err.Error(), "auth"):
		return problem{reason: "smtp_auth"}
	}
	return problem{reason: "unreachable"}
}

func isTLS(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}

// compose is the message for one person: text alone, with nothing in its header
// that somebody wrote.
func (m *mailer) compose(msg Message, p Person) (*mail.Msg, error) {
	one := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := one.From(m.to.From); err != nil {
		return nil, err
	}
	if err := one.To(p.Email); err != nil {
		return nil, err
	}
	one.Subject("[" + msg.Data.Org.String() + "] " + shortened(visible(msg.Title), maxSubject))
	one.SetDateWithValue(msg.At)
	one.SetMessageIDWithValue(strings.ToLower(msg.ID) + "." + p.Name.String() + "@" + m.host)
	one.SetGenHeader("Auto-Submitted", "auto-generated")
	one.SetBodyString(mail.TypeTextPlain, text(msg, p))
	return one, nil
}

// maxSubject bounds what a mail's subject says, in bytes.
const maxSubject = 200

// text is a message as mail.
func text(msg Message, p Person) string {
	var b strings.Builder
	line := func(s string) { b.WriteString(s + "\r\n") }
	line(visible(msg.Title))
	line("")
	for _, f := range msg.facts() {
		line(f.name + ": " + f.value)
	}
	if msg.Data.Link != "" {
		line("")
		line(msg.Data.Link)
	}
	if msg.Data.Command != "" {
		line("")
		line("Or, in a terminal:")
		line("  " + msg.Data.Command)
	}
	line("")
	line("Sallyport sent this to " + p.Name.String() + ". Nothing is decided by reading or answering it.")
	return b.String()
}
