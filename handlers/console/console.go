// Package console is the console: pages for people, at /console/, that draft,
// test, activate, approve and look.
//
// It is a client of /v1. What it changes it changes through the routes that every
// other client uses, played in process as the person of the session, so that rules,
// versions and events are decided in one place. What it shows it may read from the
// state and the trail itself, a page at a time. It decides nothing.
//
// A part of the console is one file: its screens, and the templates of the same
// name; [Console.screens] lists the parts. docs/console.md shows how to add one.
package console

import (
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/passkey"
	"sallyport.dev/handlers/signin"
)

// Options of [New].
type Options struct {
	Orgs    []*organisation.Organisation
	API     http.Handler     // serves /orgs/{org}/v1; gets what the console asks in a person's name
	BaseURL string           // where we are reached from outside, without a slash at the end
	Log     *slog.Logger     // nil: slog.Default
	Now     func() time.Time // nil: time.Now; for relative times alone
	// SignIn is the OpenID providers that people sign in at; nil: none.
	SignIn *signin.Providers
	// Limiter bounds how often one network may ask; nil bounds nothing.
	Limiter *limit.Limiter
	// Checks are those of the process, shown beside the organisation's own.
	Checks []Readiness
	// Stopping ends the streams that are open when it is closed; nil never does.
	Stopping <-chan struct{}
}

// Console serves the console of every organisation of a process. It is safe for
// concurrent use.
type Console struct {
	opt       Options
	orgs      map[domain.Name]*organisation.Organisation
	names     []domain.Name // of orgs, in order
	log       *slog.Logger
	now       func() time.Time
	origin    http.CrossOriginProtection
	static    static
	templates map[string]*template.Template
	all       []screen
	doors     doors
	passkeys  *passkey.Verifier // nil: browsers would refuse
	tails     tails
}

// New reads the templates and the static files. Its error is one of ours: a
// template that does not parse.
func New(opt Options) (*Console, error) {
	c := &Console{opt: opt, log: opt.Log, now: opt.Now, orgs: map[domain.Name]*organisation.Organisation{}}
	if c.log == nil {
		c.log = slog.Default()
	}
	if c.now == nil {
		c.now = time.Now
	}
	for _, o := range opt.Orgs {
		c.orgs[o.Name()] = o
		c.names = append(c.names, o.Name())
	}
	slices.Sort(c.names)
	u, err := url.Parse(opt.BaseURL)
	if err == nil { // a proxy may give us another Host than the one in the address bar
		err = c.origin.AddTrustedOrigin(passkey.Origin(u))
	}
	if err != nil {
		return nil, fmt.Errorf("the base URL %q: %w", opt.BaseURL, err)
	}
	if c.static, err = readStatic(); err != nil {
		return nil, err
	}
	if c.templates, err = c.readTemplates(); err != nil {
		return nil, err
	}
	if c.passkeys, err = passkey.New(opt.BaseURL); err != nil {
		return nil, err
	}
	c.all = c.screens()
	c.doors = newDoors(c.replicas)
	return c, nil
}

// base is where the console is.
const base = "/console"

// Mount serves the console on e.
func (c *Console) Mount(e *echo.Echo) {
	home := func(ec echo.Context) error { return ec.Redirect(http.StatusSeeOther, base+"/") }
	e.GET("/", home) // which people type who know the server's name alone
	e.GET(base, home)
	g := e.Group(base)
	g.GET("/static/:hash/:file", c.static.serve)
	g.Use(c.guard)
	if c.opt.Limiter != nil {
		g.Use(api.LimitBySource(c.opt.Limiter, c.now))
	}
	g.GET("/", c.entrance)
	g.POST("/theme", c.chooseTheme)
	g.GET("/callback", c.callback)
	orgs := g.Group("/orgs/:org")
	orgs.GET("", func(ec echo.Context) error {
		return ec.Redirect(http.StatusSeeOther, c.home(domain.Name(ec.Param("org"))))
	})
	pages := map[string]bool{}
	for _, s := range c.all {
		if s.get != nil {
			orgs.GET(s.path, c.serve(s, "", s.get))
			pages[s.path] = true
		}
	}
	for _, s := range c.all {
		for name, post := range s.post {
			path := strings.TrimSuffix(s.path, "/") + "/" + name
			orgs.POST(path, c.serve(s, name, post))
			if !pages[path] {
				orgs.GET(path, c.back) // of whom a reload, or a sign-in in between, sent there
			}
		}
	}
	nothing := c.serve(screen{open: true}, "", func(*page) error { return errNothing }) // with the menu of who is signed in
	orgs.RouteNotFound("/*", nothing)
	g.RouteNotFound("", func(echo.Context) error { return errNothing })
	g.RouteNotFound("/*", func(echo.Context) error { return errNothing })
	api.TellByPage(e, base, c.refusedByEdge)
}

// refusedByEdge shows a browser what the edge refused below the console before any
// screen was asked: such as a path that can be read in two ways.
func (c *Console) refusedByEdge(ec echo.Context, err error) error {
	setHeaders(ec, c.secure())
	if status, _ := api.Explain(err); status == http.StatusNotFound {
		err = errNothing
	}
	return c.fail(ec, err)
}

// home is the first page of an organisation.
func (c *Console) home(org domain.Name) string { return base + "/orgs/" + org.String() + "/" }

// back leads from the address of an action, which has no page, to its screen.
func (c *Console) back(ec echo.Context) error {
	path := ec.Request().URL.Path
	return ec.Redirect(http.StatusSeeOther, path[:strings.LastIndex(path, "/")])
}

// entrance leads to the only organisation, or to the one that is named. Which there
// are is told to nobody: a browser is shown those that it has a session of.
func (c *Console) entrance(ec echo.Context) error {
	if len(c.names) == 1 {
		return ec.Redirect(http.StatusSeeOther, c.home(c.names[0]))
	}
	p := c.stranger(ec)
	v := organisationsView{Name: ec.QueryParam("organisation")}
	for _, n := range c.names {
		if _, err := ec.Cookie(c.cookieName(n)); err == nil {
			v.Known = append(v.Known, n)
		}
	}
	if v.Name == "" {
		return p.render("organisations", v)
	}
	name, err := domain.ParseName(v.Name)
	if err != nil {
		return p.refused("organisations", v, p.invalid("/organisation", "a name has small letters, digits and inner hyphens"))
	}
	return ec.Redirect(http.StatusSeeOther, c.home(name)) // where it is told if there is none
}

// organisationsView asks for an organisation.
type organisationsView struct {
	Name  string        // as it was typed
	Known []domain.Name // that the browser has a session of, which may have ended
}

// replicas is how many processes serve: limits hold for all of them together.
func (c *Console) replicas() int {
	if len(c.opt.Orgs) == 0 {
		return 1
	}
	return c.opt.Orgs[0].Replicas()
}

// secure tells whether browsers reach us by TLS, as everywhere but in dev.
func (c *Console) secure() bool { return strings.HasPrefix(c.opt.BaseURL, "https://") }

// ours tells whether a request changes nothing, or was sent by a page of ours.
// Every browser says on a POST where it is from; one that does not is none.
func (c *Console) ours(r *http.Request) bool {
	if r.Method == http.MethodPost && r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return false
	}
	return c.origin.Check(r) == nil
}

// guard gives every answer of the console its headers, refuses what another
// site's page sends, and shows what went wrong as a page.
func (c *Console) guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ec echo.Context) (err error) {
		defer func() {
			if said := recover(); said != nil {
				err = c.panicked(ec, said)
			}
		}()
		setHeaders(ec, c.secure())
		if !c.ours(ec.Request()) {
			return c.fail(ec, errElsewhere)
		}
		if err := next(ec); err != nil {
			return c.fail(ec, err)
		}
		return nil
	}
}

// panicked shows a panic as a page, logged once. It is that of a stranger: what
// panicked may be what every page of theirs asks.
func (c *Console) panicked(ec echo.Context, said any) error {
	if said == http.ErrAbortHandler || ec.Response().Committed {
		panic(said) // the browser sees the end; the edge tells the log
	}
	ec.Set(pageKey, nil)
	return c.fail(ec, fmt.Errorf("a screen panicked: %v\n%s", said, debug.Stack()))
}
