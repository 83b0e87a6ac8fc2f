package notify_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sallyport.dev/domain"
	"sallyport.dev/domain/notification"
	"sallyport.dev/domain/person"
	"sallyport.dev/domain/request"
	"sallyport.dev/handlers/notify"
	"sallyport.dev/projections/control"
)

// letter is a message that a mail server took.
type letter struct {
	from, to string
	head     mail.Header
	text     string
	raw      []byte
	tls      bool
	user     string
}

// postOffice is a real SMTP server.
type postOffice struct {
	addr    string
	roots   *x509.CertPool
	mu      sync.Mutex
	letters []letter
	refuse  func(to string, nth int) error // nil: it takes everything
	asked   map[string]int
}

func newPostOffice(t *testing.T, withTLS bool) *postOffice {
	t.Helper()
	p := &postOffice{asked: map[string]int{}, roots: x509.NewCertPool()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{office: p, conn: c}, nil }))
	s.Domain, s.ErrorLog = "mail.example.com", quiet{}
	if withTLS {
		cert := httptest.NewTLSServer(nil) // for its certificate alone
		defer cert.Close()
		s.TLSConfig = &tls.Config{Certificates: cert.TLS.Certificates}
		p.roots.AddCert(cert.Certificate())
	}
	p.addr = l.Addr().String()
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return p
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

type session struct {
	office *postOffice
	conn   *smtp.Conn
	l      letter
}

func (s *session) Reset()                   { s.l.from, s.l.to = "", "" }
func (s *session) Logout() error            { return nil }
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "hush" {
			return errors.New("no")
		}
		s.l.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.l.from = from; return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	n := s.office.asked[to]
	s.office.asked[to]++
	if s.office.refuse != nil {
		if err := s.office.refuse(to, n); err != nil {
			return err
		}
	}
	s.l.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	body := m.Body
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	l := s.l
	l.head, l.raw, l.text = m.Header, raw, string(text)
	_, l.tls = s.conn.TLSConnectionState()
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	s.office.letters = append(s.office.letters, l)
	return nil
}

// took waits until it took n letters, and is what, by recipient.
func (p *postOffice) took(t *testing.T, n int) []letter {
	t.Helper()
	wait(t, fmt.Sprintf("the post office takes %d letters", n), func() bool { return len(p.all()) >= n })
	return p.all()
}

func (p *postOffice) all() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Clone(p.letters)
	slices.SortStableFunc(all, func(a, b letter) int { return strings.Compare(a.to, b.to) })
	return all
}

func (p *postOffice) mail() *notify.Mail {
	return &notify.Mail{Address: p.addr, From: "Sallyport <sallyport@example.com>", TLS: notify.NoTLS}
}

func TestEveryApproverHasAMessageOfTheirOwn(t *testing.T) {
	o, p := open(t), newPostOffice(t, true)
	to := p.mail()
	to.TLS, to.Roots, to.Username, to.Password = notify.StartTLS, p.roots, "me", domain.NewSecret("hush")
	o.notify(notify.Options{Mail: to})
	id := o.raise("alice", "the disk fills up")
	letters := p.took(t, 2)
	for i, want := range []string{"bob@example.com", "carol@example.com"} {
		l := letters[i]
		if l.to != want || l.from != "sallyport@example.com" || !l.tls || l.user != "me" {
			t.Errorf("letter from %s to %s, TLS %v, of user %q", l.from, l.to, l.tls, l.user)
		}
		if got := l.head.Get("To"); got != "<"+want+">" {
			t.Errorf("its To is %s: others would be named", got)
		}
		if got := l.head.Get("Subject"); got != "[default] alice asks for membership of group dba" {
			t.Errorf("its Subject is %q", got)
		}
		if got := l.head.Get("Content-Type"); !strings.HasPrefix(got, "text/plain") || l.head.Get("Auto-Submitted") != "auto-generated" || l.head.Get("Message-Id") == "" {
			t.Errorf("its header is %v", l.head)
		}
		for _, line := range []string{"Who: alice", "Why: the disk fills up", "Step: 1, first", "https://sallyport.example/console/orgs/default/requests/" + id, "sallyport request approve " + id} {
			if !strings.Contains(l.text, line) {
				t.Errorf("it does not say %q:\n%s", line, l.text)
			}
		}
	}
	wait(t, "the outcome is recorded", func() bool { return slices.Equal(o.outcomes(), []string{"begun", "sent"}) })
	for _, e := range o.Events() {
		if strings.HasPrefix(e.Type, "notification.") && strings.Contains(string(e.Data), "@") {
			t.Errorf("an address is recorded: %s", e.Data)
		}
	}
}

// Whatever a requester writes, no line of it becomes a header, a line of ours or a link of its own.
func TestWhatSomebodyWroteDoesNothingInAMail(t *testing.T) {
	o, p := open(t), newPostOffice(t, false)
	o.notify(notify.Options{Mail: p.mail()})
	o.raise("alice", "x\r\nBcc: mallory@example.com\r\n\r\n.\r\nMAIL FROM:<evil@example.com>\r\nWho: the boss\x1b[2J\u202e\x00")
	for _, l := range p.took(t, 2) {
		if l.head.Get("Bcc") != "" || strings.Contains(l.to, "mallory") || strings.Contains(l.from, "evil") {
			t.Errorf("a header was injected: %v", l.head)
		}
		if strings.Contains(l.text, "\nBcc") || strings.Contains(l.text, "\nWho: the boss") || strings.ContainsAny(l.text, "\x1b\x00\u202e") {
			t.Errorf("what was written moves the cursor:\n%q", l.text)
		}
		if !strings.Contains(l.text, `x\r\nBcc: mallory@example.com\r\n\r\n.\r\nMAIL FROM`) {
			t.Errorf("it does not show what was written:\n%s", l.text)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(l.head.Get("Subject"))
		if err != nil || strings.ContainsAny(subject, "\r\n") || strings.Contains(subject, "Bcc") {
			t.Errorf("its Subject is %q", subject)
		}
	}
	if got := len(p.all()); got != 2 {
		t.Errorf("%d letters were taken, want 2", got)
	}
}

// An address with more in it than an address, however it came into the log, gets no mail.
func TestAnAddressThatIsNoneIsWrittenToNobody(t *testing.T) {
	for _, address := range []string{"bob@example.com\r\nRCPT TO:<mallory@example.com>", "bob@example.com, mallory@example.com", "Bob <bob@example.com>\nBcc: x@example.com"} {
		one, err := notify.Compose(notify.Mail{Address: "127.0.0.1:25", From: "a@example.com", TLS: notify.NoTLS}, notify.Message{}, notify.Person{Name: "bob", Email: address})
		if err == nil {
			t.Errorf("%q: %v", address, one.GetToString())
		}
	}
}

func TestWithoutTLSNothingIsSaid(t *testing.T) {
	o, p := open(t), newPostOffice(t, false)
	to := p.mail()
	to.TLS = notify.StartTLS
	o.notify(notify.Options{Mail: to, Pauses: quick})
	o.raise("alice", "because")
	wait(t, "it is given up", func() bool { return slices.Equal(o.outcomes(), []string{"begun", "failed no_starttls"}) })
	if len(p.all()) != 0 {
		t.Error("it was sent in the clear")
	}
	if _, err := notify.New(notify.Options{Mail: &notify.Mail{Address: "mail.example.com:25", From: "a@example.com", TLS: notify.NoTLS}}, time.Now); err == nil {
		t.Error("a server elsewhere may be spoken to in the clear")
	}
}

func TestAMailServerNobodyVouchesForIsNotUsed(t *testing.T) {
	o, p := open(t), newPostOffice(t, true)
	to := p.mail()
	to.TLS = notify.StartTLS
	o.notify(notify.Options{Mail: to, Pauses: quick})
	o.raise("alice", "because")
	wait(t, "it is given up", func() bool { return slices.Equal(o.outcomes(), []string{"begun", "failed certificate"}) })
}

// Who has the message does not have it again because somebody else has not.
func TestOnlyWhoWasNotToldIsTriedAgain(t *testing.T) {
	o, p := open(t), newPostOffice(t, false)
	p.refuse = func(to string, nth int) error {
		if to == "bob@example.com" && nth < 2 {
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later, " + to}
		}
		return nil
	}
	o.notify(notify.Options{Mail: p.mail(), Pauses: quick})
	o.raise("alice", "because")
	wait(t, "the outcome is recorded", func() bool { return slices.Equal(o.outcomes(), []string{"begun", "sent"}) })
	if got := p.all(); len(got) != 2 || got[0].to != "bob@example.com" || got[1].to != "carol@example.com" {
		t.Errorf("taken were %d letters", len(got))
	}
	for _, e := range o.Events() {
		if s, ok := e.Event.(notification.WasSent); ok && s.Tries != 3 {
			t.Errorf("it took %d tries, want 3", s.Tries)
		}
	}
}

func TestAMailServerThatRefusesIsGivenUp(t *testing.T) {
	o, p := open(t), newPostOffice(t, false)
	p.refuse = func(string, int) error {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	o.notify(notify.Options{Mail: p.mail(), Pauses: quick})
	o.raise("alice", "because")
	wait(t, "it is given up", func() bool { return slices.Equal(o.outcomes(), []string{"begun", "failed smtp_550"}) })
}

func TestAWrongPasswordIsGivenUpAndShownNowhere(t *testing.T) {
	o, p := open(t), newPostOffice(t, true)
	to := p.mail()
	to.TLS, to.Roots, to.Username, to.Password = notify.StartTLS, p.roots, "me", domain.NewSecret("another")
	o.notify(notify.Options{Mail: to, Pauses: quick})
	o.raise("alice", "because")
	wait(t, "it is given up", func() bool {
		got := o.outcomes()
		return len(got) == 2 && strings.HasPrefix(got[1], "failed smtp_")
	})
	if s := fmt.Sprintf("%v %+v %#v", *to, *to, *to); strings.Contains(s, "another") {
		t.Errorf("the password is printed: %s", s)
	}
}

// Somebody without an address is told by others, or not at all, and holds nobody up.
func TestWhoHasNoAddressHasNoMail(t *testing.T) {
	o, p := open(t), newPostOffice(t, false)
	o.do(func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		bob, _ := s.Person("bob")
		return person.Decide(s.People(), person.Edit{Name: "bob", Version: bob.Version, Roles: bob.Roles}, m)
	})
	o.notify(notify.Options{Mail: p.mail()})
	o.raise("alice", "because")
	if l := p.took(t, 1)[0]; l.to != "carol@example.com" {
		t.Errorf("told is %s", l.to)
	}
	id := o.raise("carol", "me too") // bob alone may decide
	wait(t, "it is recorded", func() bool { return len(o.outcomes()) == 2 })
	o.answer("bob", id, request.Denied, "no")
	if got := p.took(t, 2); got[1].to != "carol@example.com" || !strings.Contains(got[1].head.Get("Subject"), "Denied") {
		t.Errorf("told is %v", got[1].head)
	}
}
