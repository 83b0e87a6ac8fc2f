// Package sshca is the SSH authority of one organisation: it keeps the private
// halves of its keys, sealed, and signs user certificates that OpenSSH enforces.
//
// It decides nothing: who may have a certificate, for whom and how long is
// decided in domain/access and recorded before [Authority.Sign] is asked. It
// refuses all the same what no certificate of ours may say.
package sshca

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/jose"
)

// Keys is what the log says of the authority's keys, asked anew each time: the
// fingerprint of the one that signs now, or an error where there is none.
type Keys func() (active string, err error)

// Authority signs certificates with the active key of one organisation. A
// private key is sealed before it is stored and never leaves it, nor does it
// print. Safe for concurrent use.
type Authority struct {
	store  jose.Store
	sealer *jose.Sealer
	org    domain.Name
	keys   Keys

	mu     sync.RWMutex
	opened map[string]ssh.Signer // by fingerprint; guarded by mu
}

// New opens no key yet: [Authority.Load] and [Authority.Sign] do.
func New(store jose.Store, sealer *jose.Sealer, org domain.Name, keys Keys) *Authority {
	return &Authority{store: store, sealer: sealer, org: org, keys: keys, opened: map[string]ssh.Signer{}}
}

func (a *Authority) String() string       { return "SSH authority of " + a.org.String() }
func (a *Authority) GoString() string     { return a.String() }
func (a *Authority) LogValue() slog.Value { return slog.StringValue(a.String()) }

// Generate makes an ed25519 key and answers with its fingerprint and its public
// half in authorized_keys form, once the private half is sealed and stored. It
// signs nothing until the log says that it is active.
func (a *Authority) Generate(ctx context.Context) (fingerprint, public string, err error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("making a key of the SSH authority: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return "", "", fmt.Errorf("making a key of the SSH authority: %w", err)
	}
	fingerprint = ssh.FingerprintSHA256(signer.PublicKey())
	sealed, err := a.sealer.Seal(private.Seed(), a.owner(fingerprint))
	if err != nil {
		return "", "", err
	}
	if err := a.store.Put(ctx, storeName(fingerprint), sealed); err != nil {
		return "", "", fmt.Errorf("storing key %s of the SSH authority: %w", fingerprint, err)
	}
	a.remember(fingerprint, signer)
	return fingerprint, marshal(signer.PublicKey()), nil
}

// Load opens a sealed key. Once it is known, nothing is read again.
func (a *Authority) Load(ctx context.Context, fingerprint string) error {
	_, err := a.open(ctx, fingerprint)
	return err
}

// Loaded tells whether the private half is in memory.
func (a *Authority) Loaded(fingerprint string) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	_, ok := a.opened[fingerprint]
	return ok
}

// Forget drops an opened key from memory: another process has destroyed it, or will.
func (a *Authority) Forget(fingerprint string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.opened, fingerprint)
}

// Destroy deletes a sealed key and forgets it: nothing is signed with it again,
// here or after a restart.
func (a *Authority) Destroy(ctx context.Context, fingerprint string) error {
	a.Forget(fingerprint)
	if err := a.store.Delete(ctx, storeName(fingerprint)); err != nil {
		return fmt.Errorf("destroying key %s of the SSH authority: %w", fingerprint, err)
	}
	return nil
}

func (a *Authority) remember(fingerprint string, s ssh.Signer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opened[fingerprint] = s
}

// open is the signer of a key, unsealed if it is not in memory, and made sure of
// that it is the one it is stored as.
func (a *Authority) open(ctx context.Context, fingerprint string) (ssh.Signer, error) {
	a.mu.RLock()
	s, ok := a.opened[fingerprint]
	a.mu.RUnlock()
	if ok {
		return s, nil
	}
	sealed, err := a.store.Get(ctx, storeName(fingerprint))
	if err != nil {
		return nil, fmt.Errorf("reading key %s of the SSH authority: %w", fingerprint, err)
	}
	seed, err := a.sealer.Open(sealed, a.owner(fingerprint))
	if err != nil {
		return nil, fmt.Errorf("opening key %s of the SSH authority: %w", fingerprint, err)
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("opening key %s of the SSH authority: what was sealed is not a key", fingerprint)
	}
	if s, err = ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed)); err != nil {
		return nil, fmt.Errorf("opening key %s of the SSH authority: %w", fingerprint, err)
	}
	if ssh.FingerprintSHA256(s.PublicKey()) != fingerprint {
		return nil, fmt.Errorf("opening key %s of the SSH authority: %w", fingerprint, errAnother)
	}
	a.remember(fingerprint, s)
	return s, nil
}

var errAnother = errors.New("it is another key than its name says")

// owner is the associated data: a sealed key is worth nothing under another
// organisation or another fingerprint, or as a key that signs tokens.
func (a *Authority) owner(fingerprint string) string {
	return a.org.String() + "/ssh-ca/" + fingerprint
}

// storeName is where a sealed key lies: a fingerprint's base64 has characters
// that names in a bucket have not.
func storeName(fingerprint string) string {
	hash := strings.TrimPrefix(fingerprint, "SHA256:")
	if raw, err := base64.RawStdEncoding.DecodeString(hash); err == nil {
		hash = base64.RawURLEncoding.EncodeToString(raw)
	}
	return "ssh-ca." + hash
}

// marshal is a public key in authorized_keys form, without a comment and a line end.
func marshal(k ssh.PublicKey) string {
	return strings.TrimRight(string(ssh.MarshalAuthorizedKey(k)), "\n")
}
