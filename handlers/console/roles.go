package console

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"

	"sallyport.dev/domain"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/role"
	"sallyport.dev/projections/control"
)

func roleNoun() noun {
	return noun{
		path: "/roles", one: "workload role", many: "workload roles", menu: "Workload roles", icon: "badge", group: "Trust",
		first:   "Add one that says which jobs are meant, and name it in a policy.",
		lead:    "A workload role says which workloads are meant, so that policies need not. It is worked out when a token is used, so that an edit bites tokens that are out.",
		writers: reviewers, columns: []string{"Role", "User on servers", "Connections", "Changed", "Description"},
		entries: listRoleDocuments, open: openRole, outline: outlineRole, examples: roleExamples,
		keep:     []string{"name", "description", "requirements"},
		deleting: []string{"Tokens that are out bear it no more, at once.", "Policies that name it let no workload in by it."},
	}
}

func (c *Console) roles() []screen { return append(roleNoun().screens(), matchScreen()) }

func listRoleDocuments(p *page, s *control.State) iter.Seq[entry] {
	return entriesOf(slices.Values(s.WorkloadRoles().Roles()), func(to *sought, r role.Role) { to.add(r.Name.String(), r.Description) }, func(r role.Role) []cell {
		var from []domain.Name
		for _, q := range r.Requirements {
			from = append(from, q.Connection)
		}
		return []cell{
			linkCell(r.Name.String(), p.url("/roles/"+r.Name.String())), codeCell(role.Username(r.Name)), textCell(join(from)),
			timeCell(r.UpdatedAt), quietCell(r.Description),
		}
	})
}

func openRole(p *page, raw json.RawMessage, v *sheet) error {
	var d struct {
		role.Spec
		LinuxServerUsername string `json:"linux_server_username"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("reading a workload role: %w", err)
	}
	v.Lead = d.Description
	v.Facts = []sheetFact{factOf("User on servers", copyCell(d.LinuxServerUsername))}
	v.Sections = roleSections(p, d.Spec)
	if marked(v.Sections) {
		v.Notes = append(v.Notes, sheetNote{"bad", "A connection that it names is gone. That requirement lets nobody in."})
	}
	if p.mayMatch() {
		v.Actions = append(v.Actions, sheetAction{Do: "Which roles would match", Path: p.url(matchPath)})
	}
	return nil
}

func outlineRole(p *page, raw json.RawMessage) ([]sheetSection, error) {
	var spec role.Spec
	if err := json.Unmarshal(raw, &spec); err != nil {
		return nil, err
	}
	return roleSections(p, spec), nil
}

// roleSections is a role in words: one section for each way to bear it.
func roleSections(p *page, spec role.Spec) (sections []sheetSection) {
	for i, q := range spec.Requirements {
		heading := "A token of " + q.Connection.String()
		if i > 0 {
			heading = "Or a token of " + q.Connection.String()
		}
		v := sheetSection{Heading: heading, Lines: []sheetLine{lineOf("Connection", q.Connection.String(), !p.connectionThere(q.Connection))}}
		for _, c := range q.Conditions {
			v.Lines = append(v.Lines, lineOf("Whose", claimSays(c), false))
		}
		if len(q.Conditions) == 0 {
			v.Lines = append(v.Lines, lineOf("Whose", "claims are whatever the connection lets in", false))
		}
		sections = append(sections, v)
	}
	return sections
}

// claimSays is a condition on a claim, in words.
func claimSays(c claim.Condition) string {
	name := string(c.Claim)
	switch c.Operator {
	case claim.Equals:
		return name + " is " + c.Value
	case claim.StartsWith:
		return name + " begins with " + c.Value
	case claim.Exists:
		return name + " is there"
	case claim.OneOf:
		return name + " is one of " + claim.List(c.Values)
	case claim.Includes:
		return name + " is a list with " + c.Value
	}
	return c.String()
}

// connectionThere tells whether there is a connection of the name.
func (p *page) connectionThere(n domain.Name) (there bool) {
	p.Org.Read(func(s *control.State, _ domain.Head) {
		status := s.Connection(n).Status
		there = status != connection.None && status != connection.Deleted
	})
	return there
}

const matchPath = "/roles/-/match"

// matchers may ask which roles a token would bear, as /v1 has it.
var matchers = []domain.Role{domain.SecurityAdmin, domain.DevOpsAdmin, domain.Auditor}

func (p *page) mayMatch() bool { return matchScreen().admits(p.Person) }

func matchScreen() screen {
	return screen{path: matchPath, roles: matchers, get: showMatch, post: map[string]func(*page) error{"ask": askMatch}}
}

func showMatch(p *page) error { return p.render("sheet", matchSheet(p, url.Values{})) }

func matchSheet(p *page, v url.Values) sheet {
	from := sheetField{Pointer: "/connection", Label: "Connection", Value: v.Get("connection"), Required: true}
	from.Options = p.connectionOptions(from.Value)
	return sheet{
		Title: "Which roles would match", Up: sheetLink{"Workload roles", p.url("/roles")}, Lead: "Which roles a workload with these claims would bear now, and which condition of the others does not hold. Do not paste a token: its claims are enough.",
		Form: &sheetForm{Path: p.url(matchPath + "/ask"), Do: "Ask", Fields: []sheetField{
			from,
			{Pointer: "/identity", Label: "Identity", Value: v.Get("identity"), Mono: true},
			{Pointer: "/claims", Label: "Claims", Value: v.Get("claims"), Rows: 8, Mono: true, Required: true, Hint: `A JSON object, such as {"ref": "main"}: those of the platform's token, or those that ours carries.`},
		}},
	}
}

// matchAnswer is what /v1 answers.
type matchAnswer struct {
	Status    connection.Status `json:"status"`
	Roles     []string          `json:"roles"`
	Explained []struct {
		Role         string `json:"role"`
		Matches      bool   `json:"matches"`
		Requirements []struct {
			Met        bool `json:"met"`
			Conditions []struct {
				Claim    string `json:"claim"`
				Met      bool   `json:"met"`
				Expected string `json:"expected"`
				Actual   string `json:"actual"`
				Message  string `json:"message"`
			} `json:"conditions"`
		} `json:"requirements"`
	} `json:"explained"`
}

func askMatch(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	v := matchSheet(p, form)
	claims, err := claimsIn(p, "/claims", form.Get("claims"))
	var a matchAnswer
	if err == nil {
		err = p.API(http.MethodPost, "/roles/match", nil, map[string]any{"connection": form.Get("connection"), "identity": form.Get("identity"), "claims": claims}, &a)
	}
	if err != nil {
		return p.refused("sheet", v, err)
	}
	v.Notes = append(v.Notes, matchNote(a))
	t := sheetTable{Heading: "Roles of this connection", Caption: "Roles of this connection", Columns: []string{"Role", "Borne", "Why"},
		EmptyTitle: "No role asks for this connection", EmptyText: "A role has to name the connection in one of its requirements."}
	for _, e := range a.Explained {
		borne, why := toneCell("", "no"), ""
		if e.Matches {
			borne = toneCell("good", "yes")
		}
		for _, q := range e.Requirements {
			for _, c := range q.Conditions {
				if !c.Met {
					why = orNone(why, "") + c.Claim + ": " + c.Message + " "
				}
			}
		}
		t.Rows = append(t.Rows, []cell{linkCell(e.Role, p.url("/roles/"+e.Role)), borne, textCell(orNone(why, "every condition holds"))})
	}
	v.Tables = []sheetTable{t}
	return p.render("sheet", v)
}

func matchNote(a matchAnswer) sheetNote {
	switch {
	case a.Status != connection.Active:
		return sheetNote{"warn", "The connection is not active. Roles are borne while it is."}
	case len(a.Roles) == 0:
		return sheetNote{"warn", "It would bear no role."}
	}
	return sheetNote{"good", "It would bear " + join(a.Roles) + "."}
}

var roleExamples = []example{
	{"branches", "protected branches", `name: shop-deployers
description: Deploys the shop, from protected branches
requirements:
  - connection: shop-ci
    conditions:
      - { claim: ref_protected, operator: equals, value: "true" }
      - { claim: ref, operator: one_of, values: [main, release] }
`},
	{"every", "a whole connection", `name: shop-jobs
description: Every job of the shop
requirements:
  - connection: shop-ci
`},
}
