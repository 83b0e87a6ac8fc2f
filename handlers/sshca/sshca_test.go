package sshca_test

import (
	"context"
	"crypto"
	//lint:ignore SA1019 it is what is refused
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/handlers/sshca"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const event = "01KASE00000000000000000000"

// memory is a store that forgets at the end of the test.
type memory struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (m *memory) Put(_ context.Context, k string, v []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.m[k] = v
	return nil
}

func (m *memory) Get(_ context.Context, k string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.m[k]
	if !ok {
		return nil, errors.New("no such key")
	}
	return v, nil
}

func (m *memory) Delete(_ context.Context, k string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.m, k)
	return nil
}

// world is an authority, its store, and what the log says of its keys.
type world struct {
	*sshca.Authority
	store  *memory
	sealer *jose.Sealer
	active string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	kek, err := jose.NewKEK()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := jose.ParseKEK(kek)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: &memory{m: map[string][]byte{}}, sealer: sealer}
	w.Authority = w.of("default")
	if w.active, _, err = w.Generate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// of is the authority of an organisation on the same store, as another replica has it.
func (w *world) of(org domain.Name) *sshca.Authority {
	return sshca.New(w.store, w.sealer, org, func() (string, error) {
		if w.active == "" {
			return "", errors.New("no active key")
		}
		return w.active, nil
	})
}

func line(t testing.TB, public crypto.PublicKey) string {
	t.Helper()
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

func newKey(t testing.TB) (string, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return line(t, public), private
}

func certificate(t testing.TB) sshca.Certificate {
	public, _ := newKey(t)
	from, until := sshca.Window(noon, time.Time{})
	return sshca.Certificate{PublicKey: public, Username: "pamadmin1", KeyID: sshca.KeyID(event, "carol"), Serial: sshca.Serial(domain.Position{Sequence: 12, Index: 3}), From: from, Until: until}
}

func (w *world) sign(t testing.TB, c sshca.Certificate) *ssh.Certificate {
	t.Helper()
	text, err := w.Sign(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k.(*ssh.Certificate)
}

func TestACertificateSaysWhatItWasAskedForAndNothingElse(t *testing.T) {
	w := newWorld(t)
	c := certificate(t)
	got := w.sign(t, c)
	if got.CertType != ssh.UserCert || got.Serial != 12*256+3 || got.KeyId != event+" carol" || !slices.Equal(got.ValidPrincipals, []string{"pamadmin1"}) {
		t.Errorf("it is %+v", got)
	}
	if got.ValidAfter != uint64(noon.Unix()-30) || got.ValidBefore != uint64(noon.Unix()+300) {
		t.Errorf("it is good from %d to %d", got.ValidAfter, got.ValidBefore)
	}
	if len(got.CriticalOptions) != 0 || len(got.Extensions) != 0 {
		t.Errorf("it allows %v, %v", got.CriticalOptions, got.Extensions)
	}
	if ssh.FingerprintSHA256(got.SignatureKey) != w.active {
		t.Error("another key signed it")
	}
	c.PTY, c.SourceAddress = true, "::ffff:192.0.2.7"
	got = w.sign(t, c)
	if !maps.Equal(got.Extensions, map[string]string{"permit-pty": ""}) || !maps.Equal(got.CriticalOptions, map[string]string{"source-address": "192.0.2.7/32"}) {
		t.Errorf("it allows %v, %v", got.CriticalOptions, got.Extensions)
	}
}

func TestOpenSSHReadsACertificate(t *testing.T) {
	w := newWorld(t)
	c := certificate(t)
	c.PTY, c.SourceAddress = true, "2001:db8::7"
	text, err := w.Sign(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cert.pub")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-L", "-f", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{
		"ssh-ed25519-cert-v01@openssh.com user certificate", w.active, `Key ID: "` + event + ` carol"`, "Serial: 3075",
		"pamadmin1", "source-address 2001:db8::7/128", "permit-pty",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("ssh-keygen does not show %q:\n%s", want, out)
		}
	}
}

func TestNoCertificateSaysWhatNoneMay(t *testing.T) {
	w := newWorld(t)
	public, _ := newKey(t)
	for name, change := range map[string]func(*sshca.Certificate){
		"two users":                      func(c *sshca.Certificate) { c.Username = "root,x" },
		"no user, which would be all":    func(c *sshca.Certificate) { c.Username = "" },
		"a user and a line":              func(c *sshca.Certificate) { c.Username = "x\nroot" },
		"a line after a user":            func(c *sshca.Certificate) { c.Username = "root\n" },
		"a pattern of users":             func(c *sshca.Certificate) { c.Username = "*" },
		"a user with a space":            func(c *sshca.Certificate) { c.Username = "x root" },
		"a user with a host":             func(c *sshca.Certificate) { c.Username = "root@h" },
		"a user that is an option":       func(c *sshca.Certificate) { c.Username = "-oProxyCommand=x" },
		"a user of capitals":             func(c *sshca.Certificate) { c.Username = "Root" },
		"a user of 33 letters":           func(c *sshca.Certificate) { c.Username = strings.Repeat("a", 33) },
		"a user with a NUL":              func(c *sshca.Certificate) { c.Username = "root\x00" },
		"no key id":                      func(c *sshca.Certificate) { c.KeyID = "" },
		"a key id of anybody":            func(c *sshca.Certificate) { c.KeyID = "carol" },
		"a key id of two lines":          func(c *sshca.Certificate) { c.KeyID += "\nAccepted publickey for root" },
		"a key id that goes on":          func(c *sshca.Certificate) { c.KeyID += " (serial 1) CA ED25519" },
		"a key id without end":           func(c *sshca.Certificate) { c.KeyID += strings.Repeat("a", 300) },
		"a life of hours":                func(c *sshca.Certificate) { c.Until = c.From.Add(time.Hour) },
		"a life of a second more":        func(c *sshca.Certificate) { c.Until = c.Until.Add(time.Second) },
		"an end before its beginning":    func(c *sshca.Certificate) { c.Until = c.From },
		"a life from zero":               func(c *sshca.Certificate) { c.From, c.Until = time.Unix(0, 0), time.Unix(60, 0) },
		"no times":                       func(c *sshca.Certificate) { c.From, c.Until = time.Time{}, time.Time{} },
		"two sources":                    func(c *sshca.Certificate) { c.SourceAddress = "192.0.2.7,0.0.0.0/0" },
		"a source that is a network":     func(c *sshca.Certificate) { c.SourceAddress = "0.0.0.0/0" },
		"a source that is everywhere":    func(c *sshca.Certificate) { c.SourceAddress = "0.0.0.0" },
		"a source with a zone":           func(c *sshca.Certificate) { c.SourceAddress = "fe80::1%eth0" },
		"a source that is a name":        func(c *sshca.Certificate) { c.SourceAddress = "localhost" },
		"a source with leading zeros":    func(c *sshca.Certificate) { c.SourceAddress = "192.0.02.7" },
		"a key with options":             func(c *sshca.Certificate) { c.PublicKey = `command="x" ` + public },
		"a key that is a certificate":    func(c *sshca.Certificate) { c.PublicKey, _ = w.Sign(t.Context(), certificate(t)) },
		"a key that is two":              func(c *sshca.Certificate) { c.PublicKey = public + "\n" + public },
		"no key":                         func(c *sshca.Certificate) { c.PublicKey = "" },
		"the active key of the log gone": func(*sshca.Certificate) { w.active = "" },
	} {
		t.Run(name, func(t *testing.T) {
			was := w.active
			defer func() { w.active = was }()
			c := certificate(t)
			change(&c)
			if text, err := w.Sign(t.Context(), c); err == nil || text != "" {
				t.Errorf("it was signed: %s", text)
			}
		})
	}
}

func TestWhichPublicKeysGetACertificate(t *testing.T) {
	good := map[string]string{}
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		good[c.Params().Name] = line(t, k.Public())
	}
	public, private := newKey(t)
	good["ed25519"] = public
	good["RSA of 3072 bits"] = line(t, rsaOf(3072))
	good["sk-ed25519"] = "sk-ssh-ed25519@openssh.com " + blob("sk-ssh-ed25519@openssh.com", string(private.Public().(ed25519.PublicKey)), "ssh:")
	//lint:ignore SA1019 it is the wire form
	point := elliptic.Marshal(elliptic.P256(), elliptic.P256().Params().Gx, elliptic.P256().Params().Gy)
	good["sk-ecdsa"] = "sk-ecdsa-sha2-nistp256@openssh.com " + blob("sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", string(point), "ssh:")
	for name, text := range good {
		t.Run(name, func(t *testing.T) {
			for _, form := range []string{text, text + "\n", text + "\r\n", text + " carol@laptop", text + " a comment of words"} {
				canonical, fingerprint, err := sshca.ParsePublicKey(form)
				if err != nil || canonical != text || !strings.HasPrefix(fingerprint, "SHA256:") || len(fingerprint) != 50 {
					t.Errorf("%q is %q, %q, %v", form, canonical, fingerprint, err)
				}
			}
		})
	}
	one, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecdsaLine := line(t, one.Public())
	_, encoded, _ := strings.Cut(public, " ")
	certificateText, err := newWorld(t).Sign(t.Context(), certificate(t))
	if err != nil {
		t.Fatal(err)
	}
	q := rsaOf(3072)
	q.E = 3
	for name, text := range map[string]string{
		"nothing":                            "",
		"a kind alone":                       "ssh-ed25519",
		"RSA of 2048 bits":                   line(t, rsaOf(2048)),
		"RSA of 1024 bits":                   line(t, rsaOf(1024)),
		"RSA of 3071 bits":                   line(t, rsaOf(3071)),
		"RSA with an exponent of 3":          line(t, q),
		"DSA":                                line(t, dsaKey()),
		"a certificate":                      certificateText,
		"a certificate called a key":         "ssh-ed25519 " + strings.Fields(certificateText)[1],
		"options before it":                  `no-pty,command="id" ` + public,
		"principals before it":               `principals="root" ` + public,
		"cert-authority before it":           "cert-authority " + public,
		"a space before it":                  " " + public,
		"a tab between":                      strings.Replace(public, " ", "\t", 1),
		"two spaces between":                 strings.Replace(public, " ", "  ", 1),
		"two lines":                          public + "\n" + public,
		"a NUL in its comment":               public + " a\x00b",
		"an escape in its comment":           public + " \x1b[2J",
		"broken UTF-8 in its comment":        public + " \xff",
		"base64 of a URL":                    "ssh-ed25519 " + strings.NewReplacer("+", "-", "/", "_").Replace(encoded) + "-_",
		"no padding":                         "ssh-rsa " + strings.TrimRight(strings.Fields(line(t, rsaOf(3072)))[1], "=") + "A",
		"an ECDSA key called ed25519":        "ssh-ed25519 " + strings.Fields(ecdsaLine)[1],
		"base64 with bits left over":         leftover(t, ecdsaLine),
		"bytes after the key":                "ssh-ed25519 " + base64.StdEncoding.EncodeToString(append(decoded(t, public), 0)),
		"half of a key":                      "ssh-ed25519 " + base64.StdEncoding.EncodeToString(decoded(t, public)[:30]),
		"a point that is not on the curve":   "ecdsa-sha2-nistp256 " + blob("ecdsa-sha2-nistp256", "nistp256", "\x04"+strings.Repeat("\x01", 64)),
		"a private key":                      "-----BEGIN OPENSSH PRIVATE KEY-----",
		"a kind that nobody knows":           "ssh-ed448 " + encoded,
		"more than 8 KiB":                    public + " " + strings.Repeat("a", 8<<10),
		"a PEM public key":                   "---- BEGIN SSH2 PUBLIC KEY ----",
		"a sk key for another application":   "sk-ssh-ed25519@openssh.com " + blob("sk-ssh-ed25519@openssh.com", "short", "ssh:"),
		"RSA whose modulus has 40,000 bits":  "ssh-rsa " + blob("ssh-rsa", "\x01\x00\x01", "\x00"+strings.Repeat("\xff", 5000)),
		"RSA whose modulus is zero":          "ssh-rsa " + blob("ssh-rsa", "\x01\x00\x01", ""),
		"the key of another way to write it": "ssh-rsa " + blob("ssh-rsa", "\x00\x01\x00\x01", "\x00"+strings.Repeat("\xff", 384)),
	} {
		t.Run(name, func(t *testing.T) {
			canonical, fingerprint, err := sshca.ParsePublicKey(text)
			if !errors.Is(err, sshca.ErrPublicKey) || canonical+fingerprint != "" {
				t.Errorf("it is %q, %q, %v", canonical, fingerprint, err)
			}
		})
	}
}

// rsaOf is an RSA public key of that length. Nobody can sign with it.
func rsaOf(bits int) *rsa.PublicKey {
	n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
	return &rsa.PublicKey{N: n, E: 65537}
}

func dsaKey() *dsa.PublicKey {
	p := new(big.Int).SetBit(big.NewInt(1), 1023, 1)
	return &dsa.PublicKey{Parameters: dsa.Parameters{P: p, Q: new(big.Int).SetBit(big.NewInt(1), 159, 1), G: big.NewInt(2)}, Y: big.NewInt(4)}
}

// blob is the wire form of fields, in base64.
func blob(fields ...string) string {
	var b []byte
	for _, f := range fields {
		b = append(b, byte(len(f)>>24), byte(len(f)>>16), byte(len(f)>>8), byte(len(f)))
		b = append(b, f...)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// leftover is the same key with other bits where base64 has no room for a byte.
func leftover(t *testing.T, text string) string {
	t.Helper()
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	whole, padded := strings.CutSuffix(text, "=")
	if !padded || strings.HasSuffix(whole, "=") {
		t.Fatalf("%s does not end with one =", text)
	}
	last := strings.IndexByte(digits, whole[len(whole)-1])
	return whole[:len(whole)-1] + digits[last|1:(last|1)+1] + "="
}

func decoded(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(strings.Fields(text)[1])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAKeyIDStaysOneWordInTheLogOfSSHD(t *testing.T) {
	for subject, want := range map[string]string{
		"carol": event + " carol",
		"workload://default/gitlab-ci/project_path:a%2Fb": event + " workload://default/gitlab-ci/project_path:a%2Fb",
		"x (serial 0) CA ED25519 SHA256:abc":              event + " x%20%28serial%200%29%20CA%20ED25519%20SHA256:abc",
		"x\nAccepted publickey":                           event + " x%0AAccepted%20publickey",
		"\x1b[2J\"'$`\\é":                                 event + " %1B%5B2J%22%27%24%60%5C%C3%A9",
	} {
		if got := sshca.KeyID(event, subject); got != want {
			t.Errorf("%q is %q, want %q", subject, got, want)
		}
	}
	long := sshca.KeyID(event, strings.Repeat("ü", 500))
	if len(long) > 255 || !strings.HasSuffix(long, "%C3...") && !strings.HasSuffix(long, "%BC...") {
		t.Errorf("a long subject makes %q", long)
	}
	c := certificate(t)
	c.KeyID = long
	newWorld(t).sign(t, c)
}

func TestACertificateEndsWithWhatItRestsOn(t *testing.T) {
	for name, tt := range map[string]struct{ until, want time.Time }{
		"nothing ends":              {time.Time{}, noon.Add(5 * time.Minute)},
		"an approval ends later":    {noon.Add(time.Hour), noon.Add(5 * time.Minute)},
		"a checkout ends in 90.5 s": {noon.Add(90*time.Second + 500*time.Millisecond), noon.Add(90 * time.Second)},
	} {
		from, until := sshca.Window(noon.Add(0), tt.until)
		if !until.Equal(tt.want) || !from.Equal(noon.Add(-30*time.Second)) {
			t.Errorf("%s: from %s until %s", name, from, until)
		}
	}
}

func TestARotationBitesOnAnotherReplica(t *testing.T) {
	w := newWorld(t)
	other := w.of("default")
	sign := func(a *sshca.Authority) string {
		text, err := a.Sign(t.Context(), certificate(t))
		if err != nil {
			return ""
		}
		k, _, _, _, _ := ssh.ParseAuthorizedKey([]byte(text))
		return ssh.FingerprintSHA256(k.(*ssh.Certificate).SignatureKey)
	}
	old := w.active
	if sign(other) != old {
		t.Fatal("the other replica does not sign with the active key")
	}
	next, _, err := w.Generate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.active = next
	if err := w.Destroy(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if sign(other) != next || sign(w.Authority) != next {
		t.Error("the old key signs after a rotation")
	}
	other.Forget(old)
	if err := other.Load(t.Context(), old); err == nil || other.Loaded(old) {
		t.Error("a destroyed key opens")
	}
	w.active = old
	if sign(w.Authority) != "" || sign(other) != "" {
		t.Error("a destroyed key signs")
	}
}

func TestASealedKeyIsWorthNothingElsewhere(t *testing.T) {
	w := newWorld(t)
	if err := w.of("acme").Load(t.Context(), w.active); err == nil {
		t.Error("the key of one organisation opens for another")
	}
	next, _, err := w.Generate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, sealed := range w.store.m {
		names = append(names, name)
		if strings.ContainsAny(name, "+/:") {
			t.Errorf("no bucket has a key %q", name)
		}
		for _, secret := range []string{"PRIVATE", "ssh-ed25519"} {
			if strings.Contains(string(sealed), secret) {
				t.Errorf("%s shows %s", name, secret)
			}
		}
	}
	w.store.m[names[0]], w.store.m[names[1]] = w.store.m[names[1]], w.store.m[names[0]]
	fresh := w.of("default")
	for _, id := range []string{w.active, next} {
		if err := fresh.Load(t.Context(), id); err == nil {
			t.Error("a key opens under the name of another")
		}
	}
	if got := fmt.Sprintf("%v %+v %#v", w.Authority, w.Authority, w.Authority); strings.Count(got, "SSH authority of default") != 3 {
		t.Errorf("it prints %s", got)
	}
}
