package jose

import (
	"encoding/json"
	"errors"
	"fmt"

	"sallyport.dev/domain/claim"
)

// OwnType is the typ of the tokens that Sallyport signs (RFC 9068). No proof
// may have it.
const OwnType = "at+jwt"

// VerifyOwn reads a token that one of the organisation's keys signed: its
// strict form, its typ, its algorithm and its signature. find answers with
// the public JWK of a key of the organisation, and with nothing for any other
// kid: so a token of another organisation is refused. The claims' meaning,
// times among them, is the caller's to judge.
func VerifyOwn(compact string, find func(kid string) (public json.RawMessage, ok bool)) (claim.Set, error) {
	c, err := parseOwn(compact)
	if err != nil {
		return nil, fmt.Errorf("reading a token of ours: %w", err)
	}
	public, ok := find(c.Header.KeyID)
	if !ok {
		return nil, errors.New("reading a token of ours: its key is not ours")
	}
	k, err := ParseKey(public)
	switch {
	case err != nil:
		return nil, err
	case k.Algorithm == "" || !k.fits(c.Header.Algorithm):
		return nil, errors.New("reading a token of ours: its alg is not its key's")
	}
	if err := algorithms[k.Algorithm].verify(c.input, c.signature, k.Public); err != nil {
		return nil, fmt.Errorf("reading a token of ours: %w", err)
	}
	return c.Claims, nil
}

// parseOwn is parse for our own tokens: another typ, and room for the claims
// of the proof, which stand two levels down in ours.
func parseOwn(s string) (Compact, error) {
	p, r := split(s)
	if r != nil {
		return Compact{}, r
	}
	h, r := decodeObject(p.header, headerLimits, "header")
	if r != nil {
		return Compact{}, r
	}
	header, r := readHeader(h)
	if r != nil {
		return Compact{}, r
	}
	if header.Type != OwnType {
		return Compact{}, refuse("typ_not_allowed", "its typ is not "+OwnType)
	}
	claims, r := decodeObject(p.claims, ownLimits, "claims")
	if r != nil {
		return Compact{}, r
	}
	return Compact{Header: header, Claims: claims, input: p.input, signature: p.signature}, nil
}
