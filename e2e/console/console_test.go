// Package console has people use the console in a real browser, against real
// servers: each kind's main journey, every screen in light and dark looked at by
// axe, and what strangers write shown as text.
package console

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/e2e/ports"
	"sallyport.dev/e2e/program"
	"sallyport.dev/handlers/console"
)

func TestMain(m *testing.M) { program.Main(m) }

// patience bounds one file of journeys.
const patience = 10 * time.Minute

// servers is how many servers of its own a file may start beside the one that it is given.
const servers = 2

// TestJourneys runs the files *.test.mjs, which say what is done and seen, each
// against a server of its own.
func TestJourneys(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real browser; go test without -short")
	}
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatal("the browser's driver is not installed; scripts/setup installs it")
	}
	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no journeys: %v", err)
	}
	pictures, screens, pair := screenshots(t), screens(t), certificate(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".test.mjs"), func(t *testing.T) {
			t.Parallel()
			s := program.Dev(t, "--listen", "localhost:0") // browsers have passkeys for names alone
			about := map[string]any{
				"base_url": s.BaseURL, "issuer": s.Issuer, "tokens": s.Tokens, "provider": s.Provider,
				"programs": program.Build(t), "screens": screens, "screenshots": pictures, "certificate": pair, "ports": ports.Take(t, servers),
			}
			if withPast[file] {
				about["past"] = past(t, about["ports"].([]int)[0])
			}
			world, err := json.Marshal(about)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "--test", "--test-reporter=spec", file)
			cmd.Env = append(os.Environ(), "SALLYPORT_CONSOLE="+string(world))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

// screens is the address of every page that people open, such as
// /connections/:name, as the console itself serves them.
func screens(t *testing.T) (all []string) {
	t.Helper()
	c, err := console.New(console.Options{BaseURL: "http://localhost"})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	c.Mount(e)
	for _, r := range e.Routes() {
		path, below := strings.CutPrefix(r.Path, "/console/orgs/:org/")
		if r.Method == http.MethodGet && below && !strings.HasSuffix(r.Name, ".back-fm") { // what leads from an action to its screen
			all = append(all, "/"+path)
		}
	}
	if len(all) < 50 {
		t.Fatalf("the console serves %d screens, so this looks in the wrong place", len(all))
	}
	return all
}

// certificate makes a pair for this machine, which is its own authority, and gives
// its files: ca, cert and key.
func certificate(t *testing.T) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"ca": cert, "cert": cert, "key": keyFile}
}

// screenshots is where pictures of every screen go, those of this run alone: bin is
// in no commit.
func screenshots(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../bin/screenshots")
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
