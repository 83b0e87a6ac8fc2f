package admin

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/limit"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/handlers/signin"
)

// Options of [Mount].
type Options struct {
	// Limiter bounds how often one network may ask; nil bounds nothing.
	Limiter *limit.Limiter
	// Stopping ends the streams that are open when it is closed; nil never does.
	Stopping <-chan struct{}
	// MaxStreams is how many streams of events may be open at once; zero is 256.
	MaxStreams int
	// SignIn is the OpenID providers that people sign in at; nil: none.
	SignIn *signin.Providers
	// More are the routes of other parts of /v1.
	More []api.Route
}

// Admin serves one organisation.
type Admin struct {
	org      *organisation.Organisation
	signIn   *signin.Providers
	stopping <-chan struct{}
	streams  chan struct{} // one element for each open stream
}

// Mount serves /v1 below g, the organisation's group.
func Mount(g *echo.Group, o *organisation.Organisation, opt Options) {
	if opt.MaxStreams == 0 {
		opt.MaxStreams = 256
	}
	h := &Admin{org: o, signIn: opt.SignIn, stopping: opt.Stopping, streams: make(chan struct{}, opt.MaxStreams)}
	v1 := g.Group("/v1")
	if opt.Limiter != nil {
		v1.Use(api.LimitBySource(opt.Limiter, o.Now))
	}
	api.Mount(v1, o, append(h.routes(), opt.More...))
}

// Who may do what, as far as the role alone tells; the rest is decided on the
// connection's state.
var (
	drafters  = []domain.Role{domain.DevOpsAdmin, domain.SecurityAdmin}
	reviewers = []domain.Role{domain.SecurityAdmin}
	readers   = []domain.Role{domain.Owner, domain.DevOpsAdmin, domain.SecurityAdmin, domain.ResourceAdmin, domain.Auditor}
	owners    = []domain.Role{domain.Owner}
	everybody = domain.Roles()
)

// routes is everything that /v1 has.
func (h *Admin) routes() []api.Route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return slices.Concat([]api.Route{
		{Method: get, Path: "/whoami", Roles: everybody, Workloads: true, Serve: api.Read(h.whoami)},
		{Method: post, Path: "/logout", Roles: everybody, Serve: api.Write(nil, nil, h.logout)},
		{Method: get, Path: "/organisation", Roles: readers, Serve: api.Read(h.showOrganisation)},
		{Method: put, Path: "/organisation", Roles: owners, Proved: true, Serve: api.Write(h.matchOrganisation, checkSettings, h.changeOrganisation)},

		{Method: get, Path: "/connections", Roles: readers, Query: []string{"status", "provider"}, Serve: api.Read(h.list)},
		{Method: post, Path: "/connections", Roles: drafters, Serve: api.Write(nil, h.checkDraft, h.draft)},
		{Method: get, Path: "/connections/:name", Roles: readers, Serve: api.Read(h.show)},
		{Method: put, Path: "/connections/:name", Roles: drafters, Serve: api.Write(h.mayEdit, h.checkEdit, h.edit)},
		{Method: del, Path: "/connections/:name", Roles: drafters, Proved: true, Serve: api.Write(h.mayDelete, nil, h.delete)},
		{Method: post, Path: "/connections/:name/test", Roles: drafters, Serve: api.Write(h.mayTest, checkTest, h.test)},
		{Method: post, Path: "/connections/:name/activate", Roles: reviewers, Proved: true, Serve: api.Write(h.mayActivate, nil, h.activate)},
		{Method: post, Path: "/connections/:name/deactivate", Roles: reviewers, Serve: api.Write(h.mayDeactivate, nil, h.deactivate)},

		{Method: get, Path: "/ssh/ca", Roles: readers, Serve: api.Read(h.showSSH)},
		{Method: post, Path: "/ssh/ca/rotate", Roles: reviewers, Proved: true, Serve: api.Write(nil, nil, h.rotateSSH)},

		{Method: get, Path: "/audit", Roles: readers, Query: pageParameters, Serve: h.audit},
		{Method: get, Path: "/audit/stream", Roles: readers, Query: filterParameters, Serve: h.stream},
	}, h.people(), h.groups(), h.requestTypes(), h.workloadRoles(), h.policies(), h.projects(), h.servers())
}
