package api

import (
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/token"
	"sallyport.dev/projections/control"
)

// readWorkload tells whose token of ours that is, or refuses with 401. One that
// was issued for another audience opens nothing here: whoever it is shown to
// could show it to us.
func readWorkload(t Tenant, bearer string) (claim.Set, domain.Actor, error) {
	claims, holds := t.ReadToken(bearer)
	sub, _ := claims["sub"].(string)
	if !holds || sub == "" || !t.OwnAudience(claims) {
		return nil, domain.Actor{}, errUnauthenticated
	}
	return claims, domain.Actor{ID: sub}, nil
}

// Workload is the claims of the caller's own token, if the caller is a workload.
func (c *Call) Workload() (claim.Set, bool) { return c.claims, c.claims != nil }

// Subject is who asks, as [access.Resolve] takes it, by the state: a person with
// the groups they are in, or a workload with the roles that it bears; of those
// the given one alone, unless that is "".
func (c *Call) Subject(s *control.State, role domain.Name) access.Subject {
	now := s.Later(c.tenant.Now())
	if c.claims != nil {
		return s.WorkloadSubject(c.claims, role, now)
	}
	return s.ProvedSubject(c.Meta.Actor, c.caller.MFAAt(), now)
}

// Still refuses who would not be let in any more by the state at now. What must
// not be done once a token is revoked asks it inside its decision: [Write] has
// asked before, on the state as it was then.
func (c *Call) Still(s *control.State, now time.Time) error {
	if c.claims == nil {
		a, err := c.caller.Actor(s, now)
		if err != nil {
			return err
		}
		return mayPass(a, c.roles)
	}
	issuer, _ := c.claims["iss"].(string) // ours, by its signature
	if !token.Holds(c.claims, issuer, func(n domain.Name) connection.State { return s.Connection(n) }, now) {
		return errUnauthenticated
	}
	return nil
}
