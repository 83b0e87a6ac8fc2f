package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
)

// Handler answers a call.
type Handler func(*Call) error

// Route is one line of a table of routes. There is no route without roles:
// what every person of the organisation may do says so. It is for people, unless
// it says that workloads may use it.
type Route struct {
	Method string // HEAD comes with GET
	Path   string // below the group; at most one parameter a segment, such as /connections/:name
	Roles  []domain.Role
	// Workloads lets a workload in, too, by its own token: one of ours, issued for
	// ourselves. It bears none of Roles.
	Workloads bool
	// Proved says that it gives power, or takes a safeguard away: a person who came
	// in by sallyport login did so within [person.LoginProves]. The console asks
	// in its own way; tokens that were made on the host are of machines.
	Proved bool
	// Secret says that the body has a value of a secret. The log keeps of a
	// request with an Idempotency-Key what it is known again by: a keyed hash
	// then, which nobody can try values against.
	Secret bool
	Query  []string // parameters it takes; reads take min_position besides
	Serve  Handler
}

// Mount serves the routes in g, for the people of one organisation.
// Whatever else is asked below g is authenticated too, so that a stranger learns
// nothing about what there is: then 405 where the path has another method, else 404.
func Mount(g *echo.Group, t Tenant, routes []Route) {
	for _, r := range routes {
		if len(r.Roles) == 0 {
			panic("route " + r.Method + " " + r.Path + " is for nobody")
		}
		g.Add(r.Method, r.Path, r.serve(t))
	}
	other := func(ec echo.Context) error {
		if _, err := authenticate(t, ec); err != nil {
			return err
		}
		path := "/" + strings.TrimPrefix(ec.Param("*"), "/")
		methods := methodsOf(routes, path)
		if len(methods) == 0 {
			return errNoRoute
		}
		ec.Response().Header().Set("Allow", strings.Join(methods, ", "))
		return errMethod
	}
	g.RouteNotFound("", other)
	g.RouteNotFound("/*", other)
}

func (r Route) serve(t Tenant) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c, err := authenticate(t, ec)
		if err != nil {
			return err
		}
		c.roles, c.workloads, c.proved, c.secret = r.Roles, r.Workloads, r.Proved, r.Secret
		if err := c.mayPass(); err != nil {
			return err
		}
		known := r.Query
		if r.Method == http.MethodGet {
			known = append(slices.Clone(known), "min_position")
		}
		c.parseQuery(known)
		return r.Serve(c)
	}
}

// methodsOf lists the methods that a path has.
func methodsOf(routes []Route, path string) (methods []string) {
	for _, r := range routes {
		if matches(r.Path, path) {
			methods = append(methods, r.Method)
		}
	}
	return methods
}

func matches(pattern, path string) bool {
	ps, ss := strings.Split(pattern, "/"), strings.Split(path, "/")
	return slices.EqualFunc(ps, ss, func(p, s string) bool { return p == s || strings.HasPrefix(p, ":") && s != "" })
}

// Read answers a GET: first what the caller wants to see is waited for, then it
// is looked up (404), then what is wrong with the query is told (422).
func Read(find func(*Call) (Answer, error)) Handler {
	return func(c *Call) error {
		if err := c.WaitForMinPosition(); err != nil {
			return err
		}
		a, err := find(c)
		if err != nil {
			return err
		}
		if err := c.Refused(); err != nil {
			return err
		}
		return a.write(c.Echo)
	}
}

// Write answers what changes something, its body decoded into In. look judges
// the call by the state before the body is read: 404, 403, 428, 412; it is nil
// where there is nothing to judge. rules name the fields that break one (422),
// and may keep in In what they made of them; they are nil where the type says
// it all. do has the rest: 409, and the change itself.
//
// A write that was done before under its Idempotency-Key is not judged again:
// do is called with the same body, and Execute finds the first one's position.
func Write[In any](look func(*Call) error, rules func(*In) []domain.FieldError, do func(*Call, In) (Answer, error)) Handler {
	return func(c *Call) error {
		again, err := c.repeats()
		if err != nil {
			return err
		}
		if !again && look != nil {
			if err := look(c); err != nil && !c.repeated() {
				return err
			}
		}
		var in In
		if err := decode(c, &in, rules); err != nil {
			return err
		}
		if err := c.authorizeAgain(); err != nil {
			return err
		}
		defer c.forget()
		a, err := do(c, in)
		if err != nil {
			return err
		}
		return a.write(c.Echo)
	}
}
