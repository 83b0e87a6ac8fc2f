package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport.dev/domain"
	"sallyport.dev/domain/access"
	"sallyport.dev/domain/resource"
	"sallyport.dev/projections/control"
)

// simulators may ask who can reach what, as /v1 has it.
var simulators = []domain.Role{domain.SecurityAdmin, domain.Auditor}

const reachPath = "/policies/-/reach"

// reachScreen answers who can reach what. Asking changes nothing; it is a form
// that is sent since claims do not belong into an address.
func reachScreen() screen {
	return screen{path: reachPath, menu: "Who can reach what", icon: "search", group: "Trust", roles: simulators, get: showReach,
		post: map[string]func(*page) error{"ask": askReach}}
}

func showReach(p *page) error {
	return p.render("sheet", reachSheet(p, url.Values{"subject.person": {p.query("person")}, "resource": {p.query("resource")}}))
}

func reachSheet(p *page, v url.Values) sheet {
	who := sheetField{Pointer: "/subject/person", Label: "Person", Value: v.Get("subject.person")}
	who.Options = p.peopleOptions(who.Value)
	what := sheetField{Pointer: "/resource", Label: "Resource", Value: v.Get("resource"), Required: true, Mono: true, Hint: "server/ and a name, or secret/ and a path, such as server/web-1."}
	from := sheetField{Pointer: "/subject/connection", Label: "Or a workload of the connection", Value: v.Get("subject.connection")}
	from.Options = p.connectionOptions()
	return sheet{
		Title: "Who can reach what", Lead: "By which rules somebody could do what with a resource now, and what would still be missing. Asking opens nothing.",
		Form: &sheetForm{Path: p.url(reachPath + "/ask"), Do: "Ask", Fields: []sheetField{
			what, who, from,
			{Pointer: "/subject/identity", Label: "Its identity", Value: v.Get("subject.identity"), Mono: true},
			{Pointer: "/subject/claims", Label: "Its claims", Value: v.Get("subject.claims"), Rows: 6, Mono: true, Hint: `A JSON object, such as {"ref": "main"}: those that its token of ours carries.`},
		}},
	}
}

// connectionOptions are all connections, with none first.
func (p *page) connectionOptions() []option {
	options := []option{{"", "none"}}
	p.Org.Read(func(s *control.State, _ domain.Head) {
		for _, c := range s.Connections() {
			options = append(options, option{c.Name.String(), c.Name.String()})
		}
	})
	return options
}

// claimsIn are claims that somebody typed; none is none.
func claimsIn(p *page, pointer, text string) (json.RawMessage, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if !json.Valid([]byte(text)) {
		return nil, p.invalid(pointer, `this is no JSON: write an object, such as {"ref": "main"}`)
	}
	return json.RawMessage(text), nil
}

// reachAnswer is what /v1 answers.
type reachAnswer struct {
	Subject string         `json:"subject"`
	Groups  []domain.Name  `json:"groups"`
	Roles   []domain.Name  `json:"roles"`
	Outcome access.Outcome `json:"outcome"`
	Methods []reachMethod  `json:"methods"`
	LeftOut []reachMethod  `json:"left_out"`
}

type reachMethod struct {
	Kind       access.Kind `json:"kind"`
	Account    string      `json:"account"`
	Username   string      `json:"username"`
	Policy     string      `json:"policy"`
	Rule       string      `json:"rule"`
	Through    string      `json:"through"`
	Open       bool        `json:"open"`
	Conditions []struct {
		Met         bool       `json:"met"`
		Until       *time.Time `json:"until"`
		Description string     `json:"description"`
	} `json:"conditions"`
	CheckedOut *struct {
		By    string    `json:"by"`
		Until time.Time `json:"until"`
	} `json:"checked_out"`
}

func askReach(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	v := reachSheet(p, form)
	subject := map[string]any{}
	for _, name := range []string{"person", "connection", "identity"} {
		if s := form.Get("subject." + name); s != "" {
			subject[name] = s
		}
	}
	claims, err := claimsIn(p, "/subject/claims", form.Get("subject.claims"))
	if claims != nil {
		subject["claims"] = claims
	}
	var a reachAnswer
	if err == nil {
		err = p.API(http.MethodPost, "/policies/simulate", nil, map[string]any{"subject": subject, "resource": form.Get("resource")}, &a)
	}
	if err != nil {
		return p.refused("sheet", v, err)
	}
	v.Notes, v.Facts = []sheetNote{outcomeNote(a)}, reachFacts(a)
	ref := resource.Ref(form.Get("resource"))
	v.Tables = append(v.Tables, reachTable(p, "Ways in", ref, a.Methods, "No rule lets them in", "No published policy that is for them selects this resource, or an expression is not true now."))
	if len(a.LeftOut) > 0 {
		v.Tables = append(v.Tables, reachTable(p, "Left out, since a workload cannot meet them", ref, a.LeftOut, "", ""))
	}
	return p.render("sheet", v)
}

func outcomeNote(a reachAnswer) sheetNote {
	open := slices.ContainsFunc(a.Methods, func(m reachMethod) bool { return m.Open })
	switch {
	case open:
		return sheetNote{"good", "They are let in: something below stands open now."}
	case len(a.Methods) > 0:
		return sheetNote{"warn", "There are rules for them, and of each something is still missing."}
	case a.Outcome == access.Cancelled:
		return sheetNote{"warn", "Every rule that would let them in needs a human, and this is a workload."}
	}
	return sheetNote{"bad", "No rule lets them in."}
}

func reachFacts(a reachAnswer) []sheetFact {
	facts := []sheetFact{factOf("Who", codeCell(a.Subject))}
	if len(a.Groups) > 0 {
		facts = append(facts, factOf("Groups", textCell(join(a.Groups))))
	}
	if len(a.Roles) > 0 {
		facts = append(facts, factOf("Workload roles", textCell(join(a.Roles))))
	}
	return facts
}

func reachTable(p *page, heading string, ref resource.Ref, methods []reachMethod, empty, text string) sheetTable {
	t := sheetTable{Heading: heading, Caption: heading, Columns: []string{"What", "Now", "Policy", "Rule", "Through", "What is met, and what is missing"}, EmptyTitle: empty, EmptyText: text}
	for _, m := range methods {
		now := toneCell("warn", "something is missing")
		if m.Open {
			now = badgeCell("open")
		}
		t.Rows = append(t.Rows, []cell{
			textCell(does(ref, m.Kind, m.Account, m.Username)), now, linkCell(m.Policy, p.url("/policies/"+m.Policy)), textCell(m.Rule),
			textCell(m.Through), textCell(m.says()),
		})
	}
	return t
}

// says is what of its conditions is met.
func (m reachMethod) says() string {
	var parts []string
	for _, c := range m.Conditions {
		state := "Missing: "
		if c.Met {
			state = "Met: "
		}
		parts = append(parts, state+strings.TrimSuffix(c.Description, ".")+".")
	}
	if m.CheckedOut != nil {
		parts = append(parts, "Checked out by "+m.CheckedOut.By+".")
	}
	if len(parts) == 0 {
		return "nothing besides"
	}
	return strings.Join(parts, " ")
}
