package api

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/person"
	"sallyport.dev/projections/control"
)

// Tenant is what the edge needs of an organisation to know who asks.
type Tenant interface {
	// Fresh returns nil if the state is at most a second behind the log.
	Fresh(context.Context) error
	Read(func(*control.State, domain.Head))
	WaitFor(context.Context, domain.Position) error
	Now() time.Time
	// ReadToken reads a token that we issued to a workload, and tells whether it
	// holds now; OwnAudience whether it was issued for ourselves.
	ReadToken(compact string) (claim.Set, bool)
	OwnAudience(claim.Set) bool
	// KeyedHash is a hash of text that only the organisation can make, in hex.
	KeyedHash(text string) string
}

// bearerForm is b64token of RFC 6750 section 2.1; headers are bounded by [MaxHeader].
var bearerForm = regexp.MustCompile(`\A[A-Za-z0-9._~+/-]+=*\z`)

// Bearer is the bearer token of the Authorization header, and whether there is
// exactly one that has the form of one. Tokens anywhere else, such as in the
// query, where logs would keep them, are not looked for.
func Bearer(r *http.Request) (string, bool) {
	all := r.Header.Values("Authorization")
	if len(all) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(all[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || !bearerForm.MatchString(token) {
		return "", false
	}
	return token, true
}

// Person tells whom an API token speaks for now. It answers from the state as
// folded here, so the caller asks Fresh first.
func Person(t interface {
	Read(func(*control.State, domain.Head))
	Now() time.Time
}, bearer string) (domain.Actor, bool) {
	a, err := speaksFor(t, person.HashToken(bearer), t.Now())
	return a, err == nil
}

// speaksFor is whom the API token of that hash speaks for, or why it speaks for nobody.
func speaksFor(t interface {
	Read(func(*control.State, domain.Head))
}, hash string, now time.Time) (a domain.Actor, err error) {
	t.Read(func(s *control.State, _ domain.Head) { a, err = s.Authenticate(hash, now) })
	return a, err
}

// authenticate finds out who asks, or refuses with 401. A state that may be
// stale authenticates nobody: a token revoked elsewhere must not open anything.
func authenticate(t Tenant, ec echo.Context) (*Call, error) {
	c := &Call{Echo: ec, tenant: t}
	var known bool
	if c.caller, known = callerIn(ec.Request().Context()); !known {
		if c.bearer, known = Bearer(ec.Request()); !known {
			return nil, errUnauthenticated
		}
		c.hash = person.HashToken(c.bearer)
	}
	if err := t.Fresh(ec.Request().Context()); err != nil {
		return nil, err
	}
	c.Meta = domain.Meta{Now: t.Now(), RequestID: RequestID(ec)}
	return c, c.identify()
}

// identify finds out for whom the bearer token speaks now. A person's API token
// is opaque and has no dot; what has the form of a JWT can only be a workload's.
func (c *Call) identify() (err error) {
	if strings.Contains(c.bearer, ".") {
		c.claims, c.Meta.Actor, err = readWorkload(c.tenant, c.bearer)
		return err
	}
	if c.hash != "" {
		c.caller = &tokenCaller{hash: c.hash}
	}
	c.Meta.Actor, err = c.person()
	return err
}

// authorizeAgain refuses who may no longer do what they asked for: the body may
// have taken its time, and a token that was revoked meanwhile changes nothing any more.
func (c *Call) authorizeAgain() error {
	if err := c.tenant.Fresh(c.Context()); err != nil {
		return err
	}
	if err := c.identify(); err != nil {
		return err
	}
	return c.mayPass()
}

// mayPass refuses who may not use the route.
func (c *Call) mayPass() error {
	if c.claims == nil {
		if err := mayPass(c.Meta.Actor, c.roles); err != nil {
			return err
		}
		if t, ok := c.caller.(*tokenCaller); ok && c.proved && t.stale(c.tenant.Now()) {
			return errStale
		}
		return nil
	}
	if !c.workloads {
		return errPeopleOnly
	}
	return nil
}

// MetaOn is Meta with the roles that the caller bears on that state, or why they
// may not use the route any more. A write that is decided with it is never that
// of somebody whose role, membership or token ended before it in the log.
func (c *Call) MetaOn(s *control.State) (m domain.Meta, err error) {
	m = c.Meta
	if c.claims != nil {
		return m, c.Still(s, c.tenant.Now())
	}
	if m.Actor, err = c.caller.Actor(s, c.tenant.Now()); err != nil {
		return m, err
	}
	return m, mayPass(m.Actor, c.roles)
}

// TokenHash is what the log knows of the caller's API token; "" where they are
// known by other means.
func (c *Call) TokenHash() string { return c.hash }

// StillHolds tells whether the caller's token would still be let in to a route
// for these roles. Answers that last ask it now and then.
func (c *Call) StillHolds(roles []domain.Role) bool {
	if c.tenant.Fresh(c.Context()) != nil {
		return false
	}
	if c.caller == nil {
		return false // a workload
	}
	a, err := c.person()
	return err == nil && mayPass(a, roles) == nil
}

// mayPass refuses who has none of the roles, and says which would do.
func mayPass(a domain.Actor, roles []domain.Role) error {
	if slices.ContainsFunc(roles, a.Has) {
		return nil
	}
	return &domain.Error{Kind: domain.KindForbidden, Code: "role.missing",
		Message: "This needs the role " + list(roles) + "; your token has " + orNone(list(a.Roles)) + "."}
}

func list(roles []domain.Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
	return strings.Join(names, "")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
