// Package access serves /v1/access: what the caller can reach, how, with what
// still to be met, and the doors themselves. It decides nothing: [access.Resolve]
// does, on the control state, and what opens a door is recorded before it opens.
package access

import (
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation"
)

// Options of [New]. The zero value is what a server has.
type Options struct{}

// Access serves one organisation.
type Access struct {
	org *organisation.Organisation
}

// New serves o.
func New(o *organisation.Organisation, opt Options) *Access { return &Access{org: o} }

// everybody is every person of the organisation.
var everybody = domain.Roles()

// Routes is everything that /v1/access has, and what of secrets people and
// workloads do by policy.
func (h *Access) Routes() []api.Route {
	return slices.Concat(h.doorRoutes(), h.requestRoutes(), h.secretRoutes())
}

func (h *Access) doorRoutes() []api.Route { return nil }
