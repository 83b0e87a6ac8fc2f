package token

import (
	"encoding/json"
	"strconv"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
)

// Holds tells whether a token of ours, its signature verified, holds at now:
// it is of this issuer, within its times, and its connection is active and has
// not revoked it since. A token of an inactive connection holds again once the
// connection is active; one of an earlier generation, or of a deleted
// connection, never does. The end is taken as it stands; the beginning allows
// [Skew], since another replica's clock may have written it.
func Holds(claims claim.Set, issuer string, find func(domain.Name) connection.State, now time.Time) bool {
	mark, _ := claims["sallyport"].(map[string]any)
	name, _ := mark["connection"].(string)
	generation, ok := number(mark["generation"])
	if !ok || generation < 0 || claims["iss"] != issuer {
		return false
	}
	from, ok1 := number(claims["nbf"])
	until, ok2 := number(claims["exp"])
	if !ok1 || !ok2 || now.Add(Skew).Unix() < from || now.Unix() >= until {
		return false
	}
	n, err := domain.ParseName(name)
	if err != nil {
		return false
	}
	c := find(n)
	return c.Status == connection.Active && c.Generation == uint64(generation)
}

func number(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	return i, err == nil
}
