package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"

	// Linked in for crypto.SHA384 and crypto.SHA512.
	_ "crypto/sha512"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// algorithm is a signature algorithm we know (RFC 7518 section 3.1, RFC 8037,
// RFC 9864). HMAC and "none" are not among them.
type algorithm struct {
	kty, crv string // of the keys it takes; crv "" for RSA
	hash     crypto.Hash
	pss      bool
	jwx      jwa.SignatureAlgorithm
}

var algorithms = map[string]algorithm{
	"RS256":   {kty: "RSA", hash: crypto.SHA256, jwx: jwa.RS256},
	"RS384":   {kty: "RSA", hash: crypto.SHA384, jwx: jwa.RS384},
	"RS512":   {kty: "RSA", hash: crypto.SHA512, jwx: jwa.RS512},
	"PS256":   {kty: "RSA", hash: crypto.SHA256, jwx: jwa.PS256, pss: true},
	"PS384":   {kty: "RSA", hash: crypto.SHA384, jwx: jwa.PS384, pss: true},
	"PS512":   {kty: "RSA", hash: crypto.SHA512, jwx: jwa.PS512, pss: true},
	"ES256":   {kty: "EC", crv: "P-256", hash: crypto.SHA256, jwx: jwa.ES256},
	"ES384":   {kty: "EC", crv: "P-384", hash: crypto.SHA384, jwx: jwa.ES384},
	"ES512":   {kty: "EC", crv: "P-521", hash: crypto.SHA512, jwx: jwa.ES512},
	"EdDSA":   {kty: "OKP", crv: "Ed25519", jwx: jwa.EdDSA},
	"Ed25519": {kty: "OKP", crv: "Ed25519", jwx: jwa.EdDSA},
}

// fits tells whether keys of this type, curve and published alg are for the algorithm.
func (k Key) fits(alg string) bool {
	a, known := algorithms[alg]
	return known && a.kty == k.Type && a.crv == k.Curve && (k.Algorithm == "" || k.Algorithm == alg)
}

var errSignature = errors.New("the signature does not fit the key")

// verify checks a signature over input. The key must fit the algorithm.
func (a algorithm) verify(input string, signature []byte, public crypto.PublicKey) error {
	if a.pss {
		return a.verifyPSS(input, signature, public)
	}
	v, err := jws.NewVerifier(a.jwx)
	if err != nil {
		return fmt.Errorf("verifying %s: %w", a.jwx, err)
	}
	if k, ok := public.(ed25519.PublicKey); ok && len(k) != ed25519.PublicKeySize {
		return errSignature // ed25519.Verify panics
	}
	if err := v.Verify([]byte(input), signature, public); err != nil {
		return errSignature
	}
	return nil
}

// verifyPSS is not left to jwx: it lets the signature say how long the salt
// is, where RFC 7518 section 3.5 says that it is as long as the hash.
func (a algorithm) verifyPSS(input string, signature []byte, public crypto.PublicKey) error {
	k, ok := public.(*rsa.PublicKey)
	if !ok {
		return errSignature
	}
	h := a.hash.New()
	h.Write([]byte(input))
	opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash}
	if rsa.VerifyPSS(k, a.hash, h.Sum(nil), signature, opts) != nil {
		return errSignature
	}
	return nil
}

// sign signs input with a private key that fits the algorithm.
func (a algorithm) sign(input string, private crypto.Signer) ([]byte, error) {
	s, err := jws.NewSigner(a.jwx)
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", a.jwx, err)
	}
	sig, err := s.Sign([]byte(input), private)
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", a.jwx, err)
	}
	return sig, nil
}

// algorithmOf is the algorithm that a private key signs with where nobody says.
func algorithmOf(public crypto.PublicKey) string {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return "RS256"
	case *ecdsa.PublicKey:
		return map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[p.Curve.Params().Name]
	case ed25519.PublicKey:
		return "EdDSA"
	}
	return ""
}
