package organisation

import (
	"encoding/json"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/token"
	"sallyport.dev/handlers/jose"
	"sallyport.dev/projections/control"
)

// ReadToken reads a token of ours and tells whether it holds now: signed by one
// of this organisation's published keys, of this issuer, within its times, of a
// connection that is active and has not revoked it. It answers from the control
// state as this process has folded it, so the caller asks [Organisation.Fresh] first.
func (o *Organisation) ReadToken(compact string) (claim.Set, bool) {
	claims, err := jose.VerifyOwn(compact, func(kid string) (json.RawMessage, bool) {
		k, ok := o.findKey(kid)
		return k.PublicJWK, ok
	})
	if err != nil {
		return nil, false
	}
	now := o.Now()
	var holds bool
	o.control.Read(func(s *control.State, _ domain.Head) {
		holds = token.Holds(claims, o.issuer, func(name domain.Name) connection.State { return s.Connection(name) }, now)
	})
	return claims, holds
}

// OwnAudience tells whether a token was issued for us ourselves, and so may
// authenticate its workload here.
func (o *Organisation) OwnAudience(claims claim.Set) bool {
	aud, ok := claims["aud"].(string)
	return ok && aud == o.issuer
}
