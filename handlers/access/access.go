// Package access serves /v1/access: what the caller can reach, how, with what
// still to be met, and the doors themselves. It decides nothing: [access.Resolve]
// does, on the control state, and what opens a door is recorded before it opens.
package access

import (
	"net/http"
	"slices"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
)

// Options of [New]. The zero value is what a server has.
type Options struct {
	// PerSecond is how often one subject may do what writes an event, 10 if it is
	// zero; three times as often at once.
	PerSecond int
}

// Access serves one organisation.
type Access struct {
	org *organisation.Organisation
	// asks bounds what one subject has written into the log: a loop must not fill the disk.
	asks  *limit.Limiter
	polls *limit.Limiter // how often one request is asked about
}

// subjects is how many subjects are told apart by the limiter.
const subjects = 20_000

// New serves o.
func New(o *organisation.Organisation, opt Options) *Access {
	if opt.PerSecond == 0 {
		opt.PerSecond = 10
	}
	h := &Access{org: o, asks: limit.New(float64(opt.PerSecond), 3*opt.PerSecond, subjects), polls: newPolls()}
	h.asks.Share(o.Replicas)
	return h
}

// Denied counts what was refused because one subject asked too often.
func (h *Access) Denied() uint64 { return h.asks.Denied() }

var (
	// everybody is every person of the organisation.
	everybody = domain.Roles()
	// readers may read what there is, and who does what with it.
	readers = []domain.Role{domain.Owner, domain.DevOpsAdmin, domain.SecurityAdmin, domain.ResourceAdmin, domain.Auditor}
)

// reads tells whether the caller may read what there is.
func reads(c *api.Call) bool { return slices.ContainsFunc(readers, c.Meta.Actor.Has) }

// Routes is everything that /v1/access has, and what of secrets people and
// workloads do by policy.
func (h *Access) Routes() []api.Route {
	return slices.Concat(h.doorRoutes(), h.requestRoutes(), h.secretRoutes(), h.simulateRoutes())
}

func (h *Access) doorRoutes() []api.Route {
	const get, post = http.MethodGet, http.MethodPost
	return []api.Route{
		{Method: get, Path: "/access/resources", Roles: everybody, Workloads: true, Query: []string{"kind", "role"}, Serve: api.Read(h.resources)},
		{Method: post, Path: "/access/resolve", Roles: everybody, Workloads: true, Serve: api.Write(waited, checkResolve, h.resolve)},
		{Method: post, Path: "/access/grants", Roles: everybody, Workloads: true, Serve: api.Write(waited, checkGrant, h.grant)},

		{Method: get, Path: "/access/checkouts", Roles: everybody, Serve: api.Read(h.checkouts)},
		{Method: post, Path: "/access/checkouts", Roles: everybody, Serve: api.Write(nil, checkTake, h.take)},
		{Method: post, Path: "/access/checkouts/release", Roles: everybody, Serve: api.Write(nil, checkRelease, h.release)},

		{Method: get, Path: "/access/break-glass", Roles: everybody, Serve: api.Read(h.glasses)},
		{Method: post, Path: "/access/break-glass", Roles: everybody, Serve: api.Write(nil, checkBreak, h.breakGlass)},
		{Method: post, Path: "/access/break-glass/:id/review", Roles: everybody, Serve: api.Write(nil, nil, h.review)},
	}
}

// waited has what the caller wants to be seen folded first, as of reads: what
// was approved, or written, on another replica just now.
func waited(c *api.Call) error { return c.WaitForMinPosition() }

// view is what is decided on, at one place in the log.
type view struct {
	world   access.World
	subject access.Subject
	now     time.Time
}

// view is what a call is decided on by the state. It may be used only as long as that.
func (h *Access) view(c *api.Call, s *control.State, role domain.Name) view {
	return view{world: s.World(), subject: c.Subject(s, role), now: s.Later(h.org.Now())}
}

// still is the view, or the refusal of who would not be let in any more.
func (h *Access) still(c *api.Call, s *control.State, role domain.Name) (view, error) {
	v := h.view(c, s, role)
	return v, c.Still(s, v.now)
}

// resolve is what the subject may do with what the reference names; ok is false
// where there is nothing of that name, which by itself nobody is to learn.
func (v view) resolve(ref resource.Ref) (r resource.Resource, a access.Answer, ok bool) {
	return access.ResolveRef(v.world, v.subject, ref, v.now)
}

// command gives a command about checkouts or broken glass, made of the view that
// it is decided on. changed tells whether anything was to be done.
func (h *Access) command(c *api.Call, make func(view) access.Command) (at domain.Position, changed bool, err error) {
	at, err = h.org.Execute(c.Context(), c.Meta, func(s *control.State) ([]domain.Fact, error) {
		v, err := h.still(c, s, "")
		if err != nil {
			return nil, err
		}
		m, err := c.MetaOn(s)
		if err != nil {
			return nil, err
		}
		m.Now = v.now
		facts, err := access.Decide(s.Access(), make(v), m)
		changed = len(facts) > 0
		return facts, err
	})
	return at, changed, err
}

// parseRef reads the reference of a resource in a body.
func parseRef(text string, ref *resource.Ref) (broken []domain.FieldError) {
	var err error
	if *ref, err = resource.ParseRef(text); err != nil {
		return []domain.FieldError{{Pointer: "/resource", Code: "resource.invalid",
			Detail: "resource is server/NAME or secret/PATH, such as server/web-1 or secret/payments/db/password"}}
	}
	return nil
}

// maxMethod bounds the id of an access method, in bytes.
const maxMethod = 400

func checkMethod(id string) []domain.FieldError {
	if id == "" || len(id) > maxMethod {
		return []domain.FieldError{{Pointer: "/method", Code: "field.required", Detail: "method is the id of an access method, as resolve answers it"}}
	}
	return nil
}

// parseName reads a name in a body that may be left out.
func parseName(pointer, text string, name *domain.Name) (broken []domain.FieldError) {
	if text == "" {
		return nil
	}
	var err error
	if *name, err = domain.ParseName(text); err != nil {
		return []domain.FieldError{{Pointer: pointer, Code: "name.invalid", Detail: err.Error()}}
	}
	return nil
}

// errRole is answered to people who say which workload role they ask as.
var errRole = domain.ErrFields([]domain.FieldError{{Pointer: "/role", Code: "role.of_workload", Detail: "role is a workload's to choose: people leave it out"}})

// source is the network that the call came from, as events tell it.
func source(c *api.Call) string { return limit.Source(c.Echo.RealIP()) }
