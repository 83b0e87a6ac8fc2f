package admin

import (
	"encoding/json"
	"errors"
	"net/http"

	"sallyport.dev/domain"
	"sallyport.dev/handlers/api"
	"sallyport.dev/handlers/organisation"
	"sallyport.dev/projections/control"
)

// document is what every written document has beside what it is about; embed it
// in the type of the body. What only the server says is accepted and ignored,
// so that an answer may be sent back as it came.
type document struct {
	Name string `json:"name"` // of a body that replaces: empty, or the one in the path

	Version   json.RawMessage `json:"version"`
	CreatedAt json.RawMessage `json:"created_at"`
	CreatedBy json.RawMessage `json:"created_by"`
	UpdatedAt json.RawMessage `json:"updated_at"`
	UpdatedBy json.RawMessage `json:"updated_by"`

	name domain.Name // Name of a body that creates, parsed
}

// collection makes the routes of a noun that people write as documents: list,
// show, create, replace and delete, and one for each action. In is the body as
// people write it, Out a document as answered.
//
// The closures that decide are given the state and who asks, and are the
// domain's commands; they check the role first, so that they can be asked with
// an empty body whether the caller may at all.
type collection[In, Out any] struct {
	org              *organisation.Organisation
	path             string // below /v1, such as "/groups"
	member           string // of the list's answer, such as "groups"
	readers, writers []domain.Role
	query            []string      // parameters of the list
	notFound         *domain.Error // also of what is no name

	parseName func(string) (domain.Name, error) // nil is domain.ParseName
	document  func(*In) *document               // the one that In embeds
	check     func(*In) []domain.FieldError     // what the type cannot say; nil is nothing
	all       func(*api.Call, *control.State) []Out
	find      func(*api.Call, *control.State, domain.Name) (out Out, version uint64, ok bool)
	create    func(s *control.State, n domain.Name, in In, m domain.Meta) ([]domain.Fact, error)
	replace   func(s *control.State, n domain.Name, version uint64, in In, m domain.Meta) ([]domain.Fact, error)
	remove    func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error)
	actions   []action
}

// action is a POST to a document's path and a word, with If-Match and no body.
type action struct {
	word   string        // such as "publish"
	roles  []domain.Role // nil is the writers
	decide func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error)
}

func (n collection[In, Out]) routes() []api.Route {
	one := n.path + "/:name"
	routes := []api.Route{
		{Method: http.MethodGet, Path: n.path, Roles: n.readers, Query: n.query, Serve: api.Read(n.list)},
		{Method: http.MethodPost, Path: n.path, Roles: n.writers, Proved: true, Serve: api.Write(nil, n.checkNew, n.post)},
		{Method: http.MethodGet, Path: one, Roles: n.readers, Serve: api.Read(n.show)},
		{Method: http.MethodPut, Path: one, Roles: n.writers, Proved: true, Serve: api.Write(n.may(n.wouldReplace), n.check, n.put)},
		{Method: http.MethodDelete, Path: one, Roles: n.writers, Proved: true, Serve: api.Write(n.may(n.remove), nil, n.delete)},
	}
	for _, a := range n.actions {
		if a.roles == nil {
			a.roles = n.writers
		}
		act := func(c *api.Call, _ struct{}) (api.Answer, error) { return n.change(c, a.decide) }
		routes = append(routes, api.Route{Method: http.MethodPost, Path: one + "/" + a.word, Roles: a.roles, Proved: true, Serve: api.Write(n.may(a.decide), nil, act)})
	}
	return routes
}

// decision is a command to the document of that name.
type decision = func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error)

func (n collection[In, Out]) list(c *api.Call) (api.Answer, error) {
	var all []Out
	n.org.Read(func(s *control.State, _ domain.Head) { all = n.all(c, s) })
	return api.Answer{Body: map[string][]Out{n.member: orEmpty(all)}}, nil
}

func (n collection[In, Out]) show(c *api.Call) (api.Answer, error) {
	var out Out
	var version uint64
	var err error
	n.org.Read(func(s *control.State, _ domain.Head) { out, version, err = n.inPath(c, s) })
	if err != nil {
		return api.Answer{}, err
	}
	return api.Answer{Body: out, Version: version}, nil
}

func (n collection[In, Out]) parse(name string) (domain.Name, error) {
	if n.parseName != nil {
		return n.parseName(name)
	}
	return domain.ParseName(name)
}

// inPath is the document that the path names.
func (n collection[In, Out]) inPath(c *api.Call, s *control.State) (out Out, version uint64, err error) {
	name, err := n.parse(c.Param("name"))
	if err != nil {
		return out, 0, n.notFound
	}
	out, version, ok := n.find(c, s, name)
	if !ok {
		return out, 0, n.notFound
	}
	return out, version, nil
}

func (n collection[In, Out]) checkNew(in *In) (broken []domain.FieldError) {
	doc := n.document(in)
	var err error
	if doc.name, err = n.parse(doc.Name); err != nil {
		broken = append(broken, domain.FieldError{Pointer: "/name", Code: "name.invalid", Detail: err.Error()})
	}
	if n.check != nil {
		broken = append(broken, n.check(in)...)
	}
	return broken
}

func (n collection[In, Out]) post(c *api.Call, in In) (api.Answer, error) {
	name := n.document(&in).name
	pos, err := execute(n.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) { return n.create(s, name, in, m) })
	if err != nil {
		return api.Answer{}, err
	}
	c.Echo.Response().Header().Set("Location", c.Echo.Request().URL.Path+"/"+name.String())
	return n.written(c, name, http.StatusCreated, pos)
}

func (n collection[In, Out]) put(c *api.Call, in In) (api.Answer, error) {
	if given := n.document(&in).Name; given != "" && given != c.Param("name") {
		return api.Answer{}, domain.ErrFields([]domain.FieldError{{Pointer: "/name", Code: "name.fixed", Detail: "a name never changes"}})
	}
	return n.change(c, func(s *control.State, name domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
		return n.replace(s, name, version, in, m)
	})
}

func (n collection[In, Out]) delete(c *api.Call, _ struct{}) (api.Answer, error) {
	name := domain.Name(c.Param("name"))
	pos, err := execute(n.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return n.remove(s, name, c.Version(), m)
	})
	return api.Answer{Status: http.StatusNoContent, Position: &pos}, err
}

// change gives a command to the document in the path and shows it as it is then.
func (n collection[In, Out]) change(c *api.Call, decide decision) (api.Answer, error) {
	name := domain.Name(c.Param("name"))
	pos, err := execute(n.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) { return decide(s, name, c.Version(), m) })
	if err != nil {
		return api.Answer{}, err
	}
	return n.written(c, name, http.StatusOK, pos)
}

// execute records what a caller's command decides, if they still may on the very
// state that it is decided on.
func execute(o *organisation.Organisation, c *api.Call, decide func(*control.State, domain.Meta) ([]domain.Fact, error)) (domain.Position, error) {
	return o.Execute(c.Context(), c.Meta, func(s *control.State) ([]domain.Fact, error) {
		m, err := c.MetaOn(s)
		if err != nil {
			return nil, err
		}
		return decide(s, m)
	})
}

// written shows a document after a write.
func (n collection[In, Out]) written(c *api.Call, name domain.Name, status int, pos domain.Position) (api.Answer, error) {
	var out Out
	var version uint64
	var ok bool
	n.org.Read(func(s *control.State, _ domain.Head) { out, version, ok = n.find(c, s, name) })
	if !ok { // deleted since, or before a write that was repeated
		return api.Answer{}, n.notFound
	}
	return api.Answer{Status: status, Body: out, Version: version, Position: &pos}, nil
}

// may judges a call on the document in the path before its body is read: whether
// it is there, whether the caller may, were everything else about it right, and
// whether they saw the version that is.
func (n collection[In, Out]) may(would decision) func(*api.Call) error {
	return func(c *api.Call) error {
		return decideOn(n.org, c, func(s *control.State) error {
			_, version, err := n.inPath(c, s)
			if err != nil {
				return err
			}
			_, err = would(s, domain.Name(c.Param("name")), version, c.Meta)
			var known *domain.Error
			if errors.As(err, &known) && known.Kind == domain.KindForbidden {
				return err
			}
			return c.Match(version)
		})
	}
}

func (n collection[In, Out]) wouldReplace(s *control.State, name domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
	var nothing In
	return n.replace(s, name, version, nothing, m)
}

// decideOn judges a call on the state. A refusal is never given on stale state:
// before it is, the leader has confirmed that it holds.
func decideOn(o *organisation.Organisation, c *api.Call, rule func(*control.State) error) (err error) {
	if o.Read(func(s *control.State, _ domain.Head) { err = rule(s) }); err == nil {
		return nil
	}
	m := c.Meta
	m.Idempotency = nil // nothing is written
	_, err = o.Execute(c.Context(), m, func(s *control.State) ([]domain.Fact, error) { return nil, rule(s) })
	return err
}
