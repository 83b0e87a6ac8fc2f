package console

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/resource"
	"sallyport.dev/projections/control"
)

// stewards manage what there is to reach. They never see a value.
var stewards = []domain.Role{domain.ResourceAdmin}

func (c *Console) resources() []screen {
	return slices.Concat(projectNoun().screens(), serverNoun().screens(), passwordScreens())
}

func projectNoun() noun {
	return noun{
		path: "/projects", one: "project", many: "projects", menu: "Projects", icon: "box", group: "Directory",
		first:   "Add one for servers and secrets that belong together.",
		lead:    "A project holds servers and secrets, and says whether they are used by one at a time.",
		writers: stewards, columns: []string{"Project", "#Servers and secrets", "Shared", "Description"},
		entries: listProjects, open: openProject,
		deleting: []string{"Only a project that holds nothing is deleted."},
		fields:   projectFields, values: projectValues, body: projectBody,
	}
}

func listProjects(p *page, s *control.State) iter.Seq[entry] {
	return entriesOf(slices.Values(s.Resources().Projects()), func(to *sought, d resource.Project) { to.add(d.Name.String(), d.Description) }, func(d resource.Project) []cell {
		return []cell{linkCell(d.Name.String(), p.url("/projects/"+d.Name.String())), numberCell(s.Resources().In(d.Name)), textCell(checkoutSays(d.Checkout)), quietCell(d.Description)}
	})
}

func checkoutSays(c resource.Checkout) string {
	most := c.MaxSeconds
	if most == 0 {
		most = resource.DefaultCheckout
	}
	if c.Required {
		return "by one at a time, for up to " + seconds(most)
	}
	return "freely; a rule may ask for a checkout, of up to " + seconds(most)
}

// projectDocument is a project as /v1 answers it.
type projectDocument struct {
	resource.ProjectSpec
	Resources int `json:"resources"`
}

func openProject(p *page, raw json.RawMessage, v *sheet) error {
	var d projectDocument
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("reading a project: %w", err)
	}
	in := url.Values{"q": {inProject(p.param("name"))}}.Encode()
	v.Lead = d.Description
	v.Facts = []sheetFact{
		factOf("Used", textCell(checkoutSays(d.Checkout))),
		factOf("Holds", textCell(strconv.Itoa(d.Resources)+" in all:"), linkCell("its servers", p.url("/servers?"+in)), textCell("and"), linkCell("its secrets", p.url("/secrets?"+in))),
	}
	return nil
}

// inProject finds what is in a project, and not what is in payroll for pay.
func inProject(name string) string { return "project=" + name + ";" }

// The fields of a project's checkouts, as its form sends them.
var checkoutRequired, checkoutSeconds = fieldName("/checkout/required"), fieldName("/checkout/max_seconds")

func projectFields(_ *page, v url.Values, added bool) []sheetField {
	fields := []sheetField{
		{Pointer: "/description", Label: "Description", Value: v.Get("description")},
		{Pointer: "/checkout/required", Label: "Used by one at a time", Kind: "check", Value: v.Get(checkoutRequired), Hint: "A vaulted account or a secret is then checked out before it is used, whatever a rule says."},
		{Pointer: "/checkout/max_seconds", Label: "How long a checkout lasts at most, in seconds", Value: v.Get(checkoutSeconds), Hint: "900 to 604800. Empty is an hour."},
	}
	if added {
		fields = slices.Insert(fields, 0, nameField(v))
	}
	return fields
}

func projectValues(raw json.RawMessage) (url.Values, error) {
	var d projectDocument
	err := json.Unmarshal(raw, &d)
	v := url.Values{"description": {d.Description}}
	if d.Checkout.Required {
		v.Set(checkoutRequired, "true")
	}
	if d.Checkout.MaxSeconds > 0 {
		v.Set(checkoutSeconds, strconv.Itoa(d.Checkout.MaxSeconds))
	}
	return v, err
}

func projectBody(v url.Values) any {
	checkout := map[string]any{"required": v.Get(checkoutRequired) == "true"}
	if text := strings.TrimSpace(v.Get(checkoutSeconds)); text != "" {
		checkout["max_seconds"] = numberOr(text)
	}
	return map[string]any{"name": v.Get("name"), "description": v.Get("description"), "checkout": checkout}
}

// numberOr is a whole number, or the text, which /v1 then refuses at its field.
func numberOr(text string) any {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return text
}

func serverNoun() noun {
	return noun{
		path: "/servers", one: "server", many: "servers", menu: "Servers", icon: "list", group: "Directory",
		first:   "Add one with the accounts that people log in by; a policy then opens them.",
		lead:    "A server has accounts that policies open, and trusts the SSH authority.",
		writers: stewards, columns: []string{"Server", "Project", "Address", "Accounts", "Labels"},
		entries: listServers, open: openServer, outline: outlineServer, examples: serverExamples,
		keep:     []string{"name", "description", "project", "address", "port", "labels", "accounts", "owner", "host_keys", "any_source"},
		deleting: []string{"The passwords of its accounts are destroyed.", "Policies that name it let nobody in by it."},
	}
}

func listServers(p *page, s *control.State) iter.Seq[entry] {
	servers := s.Resources().Behind(resource.ServerRef("")) // no kind comes behind
	return entriesOf(servers, func(to *sought, r *resource.Resource) { to.resource(r, r.Description, r.ServerSpec.Address) }, func(r *resource.Resource) []cell {
		var accounts []domain.Name
		for _, a := range r.ServerSpec.Accounts {
			accounts = append(accounts, a.Name)
		}
		return []cell{
			linkCell(r.Name, p.url("/servers/"+r.Name)), linkCell(r.Project.String(), p.url("/projects/"+r.Project.String())),
			codeCell(r.ServerSpec.Address), textCell(join(accounts)), quietCell(labelsSay(r.Labels)),
		}
	})
}

// resource adds what is looked into of a resource: its name, its project as
// [inProject] finds it, more, and its labels.
func (f *sought) resource(r *resource.Resource, more ...string) {
	f.add(r.Name, "project=")
	f.text = append(append(f.text, r.Project...), ';')
	f.add(more...)
	f.add("")
	f.text = appendLabels(f.text, r.Labels)
}

// version is one version of a value, never the value, as /v1 answers it.
type version struct {
	Version     int       `json:"version"`
	AddedAt     time.Time `json:"added_at"`
	AddedBy     string    `json:"added_by"`
	DestroyedAt time.Time `json:"destroyed_at"`
}

// serverDocument is a server as /v1 answers it.
type serverDocument struct {
	Description string            `json:"description"`
	Project     string            `json:"project"`
	Address     string            `json:"address"`
	Port        int               `json:"port"`
	Labels      map[string]string `json:"labels"`
	Accounts    []struct {
		resource.Account
		Passwords []version `json:"passwords"`
	} `json:"accounts"`
	Owner     *ownerDocument `json:"owner"`
	HostKeys  []string       `json:"host_keys"`
	AnySource bool           `json:"any_source"`
}

type ownerDocument struct {
	Person  string `json:"person"`
	Group   string `json:"group"`
	Missing bool   `json:"missing"`
}

// cells says who answers for something.
func (o *ownerDocument) cells(p *page) (cells []cell) {
	switch {
	case o == nil || o.Person == "" && o.Group == "":
		return []cell{textCell("nobody")}
	case o.Person != "":
		cells = []cell{linkCell(o.Person, p.url("/people/"+o.Person))}
	default:
		cells = []cell{textCell("whoever is in"), linkCell(o.Group, p.url("/groups/"+o.Group))}
	}
	if o.Missing {
		cells = append(cells, badgeCell("missing"))
	}
	return cells
}

func openServer(p *page, raw json.RawMessage, v *sheet) error {
	var d serverDocument
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("reading a server: %w", err)
	}
	v.Lead = d.Description
	v.Facts = []sheetFact{
		factOf("Address", copyCell(d.Address), textCell("port "+strconv.Itoa(d.Port))),
		factOf("Project", linkCell(d.Project, p.url("/projects/"+d.Project))),
		factOf("Labels", textCell(orNone(labelsSay(d.Labels), "none"))),
		factOf("Answers for it", d.Owner.cells(p)...),
	}
	if d.AnySource {
		v.Facts = append(v.Facts, factOf("Certificates", textCell("hold from any address, since the server sees another one than we do")))
	}
	if len(d.HostKeys) == 0 {
		v.Facts = append(v.Facts, factOf("Host keys", textCell("none: who connects is asked whether the key is right, the first time")))
	}
	for _, k := range d.HostKeys {
		v.Facts = append(v.Facts, factOf("Host key", copyCell(k)))
	}
	t := sheetTable{Heading: "Accounts", Caption: "Accounts", Columns: []string{"Account", "Kind", "User", "Password"}, EmptyTitle: "No accounts", EmptyText: "Without an account a rule lets people in nowhere: edit the server and add one."}
	for _, a := range d.Accounts {
		user, kept := codeCell(a.Username), textCell("")
		if a.Kind == resource.Personal {
			user = textCell("each person's own")
		} else {
			kept = linkCell(strconv.Itoa(standing(a.Passwords))+" in the vault", p.url("/servers/"+p.param("name")+"/accounts/"+a.Name.String()))
		}
		t.Rows = append(t.Rows, []cell{textCell(a.Name.String()), textCell(string(a.Kind)), user, kept})
	}
	v.Tables = []sheetTable{t}
	if slices.ContainsFunc(simulators, p.Person.Has) {
		v.Actions = append(v.Actions, sheetAction{Do: "Who can reach it", Path: p.url(reachPath) + "?resource=" + url.QueryEscape("server/"+p.param("name"))})
	}
	return nil
}

// standing counts the versions that can be revealed.
func standing(versions []version) (n int) {
	for _, v := range versions {
		if v.DestroyedAt.IsZero() {
			n++
		}
	}
	return n
}

func outlineServer(p *page, raw json.RawMessage) ([]sheetSection, error) {
	var d serverDocument
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, err
	}
	there := false
	p.Org.Read(func(s *control.State, _ domain.Head) { _, there = s.Resources().Project(domain.Name(d.Project)) })
	what := sheetSection{Heading: "The server", Lines: []sheetLine{
		lineOf("Project", d.Project, !there), lineOf("Address", d.Address, false), lineOf("Labels", orNone(labelsSay(d.Labels), "none"), false),
		lineOf("Host keys", strconv.Itoa(len(d.HostKeys)), false),
	}}
	accounts := sheetSection{Heading: "Accounts"}
	for _, a := range d.Accounts {
		says := "each person's own user"
		if a.Kind == resource.Vaulted {
			says = "the shared user " + a.Username
		}
		accounts.Lines = append(accounts.Lines, lineOf(a.Name.String(), says, false))
	}
	return []sheetSection{what, accounts}, nil
}

var serverExamples = []example{
	{"personal", "people's own users", `name: web-1
project: shop
address: web-1.internal.example
labels: { tier: web, env: prod }
accounts:
  - { name: me, kind: personal }
`},
	{"shared", "a shared user", `name: db-1
project: shop
address: 192.0.2.32
port: 22
labels: { tier: db, env: prod }
accounts:
  - { name: dba, kind: vaulted, username: postgres }
`},
}

// passwordScreens are about the password of a server's vaulted account.
func passwordScreens() []screen {
	const at = "/servers/:name/accounts/:account"
	return []screen{
		{path: at, roles: readers, get: func(p *page) error { return p.showValue(passwordOf) },
			post: map[string]func(*page) error{"put": func(p *page) error { return p.putValue(passwordOf) }, "destroy": func(p *page) error { return p.destroyValue(passwordOf) }}},
		{path: at + "/destroy", roles: stewards, get: func(p *page) error { return p.askDestroy(passwordOf) }},
	}
}

// passwordOf is the password that the page is about.
func passwordOf(p *page, _ url.Values) (v valued, err error) {
	name, err := p.name("name")
	if err != nil {
		return v, err
	}
	account, err := p.name("account")
	if err != nil {
		return v, err
	}
	var d serverDocument
	if err := p.API(http.MethodGet, "/servers/"+name.String(), nil, nil, &d); err != nil {
		return v, err
	}
	v = valued{
		title: "Password of " + account.String() + " on " + name.String(), typed: account.String(), one: "password",
		up: sheetLink{name.String(), p.url("/servers/" + name.String())}, path: "/servers/" + name.String() + "/accounts/" + account.String(),
	}
	at := "/servers/" + name.String() + "/accounts/" + account.String() + "/password"
	v.put = func(value string) error {
		return p.API(http.MethodPut, at, nil, map[string]string{"value": value}, nil)
	}
	v.destroy = func(n int) error {
		return p.API(http.MethodPost, at+"/destroy", nil, map[string]int{"version": n}, nil)
	}
	for _, a := range d.Accounts {
		if a.Name == account && a.Kind == resource.Vaulted {
			v.versions = a.Passwords
			return v, nil
		}
	}
	return v, errNothing
}
