package key

import (
	"bytes"
	"encoding/json"
)

// jwk is every member a public signing key may have. Private members (d, p, q
// and the rest) are unknown to it and so refused: what is in the log stays there.
type jwk struct {
	KeyType   string `json:"kty"`
	KeyID     string `json:"kid"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg"`
	N         string `json:"n,omitempty"`
	E         string `json:"e,omitempty"`
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
}

// publicJWK is the JWK (RFC 7517) in our own bytes, or the reason it is not
// the public half of a key of that algorithm and id.
func publicJWK(raw json.RawMessage, a Algorithm, kid string) (json.RawMessage, error) {
	var k jwk
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&k); err != nil || d.More() {
		return nil, ErrMalformed.With("The public key is not a JWK with public members only.")
	}
	rsa := k.KeyType == "RSA" && k.N != "" && k.E != "" && k.Curve+k.X+k.Y == ""
	ec := k.KeyType == "EC" && k.Curve == "P-256" && k.X != "" && k.Y != "" && k.N+k.E == ""
	switch {
	case kid == "" || k.KeyID != kid:
		return nil, ErrMalformed.With("The public key's kid is %q, not %q.", k.KeyID, kid)
	case k.Algorithm != string(a) || k.Use != "" && k.Use != "sig":
		return nil, ErrMalformed.With("The public key is for alg %q use %q, not for signing with %s.", k.Algorithm, k.Use, a)
	case a == RS256 && rsa, a == ES256 && ec:
		return json.Marshal(k)
	}
	return nil, ErrMalformed.With("The public key's members are not those of an %s key.", a)
}
