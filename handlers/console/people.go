package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/person"
	"sallyport.dev/projections/control"
)

func personNoun() noun {
	n := noun{
		path: "/people", one: "person", many: "people", menu: "People", icon: "person", group: "Directory",
		first:   "Add whoever should sign in; what they may do comes from roles and groups.",
		lead:    "Who there is, and which admin roles they bear by themselves or through groups.",
		writers: owners, columns: []string{"Person", "Roles", "Through groups", "#Groups", "Manager", "Email"},
		entries:  listPeople,
		open:     openPerson,
		deleting: []string{"Their sessions, tokens and memberships end at once.", "What names them goes on naming them, and lets nobody in by it."},
		fields:   personFields, values: personValues, body: personBody,
	}
	n.actions = map[string]func(*page) error{"invite": invite, "sign-out": n.act("sign-out", "Their sessions, and the programs that they let in, are ended. API tokens that were made on the host go on: sallyportd token revoke ends those.", false)}
	return n
}

func (c *Console) people() []screen { return append(personNoun().screens(), takeAwayScreen()) }

func listPeople(p *page, s *control.State) (all []entry) {
	now := p.now()
	for _, who := range s.Everybody() {
		all = append(all, entry{func() string { return who.Name.String() + " " + who.Email }, func() []cell { return personCells(p, s, who, now) }})
	}
	return all
}

func personCells(p *page, s *control.State, who person.Person, now time.Time) []cell {
	return []cell{
		linkCell(who.Name.String(), p.url("/people/"+who.Name.String())), textCell(listRoles(who.Roles, ", ")),
		textCell(listRoles(s.LentRoles(who.Name, now), ", ")), numberCell(len(s.Groups().Of(who.Name, s.Later(now)))),
		textCell(who.Manager.String()), quietCell(who.Email),
	}
}

// personDocument is a person as /v1 answers them.
type personDocument struct {
	Name           string        `json:"name"`
	Roles          []domain.Role `json:"roles"`
	Email          string        `json:"email"`
	Manager        string        `json:"manager"`
	ManagerMissing bool          `json:"manager_missing"`
	Groups         []struct {
		Group string    `json:"group"`
		Until time.Time `json:"until"`
	} `json:"groups"`
	EffectiveRoles []domain.Role `json:"effective_roles"`
	proofDocument
}

func openPerson(p *page, raw json.RawMessage, v *sheet) error {
	var d personDocument
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("reading a person: %w", err)
	}
	lent := slices.DeleteFunc(slices.Clone(d.EffectiveRoles), func(r domain.Role) bool { return slices.Contains(d.Roles, r) })
	v.Facts = []sheetFact{
		factOf("Roles", textCell(listRoles(d.Roles, " and "))),
		factOf("Through groups", textCell(orNone(listRoles(lent, " and "), "none"))),
		factOf("Email", textCell(orNone(d.Email, "none: they are not told of requests by mail"))),
	}
	switch {
	case d.ManagerMissing:
		v.Facts = append(v.Facts, factOf("Manager", textCell(d.Manager), toneCell("bad", "missing"), textCell("nobody decides as their manager")))
	case d.Manager != "":
		v.Facts = append(v.Facts, factOf("Manager", linkCell(d.Manager, p.url("/people/"+d.Manager))))
	default:
		v.Facts = append(v.Facts, factOf("Manager", textCell("none")))
	}
	t := sheetTable{Heading: "Groups", Caption: "Groups", Columns: []string{"Group", "Until"},
		EmptyTitle: "In no group", EmptyText: "Groups are what policies let in: add " + d.Name + " on the page of a group."}
	for _, g := range d.Groups {
		until := textCell("for good")
		if !g.Until.IsZero() {
			until = exactCell(g.Until)
		}
		t.Rows = append(t.Rows, []cell{linkCell(g.Group, p.url("/groups/"+g.Group)), until})
	}
	v.Tables = append([]sheetTable{t}, d.proofTables(p)...)
	if n := personNoun(); n.writes(p) {
		if p.console.passkeys != nil && p.neverCame(d.Name) {
			v.Actions = append(v.Actions, n.button(p, "Invite by a link", "invite"))
		}
		v.Actions = append(v.Actions, n.button(p, "Sign them out", "sign-out"))
	}
	return nil
}

// neverCame tells whether somebody never proved who they are.
func (p *page) neverCame(name string) (is bool) {
	p.Org.Read(func(s *control.State, _ domain.Head) { is = !s.Identities().Proved(domain.Name(name)) })
	return is
}

// invitedView is a link by which somebody registers a passkey, shown once.
type invitedView struct {
	Person    string    `json:"person"`
	Link      string    `json:"link"`
	ExpiresAt time.Time `json:"expires_at"`
}

func invite(p *page) error {
	if _, err := p.form(); err != nil {
		return err
	}
	if ok, err := p.stepUp(); !ok {
		return err
	}
	var v invitedView
	if err := p.API(http.MethodPost, personNoun().at(p)+"/invite", nil, nil, &v); err != nil {
		return personNoun().again(p, err)
	}
	return p.render("invited", v)
}

// orNone is a text, or what stands for none.
func orNone(text, none string) string {
	if text == "" {
		return none
	}
	return text
}

func personFields(p *page, v url.Values, added bool) []sheetField {
	manager := sheetField{Pointer: "/manager", Label: "Manager", Value: v.Get("manager"), Hint: "Decides where a request type asks the requester's manager."}
	if manager.Options = p.peopleOptions(manager.Value); manager.Options != nil {
		manager.Options[0].Label = "nobody"
	}
	fields := []sheetField{
		{Pointer: "/roles", Label: "Roles", Kind: "checks", Options: roleOptions(true), Chosen: chosenOf(v["roles"]), Hint: "At least one; member is for those who administer nothing."},
		{Pointer: "/email", Label: "Email", Value: v.Get("email"), Type: "email", Hint: "Where Sallyport tells them of requests. At an identity provider it is also how they are known at their first sign-in, if they are added with it."},
		manager,
	}
	if added {
		fields = slices.Insert(fields, 0, nameField(v))
	}
	return fields
}

func personValues(raw json.RawMessage) (url.Values, error) {
	var d personDocument
	err := json.Unmarshal(raw, &d)
	v := url.Values{"email": {d.Email}, "manager": {d.Manager}}
	for _, r := range d.Roles {
		v.Add("roles", string(r))
	}
	return v, err
}

func personBody(v url.Values) any {
	return map[string]any{"name": v.Get("name"), "roles": listed(v["roles"]), "email": strings.TrimSpace(v.Get("email")), "manager": v.Get("manager")}
}
