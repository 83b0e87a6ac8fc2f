package sshca

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"sallyport.dev/domain"
)

const (
	// Lifetime is how long a certificate is good for, from the moment of its grant.
	Lifetime = 5 * time.Minute
	// Backdated is how long before its grant a certificate begins, for servers whose clock is behind.
	Backdated = 30 * time.Second
)

// Certificate is what a user certificate is to say. The zero value of PTY and
// SourceAddress leaves them out; everything else is required.
type Certificate struct {
	PublicKey     string    // as ParsePublicKey takes it
	Username      string    // its one principal, but for Server
	Server        string    // "" or the one server that it is for: the principal is then SERVER/USERNAME
	KeyID         string    // what sshd logs; see KeyID
	Serial        uint64    // see Serial
	From, Until   time.Time // at most Lifetime and Backdated apart; cut to seconds
	SourceAddress string    // an IP address from which alone it is good, or "" for any
	PTY           bool      // a terminal may be asked for
}

// Window is when a certificate that is granted at now begins and ends. It ends
// earlier if what it rests on does; a zero until is no such end.
func Window(now, until time.Time) (from, to time.Time) {
	from, to = now.Add(-Backdated), now.Add(Lifetime)
	if !until.IsZero() && until.Before(to) {
		to = until
	}
	return from.UTC().Truncate(time.Second), to.UTC().Truncate(time.Second)
}

// Serial numbers the certificate that the event at that place in the log grants.
func Serial(p domain.Position) uint64 { return p.Sequence*256 + uint64(p.Index) }

// maxKeyID bounds a key id, in bytes: sshd logs it with each use.
const maxKeyID = 255

// KeyID is "<event> <subject>", which sshd writes into its log: the id of the
// event that grants, and who was granted, of whom whatever could pass for another
// part of a line of that log is percent-encoded, and the rest cut off where it is long.
func KeyID(event, subject string) string {
	var b strings.Builder
	b.WriteString(event + " ")
	for i := range len(subject) {
		piece := subject[i : i+1]
		if !strings.Contains(plain, piece) {
			piece = fmt.Sprintf("%%%02X", subject[i])
		}
		if b.Len()+len(piece) > maxKeyID-len("...") {
			return b.String() + "..."
		}
		b.WriteString(piece)
	}
	return b.String()
}

// plain is what stands for itself in a key id. A space is the one before the subject.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-:/@+%="

var (
	// usernames is what may be a principal: nothing that a list of principals or
	// a line of AuthorizedPrincipalsFile gives a meaning.
	usernames = regexp.MustCompile(`\A[a-z_][a-z0-9_-]{0,31}\z`)
	// serverNames is what may stand before a user in a principal.
	serverNames = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z`)
	keyIDs      = regexp.MustCompile(`\A[0-9A-HJKMNP-TV-Z]{26} [A-Za-z0-9._~:/@+%=-]+\z`)
)

// Principal tells whether a user of that name can be a certificate's principal.
// One whose name cannot is told before anything is granted.
func Principal(username string) bool { return usernames.MatchString(username) }

// check tells why no certificate of ours may say that.
func (c Certificate) check() error {
	switch {
	case !usernames.MatchString(c.Username):
		return fmt.Errorf("%q is not one user's name", c.Username)
	case c.Server != "" && !serverNames.MatchString(c.Server):
		return fmt.Errorf("%q is not one server's name", c.Server)
	case len(c.KeyID) > maxKeyID || !keyIDs.MatchString(c.KeyID):
		return fmt.Errorf("%q is not a key id", c.KeyID)
	case c.From.Unix() <= 0 || !c.Until.After(c.From) || c.Until.Sub(c.From) > Lifetime+Backdated:
		return fmt.Errorf("it would hold from %s to %s", c.From.UTC().Format(time.RFC3339), c.Until.UTC().Format(time.RFC3339))
	}
	return nil
}

// principal is the one that the certificate has.
func (c Certificate) principal() string {
	if c.Server == "" {
		return c.Username
	}
	return c.Server + "/" + c.Username
}

// SourceAddress is an IP address as source-address wants it: an IPv4 address
// that came as IPv6 is IPv4 again, and one with a zone is none.
func SourceAddress(text string) (string, error) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" || a.IsUnspecified() {
		return "", fmt.Errorf("%q is not an IP address that a certificate can be bound to", text)
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()).String(), nil
}

// Sign signs a user certificate with the key that is active now, and answers in
// authorized_keys form (one line, ssh-ed25519-cert-v01@openssh.com AAAA...). The
// caller has recorded the grant before it asks, and hands nothing out if this fails.
func (a *Authority) Sign(ctx context.Context, c Certificate) (string, error) {
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("signing an SSH certificate for %.40q: %w", c.Username, err)
	}
	if err := c.check(); err != nil {
		return fail(err)
	}
	key, err := parseKey(c.PublicKey)
	if err != nil {
		return fail(err)
	}
	cert := &ssh.Certificate{
		Key: key, Serial: c.Serial, CertType: ssh.UserCert, KeyId: c.KeyID, ValidPrincipals: []string{c.principal()},
		ValidAfter: uint64(c.From.Unix()), ValidBefore: uint64(c.Until.Unix()),
		Permissions: ssh.Permissions{CriticalOptions: map[string]string{}, Extensions: map[string]string{}},
	}
	if c.SourceAddress != "" {
		if cert.CriticalOptions["source-address"], err = SourceAddress(c.SourceAddress); err != nil {
			return fail(err)
		}
	}
	if c.PTY {
		cert.Extensions["permit-pty"] = ""
	}
	signer, err := a.active(ctx)
	if err != nil {
		return fail(err)
	}
	if err := cert.SignCert(rand.Reader, signer); err != nil {
		return fail(err)
	}
	return marshal(cert), nil
}

// active is the signer that the log says is active. A rotation may take the key
// away between finding and opening it: then the next one is.
func (a *Authority) active(ctx context.Context) (ssh.Signer, error) {
	var failed error
	for range 2 {
		fingerprint, err := a.keys()
		if err != nil {
			return nil, err
		}
		s, err := a.open(ctx, fingerprint)
		if err == nil {
			return s, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}
