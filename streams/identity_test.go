package streams_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"sallyport.dev/domain"
	"sallyport.dev/streams"
	"sallyport.dev/streams/streamstest"
)

// authority signs certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
	file string // its own certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key))
	a.cert = must[*x509.Certificate](t)(x509.ParseCertificate(der))
	a.file = a.write(t, "ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(t *testing.T, name, typ string, der []byte) string {
	t.Helper()
	path := filepath.Join(a.dir, name)
	ok(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600))
	return path
}

// pair is a certificate of that name for the loopback, and its key, in files.
func (a *authority) pair(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key))
	secret := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(private))
	return a.write(t, name+".pem", "CERTIFICATE", der), a.write(t, name+".key", "PRIVATE KEY", secret)
}

// secured is a NATS server that takes TLS with a certificate of ours alone, and
// the user of one key.
func secured(t *testing.T, a *authority, user string, first bool) (url string) {
	t.Helper()
	certFile, keyFile := a.pair(t, "nats")
	cert := must[tls.Certificate](t)(tls.LoadX509KeyPair(certFile, keyFile))
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	s := must[*server.Server](t)(server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert},
		TLSTimeout:        30, // seconds; a busy machine needs some
		TLSHandshakeFirst: first,
		Nkeys:             []*server.NkeyUser{{Nkey: user}},
	}))
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(60 * time.Second) {
		t.Fatal("the NATS server did not start")
	}
	return "tls://127.0.0.1:" + strconv.Itoa(s.Addr().(*net.TCPAddr).Port)
}

// user is a user's key: its public half, its seed, and a file with the seed.
func user(t *testing.T) (public string, seed domain.Secret, file string) {
	t.Helper()
	pair := must[nkeys.KeyPair](t)(nkeys.CreateUser())
	b := must[[]byte](t)(pair.Seed())
	file = filepath.Join(t.TempDir(), "user.nk")
	ok(t, os.WriteFile(file, append(b, '\n'), 0o600))
	return must[string](t)(pair.PublicKey()), domain.NewSecret(string(b)), file
}

func TestAClusterWithTLSAndNkeysLetsInWhoHasBoth(t *testing.T) {
	a := newAuthority(t)
	public, seed, file := user(t)
	_, strange, strangeFile := user(t)
	certFile, keyFile := a.pair(t, "sallyport")
	whole := streams.DialOptions{CACertFile: a.file, CertFile: certFile, KeyFile: keyFile, NkeySeedFile: file}
	for _, first := range []bool{false, true} {
		url := secured(t, a, public, first)
		for _, tt := range []struct {
			name    string
			change  func(*streams.DialOptions)
			refused bool
		}{
			{name: "with the seed in a file", change: func(*streams.DialOptions) {}},
			{name: "with the seed itself", change: func(o *streams.DialOptions) { o.NkeySeedFile, o.NkeySeed = "", seed }},
			{name: "without a certificate", change: func(o *streams.DialOptions) { o.CertFile, o.KeyFile = "", "" }, refused: true},
			{name: "without the authority", change: func(o *streams.DialOptions) { o.CACertFile = "" }, refused: true},
			{name: "without a seed", change: func(o *streams.DialOptions) { o.NkeySeedFile = "" }, refused: true},
			{name: "with a stranger's seed", change: func(o *streams.DialOptions) { o.NkeySeedFile = strangeFile }, refused: true},
			{name: "with a stranger's seed itself", change: func(o *streams.DialOptions) { o.NkeySeedFile, o.NkeySeed = "", strange }, refused: true},
			{name: "with a seed that is none", change: func(o *streams.DialOptions) { o.NkeySeedFile, o.NkeySeed = "", domain.NewSecret("SUNOSEED") }, refused: true},
		} {
			t.Run(tt.name, func(t *testing.T) {
				o := whole
				o.URL, o.TLSFirst = url, first
				tt.change(&o)
				c, err := streams.Dial(t.Context(), o)
				if err == nil {
					defer c.Close()
				}
				if (err != nil) != tt.refused {
					t.Fatalf("TLS first %t: got %v", first, err)
				}
				if err != nil && (strings.Contains(err.Error(), seed.Reveal()) || strings.Contains(err.Error(), "SUNOSEED")) {
					t.Errorf("the error quotes the seed: %v", err)
				}
				if err == nil {
					_, err := streams.Open(withTimeout(t), c, streams.Options{Org: streamstest.Org, Source: streamstest.Source, Codec: toys{}})
					ok(t, err)
				}
			})
		}
	}
}
