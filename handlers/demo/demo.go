// Package demo is the identity provider of `sallyportd dev`: its own issuer and
// keys, a mint that signs whatever it is asked to, so that the main job can be
// tried on real claim sets without an account anywhere, and a sign-in by OpenID
// Connect for the console, which asks no more than who one would like to be.
//
// It is for the loopback alone, and says no to requests that a web page of
// another site could have sent. Its claim sets are those of real tokens, the
// real iss included: a connection for one of them in dev names the demo's
// jwks_url as its key source and leaves the conditions of the preset as they are.
package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sallyport.dev/handlers/jose"
)

// algorithms lists what the demo provider signs with; the first is its default.
var algorithms = []string{"RS256", "ES256"}

// Provider is a demo identity provider. It is safe for concurrent use.
type Provider struct {
	issuer string
	now    func() time.Time
	keys   map[string]*jose.HostKey // by algorithm; never changed

	directory *directory // nil: it signs nobody in
}

// Open gives the provider at issuer (http://127.0.0.1:8421, without a slash at
// the end) the keys kept in dir, which are made when it is opened first.
func Open(dir, issuer string, now func() time.Time) (*Provider, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the demo provider's keys: %w", err)
	}
	p := &Provider{issuer: issuer, now: now, keys: map[string]*jose.HostKey{}}
	for _, alg := range algorithms {
		k, err := openKey(filepath.Join(dir, alg+".pem"), alg)
		if err != nil {
			return nil, fmt.Errorf("opening the demo provider's %s key: %w", alg, err)
		}
		p.keys[alg] = k
	}
	return p, nil
}

func openKey(path, alg string) (*jose.HostKey, error) {
	pem, err := os.ReadFile(path)
	if err == nil {
		return jose.ParseHostKey(pem)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	k, err := jose.NewHostKey(alg)
	if err != nil {
		return nil, err
	}
	if pem, err = k.PrivatePEM(); err != nil {
		return nil, err
	}
	return k, os.WriteFile(path, pem, 0o600)
}

// Issuer is the provider's iss.
func (p *Provider) Issuer() string { return p.issuer }

// JWKSURL is where its keys are.
func (p *Provider) JWKSURL() string { return p.issuer + "/jwks" }

// MintURL is where it signs what it is asked to.
func (p *Provider) MintURL() string { return p.issuer + "/mint" }
