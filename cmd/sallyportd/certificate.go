package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lookEvery is how often the certificate's files are looked at.
const lookEvery = 10 * time.Second

// certificate is the one we show, and its files. It is safe for concurrent use.
type certificate struct {
	files TLSConfig
	log   *slog.Logger
	shown atomic.Pointer[tls.Certificate]

	mu        sync.Mutex // one reads the files at a time
	cert, key []byte     // as last read, whether they fit or not
}

// openCertificate reads the pair; one that does not fit is an error.
func openCertificate(files TLSConfig, log *slog.Logger) (*certificate, error) {
	c := &certificate{files: files, log: log}
	if _, err := c.reload(false); err != nil {
		return nil, fmt.Errorf("reading tls.cert_file and tls.key_file: %w", err)
	}
	return c, nil
}

// config is TLS 1.2 and newer, with Go's own choice of ciphers, and HTTP/2.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.shown.Load(), nil },
	}
}

// reload shows what the files hold now. If they do not fit, the old pair stays:
// a renewal that is half done must not end a server that works. Files that are
// as they were when last read are not looked at again, unless forced.
func (c *certificate) reload(force bool) (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cert, certErr := os.ReadFile(c.files.CertFile)
	key, keyErr := os.ReadFile(c.files.KeyFile)
	if err := errors.Join(certErr, keyErr); err != nil {
		if !force && c.cert == nil && c.shown.Load() != nil {
			return false, nil // told before
		}
		c.cert, c.key = nil, nil
		return false, err
	}
	if !force && bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return false, nil
	}
	c.cert, c.key = cert, key
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, err
	}
	c.shown.Store(&pair)
	return true, nil
}

// leaf is the certificate that is shown.
func (c *certificate) leaf() *x509.Certificate { return c.shown.Load().Leaf }

// follow reads the files again when they change, and at each hangup, until ctx ends.
func (c *certificate) follow(ctx context.Context, hangup <-chan os.Signal, n *notifier) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		force := false
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-hangup:
			force = true
			n.reloading()
		}
		changed, err := c.reload(force)
		switch {
		case err != nil:
			c.log.Error("the certificate was not replaced: the old one stays", "error", err, "cert_file", c.files.CertFile, "expires", c.leaf().NotAfter)
		case changed:
			c.log.Info("the certificate was read again", "cert_file", c.files.CertFile, "expires", c.leaf().NotAfter)
		}
		if force {
			n.ready()
		}
	}
}
