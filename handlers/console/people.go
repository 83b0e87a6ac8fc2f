package console

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/identity"
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

func listPeople(p *page, s *control.State) iter.Seq[entry] {
	now := p.now()
	return entriesOf(s.EachPerson(), func(to *sought, who *person.Person) { to.add(who.Name.String(), who.Email) },
		func(who *person.Person) []cell { return personCells(p, s, who, now) })
}

func personCells(p *page, s *control.State, who *person.Person, now time.Time) []cell {
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
	if slices.ContainsFunc(simulators, p.Person.Has) {
		v.Actions = append(v.Actions, sheetAction{Do: "What they can reach", Path: p.url(reachPath) + "?person=" + url.QueryEscape(d.Name)})
	}
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

// mayInvite tells whether it can be said of somebody with which account they come.
func (p *page) mayInvite(name string) (may bool) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		_, invited := s.Identities().InvitedAccount(domain.Name(name))
		may = invited || s.Identities().MayBecome(domain.Name(name), identity.Account{}, p.Person.ID, true) == nil
	})
	return may
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
	chosen := v["roles"]
	if added && len(v) == 0 { // the form as it is opened
		chosen = []string{string(domain.Member)}
	}
	fields := []sheetField{
		{Pointer: "/roles", Label: "Roles", Kind: "checks", Options: roleOptions(true), Chosen: chosenOf(chosen), Hint: "At least one; member is for those who administer nothing."},
		{Pointer: "/email", Label: "Email", Value: v.Get("email"), Type: "email", Hint: "Where Sallyport tells them of requests. At an identity provider it is also how they are known at their first sign-in, if they are added with it."},
		manager,
	}
	if added {
		fields = slices.Insert(fields, 0, nameField(v))
	}
	if added || p.mayInvite(p.param("name")) {
		fields = append(fields, p.accountFields(v)...)
	}
	return fields
}

// accountFields ask with which account at an identity provider somebody signs in
// first; nil where there is no provider.
func (p *page) accountFields(v url.Values) []sheetField {
	const hint = "Only where the provider sends no verified address, such as Microsoft Entra ID: whoever first signs in with this account is them."
	options, chosen := []option{{"", "by their address, or a link"}}, v.Get(accountIssuer)
	for _, one := range p.console.opt.SignIn.Of(p.Org.Name()) {
		options = append(options, option{one.Issuer, one.Name.String() + " (" + one.Issuer + ")"})
	}
	if chosen != "" && !slices.ContainsFunc(options, func(o option) bool { return o.Value == chosen }) {
		options = append(options, option{chosen, chosen}) // of a provider that is configured no more
	}
	if len(options) == 1 {
		return nil
	}
	return []sheetField{
		{Pointer: "/account/issuer", Label: "They come with an account at", Value: chosen, Options: options, Hint: hint},
		{Pointer: "/account/subject", Label: "Its subject there", Value: v.Get(accountSubject), Mono: true, Hint: "sub of its ID tokens. The audit trail names it once they tried to sign in."},
	}
}

// Names of the fields of an account.
const accountIssuer, accountSubject = "account.issuer", "account.subject"

func personValues(raw json.RawMessage) (url.Values, error) {
	var d personDocument
	err := json.Unmarshal(raw, &d)
	v := url.Values{"email": {d.Email}, "manager": {d.Manager}, accountIssuer: {d.Account.Issuer}, accountSubject: {d.Account.Subject}}
	for _, r := range d.Roles {
		v.Add("roles", string(r))
	}
	return v, err
}

func personBody(v url.Values) any {
	body := map[string]any{"name": v.Get("name"), "roles": listed(v["roles"]), "email": strings.TrimSpace(v.Get("email")), "manager": v.Get("manager")}
	if a := (accountDocument{Issuer: v.Get(accountIssuer), Subject: strings.TrimSpace(v.Get(accountSubject))}); a.Issuer+a.Subject != "" {
		body["account"] = a
	}
	return body
}
