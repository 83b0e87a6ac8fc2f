package token

import (
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
)

// Claims are the claims of our token (RFC 9068), in the order in which they
// are signed. What a source chose is only ever the value or the member of a
// map below Sallyport.Claims: no name of a source can become a claim of ours.
type Claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"` // workload://{org}/{connection}/{identity}
	Audience  string   `json:"aud"`
	IssuedAt  int64    `json:"iat"` // seconds since 1970, as all times
	NotBefore int64    `json:"nbf"`
	ExpiresAt int64    `json:"exp"`
	ID        string   `json:"jti"`
	ClientID  string   `json:"client_id"` // workload://{org}/{connection}
	CID       string   `json:"cid"`       // the same, as seed systems call it
	Scope     string   `json:"scope"`     // no scopes can be configured yet: ""
	SCP       []string `json:"scp"`       // the same as a list
	Sallyport Workmark `json:"sallyport"`
}

// Workmark is what Sallyport says of the workload beyond the registered claims.
type Workmark struct {
	Connection domain.Name `json:"connection"`
	Generation uint64      `json:"generation"` // dead once the connection's is higher
	Identity   string      `json:"identity"`
	RoleHint   string      `json:"role_hint"`
	// Claims are the source's, without the registered ones. For another
	// audience only the paths that the connection lists, under the path's text.
	Claims map[string]any `json:"claims"`
}

// registered tells whether a claim is one of RFC 7519's, which our token says for itself.
func registered(name string) bool {
	switch name {
	case "iss", "sub", "aud", "exp", "nbf", "iat", "jti":
		return true
	}
	return false
}

// carried is what of the source's claims goes into a token: all but the
// registered ones for ourselves, otherwise only the paths listed.
func carried(s claim.Set, own bool, paths []string) map[string]any {
	rest := make(claim.Set, len(s))
	for name, v := range s {
		if !registered(name) {
			rest[name] = v
		}
	}
	if own {
		return rest
	}
	out := map[string]any{}
	for _, p := range paths {
		if v, ok := claim.Path(p).Lookup(rest); ok {
			out[p] = v
		}
	}
	return out
}

// lifetime is when a token decided at now begins and ends, in whole seconds as ttl is. A
// ttl within the proof ends no later than the proof; it may then be nothing.
func lifetime(now time.Time, ttl time.Duration, within bool, proofEnds time.Time) (from, until time.Time) {
	from = now.UTC().Truncate(time.Second)
	until = from.Add(ttl)
	if end := whole(proofEnds); within && end.Before(until) {
		until = end
	}
	return from, until
}
