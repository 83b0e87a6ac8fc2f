package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

// serverRequest is a server as written.
type serverRequest struct {
	document
	Description   string            `json:"description"`
	Project       domain.Name       `json:"project"`
	Address       string            `json:"address"`
	Port          int               `json:"port"`
	Labels        map[string]string `json:"labels"`
	Accounts      []writtenAccount  `json:"accounts"`
	Owner         writtenOwner      `json:"owner"`
	HostKeys      []string          `json:"host_keys"`
	AnySource     bool              `json:"any_source"`
	OwnPrincipals bool              `json:"own_principals"`
}

type writtenAccount struct {
	resource.Account

	Passwords json.RawMessage `json:"passwords"`
}

type writtenOwner struct {
	resource.Owner

	Missing json.RawMessage `json:"missing"`
}

func (in serverRequest) spec() resource.ServerSpec {
	spec := resource.ServerSpec{
		Description: in.Description, Project: in.Project, Address: in.Address, Port: in.Port, Labels: in.Labels,
		Owner: in.Owner.Owner, HostKeys: in.HostKeys, AnySource: in.AnySource, OwnPrincipals: in.OwnPrincipals,
	}
	for _, a := range in.Accounts {
		spec.Accounts = append(spec.Accounts, a.Account)
	}
	return spec
}

// shownServer is a server as answered.
type shownServer struct {
	Name          domain.Name       `json:"name"`
	Description   string            `json:"description"`
	Project       domain.Name       `json:"project"`
	Address       string            `json:"address"`
	Port          int               `json:"port"`
	Labels        map[string]string `json:"labels"`
	Accounts      []shownAccount    `json:"accounts"`
	Owner         *shownOwner       `json:"owner,omitempty"` // absent where there is none
	HostKeys      []string          `json:"host_keys"`
	AnySource     bool              `json:"any_source"`
	OwnPrincipals bool              `json:"own_principals"`
	Version       uint64            `json:"version"`
	CreatedAt     time.Time         `json:"created_at"`
	CreatedBy     string            `json:"created_by"`
	UpdatedAt     time.Time         `json:"updated_at"`
	UpdatedBy     string            `json:"updated_by"`
}

type shownAccount struct {
	resource.Account
	Passwords []shownVersion `json:"passwords,omitempty"` // of a vaulted account that has or had one
}

// shownVersion is one version of a password, never its value.
type shownVersion struct {
	Version     int       `json:"version"`
	AddedAt     time.Time `json:"added_at"`
	AddedBy     string    `json:"added_by"`
	DestroyedAt time.Time `json:"destroyed_at,omitzero"` // absent while it can be revealed
}

// shownOwner is who answers for a resource, and whether they are gone.
type shownOwner struct {
	resource.Owner
	Missing bool `json:"missing,omitempty"` // the person or group was deleted: nobody answers for it
}

const password = "/servers/:name/accounts/:account/password"

// servers is the routes of servers and of their accounts' passwords.
func (h *Admin) servers() []api.Route {
	n := collection[serverRequest, shownServer]{
		org: h.org, path: "/servers", member: "servers", readers: readers, writers: stewards, notFound: resource.ErrServerNotFound,
		document: func(in *serverRequest) *document { return &in.document },
		all: func(_ *api.Call, s *control.State) (all []shownServer) {
			for _, r := range s.Resources().Resources() {
				if r.Kind == resource.Server {
					all = append(all, showServer(s, r))
				}
			}
			return all
		},
		find: func(_ *api.Call, s *control.State, n domain.Name) (shownServer, uint64, bool) {
			r, ok := s.Resources().Resource(resource.ServerRef(n))
			if !ok {
				return shownServer{}, 0, false
			}
			return showServer(s, r), r.Version, true
		},
		create: func(s *control.State, n domain.Name, in serverRequest, m domain.Meta) ([]domain.Fact, error) {
			return resource.Decide(s.Resources(), resource.CreateServer{Name: n, Spec: in.spec()}, m)
		},
		replace: func(s *control.State, n domain.Name, version uint64, in serverRequest, m domain.Meta) ([]domain.Fact, error) {
			return resource.Decide(s.Resources(), resource.EditServer{Name: n, Version: version, Spec: in.spec()}, m)
		},
		remove: func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
			return resource.Decide(s.Resources(), resource.DeleteServer{Name: n, Version: version}, m)
		},
	}
	routes := n.routes()
	for i, r := range routes {
		if r.Method == http.MethodDelete { // the passwords of its accounts go with it
			routes[i].Serve = api.Write(n.may(n.remove), nil, h.deleteServer)
		}
	}
	return append(routes,
		api.Route{Method: http.MethodPut, Path: password, Roles: stewards, Proved: true, Secret: true, Serve: api.Write(h.accountThere, checkPassword, h.putPassword)},
		api.Route{Method: http.MethodPost, Path: password + "/destroy", Roles: stewards, Proved: true, Serve: api.Write(h.accountThere, checkDestroy, h.destroyPassword)},
	)
}

func showServer(s *control.State, r resource.Resource) shownServer {
	spec := r.ServerSpec
	shown := shownServer{
		Name: domain.Name(r.Name), Description: spec.Description, Project: spec.Project, Address: spec.Address, Port: spec.Port,
		Labels: spec.Labels, Accounts: []shownAccount{}, Owner: showOwner(s, spec.Owner), HostKeys: orEmpty(spec.HostKeys), AnySource: spec.AnySource, OwnPrincipals: spec.OwnPrincipals,
		Version: r.Version, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, UpdatedAt: r.UpdatedAt, UpdatedBy: r.UpdatedBy,
	}
	if shown.Labels == nil {
		shown.Labels = map[string]string{}
	}
	for _, a := range spec.Accounts {
		account := shownAccount{Account: a}
		for _, v := range r.Passwords[a.Name] {
			account.Passwords = append(account.Passwords, shownVersion{v.Number, v.AddedAt, v.AddedBy, v.DestroyedAt})
		}
		shown.Accounts = append(shown.Accounts, account)
	}
	return shown
}

// showOwner is an owner as answered, nil where there is none.
func showOwner(s *control.State, o resource.Owner) *shownOwner {
	there := true
	switch {
	case o.Person != "":
		_, there = s.Person(o.Person)
	case o.Group != "":
		_, there = s.Groups().Find(o.Group)
	default:
		return nil
	}
	return &shownOwner{o, !there}
}

func (h *Admin) deleteServer(c *api.Call, _ struct{}) (api.Answer, error) {
	name := domain.Name(c.Param("name"))
	var held []string
	pos, err := execute(h.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		r, _ := s.Resources().Resource(resource.ServerRef(name))
		held = r.IDs()
		return resource.Decide(s.Resources(), resource.DeleteServer{Name: name, Version: c.Version()}, m)
	})
	if err != nil {
		return api.Answer{}, err
	}
	h.org.DestroyGone(held)
	return api.Answer{Status: http.StatusNoContent, Position: &pos}, nil
}

// accountThere judges a call about the password of the account in the path.
func (h *Admin) accountThere(c *api.Call) error {
	return h.decide(c, func(s *control.State) error {
		_, err := account(c, s)
		return err
	})
}

// account is the server in the path, if it has the vaulted account in the path.
func account(c *api.Call, s *control.State) (resource.Resource, error) {
	name, err := domain.ParseName(c.Param("name"))
	r, ok := s.Resources().Resource(resource.ServerRef(name))
	if err != nil || !ok {
		return r, resource.ErrServerNotFound
	}
	if _, vaulted := r.ServerSpec.Vaulted(domain.Name(c.Param("account"))); !vaulted {
		return r, resource.ErrAccountNotFound
	}
	return r, nil
}

type passwordRequest struct {
	Value string `json:"value"`
}

func checkPassword(in *passwordRequest) []domain.FieldError {
	if n := len(in.Value); n == 0 || n > resource.MaxValueBytes {
		return []domain.FieldError{{Pointer: "/value", Code: "secret.size", Detail: "a value is text of 1 byte to 64 KiB in UTF-8"}}
	}
	return nil
}

// byRole is the permission of who has none by policy.
func byRole(*control.State) (bool, error) { return false, nil }

func (h *Admin) putPassword(c *api.Call, in passwordRequest) (api.Answer, error) {
	value := []byte(in.Value)
	defer clear(value)
	ref, name := resource.ServerRef(domain.Name(c.Param("name"))), domain.Name(c.Param("account"))
	pos, err := h.org.PutVersion(c.Context(), c.Meta, ref, name, value, byRole)
	if err != nil {
		return api.Answer{}, err
	}
	return h.passwords(c, pos)
}

// passwords shows the account in the path after a write of its password.
func (h *Admin) passwords(c *api.Call, pos domain.Position) (a api.Answer, err error) {
	h.org.Read(func(s *control.State, _ domain.Head) {
		var r resource.Resource
		if r, err = account(c, s); err != nil {
			return
		}
		for _, shown := range showServer(s, r).Accounts {
			if shown.Name.String() == c.Param("account") {
				a = api.Answer{Body: shown, Position: &pos}
			}
		}
	})
	return a, err
}

type destroyRequest struct {
	Version int `json:"version"`
}

func checkDestroy(in *destroyRequest) []domain.FieldError {
	if in.Version < 1 {
		return []domain.FieldError{{Pointer: "/version", Code: "field.required", Detail: "version is the number of the version to destroy, from 1"}}
	}
	return nil
}

func (h *Admin) destroyPassword(c *api.Call, in destroyRequest) (api.Answer, error) {
	ref, name := resource.ServerRef(domain.Name(c.Param("name"))), domain.Name(c.Param("account"))
	pos, err := h.org.DestroyVersion(c.Context(), c.Meta, ref, name, in.Version, byRole)
	if err != nil {
		return api.Answer{}, err
	}
	return h.passwords(c, pos)
}
