package console

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/claim"
	"sallyport.dev/domain/connection"
	"sallyport.dev/domain/group"
	"sallyport.dev/domain/resource"
	"sallyport.dev/domain/role"
	"sallyport.dev/projections/control"
)

// Bounds of a list of who can reach what: rows of a page are resources, or people,
// with a few of their methods each; people are asked about until a page is full,
// or so many were.
const (
	reachSubjects = 15
	reachWays     = 3
	reachAsked    = 2000
	reachRoles    = 20
)

// afterField is the field of a form that says behind what the page begins.
const afterField = "after"

// everythingOf adds to the page everything that somebody can reach, a page of it.
func everythingOf(p *page, v *sheet, form url.Values) error {
	var found []access.Reachable
	var more bool
	var subject access.Subject
	var err error
	p.Org.Read(func(s *control.State, _ domain.Head) {
		now := s.Later(p.now())
		if subject, err = p.supposed(s, form, now); err == nil {
			found, more = access.ResolvePage(s.World(), subject, now, resource.Ref(form.Get(afterField)), nil, reachSubjects)
		}
	})
	if err != nil {
		return err
	}
	v.Facts = reachFacts(reachAnswer{Subject: subject.ID, Groups: subject.Groups, Roles: subject.Roles})
	t := sheetTable{Heading: "What they can reach", Caption: "What they can reach", Columns: append([]string{"Resource"}, wayColumns...),
		EmptyTitle: "Nothing", EmptyText: "No published policy that is for them lets them reach anything now."}
	if subject.Workload() && len(subject.Roles) == 0 {
		t.EmptyText = "A workload with these claims bears no role now, and no policy is for one that bears none."
	}
	if form.Get(afterField) != "" {
		t.EmptyTitle, t.EmptyText = "Nothing more", "That was all."
	}
	for _, r := range found {
		t.Rows = append(t.Rows, wayRows(p, resourceCell(p, r.Resource), r.Resource.Ref, r.Answer)...)
	}
	if more {
		t.More = reachMore(p, form, string(found[len(found)-1].Resource.Ref))
	}
	v.Tables = append(v.Tables, t)
	return nil
}

// supposed is who is asked about: a person as they are now, or a workload whose
// token had those claims.
func (p *page) supposed(s *control.State, form url.Values, now time.Time) (none access.Subject, err error) {
	person, of, identity := form.Get("subject.person"), form.Get("subject.connection"), form.Get("subject.identity")
	if person != "" {
		if of != "" || identity != "" || strings.TrimSpace(form.Get("subject.claims")) != "" {
			return none, p.invalid("/subject/person", "either a person, or a workload: connection, identity and claims")
		}
		name, err := domain.ParseName(person)
		if _, known := s.Person(name); err != nil || !known {
			return none, p.invalid("/subject/person", "there is no such person")
		}
		return s.PersonSubject(domain.Actor{ID: name.String()}, now), nil
	}
	name, err := domain.ParseName(of)
	if status := s.Connection(name).Status; err != nil || status == connection.None || status == connection.Deleted {
		return none, p.invalid("/subject/connection", "there is no connection of this name")
	}
	if identity == "" || len(identity) > 2048 {
		return none, p.invalid("/subject/identity", "say which of its workloads: the identity, of at most 2048 bytes")
	}
	raw, err := claimsIn(p, "/subject/claims", form.Get("subject.claims"))
	if err != nil {
		return none, err
	}
	var set claim.Set
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber() // numbers as they are written
	if raw != nil && (d.Decode(&set) != nil || set == nil) {
		return none, p.invalid("/subject/claims", "claims are an object: those that the workload's token of ours carries")
	}
	return s.SupposedWorkload(p.Org.Issuer(), p.Org.Name(), name, identity, set, "", now), nil
}

// everybodyAt adds to the page everybody who can reach a resource, a page of them,
// and the workload roles whose bearers can.
func everybodyAt(p *page, v *sheet, form url.Values) error {
	ref, err := resource.ParseRef(form.Get("resource"))
	if err != nil {
		return p.invalid("/resource", "a resource is server/NAME or secret/PATH")
	}
	p.Org.Read(func(s *control.State, _ domain.Head) {
		r, there := s.Resources().Resource(ref)
		if !there {
			err = p.invalid("/resource", "there is no such resource")
			return
		}
		now := s.Later(p.now())
		entrance := access.EntranceTo(s.World(), r)
		v.Facts = append(v.Facts, factOf("What", resourceCell(p, r)), factOf("Groups that rules about it are for", groupCells(p, s, entrance.Groups(), now)...))
		v.Tables = append(v.Tables, peopleAt(p, s, entrance, ref, form, now))
		if form.Get(afterField) == "" {
			v.Tables = append(v.Tables, rolesAt(p, s, entrance, ref, now))
		}
	})
	return err
}

// groupCells are groups, with how many people are in each now.
func groupCells(p *page, s *control.State, groups []domain.Name, now time.Time) (cells []cell) {
	for i, n := range groups {
		if i == reachRoles {
			return append(cells, quietCell(fmt.Sprintf("and %d more", len(groups)-i)))
		}
		if _, there := s.Groups().Find(n); !there {
			cells = append(cells, codeCell(n.String()), toneCell("bad", "missing"))
			continue
		}
		cells = append(cells, linkCell(n.String(), p.url("/groups/"+n.String())), quietCell("with "+plural(s.Groups().Count(n, now), "person", "people")))
	}
	if len(cells) == 0 {
		return []cell{quietCell("none")}
	}
	return cells
}

// peopleAt is the people at the entrance who come after one, as far as a page holds.
func peopleAt(p *page, s *control.State, e access.Entrance, ref resource.Ref, form url.Values, now time.Time) sheetTable {
	t := sheetTable{Heading: "People who can", Caption: "People who can", Columns: append([]string{"Person"}, wayColumns...),
		EmptyTitle: "Nobody", EmptyText: "No published rule lets anybody reach it now: who is in no group that a rule is for is not let in."}
	after := form.Get(afterField)
	if after != "" {
		t.EmptyTitle, t.EmptyText = "Nobody more", "That was everybody."
	}
	shown := 0
	for i, who := range membersAfter(s.Groups(), e.Groups(), domain.Name(after), now) {
		if shown == reachSubjects || i == reachAsked {
			t.More = reachMore(p, form, after)
			break
		}
		after = who.String()
		if _, known := s.Person(who); !known {
			continue
		}
		answer := e.Resolve(s.PersonSubject(domain.Actor{ID: after}, now), now)
		if len(answer.Methods) > 0 {
			shown++
			t.Rows = append(t.Rows, wayRows(p, linkCell(after, p.url("/people/"+after)), ref, answer)...)
		}
	}
	return t
}

// membersAfter is who is in any of the groups now and comes after somebody, by name.
func membersAfter(s group.State, groups []domain.Name, after domain.Name, now time.Time) (people []domain.Name) {
	for _, n := range groups {
		in := s.People(n, now)
		at, found := slices.BinarySearch(in, after)
		if found {
			at++
		}
		people = append(people, in[at:]...)
	}
	slices.Sort(people)
	return slices.Compact(people)
}

// rolesAt is what workloads can do that bear a role and no other. What depends on
// who one is beside that, or on a claim that an expression reads, is not known of
// a role: claims are asked about for that.
func rolesAt(p *page, s *control.State, e access.Entrance, ref resource.Ref, now time.Time) sheetTable {
	t := sheetTable{Heading: "Workloads that can, by their roles", Caption: "Workloads that can, by their roles",
		Columns:    append([]string{"Workload role"}, wayColumns...),
		EmptyTitle: "No workload", EmptyText: "No published rule is for a workload role and about it."}
	for i, n := range e.Roles() {
		if i == reachRoles {
			t.Rows = append(t.Rows, noWay(quietCell(fmt.Sprintf("and %d more", len(e.Roles())-i)), ""))
			break
		}
		r, there := s.WorkloadRoles().Role(n)
		if !there {
			t.Rows = append(t.Rows, noWay(codeCell(n.String()), "There is no such role: it lets nobody in."))
			continue
		}
		name := linkCell(n.String(), p.url("/roles/"+n.String()))
		answer := e.Resolve(access.Subject{Roles: []domain.Name{n}, Usernames: map[domain.Name]string{n: role.Username(n)}}, now)
		if answer.Outcome == access.Refused {
			t.Rows = append(t.Rows, noWay(name, "Nothing, unless its claims are such as an expression asks for: ask with claims."))
			continue
		}
		t.Rows = append(t.Rows, wayRows(p, name, ref, answer)...)
		t.Rows = append(t.Rows, noWay(name, bearersSay(s, r)))
	}
	return t
}

// bearersSay is of which connections workloads bear a role.
func bearersSay(s *control.State, r role.Role) string {
	var active, others []domain.Name
	for _, q := range r.Requirements {
		if s.Connection(q.Connection).Status == connection.Active {
			active = append(active, q.Connection)
		} else {
			others = append(others, q.Connection)
		}
	}
	says := "Workloads of " + join(active) + " bear it, if their claims are as it asks."
	if len(active) == 0 {
		says = "No workload bears it now."
	}
	if len(others) > 0 {
		says += " Not active: " + join(others) + "."
	}
	return says
}

// wayColumns are what is told of a method, behind what it is of.
var wayColumns = []string{"What", "Now", "Policy", "Rule", "Through", "What is met, and what is missing"}

// noWay is a row that says something else.
func noWay(first cell, says string) []cell {
	return []cell{first, textCell(says), textCell(""), textCell(""), textCell(""), textCell(""), textCell("")}
}

// wayRows are the first methods of an answer, each behind what it is of; those
// that a workload cannot meet come last.
func wayRows(p *page, first cell, ref resource.Ref, a access.Answer) (rows [][]cell) {
	for i, m := range slices.Concat(a.Methods, a.LeftOut) {
		if i == reachWays {
			return append(rows, noWay(first, fmt.Sprintf("and %d more ways: ask about this one alone", len(a.Methods)+len(a.LeftOut)-i)))
		}
		now := toneCell("warn", "something is missing")
		switch {
		case i >= len(a.Methods):
			now = toneCell("bad", "left out: a workload cannot meet it")
		case m.Open():
			now = badgeCell("open")
		}
		rows = append(rows, []cell{
			first, textCell(does(ref, m.Kind, m.Account.String(), m.Username)), now, linkCell(m.Policy.String(), p.url("/policies/"+m.Policy.String())),
			textCell(m.Rule.String()), textCell(m.Through), textCell(needsSay(m)),
		})
	}
	return rows
}

// needsSay is what of a method's conditions is met.
func needsSay(m access.Method) string {
	says := reachMethod{}
	for _, q := range m.Requires {
		says.Conditions = append(says.Conditions, reachCondition{Met: q.Met, Description: q.Description})
	}
	if m.CheckedOutBy != "" {
		says.CheckedOut = &reachHolder{By: m.CheckedOutBy}
	}
	return says.says()
}

// reachMore leads to what comes after something. It is a form, as the question
// is: claims do not belong into an address.
func reachMore(p *page, form url.Values, after string) *sheetAction {
	hidden := map[string]string{afterField: after}
	for _, name := range []string{"resource", "subject.person", "subject.connection", "subject.identity", "subject.claims"} {
		if value := form.Get(name); value != "" {
			hidden[name] = value
		}
	}
	return &sheetAction{Do: "Show more", Path: p.url(reachPath + "/ask"), Post: true, By: p.Person.ID, Hidden: hidden}
}

// resourceCell names a resource, with its page where it is there: what a rule lets
// somebody create is not.
func resourceCell(p *page, r resource.Resource) cell {
	switch {
	case r.CreatedAt.IsZero():
		return codeCell(string(r.Ref))
	case r.Kind == resource.Server:
		return linkCell(string(r.Ref), p.url("/servers/"+r.Name))
	}
	return linkCell(string(r.Ref), p.secretURL(r.Name))
}
