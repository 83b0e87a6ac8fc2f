package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
	"sallyport.dev/handlers/api"
	"sallyport.dev/projections/control"
)

// groupers manage groups; of one that lends roles or is named, only the owners among them.
var groupers = []domain.Role{domain.Owner, domain.SecurityAdmin}

// groups is the routes of groups and their members.
func (h *Admin) groups() []api.Route {
	const members = "/groups/:name/members"
	return append(collection[groupRequest, shownGroup]{
		org: h.org, path: "/groups", member: "groups", readers: readers, writers: groupers, notFound: group.ErrNotFound,
		document: func(in *groupRequest) *document { return &in.document },
		check:    func(in *groupRequest) []domain.FieldError { return in.spec().Check() },
		all: func(c *api.Call, s *control.State) (all []shownGroup) {
			for _, g := range s.Groups().Groups() {
				all = append(all, showGroup(s, g, c.Meta.Now))
			}
			return all
		},
		find: func(c *api.Call, s *control.State, n domain.Name) (shownGroup, uint64, bool) {
			g, ok := s.Groups().Find(n)
			return showGroup(s, g, c.Meta.Now), g.Version, ok
		},
		create: func(s *control.State, n domain.Name, in groupRequest, m domain.Meta) ([]domain.Fact, error) {
			return group.Decide(s.Groups(), group.Create{Name: n, Spec: in.spec()}, m)
		},
		replace: func(s *control.State, n domain.Name, version uint64, in groupRequest, m domain.Meta) ([]domain.Fact, error) {
			return group.Decide(s.Groups(), group.Edit{Name: n, Version: version, Spec: in.spec()}, m)
		},
		remove: func(s *control.State, n domain.Name, version uint64, m domain.Meta) ([]domain.Fact, error) {
			return group.Decide(s.Groups(), group.Delete{Name: n, Version: version, Named: s.NamesGroup(n)}, m)
		},
	}.routes(),
		api.Route{Method: http.MethodGet, Path: members, Roles: readers, Serve: api.Read(h.listMembers)},
		api.Route{Method: http.MethodPost, Path: members, Roles: groupers, Proved: true, Serve: api.Write(h.mayChangeMembers, checkMember, h.addMember)},
		api.Route{Method: http.MethodDelete, Path: members + "/:person", Roles: groupers, Proved: true, Serve: api.Write(h.mayRemoveMember, nil, h.removeMember)},
	)
}

// groupRequest is a group as written.
type groupRequest struct {
	document
	Description string        `json:"description"`
	Roles       []domain.Role `json:"roles"`

	Members json.RawMessage `json:"members"`
	Named   json.RawMessage `json:"named"`
}

func (in groupRequest) spec() group.Spec {
	return group.Spec{Description: in.Description, Roles: in.Roles}
}

// shownGroup is a group as answered; who is in it is asked for by itself.
type shownGroup struct {
	Name        domain.Name   `json:"name"`
	Description string        `json:"description"`
	Roles       []domain.Role `json:"roles"`
	Members     int           `json:"members"` // how many are in it now
	// Named is true where a policy or a request type names it, or a resource has it
	// as its owner: only owners change its members then.
	Named     bool      `json:"named"`
	Version   uint64    `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy string    `json:"updated_by"`
}

func showGroup(s *control.State, g group.Group, now time.Time) shownGroup {
	return shownGroup{
		Name: g.Name, Description: g.Description, Roles: orEmpty(g.Roles), Members: s.Groups().Count(g.Name, s.Later(now)), Named: s.NamesGroup(g.Name),
		Version: g.Version, CreatedAt: g.CreatedAt, CreatedBy: g.CreatedBy, UpdatedAt: g.UpdatedAt, UpdatedBy: g.UpdatedBy,
	}
}

// shownMember is a person in a group as answered.
type shownMember struct {
	Person  domain.Name  `json:"person"`
	Until   time.Time    `json:"until,omitzero"` // absent of a standing membership
	Source  group.Source `json:"source"`
	Request string       `json:"request,omitempty"` // whose approval added them
	AddedAt time.Time    `json:"added_at"`
	AddedBy string       `json:"added_by"`
}

func showMember(m group.Member) shownMember {
	return shownMember{m.Person, m.Until, m.Source, m.Request, m.AddedAt, m.AddedBy}
}

// membersOf is who is in the group at now.
func membersOf(s *control.State, name domain.Name, now time.Time) []shownMember {
	in := []shownMember{}
	g, _ := s.Groups().Group(name)
	for _, m := range g.Members {
		if s.Groups().Has(g.Name, m.Person, s.Later(now)) {
			in = append(in, showMember(m))
		}
	}
	return in
}

// groupIn is the group that the path names, without its members.
func groupIn(c *api.Call, s *control.State) (group.Group, error) {
	name, err := domain.ParseName(c.Param("name"))
	if err != nil {
		return group.Group{}, group.ErrNotFound
	}
	g, ok := s.Groups().Find(name)
	if !ok {
		return group.Group{}, group.ErrNotFound
	}
	return g, nil
}

func (h *Admin) listMembers(c *api.Call) (a api.Answer, err error) {
	h.org.Read(func(s *control.State, _ domain.Head) {
		var g group.Group
		if g, err = groupIn(c, s); err == nil {
			a.Body = map[string][]shownMember{"members": membersOf(s, g.Name, c.Meta.Now)}
		}
	})
	return a, err
}

func (h *Admin) mayChangeMembers(c *api.Call) error {
	return h.decide(c, func(s *control.State) error {
		g, err := groupIn(c, s)
		if err != nil {
			return err
		}
		return group.MayChangeMembers(g, s.NamesGroup(g.Name), c.Meta.Actor)
	})
}

func (h *Admin) mayRemoveMember(c *api.Call) error {
	if err := h.mayChangeMembers(c); err != nil {
		return err
	}
	return h.decide(c, func(s *control.State) error {
		_, err := memberIn(c, s, domain.Name(c.Param("person")))
		return err
	})
}

// memberIn is the person's membership of the group in the path.
func memberIn(c *api.Call, s *control.State, who domain.Name) (group.Member, error) {
	m, ok := s.Groups().Member(domain.Name(c.Param("name")), who, s.Later(c.Meta.Now))
	if !ok {
		return group.Member{}, group.ErrNoMember
	}
	return m, nil
}

// memberRequest is who is to be in a group, and until when.
type memberRequest struct {
	Person string `json:"person"`
	Until  string `json:"until"` // "" is for good

	person domain.Name // Person, parsed
	until  time.Time   // Until, parsed
}

func checkMember(in *memberRequest) (broken []domain.FieldError) {
	var err error
	if in.person, err = domain.ParseName(in.Person); err != nil {
		broken = append(broken, domain.FieldError{Pointer: "/person", Code: "name.invalid", Detail: err.Error()})
	}
	if in.Until == "" {
		return broken
	}
	if in.until, err = time.Parse(time.RFC3339, in.Until); err != nil || in.until.IsZero() {
		broken = append(broken, domain.FieldError{Pointer: "/until", Code: "time.invalid", Detail: "until is a time as in RFC 3339, such as 2026-11-22T12:00:00Z"})
	}
	return broken
}

func (h *Admin) addMember(c *api.Call, in memberRequest) (api.Answer, error) {
	name := domain.Name(c.Param("name"))
	pos, err := execute(h.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		facts, err := group.Decide(s.Groups(), group.AddMember{
			Group: name, Person: in.person, Until: in.until, Named: s.NamesGroup(name),
		}, m)
		if _, known := s.Person(in.person); err == nil && !known {
			err = domain.ErrFields([]domain.FieldError{{Pointer: "/person", Code: "person.unknown", Detail: "there is no such person"}})
		}
		return facts, err
	})
	if err != nil {
		return api.Answer{}, err
	}
	c.Echo.Response().Header().Set("Location", c.Echo.Request().URL.Path+"/"+in.person.String())
	var m group.Member
	h.org.Read(func(s *control.State, _ domain.Head) { m, err = memberIn(c, s, in.person) })
	return api.Answer{Status: http.StatusCreated, Body: showMember(m), Position: &pos}, err
}

func (h *Admin) removeMember(c *api.Call, _ struct{}) (api.Answer, error) {
	name := domain.Name(c.Param("name"))
	pos, err := execute(h.org, c, func(s *control.State, m domain.Meta) ([]domain.Fact, error) {
		return group.Decide(s.Groups(), group.RemoveMember{Group: name, Person: domain.Name(c.Param("person")), Named: s.NamesGroup(name)}, m)
	})
	return api.Answer{Status: http.StatusNoContent, Position: &pos}, err
}
