package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Key is one public key, parsed once. The zero value is no key.
type Key struct {
	ID        string           // kid
	Type      string           // kty: RSA, EC or OKP
	Curve     string           // crv: P-256, P-384, P-521 or Ed25519; "" for RSA
	Use       string           // use, as published: sig or nothing
	Algorithm string           // alg, as published; "" where the provider names none
	Public    crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// curves are the elliptic curves we know, with the octets of a coordinate (RFC 7518 section 6.2.1).
var curves = map[string]struct {
	curve elliptic.Curve
	size  int
}{
	"P-256": {elliptic.P256(), 32},
	"P-384": {elliptic.P384(), 48},
	"P-521": {elliptic.P521(), 66},
}

// parseKey reads the public members of a JWK (RFC 7518 section 6, RFC 8037).
// Its error says why the key is not used.
func parseKey(kid string, m map[string]any) (Key, error) {
	k := Key{ID: kid, Type: stringMember(m, "kty"), Use: stringMember(m, "use")}
	if alg, there := m["alg"]; there {
		if k.Algorithm, _ = alg.(string); k.Algorithm == "" {
			return Key{}, errors.New("its alg is not a string")
		}
	}
	var err error
	switch k.Type {
	case "RSA":
		k.Public, err = parseRSA(m)
	case "EC":
		k.Curve = stringMember(m, "crv")
		k.Public, err = parseEC(k.Curve, m)
	case "OKP":
		k.Curve = stringMember(m, "crv")
		k.Public, err = parseOKP(k.Curve, m)
	default:
		err = errors.New("its kty is unknown")
	}
	if err != nil {
		return Key{}, err
	}
	return k, nil
}

func member(m map[string]any, name string) ([]byte, error) {
	b, r := decodePart(stringMember(m, name))
	if r != nil || len(b) == 0 {
		return nil, fmt.Errorf("its %s is not canonical base64url", name)
	}
	return b, nil
}

// parseRSA takes keys of 2048 to 8192 bits with an odd exponent of 3 to
// 2^31-1: below they can be broken, above they cost us time.
func parseRSA(m map[string]any) (*rsa.PublicKey, error) {
	n, err1 := member(m, "n")
	e, err2 := member(m, "e")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch bits := modulus.BitLen(); {
	case bits < 2048 || bits > 8192:
		return nil, errors.New("its RSA modulus is not of 2048 to 8192 bits")
	case modulus.Bit(0) == 0:
		return nil, errors.New("its RSA modulus is even")
	case exponent.BitLen() > 31 || exponent.Bit(0) == 0 || exponent.Cmp(big.NewInt(3)) < 0:
		return nil, errors.New("its RSA exponent is not odd and from 3 to 2147483647")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func parseEC(crv string, m map[string]any) (*ecdsa.PublicKey, error) {
	c, known := curves[crv]
	if !known {
		return nil, errors.New("its crv is unknown")
	}
	x, err1 := member(m, "x")
	y, err2 := member(m, "y")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if len(x) != c.size || len(y) != c.size {
		return nil, errors.New("its coordinates are not as long as its curve's")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(c.curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, errors.New("its point is not on its curve")
	}
	return public, nil
}

func parseOKP(crv string, m map[string]any) (ed25519.PublicKey, error) {
	if crv != "Ed25519" {
		return nil, errors.New("its crv is unknown")
	}
	x, err := member(m, "x")
	if err != nil {
		return nil, err
	}
	if len(x) != ed25519.PublicKeySize {
		return nil, errors.New("its x is not of 32 bytes")
	}
	return ed25519.PublicKey(x), nil
}

// ParseKey reads one public JWK. A private one is refused.
func ParseKey(jwk []byte) (Key, error) {
	m, err := DecodeObject(jwk, keySetLimits)
	if err != nil {
		return Key{}, fmt.Errorf("reading a JWK: %w", err)
	}
	if secret(m) {
		return Key{}, errors.New("reading a JWK: it is not public")
	}
	k, err := parseKey(stringMember(m, "kid"), m)
	if err != nil {
		return Key{}, fmt.Errorf("reading a JWK: %w", err)
	}
	return k, nil
}

// newKey names a public key of our own by its thumbprint.
func newKey(public crypto.PublicKey, alg string) (Key, error) {
	k := Key{Use: "sig", Algorithm: alg, Public: public}
	switch p := public.(type) {
	case *rsa.PublicKey:
		k.Type = "RSA"
	case *ecdsa.PublicKey:
		k.Type, k.Curve = "EC", p.Curve.Params().Name
	case ed25519.PublicKey:
		k.Type, k.Curve = "OKP", "Ed25519"
	default:
		return Key{}, fmt.Errorf("naming a key: %T is not supported", public)
	}
	if !k.fits(alg) {
		return Key{}, fmt.Errorf("naming a key: a key of type %s is not for %s", k.Type, alg)
	}
	k.ID = k.Thumbprint()
	return k, nil
}

// parts are the members that make the key what it is, in the order of RFC 7638 section 3.2.
func (k Key) material() [][2]string {
	switch p := k.Public.(type) {
	case *rsa.PublicKey:
		e := big.NewInt(int64(p.E)).Bytes()
		return [][2]string{{"e", b64(e)}, {"kty", "RSA"}, {"n", b64(p.N.Bytes())}}
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		if err != nil {
			return nil // no key of ours: parsing and making keys both give points on their curve
		}
		half := (len(point) - 1) / 2
		return [][2]string{{"crv", k.Curve}, {"kty", "EC"}, {"x", b64(point[1 : 1+half])}, {"y", b64(point[1+half:])}}
	case ed25519.PublicKey:
		return [][2]string{{"crv", "Ed25519"}, {"kty", "OKP"}, {"x", b64(p)}}
	}
	return nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Thumbprint is the RFC 7638 thumbprint with SHA-256, in base64url.
func (k Key) Thumbprint() string {
	var members []string
	for _, m := range k.material() {
		members = append(members, `"`+m[0]+`":"`+m[1]+`"`) // base64url and names of ours: nothing to escape
	}
	sum := sha256.Sum256([]byte("{" + strings.Join(members, ",") + "}"))
	return b64(sum[:])
}

// JWK is the key as a JWK with its public members alone.
func (k Key) JWK() json.RawMessage {
	jwk := struct {
		KeyID     string `json:"kid"`
		Type      string `json:"kty"`
		Use       string `json:"use,omitempty"`
		Algorithm string `json:"alg,omitempty"`
		N         string `json:"n,omitempty"`
		E         string `json:"e,omitempty"`
		Curve     string `json:"crv,omitempty"`
		X         string `json:"x,omitempty"`
		Y         string `json:"y,omitempty"`
	}{KeyID: k.ID, Type: k.Type, Use: k.Use, Algorithm: k.Algorithm, Curve: k.Curve}
	for _, m := range k.material() {
		switch m[0] {
		case "n":
			jwk.N = m[1]
		case "e":
			jwk.E = m[1]
		case "x":
			jwk.X = m[1]
		case "y":
			jwk.Y = m[1]
		}
	}
	b, err := json.Marshal(jwk)
	if err != nil {
		return nil // a struct of strings always marshals
	}
	return b
}
