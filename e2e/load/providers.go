package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"sallyport.dev/handlers/jose"
)

// providers are identity providers on one listener, each at a path of its own
// with a key id of its own. They share a few keys: making one takes longer than
// all that a load does with it.
type providers struct {
	url  string // https://127.0.0.1:port
	port int
	ca   string // PEM of the certificate they show
	keys []*jose.HostKey
	stop func()
}

const sharedKeys = 8

func startProviders() (*providers, error) {
	cert, ca, err := selfSigned()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &providers{url: "https://" + l.Addr().String(), port: l.Addr().(*net.TCPAddr).Port, ca: ca}
	for range sharedKeys {
		k, err := jose.NewHostKey("RS256")
		if err != nil {
			return nil, err
		}
		p.keys = append(p.keys, k)
	}
	s := &http.Server{
		Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
	}
	go s.ServeTLS(l, "", "") // until it is closed
	p.stop = func() { s.Close() }
	return p, nil
}

// issuer is the i-th provider.
func (p *providers) issuer(i int) string { return fmt.Sprintf("%s/idp/%d", p.url, i) }

// key is the i-th provider's, under a key id of its own.
func (p *providers) key(i int) *jose.HostKey {
	k := *p.keys[i%len(p.keys)]
	k.KeyID = "key-of-" + strconv.Itoa(i)
	return &k
}

// serve answers GET /idp/{i}/jwks.
func (p *providers) serve(w http.ResponseWriter, r *http.Request) {
	text, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/idp/"), "/jwks")
	i, err := strconv.Atoi(text)
	if !ok || err != nil || i < 0 {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Write(p.key(i).PublicJWKS())
}

// bodies signs n proofs of GitHub's shape ahead, spread over so many providers,
// and makes the form that exchanges each.
func (p *providers) bodies(ctx context.Context, n, spread int, audience string) ([]string, error) {
	out := make([]string, n)
	errs := make(chan error, runtime.GOMAXPROCS(0))
	var signing sync.WaitGroup
	for worker := range cap(errs) {
		signing.Go(func() {
			for i := worker; i < n && ctx.Err() == nil; i += cap(errs) {
				proof, err := p.key(i % spread).Sign(p.claims(i, i%spread, audience))
				if err != nil {
					errs <- err
					return
				}
				out[i] = url.Values{
					"grant_type":    {"urn:ietf:params:oauth:grant-type:token-exchange"},
					"subject_token": {proof}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
					"connection": {connectionName(i % spread).String()},
				}.Encode()
			}
		})
	}
	signing.Wait()
	close(errs)
	return out, <-errs
}

func (p *providers) claims(i, of int, audience string) map[string]any {
	now := time.Now()
	c := map[string]any{
		"iss": p.issuer(of), "aud": audience, "sub": subject, "jti": uuid(), "run_id": strconv.Itoa(27868968625 + i),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(2 * time.Hour).Unix(),
	}
	maps.Copy(c, githubClaims)
	return c
}

// githubClaims is the rest of a GitHub Actions token, so that a proof has a real one's size.
var githubClaims = map[string]any{
	"actor": "octocat", "actor_id": "798097", "base_ref": "", "check_run_id": "82477645421", "event_name": "push", "head_ref": "",
	"job_workflow_ref": "acme/app/.github/workflows/deploy.yml@refs/heads/main", "job_workflow_sha": "7929bf4465790ad6f6b9fb3a4f1195518f99b212",
	"ref": "refs/heads/main", "ref_protected": "false", "ref_type": "branch",
	"repository": "acme/app", "repository_id": "1274399613", "repository_owner": "acme", "repository_owner_id": "798097",
	"repository_visibility": "private", "run_attempt": "1", "run_number": "20",
	"runner_environment": "github-hosted", "sha": "7929bf4465790ad6f6b9fb3a4f1195518f99b212", "workflow": "Deploy",
	"workflow_ref": "acme/app/.github/workflows/deploy.yml@refs/heads/main", "workflow_sha": "7929bf4465790ad6f6b9fb3a4f1195518f99b212",
}

// selfSigned is a certificate for the loopback, and itself as PEM.
func selfSigned() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "load"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(ca), nil
}
