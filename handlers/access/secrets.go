package access

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/resource"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
)

// secretRoutes are those about what is written of secrets, and about their
// values on the way in. On the way out a value is granted.
func (h *Access) secretRoutes() []api.Route {
	const get, post, put = http.MethodGet, http.MethodPost, http.MethodPut
	return []api.Route{
		{Method: get, Path: "/secrets", Roles: everybody, Workloads: true, Query: []string{"folder", "path", "role"}, Serve: api.Read(h.listSecrets)},
		{Method: post, Path: "/secrets", Roles: everybody, Workloads: true, Proved: true, Secret: true, Serve: api.Write(waited, checkNewSecret, h.createSecret)},
		{Method: put, Path: "/secrets", Roles: []domain.Role{domain.ResourceAdmin}, Proved: true, Serve: api.Write(waited, checkSecret, h.editSecret)},
		{Method: post, Path: "/secrets/versions", Roles: everybody, Workloads: true, Proved: true, Secret: true, Serve: api.Write(waited, checkVersion, h.putSecret)},
		{Method: post, Path: "/secrets/destroy", Roles: everybody, Workloads: true, Proved: true, Serve: api.Write(waited, checkDestroySecret, h.destroySecret)},
		{Method: post, Path: "/secrets/delete", Roles: everybody, Workloads: true, Proved: true, Serve: api.Write(waited, checkWhich, h.deleteSecret)},
	}
}

// shownSecret is a secret as answered: what is written of it, never a value.
type shownSecret struct {
	Path        string            `json:"path"`
	Project     domain.Name       `json:"project"`
	Description string            `json:"description"`
	Labels      map[string]string `json:"labels"`
	Owner       *shownOwner       `json:"owner,omitempty"` // absent where there is none
	Versions    []shownVersion    `json:"versions"`        // oldest first
	Version     uint64            `json:"version"`         // of what is written of it, as in If-Match
	CreatedAt   time.Time         `json:"created_at"`
	CreatedBy   string            `json:"created_by"`
	UpdatedAt   time.Time         `json:"updated_at"`
	UpdatedBy   string            `json:"updated_by"`
}

// shownVersion is one version of a value, without it.
type shownVersion struct {
	Version     int       `json:"version"`
	AddedAt     time.Time `json:"added_at"`
	AddedBy     string    `json:"added_by"`
	DestroyedAt time.Time `json:"destroyed_at,omitzero"` // absent while it can be revealed
}

// shownOwner is who answers for a secret, and whether they are gone.
type shownOwner struct {
	resource.Owner
	Missing bool `json:"missing,omitempty"`
}

func showSecret(s *control.State, r resource.Resource) shownSecret {
	shown := shownSecret{
		Path: r.Name, Project: r.Project, Description: r.Description, Labels: r.Labels, Versions: []shownVersion{},
		Version: r.Version, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, UpdatedAt: r.UpdatedAt, UpdatedBy: r.UpdatedBy,
	}
	if shown.Labels == nil {
		shown.Labels = map[string]string{}
	}
	for _, v := range r.Versions {
		shown.Versions = append(shown.Versions, shownVersion{v.Number, v.AddedAt, v.AddedBy, v.DestroyedAt})
	}
	if r.Owner != (resource.Owner{}) {
		_, person := s.Person(r.Owner.Person)
		_, group := s.Groups().Find(r.Owner.Group)
		shown.Owner = &shownOwner{r.Owner, !person && !group}
	}
	return shown
}

// listSecrets lists what the caller may list: readers everything, others what a
// policy lets them list at this moment. What they may not is as if it were not there.
func (h *Access) listSecrets(c *api.Call) (api.Answer, error) {
	role := h.roleInQuery(c)
	folder, path := pathInQuery(c, "folder"), pathInQuery(c, "path")
	if err := c.Refused(); err != nil {
		return api.Answer{}, err
	}
	answer := struct {
		Secrets []shownSecret `json:"secrets"`
	}{[]shownSecret{}}
	var refused error
	h.org.Read(func(s *control.State, _ domain.Head) {
		var v view
		if v, refused = h.still(c, s, role); refused != nil {
			return
		}
		for _, r := range v.listable(path, reads(c)) {
			if folder == "" || strings.HasPrefix(r.Name, folder+"/") {
				answer.Secrets = append(answer.Secrets, showSecret(s, r))
			}
		}
	})
	return api.Answer{Body: answer}, refused
}

// listable is the secrets that the subject may list, by path, or the one at path
// if that is not ""; all there are for who reads everything.
func (v view) listable(path string, all bool) (secrets []resource.Resource) {
	switch {
	case path != "":
		r, there := v.world.Resources.Resource(resource.SecretRef(path))
		if there && (all || v.may(r, access.SecretList) == nil) {
			secrets = append(secrets, r)
		}
	case all:
		for _, r := range v.world.Resources.Resources() {
			if r.Kind == resource.Secret {
				secrets = append(secrets, r)
			}
		}
	default:
		for _, r := range access.ResolveAll(v.world, v.subject, v.now) {
			if r.Resource.Kind == resource.Secret && allows(r.Answer, access.SecretList) == nil {
				secrets = append(secrets, r.Resource)
			}
		}
	}
	return secrets
}

// roleInQuery is the workload role that a workload asks as.
func (h *Access) roleInQuery(c *api.Call) (role domain.Name) {
	text, given := c.Query("role")
	if _, workload := c.Workload(); given && !workload {
		c.Refuse("/role", "role.of_workload", "role is a workload's to choose: people leave it out")
	} else if given && (text == "" || parseName("/role", text, &role) != nil) {
		c.Refuse("/role", "name.invalid", "role is the name of a workload role")
	}
	return role
}

// pathInQuery is a path in the query, "" where it is left out.
func pathInQuery(c *api.Call, name string) string {
	text, given := c.Query(name)
	if !given {
		return ""
	}
	path, err := resource.ParsePath(text)
	if err != nil {
		c.Refuse("/"+name, resource.ErrPath.Code, "%s", err)
	}
	return path
}

// may tells why the subject may not do that with the resource now: no rule lets
// them, or not yet. nil is that they may.
func (v view) may(r resource.Resource, kind access.Kind) error {
	return allows(access.Resolve(v.world, v.subject, r, v.now), kind)
}

// allows tells why the answer has no open method of that kind, nil if it has.
func allows(answer access.Answer, kind access.Kind) error {
	var unmet error
	for _, m := range answer.Methods {
		if m.Kind != kind {
			continue
		}
		err := access.Unmet(m)
		if err == nil {
			return nil
		}
		unmet = err
	}
	leftOut := slices.ContainsFunc(answer.LeftOut, func(m access.Method) bool { return m.Kind == kind })
	switch {
	case unmet != nil:
		return unmet
	case leftOut:
		return access.CancelledFor(answer.LeftOut)
	}
	return access.ErrRefused
}

// which is the secret that a body is about, and as which role a workload asks.
type which struct {
	Path string `json:"path"`
	Role string `json:"role"`

	role domain.Name
}

func (in *which) check() (broken []domain.FieldError) {
	if _, err := resource.ParsePath(in.Path); err != nil {
		broken = append(broken, domain.FieldError{Pointer: "/path", Code: resource.ErrPath.Code, Detail: err.Error()})
	}
	return append(broken, parseName("/role", in.Role, &in.role)...)
}

func checkWhich(in *which) []domain.FieldError { return in.check() }

// written is what people write of a secret.
type written struct {
	Project     domain.Name       `json:"project"`
	Description string            `json:"description"`
	Labels      map[string]string `json:"labels"`
	Owner       writtenOwner      `json:"owner"`
}

type writtenOwner struct {
	resource.Owner
	Missing any `json:"missing"` // accepted and ignored, so that an answer may be sent back
}

func (w written) spec() resource.SecretSpec {
	return resource.SecretSpec{Project: w.Project, Description: w.Description, Labels: w.Labels, Owner: w.Owner.Owner}
}

type newSecretRequest struct {
	which
	written
	Value string `json:"value"`
}

func checkNewSecret(in *newSecretRequest) []domain.FieldError {
	return append(in.check(), checkValue(in.Value, true)...)
}

func checkValue(value string, optional bool) []domain.FieldError {
	if n := len(value); n > resource.MaxValueBytes || n == 0 && !optional {
		return []domain.FieldError{{Pointer: "/value", Code: "secret.size", Detail: "a value is text of 1 byte to 64 KiB in UTF-8"}}
	}
	return nil
}

type versionRequest struct {
	which
	Value string `json:"value"`
}

func checkVersion(in *versionRequest) []domain.FieldError {
	return append(in.check(), checkValue(in.Value, false)...)
}

type destroySecretRequest struct {
	which
	Version int `json:"version"`
}

func checkDestroySecret(in *destroySecretRequest) []domain.FieldError {
	broken := in.check()
	if in.Version < 1 {
		broken = append(broken, domain.FieldError{Pointer: "/version", Code: "field.required", Detail: "version is the number of the version to destroy, from 1"})
	}
	return broken
}

// secretRequest is what is written of a secret as replaced.
type secretRequest struct {
	Path string `json:"path"`
	written

	Versions  any `json:"versions"` // what only the server says is accepted and ignored
	Version   any `json:"version"`
	CreatedAt any `json:"created_at"`
	CreatedBy any `json:"created_by"`
	UpdatedAt any `json:"updated_at"`
	UpdatedBy any `json:"updated_by"`
}

func checkSecret(in *secretRequest) []domain.FieldError {
	w := which{Path: in.Path}
	return w.check()
}

// writer is one change of a secret by role or by policy, while it is decided.
type writer struct {
	h    *Access
	c    *api.Call
	in   which
	kind access.Kind
	// would is the secret that is to be created; of one that is there it is not used.
	would resource.Resource

	who     access.Who
	refused error         // by policy; what was decided last
	role    string        // of a workload that was refused, as which it asked
	roles   []domain.Name // that it bore then
}

// writer is the change that the body asks for, unless it asks too often.
func (h *Access) writer(c *api.Call, in which, kind access.Kind) (*writer, error) {
	if _, workload := c.Workload(); in.role != "" && !workload {
		return nil, errRole
	}
	w := &writer{h: h, c: c, in: in, kind: kind}
	if !w.byRole() && !h.asks.Allow(c.Meta.Actor.ID, h.org.Now()) {
		return nil, api.ErrRate
	}
	return w, nil
}

// byRole tells whether the caller's admin role decides, and no policy.
func (w *writer) byRole() bool { return w.c.Meta.Actor.Has(domain.ResourceAdmin) }

// may is the permission by policy, decided on the state as it is.
func (w *writer) may(s *control.State) (bool, error) {
	v, err := w.h.still(w.c, s, w.in.role)
	if err != nil {
		return false, err
	}
	w.who, w.refused = access.WhoIs(v.subject, source(w.c)), nil
	if w.byRole() {
		return false, nil
	}
	r := w.would
	if w.kind != access.SecretCreate {
		var there bool
		if r, there = v.world.Resources.Resource(resource.SecretRef(w.in.Path)); !there {
			w.refused = access.ErrRefused
			w.role, w.roles = bears(w.c, s, w.in.role)
			return false, w.refused
		}
	}
	if w.refused = v.may(r, w.kind); w.refused != nil {
		w.role, w.roles = bears(w.c, s, w.in.role)
	}
	return w.refused == nil, w.refused
}

// answered is the error of a change. One that a policy refused is written, with
// who asked for what: it is given once it is.
func (w *writer) answered(ctx context.Context, err error) error {
	var known *domain.Error
	if err == nil || w.refused == nil || !errors.Is(err, w.refused) || !errors.As(err, &known) {
		return err
	}
	ref := resource.SecretRef(w.in.Path)
	m := w.c.Meta
	m.Idempotency = nil // a refusal uses up no key
	_, recorded := w.h.org.Record(ctx, m, func(*control.State) ([]domain.Fact, string, error) {
		return []domain.Fact{{Subject: string(ref), Event: access.WasRefused{Who: w.who, Resource: ref, Method: string(w.kind), Code: known.Code}.Bore(w.role, w.roles)}}, "", nil
	})
	if recorded != nil {
		return recorded
	}
	return err
}

func (h *Access) createSecret(c *api.Call, in newSecretRequest) (api.Answer, error) {
	w, err := h.writer(c, in.which, access.SecretCreate)
	if err != nil {
		return api.Answer{}, err
	}
	spec := in.spec()
	w.would = resource.Resource{
		Ref: resource.SecretRef(in.Path), Kind: resource.Secret, Name: in.Path, Project: spec.Project, Labels: spec.Labels, Owner: spec.Owner,
	}
	value := []byte(in.Value)
	defer clear(value)
	if len(value) == 0 {
		value = nil
	}
	pos, err := h.org.CreateSecret(c.Context(), c.Meta, in.Path, spec, value, w.may)
	if err != nil {
		return api.Answer{}, w.answered(c.Context(), err)
	}
	return h.showWritten(c, in.which, http.StatusCreated, pos)
}

// putSecretAnswer is what those are told of a secret that they wrote and may not list.
type putSecretAnswer struct {
	Path     string         `json:"path"`
	Versions []shownVersion `json:"versions"` // the newest, if there is one
}

// showWritten shows a secret after a write.
func (h *Access) showWritten(c *api.Call, in which, status int, pos domain.Position) (a api.Answer, err error) {
	h.org.Read(func(s *control.State, _ domain.Head) {
		r, there := s.Resources().Resource(resource.SecretRef(in.Path))
		if !there { // deleted since, or before a write that was repeated
			err = resource.ErrSecretNotFound
			return
		}
		shown := showSecret(s, r)
		a = api.Answer{Status: status, Body: shown, Version: r.Version, Position: &pos}
		if !reads(c) && h.view(c, s, in.role).may(r, access.SecretList) != nil {
			a.Body = putSecretAnswer{shown.Path, shown.Versions[max(0, len(shown.Versions)-1):]}
		}
	})
	return a, err
}

// editSecret replaces what is written of a secret. Its path is in the body, and so
// is looked up there, and not in the state before it is read.
func (h *Access) editSecret(c *api.Call, in secretRequest) (api.Answer, error) {
	pos, err := h.org.Execute(c.Context(), c.Meta, func(s *control.State) ([]domain.Fact, error) {
		m, err := c.MetaOn(s)
		if err != nil {
			return nil, err
		}
		if r, there := s.Resources().Resource(resource.SecretRef(in.Path)); there {
			if err := c.Match(r.Version); err != nil {
				return nil, err
			}
			if err := c.Refused(); err != nil {
				return nil, err
			}
		}
		return resource.Decide(s.Resources(), resource.EditSecret{Path: in.Path, Version: c.Version(), Spec: in.spec()}, m)
	})
	if err != nil {
		return api.Answer{}, err
	}
	return h.showWritten(c, which{Path: in.Path}, http.StatusOK, pos)
}

func (h *Access) putSecret(c *api.Call, in versionRequest) (api.Answer, error) {
	value := []byte(in.Value)
	defer clear(value)
	return h.change(c, in.which, access.SecretUpdate, func(may organisation.Permission) (domain.Position, error) {
		return h.org.PutVersion(c.Context(), c.Meta, resource.SecretRef(in.Path), "", value, may)
	})
}

func (h *Access) destroySecret(c *api.Call, in destroySecretRequest) (api.Answer, error) {
	return h.change(c, in.which, access.SecretDelete, func(may organisation.Permission) (domain.Position, error) {
		return h.org.DestroyVersion(c.Context(), c.Meta, resource.SecretRef(in.Path), "", in.Version, may)
	})
}

// change does one thing to a secret that is there, and shows it as it is then.
func (h *Access) change(c *api.Call, in which, kind access.Kind, do func(organisation.Permission) (domain.Position, error)) (api.Answer, error) {
	w, err := h.writer(c, in, kind)
	if err != nil {
		return api.Answer{}, err
	}
	pos, err := do(w.may)
	if err != nil {
		return api.Answer{}, w.answered(c.Context(), err)
	}
	return h.showWritten(c, in, http.StatusOK, pos)
}

func (h *Access) deleteSecret(c *api.Call, in which) (api.Answer, error) {
	w, err := h.writer(c, in, access.SecretDelete)
	if err != nil {
		return api.Answer{}, err
	}
	pos, err := h.org.DeleteSecret(c.Context(), c.Meta, in.Path, w.may)
	if err != nil {
		return api.Answer{}, w.answered(c.Context(), err)
	}
	return api.Answer{Status: http.StatusNoContent, Position: &pos}, nil
}
