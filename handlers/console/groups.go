package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/group"
	"sallyport.dev/projections/control"
)

// groupers manage groups; of one that lends roles or is named, only the owners among them.
var groupers = []domain.Role{domain.Owner, domain.SecurityAdmin}

func groupNoun() noun {
	return noun{
		path: "/groups", one: "group", many: "groups", menu: "Groups", icon: "people", group: "Directory",
		first:   "Add one for people who do the same work, and name it in a policy.",
		lead:    "Policies let groups in, and request types have groups approve. A membership can have an end, and holds no more from that moment on.",
		writers: groupers, columns: []string{"Group", "#Members", "Lends", "Used", "Description"},
		entries:  listGroups,
		open:     openGroup,
		actions:  map[string]func(*page) error{"add": addMember, "remove": removeMember},
		deleting: []string{"Everybody who is in it has what it gave them no more, at once.", "Policies and request types that name it go on naming it, and let nobody in by it."},
		fields:   groupFields, values: groupValues, body: groupBody,
	}
}

func (c *Console) groups() []screen { return groupNoun().screens() }

func listGroups(p *page, s *control.State) iter.Seq[entry] {
	now := s.Later(p.now())
	return entriesOf(s.Groups().Each(), func(to *sought, g *group.Group) { to.add(g.Name.String(), g.Description) }, func(g *group.Group) []cell {
		used := textCell("")
		if s.NamesGroup(g.Name) {
			used = toneCell("info", "named")
		}
		return []cell{
			linkCell(g.Name.String(), p.url("/groups/"+g.Name.String())), numberCell(s.Groups().Count(g.Name, now)),
			textCell(listRoles(g.Roles, " and ")), used, quietCell(g.Description),
		}
	})
}

// groupDocument is a group as /v1 answers it.
type groupDocument struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Roles       []domain.Role `json:"roles"`
	Named       bool          `json:"named"`
}

func openGroup(p *page, raw json.RawMessage, v *sheet) error {
	var g groupDocument
	if err := json.Unmarshal(raw, &g); err != nil {
		return fmt.Errorf("reading a group: %w", err)
	}
	v.Lead = g.Description
	lends := textCell("no role")
	if len(g.Roles) > 0 {
		lends = textCell(listRoles(g.Roles, " and ") + ", to who is in it, while they are")
	}
	v.Facts = []sheetFact{factOf("Lends", lends)}
	changes := p.Person.Has(domain.Owner) || p.Person.Has(domain.SecurityAdmin) && !g.Named && len(g.Roles) == 0
	if g.Named {
		v.Facts = append(v.Facts, factOf("Used", textCell("A policy or a request type names it, or it answers for a resource: only an owner changes who is in it.")))
	}
	members := sheetTable{
		Heading: "Members", Caption: "Members", Columns: []string{"Person", "Until", "From", "Added", "-Actions"},
		EmptyTitle: "Nobody is in this group", EmptyText: "Whoever is added has at once what policies give the group.",
	}
	p.Org.Read(func(s *control.State, _ domain.Head) {
		name := domain.Name(g.Name)
		now := s.Later(p.now())
		people := s.Groups().People(name, now)
		t := p.pageOf(len(people), func(i int) []cell {
			m, _ := s.Groups().Member(name, people[i], now)
			return memberCells(p, g.Name, m, changes)
		}, groupNoun().at(p), url.Values{})
		members.Rows, members.Pager = t.Rows, t.Pager
	})
	v.Tables = []sheetTable{members}
	if changes {
		v.Form = memberForm(p, url.Values{})
	}
	return nil
}

// memberCells is one member; beside the end there is how far away it is.
func memberCells(p *page, in string, m group.Member, changes bool) []cell {
	until := textCell("for good")
	if !m.Until.IsZero() {
		until = exactCell(m.Until)
	}
	from := textCell("added by " + m.AddedBy)
	switch {
	case m.Request != "":
		from = linkCell("an approved request", p.url("/requests/"+m.Request))
	case m.Source == group.Provider:
		from = textCell("the identity provider, at sign-in")
	}
	row := []cell{linkCell(m.Person.String(), p.url("/people/"+m.Person.String())), until, from, timeCell(m.AddedAt), textCell("")}
	if changes {
		row[4] = actionCell(sheetAction{Do: "Remove", About: m.Person.String(), Path: p.url("/groups/" + in + "/remove"), Post: true, By: p.Person.ID, Sure: "Remove now", Hidden: map[string]string{"person": m.Person.String()}})
	}
	return row
}

// memberForm adds somebody.
func memberForm(p *page, v url.Values) *sheetForm {
	who := sheetField{Pointer: "/person", Label: "Person", Value: v.Get("person"), Required: true}
	if who.Options = p.peopleOptions(who.Value); who.Options == nil {
		who.Hint = byName
	}
	return &sheetForm{
		Path: p.url(groupNoun().at(p) + "/add"), Heading: "Add somebody", Do: "Add",
		Fields: []sheetField{who,
			{Pointer: "/until", Label: "Until", Value: v.Get("until"), Type: "datetime-local", Hint: "In UTC, within 365 days. Empty is for good. Adding somebody again changes the end."},
		},
	}
}

// maxOptions is how many people are chosen from; of more, a name is typed.
const maxOptions = 300

// peopleOptions is everybody, with "nobody yet" first; nil where there are too many to choose from.
func (p *page) peopleOptions(chosen string) []option {
	options := []option{{"", "choose"}}
	known := chosen == ""
	p.Org.Read(func(s *control.State, _ domain.Head) {
		if s.CountPeople() > maxOptions {
			options = nil
			return
		}
		for who := range s.EachPerson() {
			options = append(options, option{who.Name.String(), who.Name.String()})
			known = known || who.Name.String() == chosen
		}
	})
	if options != nil && !known {
		options = append(options, option{chosen, chosen})
	}
	return options
}

func addMember(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	until, err := utcTime(form.Get("until"))
	if err != nil {
		err = p.invalid("/until", err.Error())
	}
	if err = cmp.Or(p.proved(), err); err == nil {
		err = p.API(http.MethodPost, groupNoun().at(p)+"/members", nil, map[string]string{"person": form.Get("person"), "until": until}, nil)
	}
	if err != nil {
		v, shown := groupNoun().sheet(p)
		if shown != nil {
			return shown
		}
		if v.Form != nil {
			v.Form = memberForm(p, form)
		}
		return p.refused("sheet", v, p.orThose(err, "/person", form.Get("person")))
	}
	return p.done(groupNoun().at(p), form.Get("person")+" is in the group.")
}

// utcTime is what an input for a time sends, in UTC, as /v1 reads it. RFC 3339 is taken too.
func utcTime(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Format(time.RFC3339), nil
		}
	}
	return "", fmt.Errorf("this is a day and a time in UTC, such as 2026-12-24T18:00")
}

func removeMember(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	who, err := domain.ParseName(form.Get("person"))
	if err != nil {
		return errNothing
	}
	if ok, err := p.stepUp(); !ok {
		return err
	}
	if err := p.API(http.MethodDelete, groupNoun().at(p)+"/members/"+who.String(), nil, nil, nil); err != nil {
		return groupNoun().again(p, err)
	}
	return p.done(groupNoun().at(p), who.String()+" is in the group no more.")
}

func groupFields(p *page, v url.Values, added bool) []sheetField {
	fields := []sheetField{
		{Pointer: "/description", Label: "Description", Value: v.Get("description"), Hint: "Up to 1000 characters."},
	}
	if p.Person.Has(domain.Owner) || len(v["roles"]) > 0 {
		fields = append(fields, sheetField{Pointer: "/roles", Label: "Admin roles that it lends", Kind: "checks", Options: roleOptions(false), Chosen: chosenOf(v["roles"]),
			Hint: "Who is in the group bears them while they are. From then on only an owner says who is in it."})
	}
	if added {
		fields = slices.Insert(fields, 0, nameField(v))
	}
	return fields
}

// nameField is for the name of what is added.
func nameField(v url.Values) sheetField {
	return sheetField{Pointer: "/name", Label: "Name", Value: v.Get("name"), Required: true, Mono: true,
		Hint: "Up to 63 of a-z, 0-9 and inner hyphens. It never changes, and is never given again."}
}

// roleOptions is every role; member is none that a group lends.
func roleOptions(member bool) (options []option) {
	for _, r := range domain.Roles() {
		if member || r != domain.Member {
			options = append(options, option{string(r), strings.ReplaceAll(string(r), "_", " ")})
		}
	}
	return options
}

func chosenOf(values []string) map[string]bool {
	m := map[string]bool{}
	for _, v := range values {
		m[v] = true
	}
	return m
}

func groupValues(raw json.RawMessage) (url.Values, error) {
	var g groupDocument
	err := json.Unmarshal(raw, &g)
	v := url.Values{"description": {g.Description}}
	for _, r := range g.Roles {
		v.Add("roles", string(r))
	}
	return v, err
}

func groupBody(v url.Values) any {
	return map[string]any{"name": v.Get("name"), "description": v.Get("description"), "roles": listed(v["roles"])}
}

// listed is a list that JSON has as one.
func listed(values []string) []string { return append([]string{}, values...) }
