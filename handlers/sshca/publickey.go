package sshca

import (
	"crypto/rsa"
	"encoding/base64"
	"strings"

	"golang.org/x/crypto/ssh"

	"sallyport.dev/domain"
)

// MaxPublicKey bounds a public key as sent, in bytes.
const MaxPublicKey = 8 << 10

// minRSA is the shortest RSA key that gets a certificate, in bits, and maxRSA the
// longest: OpenSSH takes none beyond it.
const minRSA, maxRSA = 3072, 16384

// ErrPublicKey means that a public key is not one that gets a certificate; its
// message says why.
var ErrPublicKey = &domain.Error{Kind: domain.KindInvalid, Code: "ssh.public_key",
	Message: "The public key is one line as ssh-keygen writes it: ssh-ed25519, ecdsa-sha2-nistp256/384/521, ssh-rsa of 3072 bits or more, or one of a security key (sk-)."}

// kinds are the keys that get a certificate, by the name on their line.
var kinds = map[string]bool{
	ssh.KeyAlgoED25519: true, ssh.KeyAlgoECDSA256: true, ssh.KeyAlgoECDSA384: true, ssh.KeyAlgoECDSA521: true,
	ssh.KeyAlgoRSA: true, ssh.KeyAlgoSKED25519: true, ssh.KeyAlgoSKECDSA256: true,
}

// ParsePublicKey reads one line of authorized_keys form and answers with the key
// in its one canonical form, without the comment, and its fingerprint. Options
// before the key, a certificate, a second line, a weak or unknown kind and any
// other way to write the same key are refused with [ErrPublicKey].
func ParsePublicKey(text string) (canonical, fingerprint string, err error) {
	k, err := parseKey(text)
	if err != nil {
		return "", "", err
	}
	return marshal(k), ssh.FingerprintSHA256(k), nil
}

func parseKey(text string) (ssh.PublicKey, error) {
	if len(text) > MaxPublicKey {
		return nil, ErrPublicKey.With("The public key has more than %d bytes.", MaxPublicKey)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		return nil, ErrPublicKey.With("The public key is not one line of text.")
	}
	kind, rest, _ := strings.Cut(line, " ")
	if !kinds[kind] {
		return nil, ErrPublicKey
	}
	encoded, _, _ := strings.Cut(rest, " ") // what follows is a comment
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, ErrPublicKey.With("The public key is not in base64.")
	}
	k, err := ssh.ParsePublicKey(blob)
	if err != nil || k.Type() != kind || string(k.Marshal()) != string(blob) {
		return nil, ErrPublicKey.With("What is in the public key is not an %s key.", kind)
	}
	return k, strong(k)
}

// strong tells why a key that was read is too weak.
func strong(k ssh.PublicKey) error {
	if k.Type() != ssh.KeyAlgoRSA {
		return nil
	}
	c, ok := k.(ssh.CryptoPublicKey)
	if !ok {
		return ErrPublicKey
	}
	pub, ok := c.CryptoPublicKey().(*rsa.PublicKey)
	if !ok {
		return ErrPublicKey
	}
	if bits := pub.N.BitLen(); bits < minRSA || bits > maxRSA || pub.E < 65537 {
		return ErrPublicKey.With("An RSA key has %d to %d bits and an exponent of 65537 or more. This one has %d bits and the exponent %d; make another with ssh-keygen -t ed25519.", minRSA, maxRSA, bits, pub.E)
	}
	return nil
}
